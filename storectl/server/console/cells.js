/** One value of an item, as the cell of a table. */

import { h, isSafe } from "./dom.js";

const MOST = 300; // characters: more of them are in no cell's width

/** The value of a field, which may be called `constructor`; undefined where there is none. */
export function own(row, name) {
  return Object.hasOwn(row, name) ? row[name] : undefined;
}

/** The node, or the text, of a value; nothing for one that is not there. */
export function valueCell(value) {
  if (value === undefined) return "";
  if (value === null) return h("span", { class: "quiet mono" }, "null");
  if (typeof value === "string") return /^https?:\/\//i.test(value) ? link(value) : value.slice(0, MOST);
  if (typeof value === "object" && !JSON.isRawJSON?.(value)) {
    return h("span", { class: "quiet mono" }, brief(value));
  }
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return h("span", { class: typeof value === "boolean" ? "json-literal mono" : "number" }, text);
}

function link(text) {
  if (!isSafe(text)) return text.slice(0, MOST);
  const props = { href: text, target: "_blank", rel: "noopener noreferrer", tabindex: "-1" };
  return h("a", props, text.slice(0, MOST));
}

/** The start of an object as JSON, of which the end is never built. */
function brief(value) {
  const parts = [];
  let length = 0;
  const several = Array.isArray(value);
  for (const [key, one] of Object.entries(value)) {
    const inner = one !== null && typeof one === "object" && !JSON.isRawJSON?.(one);
    const short = typeof one === "string" ? one.slice(0, MOST) : one;
    const text = inner ? (Array.isArray(one) ? `[${one.length}]` : "{…}") : JSON.stringify(short);
    parts.push(several ? text : `${JSON.stringify(key)}: ${text}`);
    length += parts.at(-1).length;
    if (length > MOST) break;
  }
  return several ? `[${parts.join(", ")}]` : `{${parts.join(", ")}}`;
}

/** Whether all of the values that are there are numbers, and there are some. */
export function isNumeric(rows, name) {
  const found = rows.map((row) => own(row, name)).filter((one) => one !== undefined && one !== null);
  return found.length > 0 && found.every((one) => typeof one === "number" || JSON.isRawJSON?.(one));
}

const NARROW = 7;
const WIDE = 22;
const WIDEST = 48;

/** The width of a column in a grid: as wide as its values, within reason. */
export function widthOf(rows, name, title) {
  const lengths = rows.map((row) => lengthOf(own(row, name)));
  const most = Math.min(Math.max(title.length + 1, ...lengths), WIDEST) + 3;
  const least = Math.max(NARROW, Math.min(most, WIDE));
  return `minmax(${least}ch, ${most}fr)`;
}

function lengthOf(value) {
  if (value === undefined) return 0;
  if (typeof value === "string") return value.length;
  return value !== null && typeof value === "object" ? WIDE : String(value).length;
}
