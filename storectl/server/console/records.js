/** What all who handle records know: keys, content types, addresses, writing. */

import { ApiError, address, call, segment, session } from "./api.js";

export const KEY_RULE = "1 to 256 of the letters a–z, A–Z, digits and ! - _ . ' ( )";
const KEY = /^[a-zA-Z0-9!\-_.'()]{1,256}$/;
const IMAGE = /^image\/(png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon|svg\+xml)$/;
const JSONS = /^(application|text)\/([\w.-]+\+)?(x-)?(json|ndjson|jsonl|jsonlines)$/;
const TEXT =
  /^text\/|^application\/([\w.-]+\+)?(xml|yaml|x-yaml|javascript|x-javascript|toml|sql|x-sh|graphql)$/;

/* What browsers do not know by themselves, by the end of a file's name. */
const TYPES = {
  json: "application/json",
  jsonl: "application/x-ndjson",
  ndjson: "application/x-ndjson",
  md: "text/markdown",
  txt: "text/plain",
  log: "text/plain",
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  yaml: "application/yaml",
  yml: "application/yaml",
  toml: "application/toml",
  webp: "image/webp",
  avif: "image/avif",
};

/** Whether a text can be a key. A browser cannot ask for `.` and `..`: no address holds them. */
export function isKey(text) {
  return KEY.test(text) && !/^\.{1,2}$/.test(text);
}

/** A key for a file: its name, with what a key cannot have as a hyphen. */
export function keyFor(name) {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "");
  const key = plain.replace(/[^a-zA-Z0-9!\-_.'()]+/g, "-").slice(-256);
  return isKey(key) ? key : `file-${key.replace(/\W/g, "")}`;
}

/** The key with a number before its ending, `photo-2.png`, that no other key in use has. */
export function otherKey(key, used) {
  const [, start, end] = /^(.+?)(\.[^.]*)?$/.exec(key);
  for (let at = 2; ; at += 1) {
    const other = `${start.slice(0, 240 - (end ?? "").length)}-${at}${end ?? ""}`;
    if (!used.has(other)) return other;
  }
}

/** The content type of a file: what the browser says, else what its name does. */
export function typeOf(file) {
  const ending = /\.([^.]+)$/.exec(file.name)?.[1].toLowerCase();
  return file.type || TYPES[ending] || "application/octet-stream";
}

/** @param {string|null} type @returns {"image"|"json"|"text"|"other"} */
export function kindOf(type) {
  const plain = essence(type);
  if (IMAGE.test(plain)) return "image";
  if (JSONS.test(plain)) return "json";
  return TEXT.test(plain) ? "text" : "other";
}

/** A media type without its parameters. */
export function essence(type) {
  return (type || "").split(";")[0].trim().toLowerCase();
}

/** The path of a record below that of its store. */
export function pathOf(path, key) {
  return `${path}/records/${segment(key)}`;
}

/** Where a browser fetches a record by itself: signed, so that no token is in the address. */
export function downloadOf(path, item) {
  const signature = new URL(item.recordPublicUrl).searchParams.get("signature");
  return address(pathOf(path, item.key), { signature, attachment: 1 });
}

/** Whether there is a record with a key. A HEAD would tell, and fill the browser's log with 404. */
export async function taken(path, key, signal) {
  const page = await call("GET", `${path}/keys`, { query: { prefix: key, limit: 1 }, signal });
  return page.items[0]?.key === key; // the shortest with the prefix comes first
}

const TRIES = 5;

/**
 * Write a record, by XMLHttpRequest: fetch does not tell how far it is.
 * @param {string} path of the store
 * @param {string} key
 * @param {Blob} body
 * @param {{type: string, signal?: AbortSignal, progress?: (sent: number) => void}} given
 */
export async function put(path, key, body, given) {
  for (let tries = 1; ; tries += 1) {
    const { status, text, wait } = await sent(address(pathOf(path, key)), body, given);
    if (status === 201) return;
    if (status === 429 && tries < TRIES) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      continue;
    }
    throw failure(status, text);
  }
}

function sent(url, body, { type, signal, progress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const left = () => signal?.removeEventListener("abort", stop);
    request.open("PUT", url);
    request.setRequestHeader("Authorization", `Bearer ${session.token}`);
    request.setRequestHeader("Content-Type", type);
    request.upload.onprogress = (event) => progress?.(event.loaded);
    request.onload = () => {
      left();
      const wait = Number(request.getResponseHeader("Retry-After-Ms")) || 1000;
      resolve({ status: request.status, text: request.responseText, wait });
    };
    request.onerror = () => {
      left();
      reject(new ApiError(0, "no-answer", "The connection broke off."));
    };
    request.onabort = () => {
      left();
      reject(new DOMException("Stopped", "AbortError"));
    };
    if (signal?.aborted) return reject(new DOMException("Stopped", "AbortError"));
    signal?.addEventListener("abort", stop);
    request.send(body);
  });
}

function failure(status, text) {
  let told = {};
  try {
    told = JSON.parse(text).error ?? {};
  } catch {
    // not the API: a proxy
  }
  const error = new ApiError(
    status,
    told.type ?? "",
    told.message ?? `The server answers ${status}`,
  );
  if (status === 401) dispatchEvent(new CustomEvent("signedout", { detail: error }));
  return error;
}
