"""All items of a dataset, once, handed to whoever looks at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from storectl.formats.blocks import recut, whole_lines
from storectl.transfer.events import Advanced, Event, Finished, Started
from storectl.transfer.windows import Window


def scan(total: int, windows: Iterable[Window], take: Callable[[bytes], None]) -> Iterator[Event]:
    """Give every item to `take`, in order, as blocks of JSON lines of about 64 KiB.

    total: rows in all windows. What `take` raises ends the scan.
    """
    begin = time.monotonic()
    yield Started(total=total)
    items = size = rows = 0
    for scanned, blocks in windows:
        for block in recut(whole_lines(blocks)):
            take(block)
            items += block.count(b"\n")
            size += len(block)
            yield Advanced(items, size, rows)
        rows += scanned
    yield Finished(items, size, time.monotonic() - begin)
