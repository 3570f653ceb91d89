/** The items of a dataset: as a table of any length, or as JSON in pages. */

import { copyButton, failed } from "./dialog.js";
import { button, counted, fill, h, icon, number } from "./dom.js";
import { isNumeric, own, valueCell, widthOf } from "./cells.js";
import { exportDialog } from "./export.js";
import { askColumns } from "./fields.js";
import { waiting } from "./frame.js";
import { jsonPage, openItem } from "./item.js";
import { nameOf } from "./nouns.js";
import { Source, fieldsOf, viewsOf } from "./source.js";
import { pager, table, virtual } from "./table.js";

export const tab = { id: "items", title: "Items" };

const JSON_ITEMS = 25;
const TABLE_ITEMS = 50;
const CHUNK = 100;
const FIRST_COLUMNS = 30;

const chosen = new Map(); // dataset ID -> what was chosen there last, while the console is open

/** Show the tab. */
export async function render(target, context) {
  const { storage } = context;
  const state = chosen.get(storage.id) ?? { mode: "table", view: "", clean: false, desc: false };
  chosen.set(storage.id, state);
  const screen = { context, state, views: viewsOf(storage.schema), body: h("div", { class: "tab-panel" }) };
  if (!screen.views.some((one) => one.id === state.view)) state.view = "";
  screen.news = h("button", {
    type: "button",
    class: "button button-small",
    hidden: true,
    on: { click: () => show(screen).catch(failed) },
  });
  screen.bar = h("div", { class: "toolbar" });
  fill(target, screen.bar, screen.body);
  context.onChange((now) => grown(screen, now));
  await show(screen);
}

function change(screen, changes) {
  Object.assign(screen.state, changes);
  show(screen).catch(failed);
}

async function show(screen) {
  const { context, state, body } = screen;
  const { storage, path, signal } = context;
  screen.fetching?.abort();
  screen.fetching = new AbortController();
  screen.grid = null;
  screen.news.hidden = true;
  screen.source = new Source({ path, storage, ...state });
  const mine = AbortSignal.any([signal, screen.fetching.signal]);
  if (!storage.itemCount) {
    fill(screen.bar);
    return fill(body, empty(storage));
  }
  const first = screen.source.atOnce(CHUNK);
  if (!body.firstChild) fill(body, waiting());
  screen.first = await screen.source.rows(0, first, { signal: mine });
  const view = screen.views.find((one) => one.id === state.view);
  screen.fields = known(screen, view);
  screen.columns = state.columns?.[state.view] ?? screen.fields.slice(0, FIRST_COLUMNS);
  const had = screen.bar.contains(document.activeElement) ? document.activeElement.id : null;
  fill(screen.bar, tools(screen));
  if (had) document.getElementById(had)?.focus();
  if (state.mode === "json") await pages(screen, mine, 0, JSON_ITEMS, jsonPage);
  else if (view?.unwinds) await pages(screen, mine, 0, TABLE_ITEMS, tablePage);
  else rows(screen, view);
  return undefined;
}

/** The fields that columns can be made of. */
function known({ context, state, first }, view) {
  const all = view?.fields.length && !view.unwinds ? view.fields : fieldsOf(first);
  const more = view ? [] : (context.storage.fields ?? []);
  const names = [...new Set([...all, ...more])];
  return state.clean ? names.filter((one) => !one.startsWith("#")) : names;
}

function tools(screen) {
  const { state, views } = screen;
  const mode = (id, words) =>
    h(
      "label",
      h("input", {
        type: "radio",
        name: "mode",
        id: `mode-${id}`,
        checked: state.mode === id,
        on: { change: () => change(screen, { mode: id }) },
      }),
      words,
    );
  const flag = (id, words, title) => {
    const input = h("input", {
      type: "checkbox",
      role: "switch",
      id: `flag-${id}`,
      checked: state[id],
      on: { change: () => change(screen, { [id]: input.checked }) },
    });
    return h("label", { class: "switch", title }, input, words);
  };
  const clean = "Without hidden fields, whose names begin with #";
  return [
    h(
      "fieldset",
      { class: "segmented" },
      h("legend", { class: "offscreen" }, "Show as"),
      mode("table", "Table"),
      mode("json", "JSON"),
    ),
    views.length ? viewChoice(screen) : null,
    flag("clean", "Clean", clean),
    flag("desc", "Newest first"),
    screen.news,
    h(
      "div",
      { class: "toolbar-end" },
      state.mode === "table" ? columnsButton(screen) : null,
      goToField(screen),
      button("download", "Export", () => exported(screen), "button-primary"),
    ),
  ];
}

function viewChoice(screen) {
  const { state, views } = screen;
  const select = h(
    "select",
    {
      class: "select",
      id: "view",
      value: state.view,
      "aria-label": "View",
      on: { change: () => change(screen, { view: select.value }) },
    },
    h("option", { value: "" }, "All fields"),
    views.map((one) => h("option", { value: one.id }, one.title)),
  );
  return h("div", select);
}

