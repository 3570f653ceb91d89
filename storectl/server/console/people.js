/** Users who have a right on a storage: who may what, given, changed, taken away. */

import { call, me, segment } from "./api.js";
import { open, toast } from "./dialog.js";
import { ago, counted, fill, h, icon } from "./dom.js";
import { table } from "./table.js";

const RIGHTS = {
  read: "See it and all it holds",
  write: "Also change, fill, empty and delete it",
  manage: "Also share it: give and take away rights, make and end links",
};
const PUBLIC = /^ANYONE_/;

/** The card of users. */
export function people(context, access, again) {
  const owner = { username: access.username, right: null, createdAt: null };
  const columns = [
    {
      title: "User",
      kind: "main",
      cell: ({ username }) => h("span", { class: "strong" }, username),
    },
    {
      title: "May",
      cell: ({ right }) =>
        right ? badge(right) : h("span", { class: "badge badge-accent" }, "owner"),
    },
    { title: "Since", cell: ({ createdAt }) => (createdAt ? ago(createdAt) : null) },
    {
      title: "",
      kind: "actions",
      cell: (grant) => (grant.right ? actions(context, access, grant, again) : null),
    },
  ];
  const rows = [owner, ...access.grants];
  return h(
    "section",
    { class: "card share-people", "aria-labelledby": "people" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "people" }, "People"),
      h("span", { class: "quiet" }, counted(access.grants.length, "user"), " beside the owner"),
    ),
    table({ columns, rows, caption: "Users who have a right on this storage" }),
    giving(context, again),
  );
}

function badge(right) {
  const look = { read: "", write: "badge-good", manage: "badge-warn" }[right] ?? "";
  return h("span", { class: `badge ${look}`, title: RIGHTS[right] }, right);
}

function giving({ path }, again) {
  const user = h("input", {
    class: "input",
    id: "grant-user",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "grant-problem",
  });
  const right = h(
    "select",
    { class: "select", id: "grant-right" },
    Object.keys(RIGHTS).map((one) => h("option", { value: one }, one)),
  );
  const problem = h("p", { class: "problem", id: "grant-problem", role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: "button button-primary" }, "Give the right");
  const meaning = h("p", { class: "hint" }, `${RIGHTS.read}.`);
  right.addEventListener("change", () => fill(meaning, `${RIGHTS[right.value]}.`));
  const submit = async (event) => {
    event.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    try {
      const given = await call("PUT", userPath(path, user.value.trim()), {
        json: { right: right.value },
      });
      toast(`${given.username} may now ${given.right}`, { kind: "good" });
      await again();
      document.getElementById("grant-user")?.focus();
    } catch (error) {
      fill(problem, error.message);
      problem.hidden = false;
      button.disabled = false;
      user.focus();
    }
  };
  return h(
    "form",
    { class: "giving", on: { submit } },
    h("div", { class: "field" }, h("label", { for: "grant-user" }, "Username, e-mail or ID"), user),
    h("div", { class: "field" }, h("label", { for: "grant-right" }, "May"), right),
    button,
    meaning,
    problem,
  );
}

function userPath(path, user) {
  return `${path}/access/${segment(user)}`;
}

function actions(context, access, grant, again) {
  const { username } = grant;
  return h(
    "div",
    { class: "actions" },
    h(
      "button",
      {
        type: "button",
        class: "button button-small",
        "aria-label": `Change the right of ${username}`,
        on: { click: () => change(context, grant, again) },
      },
      "Change",
    ),
    h(
      "button",
      {
        type: "button",
        class: "button button-small button-danger",
        "aria-label": `Take away the right of ${username}`,
        on: { click: () => revoke(context, access, grant, again) },
      },
      "Take away",
    ),
  );
}

async function change({ path, kind }, grant, again) {
  const choices = Object.entries(RIGHTS).map(([right, text]) =>
    h(
      "label",
      { class: "level" },
      h("input", {
        type: "radio",
        name: "new-right",
        value: right,
        checked: right === grant.right,
        autofocus: right === grant.right,
      }),
      h("span", h("span", { class: "strong" }, right), h("span", { class: "hint" }, text)),
    ),
  );
  const content = h("div", { class: "levels", role: "radiogroup", "aria-label": "May" }, choices);
  const run = async () => {
    const right = content.querySelector("input:checked").value;
    return call("PUT", userPath(path, grant.userId), { json: { right } });
  };
  const given = await open({
    title: `What ${grant.username} may do with this ${kind.one}`,
    content,
    actions: [{ label: "Save", kind: "primary", run }],
  });
  if (!given) return;
  toast(`${given.username} may now ${given.right}`, { kind: "good" });
  await again();
}

async function revoke({ path, kind, go }, access, grant, again) {
  const still = stillOpen(access);
  const done = await open({
    title: `Take away ${grant.right} from ${grant.username}?`,
    content: [
      h("p", `${grant.username} can no longer use this ${kind.one} from the next request on.`),
      still ? h("p", { class: "notice notice-warn" }, icon("alert"), h("span", still)) : null,
    ],
    actions: [
      {
        label: "Take away",
        kind: "danger",
        run: () => call("DELETE", userPath(path, grant.userId)),
      },
    ],
  });
  if (!done) return;
  toast(`${grant.username} has lost ${grant.right}`, { kind: "good" });
  const user = await me();
  if (grant.userId === user.id)
    go("#/"); // they may see it no more
  else await again();
}

function stillOpen(access) {
  if (PUBLIC.test(access.effectiveAccess))
    return "Its general access lets them read it all the same.";
  if (!access.links.length) return "";
  const many = access.links.length > 1;
  return `${counted(access.links.length, "link")} ${many ? "open" : "opens"} it all the same to whoever has ${many ? "them" : "it"}.`;
}
