/** The storages of a kind: searched, sorted, in pages, new ones made. */

import { call, mayCreate } from "./api.js";
import { ask, failed } from "./dialog.js";
import { ago, bytes, fill, h, icon, number } from "./dom.js";
import { broken, waiting } from "./frame.js";
import { called, nameOf, retention, screen } from "./nouns.js";
import { pager, table } from "./table.js";

const ROWS = 50;
const AT_ONCE = 1000;
const MOST = 20_000;
const LIVE_SECS = 5;
const BY_TIME = "createdAt";
const TYPED_MS = 200;

/** Show the list. */
export async function render(target, context) {
  const { kind } = context;
  const state = stateOf(context.query);
  context.title(kind.title);
  const creates = await mayCreate(kind);
  const view = { context, kind, state, creates, body: h("div", { class: "tab-panel" }) };
  const create = creates ? maker(view, "button-primary") : noMaker(kind);
  const head = h("div", { class: "page-head" }, h("h1", kind.title), h("div", { class: "page-actions" }, create));
  fill(target, head, toolbar(view), view.body);
  context.live(() => show(view, { quietly: true }), LIVE_SECS);
  await show(view);
}

function stateOf(query) {
  const sort = query.get("sort") ?? `-${BY_TIME}`;
  return {
    search: query.get("search") ?? "",
    unnamed: query.get("unnamed") === "1",
    owner: query.get("owner") ?? "",
    sort: { id: sort.replace(/^-/, ""), desc: sort.startsWith("-") },
    offset: (Math.max(1, Number(query.get("page")) || 1) - 1) * ROWS,
  };
}

/** Keep the state in the address, so that a reload or a bookmark shows the same. */
function keep({ kind, state }) {
  const query = new URLSearchParams();
  const sort = `${state.sort.desc ? "-" : ""}${state.sort.id}`;
  if (state.search) query.set("search", state.search);
  if (state.unnamed) query.set("unnamed", "1");
  if (state.owner) query.set("owner", state.owner);
  if (sort !== `-${BY_TIME}`) query.set("sort", sort);
  if (state.offset) query.set("page", String(state.offset / ROWS + 1));
  const text = query.toString();
  history.replaceState(null, "", `#/${kind.route}${text && `?${text}`}`);
}

function change(view, changes) {
  Object.assign(view.state, { offset: 0 }, changes);
  keep(view);
  show(view).catch(failed);
}

function toolbar(view) {
  const { state, kind } = view;
  let timer = 0;
  const search = h("input", {
    class: "input",
    type: "search",
    value: state.search,
    placeholder: "Name, title or ID",
    "aria-label": `Search ${kind.title.toLowerCase()}`,
    on: {
      input: () => {
        clearTimeout(timer);
        timer = setTimeout(() => change(view, { search: search.value.trim() }), TYPED_MS);
      },
    },
  });
  const unnamed = h("input", {
    type: "checkbox",
    role: "switch",
    checked: state.unnamed,
    on: { change: () => change(view, { unnamed: unnamed.checked }) },
  });
  const owner = h(
    "select",
    {
      class: "select",
      value: state.owner,
      "aria-label": "Whose",
      on: { change: () => change(view, { owner: owner.value }) },
    },
    h("option", { value: "" }, "Mine and shared with me"),
    h("option", { value: "ownedByMe" }, "Mine"),
    h("option", { value: "sharedWithMe" }, "Shared with me"),
  );
  return h(
    "div",
    { class: "toolbar", role: "search" },
    h("div", { class: "search" }, icon("search"), search),
    h("div", owner),
    h("label", { class: "switch" }, unnamed, "Include unnamed"),
  );
}

async function show(view, { quietly = false } = {}) {
  view.fetching?.abort();
  const mine = (view.fetching = new AbortController());
  const signal = AbortSignal.any([mine.signal, view.context.signal]);
  if (!view.body.firstChild) fill(view.body, waiting());
  try {
    const found = await page(view, signal);
    const told = JSON.stringify(found);
    if (quietly && (told === view.told || view.body.contains(document.activeElement))) return;
    view.told = told;
    draw(view, found);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (quietly) throw error;
    fill(view.body, broken(error, () => show(view)));
  }
}

/** The rows to show: a page of the server's, or of all storages where the server cannot choose. */
async function page({ kind, state }, signal) {
  const query = { unnamed: state.unnamed, ownership: state.owner };
  if (!state.search && state.sort.id === BY_TIME) {
    const window = { offset: state.offset, limit: ROWS, desc: state.sort.desc };
    const { items, total } = await call("GET", kind.path, { query: { ...query, ...window }, signal });
    return { items, total, cut: false };
  }
  const all = await every(kind.path, query, signal);
  const items = sorted(searched(all.items, state.search), state.sort);
  return { items: items.slice(state.offset, state.offset + ROWS), total: items.length, cut: all.cut };
}

