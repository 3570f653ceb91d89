/** The fields of a dataset, some of them chosen. */

import { open } from "./dialog.js";
import { fill, h, number } from "./dom.js";

const BOXES = 500;
const MOST_COLUMNS = 200; // all of them are drawn, in each row in sight

/** Which of these can stand in a query: a list there is joined by commas, and has a length. */
export function canBeAsked(fields) {
  return fields.every((one) => one && one.trim() === one && !one.includes(",")) && fields.join().length < 1500;
}

/**
 * Boxes to tick, with a search where there are many.
 * @param {string[]} fields
 * @param {string[]} chosen
 * @returns {{node: HTMLElement, chosen: () => string[]}} in the order of fields
 */
export function fieldBoxes(fields, chosen) {
  const ticked = new Set(chosen);
  const list = h("div", { class: "boxes", role: "group", "aria-label": "Fields" });
  const more = h("p", { class: "hint", role: "status" });
  const draw = (text = "") => {
    const seen = fields.filter((one) => one.toLowerCase().includes(text.toLowerCase()));
    fill(list, seen.length ? seen.slice(0, BOXES).map(box) : h("p", { class: "quiet" }, "No such field"));
    fill(more, seen.length > BOXES ? `${number(BOXES)} of ${number(seen.length)}: search for the others.` : null);
  };
  const box = (name) => {
    const change = (event) => (event.target.checked ? ticked.add(name) : ticked.delete(name));
    const input = h("input", { type: "checkbox", checked: ticked.has(name), on: { change } });
    return h("label", { class: "choice" }, input, h("span", { class: "mono truncate" }, name || "(no name)"));
  };
  const search = h("input", {
    class: "input",
    type: "search",
    placeholder: "Find a field",
    "aria-label": "Find a field",
    on: { input: () => draw(search.value) },
  });
  const all = (names) => () => {
    ticked.clear();
    for (const one of names) ticked.add(one);
    draw(search.value);
  };
  const button = (label, names) =>
    h("button", { type: "button", class: "button button-small", on: { click: all(names) } }, label);
  draw();
  const node = h(
    "div",
    { class: "field-boxes" },
    h(
      "div",
      { class: "toolbar" },
      fields.length > 10 ? h("div", { class: "search-plain" }, search) : null,
      button("All", fields),
      button("None", []),
    ),
    list,
    more,
  );
  return { node, chosen: () => fields.filter((one) => ticked.has(one)) };
}

/** Ask which fields shall be columns; null for none. */
export function askColumns(fields, columns) {
  const boxes = fieldBoxes(fields, columns);
  const run = () => {
    const names = boxes.chosen();
    if (!names.length) throw new Error("Choose at least one column.");
    if (names.length > MOST_COLUMNS) {
      throw new Error(`Choose at most ${MOST_COLUMNS} columns; JSON and the export have all.`);
    }
    return names;
  };
  const actions = [{ label: "Show", kind: "primary", run }];
  return open({ title: "Columns", content: boxes.node, actions });
}
