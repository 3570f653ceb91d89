/** Rows: a plain table, and the way through its pages. */

import { h, icon, number } from "./dom.js";
import { cellClass } from "./grid.js";

export { virtual } from "./grid.js";

/**
 * A table. At phone width each row becomes a card, its cells named by their columns.
 * @param {object} given
 * @param {{title: string, cell: (row: any) => any, id?: string, kind?: "number"|"main"|"actions"|"wide",
 *   hidden?: boolean}[]} given.columns `id` makes a column sortable by onSort
 * @param {any[]} given.rows
 * @param {string} given.caption for screen readers
 * @param {(row: any) => void} [given.onRow] what a click on a row does; keyboards need a link or
 *   button in the row that does it too
 * @param {any} [given.empty] what stands there without rows
 * @param {{id: string, desc: boolean}} [given.sort]
 * @param {(id: string) => void} [given.onSort]
 */
export function table({ columns, rows, caption, onRow, empty, sort, onSort }) {
  if (!rows.length && empty) return h("div", { class: "empty" }, empty);
  const heads = columns.map((column) => head(column, sort, onSort));
  const lines = rows.map((row) => {
    const open = (event) => {
      if (!event.target.closest("a, button, input, label, summary, select")) onRow(row);
    };
    const cells = columns.map((column) =>
      h("td", { class: cellClass(column), dataset: { label: column.title } }, column.cell(row)),
    );
    return h("tr", onRow ? { class: "row-open", on: { click: open } } : {}, cells);
  });
  return h(
    "div",
    { class: "table-frame" },
    h(
      "table",
      { class: "table" },
      h("caption", { class: "offscreen" }, caption),
      h("thead", h("tr", heads)),
      h("tbody", lines),
    ),
  );
}

function head(column, sort, onSort) {
  const props = { scope: "col", class: cellClass(column) };
  if (!column.title) return h("td", { class: cellClass(column) });
  if (!column.id || !onSort) return h("th", props, column.title);
  const is = sort?.id === column.id;
  if (is) props["aria-sort"] = sort.desc ? "descending" : "ascending";
  return h(
    "th",
    props,
    h(
      "button",
      { type: "button", class: "sort", on: { click: () => onSort(column.id) } },
      column.title,
      is ? icon(sort.desc ? "down" : "up") : null,
    ),
  );
}

/**
 * "1–50 of 1,234" and the way to other pages.
 * @param {{offset: number, limit: number, total: number, noun: string,
 *   onPage: (offset: number) => void}} given noun: of what there are many, as "items"
 */
export function pager({ offset, limit, total, noun, onPage }) {
  const last = Math.max(0, Math.floor((total - 1) / limit) * limit);
  const until = Math.min(offset + limit, total);
  const words = total ? `${number(offset + 1)}–${number(until)} of ${number(total)} ${noun}` : `No ${noun}`;
  const to = (label, there, drawing) =>
    h(
      "button",
      {
        type: "button",
        class: "button button-icon",
        "aria-label": label,
        title: label,
        disabled: there === offset || there < 0 || there > last,
        on: { click: () => onPage(there) },
      },
      icon(drawing),
    );
  return h(
    "nav",
    { class: "pager", "aria-label": `Pages of ${noun}` },
    h("span", { class: "quiet", "aria-live": "polite" }, words),
    total > limit ? [to("Previous page", offset - limit, "back"), to("Next page", offset + limit, "chevron")] : null,
  );
}
