/** The storages of a kind: searched, sorted, in pages. */

import { h } from "./dom.js";

/** Show the list. */
export async function render(target, context) {
  context.title(context.kind.title);
  target.replaceChildren(h("h1", context.kind.title));
}
