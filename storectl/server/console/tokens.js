/** API tokens: which there are, new ones, new secrets, and their end. */

import { call, session } from "./api.js";
import { confirmTyped, copyButton, failed, open, toast } from "./dialog.js";
import { ago, button, counted, fill, h, icon } from "./dom.js";
import { form } from "./scope.js";
import { table } from "./table.js";

export const tab = { id: "tokens", title: "Tokens" };

const DAY = 86_400;
const STALE_MS = 90 * DAY * 1000;
const LIVES = [
  { secs: DAY, title: "1 day" },
  { secs: 30 * DAY, title: "30 days" },
  { secs: 90 * DAY, title: "90 days" },
  { secs: 365 * DAY, title: "1 year" },
  { secs: "", title: "never" },
];
const KEPT = [
  { secs: 0, title: "at once" },
  { secs: 3600, title: "in an hour" },
  { secs: DAY, title: "in a day" },
  { secs: 7 * DAY, title: "in 7 days" },
];

export async function render(target, context) {
  context.title?.("Tokens");
  const { signal } = context;
  const current = await call("GET", "/v2/tokens/current", { signal }).catch(unlessGone);
  const make = button("plus", "New token", () => create(again).catch(failed), "button-primary");
  const head = h(
    "div",
    { class: "page-head" },
    h(
      "div",
      h("h1", "Tokens"),
      h(
        "p",
        { class: "page-facts" },
        "Programs and people call the API with a token, and may do what it may.",
      ),
    ),
    current?.scope ? null : h("div", { class: "page-actions" }, make),
  );
  const body = h("div", { class: "tab-panel" });
  const again = async () => {
    const { items } = await call("GET", "/v2/tokens", { signal });
    fill(body, listed(items, current, again));
  };
  fill(target, head, body);
  if (current?.scope) fill(body, limited(current));
  else await again();
}

function unlessGone(error) {
  if (error.name === "AbortError" || error.status === 401) throw error;
  return null; // a server that does not tell
}

/** What a token with a scope is shown: itself. */
function limited(token) {
  return h(
    "div",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", "This session may not see tokens")),
    h(
      "p",
      "The token you logged in with is limited, and tokens are beyond every limit. Log in with one that may do all its user may.",
    ),
    h(
      "dl",
      { class: "facts token-facts" },
      [h("dt", "Name"), h("dd", token.name)],
      [h("dt", "User"), h("dd", token.username)],
      [h("dt", "May do"), h("dd", scopeOf(token))],
      [h("dt", "Ends"), h("dd", token.expiresAt ? ago(token.expiresAt) : "never")],
    ),
  );
}

function listed(items, current, again) {
  const columns = [
    { title: "Name", kind: "main", cell: (token) => nameCell(token, current) },
    { title: "May do", cell: scopeOf },
    { title: "Made", cell: (token) => ago(token.createdAt) },
    {
      title: "Used",
      cell: (token) =>
        token.lastUsedAt ? ago(token.lastUsedAt) : h("span", { class: "quiet" }, "never"),
    },
    { title: "Ends", cell: endOf },
    { title: "", kind: "actions", cell: (token) => actions(token, current, again) },
  ];
  const empty = [
    icon("tokens"),
    h("h2", "There are no tokens"),
    h("p", "This session has none of its own: make one for a program."),
  ];
  return [
    table({ columns, rows: items, caption: "API tokens", empty }),
    items.length
      ? h(
          "p",
          { class: "hint" },
          counted(items.length, "token"),
          ". The server keeps no secret, only its hash and its last four characters.",
        )
      : null,
  ];
}

function nameCell(token, current) {
  return h(
    "div",
    { class: "token-name" },
    h("span", { class: "strong wrap" }, token.name),
    h(
      "code",
      { class: "quiet", title: "The last four characters of the secret" },
      `…${token.last4}`,
    ),
    token.id === current?.id ? h("span", { class: "badge badge-accent" }, "this session") : null,
    isStale(token)
      ? h("span", { class: "badge badge-warn", title: "Not used for 90 days" }, "stale")
      : null,
  );
}

function isStale({ lastUsedAt, createdAt, expiresAt }) {
  const ended = expiresAt && Date.parse(expiresAt) <= Date.now();
  return !ended && Date.now() - Date.parse(lastUsedAt ?? createdAt) >= STALE_MS;
}

function scopeOf({ scope }) {
  if (!scope) return h("span", { class: "badge" }, "everything");
  return h(
    "span",
    { class: "scope" },
    scope.map((text) => h("code", { class: "scope-text" }, text)),
  );
}

