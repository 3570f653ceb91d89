/** Signed links of a storage: those that were made, new ones, and the end of all. */

import { address, call, segment } from "./api.js";
import { confirmTyped, copyButton, failed, open, toast } from "./dialog.js";
import { ago, button, h, icon } from "./dom.js";
import { nameOf } from "./nouns.js";
import { table } from "./table.js";

const DAY = 86_400;
const LIVES = [
  { secs: DAY, title: "1 day" },
  { secs: 7 * DAY, title: "7 days" },
  { secs: 30 * DAY, title: "30 days" },
  { secs: 365 * DAY, title: "1 year" },
  { secs: null, title: "never" },
];
const PUBLIC = /^ANYONE_/;

/** The card of links; of a queue it says why there are none. */
export function links(context, access, again) {
  const { noun } = context;
  const body =
    noun === "queue"
      ? [
          h(
            "p",
            { class: "quiet" },
            "The API opens no request queue by a link. Give users the right to read instead.",
          ),
        ]
      : listed(context, access, again);
  const making =
    noun === "queue"
      ? null
      : button("link", "New link", () => make(context, again), "button-primary");
  return h(
    "section",
    { class: "card share-links", "aria-labelledby": "links" },
    h("div", { class: "card-head" }, h("h2", { id: "links" }, "Links"), making),
    body,
  );
}

function listed(context, access, again) {
  const { kind } = context;
  const columns = [
    {
      title: "Opens",
      kind: "main",
      cell: (link) =>
        link.key === null
          ? `All ${kind.holds}s`
          : ["Record ", h("code", { class: "wrap" }, link.key)],
    },
    { title: "Made", cell: (link) => ago(link.createdAt) },
    {
      title: "Ends",
      cell: (link) =>
        link.expiresAt ? ago(link.expiresAt) : h("span", { class: "badge badge-warn" }, "never"),
    },
    { title: "", kind: "actions", cell: (link) => copying(context, link) },
  ];
  const empty = [icon("link"), h("p", "No link opens it.")];
  return [
    h(
      "p",
      { class: "quiet" },
      "A link opens what it is for to whoever has it, without a token, and nothing else.",
    ),
    PUBLIC.test(access.effectiveAccess)
      ? h(
          "div",
          { class: "notice" },
          icon("info"),
          h("span", "Its general access lets others read it without a link too."),
        )
      : null,
    table({ columns, rows: access.links, caption: "Signed links that open this storage", empty }),
    access.links.length || context.storage.urlSigningSecretKey
      ? ending(context, access, again)
      : null,
  ];
}

function ending(context, access, again) {
  return h(
    "div",
    { class: "share-end" },
    h(
      "p",
      { class: "hint" },
      "Links end one by one when their time is over. A new signing key ends all of them at once.",
    ),
    h(
      "button",
      {
        type: "button",
        class: "button button-danger",
        on: { click: () => endAll(context, again) },
      },
      "End all links",
    ),
  );
}

function copying(context, link) {
  const secret = context.storage.urlSigningSecretKey;
  if (!secret || !globalThis.crypto?.subtle) return null; // shown once, when it was made
  const what = link.key === null ? "the link" : `the link to ${link.key}`;
  const copies = copyButton("", `Copy ${what}`);
  signature(secret, context.storage.id, link).then(
    (found) => copies.replaceWith(copyButton(urlOf(context, link.key, found), `Copy ${what}`)),
    failed,
  );
  return copies;
}

/** Where a link leads. */
function urlOf({ path, noun }, key, signed) {
  const contents = noun === "dataset" ? "items" : "keys";
  return address(key === null ? `${path}/${contents}` : `${path}/records/${segment(key)}`, {
    signature: signed,
  });
}

async function make(context, again) {
  const { noun, kind, path } = context;
  const life = h(
    "select",
    { class: "select", id: "link-life" },
    LIVES.map(({ secs, title }) =>
      h("option", { value: secs ?? "", selected: secs === 7 * DAY }, title),
    ),
  );
  const key = h("input", {
    class: "input mono",
    id: "link-key",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "link-key-hint",
  });
  const ends = h("div", { class: "field" }, h("label", { for: "link-life" }, "Ends after"), life);
  const forever = h(
    "p",
    { class: "notice notice-warn", hidden: true },
    icon("alert"),
    h(
      "span",
      "A link to a record never ends by itself: its signature has no place for a time. A new signing key ends it.",
    ),
  );
  key.addEventListener("input", () => {
    ends.hidden = Boolean(key.value);
    forever.hidden = !key.value;
  });
  const run = () => {
    const secs = life.value ? Number(life.value) : null;
    return call("POST", `${path}/links`, { json: key.value ? { key: key.value } : { secs } });
  };
  const made = await open({
    title: `New link to this ${kind.one}`,
    content: [
      noun === "kvs"
        ? h(
            "div",
            { class: "field" },
            h("label", { for: "link-key" }, "Record"),
            key,
            h(
              "p",
              { class: "hint", id: "link-key-hint" },
              "The key of one record. Leave it empty for the list of all keys.",
            ),
          )
        : h("p", "It opens all items, in every format, to whoever has it."),
      ends,
      forever,
    ],
    actions: [{ label: "Make the link", kind: "primary", run }],
  });
  if (!made) return;
  await again();
  await show(urlOf(context, made.key, made.signature), made);
}

function show(url, made) {
  return open({
    title: "The link is made",
    content: [
      h("pre", { class: "code code-wrap", tabindex: "0", "aria-label": "The link" }, url),
      h(
        "div",
        { class: "actions" },
        copyButton(url, "Copy the link", { words: true }),
        h(
          "a",
          { class: "button", href: url, target: "_blank", rel: "noopener noreferrer" },
          "Open it",
        ),
      ),
      h(
        "p",
        { class: "quiet" },
        made.expiresAt ? ["It ends ", ago(made.expiresAt), "."] : "It never ends by itself.",
      ),
    ],
  });
}

async function endAll(context, again) {
  const { kind, storage, path, reload } = context;
  const name = nameOf(storage) ?? storage.id;
  const run = () => call("DELETE", `${path}/links`);
  const ended = await confirmTyped({
    title: "End all links?",
    text: `The ${kind.one} gets a new signing key. Every link to it stops at once, also those that others made and those that are not listed here.`,
    word: name,
    action: "End all links",
    run,
  });
  if (!ended) return;
  toast("Every link is ended", { kind: "good" });
  await reload();
  await again();
}

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** The signature of a link, as the API makes it of the storage's key. */
async function signature(secret, id, { key, expiresAt }) {
  if (key !== null) return proof(secret, key);
  const until = expiresAt ? Date.parse(expiresAt) : 0;
  return btoa(`0.${until}.${await proof(secret, `0.${until}.${id}`)}`)
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

async function proof(secret, text) {
  const encoded = (one) => new TextEncoder().encode(one);
  const how = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoded(secret), how, false, ["sign"]);
  const digest = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoded(text)));
  let rest = digest.slice(0, 15).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let digits = "";
  for (; rest; rest /= 62n) digits = DIGITS[Number(rest % 62n)] + digits;
  return digits || "0";
}
