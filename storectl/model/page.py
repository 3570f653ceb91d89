"""Walking pages to their true end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

Row = TypeVar("Row")


def walk(fetch: Callable[[int], tuple[list[Row], int, int]], start: int = 0) -> Iterator[Row]:
    """Yield every row of an offset listing.

    fetch(offset) answers the rows, how many were scanned, and the total. The walk
    goes on by rows scanned, never by rows returned: a filter may empty a page
    that is not the last.
    """
    offset = start
    while True:
        rows, scanned, total = fetch(offset)
        yield from rows
        offset += scanned
        if not scanned or offset >= total:
            return
