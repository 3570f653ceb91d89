/** Who may see a storage: its general access, rights of users, and signed links. */

import { call, me } from "./api.js";
import { failed, toast } from "./dialog.js";
import { fill, h } from "./dom.js";
import { links } from "./links.js";
import { people } from "./people.js";

export const tab = { id: "share", title: "Share" };

const LEVELS = [
  {
    id: "RESTRICTED",
    title: "Restricted",
    text: () => "Only its owner, users with a right, and whoever has a signed link.",
  },
  {
    id: "ANYONE_WITH_ID_CAN_READ",
    title: "Anyone with the ID",
    text: ({ id }) => ["Whoever knows ", h("code", id), " may read it, without a token."],
  },
  {
    id: "ANYONE_WITH_NAME_CAN_READ",
    title: "Anyone",
    text: (access) => [
      "Whoever knows the ID or ",
      h("code", `${access.username}/${access.name ?? "its name"}`),
      " may read it, without a token.",
    ],
  },
  { id: "FOLLOW_USER_SETTING", title: "As the account says", text: follows },
];

export async function render(target, context) {
  let access;
  try {
    access = await call("GET", `${context.path}/access`, { signal: context.signal });
  } catch (error) {
    if (error.status !== 403) throw error;
    fill(target, await refused(context));
    return;
  }
  const again = () => render(target, context).catch(failed);
  fill(
    target,
    h(
      "div",
      { class: "share" },
      people(context, access, again),
      general(context, access, again),
      links(context, access, again),
    ),
  );
}

/** Why this token may not share, and what is known all the same. */
async function refused({ kind, storage }) {
  const user = await me();
  const mine = storage.userId === user.id;
  const token = await call("GET", "/v2/tokens/current").catch(() => null);
  const owner = storage.username ?? "its owner";
  const may = token?.scope?.length ? token.scope.join(", ") : "nothing";
  const why =
    mine || token?.scope
      ? [
          "The token of this session is limited to ",
          h("code", may),
          ". Log in with one that may manage this ",
          `${kind.one} to share it.`,
        ]
      : [
          `This ${kind.one} is ${owner}'s. Only ${owner}, and users who were given the right to manage it, can share it.`,
        ];
  const level = LEVELS.find(({ id }) => id === storage.generalAccess);
  return h(
    "div",
    { class: "card share-refused" },
    h("div", { class: "card-head" }, h("h2", "You may not share this")),
    h("p", why),
    h(
      "dl",
      { class: "facts" },
      [h("dt", "Owner"), h("dd", owner)],
      level ? [h("dt", "General access"), h("dd", level.title)] : null,
    ),
  );
}

function follows({ generalAccess, effectiveAccess }) {
  const now = LEVELS.find(({ id }) => id === effectiveAccess && id !== "FOLLOW_USER_SETTING");
  const means =
    generalAccess === "FOLLOW_USER_SETTING" && now
      ? ` Now that is: ${now.title.toLowerCase()}.`
      : "";
  return `What its owner chose for all such storages, else what the server says.${means}`;
}

function general({ path, kind, reload }, access, again) {
  const save = h(
    "button",
    { type: "submit", class: "button button-primary", disabled: true },
    "Save",
  );
  const choices = LEVELS.map(({ id, title, text }) =>
    h(
      "label",
      { class: "level" },
      h("input", {
        type: "radio",
        name: "general-access",
        value: id,
        checked: id === access.generalAccess,
      }),
      h("span", h("span", { class: "strong" }, title), h("span", { class: "hint" }, text(access))),
    ),
  );
  const chosen = () => form.querySelector("input:checked")?.value;
  const submit = async (event) => {
    event.preventDefault();
    save.disabled = true;
    try {
      await call("PUT", path, { json: { generalAccess: chosen() } });
      toast("General access is saved", { kind: "good" });
      await reload();
      await again();
    } catch (error) {
      save.disabled = false;
      failed(error);
    }
  };
  const change = () => {
    save.disabled = chosen() === access.generalAccess;
  };
  const form = h(
    "form",
    { class: "card", on: { submit, change } },
    h("div", { class: "card-head" }, h("h2", { id: "general-access" }, "General access")),
    h(
      "p",
      { class: "quiet" },
      `Who may read this ${kind.one} without a right of their own. To write always takes a right.`,
    ),
    h("div", { class: "levels", role: "radiogroup", "aria-labelledby": "general-access" }, choices),
    h("div", { class: "actions" }, save),
  );
  return form;
}
