"""Datasets over HTTP."""

from __future__ import annotations

from storectl.formats import FORMATS, Options, write
from storectl.model import dataset, rules
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.storage import Storage
from storectl.server.storage import handlers, signed_query
from storectl.server.wire import Answer, Call, bad_parameter, created, data, streamed, url


def push(call: Call) -> Answer:
    """Append the items of the body, all or none.

    An Idempotency-Key, remembered for 24 hours, makes a repeated push harmless.
    """
    items = Items.from_json(call.payload())
    call.store.datasets.push(call.ref, items, idempotency_key=call.idempotency_key)
    return created(url(call.base, f"/v2/datasets/{call.ref}/items"))


def items(call: Call) -> Answer:
    """A window of items in one of seven formats, streamed."""
    name = call.text("format") or "json"
    kind = FORMATS.get(name)
    if kind is None or name not in SERVED:
        raise bad_parameter("format", "one of " + ", ".join(SERVED), name)
    query = items_query(call)
    options = _options(call, query)
    page = call.store.datasets.items(call.ref, query)
    limit = rules.NO_LIMIT if page.limit is None else page.limit
    plain = name != "jsonl" or options.bom or not page.scanned
    packed = None if plain or not _takes_packed(call) else page.packed
    headers = [
        ("Content-Type", kind.media_type if packed is None else dataset.PACKED),
        ("X-Apify-Pagination-Offset", str(page.offset)),
        ("X-Apify-Pagination-Limit", str(limit)),
        ("X-Apify-Pagination-Count", str(page.scanned)),
        ("X-Apify-Pagination-Total", str(page.total)),
        ("X-Apify-Pagination-Desc", "true" if page.desc else "false"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if name == "jsonl" and page.is_checked:
        headers.append(dataset.CHECKED)
    if packed is not None:
        headers.append(("Vary", "Accept"))
    if name in ("html", "xml", "rss"):
        headers.append(("Content-Security-Policy", "sandbox"))
    if call.flag("attachment"):
        filename = f"dataset_{call.ref}.{kind.suffix.lstrip('.')}{'.zst' if packed else ''}"
        headers.append(("Content-Disposition", f'attachment; filename="{filename}"'))
    if call.environ["REQUEST_METHOD"] == "HEAD":
        return Answer(200, headers)
    if packed is not None:
        return streamed(200, headers, packed)
    length = page.bytes if name == "jsonl" and not options.bom else None
    return streamed(200, headers, write(name, page.lines, options), length=length)


def statistics(call: Call) -> Answer:
    """Of each field of the dataset's schema: min, max, nullCount, emptyCount."""
    return data(call.store.datasets.statistics(call.ref))


def items_query(call: Call) -> ItemsQuery:
    """The query of GET items."""
    limit = call.whole("limit")
    return ItemsQuery(
        offset=call.whole("offset", 0) or 0,
        limit=limit or None,  # 0 is how the Python client says "no limit"
        desc=call.flag("desc"),
        clean=call.flag("clean"),
        skip_hidden=call.flag("skipHidden"),
        skip_empty=call.flag("skipEmpty"),
        fields=call.listed("fields"),
        output_fields=call.listed("outputFields"),
        omit=call.listed("omit"),
        unwind=call.listed("unwind"),
        flatten=call.listed("flatten"),
        view=call.text("view"),
        simplified=call.flag("simplified"),
        skip_failed_pages=call.flag("skipFailedPages"),
    )


def _takes_packed(call: Call) -> bool:
    """Whether the caller names the type of packed items, which nobody does by chance."""
    accepted = call.environ.get("HTTP_ACCEPT", "")
    return dataset.PACKED in [kind.strip().lower() for kind in accepted.split(",")]


SERVED = ("json", "jsonl", "csv", "html", "xlsx", "xml", "rss")


def _options(call: Call, query: ItemsQuery) -> Options:
    delimiter = call.query.get("delimiter", ",") or ","
    if len(delimiter) != 1:
        raise bad_parameter("delimiter", "one character", delimiter)
    return Options(
        delimiter=delimiter,
        bom=call.flag("bom") if "bom" in call.query else None,
        skip_header_row=call.flag("skipHeaderRow"),
        xml_root=call.text("xmlRoot") or "items",
        xml_row=call.text("xmlRow") or "item",
        feed_title=call.text("feedTitle") or f"Dataset {call.ref}",
        feed_description=call.text("feedDescription") or f'Items in dataset with id "{call.ref}".',
        feed_link=url(call.base, f"/v2/datasets/{call.ref}/items"),
        columns=query.columns,
    )


def _links(call: Call, storage: Storage) -> dict[str, str]:
    path = f"/v2/datasets/{storage.id}/items"
    return {"items_public_url": url(call.base, path, **signed_query(call, storage))}


_common = handlers("dataset", lambda call: call.store.datasets, _links)

HANDLERS = {
    dataset.LIST: _common["LIST"],
    dataset.CREATE: _common["CREATE"],
    dataset.GET: _common["GET"],
    dataset.UPDATE: _common["UPDATE"],
    dataset.DELETE: _common["DELETE"],
    dataset.ITEMS: items,
    dataset.PUSH: push,
    dataset.STATISTICS: statistics,
}