function endOf({ expiresAt, previousUntil }) {
  const now = Date.now();
  const end = expiresAt ? ago(expiresAt) : h("span", { class: "badge badge-warn" }, "never");
  if (expiresAt && Date.parse(expiresAt) <= now)
    return h("span", { class: "badge badge-bad" }, "ended ", end);
  if (!previousUntil || Date.parse(previousUntil) <= now) return end;
  return [end, h("div", { class: "hint" }, "old secret: ", ago(previousUntil))];
}

function actions(token, current, again) {
  const small = (words, label, look, click) =>
    h(
      "button",
      {
        type: "button",
        class: `button button-small ${look}`,
        "aria-label": label,
        on: { click: () => click().catch(failed) },
      },
      words,
    );
  return h(
    "div",
    { class: "actions" },
    small("Rotate", `Rotate ${token.name}`, "", () => rotate(token, current, again)),
    small("Revoke", `Revoke ${token.name}`, "button-danger", () => revoke(token, current, again)),
  );
}

async function create(again) {
  const name = h("input", {
    class: "input",
    id: "token-name",
    required: true,
    maxlength: "100",
    autocomplete: "off",
    spellcheck: "false",
    autofocus: true,
    "aria-describedby": "token-name-hint",
  });
  const life = h(
    "select",
    { class: "select", id: "token-life" },
    LIVES.map(({ secs, title }) =>
      h("option", { value: secs, selected: secs === 90 * DAY }, title),
    ),
  );
  const scope = form();
  const run = async () => {
    if (!name.value.trim())
      throw new Error("Give the token a name, so that you know later what it is for.");
    const secs = life.value ? Number(life.value) : null;
    return call("POST", "/v2/tokens", {
      json: { name: name.value.trim(), scope: await scope.value(), secs },
    });
  };
  const made = await open({
    title: "New token",
    content: [
      h(
        "div",
        { class: "field" },
        h("label", { for: "token-name" }, "Name"),
        name,
        h(
          "p",
          { class: "hint", id: "token-name-hint" },
          "What it is for: nightly-export, my laptop.",
        ),
      ),
      h("div", { class: "field" }, h("label", { for: "token-life" }, "Ends after"), life),
      scope.node,
    ],
    actions: [{ label: "Create the token", kind: "primary", run }],
    wide: true,
  });
  if (!made) return;
  await again();
  await reveal(made, "The token is made");
}

/** A secret, this once. */
function reveal(made, title) {
  const may = made.scope ? ["may do: ", made.scope.join(", "), "."] : "may do all that you may.";
  return open({
    title,
    content: [
      h("p", "Copy it now. It is not shown again, and the server cannot tell it."),
      h(
        "pre",
        { class: "code code-wrap secret", tabindex: "0", "aria-label": "The secret" },
        made.secret,
      ),
      h("div", { class: "actions" }, copyButton(made.secret, "Copy the token", { words: true })),
      h("p", { class: "quiet" }, `Whoever has ${made.name} `, may),
    ],
  });
}

async function rotate(token, current, again) {
  const keep = h(
    "select",
    { class: "select", id: "token-keep" },
    KEPT.map(({ secs, title }) => h("option", { value: secs }, title)),
  );
  const run = () =>
    call("POST", `/v2/tokens/${token.id}/rotate`, { json: { keepSecs: Number(keep.value) } });
  const made = await open({
    title: `A new secret for ${token.name}`,
    content: [
      h(
        "p",
        "Its name, what it may do and its end stay. Whoever uses the old secret needs the new one.",
      ),
      h("div", { class: "field" }, h("label", { for: "token-keep" }, "The old secret ends"), keep),
    ],
    actions: [{ label: "Rotate", kind: "primary", run }],
  });
  if (!made) return;
  if (token.id === current?.id) session.token = made.secret;
  await again();
  await reveal(made, "The new secret");
}

async function revoke(token, current, again) {
  const mine = token.id === current?.id;
  const done = await confirmTyped({
    title: `Revoke ${token.name}?`,
    text: mine
      ? "This session uses it, and ends with it. So does whoever else uses it."
      : "Whoever uses it is refused from the next request on. That cannot be undone.",
    word: token.name,
    action: "Revoke",
    run: () => call("DELETE", `/v2/tokens/${token.id}`),
  });
  if (!done) return;
  toast(`${token.name} is revoked`, { kind: "good" });
  if (!mine) return again();
  await call("GET", "/v2/users/me").catch(() => null); // refused: the login says so
}
