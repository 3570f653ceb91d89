/** A storage's page: what it is called, what it holds, how long it stays, and its tabs. */

import { call, segment } from "./api.js";
import { confirmTyped, copyButton, toast } from "./dialog.js";
import { ago, bytes, fill, h, icon, number } from "./dom.js";
import { broken, live, waiting } from "./frame.js";
import { called, mayWrite, nameOf, retention, screen } from "./nouns.js";

const LIVE_SECS = 3;

/** Show the page; gives a function of (tab, query) that shows another of its tabs. */
export async function render(target, context) {
  const { kind, ref, signal } = context;
  const found = await context.call("GET", `${kind.path}/${segment(ref)}`);
  const page = { ...context, storage: found, path: `${kind.path}/${found.id}`, watchers: new Set() };
  const head = h("div");
  const tabs = h("nav", { class: "tabs", "aria-label": `Parts of this ${kind.one}` });
  const panel = h("div", { class: "tab-panel" });
  page.draw = () => {
    context.title(called(page.storage));
    fill(head, crumbs(page), header(page));
  };
  page.reload = async () => {
    const now = await call("GET", page.path, { signal });
    const changed = JSON.stringify(now) !== JSON.stringify(page.storage);
    page.storage = now;
    if (changed && !head.contains(document.activeElement)) page.draw();
    else if (changed) redrawLater(head, page);
    for (const fn of page.watchers) fn(now);
    return now;
  };
  page.draw();
  head.className = "tab-panel";
  fill(target, head, tabs, panel);
  live(page.reload, LIVE_SECS, signal);

  let leave = new AbortController();
  signal.addEventListener("abort", () => leave.abort());
  const show = (tab, query) => {
    leave.abort();
    leave = new AbortController();
    return showTab(page, { tabs, panel, id: tab, query, signal: leave.signal });
  };
  await show(context.tab, context.query);
  return show;
}

/** Only the numbers change while a button of the head has the focus. */
function redrawLater(head, page) {
  const facts = head.querySelector(".page-facts");
  if (facts && !facts.contains(document.activeElement)) facts.replaceWith(factsOf(page));
}

async function showTab(page, { tabs, panel, id, query, signal }) {
  const { kind } = page;
  const tab = kind.tabs.find((one) => one.id === id) ?? kind.tabs[0];
  const had = tabs.contains(document.activeElement);
  fill(tabs, kind.tabs.map((one) => tabLink(page, one, one === tab)));
  if (had) tabs.querySelector("[aria-current]").focus();
  page.watchers.clear();
  fill(panel, waiting());
  const fresh = h("div", { class: "tab-panel" });
  const context = {
    noun: kind.noun,
    kind,
    path: page.path,
    get storage() {
      return page.storage;
    },
    reload: page.reload,
    onChange: (fn) => page.watchers.add(fn),
    signal,
    query,
    go: page.go,
    live: (fn, secs) => live(fn, secs, signal),
  };
  try {
    const module = await import(tab.module);
    if (signal.aborted) return;
    fill(panel, fresh);
    await module.render(fresh, context);
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    fill(panel, broken(error, () => page.go(screen(kind, page.storage, tab.id))));
  }
}

function tabLink(page, one, isCurrent) {
  const props = { class: "tab", href: screen(page.kind, page.storage, one.id) };
  if (isCurrent) props["aria-current"] = "page";
  return h("a", props, one.title);
}

function crumbs({ kind, storage }) {
  return h(
    "nav",
    { class: "crumbs", "aria-label": "Breadcrumbs" },
    h("a", { href: `#/${kind.route}` }, kind.title),
    icon("chevron"),
    h("span", { class: "truncate", "aria-current": "page" }, called(storage)),
  );
}

function header(page) {
  const { kind, storage } = page;
  const named = nameOf(storage);
  const title = h("h1", named || storage.title ? called(storage) : `Unnamed ${kind.one}`);
  return h(
    "div",
    { class: "page-head" },
    h("div", h("div", { class: "page-title" }, title, mayWrite(storage) ? renameButton(page, title) : readOnly()), factsOf(page)),
    mayWrite(storage) ? h("div", { class: "page-actions" }, deleteButton(page)) : null,
  );
}

