/** What can be asked of a storage, as addresses and as commands of a shell. No token is in them. */

import { address, segment } from "./api.js";
import { nameOf } from "./nouns.js";

const BEARER = '-H "Authorization: Bearer $STORECTL_TOKEN"';
const JSON_TYPE = "-H 'Content-Type: application/json'";
const PLAIN = /^[\w@%+=:,./-]+$/;

/** A text as one word of a POSIX shell, whatever is in it. */
export function quoted(text) {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** An argument that begins with a hyphen stands behind `--`. */
function behind(words) {
  return words.some((word) => word.startsWith("-")) ? ["--", ...words] : words;
}

/** What commands call a storage: `name` of one's own, `user/name`, else the ID. */
export function refOf(storage, user) {
  const name = nameOf(storage);
  if (!name) return storage.id;
  return storage.userId === user.id ? name : `${storage.username}/${name}`;
}

/**
 * The recipes of a storage.
 * @returns {{method: string, title: string, url: string, curl: string, storectl: string}[]}
 */
export function recipes({ noun, path, storage }, user, key) {
  const ref = refOf(storage, user);
  const at = (below, query) => address(`${path}${below}`, query);
  const make = (method, title, url, storectl, { send = [], save } = {}) => ({
    method,
    title,
    url,
    curl: curl(method, url, send, save),
    storectl,
  });
  return [
    ...OF_NOUN[noun](make, at, ref, key),
    make("GET", "Its details", at(""), storectl([noun, "info"], [ref])),
    make("DELETE", "Delete it with all it holds", at(""), storectl([noun, "rm"], [ref])),
  ];
}

function curl(method, url, send, save) {
  const verb = method === "GET" ? [] : ["-X", method];
  const out = save ? [`-o ${quoted(save)}`] : [];
  const first = ["curl", ...verb].join(" ");
  return [first, BEARER, ...send, ...out, quoted(url)].join(" \\\n  ");
}

/** words: ours; those: of the storage, which may be anything; more: options, quoted. */
function storectl(words, those, more = []) {
  const rest = behind(those).map(quoted);
  return ["storectl", ...words, ...more, ...rest].join(" ");
}

/** A file for a key: its last part, without what begins an option or a hidden file. */
function fileFor(key) {
  return `./${key.split("/").at(-1)}`;
}

const OF_NOUN = {
  dataset: (make, at, ref) => [
    make("GET", "The items as JSON", at("/items"), storectl(["dataset", "items"], [ref])),
    make(
      "GET",
      "The clean items as CSV, into a file",
      at("/items", { format: "csv", clean: 1 }),
      storectl(["dataset", "pull"], [ref], ["--clean", "-o", "items.csv"]),
      { save: "items.csv" },
    ),
    make(
      "GET",
      "A page of the newest items",
      at("/items", { desc: 1, offset: 0, limit: 100 }),
      storectl(["dataset", "items"], [ref], ["--desc", "--limit", "100"]),
    ),
    make(
      "POST",
      "Append the items of a file",
      at("/items"),
      storectl(["dataset", "push"], [ref, "items.json"]),
      {
        send: [JSON_TYPE, "--data-binary @items.json"],
      },
    ),
  ],
  kvs: (make, at, ref, key) => [
    make("GET", "The keys", at("/keys"), storectl(["kvs", "keys"], [ref])),
    make(
      "GET",
      "A record",
      at(`/records/${segment(key)}`),
      storectl(["kvs", "get"], [ref, key], ["-o", quoted(fileFor(key))]),
      { save: fileFor(key) },
    ),
    make(
      "PUT",
      "Set a record to the bytes of a file",
      at(`/records/${segment(key)}`),
      storectl(["kvs", "set"], [ref, key, "./file.bin"]),
      { send: ["-H 'Content-Type: application/octet-stream'", "--data-binary @./file.bin"] },
    ),
    make(
      "DELETE",
      "Delete a record",
      at(`/records/${segment(key)}`),
      storectl(["kvs", "unset"], [ref, key]),
    ),
    make(
      "GET",
      "All records, into a ZIP file",
      at("/records"),
      storectl(["kvs", "pull"], [ref, "./records"]),
      {
        save: "records.zip",
      },
    ),
  ],
  queue: (make, at, ref) => [
    make("GET", "The requests", at("/requests"), storectl(["queue", "requests"], [ref])),
    make(
      "GET",
      "The next requests",
      at("/head", { limit: 100 }),
      storectl(["queue", "head"], [ref]),
    ),
    make(
      "POST",
      "Add a request",
      at("/requests"),
      storectl(["queue", "add"], [ref, "https://example.com/"]),
      {
        send: [
          JSON_TYPE,
          `-d ${quoted('{"url": "https://example.com/", "uniqueKey": "https://example.com"}')}`,
        ],
      },
    ),
    make(
      "POST",
      "Lock the next requests for a minute",
      at("/head/lock", { lockSecs: 60, limit: 25 }),
      storectl(["queue", "lock"], [ref], ["--secs", "60"]),
    ),
  ],
};

/** The same storage in code: snippets by language. */
export function snippets({ noun, storage }) {
  const base = address("/").replace(/\/$/, "");
  const id = JSON.stringify(storage.id);
  const [python, script] = {
    dataset: [`client.dataset(${id}).list_items().items`, `client.dataset(${id}).listItems()`],
    kvs: [
      `client.key_value_store(${id}).get_record("INPUT")`,
      `client.keyValueStore(${id}).getRecord("INPUT")`,
    ],
    queue: [`client.request_queue(${id}).list_head()`, `client.requestQueue(${id}).listHead()`],
  }[noun];
  return {
    Python: `import os

from apify_client import ApifyClient

client = ApifyClient(os.environ["STORECTL_TOKEN"], api_url=${JSON.stringify(base)})
found = ${python}`,
    JavaScript: `import { ApifyClient } from "apify-client";

const client = new ApifyClient({
  baseUrl: ${JSON.stringify(base)},
  token: process.env.STORECTL_TOKEN,
});
const found = await ${script};`,
  };
}

/** What a shell needs once: the server, and a token that is typed and not shown. */
export function preparation() {
  const base = address("/").replace(/\/$/, "");
  return `export STORECTL_SERVER=${quoted(base)}\nread -rs STORECTL_TOKEN && export STORECTL_TOKEN`;
}