function columnsButton(screen) {
  const { state, fields, columns } = screen;
  const choose = async () => {
    const found = await askColumns(fields, columns);
    if (found) change(screen, { columns: { ...state.columns, [state.view]: found } });
  };
  const words = columns.length < fields.length ? `${columns.length} of ${fields.length}` : "";
  return h(
    "button",
    { type: "button", class: "button", id: "columns", on: { click: choose } },
    icon("columns"),
    "Columns",
    words ? h("span", { class: "quiet" }, words) : null,
  );
}

function goToField(screen) {
  const { source } = screen;
  const submit = (event) => {
    event.preventDefault();
    const wanted = Math.max(1, Math.min(Number(input.value) || 1, source.count));
    screen.goTo?.(source.placeOf(wanted));
  };
  const input = h("input", {
    class: "input input-number",
    type: "number",
    id: "go-to",
    min: "1",
    max: String(source.count),
    placeholder: "Item no.",
    "aria-label": "Go to item number",
  });
  return h("form", { class: "go-to", on: { submit } }, input);
}

function exported({ context, state, views, columns, fields }) {
  const some = columns.length < fields.length && state.mode === "table" ? columns : [];
  exportDialog(context, { ...state, views, fields, columns: some }).catch(failed);
}

/** The table of all items, of which those in sight are fetched. */
function rows(screen, view) {
  const { source, columns, body, first } = screen;
  const columnOf = (name) => {
    const title = String(view?.labels[name]?.label ?? name) || "(no name)";
    return {
      title,
      kind: isNumeric(first, name) ? "number" : undefined,
      cell: (row) => valueCell(own(row, name)),
      width: widthOf(first, name, title),
    };
  };
  const digits = Math.max(3, number(source.count).length);
  const place = {
    title: "No.",
    kind: "number",
    width: `calc(${digits}ch + 24px)`,
    cell: (row, at) => h("span", { class: "quiet" }, number(source.numberOf(at))),
  };
  let begin = first; // the page that told which columns there are is not asked for again
  screen.grid = virtual({
    caption: "Items",
    columns: [place, ...columns.map(columnOf)],
    count: source.count,
    chunk: source.atOnce(CHUNK),
    fetchPage: async (offset, limit, signal) => {
      if (offset === 0 && begin) {
        const found = begin;
        begin = null;
        return found;
      }
      const fields = screen.state.view ? [] : columns;
      return source.rows(offset, limit, { fields, signal });
    },
    onRow: (row, at) => openItem(screen, at),
    onError: failed,
  });
  screen.goTo = (at) => screen.grid.goTo(at);
  fill(body, screen.grid.node, h("p", { class: "quiet under" }, under(source)));
  screen.grid.draw();
}

function under(source) {
  return `${counted(source.count, "item")}. A click, or Enter on a row, shows all of it.`;
}

/** Items in pages. */
async function pages(screen, signal, offset, most, draw) {
  const { source, body } = screen;
  const limit = source.atOnce(most);
  const lines = await source.lines(offset, limit, { signal });
  const go = (there) => pages(screen, signal, there, most, draw).catch(failed);
  screen.goTo = (at) => go(Math.floor(at / limit) * limit);
  screen.offset = offset;
  const way = () => pager({ offset, limit, total: source.count, noun: "items", onPage: go });
  fill(body, draw(screen, lines, offset), way());
}

function tablePage(screen, lines) {
  const found = lines.map((line) => JSON.parse(line));
  const { columns, views, state } = screen;
  const labels = views.find((one) => one.id === state.view).labels;
  return table({
    caption: "Items",
    rows: found,
    columns: columns.map((name) => ({
      title: String(labels[name]?.label ?? name) || "(no name)",
      cell: (row) => h("div", { class: "cell-value" }, valueCell(own(row, name))),
    })),
  });
}

/** More items have come: shown at once at the end; before the others on request. */
function grown(screen, now) {
  const { source, state, news } = screen;
  const more = now.itemCount - source.count;
  if (more === 0) return;
  if (!source.count || more < 0) return void show(screen).catch(failed);
  if (screen.grid && !state.desc) {
    source.count = now.itemCount;
    screen.grid.grow(source.count);
    screen.body.querySelector(".under")?.replaceChildren(under(source));
    return;
  }
  news.hidden = false;
  fill(news, icon("refresh"), `${counted(more, "new item")}`);
}

function empty(storage) {
  const name = nameOf(storage) ?? storage.id;
  const command = `storectl dataset push ${name} items.jsonl`;
  return h(
    "div",
    { class: "empty" },
    icon("dataset"),
    h("h2", "No items yet"),
    h("p", "They show up here as they come. From a shell:"),
    h("p", { class: "copyline" }, h("code", command), copyButton(command, "Copy the command")),
  );
}
