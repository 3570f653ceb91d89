/** What a token shall be allowed to do: everything, or what is chosen here. */

import { call, segment } from "./api.js";
import { button, fill, h, icon } from "./dom.js";
import { NOUNS } from "./nouns.js";

const RIGHTS = ["read", "write", "manage"];
const KINDS = Object.values(NOUNS);

/** The fields, and what they say: null for everything, else the texts of a scope. */
export function form() {
  const picked = [];
  const all = kindRows();
  const one = single(picked);
  const limits = h("div", { class: "scope-limits", hidden: true }, all, one);
  const radio = (value, title, text) =>
    h(
      "label",
      { class: "level" },
      h("input", {
        type: "radio",
        name: "token-may",
        value,
        checked: value === "all",
        on: { change: () => (limits.hidden = value === "all") },
      }),
      h("span", h("span", { class: "strong" }, title), h("span", { class: "hint" }, text)),
    );
  const node = h(
    "fieldset",
    { class: "scope-form" },
    h("legend", "It may do"),
    h(
      "div",
      { class: "levels" },
      radio("all", "Everything you may", "Also make and revoke tokens."),
      radio("some", "Only what is chosen here", "And everything with what it creates itself."),
    ),
    limits,
  );
  const value = async () => {
    if (limits.hidden) return null;
    const texts = [...all.querySelectorAll("input:checked, select")]
      .map(({ value: text }) => text)
      .filter(Boolean);
    const found = [...texts, ...picked];
    if (!found.length) throw new Error("Choose what the token may do.");
    return found;
  };
  return { node, value };
}

/** For each kind: list, create, and a right on all of them. */
function kindRows() {
  const box = (kind, action) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "checkbox", value: `${kind.noun}:${action}` }),
      action,
      h("span", { class: "offscreen" }, ` ${kind.title.toLowerCase()}`),
    );
  const right = (kind) =>
    h(
      "select",
      { class: "select", "aria-label": `With all ${kind.title.toLowerCase()}` },
      h("option", { value: "" }, "nothing with all"),
      RIGHTS.map((action) => h("option", { value: `${kind.noun}:${action}` }, `${action} all`)),
    );
  return h(
    "div",
    { class: "scope-kinds" },
    KINDS.map((kind) =>
      h(
        "div",
        { class: "scope-kind" },
        h("span", { class: "strong" }, kind.title),
        box(kind, "list"),
        box(kind, "create"),
        right(kind),
      ),
    ),
  );
}

/** Rights on single storages, each looked up before it is taken. */
function single(picked) {
  const kind = h(
    "select",
    { class: "select", "aria-label": "Kind of the storage" },
    KINDS.map((each) => h("option", { value: each.route }, each.one)),
  );
  const ref = h("input", {
    class: "input",
    "aria-label": "Name or ID of one storage",
    placeholder: "Name or ID of one storage",
    autocomplete: "off",
    spellcheck: "false",
  });
  const right = h(
    "select",
    { class: "select", "aria-label": "Right on the storage" },
    RIGHTS.map((each) => h("option", { value: each }, each)),
  );
  const chips = h("div", { class: "chips" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const add = async () => {
    problem.hidden = true;
    try {
      const found = await lookUp(NOUNS[kind.value], ref.value.trim());
      const text = `${NOUNS[kind.value].noun}/${found.id}:${right.value}`;
      if (!picked.includes(text)) {
        picked.push(text);
        chips.append(chip(text, found.name ?? found.id, picked));
      }
      ref.value = "";
    } catch (error) {
      fill(problem, error.message);
      problem.hidden = false;
    }
    ref.focus();
  };
  ref.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it adds; the dialog stays
    add();
  });
  const adding = button("plus", "Add", add);
  return h(
    "div",
    { class: "scope-single" },
    h("div", { class: "scope-adding" }, kind, ref, right, adding),
    problem,
    chips,
  );
}

async function lookUp(kind, text) {
  if (!text) throw new Error("Type the name or the ID of a storage.");
  const ref = text.replace("/", "~");
  const named = () => call("GET", `${kind.path}/${ref.includes("~") ? "" : "~"}${segment(ref)}`);
  if (!/^[a-zA-Z0-9]{17}$/.test(text)) return named();
  try {
    return await call("GET", `${kind.path}/${text}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    return named();
  }
}

function chip(text, name, picked) {
  const remove = () => {
    picked.splice(picked.indexOf(text), 1);
    node.remove();
  };
  const [noun, action] = [text.split("/")[0], text.split(":").at(-1)];
  const node = h(
    "span",
    { class: "chip" },
    h("span", { class: "truncate" }, `${action} ${noun} ${name}`),
    h(
      "button",
      {
        type: "button",
        class: "button button-quiet button-icon button-small",
        "aria-label": `Remove ${action} ${name}`,
        on: { click: remove },
      },
      icon("close"),
    ),
  );
  return node;
}
