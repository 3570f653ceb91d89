/** Items of a dataset, by their place: the newest first is the same places, read backwards. */

import { send } from "./api.js";
import { canBeAsked } from "./fields.js";
import { parse } from "./json.js";

const PAGE_BYTES = 2_000_000;

/**
 * What is looked at: `count` items as they were when this began; those that come later
 * change no place.
 */
export class Source {
  /** @param {{path: string, storage: object, view: string, clean: boolean, desc: boolean}} given */
  constructor({ path, storage, view, clean, desc }) {
    Object.assign(this, { path, view, clean, desc });
    this.count = storage.itemCount;
    const bytes = storage.stats?.storageBytes;
    this.each = this.count && bytes ? bytes / this.count : 1000;
  }

  /** How many items to ask for at once, at most: an item may have megabytes. */
  atOnce(most) {
    return Math.max(1, Math.min(most, Math.floor(PAGE_BYTES / this.each)));
  }

  /** The number that people give an item: the oldest is 1. */
  numberOf(at) {
    return this.desc ? this.count - at : at + 1;
  }

  /** Where an item with a number is in this order. */
  placeOf(number) {
    return this.desc ? this.count - number : number - 1;
  }

  /** Lines of JSON, one for each item; more or fewer where the view unwinds. whole: no view. */
  async lines(offset, limit, { fields = [], signal, whole = false } = {}) {
    const until = Math.min(offset + limit, this.count);
    if (until <= offset) return [];
    const query = {
      format: "jsonl",
      offset: this.desc ? this.count - until : offset,
      limit: until - offset,
      view: whole ? "" : this.view,
      skipHidden: this.clean,
      fields: fields.length && canBeAsked(fields) ? fields : "",
    };
    const answer = await send("GET", `${this.path}/items`, { query, signal });
    const lines = (await answer.text()).split("\n").filter(Boolean);
    return this.desc ? lines.reverse() : lines;
  }

  /** The same as objects. */
  async rows(offset, limit, given) {
    return (await this.lines(offset, limit, given)).map(parse);
  }
}

/** The names of all fields of rows, in the order they first come. */
export function fieldsOf(rows) {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

/** Of each view of a schema: its ID, title, columns, and whether one item may become several. */
export function viewsOf(schema) {
  const views = schema?.views;
  if (views === null || typeof views !== "object") return [];
  return Object.entries(views).map(([id, view]) => ({
    id,
    title: String(view?.title ?? id),
    labels: view?.display?.properties ?? {},
    fields: view?.transformation?.fields ?? [],
    unwinds: Boolean(view?.transformation?.unwind?.length),
  }));
}
