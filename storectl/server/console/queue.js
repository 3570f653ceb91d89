/** The requests of a queue: by state or in order, opened, added, retried, unlocked, deleted. */

import { add } from "./addition.js";
import { confirmTyped, failed, open as ask, toast } from "./dialog.js";
import { button, counted, fill, h, icon, number } from "./dom.js";
import { mayWrite } from "./nouns.js";
import { open } from "./request.js";
import {
  MOST_SOUGHT,
  VIEWS,
  listed,
  remove,
  retry,
  retryFailed,
  since,
  stateBadge,
  stateOf,
  unlock,
} from "./requests.js";
import { choice, cursorPager, pooled, refill, remember } from "./rows.js";
import { table } from "./table.js";

export const tab = { id: "requests", title: "Requests" };

const ON_A_PAGE = 50;
const AGAIN_SECS = 2;
const LONGEST = 160; // characters of an error in the list

export async function render(target, context) {
  return new Requests(target, context).start();
}

class Requests {
  constructor(target, context) {
    Object.assign(this, { target, context, path: context.path });
    this.writes = mayWrite(context.storage);
    this.view = Object.keys(VIEWS).find((id) => id === context.query.get("view")) ?? "all";
    this.starts = [null]; // what leads to each page up to the one that is shown
    this.firsts = [0]; // how many requests are before each
    this.shown = "";
    this.asked = 0;
    this.quick = true; // whether the page is had by one call
    this.chosen = choice(
      "request",
      ({ id }) => id,
      () => this.bulk(),
      ({ url }) => url,
    );
    this.counts = h("div", { class: "queue-counts" });
    this.list = h("div");
    this.pages = h("div");
    this.again = button("refresh", "Retry all failed", () => this.retryFailed());
    this.again.hidden = true;
  }

  async start() {
    this.count(this.context.storage);
    this.target.replaceChildren(
      this.counts,
      this.tools(),
      this.chosen.bar,
      this.list,
      h("div", { class: "rows-foot" }, this.chosen.every, this.pages),
    );
    await this.load();
    this.context.onChange((storage) => this.count(storage));
    this.context.live(() => this.quick && this.load({ quietly: true }), AGAIN_SECS);
  }

  tools() {
    const views = Object.entries(VIEWS).map(([id, { title }]) =>
      h(
        "label",
        h("input", {
          type: "radio",
          name: "view",
          value: id,
          checked: id === this.view,
          on: { change: () => this.see(id) },
        }),
        title,
      ),
    );
    const create = {
      type: "button",
      class: "button button-primary",
      on: { click: () => this.add() },
    };
    return h(
      "div",
      { class: "toolbar" },
      h(
        "div",
        { class: "segmented queue-views", role: "radiogroup", "aria-label": "Which requests" },
        views,
      ),
      h(
        "div",
        { class: "toolbar-end" },
        this.again,
        this.writes && h("button", create, icon("plus"), "Add request"),
      ),
    );
  }

  see(view) {
    this.view = view;
    remember("view", view === "all" ? "" : view);
    this.starts = [null];
    this.firsts = [0];
    this.again.hidden = true;
    this.shown = "";
    fill(this.pages); // they lead on in the view that is left
    this.load();
  }

  /** How far a crawl is. */
  count({ totalRequestCount: total, handledRequestCount: handled }) {
    const percent = total ? Math.floor((100 * handled) / total) : 0;
    const words = `${number(handled)} of ${number(total)} handled`;
    this.counts.hidden = !total;
    if (this.told === words) return;
    this.told = words;
    const bar = { class: "progress", max: String(total || 1), value: handled, "aria-label": words };
    fill(this.counts, h("progress", bar), h("span", { class: "quiet" }, `${words} (${percent} %)`));
  }

  /** quietly: nothing is told of a failure, and nothing drawn if nothing has changed. */
  async load({ quietly = false } = {}) {
    const asked = (this.asked += 1);
    const given = { after: this.starts.at(-1), limit: ON_A_PAGE, signal: this.context.signal };
    try {
      const page = await listed(this.path, this.view, given);
      if (asked === this.asked) this.show(page);
    } catch (error) {
      if (!quietly) failed(error);
    }
  }

