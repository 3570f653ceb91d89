/** A storage for programs: its addresses, and the same as commands of a shell. */

import { call, me } from "./api.js";
import { copyButton } from "./dialog.js";
import { fill, h } from "./dom.js";
import { preparation, recipes, snippets } from "./recipes.js";

export const tab = { id: "api", title: "API" };

const FORMS = { curl: "curl", storectl: "storectl", url: "Addresses" };
const REMEMBERED = "storectl.commands";

export async function render(target, context) {
  const user = await me();
  const state = { form: remembered(), key: await firstKey(context) };
  const list = h("div", { class: "recipes" });
  const draw = () =>
    fill(
      list,
      recipes(context, user, state.key || "KEY").map((recipe) => card(recipe, state.form)),
    );
  const choose = (form) => {
    state.form = form;
    localStorage.setItem(REMEMBERED, form);
    draw();
  };
  const named = (key) => {
    state.key = key;
    draw();
  };
  draw();
  fill(
    target,
    h(
      "div",
      { class: "toolbar" },
      forms(state.form, choose),
      context.noun === "kvs" ? keyField(state.key, named) : null,
    ),
    before(),
    list,
    code(context),
  );
}

function remembered() {
  const form = localStorage.getItem(REMEMBERED);
  return form in FORMS ? form : "curl";
}

/** A key to show commands for, "" if there is none. */
async function firstKey({ noun, path, signal }) {
  if (noun !== "kvs") return "";
  const { items } = await call("GET", `${path}/keys`, { query: { limit: 1 }, signal });
  return items[0]?.key ?? "";
}

function forms(chosen, choose) {
  return h(
    "fieldset",
    { class: "segmented" },
    h("legend", { class: "offscreen" }, "Show as"),
    Object.entries(FORMS).map(([form, title]) =>
      h(
        "label",
        h("input", {
          type: "radio",
          name: "recipe-form",
          value: form,
          checked: form === chosen,
          on: { change: () => choose(form) },
        }),
        title,
      ),
    ),
  );
}

function keyField(key, named) {
  const input = h("input", {
    class: "input mono",
    value: key,
    placeholder: "KEY",
    "aria-label": "Key of a record",
    autocomplete: "off",
    spellcheck: "false",
    on: { input: () => named(input.value) },
  });
  return h("div", { class: "recipe-key" }, input);
}

function before() {
  const text = preparation();
  return h(
    "section",
    { class: "card", "aria-labelledby": "once" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "once" }, "Once in a shell"),
      copyButton(text, "Copy the preparation"),
    ),
    block(text, "Preparation of a shell"),
    h(
      "p",
      { class: "hint" },
      "The second line waits for a token and shows nothing of it. ",
      h("a", { href: "#/tokens" }, "Tokens"),
      " makes one. It is in none of the commands, so that no history keeps it.",
    ),
  );
}

function card({ method, title, ...texts }, form) {
  return h(
    "section",
    { class: "recipe" },
    h(
      "div",
      { class: "recipe-head" },
      h("span", { class: `method method-${method.toLowerCase()}` }, method),
      h("h3", title),
      copyButton(texts[form], `Copy: ${title}`),
    ),
    block(texts[form], title),
  );
}

/** Text that may be wider than the page: it wraps, and what is copied does not. */
function block(text, label) {
  return h("pre", { class: "code code-wrap", "aria-label": label, tabindex: "0" }, text);
}

function code(context) {
  const found = snippets(context);
  return h(
    "section",
    { class: "card", "aria-labelledby": "in-code" },
    h("div", { class: "card-head" }, h("h2", { id: "in-code" }, "From a program")),
    h(
      "p",
      { class: "quiet" },
      "The official Apify clients, and Crawlee with them, speak with this server too.",
    ),
    h(
      "div",
      { class: "cards" },
      Object.entries(found).map(([language, text]) =>
        h(
          "div",
          { class: "snippet" },
          h(
            "div",
            { class: "card-head" },
            h("h3", language),
            copyButton(text, `Copy the ${language}`),
          ),
          block(text, language),
        ),
      ),
    ),
  );
}
