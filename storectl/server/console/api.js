/** Calls of the API, with the token of this session. */

const KEY = "storectl.token";
const TRIES = 5;
const BASE = new URL(".", document.baseURI).href.split(/[?#]/)[0];

/** The token, kept for as long as this tab is open. */
export const session = {
  get token() {
    return sessionStorage.getItem(KEY) ?? "";
  },
  set token(text) {
    sessionStorage.setItem(KEY, text);
    mine = its = null;
  },
  clear() {
    sessionStorage.removeItem(KEY);
    mine = its = null;
  },
};

/** A failure as the API tells it. status 0: there was no answer. */
export class ApiError extends Error {
  constructor(status, type, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.type = type;
  }
}

/** The absolute address of a path of the API, without the token; empty values are left out. */
export function address(path, query = {}) {
  const found = new URL(path.replace(/^\//, ""), BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) {
      found.searchParams.set(name, Array.isArray(value) ? value.join(",") : String(value));
    }
  }
  return found.href;
}

/** One segment of a path: a key, an ID; `.` and `..` too, which an address would resolve. */
export function segment(text) {
  return /^\.{1,2}$/.test(text) ? text.replaceAll(".", "%2E") : encodeURIComponent(text);
}

/**
 * The answer to a call, as it comes. Throws ApiError for a status of 400 and above; waits and
 * asks again after 429, as long as the server says. A 401 leads to the login.
 * @param {{query?: object, json?: any, body?: any, headers?: object, signal?: AbortSignal}} [given]
 */
export async function send(method, path, { query, json, body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (session.token) sent.Authorization = `Bearer ${session.token}`;
  if (json !== undefined) sent["Content-Type"] = "application/json";
  const request = {
    method,
    headers: sent,
    body: json !== undefined ? JSON.stringify(json) : body,
    signal,
    cache: "no-store",
    credentials: "omit",
  };
  for (let tries = 1; ; tries += 1) {
    const answer = await fetched(address(path, query), request);
    if (answer.ok) return answer;
    if (answer.status === 429 && tries < TRIES) {
      await pause(wait(answer), signal);
      continue;
    }
    const error = await failure(answer);
    if (answer.status === 401) dispatchEvent(new CustomEvent("signedout", { detail: error }));
    throw error;
  }
}

/** What is in `data` of the answer to a call, or null for an empty answer. */
export async function call(method, path, given) {
  const answer = await send(method, path, given);
  const text = await answer.text();
  if (!text) return null;
  const found = JSON.parse(text);
  return found !== null && typeof found === "object" && "data" in found ? found.data : found;
}

let mine = null;
let its = null;

/** The user of the session. */
export function me() {
  mine ??= call("GET", "/v2/users/me").catch((error) => {
    mine = null;
    throw error;
  });
  return mine;
}

/** Whether the token of the session may create storages of a kind: as far as its server tells. */
export function mayCreate(kind) {
  its ??= call("GET", "/v2/tokens/current").catch((error) => {
    its = null;
    if (error.status === 401) throw error;
    return null; // a server that does not tell
  });
  return its.then((token) => !token?.scope || token.scope.includes(`${kind.noun}:create`));
}

async function fetched(url, request) {
  try {
    return await fetch(url, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "no-answer", "The server does not answer. Is it still running?");
  }
}

async function failure(answer) {
  let told = {};
  try {
    told = (await answer.json()).error ?? {};
  } catch {
    // not the API: a proxy, or an answer to HEAD
  }
  const message = told.message ?? `The server answers ${answer.status}`;
  return new ApiError(answer.status, told.type ?? "", message);
}

function wait(answer) {
  const ms = Number(answer.headers.get("Retry-After-Ms"));
  return ms || 1000 * (Number(answer.headers.get("Retry-After")) || 1);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
