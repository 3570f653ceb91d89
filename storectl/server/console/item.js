/** Items one by one, as the JSON that was stored. */

import { copyButton, failed } from "./dialog.js";
import { h, icon, number } from "./dom.js";
import { drawer } from "./drawer.js";
import { shown as json } from "./json.js";

/** A page of items below each other. */
export function jsonPage({ source, views, state }, lines, offset) {
  const view = views.find((one) => one.id === state.view);
  return lines.map((line, at) => {
    const name = view?.unwinds ? `Row ${number(at + 1)}` : `Item ${number(source.numberOf(offset + at))}`;
    const left = state.clean && line === "{}" ? h("span", { class: "badge" }, "left out of clean exports") : null;
    return h(
      "section",
      { class: "item-json" },
      h("div", { class: "item-head" }, h("h2", { class: "item-name" }, name), left, copyButton(line, `Copy ${name.toLowerCase()}`)),
      json(line, name),
    );
  });
}

/** All of one item, at the right; the arrows go on to its neighbours. */
export function openItem({ source, context }, start) {
  let at = start;
  const panel = drawer({
    label: "Item",
    signal: context.signal,
    onKey: (key) => {
      if (key === "ArrowDown" || key === "ArrowRight") go(at + 1);
      if (key === "ArrowUp" || key === "ArrowLeft") go(at - 1);
    },
  });
  const step = (label, there, drawing) =>
    h(
      "button",
      {
        type: "button",
        class: "button button-quiet button-icon",
        "aria-label": label,
        title: label,
        disabled: there < 0 || there >= source.count,
        on: { click: () => go(there) },
      },
      icon(drawing),
    );
  const go = async (there) => {
    if (there < 0 || there >= source.count) return;
    at = there;
    try {
      const [line = ""] = await source.lines(at, 1, { signal: context.signal, whole: true });
      if (at !== there) return;
      const name = `Item ${number(source.numberOf(at))}`;
      panel.show({
        title: name,
        steps: [step("Previous item", at - 1, "back"), step("Next item", at + 1, "chevron")],
        actions: copyButton(line, "Copy the JSON", { words: true }),
        body: json(line, name),
      });
    } catch (error) {
      failed(error);
    }
  };
  go(at);
}
