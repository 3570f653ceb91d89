/** Nodes made of text, never of markup: what a storage holds is shown and never run. */

const SVG = "http://www.w3.org/2000/svg";
const SCHEMES = new Set(["http:", "https:", "blob:", "mailto:"]);
const AS_PROPERTIES = new Set(["value", "checked", "indeterminate", "selected"]);

/**
 * An element. Strings and numbers among the children become text nodes; arrays are
 * flattened; null, undefined and false are left out.
 * @param {string} tag
 * @param {object} [props] attributes by name; `on: {click: fn}`, `dataset: {}`, `class`.
 *   true sets an attribute without a value; false, null and undefined leave it out.
 * @param {...any} children
 */
export function h(tag, props, ...children) {
  if (props === null || props === undefined || isProps(props)) {
    return filled(document.createElement(tag), props ?? {}, children);
  }
  return filled(document.createElement(tag), {}, [props, ...children]);
}

/** Put children in the place of those a node has; gives the node back. */
export function fill(node, ...children) {
  node.replaceChildren(...nodes(children));
  return node;
}

function isProps(found) {
  return typeof found === "object" && !Array.isArray(found) && !(found instanceof Node);
}

function filled(node, props, children) {
  const later = [];
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, fn] of Object.entries(value)) node.addEventListener(event, fn);
    } else if (name === "dataset") {
      Object.assign(node.dataset, value);
    } else if (AS_PROPERTIES.has(name)) {
      later.push([name, value]);
    } else if ((name === "href" || name === "src") && !isSafe(value)) {
      node.setAttribute("title", String(value));
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...nodes(children));
  for (const [name, value] of later) node[name] = value; // a select has its options by now
  return node;
}

/** Whether an address may be a link: `javascript:` and its like may not. */
export function isSafe(address) {
  try {
    return SCHEMES.has(new URL(address, document.baseURI).protocol);
  } catch {
    return false;
  }
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(legible(child))));
}

/* What is not seen, and turns round what is: "\u202egnp.exe" would read "exe.png". */
const UNSEEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

function legible(text) {
  const shown = (found) => `\\u${found.codePointAt(0).toString(16).padStart(4, "0")}`;
  return String(text).replace(UNSEEN, shown);
}

/* 16 x 16, drawn with strokes. */
const ICONS = {
  dataset: "M2.5 3.5h11v9h-11z M2.5 6.5h11 M2.5 9.5h11 M6.5 6.5v6",
  kvs: "M6 3.5H4.5v3L3 8l1.5 1.5v3H6 M10 3.5h1.5v3L13 8l-1.5 1.5v3H10 M8 6.2v.1 M8 9.7v.1",
  queue: "M2.5 4h8 M2.5 8h8 M2.5 12h5 M13 3.5v8 M11 9.8l2 2 2-2",
  tokens: "M10.5 2.8a2.7 2.7 0 1 1-1.9 4.6L3 13H1.8v-1.8l5.8-5.6a2.7 2.7 0 0 1 2.9-2.8z M4 11l1.2 1.2",
  copy: "M5.5 5.5h8v8h-8z M3.5 10.5h-1v-8h8v1",
  check: "M3 8.5l3.5 3.5L13 4.5",
  close: "M4 4l8 8 M12 4l-8 8",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9z M10.3 10.3l3.2 3.2",
  download: "M8 2.5v8 M4.8 7.6L8 10.8l3.2-3.2 M2.8 13.2h10.4",
  upload: "M8 11V3 M4.8 6L8 2.8 11.2 6 M2.8 13.2h10.4",
  trash: "M3 4.5h10 M6.2 4.5v-2h3.6v2 M4.2 4.5l.6 9h6.4l.6-9 M6.8 7v4 M9.2 7v4",
  edit: "M3 13l.6-2.6L10.8 3.2l2 2L5.6 12.4z M9.4 4.6l2 2",
  plus: "M8 3v10 M3 8h10",
  clock: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2z M8 4.8V8l2.2 1.6",
  columns: "M2.5 3h11v10h-11z M6.2 3v10 M9.8 3v10",
  chevron: "M5.5 3.5L10 8l-4.5 4.5",
  back: "M10.5 3.5L6 8l4.5 4.5",
  down: "M3.5 5.8L8 10.3l4.5-4.5",
  up: "M3.5 10.2L8 5.7l4.5 4.5",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z M8 1.6v1.2 M8 13.2v1.2 M1.6 8h1.2 M13.2 8h1.2 M3.5 3.5l.8.8 M11.7 11.7l.8.8 M3.5 12.5l.8-.8 M11.7 4.3l.8-.8",
  moon: "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z",
  auto: "M8 2.2a5.8 5.8 0 1 1 0 11.6z M8 2.2a5.8 5.8 0 0 0 0 11.6",
  out: "M6.5 2.8h-3v10.4h3 M7 8h6.5 M11 5.4L13.6 8 11 10.6",
  link: "M6.6 9.4a2.6 2.6 0 0 0 3.7 0l2.4-2.4a2.6 2.6 0 0 0-3.7-3.7l-.9.9 M9.4 6.6a2.6 2.6 0 0 0-3.7 0L3.3 9a2.6 2.6 0 0 0 3.7 3.7l.9-.9",
  file: "M4 2.2h5l3 3v8.6H4z M9 2.2v3h3",
  lock: "M4 7.2h8v6H4z M5.6 7.2V5.4a2.4 2.4 0 0 1 4.8 0v1.8",
  users: "M6 3.2a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4z M2 13c.2-2.4 1.7-3.8 4-3.8s3.8 1.4 4 3.8 M10.6 3.5a2.1 2.1 0 0 1 0 4 M11.6 9.5c1.5.5 2.3 1.7 2.4 3.5",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7 M13.2 2.2v2.8h-2.8",
  alert: "M8 2.5L14.2 13.2H1.8z M8 6.5v3 M8 11.3v.1",
  info: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2z M8 7.3v3.5 M8 5.1v.1",
};

/** A drawing beside a word: hidden from screen readers, who have the word. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  for (const stroke of (ICONS[name] ?? ICONS.info).split(/ (?=M)/)) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", stroke);
    svg.append(path);
  }
  return svg;
}

/** A button of an icon and words. look: one more class, if any; words may be nodes too. */
export function button(name, words, click, look = "") {
  const attributes = { type: "button", class: `button ${look}`.trim(), on: { click } };
  return h("button", attributes, icon(name), words);
}

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "1,234,567". */
export function number(count) {
  return WHOLE.format(count ?? 0);
}

/** "1 item", "2,000 items". */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** "1.5 MB", in steps of a thousand. */
export function bytes(count) {
  if (count === null || count === undefined) return "";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) {
    count /= 1000;
    at += 1;
  }
  return at === 0 && count === 1 ? "1 byte" : `${SHORT.format(count)} ${units[at]}`;
}

/** "5 days ago", "in 2 hours", "now". */
export function agoText(iso) {
  const secs = (Date.parse(iso) - Date.now()) / 1000;
  for (const [unit, size] of STEPS) {
    if (Math.abs(secs) >= size) return AGO.format(Math.round(secs / size), unit);
  }
  return Math.abs(secs) < 10 ? "now" : AGO.format(Math.round(secs), "second");
}

/** A time for people, the exact one under the pointer; a dash where there is none. */
export function ago(iso) {
  if (!iso) return h("span", { class: "quiet" }, "–");
  return h("time", { datetime: iso, title: exactly(iso) }, agoText(iso));
}

/** "3 Mar 2026, 14:05:09", in the time zone of the browser. */
export function exactly(iso) {
  return EXACT.format(new Date(iso));
}