  show(page) {
    if (!page.items.length && !page.unsure && this.starts.length > 1) {
      this.turn(-1); // all of this page are in another state by now
      return;
    }
    this.quick = page.calls === 1;
    const told = JSON.stringify([page, this.view, this.starts.length]);
    if (told === this.shown) return;
    this.shown = told;
    this.items = page.items;
    this.again.hidden = this.view !== "failed" || !page.items.length || !this.writes;
    this.chosen.show(page.items);
    this.chosen.every.hidden = !page.items.length || !this.writes;
    refill(this.list, this.table(page));
    refill(
      this.pages,
      cursorPager({
        first: this.firsts.at(-1),
        count: page.items.length,
        noun: page.items.length === 1 ? "request" : "requests",
        back: this.starts.length > 1 && (() => this.turn(-1)),
        on: page.next !== null && (() => this.turn(1, page)),
      }),
    );
  }

  turn(by, page) {
    if (by < 0) {
      this.starts.pop();
      this.firsts.pop();
    } else {
      this.starts.push(page.next);
      this.firsts.push(this.firsts.at(-1) + page.items.length);
    }
    this.load();
  }

  table({ items, unsure }) {
    const columns = [
      ...(this.writes ? [this.chosen.column] : []),
      { title: "URL", kind: "main", cell: (request) => this.name(request) },
      { title: "State", cell: (request) => stateBadge(stateOf(request)) },
      { title: "Retries", kind: "number", cell: (request) => number(request.retryCount) },
      { title: "When", cell: (request) => since(request) },
    ];
    const onRow = (request) => this.open(request);
    return table({ columns, rows: items, caption: "Requests", onRow, empty: this.empty(unsure) });
  }

  name(request) {
    const { id, url, method = "GET", errorMessages } = request;
    const error = errorMessages?.at(-1);
    return [
      method !== "GET" && h("span", { class: "badge" }, method),
      method !== "GET" && " ",
      h(
        "button",
        {
          type: "button",
          class: "row-link mono",
          dataset: { focus: `open-${id}` },
          on: { click: () => this.open(request) },
        },
        url,
      ),
      error && h("div", { class: "row-error" }, error.slice(0, LONGEST)),
    ];
  }

  empty(unsure) {
    if (unsure) {
      return h(
        "p",
        `None among ${counted(MOST_SOUGHT, "request")}; there are more on the next page.`,
      );
    }
    const words = h("h2", VIEWS[this.view].empty);
    return this.view === "all" && this.writes
      ? [words, h("p", "Add one here, or many with storectl queue add.")]
      : words;
  }

  bulk() {
    const states = new Set(this.chosen.rows().map(stateOf));
    return [
      (states.has("handled") || states.has("failed")) &&
        button("refresh", "Retry", () => this.each(retry, "is pending again", "are pending again")),
      states.has("locked") &&
        button("lock", "Unlock", () => this.each(unlock, "is unlocked", "are unlocked")),
      button("trash", "Delete", () => this.remove(), "button-danger"),
    ];
  }

  async each(work, one, many) {
    const did = [];
    const failures = await pooled(this.chosen.rows(), async (request) => {
      if (stateOf(request) !== "pending" && (await work(this.path, request))) did.push(request);
    });
    this.chosen.none();
    toast(`${counted(did.length, "request")} ${did.length === 1 ? one : many}`, { kind: "good" });
    if (failures.length) failed(failures[0].error);
    this.load();
  }

  async remove() {
    const rows = this.chosen.rows();
    const what = counted(rows.length, "request");
    const sure = await confirmTyped({
      title: `Delete ${what}?`,
      text: "They are deleted for good, also those on other pages.",
      word: "delete",
      action: `Delete ${what}`,
      run: () => remove(this.path, rows),
    });
    if (!sure) return;
    this.chosen.none();
    toast(`${what} deleted`, { kind: "good" });
    this.load();
  }

  async retryFailed() {
    const sure = await ask({
      title: "Retry all failed requests?",
      content: h(
        "p",
        "All that were handled without success are pending again, as if nobody had visited them.",
      ),
      actions: [{ label: "Retry all failed", kind: "primary", run: () => retryFailed(this.path) }],
    });
    if (sure === null) return;
    toast(`${counted(sure.count, "request")} retried`, { kind: "good" });
    this.load();
  }

  open(request) {
    open(this.context, this.items, this.items.indexOf(request), () => this.load());
  }

  async add() {
    const added = await add(this.path);
    if (!added) return;
    const there = added.wasAlreadyPresent;
    toast(there ? "The request is in the queue already" : "The request is added", {
      kind: there ? "" : "good",
    });
    this.load();
  }
}
