"""Datasets on a remote API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from storectl.client.http import reading, to_params
from storectl.client.storage import Keeper, known_as
from storectl.errors import Internal
from storectl.model import dataset, rules
from storectl.model.dataset import Dataset, ItemsPage, ItemsQuery
from storectl.model.items import Items

MOST_LINE_BYTES = 64 * 1024 * 1024
"""An item of 9 MiB may be spelled in six times as many bytes: `\\u00e9` for two."""

PACKED_OR_PLAIN = {"Accept": f"{dataset.PACKED}, */*"}
"""Items come as our server keeps them, and from any other as ever."""

MAX_BATCH_BYTES = rules.MAX_PAYLOAD_BYTES - 1024


class Datasets(Keeper[Dataset]):
    """The keeper of datasets. See model/dataset.py for the promise."""

    noun = "dataset"
    made = Dataset
    LIST, CREATE, GET = dataset.LIST, dataset.CREATE, dataset.GET
    UPDATE, DELETE = dataset.UPDATE, dataset.DELETE

    def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
        params = to_params(query)
        if query.limit == 0:
            return self._no_items(ref, query)
        params["format"] = "jsonl"
        with known_as(self.noun, ref):
            answer = self.http.send(
                dataset.ITEMS, ref=ref, query=params, headers=PACKED_OR_PLAIN, stream=True
            )
        head = answer.headers
        try:
            total = int(head["x-apify-pagination-total"])
            scanned = int(head["x-apify-pagination-count"])
        except (KeyError, ValueError):
            answer.close()
            raise self.http.strange("it has no pagination headers") from None
        blocks = reading(answer, self.http.host)
        packed = None
        if head.get("content-type") == dataset.PACKED:
            from storectl.formats.frames import unframed  # from our server only

            packed, blocks = blocks, unframed(blocks)
        return ItemsPage(
            total=total,
            offset=query.offset,
            limit=query.limit,
            desc=query.desc,
            scanned=scanned,
            lines=ended_lines(blocks),
            is_checked=head.get(dataset.CHECKED[0].lower()) == dataset.CHECKED[1],
            packed=packed,
        )

    def push(self, ref: str, items: Items, *, idempotency_key: str | None = None) -> None:
        """Send the items, in as many calls as the limit of 9 MiB needs."""
        key = idempotency_key or rules.new_id()
        with known_as(self.noun, ref):
            for at, part in enumerate(items.split(MAX_BATCH_BYTES)):
                self.http.send(
                    dataset.PUSH,
                    ref=ref,
                    content=part.json(),
                    idempotency_key=f"{key}-{at}" if at else key,
                )

    def keeps_keys(self) -> bool:
        return self.http.keeps_keys()

    def statistics(self, ref: str) -> dict[str, Any]:
        with known_as(self.noun, ref):
            return self.http.data(dataset.STATISTICS, dict[str, Any], ref=ref)

    def _no_items(self, ref: str, query: ItemsQuery) -> ItemsPage:
        """The API reads limit=0 as no limit, a caller means none."""
        return ItemsPage(
            total=self.get(ref).item_count,
            offset=query.offset,
            limit=0,
            desc=query.desc,
            scanned=0,
            lines=(),
        )


def ended_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks of a stream as they come; a last line without its newline gets one.

    Raises Internal if that is no whole item, or for a line that is longer than any item.
    """
    line: list[bytes] = []
    size = 0
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if cut:
            line, size = [], 0
        if cut < len(block):
            line.append(block)
            size += len(block) - cut
        if size > MOST_LINE_BYTES:
            raise Internal(f"The answer has an item over {MOST_LINE_BYTES:,} bytes")
        yield block
    rest = b"".join(line).rpartition(b"\n")[2]
    if rest.strip():
        _check(rest)
        yield b"\n"


def _check(line: bytes) -> None:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise Internal("The answer ends inside of an item") from None
