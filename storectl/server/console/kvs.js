/** The records of a key-value store: page by page, uploaded, opened, downloaded, deleted. */

import { address, call } from "./api.js";
import { confirmTyped, failed, toast } from "./dialog.js";
import { button, bytes, counted, h, icon } from "./dom.js";
import { takeDrops } from "./drop.js";
import { edit } from "./editor.js";
import { mayWrite } from "./nouns.js";
import { open } from "./record.js";
import { downloadOf, essence, pathOf } from "./records.js";
import { choice, cursorPager, pooled, refill, remember } from "./rows.js";
import { table } from "./table.js";
import { underway, upload } from "./upload.js";

export const tab = { id: "records", title: "Records" };

const ON_A_PAGE = 100;
const AGAIN_SECS = 2;
const TYPING_MS = 200;

export async function render(target, context) {
  return new Records(target, context).start();
}

class Records {
  constructor(target, context) {
    Object.assign(this, { target, context, path: context.path });
    this.writes = mayWrite(context.storage);
    this.prefix = context.query.get("prefix") ?? "";
    this.starts = [null]; // the key before each page up to the one that is shown
    this.shown = "";
    this.asked = 0;
    this.chosen = choice(
      "record",
      ({ key }) => key,
      () => [
        button("trash", "Delete", () => this.remove(), "button-danger"),
      ],
    );
    this.list = h("div");
    this.pages = h("div");
    this.panel = h("div", { class: "records-panel" }, underway(this.path));
  }

  async start() {
    this.node = h(
      "div",
      { class: "records" },
      this.tools(),
      this.panel,
      this.chosen.bar,
      this.list,
      h("div", { class: "rows-foot" }, this.chosen.every, this.pages),
      h(
        "div",
        { class: "drop-here", "aria-hidden": "true" },
        icon("upload"),
        "Drop the files to upload them",
      ),
    );
    if (this.writes) takeDrops(this.node, (files) => this.upload(files));
    this.target.replaceChildren(this.node);
    await this.load();
    this.context.live(() => this.load({ quietly: true }), AGAIN_SECS);
  }

  tools() {
    const picker = h("input", {
      type: "file",
      multiple: true,
      hidden: true,
      on: {
        change: () => {
          this.upload([...picker.files]);
          picker.value = "";
        },
      },
    });
    const search = h("input", {
      class: "input",
      type: "search",
      placeholder: "Keys that start with…",
      "aria-label": "Keys that start with",
      value: this.prefix,
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.typed(search.value.trim()) },
    });
    this.zip = h("a", { class: "button", download: "" }, icon("download"), h("span"));
    return h(
      "div",
      { class: "toolbar" },
      h("div", { class: "search" }, icon("search"), search),
      h(
        "div",
        { class: "toolbar-end" },
        this.zip,
        this.writes && [
          button("plus", "New record", () => this.write()),
          picker,
          button("upload", "Upload", () => picker.click(), "button-primary"),
        ],
      ),
    );
  }

  typed(prefix) {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => {
      this.prefix = prefix;
      remember("prefix", prefix);
      this.starts = [null];
      this.shown = "";
      this.pages.replaceChildren();
      this.load();
    }, TYPING_MS);
  }

  /** quietly: nothing is told of a failure, and nothing drawn if nothing has changed. */
  async load({ quietly = false } = {}) {
    const asked = (this.asked += 1);
    const query = { limit: ON_A_PAGE, prefix: this.prefix, exclusiveStartKey: this.starts.at(-1) };
    try {
      const page = await call("GET", `${this.path}/keys`, { query, signal: this.context.signal });
      if (asked === this.asked) this.show(page);
    } catch (error) {
      if (!quietly) failed(error);
    }
  }

  show(page) {
    if (!page.items.length && this.starts.length > 1) {
      this.starts.pop(); // all of this page was deleted
      this.load();
      return;
    }
    const told = JSON.stringify([page, this.prefix, this.starts.length]);
    if (told === this.shown) return;
    this.shown = told;
    this.items = page.items;
    this.chosen.show(page.items);
    this.chosen.every.hidden = !page.items.length || !this.writes;
    this.pack();
    refill(this.list, this.table(page.items));
    refill(this.pages, this.pager(page));
  }

  /** The address of the ZIP file, signed: a browser that downloads sends no token. */
  pack() {
    const { searchParams } = new URL(this.context.storage.recordsPublicUrl);
    const query = { signature: searchParams.get("signature"), prefix: this.prefix };
    this.zip.hidden = !this.items.length;
    this.zip.href = address(`${this.path}/records`, query);
    this.zip.lastChild.textContent = this.prefix ? "Download these" : "Download all";
  }

  table(items) {
    const columns = [
      ...(this.writes ? [this.chosen.column] : []),
      {
        title: "Key",
        kind: "main",
        cell: (item) =>
          h(
            "button",
            {
              type: "button",
              class: "row-link mono",
              dataset: { focus: `open-${item.key}` },
              on: { click: () => this.open(item) },
            },
            item.key,
          ),
      },
      {
        title: "Type",
        cell: (item) => h("span", { class: "quiet" }, essence(item.contentType) || "–"),
      },
      { title: "Size", kind: "number", cell: (item) => bytes(item.size) },
      {
        title: "",
        kind: "actions",
        cell: (item) =>
          h(
            "a",
            {
              class: "button button-quiet button-icon button-small",
              href: downloadOf(this.path, item),
              download: item.key,
              "aria-label": `Download ${item.key}`,
              title: "Download",
              dataset: { focus: `download-${item.key}` },
            },
            icon("download"),
          ),
      },
    ];
    const onRow = (item) => this.open(item);
    return table({ columns, rows: items, caption: "Records", onRow, empty: this.empty() });
  }

  empty() {
    if (this.prefix) return h("p", "No key starts with ", h("code", this.prefix), ".");
    return [
      h("h2", "No records yet"),
      this.writes && h("p", "Drop files here, upload them, or write a record by hand."),
    ];
  }

  pager({ items, isTruncated, nextExclusiveStartKey: next }) {
    const turn = (change) => () => {
      change();
      this.load();
    };
    return cursorPager({
      first: (this.starts.length - 1) * ON_A_PAGE,
      count: items.length,
      noun: items.length === 1 ? "record" : "records",
      back: this.starts.length > 1 && turn(() => this.starts.pop()),
      on: isTruncated && turn(() => this.starts.push(next)),
    });
  }

  open(item) {
    open(this.context, this.items, this.items.indexOf(item), () => this.load());
  }

  async write() {
    const saved = await edit(this.path);
    if (!saved) return;
    toast(`Record ${saved.key} is saved`, { kind: "good" });
    this.load();
  }

  async upload(files) {
    if (!files.length) return;
    await upload(this.path, files, (panel) => this.panel.replaceChildren(panel));
    this.load();
  }

  async remove() {
    const rows = this.chosen.rows();
    const one = rows.length === 1;
    const what = counted(rows.length, "record");
    const sure = await confirmTyped({
      title: `Delete ${what}?`,
      text: one
        ? `Record ${rows[0].key} is deleted for good.`
        : `These ${what} are deleted for good, also those on other pages.`,
      word: one ? rows[0].key : "delete",
      action: `Delete ${what}`,
    });
    if (!sure) return;
    const failures = await pooled(rows, async (row) => {
      await call("DELETE", pathOf(this.path, row.key));
      this.chosen.drop(row);
    });
    const gone = rows.length - failures.length;
    if (gone) toast(`${counted(gone, "record")} deleted`, { kind: "good" });
    if (failures.length) failed(failures[0].error);
    this.load();
  }
}
