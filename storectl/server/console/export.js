/** Export: items in a format, written to disk by the browser as they come. */

import { address, call } from "./api.js";
import { copyButton, open, toast } from "./dialog.js";
import { fill, h } from "./dom.js";
import { canBeAsked, fieldBoxes } from "./fields.js";
import { nameOf } from "./nouns.js";

const LINK_SECS = 600;
const FORMATS = [
  ["json", "JSON", "one list of items"],
  ["jsonl", "JSONL", "one item a line"],
  ["csv", "CSV", "comma-separated values"],
  ["xlsx", "Excel", "a workbook"],
  ["xml", "XML", "elements"],
  ["html", "HTML", "a table"],
  ["rss", "RSS", "a feed"],
];
const LISTS = {
  omit: ["Leave out fields", "Names, joined by commas."],
  unwind: ["Unwind fields", "An item for each element of a list."],
  flatten: ["Flatten fields", "Objects become fields such as a.b."],
};

/**
 * Ask what to export, and have the browser download it.
 * @param {object} context of the tab
 * @param {{view: string, clean: boolean, desc: boolean, views: object[], fields: string[],
 *   columns: string[]}} given columns: those chosen in the table, none for all
 */
export async function exportDialog(context, given) {
  const form = new Form(context, given);
  await open({
    title: "Export items",
    wide: true,
    content: form.node,
    actions: [{ label: "Download", kind: "primary", run: () => download(context, form) }],
  });
}

/** The fields of the dialog and the query they mean. */
class Form {
  constructor(context, { view, clean, desc, views, fields, columns }) {
    this.path = `${context.path}/items`;
    this.inputs = {};
    this.boxes = fields.length ? fieldBoxes(fields, columns) : null;
    this.place = h("code", { class: "wrap" });
    this.options = h("div", { class: "columns-2" });
    this.node = h(
      "div",
      { class: "export", on: { input: () => this.changed(), change: () => this.changed(), click: () => this.changed() } },
      this.formats(),
      h(
        "div",
        { class: "columns-2" },
        this.number("offset", "Start after", "0", "items"),
        this.number("limit", "At most", "all items", "items"),
      ),
      h(
        "div",
        { class: "choices" },
        this.flag("clean", "Clean: no hidden fields, no empty items", clean),
        this.flag("desc", "Newest first", desc),
      ),
      views.length ? this.views(views, view) : null,
      this.boxes ? this.chosenFields(columns) : null,
      this.more(),
      h(
        "div",
        { class: "field" },
        h("span", { class: "label" }, "Address"),
        h("div", { class: "copyline" }, this.place, copyButton(() => this.place.textContent, "Copy the address")),
      ),
    );
    this.changed();
  }

  formats() {
    const one = ([id, name, hint]) =>
      h(
        "label",
        { class: "format" },
        h("input", { type: "radio", name: "format", value: id, checked: id === "json" }),
        h("span", { class: "strong" }, name),
        h("span", { class: "hint" }, hint),
      );
    this.kinds = h(
      "fieldset",
      { class: "formats" },
      h("legend", "Format"),
      FORMATS.map(one),
    );
    return this.kinds;
  }

  input(name, label, props, hint) {
    const id = `export-${name}`;
    this.inputs[name] = h("input", { class: "input", id, autocomplete: "off", spellcheck: "false", ...props });
    return h(
      "div",
      { class: "field" },
      h("label", { for: id }, label),
      this.inputs[name],
      hint ? h("p", { class: "hint" }, hint) : null,
    );
  }

  number(name, label, placeholder) {
    return this.input(name, label, { type: "number", min: "0", placeholder });
  }

  flag(name, label, checked) {
    this.inputs[name] = h("input", { type: "checkbox", checked, value: "1" });
    return h("label", { class: "choice" }, this.inputs[name], label);
  }

  views(views, view) {
    const id = "export-view";
    this.inputs.view = h(
      "select",
      { class: "select", id, value: view },
      h("option", { value: "" }, "No view: all fields"),
      views.map((one) => h("option", { value: one.id }, one.title)),
    );
    return h("div", { class: "field" }, h("label", { for: id }, "View"), this.inputs.view);
  }

  chosenFields(columns) {
    return h(
      "details",
      { class: "more", open: columns.length > 0 },
      h("summary", "Fields"),
      h("p", { class: "hint" }, "None ticked: all fields, in the order of each item."),
      this.boxes.node,
    );
  }

  more() {
    const lists = Object.entries(LISTS).map(([name, [label, hint]]) => this.input(name, label, {}, hint));
    return h("details", { class: "more" }, h("summary", "More options"), h("div", { class: "columns-2" }, lists, this.specials()));
  }

  /** What only some formats have; the others' are hidden. */
  specials() {
    const only = (formats, node) => {
      node.dataset.formats = formats;
      return node;
    };
    return [
      only("csv", this.input("delimiter", "Delimiter", { placeholder: ",", maxlength: "1" })),
      only("csv", this.flag("skipHeaderRow", "No header row", false)),
      only("xml", this.input("xmlRoot", "Root element", { placeholder: "items" })),
      only("xml", this.input("xmlRow", "Element of an item", { placeholder: "item" })),
      only("rss", this.input("feedTitle", "Title of the feed", {})),
      only("rss", this.input("feedDescription", "Its description", {})),
    ];
  }

  get format() {
    return this.kinds.querySelector(":checked").value;
  }

  /** The query of GET items; throws where a field cannot be asked for. */
  query() {
    const found = { format: this.format };
    for (const [name, input] of Object.entries(this.inputs)) {
      const special = input.closest("[data-formats]");
      if (special && special.dataset.formats !== this.format) continue;
      found[name] = input.type === "checkbox" ? input.checked : input.value.trim() || undefined;
    }
    const fields = this.boxes?.chosen() ?? [];
    if (!canBeAsked(fields)) throw new Error("These fields cannot stand in an address: too many, or with a comma.");
    return fields.length ? { ...found, fields } : found;
  }

  changed() {
    for (const one of this.node.querySelectorAll("[data-formats]")) {
      one.hidden = one.dataset.formats !== this.format;
    }
    try {
      fill(this.place, address(this.path, this.query()));
    } catch (error) {
      fill(this.place, error.message);
    }
  }
}

/**
 * Nothing of the export is held here: the browser writes what comes to the disk. It sends no
 * token, so the address is signed, for ten minutes, unless anybody may read the items.
 */
async function download({ path, storage }, form) {
  const query = form.query();
  const { format, ...shape } = query;
  await call("GET", form.path, { query: { ...shape, format: "json", limit: 1 } }); // or why it cannot be
  const signature = await signed(path, storage);
  const name = `${nameOf(storage) ?? storage.id}.${format}`;
  const link = h("a", { href: address(form.path, { ...query, signature }), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  toast(`${name} is being downloaded`, { kind: "good" });
}

/** A signature that opens the items; none where they are open. */
async function signed(path, storage) {
  const given = new URL(storage.itemsPublicUrl, document.baseURI).searchParams.get("signature");
  if (!given) return undefined;
  try {
    return (await call("POST", `${path}/links`, { json: { secs: LINK_SECS } })).signature;
  } catch (error) {
    if (error.status !== 403 && error.status !== 404) throw error;
    return given; // whoever may not make links has that one, which every reader is given
  }
}
