/** What every screen has: waiting, failing, and being kept up to date. */

import { h, icon } from "./dom.js";

/**
 * Call fn every few seconds while the page is seen and until the signal ends it; at once when
 * its window is looked at again.
 */
export function live(fn, secs, signal) {
  let timer = 0;
  let isRunning = false;
  let again = false;
  const run = async () => {
    clearTimeout(timer);
    again = isRunning;
    if (isRunning || signal.aborted) return;
    isRunning = true;
    try {
      if (document.visibilityState === "visible") await fn();
    } catch (error) {
      if (error.name === "AbortError" || error.status === 401) return;
      // what cannot be had now is asked for again
    } finally {
      isRunning = false;
    }
    if (again) run();
    else if (!signal.aborted) timer = setTimeout(run, secs * 1000);
  };
  addEventListener("focus", run, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  timer = setTimeout(run, secs * 1000);
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
