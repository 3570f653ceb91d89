/** A table of millions of rows, of which only those in sight are drawn. */

import { fill, h } from "./dom.js";

const KEPT = 40;
const MOST_PIXELS = 6_000_000;
const SPARE = 6;

/**
 * A table that draws the rows in sight alone, and fetches their pages as they come.
 *
 * A browser has no place for 36 pixels times millions of rows: beyond MOST_PIXELS a drag of the
 * bar leads in proportion, while wheel and keys go row by row.
 * @param {object} given
 * @param {{title: string, cell: (row: any, at: number) => any, width?: string, kind?: string}[]}
 *   given.columns
 * @param {number} given.count
 * @param {(offset: number, limit: number, signal: AbortSignal) => Promise<any[]>} given.fetchPage
 * @param {number} [given.rowHeight] pixels
 * @param {number} [given.chunk] rows that are fetched at once
 * @param {string} given.caption
 * @param {(row: any, at: number) => void} [given.onRow] a click, or Enter on the row in focus
 * @param {(error: Error) => void} [given.onError]
 * @returns {{node: HTMLElement, grow: (count: number) => void, clear: () => void,
 *   goTo: (at: number) => void, draw: () => void}} grow: there are more rows. clear: fetch again.
 *   draw: once the node is in the page
 */
export function virtual(given) {
  return new Virtual(given).shown();
}

class Virtual {
  constructor({ columns, count, fetchPage, rowHeight = 36, chunk = 100, caption, onRow, onError }) {
    Object.assign(this, { columns, count, fetchPage, rowHeight, chunk, onRow, onError });
    this.chunks = new Map();
    this.top = 0; // in pixels, as if there were place for all rows
    this.active = 0;
    this.rows = h("div", { class: "grid-rows", role: "rowgroup" });
    this.space = h("div", { class: "grid-space", role: "presentation" }, this.rows);
    this.head = h(
      "div",
      { class: "grid-head", role: "rowgroup" },
      h(
        "div",
        { class: "grid-row", role: "row", "aria-rowindex": "1" },
        columns.map((one) =>
          h("div", { role: "columnheader", class: cellClass(one), title: one.title }, one.title),
        ),
      ),
    );
    this.node = h(
      "div",
      {
        class: "grid",
        role: "grid",
        "aria-label": caption,
        "aria-readonly": "true",
        tabindex: "0",
        on: {
          scroll: () => this.scrolled(),
          keydown: (event) => this.pressed(event),
        },
      },
      this.head,
      this.space,
    );
    const widths = columns.map((one) => one.width ?? "minmax(9rem, 1fr)");
    const least = widths.map((one) => /^minmax\(([^,]+),/.exec(one)?.[1] ?? one);
    this.node.style.setProperty("--columns", widths.join(" "));
    this.node.style.setProperty("--least", `calc(${least.join(" + ")})`);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.node);
  }

  shown() {
    this.grow(this.count);
    return {
      node: this.node,
      grow: (count) => this.grow(count),
      clear: () => this.clear(),
      goTo: (at) => this.goTo(at),
      draw: () => this.draw(),
    };
  }

  grow(count) {
    const at = Math.floor(this.count / this.chunk);
    if (count !== this.count) this.drop(at); // the page at the end is longer now
    this.count = count;
    this.whole = count * this.rowHeight;
    this.height = Math.min(this.whole, MOST_PIXELS);
    this.space.style.setProperty("height", `${this.height}px`);
    this.node.setAttribute("aria-rowcount", String(count + 1));
    this.draw();
  }

  clear() {
    for (const at of [...this.chunks.keys()]) this.drop(at);
    this.draw();
  }

  drop(at) {
    this.chunks.get(at)?.abort.abort();
    this.chunks.delete(at);
  }

  goTo(at) {
    this.active = Math.max(0, Math.min(at, this.count - 1));
    this.top = Math.min(this.active * this.rowHeight, this.most());
    this.settle();
    this.draw();
  }

  /** The pixels that rows have to themselves. */
  view() {
    return Math.max(0, this.node.clientHeight - this.head.offsetHeight);
  }

  most() {
    return Math.max(0, this.whole - this.view());
  }

