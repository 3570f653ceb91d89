/** What lists of records and of requests share: rows that are chosen, pages that follow a cursor. */

import { counted, fill, h, icon, number } from "./dom.js";

/** Put children in the place of others, and the focus back where it was: on what has the same `data-focus`. */
export function refill(node, ...children) {
  const name = node.contains(document.activeElement) && document.activeElement.dataset.focus;
  fill(node, ...children);
  if (!name) return;
  const again = [...node.querySelectorAll("[data-focus]")].find(
    (one) => one.dataset.focus === name,
  );
  again?.focus({ preventScroll: true });
}

/**
 * Rows that are chosen, by what names them; they stay chosen on other pages.
 * @param {string} noun "record"
 * @param {(row: object) => string} idOf
 * @param {() => any[]} actions buttons for what is chosen
 * @param {(row: object) => string} [called] for who cannot see the row
 */
export function choice(noun, idOf, actions, called = idOf) {
  const chosen = new Map();
  const bar = h("div", {
    class: "chosen",
    role: "group",
    "aria-label": `Chosen ${noun}s`,
    hidden: true,
  });
  let page = [];

  function told() {
    bar.hidden = !chosen.size;
    if (!chosen.size) return fill(bar);
    const clear = {
      type: "button",
      class: "button button-quiet button-icon",
      "aria-label": "Choose none",
      title: "Choose none",
      on: { click: none },
    };
    fill(
      bar,
      h("span", { class: "chosen-count", role: "status" }, `${counted(chosen.size, noun)} chosen`),
      actions(),
      h("button", clear, icon("close")),
    );
  }

  function mark(row, on) {
    if (on) chosen.set(idOf(row), row);
    else chosen.delete(idOf(row));
  }

  function all(on) {
    for (const row of page) mark(row, on);
    for (const box of boxes) box.checked = on;
    told();
  }

  function none() {
    chosen.clear();
    for (const box of [...boxes, everything]) box.checked = false;
    everything.indeterminate = false;
    told();
  }

  function summed() {
    const here = page.filter((row) => chosen.has(idOf(row))).length;
    everything.checked = here > 0 && here === page.length;
    everything.indeterminate = here > 0 && here < page.length;
    told();
  }

  const boxes = new Set();
  const everything = h("input", {
    type: "checkbox",
    id: `all-${noun}s`,
    on: { change: () => all(everything.checked) },
  });
  return {
    bar,
    /** The box that chooses all rows of the page. */
    every: h(
      "label",
      { class: "choose-all", for: `all-${noun}s` },
      everything,
      "Choose all on this page",
    ),
    /** Told of the rows of a page before they are shown. */
    show(rows) {
      page = rows;
      boxes.clear();
      for (const row of rows) if (chosen.has(idOf(row))) chosen.set(idOf(row), row);
      summed();
    },
    column: {
      title: "",
      kind: "choose",
      cell(row) {
        const box = h("input", {
          type: "checkbox",
          checked: chosen.has(idOf(row)),
          "aria-label": `Choose ${called(row)}`,
          dataset: { focus: `choose-${idOf(row)}` },
          on: {
            change: () => {
              mark(row, box.checked);
              summed();
            },
          },
        });
        boxes.add(box);
        return box;
      },
    },
    rows: () => [...chosen.values()],
    drop(row) {
      mark(row, false);
      summed();
    },
    none,
  };
}

/**
 * Pages of a list that only leads on: those before are remembered.
 * @param {{first: number, count: number, noun: string, back?: () => void, on?: () => void}} given
 *   first: how many rows are on the pages before
 */
export function cursorPager({ first, count, noun, back, on }) {
  const words = count ? `${number(first + 1)}–${number(first + count)}` : "";
  const button = (label, click, turned) =>
    h(
      "button",
      {
        type: "button",
        class: "button button-icon",
        "aria-label": label,
        title: label,
        disabled: !click,
        dataset: { focus: label },
        on: click ? { click } : null,
      },
      h("span", { class: turned ? "turned" : null }, icon("chevron")),
    );
  return h(
    "nav",
    { class: "pager", "aria-label": `Pages of ${noun}` },
    h("span", { class: "quiet" }, words && `${words} ${on || back ? "" : `${noun}`}`.trim()),
    (on || back) && [button("Previous page", back, true), button("Next page", on)],
  );
}

/** Keep what a list is narrowed to in the address, for who reloads it or hands it on. */
export function remember(name, value) {
  const [path, query] = location.hash.split("?");
  const found = new URLSearchParams(query);
  if (value) found.set(name, value);
  else found.delete(name);
  history.replaceState(null, "", `${path}${found.size ? `?${found}` : ""}`);
}

/**
 * Do something to many, some at a time; the failures, each with what it befell.
 * @param {any[]} things
 * @param {(thing: any) => Promise<void>} work
 * @param {{many?: number, each?: (done: number) => void, signal?: AbortSignal}} [given]
 * @returns {Promise<{thing: any, error: Error}[]>}
 */
export async function pooled(things, work, { many = 6, each, signal } = {}) {
  const failures = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    while (next < things.length && !signal?.aborted) {
      const thing = things[(next += 1) - 1];
      try {
        await work(thing);
      } catch (error) {
        failures.push({ thing, error });
      }
      each?.((done += 1));
    }
  };
  await Promise.all(Array.from({ length: Math.min(many, things.length) }, worker));
  return failures;
}