function readOnly() {
  const why = "With this token it may be read, and not changed.";
  return h("span", { class: "badge", title: why }, icon("lock"), "read only");
}

function deleteButton(page) {
  return h(
    "button",
    {
      type: "button",
      class: "button button-danger",
      "aria-label": "Delete",
      on: { click: () => remove(page) },
    },
    icon("trash"),
    h("span", { class: "word" }, "Delete"),
  );
}

function factsOf({ kind, storage }) {
  const { stats } = storage;
  const size = stats?.storageBytes;
  return h(
    "div",
    { class: "page-facts" },
    counts(kind, storage).map(([count, words]) => h("span", h("b", number(count)), words)),
    size === undefined ? null : h("span", bytes(size)),
    h("span", "changed ", ago(storage.modifiedAt)),
    retention(storage),
    h(
      "span",
      { class: "copyline" },
      h("code", { class: "truncate" }, storage.id),
      copyButton(storage.id, "Copy the ID"),
    ),
  );
}

/** What a storage holds, as [number, words]. */
function counts(kind, storage) {
  if (kind.noun === "dataset") {
    return [[storage.itemCount, storage.itemCount === 1 ? "item" : "items"]];
  }
  if (kind.noun === "queue") {
    return [
      [storage.pendingRequestCount, "pending"],
      [storage.handledRequestCount, "handled"],
    ];
  }
  return [];
}

/** Rename in place: the heading becomes a field; Enter keeps the name, Esc does not. */
function renameButton(page, title) {
  const { storage, kind } = page;
  const label = nameOf(storage) ? "Rename" : "Name it";
  const node = h(
    "button",
    {
      type: "button",
      class: "button button-quiet button-icon",
      "aria-label": label,
      title: label,
      on: { click: () => edit() },
    },
    icon("edit"),
  );
  const edit = () => {
    const input = h("input", {
      class: "input rename",
      value: nameOf(storage) ?? "",
      "aria-label": `Name of this ${kind.one}`,
      placeholder: "a-name-keeps-it",
      autocomplete: "off",
      spellcheck: "false",
      maxlength: "63",
    });
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const end = () => {
      page.draw();
      document.querySelector(".page-title .button-icon")?.focus();
    };
    const save = async (event) => {
      event.preventDefault();
      const name = input.value.trim() || null;
      if (name === nameOf(storage)) return end();
      try {
        page.storage = await call("PUT", page.path, { json: { name } });
        toast(name ? `The ${kind.one} is now called ${name}` : "It has no name any more", {
          kind: "good",
        });
        end();
      } catch (error) {
        problem.hidden = false;
        fill(problem, error.message);
        input.setAttribute("aria-invalid", "true");
        input.focus();
      }
    };
    const form = h(
      "form",
      {
        class: "rename-form",
        on: { submit: save, keydown: (event) => event.key === "Escape" && end() },
      },
      input,
      h("button", { type: "submit", class: "button button-primary" }, "Save"),
      h("button", { type: "button", class: "button", on: { click: end } }, "Cancel"),
      problem,
    );
    node.remove();
    title.replaceWith(form);
    input.focus();
    input.select();
  };
  return node;
}

async function remove(page) {
  const { kind, storage } = page;
  const held = counts(kind, storage).map(([count, words]) => `${number(count)} ${words}`);
  const gone = await confirmTyped({
    title: `Delete this ${kind.one}?`,
    text: `It goes with all it holds${held.length ? `: ${held.join(", ")}` : ""}. That cannot be undone.`,
    word: nameOf(storage) ?? storage.id,
    action: "Delete",
    run: () => call("DELETE", page.path),
  });
  if (!gone) return;
  toast(`${called(storage)} is deleted`, { kind: "good" });
  page.go(`#/${kind.route}`);
}
