/** What all who handle requests know: their state, what names them, and what can be done to one. */

import { call, send } from "./api.js";
import { agoText, ago, exactly, h } from "./dom.js";
import { parse } from "./json.js";
import { pooled } from "./rows.js";

/** Who the console is to a queue that it writes to; to look, as `observe`, is to be no client. */
export const CLIENT = "storectl-console";

const FAILED = [5, 6]; // of Crawlee's marks: JavaScript says 5, Python 6
const KINDS = { pending: "accent", locked: "warn", handled: "good", failed: "bad" };

/** Where a request stands; failed is handled without success. As `state_of` of the command line. */
export function stateOf(request) {
  if (!request.handledAt) return request.lockExpiresAt ? "locked" : "pending";
  const mark = request.userData?.__crawlee?.state;
  if (Number.isInteger(mark)) return FAILED.includes(mark) ? "failed" : "handled";
  return request.errorMessages?.length ? "failed" : "handled";
}

/** @param {string} state */
export function stateBadge(state) {
  return h("span", { class: `badge badge-${KINDS[state]}` }, state);
}

/** What tells a URL from others where its request does not say so: as Crawlee has it. */
export function keyOf(url) {
  const { protocol, host, pathname, searchParams } = new URL(url.trim());
  if (!host) throw new TypeError("no host");
  const query = new URLSearchParams([...searchParams].filter(([name]) => !name.startsWith("utm_")));
  query.sort();
  return `${protocol}//${host}${pathname.replace(/\/$/, "")}${query.size ? `?${query}` : ""}`;
}

function pathOf(path, { id }) {
  return `${path}/requests/${encodeURIComponent(id)}`;
}

/** The request as it is now, its numbers as they were written. */
export async function fresh(path, request, signal) {
  const answer = await send("GET", pathOf(path, request), { signal });
  return parse(await answer.text()).data;
}

/** Make a handled request pending again, as if nobody had visited it. False if it is none by now. */
export async function retry(path, request) {
  const found = await fresh(path, request);
  if (!found.handledAt) return false;
  const again = { ...found, handledAt: null, retryCount: 0, errorMessages: [] };
  const mark = found.userData?.__crawlee;
  if (mark instanceof Object && !Array.isArray(mark)) {
    const { state, sessionRotationCount, ...kept } = mark;
    again.userData = { ...found.userData, __crawlee: kept };
  }
  await call("PUT", pathOf(path, found), { json: again, query: { clientKey: CLIENT } });
  return true;
}

/** Take a lock from who holds it, in its name. False if there is none by now. */
export async function unlock(path, request) {
  const found = await fresh(path, request);
  if (stateOf(found) !== "locked") return false;
  const query = { clientKey: found.lockByClient };
  await call("DELETE", `${pathOf(path, found)}/lock`, { query });
  return true;
}

/** Delete requests, 25 in a call. */
export async function remove(path, requests) {
  for (let at = 0; at < requests.length; at += 25) {
    const json = requests.slice(at, at + 25).map(({ id }) => ({ id }));
    await call("DELETE", `${path}/requests/batch`, { json, query: { clientKey: CLIENT } });
  }
}

/** Since when a request is handled, or when it unlocks. */
export function since(request, state = stateOf(request)) {
  if (state === "locked") {
    const until = request.lockExpiresAt;
    return h("time", { datetime: until, title: exactly(until) }, `unlocks ${agoText(until)}`);
  }
  return request.handledAt ? ago(request.handledAt) : null;
}

const SOUGHT = 1000; // requests in a call that looks for a state
const CALLS = 20;

/** Requests that are looked through for one page. */
export const MOST_SOUGHT = CALLS * SOUGHT;

/** What can be listed; `sought` are states that the API has no filter for. */
export const VIEWS = {
  all: { title: "All", query: {}, empty: "No requests yet" },
  next: { title: "In order", query: { inOrder: 1 }, empty: "Nothing is left to be handled" },
  pending: { title: "Pending", query: { filter: "pending" }, empty: "No request is pending" },
  locked: { title: "Locked", query: { filter: "locked" }, empty: "No request is locked" },
  handled: { title: "Handled", sought: true, empty: "No request was handled with success" },
  failed: { title: "Failed", sought: true, empty: "No request has failed" },
};

/**
 * A page of a view.
 * @param {string} path of the queue
 * @param {keyof VIEWS} view
 * @param {{after: string|null, limit: number, signal: AbortSignal}} given after: what the page
 *   before gave as next
 * @returns {Promise<{items: object[], next: string|null, calls: number, unsure?: boolean}>}
 *   unsure: MOST_SOUGHT were looked through, and there are more
 */
export async function listed(path, view, given) {
  const { query, sought } = VIEWS[view];
  if (sought) return seek(path, view, given);
  const { after: cursor, limit, signal } = given;
  const all = { ...query, cursor, limit, observe: 1 };
  const page = await call("GET", `${path}/requests`, { query: all, signal });
  return { items: page.items, next: page.nextCursor ?? null, calls: 1 };
}

async function seek(path, state, { after, limit, signal }) {
  const items = [];
  for (let calls = 1; ; calls += 1) {
    const all = await following(path, after, signal);
    items.push(...all.filter((one) => stateOf(one) === state));
    if (items.length > limit) {
      return { items: items.slice(0, limit), next: items[limit - 1].id, calls };
    }
    if (all.length < SOUGHT) return { items, next: null, calls };
    after = all.at(-1).id;
    if (items.length === limit) return { items, next: after, calls };
    if (calls === CALLS) return { items, next: after, calls, unsure: true };
  }
}

/** Requests by their ID, those after one. */
async function following(path, id, signal) {
  const query = { limit: SOUGHT, exclusiveStartId: id, observe: 1 };
  return (await call("GET", `${path}/requests`, { query, signal })).items;
}

/** Make all failed requests pending again; how many there were. */
export async function retryFailed(path) {
  let count = 0;
  for (let after = null; ;) {
    const all = await following(path, after);
    const some = all.filter((one) => stateOf(one) === "failed");
    const [failure] = await pooled(some, async (one) => {
      if (await retry(path, one)) count += 1;
    });
    if (failure) throw failure.error;
    if (all.length < SOUGHT) return { count };
    after = all.at(-1).id;
  }
}
