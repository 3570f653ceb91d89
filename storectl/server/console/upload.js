/** Files become records: asked about where a key is taken, sent some at a time, their progress told. */

import { failed, open } from "./dialog.js";
import { bytes, counted, fill, h, icon } from "./dom.js";
import { keyFor, otherKey, put, taken, typeOf } from "./records.js";
import { pooled } from "./rows.js";

const AT_ONCE = 3;
const LISTED = 8; // keys in the question, failures in the end

/** Uploads by the path of their store: they go on while another tab is looked at. */
const running = new Map();

addEventListener("beforeunload", (event) => {
  if (running.size) event.preventDefault();
});

/** The panel of the upload to a store that goes on, null if none does. */
export function underway(path) {
  return running.get(path)?.panel ?? null;
}

/**
 * Upload files; ends when they are there, or were stopped.
 * @param {string} path of the store
 * @param {File[]} files
 * @param {(panel: HTMLElement) => void} show where the progress is told
 */
export async function upload(path, files, show) {
  if (running.has(path)) return failed(new Error("Wait for the upload that goes on, or stop it."));
  const stop = new AbortController();
  const state = { panel: h("section", { class: "uploads card", "aria-label": "Upload" }), stop };
  running.set(path, state);
  show(state.panel);
  try {
    const wanted = await settled(path, files, state);
    if (wanted?.length) await transfer(path, wanted, state);
    else state.panel.remove();
  } catch (error) {
    state.panel.remove();
    failed(error);
  } finally {
    running.delete(path);
  }
}

/** What to upload under which key, once it is clear what becomes of keys that are taken. */
async function settled(path, files, { panel, stop }) {
  fill(panel, h("p", { role: "status" }, "Looking for keys that are taken…"));
  const used = new Set();
  const wanted = files.map((file) => {
    let key = keyFor(file.name);
    if (used.has(key)) key = otherKey(key, used);
    used.add(key);
    return { file, key, sent: 0 };
  });
  const known = new Set();
  const look = async ({ key }) => (await taken(path, key, stop.signal)) && known.add(key);
  const [failure] = await pooled(wanted, look, { many: AT_ONCE });
  if (failure) throw failure.error;
  if (!known.size) return wanted;
  const choice = await asked([...known], wanted.length);
  if (choice === "skip") return wanted.filter(({ key }) => !known.has(key));
  if (choice === "both") {
    for (const one of wanted.filter(({ key }) => known.has(key))) {
      do one.key = otherKey(one.key.replace(/-\d+(\.[^.]*)?$/, "$1"), used);
      while (used.add(one.key) && (await taken(path, one.key, stop.signal)));
    }
  }
  return choice && wanted;
}

function asked(keys, count) {
  const more = keys.length - LISTED;
  const [what, them] =
    keys.length === 1 ? ["A record has this key", "it"] : ["Records have these keys", "them"];
  return open({
    title: `${what} already`,
    content: [
      h(
        "ul",
        { class: "keys mono" },
        keys.slice(0, LISTED).map((key) => h("li", key)),
      ),
      more > 0 && h("p", `and ${more} more of ${counted(count, "file")}`),
      h("p", { class: "hint" }, "Keep both gives the new ones another key, as photo-2.png."),
    ],
    actions: [
      { label: `Skip ${them}`, value: "skip" },
      { label: "Keep both", value: "both" },
      { label: `Replace ${them}`, kind: "danger", value: "replace" },
    ],
  });
}

async function transfer(path, wanted, { panel, stop }) {
  const total = wanted.reduce((sum, { file }) => sum + file.size, 0);
  const bar = h("progress", {
    class: "progress",
    max: String(total || 1),
    "aria-label": "Uploaded",
  });
  const words = h("p", { class: "uploads-words", role: "status" });
  const halt = { type: "button", class: "button", on: { click: () => stop.abort() } };
  fill(
    panel,
    h("div", { class: "uploads-row" }, words, h("button", halt, icon("close"), "Stop")),
    bar,
  );
  let done = 0;
  const tell = () => {
    const sent = wanted.reduce((sum, one) => sum + one.sent, 0);
    bar.value = total ? sent : done;
    words.textContent = `Uploading ${counted(wanted.length, "file")}: ${done} done, ${bytes(sent)} of ${bytes(total)}`;
  };
  tell();
  const work = async (one) => {
    const progress = (sent) => {
      one.sent = Math.min(sent, one.file.size);
      tell();
    };
    await put(path, one.key, one.file, { type: typeOf(one.file), signal: stop.signal, progress });
    one.sent = one.file.size;
    done += 1;
    tell();
  };
  const failures = await pooled(wanted, work, { many: AT_ONCE, signal: stop.signal });
  ended(panel, done, failures, wanted.length);
}

function ended(panel, done, failures, count) {
  const bad = failures.filter(({ error }) => error.name !== "AbortError");
  const stopped = done + bad.length < count;
  const words = [`${counted(done, "file")} uploaded`];
  if (bad.length) words.push(`${bad.length} failed`);
  if (stopped)
    words.push(`stopped before ${counted(count - done - bad.length, "other", "others")}`);
  const shut = {
    type: "button",
    class: "button button-quiet button-icon",
    "aria-label": "Dismiss",
    on: { click: () => panel.remove() },
  };
  fill(
    panel,
    h(
      "div",
      { class: "uploads-row" },
      h(
        "p",
        { class: "uploads-words", role: "status" },
        icon(bad.length ? "alert" : "check"),
        words.join(", "),
      ),
      h("button", shut, icon("close")),
    ),
    bad.length > 0 &&
      h(
        "ul",
        { class: "uploads-bad" },
        bad
          .slice(0, LISTED)
          .map(({ thing, error }) =>
            h("li", h("span", { class: "mono" }, thing.key), `: ${error.message}`),
          ),
        bad.length > LISTED && h("li", `and ${bad.length - LISTED} more`),
      ),
  );
}
