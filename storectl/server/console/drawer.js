/** A panel at the right for one thing of a list, over the page until it is closed. */

import { fill, h, icon } from "./dom.js";

/**
 * The page behind it rests, but news and questions still come through: hence no modal dialog.
 * @param {{label: string, signal?: AbortSignal, onKey?: (key: string) => void}} options
 *   label: what the panel is, for who cannot see it. signal: closes it when its page is left.
 *   onKey: told of keys that are pressed outside of fields.
 * @returns {{show: (parts: Parts) => void, close: () => void, closed: Promise<void>}}
 *
 * @typedef {{title: any, about?: any, steps?: any, actions?: any, body: any}} Parts
 */
export function drawer({ label, signal, onKey }) {
  const before = document.activeElement;
  const app = document.getElementById("app");
  const title = h("h2", { class: "drawer-title" });
  const about = h("div", { class: "drawer-about" });
  const steps = h("div", { class: "drawer-steps" });
  const actions = h("div", { class: "drawer-actions" });
  const body = h("div", { class: "drawer-body" });
  const shut = h(
    "button",
    {
      class: "button button-quiet button-icon",
      type: "button",
      "aria-label": "Close",
      on: { click: close },
    },
    icon("close"),
  );
  const node = h(
    "div",
    { class: "drawer", role: "dialog", "aria-modal": "true", "aria-label": label, tabindex: "-1" },
    h(
      "header",
      { class: "drawer-top" },
      h("div", { class: "drawer-row" }, title, steps, shut),
      about,
      actions,
    ),
    body,
  );
  const scrim = h("div", { class: "drawer-scrim", on: { click: close } });
  let done;
  const closed = new Promise((resolve) => (done = resolve));

  function close() {
    signal?.removeEventListener("abort", close);
    document.removeEventListener("keydown", pressed);
    app.inert = false;
    scrim.remove();
    node.remove();
    if (before?.isConnected) before.focus();
    done();
  }

  function pressed(event) {
    const elsewhere = document.querySelector("dialog[open]") || event.defaultPrevented;
    if (elsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") close();
    else if (!event.target.matches("input, textarea, select")) onKey?.(event.key);
  }

  signal?.addEventListener("abort", close);
  document.addEventListener("keydown", pressed);
  app.inert = true;
  document.body.append(scrim, node);
  node.focus();
  return {
    close,
    closed,
    show(parts) {
      const inside = node.contains(document.activeElement);
      fill(title, parts.title);
      fill(about, parts.about);
      fill(steps, parts.steps);
      fill(actions, parts.actions);
      fill(body, parts.body);
      body.scrollTop = 0;
      if (inside && !node.contains(document.activeElement)) node.focus();
    },
  };
}

/**
 * Buttons to the thing before and the one after.
 * @param {number} at
 * @param {number} count
 * @param {(at: number) => void} go
 */
export function steps(at, count, go) {
  const step = (to, name, words) =>
    h(
      "button",
      {
        class: "button button-quiet button-icon",
        type: "button",
        "aria-label": words,
        title: words,
        disabled: to < 0 || to >= count,
        on: { click: () => go(to) },
      },
      icon(name),
    );
  return [step(at - 1, "up", "The one before (k)"), step(at + 1, "down", "The next one (j)")];
}