async function every(path, query, signal) {
  const items = [];
  for (;;) {
    const window = { offset: items.length, limit: AT_ONCE, desc: true };
    const found = await call("GET", path, { query: { ...query, ...window }, signal });
    items.push(...found.items);
    if (!found.items.length || items.length >= found.total) return { items, cut: false };
    if (items.length >= MOST) return { items, cut: true };
  }
}

function searched(items, text) {
  const wanted = text.toLowerCase();
  const has = (value) => value?.toLowerCase().includes(wanted);
  return items.filter((one) => has(one.name) || has(one.title) || has(one.id));
}

const VALUES = {
  name: (one) => called(one).toLowerCase(),
  size: (one) => one.stats?.storageBytes ?? 0,
  items: (one) => one.itemCount ?? 0,
  pending: (one) => one.pendingRequestCount ?? 0,
  handled: (one) => one.handledRequestCount ?? 0,
  modifiedAt: (one) => one.modifiedAt,
  createdAt: (one) => one.createdAt,
};

function sorted(items, { id, desc }) {
  const value = VALUES[id] ?? VALUES.createdAt;
  const turn = desc ? -1 : 1;
  return items.sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    return one < other ? -turn : one > other ? turn : 0;
  });
}

function draw(view, { items, total, cut }) {
  const { kind, state, body } = view;
  const onSort = (id) => {
    const desc = state.sort.id === id ? !state.sort.desc : id !== "name";
    change(view, { sort: { id, desc } });
  };
  if (!items.length && state.offset) return change(view, {});
  fill(
    body,
    cut ? notice(kind) : null,
    table({
      caption: kind.title,
      columns: columns(kind),
      rows: items,
      onRow: (row) => view.context.go(screen(kind, row)),
      empty: nothing(view),
      sort: state.sort,
      onSort,
    }),
    total
      ? pager({
          offset: state.offset,
          limit: ROWS,
          total,
          noun: total === 1 ? kind.one : kind.title.toLowerCase(),
          onPage: (offset) => change(view, { offset }),
        })
      : null,
  );
}

function columns(kind) {
  const counts = {
    dataset: [{ id: "items", title: "Items", kind: "number", cell: (one) => number(one.itemCount) }],
    kvs: [],
    queue: [
      { id: "pending", title: "Pending", kind: "number", cell: (one) => number(one.pendingRequestCount) },
      { id: "handled", title: "Handled", kind: "number", cell: (one) => number(one.handledRequestCount) },
    ],
  };
  return [
    { id: "name", title: "Name", kind: "main", cell: (one) => nameCell(kind, one) },
    ...counts[kind.noun],
    { id: "size", title: "Size", kind: "number", cell: (one) => bytes(one.stats?.storageBytes) },
    { id: "modifiedAt", title: "Changed", cell: (one) => ago(one.modifiedAt) },
    { id: "createdAt", title: "Created", cell: (one) => ago(one.createdAt) },
    { title: "Kept", kind: "wide", cell: retention },
  ];
}

function nameCell(kind, one) {
  const name = nameOf(one);
  const below = [one.title && name ? name : null, name || one.title ? one.id : "no name"];
  return [
    h("a", { class: "strong", href: screen(kind, one) }, called(one)),
    h("div", { class: "quiet below" }, below.filter(Boolean).join(" · ")),
  ];
}

function notice(kind) {
  return h(
    "p",
    { class: "notice notice-warn" },
    icon("alert"),
    `Only the newest ${number(MOST)} ${kind.title.toLowerCase()} are searched and sorted here.`,
  );
}

/** The button that makes a new one. */
function maker({ kind, context }, look = "") {
  const click = () => make(kind, context);
  return h(
    "button",
    { type: "button", class: `button ${look}`, "aria-label": `New ${kind.one}`, on: { click } },
    icon("plus"),
    "New",
    h("span", { class: "words" }, kind.one),
  );
}

function noMaker(kind) {
  const why = `This token may not create ${kind.title.toLowerCase()}`;
  return h("span", { class: "badge", title: why }, icon("lock"), "no new ones");
}

function nothing(view) {
  const { kind, state } = view;
  const many = kind.title.toLowerCase();
  if (state.search) {
    return [icon("search"), h("h2", `No ${many} match “${state.search}”`), h("p", "Names, titles and IDs are searched.")];
  }
  const hint = state.unnamed
    ? `Crawlers and clients make them, and so do you.`
    : `Those without a name are not shown: switch on “Include unnamed” to see them.`;
  return [
    icon(kind.noun),
    h("h2", `No ${many} yet`),
    h("p", hint),
    view.creates && maker(view),
  ];
}

async function make(kind, context) {
  let made = null;
  await ask({
    title: `New ${kind.one}`,
    label: "Name",
    hint: "Letters, digits and hyphens. Without a name it expires some time after its last use.",
    action: "Create",
    run: async (name) => {
      made = await call("POST", kind.path, { query: { name: name.trim() } });
    },
  });
  if (made) context.go(screen(kind, made));
}
