/** JSON as it was written: every number keeps its digits, and a text that was cut is laid out, too. */

import { h } from "./dom.js";

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"?|[{}[\],:]|[^\s{}[\],:"]+/gs;
const DEEPEST = 24; // levels that are indented: more would only move the text out of sight
const COLOURED = 6000; // pieces: a node for each makes longer texts slow
const MOST = 600_000; // characters

/**
 * Parse JSON. A number that JavaScript would round keeps its text, and JSON.stringify writes that.
 * @param {string} text
 */
export function parse(text) {
  return JSON.parse(text, (_, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    return !source || String(value) === source || !JSON.rawJSON ? value : JSON.rawJSON(source);
  });
}

/** Why a text is not JSON, null if it is. */
export function problem(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error.message;
  }
}

/**
 * JSON laid out in lines, as pieces of [kind, text]; it may break off anywhere.
 * @param {string} text
 * @returns {{pieces: [string, string][], cut: boolean}} cut: whether there was more than is shown.
 */
export function laidOut(text) {
  const pieces = [];
  const closers = [];
  let length = 0;
  let before = "";
  const add = (kind, piece) => {
    pieces.push([kind, piece]);
    length += piece.length;
  };
  const line = () => add("", `\n${"  ".repeat(Math.min(closers.length, DEEPEST))}`);
  for (const [token] of text.matchAll(TOKEN)) {
    if (length > MOST) return { pieces, cut: true };
    const closes = token === "}" || token === "]";
    if (closes) closers.pop();
    const opened = before === "{" || before === "[";
    const another = !closers.length && before !== "" && !/[,:]/.test(before + token);
    if ((opened && !closes) || (closes && !opened) || before === ",") line();
    else if (another && !opened) line(); // the next of JSON lines
    if (token === "{" || token === "[") closers.push(token);
    add(kindOf(token), token === ":" ? ": " : token);
    if (token === ":" && pieces.at(-2)?.[0] === "string") pieces.at(-2)[0] = "key";
    before = token;
  }
  return { pieces, cut: false };
}

/** @param {string} token */
function kindOf(token) {
  if (token[0] === '"') return "string";
  if (/^[{}[\],:]$/.test(token)) return "";
  return /^[-\d]/.test(token) ? "number" : "literal";
}

/**
 * A block that shows JSON, in colours while it is short.
 * @param {string} text
 * @param {string} label for who cannot see it
 */
export function shown(text, label) {
  const { pieces, cut } = laidOut(text);
  const body =
    pieces.length > COLOURED
      ? pieces.map(([, piece]) => piece).join("")
      : pieces.map(([kind, piece]) => (kind ? h("span", { class: `json-${kind}` }, piece) : piece));
  return h(
    "pre",
    { class: "json", tabindex: "0", "aria-label": label, role: "region" },
    body,
    cut ? "\n…" : null,
  );
}
