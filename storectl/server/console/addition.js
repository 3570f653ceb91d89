/** Add a request by hand. */

import { call } from "./api.js";
import { open } from "./dialog.js";
import { h } from "./dom.js";
import { parse, problem } from "./json.js";
import { CLIENT, keyOf } from "./requests.js";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

/**
 * A dialog that adds a request.
 * @param {string} path of the queue
 * @returns {Promise<{wasAlreadyPresent: boolean, wasAlreadyHandled: boolean, requestId: string}|null>}
 */
export function add(path) {
  const field = (id, label, hint, node) =>
    h(
      "div",
      { class: "field" },
      h("label", { for: id }, label),
      node,
      hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    );
  const text = (id, props) =>
    h("input", {
      class: "input mono",
      id,
      autocomplete: "off",
      spellcheck: "false",
      "aria-describedby": `${id}-hint`,
      ...props,
    });
  const area = (id) =>
    h("textarea", {
      class: "textarea",
      id,
      rows: "3",
      spellcheck: "false",
      "aria-describedby": `${id}-hint`,
    });
  const url = text("request-url", {
    autofocus: true,
    placeholder: "https://example.com/page",
    on: { input: derive },
  });
  const key = text("request-key", {});
  const method = h(
    "select",
    { class: "select", id: "request-method" },
    METHODS.map((name) => h("option", name)),
  );
  const [headers, userData, payload] = ["headers", "user-data", "payload"].map((name) =>
    area(`request-${name}`),
  );
  const forefront = h("input", { type: "checkbox", id: "request-forefront" });

  function derive() {
    try {
      key.placeholder = keyOf(url.value);
    } catch {
      key.placeholder = "";
    }
  }

  function object(node, name) {
    const written = node.value.trim();
    if (!written) return {};
    if (problem(written)) throw new Error(`${name}: ${problem(written)}`);
    const found = parse(written);
    if (found === null || typeof found !== "object" || Array.isArray(found))
      throw new Error(`${name} must be a JSON object.`);
    return { [node.dataset.field]: found };
  }

  async function save() {
    try {
      keyOf(url.value);
    } catch {
      throw new Error("The URL must have a scheme and a host, as https://example.com/page.");
    }
    const json = {
      url: url.value.trim(),
      uniqueKey: key.value || keyOf(url.value),
      method: method.value,
      ...object(headers, "Headers"),
      ...object(userData, "User data"),
      ...(payload.value && { payload: payload.value }),
    };
    const query = { forefront: forefront.checked && 1, clientKey: CLIENT };
    return call("POST", `${path}/requests`, { json, query });
  }

  headers.dataset.field = "headers";
  userData.dataset.field = "userData";
  return open({
    title: "Add a request",
    wide: true,
    content: [
      field("request-url", "URL", null, url),
      field(
        "request-key",
        "Unique key",
        "What tells it from others in the queue; the URL if you leave it out.",
        key,
      ),
      h(
        "label",
        { class: "choice", for: "request-forefront" },
        forefront,
        "At the front: it is the next one",
      ),
      h(
        "details",
        { class: "drawer-section" },
        h("summary", "Method, headers, payload, user data"),
        field("request-method", "Method", null, method),
        field("request-headers", "Headers", "A JSON object.", headers),
        field("request-payload", "Payload", "The body that is sent to the URL.", payload),
        field("request-user-data", "User data", 'A JSON object, as {"label": "DETAIL"}.', userData),
      ),
    ],
    actions: [{ label: "Add request", kind: "primary", run: save }],
  });
}
