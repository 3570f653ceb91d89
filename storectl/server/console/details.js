/** The details of a storage: its times, its owner, its use, its schema. */

import { ask, copyButton, toast } from "./dialog.js";
import { ago, button, bytes, exactly, fill, h, number } from "./dom.js";
import { call } from "./api.js";
import { mayWrite, nameOf } from "./nouns.js";

export const tab = { id: "details", title: "Details" };

const ACCESS = {
  FOLLOW_USER_SETTING: "as the account says",
  RESTRICTED: "only those with a right",
  ANYONE_WITH_ID_CAN_READ: "anyone who knows the ID can read",
  ANYONE_WITH_NAME_CAN_READ: "anyone who knows the name can read",
};
const USES = {
  readCount: "Reads",
  writeCount: "Writes",
  deleteCount: "Deletes",
  listCount: "Lists",
  headItemReadCount: "Reads of the head",
};

/** Show the tab. */
export async function render(target, context) {
  const draw = () => fill(target, h("div", { class: "cards" }, about(context), use(context)), schema(context));
  draw();
  context.onChange(() => {
    if (!target.contains(document.activeElement)) draw();
  });
}

function card(title, action, ...children) {
  return h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", title), action),
    children,
  );
}

function facts(rows) {
  const given = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, given.map(([name, value]) => [h("dt", name), h("dd", value)]));
}

function moment(iso) {
  return iso ? [exactly(iso), " ", h("span", { class: "quiet" }, "(", ago(iso), ")")] : null;
}

function about(context) {
  const { storage } = context;
  const copied = (text, label) =>
    h("span", { class: "copyline" }, h("code", text), copyButton(text, label));
  const words = storage.title ? "Change the title" : "Give it a title";
  const retitle = button("edit", words, () => askTitle(context), "button-small");
  return card(
    "About",
    mayWrite(storage) ? retitle : null,
    facts([
      ["Title", storage.title],
      ["Name", nameOf(storage) ?? h("span", { class: "quiet" }, "none")],
      ["ID", copied(storage.id, "Copy the ID")],
      ["Owner", storage.username ?? storage.userId],
      ["Created", moment(storage.createdAt)],
      ["Changed", moment(storage.modifiedAt)],
      ["Last used", moment(storage.accessedAt)],
      ["Expires", expiry(storage)],
      ["General access", ACCESS[storage.generalAccess] ?? storage.generalAccess],
      ["Actor", storage.actId],
      ["Actor run", storage.actRunId],
    ]),
  );
}

function expiry(storage) {
  if (nameOf(storage)) return "never: it has a name";
  return storage.expireAt ? [moment(storage.expireAt), ", unless it gets a name"] : "never";
}

function use({ storage }) {
  const stats = storage.stats ?? {};
  const held = {
    itemCount: "Items",
    cleanItemCount: "Clean items",
    totalRequestCount: "Requests",
    handledRequestCount: "Handled",
    pendingRequestCount: "Pending",
  };
  return card(
    "Use",
    null,
    facts([
      ...Object.entries(held)
        .filter(([field]) => field in storage)
        .map(([field, words]) => [words, number(storage[field])]),
      ["Size", stats.storageBytes === undefined ? null : bytes(stats.storageBytes)],
      ...Object.entries(USES)
        .filter(([field]) => field in stats)
        .map(([field, words]) => [words, number(stats[field])]),
      ["Clients", "hadMultipleClients" in storage ? (storage.hadMultipleClients ? "several" : "one") : null],
    ]),
  );
}

function schema({ storage }) {
  if (!storage.schema) return null;
  const text = JSON.stringify(storage.schema, null, 2);
  return card(
    "Schema",
    copyButton(text, "Copy the schema"),
    h("pre", { class: "code", tabindex: "0", "aria-label": "Schema" }, text),
  );
}

async function askTitle(context) {
  const title = await ask({
    title: "Title",
    label: "What it is called where people read it",
    value: context.storage.title ?? "",
    hint: "An empty title takes it away. The name stays as it is.",
    run: (text) => call("PUT", context.path, { json: { title: text.trim() || null } }),
  });
  if (title === null) return;
  await context.reload();
  toast("The title is kept", { kind: "good" });
}
