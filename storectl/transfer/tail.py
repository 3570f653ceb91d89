"""The end of a dataset, and what is appended to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from storectl.formats.blocks import whole_lines
from storectl.model.dataset import Datasets, ItemsQuery
from storectl.transfer.windows import ROWS, Rows

POLL_SECS = 1.0


def tail(
    datasets: Datasets,
    ref: str,
    *,
    from_end: int = 10,
    follow: bool = False,
    until_idle_secs: float | None = None,
    max_items: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Yield the last items as blocks of JSON lines; with follow also those that come.

    Ends after max_items, or if nothing has come for until_idle_secs; else with follow never.
    """
    rows = Rows(datasets, ref, ItemsQuery())
    end = rows.total
    at = max(end - from_end, 0)
    left = max_items
    idle_since = clock()
    while left is None or left > 0:
        room = ROWS if left is None else min(left, ROWS)
        query = ItemsQuery(offset=at, limit=room if follow else min(room, end - at))
        page, blocks = rows.whole(partial(datasets.items, ref, query))
        yield from whole_lines(blocks)
        at += page.scanned
        left = None if left is None else left - page.scanned
        if not follow and (at >= end or not page.scanned):
            return
        if page.scanned:
            idle_since = clock()
        if at < page.total and page.scanned:
            continue
        if until_idle_secs is not None and clock() - idle_since >= until_idle_secs:
            return
        if left is None or left > 0:
            sleep(POLL_SECS)
