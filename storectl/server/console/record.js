/** One record: what it holds, its address, and what can be done with it. */

import { call, send } from "./api.js";
import { confirmTyped, copyButton, toast } from "./dialog.js";
import { bytes, h, icon } from "./dom.js";
import { drawer, steps } from "./drawer.js";
import { edit } from "./editor.js";
import { shown } from "./json.js";
import { mayWrite } from "./nouns.js";
import { downloadOf, essence, kindOf, pathOf } from "./records.js";

const PREVIEWED = 256_000; // bytes of a text
const LARGEST_IMAGE = 32_000_000; // bytes

/**
 * Show records of a page, one at a time.
 * @param {object} context of the tab
 * @param {object[]} items of the page
 * @param {number} at which one first
 * @param {() => void} changed told when a record was written or deleted
 */
export function open(context, items, at, changed) {
  const { path } = context;
  const writes = mayWrite(context.storage);
  let reading = new AbortController();
  let picture = null;
  const panel = drawer({
    label: "Record",
    signal: context.signal,
    onKey: (key) => {
      if (key === "j" || key === "k") go(at + (key === "j" ? 1 : -1));
    },
  });
  panel.closed.then(leave);
  show();

  function leave() {
    reading.abort();
    if (picture) URL.revokeObjectURL(picture);
    picture = null;
  }

  function go(to) {
    if (to < 0 || to >= items.length) return;
    at = to;
    show();
  }

  async function show(as = kindOf(items[at].contentType)) {
    leave();
    reading = new AbortController();
    const { signal } = reading;
    const item = items[at];
    const about = [
      h("span", { class: "badge" }, essence(item.contentType) || "no type"),
      h("span", bytes(item.size)),
    ];
    const parts = {
      title: h("span", { class: "mono" }, item.key),
      about,
      steps: steps(at, items.length, go),
    };
    panel.show({ ...parts, actions: actions(item), body: note("Reading the record…") });
    try {
      const found = await read(path, item, as, signal);
      if (signal.aborted) return;
      picture = found.picture;
      const body = [preview(item, found, () => show("text")), link(item)];
      panel.show({ ...parts, actions: actions(item, found), body });
    } catch (error) {
      if (signal.aborted) return;
      const gone = error.status === 404;
      panel.show({
        ...parts,
        body: note(gone ? "This record was deleted meanwhile." : error.message, true),
      });
    }
  }

  function actions(item, { text, whole, exact } = {}) {
    const button = (name, words, click, kind = "") =>
      h("button", { class: `button ${kind}`, type: "button", on: { click } }, icon(name), words);
    return [
      h(
        "a",
        { class: "button", href: downloadOf(path, item), download: item.key },
        icon("download"),
        "Download",
      ),
      whole && text !== undefined && copyButton(text, "Copy", { words: true }),
      writes && exact && button("edit", "Edit", () => change(item, text)),
      writes && button("trash", "Delete", () => remove(item), "button-danger"),
    ];
  }

  async function change(item, text) {
    const saved = await edit(path, { key: item.key, type: item.contentType, text });
    if (!saved) return;
    items = items.map((one) => (one === item ? { ...item, ...saved } : one));
    toast(`Record ${item.key} is saved`, { kind: "good" });
    changed();
    show();
  }

  async function remove(item) {
    const sure = await confirmTyped({
      title: "Delete the record?",
      text: `Record ${item.key} is deleted for good.`,
      word: item.key,
      action: "Delete record",
      run: () => call("DELETE", pathOf(path, item.key)),
    });
    if (!sure) return;
    toast(`Record ${item.key} is deleted`, { kind: "good" });
    items = items.filter((one) => one !== item);
    changed();
    if (!items.length) return panel.close();
    at = Math.min(at, items.length - 1);
    show();
  }
}

/**
 * What can be shown of a record, its text or an address of its picture in this page.
 * @returns {Promise<{as: string, whole: boolean, text?: string, exact?: boolean,
 *   picture?: string}>} exact: whether the text as UTF-8 is the record again
 */
async function read(path, item, as, signal) {
  const image = as === "image";
  if (as === "other" || (image && item.size > LARGEST_IMAGE)) return { as: "other", whole: false };
  const response = await send("GET", pathOf(path, item.key), { signal });
  const { body, whole } = await start(response, image ? LARGEST_IMAGE : PREVIEWED);
  if (!image) return { as, whole, ...decoded(body, item.contentType, whole) };
  if (!whole || signal.aborted) return { as: "other", whole };
  const blob = new Blob([body], { type: essence(item.contentType) });
  return { as, whole, picture: URL.createObjectURL(blob) };
}

/** The first bytes of an answer. The rest is not fetched: packed ones may have no end. */
async function start(response, most) {
  const blocks = [];
  let length = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    blocks.push(value);
    length += value.length;
    if (length > most) {
      await reader.cancel();
      break;
    }
  }
  return { body: await new Blob(blocks).slice(0, most).arrayBuffer(), whole: length <= most };
}

/** Bytes as text, in the charset of the type; a character that was cut in two is left out. */
function decoded(body, type, whole) {
  const charset = /charset="?([\w.:-]+)/i.exec(type || "")?.[1] ?? "utf-8";
  let decoder;
  try {
    decoder = new TextDecoder(charset);
  } catch {
    decoder = new TextDecoder(); // a charset that no browser knows
  }
  const text = decoder.decode(body, { stream: !whole });
  return { text, exact: whole && decoder.encoding === "utf-8" && !text.includes("\ufffd") };
}

/** @param {() => void} asText shows what it is after all */
function preview(item, { as, text, picture, whole }, asText) {
  if (as === "image") return image(item, picture);
  if (as === "other") {
    const large = kindOf(item.contentType) === "image";
    return h(
      "div",
      { class: "empty" },
      h(
        "p",
        large ? "This image is too large for a preview." : "There is no preview of this type.",
      ),
      h("button", { class: "button", type: "button", on: { click: asText } }, "Show it as text"),
    );
  }
  if (text === "") return note("The record is empty.");
  const label = `Record ${item.key}`;
  return [
    !whole && note(`These are its first ${bytes(PREVIEWED)}. Download the record to see the rest.`),
    as === "json"
      ? shown(text, label)
      : h(
          "pre",
          { class: "code record-text", tabindex: "0", "aria-label": label, role: "region" },
          text,
        ),
  ];
}

function image(item, picture) {
  const size = note("");
  const shape = h("img", {
    class: "record-image",
    src: picture,
    alt: `Record ${item.key}`,
    on: {
      load: () => (size.textContent = `${shape.naturalWidth} × ${shape.naturalHeight} pixels`),
      error: () => shape.replaceWith(note("This is no image that the browser can show.", true)),
    },
  });
  return [shape, size];
}

/** The address that opens the record for others. */
function link({ recordPublicUrl: url }) {
  const signed = new URL(url).searchParams.has("signature");
  const words = signed
    ? "Whoever has this address can read the record, until the store gets a new signing key."
    : "The store is open to anyone, and so is this address.";
  return h(
    "section",
    { class: "drawer-section" },
    h("h3", "Public address"),
    h("div", { class: "copyline" }, h("code", url), copyButton(url, "Copy address")),
    note(words),
  );
}

function note(words, bad = false) {
  return bad
    ? h("p", { class: "problem", role: "alert" }, words)
    : h("p", { class: "hint" }, words);
}
