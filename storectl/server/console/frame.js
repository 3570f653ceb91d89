/** What every screen has: waiting, failing, and being kept up to date. */

import { h, icon } from "./dom.js";

/** Call fn every few seconds while the page is seen and until the signal ends it. */
export function live(fn, secs, signal) {
  let timer = 0;
  const next = () => {
    timer = setTimeout(run, secs * 1000);
  };
  const run = async () => {
    if (document.visibilityState === "visible") {
      try {
        await fn();
      } catch (error) {
        if (error.name === "AbortError" || error.status === 401) return;
        // what cannot be had now is asked for again
      }
    }
    if (!signal.aborted) next();
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  if (!signal.aborted) next();
}

/** While something comes. */
export function waiting(text = "Loading…") {
  return h("div", { class: "waiting", role: "status" }, h("span", { class: "spinner" }), text);
}

/** In the place of what could not be shown. again: what may be tried once more. */
export function broken(error, again) {
  const gone = error.status === 404;
  return h(
    "div",
    { class: "empty", role: "alert" },
    icon("alert"),
    h("h2", gone ? "There is nothing here" : "This cannot be shown"),
    h("p", error.message),
    h(
      "div",
      { class: "actions" },
      gone ? h("a", { class: "button", href: "#/datasets" }, "All datasets") : null,
      !gone && again
        ? h("button", { type: "button", class: "button", on: { click: again } }, "Try again")
        : null,
    ),
  );
}
