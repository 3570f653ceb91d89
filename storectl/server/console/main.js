/** The frame: who is logged in, which screen the address asks for, and when it is left. */

import { call, me, session } from "./api.js";
import { closeAll } from "./dialog.js";
import { fill, h, icon } from "./dom.js";
import { broken, live, waiting } from "./frame.js";
import { login } from "./login.js";
import { NOUNS } from "./nouns.js";

const app = document.getElementById("app");
const THEMES = ["auto", "light", "dark"];
const BRAND = ["Storages", "storectl"];

let shown = null; // {key, stop, show}: the screen that is open
let main = null;

/** `#/datasets/ID/items?page=2` in its parts. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { parts, query: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * A token in the address, as `#token=TOKEN&to=/datasets/ID`, is for this session alone: it leaves
 * the address and its history.
 */
function takeToken() {
  const found = /^#token=([^&]+)(?:&to=([^&]*))?/.exec(location.hash);
  if (!found) return;
  session.token = decoded(found[1]);
  history.replaceState(null, "", `#${decoded(found[2] ?? "/")}`);
}

async function start() {
  takeToken();
  try {
    await me(); // a server that asks for no token needs no login
  } catch (error) {
    if (error.status === 401) return signIn(session.token ? error.message : "");
    const told = broken(error, start); // the token may be a good one
    return fill(app, h("main", { class: "login", id: "main" }, told));
  }
  frame();
  await route();
}

function signIn(problem = "") {
  leave();
  main = null;
  fill(document.getElementById("toasts")); // they are for who was here
  session.clear();
  document.title = `Log in · ${BRAND[1]}`;
  fill(app, login({ problem, done: start }));
  app.className = "app";
  app.querySelector("input")?.focus();
}

function leave() {
  shown?.stop();
  shown = null;
  closeAll();
}

function frame() {
  leave();
  main = h("main", { class: "main", id: "main", tabindex: "-1" });
  const items = [
    ...Object.values(NOUNS).map((kind) => item(kind.route, kind.title, kind.noun)),
    item("tokens", "Tokens", "tokens"),
  ];
  const name = h("span", { class: "account-name truncate" });
  me().then((user) => fill(name, user.username), () => {});
  const out = h(
    "button",
    {
      type: "button",
      class: "button button-quiet button-icon",
      "aria-label": "Log out",
      title: "Log out",
      on: { click: () => signIn() },
    },
    icon("out"),
  );
  const side = h(
    "header",
    { class: "sidebar" },
    h(
      "a",
      { class: "brand", href: "#/datasets" },
      h("img", { src: "console/icon.svg", alt: "" }),
      BRAND[1],
    ),
    h("nav", { class: "nav", "aria-label": BRAND[0] }, items),
    h("div", { class: "account" }, name, themeButton(), out),
  );
  app.className = "app app-in";
  fill(app, side, main);
}

function item(route, title, drawing) {
  const props = { class: "nav-item", href: `#/${route}`, dataset: { route } };
  return h("a", props, icon(drawing), h("span", title));
}

function themeButton() {
  const now = () => document.documentElement.dataset.theme ?? "auto";
  const pictures = { auto: "auto", light: "sun", dark: "moon" };
  const words = { auto: "as the system", light: "light", dark: "dark" };
  const told = () => `Theme: ${words[now()]}`;
  const turn = () => {
    const next = THEMES[(THEMES.indexOf(now()) + 1) % THEMES.length];
    if (next === "auto") {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem("storectl.theme");
    } else {
      document.documentElement.dataset.theme = next;
      localStorage.setItem("storectl.theme", next);
    }
    fill(node, icon(pictures[now()]));
    node.setAttribute("aria-label", told());
    node.setAttribute("title", told());
  };
  const node = h(
    "button",
    {
      type: "button",
      class: "button button-quiet button-icon",
      "aria-label": told(),
      title: told(),
      on: { click: turn },
    },
    icon(pictures[now()]),
  );
  return node;
}

async function route() {
  if (location.hash.startsWith("#token=")) return start();
  if (!main) return; // not logged in
  const { parts, query } = parse(location.hash);
  if (!parts.length) return location.replace("#/datasets");
  const [first, ref, tab = ""] = parts;
  for (const link of app.querySelectorAll(".nav-item")) {
    if (link.dataset.route === first) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const key = `${first}/${ref ?? ""}`;
  if (shown?.key === key && shown.show) return shown.show(tab, query);
  leave();
  const leaving = new AbortController();
  shown = { key, stop: () => leaving.abort(), show: null };
  const mine = shown;
  const content = h("div", { class: "content" }, waiting());
  fill(main, content);
  main.scrollIntoView();
  try {
    const module = await screenOf(first, ref);
    const context = contextOf(leaving.signal, { kind: NOUNS[first], ref, tab, query });
    mine.show = (await module.render(content, context)) ?? null;
  } catch (error) {
    if (error.name === "AbortError" || leaving.signal.aborted) return;
    fill(content, broken(error, again));
  }
}

function screenOf(first, ref) {
  if (first === "tokens") return import("./tokens.js");
  if (!NOUNS[first]) return { render: (target) => fill(target, nowhere()) && null };
  return ref === undefined ? import("./list.js") : import("./storage.js");
}

/** What a screen is given; a storage's screen makes that of its tabs of it. */
function contextOf(signal, more) {
  return {
    ...more,
    signal,
    call: (method, path, given) => call(method, path, { signal, ...given }),
    go: (hash) => {
      location.hash = hash;
    },
    live: (fn, secs) => live(fn, secs, signal),
    title: (text) => {
      document.title = `${text} · ${BRAND[1]}`;
    },
  };
}

function again() {
  leave();
  route();
}

function nowhere() {
  return broken({ status: 404, message: "No screen has this address." });
}

addEventListener("hashchange", () => route());
addEventListener("signedout", (event) => {
  if (main) signIn(event.detail.message);
});
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError") event.preventDefault();
});
start();
