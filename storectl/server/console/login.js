/** The way in: an API token, which the server is asked about before it is kept. */

import { ApiError, address, session } from "./api.js";
import { copyButton } from "./dialog.js";
import { fill, h } from "./dom.js";

const COMMAND = "storectl token create --user NAME";

/**
 * The screen.
 * @param {{problem: string, done: () => void}} given problem: why one has to log in again
 */
export function login({ problem, done }) {
  const told = h("p", { class: "problem", role: "alert", hidden: !problem }, problem);
  const input = h("input", {
    class: "input mono",
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-hint",
  });
  const button = h("button", { type: "submit", class: "button button-primary" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    told.hidden = true;
    button.disabled = true;
    try {
      await check(input.value.trim());
      session.token = input.value.trim();
      done();
    } catch (error) {
      fill(told, error.message);
      told.hidden = false;
      button.disabled = false;
      input.focus();
    }
  };
  return h(
    "main",
    { class: "login", id: "main" },
    h(
      "div",
      { class: "card" },
      h("h1", { class: "brand" }, h("img", { src: "console/icon.svg", alt: "" }), "storectl"),
      h(
        "form",
        { on: { submit } },
        told,
        h(
          "div",
          { class: "field" },
          h("label", { for: "token" }, "API token"),
          input,
          h(
            "p",
            { class: "hint", id: "token-hint" },
            "It is kept until this tab is closed, and nowhere else.",
          ),
        ),
        button,
      ),
      h(
        "div",
        { class: "hint" },
        h("p", "Where the store is, this makes a token:"),
        h("p", { class: "copyline" }, h("code", COMMAND), copyButton(COMMAND, "Copy the command")),
      ),
    ),
  );
}

async function check(token) {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error("A token has no spaces and only plain letters.");
  const headers = { Authorization: `Bearer ${token}` };
  let answer;
  try {
    answer = await fetch(address("/v2/users/me"), { headers, cache: "no-store" });
  } catch {
    throw new ApiError(0, "no-answer", "The server does not answer. Is it still running?");
  }
  if (answer.status === 401) throw new ApiError(401, "", "The server does not know this token.");
  if (!answer.ok) throw new ApiError(answer.status, "", `The server answers ${answer.status}.`);
}
