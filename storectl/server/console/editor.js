/** Write a record by hand. */

import { open } from "./dialog.js";
import { h } from "./dom.js";
import { problem } from "./json.js";
import { KEY_RULE, isKey, kindOf, put, taken } from "./records.js";

const TYPES = [
  ["application/json; charset=utf-8", "JSON"],
  ["text/plain; charset=utf-8", "Text"],
  ["text/html; charset=utf-8", "HTML"],
  ["text/csv; charset=utf-8", "CSV"],
  ["text/markdown; charset=utf-8", "Markdown"],
  ["application/xml; charset=utf-8", "XML"],
];

/**
 * A dialog for a new record, or for one that there is.
 * @param {string} path of the store
 * @param {{key: string, type: string, text: string}} [old] what there is; its key stays
 * @returns {Promise<{key: string, contentType: string, size: number}|null>} what was written
 */
export function edit(path, old) {
  const key = h("input", {
    class: "input mono",
    id: "record-key",
    value: old?.key ?? "",
    readonly: Boolean(old),
    autofocus: !old,
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "record-key-hint",
  });
  const types = old && !TYPES.some(([type]) => type === old.type) ? [[old.type, old.type]] : [];
  const type = h(
    "select",
    { class: "select", id: "record-type", value: old?.type ?? TYPES[0][0], on: { change: check } },
    [...types, ...TYPES].map(([value, words]) => h("option", { value }, words)),
  );
  const text = h("textarea", {
    class: "textarea editor",
    id: "record-text",
    value: old?.text ?? "",
    rows: "16",
    spellcheck: "false",
    autofocus: Boolean(old),
    "aria-describedby": "record-check",
    on: { input: check },
  });
  const checked = h("p", { class: "hint", id: "record-check", role: "status" });

  function check() {
    const why = kindOf(type.value) === "json" && !isLines(type.value) ? problem(text.value) : "";
    checked.className = why && text.value.trim() ? "hint hint-bad" : "hint";
    if (why === "") checked.textContent = "";
    else if (!text.value.trim()) checked.textContent = "No JSON yet";
    else checked.textContent = why ? `Not JSON: ${why}` : "This is JSON";
    return why || null;
  }

  async function save() {
    if (!old && !isKey(key.value)) throw new Error(KEY_RULE);
    const why = check();
    if (why) throw new Error(`The text is not JSON: ${why}`);
    if (!old && (await taken(path, key.value))) {
      if (!(await replaces(key.value))) return false;
    }
    // A field knows one end of lines alone.
    const lines = old?.text.includes("\r\n") ? text.value.replaceAll("\n", "\r\n") : text.value;
    const body = new Blob([lines], { type: type.value });
    await put(path, key.value, body, { type: type.value });
    return { key: key.value, contentType: type.value, size: body.size };
  }

  check();
  return open({
    title: old ? "Edit the record" : "New record",
    wide: true,
    content: [
      h(
        "div",
        { class: "editor-top" },
        h(
          "div",
          { class: "field" },
          h("label", { for: "record-key" }, "Key"),
          key,
          h(
            "p",
            { class: "hint", id: "record-key-hint" },
            old ? "The key stays as it is." : KEY_RULE,
          ),
        ),
        h("div", { class: "field" }, h("label", { for: "record-type" }, "Content type"), type),
      ),
      h("div", { class: "field" }, h("label", { for: "record-text" }, "Content"), text, checked),
    ],
    actions: [{ label: "Save", kind: "primary", run: save }],
  });
}

function isLines(type) {
  return /ndjson|jsonl/.test(type);
}

async function replaces(key) {
  const found = await open({
    title: "Replace the record?",
    content: h("p", "There is a record ", h("code", key), " already. What it holds is lost."),
    actions: [{ label: "Replace it", kind: "danger", value: true }],
  });
  return found === true;
}
