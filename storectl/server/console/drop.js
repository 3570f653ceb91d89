/** Files that are dropped onto a part of the page. */

import { toast } from "./dialog.js";

/** Give the files of every drop onto a node to `take`; while some are above it, it shows that. */
export function takeDrops(node, take) {
  let inside = 0;
  const over = (on) => node.classList.toggle("records-over", on);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const on = (name, fn) =>
    node.addEventListener(name, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      fn(event);
    });
  on("dragenter", () => over((inside += 1) > 0));
  on("dragleave", () => over((inside -= 1) > 0));
  on("dragover", (event) => (event.dataTransfer.dropEffect = "copy"));
  on("drop", (event) => {
    over((inside = 0) > 0);
    take(dropped(event.dataTransfer));
  });
}

/** The files of a drop; a folder has no content that could be sent. */
function dropped(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory);
  if (folders.length) {
    toast("Folders are left out. storectl kvs push uploads them.", { kind: "bad" });
  }
  return items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile());
}
