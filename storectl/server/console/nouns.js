/** The three kinds of storage: what they are called, where they are, which tabs they have. */

import { agoText, exactly, h, icon } from "./dom.js";

const SHARED = [
  { id: "share", title: "Share", module: "./share.js" },
  { id: "api", title: "API", module: "./commands.js" },
  { id: "details", title: "Details", module: "./details.js" },
];

/** By the first segment of the route. */
export const NOUNS = {
  datasets: {
    noun: "dataset",
    route: "datasets",
    path: "/v2/datasets",
    title: "Datasets",
    one: "dataset",
    holds: "item",
    tabs: [{ id: "items", title: "Items", module: "./dataset.js" }, ...SHARED],
  },
  kvs: {
    noun: "kvs",
    route: "kvs",
    path: "/v2/key-value-stores",
    title: "Key-value stores",
    one: "key-value store",
    holds: "record",
    tabs: [{ id: "records", title: "Records", module: "./kvs.js" }, ...SHARED],
  },
  queues: {
    noun: "queue",
    route: "queues",
    path: "/v2/request-queues",
    title: "Request queues",
    one: "request queue",
    holds: "request",
    tabs: [{ id: "requests", title: "Requests", module: "./queue.js" }, ...SHARED],
  },
};

/** What a storage goes by: its title, its name or its ID. */
export function called(storage) {
  return storage.title || nameOf(storage) || storage.id;
}

/** The name, null where there is none: lists of datasets and queues put the ID in its place. */
export function nameOf(storage) {
  return storage.name && storage.name !== storage.id ? storage.name : null;
}

/** Whether this session may write to a storage: only who may is given its signing key. */
export function mayWrite(storage) {
  return "urlSigningSecretKey" in storage;
}

/** The address of a storage's screen. */
export function screen(kind, storage, tab = "") {
  return `#/${kind.route}/${storage.id}${tab && `/${tab}`}`;
}

const SOON_MS = 2 * 86_400_000;

/** How long a storage stays, as a badge where it will not. */
export function retention(storage) {
  if (nameOf(storage) || !storage.expireAt) {
    const why = nameOf(storage) ? "It has a name" : "This server keeps storages without a name";
    return h("span", { class: "quiet", title: why }, "until deleted");
  }
  const soon = Date.parse(storage.expireAt) - Date.now() < SOON_MS;
  return h(
    "span",
    { class: soon ? "badge badge-warn" : "badge", title: exactly(storage.expireAt) },
    icon("clock"),
    `expires ${agoText(storage.expireAt)} unless named`,
  );
}