  scrolled() {
    const is = this.node.scrollTop;
    const moved = is - (this.last ?? 0);
    this.last = is;
    const room = Math.max(1, this.height - this.view());
    if (this.height === this.whole) this.top = is;
    else if (Math.abs(moved) > 2 * this.view()) this.top = (is / room) * this.most();
    else this.top = Math.max(0, Math.min(this.top + moved, this.most()));
    const nearEnd = is < this.view() || is > room - this.view();
    if (this.height !== this.whole && nearEnd) this.settle();
    this.draw();
  }

  /** Put the bar where it belongs for the rows in sight. */
  settle() {
    const room = this.height - this.view();
    const most = this.most();
    this.last = Math.round(most ? (this.top / most) * room : 0);
    this.node.scrollTop = this.last;
    this.last = this.node.scrollTop;
  }

  pressed(event) {
    const page = Math.max(1, Math.floor(this.view() / this.rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const ends = { Home: -this.count, End: this.count };
    const step = steps[event.key] ?? ends[event.key];
    if (event.target !== this.node || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" && this.onRow) {
      const row = this.row(this.active);
      if (row !== undefined) this.onRow(row, this.active);
    } else if (step === undefined) {
      return;
    } else {
      this.active = Math.max(0, Math.min(this.active + step, this.count - 1));
      const place = this.active * this.rowHeight;
      if (place < this.top) this.top = place;
      else if (place + this.rowHeight > this.top + this.view()) {
        this.top = place + this.rowHeight - this.view();
      }
      this.settle();
      this.draw();
    }
    event.preventDefault();
  }

  row(at) {
    return this.chunks.get(Math.floor(at / this.chunk))?.rows?.[at % this.chunk];
  }

  draw() {
    if (!this.node.isConnected) return;
    const first = Math.max(0, Math.floor(this.top / this.rowHeight) - SPARE);
    const last = Math.min(this.count, Math.ceil((this.top + this.view()) / this.rowHeight) + SPARE);
    const shift = first * this.rowHeight - this.top + this.node.scrollTop;
    this.rows.style.setProperty("transform", `translateY(${shift}px)`);
    const lines = [];
    for (let at = first; at < last; at += 1) lines.push(this.line(at));
    fill(this.rows, lines);
    this.node.setAttribute("aria-activedescendant", `${this.id()}-${this.active}`);
    this.fetch(Math.floor(first / this.chunk), Math.floor(Math.max(first, last - 1) / this.chunk));
  }

  id() {
    this.name ??= `grid${Math.floor(performance.now() * 1000)}`;
    return this.name;
  }

  line(at) {
    const row = this.row(at);
    const classes = ["grid-row"];
    if (at === this.active) classes.push("grid-active");
    if (row === undefined) classes.push("grid-waits");
    const click = () => {
      this.active = at;
      this.draw();
      if (this.onRow && row !== undefined) this.onRow(row, at);
    };
    return h(
      "div",
      {
        class: classes.join(" "),
        role: "row",
        id: `${this.id()}-${at}`,
        "aria-rowindex": String(at + 2),
        "aria-selected": at === this.active ? "true" : "false",
        on: { click },
      },
      this.columns.map((one) =>
        h("div", { role: "gridcell", class: cellClass(one) }, row === undefined ? "" : one.cell(row, at)),
      ),
    );
  }

  /** Have these pages; those out of sight are no longer waited for. */
  fetch(first, last) {
    for (const [at, chunk] of this.chunks) {
      if (!chunk.rows && (at < first || at > last)) this.drop(at);
    }
    for (let at = first; at <= last && at * this.chunk < this.count; at += 1) {
      if (!this.chunks.has(at)) this.ask(at);
    }
    for (const at of this.chunks.keys()) {
      if (this.chunks.size <= KEPT) break;
      if (at < first || at > last) this.drop(at);
    }
  }

  async ask(at) {
    const chunk = { abort: new AbortController() };
    this.chunks.set(at, chunk);
    try {
      chunk.rows = await this.fetchPage(at * this.chunk, this.chunk, chunk.abort.signal);
      if (this.chunks.get(at) === chunk) this.draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      chunk.rows = [];
      this.onError?.(error);
    }
  }
}

/** The class of a column's cells. */
export function cellClass({ kind }) {
  return kind ? `cell-${kind}` : null;
}
