/** Questions and news: dialogs that keep the focus, and toasts that are read out. */

import { fill, h, icon } from "./dom.js";

let dialogs = 0;

/**
 * Ask in a dialog; the value of the action that was chosen, null for none (Esc, Cancel).
 * @param {object} given
 * @param {string} given.title
 * @param {any} given.content children, or a function of `close(value)` that gives them
 * @param {{label: string, kind?: "primary"|"danger", value?: any, run?: () => any}[]}
 *   [given.actions] `run` may be async: the dialog stays, busy, until it is done, and shows
 *   its failure. Its result, where it has one, is the value. `run` may give false to stay open.
 * @param {boolean} [given.wide]
 */
export function open({ title, content, actions = [], wide = false }) {
  const before = document.activeElement;
  const id = `dialog-${(dialogs += 1)}`;
  return new Promise((resolve) => {
    let chosen = null;
    const close = (value = null) => {
      chosen = value;
      dialog.close();
    };
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const buttons = actions.map((action) => button(action, close, problem, () => buttons));
    const dismiss = actions.length ? "Cancel" : "Close";
    const form = h(
      "form",
      {
        class: "dialog-form",
        method: "dialog",
        novalidate: true,
        on: {
          submit: (event) => {
            event.preventDefault();
            buttons.find((one) => one.classList.contains("button-default"))?.click();
          },
        },
      },
      h(
        "header",
        { class: "dialog-head" },
        h("h2", { id }, title),
        h(
          "button",
          {
            type: "button",
            class: "button button-quiet button-icon",
            "aria-label": "Close",
            on: { click: () => close() },
          },
          icon("close"),
        ),
      ),
      h(
        "div",
        { class: "dialog-body", tabindex: "-1" },
        typeof content === "function" ? content(close) : content,
        problem,
      ),
      h(
        "footer",
        { class: "dialog-foot" },
        h("button", { type: "button", class: "button", on: { click: () => close() } }, dismiss),
        buttons,
      ),
    );
    const dialog = h(
      "dialog",
      {
        class: wide ? "dialog dialog-wide" : "dialog",
        "aria-labelledby": id,
        on: {
          close: () => {
            dialog.remove();
            if (before?.isConnected) before.focus();
            resolve(chosen);
          },
        },
      },
      form,
    );
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("[autofocus]") ?? dialog.querySelector(".dialog-body")).focus();
  });
}

function button({ label, kind, value, run, id }, close, problem, all) {
  const click = async () => {
    if (!run) return close(value ?? label);
    problem.hidden = true;
    for (const one of all()) one.disabled = true;
    try {
      const found = await run();
      if (found !== false) close(found ?? value ?? true);
    } catch (error) {
      problem.hidden = false;
      fill(problem, error.message);
    } finally {
      for (const one of all()) one.disabled = false;
    }
  };
  const look = kind ? `button button-default button-${kind}` : "button";
  return h("button", { type: "button", class: look, id, on: { click } }, label);
}

/** Nothing is asked any more: the screen is left. */
export function closeAll() {
  for (const one of document.querySelectorAll("dialog[open]")) one.close();
}

/**
 * Have a word typed before something is lost; whether it was. run, where given, does it.
 * @param {{title: string, text: any, word: string, action: string, run?: () => any}} given
 */
export async function confirmTyped({ title, text, word, action, run }) {
  const input = h("input", {
    class: "input mono",
    id: "typed-word",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    autofocus: true,
  });
  const typed = async () => {
    if (input.value !== word) throw new Error(`Type ${word} to go on.`);
    await run?.();
    return true;
  };
  const found = await open({
    title,
    content: [
      h("p", text),
      h(
        "div",
        { class: "field" },
        h("label", { for: "typed-word" }, "Type ", h("code", word), " to confirm"),
        input,
      ),
    ],
    actions: [{ label: action, kind: "danger", run: typed }],
  });
  return found === true;
}

/**
 * Ask for one line of text; null where none is given. run(text), where given, uses it while the
 * dialog is still there to show a failure.
 * @param {{title: string, label: string, value?: string, hint?: any, action?: string,
 *   type?: string, run?: (text: string) => any}} given
 */
export function ask({ title, label, value = "", hint, action = "Save", type = "text", run }) {
  const input = h("input", {
    class: "input",
    id: "asked-text",
    type,
    value,
    autocomplete: "off",
    spellcheck: "false",
    autofocus: true,
    "aria-describedby": hint ? "asked-hint" : null,
  });
  const answered = async () => {
    await run?.(input.value);
    return { text: input.value };
  };
  return open({
    title,
    content: h(
      "div",
      { class: "field" },
      h("label", { for: "asked-text" }, label),
      input,
      hint ? h("p", { class: "hint", id: "asked-hint" }, hint) : null,
    ),
    actions: [{ label: action, kind: "primary", run: answered }],
  }).then((found) => found?.text ?? null);
}

const STAYS_MS = 6000;

/** Say something that is also read out. kind: "good", "bad" or none. */
export function toast(text, { kind = "" } = {}) {
  const place = document.getElementById("toasts");
  const gone = () => node.remove();
  const node = h(
    "div",
    { class: `toast ${kind && `toast-${kind}`}`, role: kind === "bad" ? "alert" : null },
    icon(kind === "bad" ? "alert" : kind === "good" ? "check" : "info"),
    h("span", text),
    h(
      "button",
      {
        type: "button",
        class: "button button-quiet button-icon",
        "aria-label": "Dismiss",
        on: { click: gone },
      },
      icon("close"),
    ),
  );
  place.append(node);
  if (kind !== "bad") setTimeout(gone, STAYS_MS);
  return node;
}

/** Say what went wrong; nothing where a call was only left. */
export function failed(error) {
  if (error?.name === "AbortError") return;
  if (error?.status === 401) return; // the login says so
  toast(error?.message ?? String(error), { kind: "bad" });
}

/** Put text on the clipboard; also where the page is not on HTTPS. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "offscreen", value: text, readonly: true });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** A button that copies text, or what a function gives. label: for screen readers. */
export function copyButton(text, label = "Copy", { words = false } = {}) {
  const click = async () => {
    await copy(typeof text === "function" ? text() : text);
    fill(node, icon("check"), words ? "Copied" : null);
    toast("Copied");
    setTimeout(() => fill(node, icon("copy"), words ? label : null), 1500);
  };
  const look = words ? "button" : "button button-quiet button-icon";
  const node = h(
    "button",
    { type: "button", class: look, "aria-label": label, title: label, on: { click } },
    icon("copy"),
    words ? label : null,
  );
  return node;
}
