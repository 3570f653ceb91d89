/** One request of a queue: its state, all it holds, and what can be done with it. */

import { confirmTyped, copyButton, toast } from "./dialog.js";
import { ago, agoText, exactly, h, icon, isSafe, number } from "./dom.js";
import { drawer, steps } from "./drawer.js";
import { problem, shown } from "./json.js";
import { mayWrite } from "./nouns.js";
import { fresh, remove, retry, since, stateBadge, stateOf, unlock } from "./requests.js";

/**
 * Show requests of a page, one at a time.
 * @param {object} context of the tab
 * @param {object[]} items of the page
 * @param {number} at which one first
 * @param {() => void} changed told when one was written or deleted
 */
export function open(context, items, at, changed) {
  const { path } = context;
  let reading = new AbortController();
  const panel = drawer({
    label: "Request",
    signal: context.signal,
    onKey: (key) => {
      if (key === "j" || key === "k") go(at + (key === "j" ? 1 : -1));
    },
  });
  panel.closed.then(() => reading.abort());
  show();

  function go(to) {
    if (to < 0 || to >= items.length) return;
    at = to;
    show();
  }

  async function show() {
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    const item = items[at];
    const parts = {
      title: h("span", { class: "mono" }, item.url),
      steps: steps(at, items.length, go),
    };
    try {
      const found = await fresh(path, item, signal);
      const state = stateOf(found);
      const about = [stateBadge(state), h("span", found.method ?? "GET"), since(found, state)];
      panel.show({ ...parts, about, actions: actions(found, state), body: details(found) });
    } catch (error) {
      if (signal.aborted) return;
      const words = error.status === 404 ? "This request was deleted meanwhile." : error.message;
      panel.show({ ...parts, body: h("p", { class: "problem", role: "alert" }, words) });
    }
  }

  function actions(request, state) {
    const button = (name, words, click, kind = "") =>
      h("button", { class: `button ${kind}`, type: "button", on: { click } }, icon(name), words);
    const writes = mayWrite(context.storage);
    const done = state === "handled" || state === "failed";
    return [
      writes && done && button("refresh", "Retry", () => act(retry, request, "is pending again")),
      writes && state === "locked" && button("lock", "Unlock", () => act(unlock, request, "is unlocked")),
      copyButton(JSON.stringify(request, null, 2), "Copy as JSON", { words: true }),
      writes && button("trash", "Delete", () => erase(request), "button-danger"),
    ];
  }

  async function act(work, request, words) {
    try {
      const did = await work(path, request);
      toast(did ? `The request ${words}` : "The request has changed meanwhile", {
        kind: did ? "good" : "",
      });
    } catch (error) {
      toast(error.message, { kind: "bad" });
    }
    changed();
    show();
  }

  async function erase(request) {
    const sure = await confirmTyped({
      title: "Delete the request?",
      text: `The request of ${request.url} is deleted for good. Who has it locked is not told.`,
      word: request.id,
      action: "Delete request",
      run: () => remove(path, [request]),
    });
    if (!sure) return;
    toast("The request is deleted", { kind: "good" });
    items = items.filter(({ id }) => id !== request.id);
    changed();
    if (!items.length) return panel.close();
    at = Math.min(at, items.length - 1);
    show();
  }
}

function details(request) {
  const { url, headers, payload, userData, errorMessages } = request;
  const link = isSafe(url) && /^https?:/i.test(url);
  const lines = [
    ["URL", link ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, url) : url],
    ["Loaded URL", request.loadedUrl],
    ["ID", h("span", { class: "mono" }, request.id)],
    ["Unique key", h("span", { class: "mono" }, request.uniqueKey)],
    ["Retries", number(request.retryCount)],
    ["Not retried", request.noRetry ? "yes" : null],
    [
      "Handled",
      request.handledAt && [exactly(request.handledAt), " (", ago(request.handledAt), ")"],
    ],
    ["Locked by", request.lockExpiresAt && (request.lockByClient ?? "a client without a key")],
    [
      "Locked until",
      request.lockExpiresAt && [
        exactly(request.lockExpiresAt),
        " (",
        agoText(request.lockExpiresAt),
        ")",
      ],
    ],
  ];
  return [
    h(
      "dl",
      { class: "facts" },
      lines.filter(([, what]) => what).map(([name, what]) => [h("dt", name), h("dd", what)]),
    ),
    errorMessages?.length &&
      section(
        "Errors",
        errorMessages.map((text) => h("pre", { class: "code record-text request-error" }, text)),
      ),
    full(headers) && section("Headers", shown(JSON.stringify(headers), "Headers")),
    payload && section("Payload", payloadOf(payload)),
    full(userData) && section("User data", shown(JSON.stringify(userData), "User data")),
    h(
      "details",
      { class: "drawer-section" },
      h("summary", "The whole request as JSON"),
      shown(JSON.stringify(request), "The whole request"),
    ),
  ];
}

function payloadOf(payload) {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  if (problem(text) === null) return shown(text, "Payload");
  return h(
    "pre",
    { class: "code record-text", tabindex: "0", "aria-label": "Payload", role: "region" },
    text,
  );
}

function full(object) {
  return object && Object.keys(object).length > 0;
}

function section(title, ...children) {
  return h("section", { class: "drawer-section" }, h("h3", title), children);
}
