"""The rows of a dataset in windows: fetched ahead by threads, handed over in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING

from msgspec.structs import replace

from storectl.errors import Internal, Network
from storectl.formats.blocks import decoder, recut, whole_lines
from storectl.formats.jsonl import are_objects
from storectl.model.dataset import Dataset, Datasets, ItemsPage, ItemsQuery
from storectl.model.items import Item
from storectl.model.memory import keep_freed

if TYPE_CHECKING:
    from concurrent.futures import Future

WINDOW_BYTES = 4 * 1024 * 1024
"""Of one call, at most: its round trip does not count."""

AHEAD_BYTES = 12 * 1024 * 1024
"""Of all calls at once, however many there are: a process has two to three times as much."""

KEPT_BYTES = 32 * 1024 * 1024
"""What is freed meanwhile and kept for the next window, at most."""

PACKED_JOBS = 3
"""Calls at once to a server that sends items as it keeps them, where an answer is a sixth as
long: its time goes into the two chunks that each window cuts, so that few large ones are best."""

FEWEST_ROWS, MOST_ROWS, ROWS = 100, 50_000, 5_000
"""Of one call: at least, at most, and where the size of items is not known."""

FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 0.5, 30.0

Window = tuple[int, Iterable[bytes]]
"""How many rows were scanned, and JSON lines in blocks, cut anywhere."""


def rows_of_window(dataset: Dataset, jobs: int) -> int:
    """How many items one of so many calls at once should get, by their mean size."""
    size = (dataset.stats or {}).get("storageBytes")
    if not isinstance(size, int) or size <= 0 or not dataset.item_count:
        return ROWS
    return min(max(_bytes_of_window(jobs) * dataset.item_count // size, FEWEST_ROWS), MOST_ROWS)


def _bytes_of_window(jobs: int) -> int:
    """The share of one call in what is fetched ahead; one window more waits to be read."""
    return min(AHEAD_BYTES // (jobs + 1), WINDOW_BYTES)


class Rows:
    """The rows that a query selects, as the dataset is when it is first asked.

    total: items in the dataset then; items that come later are not among the rows.
    jobs: calls at once, at most; 0 reads in this thread, for a store in this process.
    retries: how often a body that breaks off is asked for again; retried: how often it was.
    """

    def __init__(
        self,
        datasets: Datasets,
        ref: str,
        query: ItemsQuery,
        *,
        total: int | None = None,
        jobs: int = 0,
        retries: int = 8,
    ) -> None:
        self.datasets, self.ref, self.query = datasets, ref, query
        self.jobs, self.retries = jobs, retries
        self.retried = 0
        self._grown = 0
        self._over = False
        self.total = total if total is not None and not jobs else self._seen(total)

    def __len__(self) -> int:
        rows = max(self.total - self.query.offset, 0)
        return rows if self.query.limit is None else min(rows, self.query.limit)

    def windows(self, start: int, size: int) -> Iterator[Window]:
        """The rows from `start` on, `size` of them at a time, each window to be read at once."""
        cuts = ((at, min(at + size, len(self))) for at in range(start, len(self), size))
        if not self.jobs:
            for at, end in cuts:
                yield end - at, self._streamed(at, end)
            return
        from concurrent.futures import ThreadPoolExecutor  # 8 ms, for large reads only

        keep_freed(KEPT_BYTES, KEPT_BYTES)
        self._over = False  # rows may be walked again
        pool = ThreadPoolExecutor(self.jobs, "window")
        waiting: deque[Future[Window]] = deque()
        try:
            for cut in cuts:
                waiting.append(pool.submit(self._held, *cut))
                if len(waiting) > self.jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            self._over = True
            pool.shutdown(wait=False, cancel_futures=True)

    def _seen(self, total: int | None) -> int:
        """Look at the first row: how many there are if that is not known, and how they come."""
        # Of a page, not of the description of the dataset, which may lag behind.
        query = replace(self.query, limit=1)
        page, _ = self.whole(lambda: self.datasets.items(self.ref, query))
        if page.packed is not None:
            self.jobs = min(self.jobs, PACKED_JOBS)
        return page.total if total is None else total

    def _streamed(self, at: int, end: int) -> Iterator[bytes]:
        while at < end:
            page = self._page(at, end)
            yield from checked(page, self.query)
            at += page.scanned

    def _held(self, start: int, end: int) -> Window:
        """A whole window, however many answers it takes: a server may give less than is asked."""
        at = start
        parts: list[Iterable[bytes]] = []
        while at < end:
            scanned, blocks = self.answer(at, end)
            parts.append(blocks)
            at += scanned
        return end - start, chain.from_iterable(parts)

    def answer(self, at: int, end: int) -> Window:
        """One answer to its end, with rows [at, end) or as many of them as the server gives."""
        page, blocks = self.whole(lambda: self._page(at, end))
        return page.scanned, blocks

    def whole(self, ask: Callable[[], ItemsPage]) -> tuple[ItemsPage, Iterable[bytes]]:
        """A page and its lines, read to their end; asked for again if it breaks off."""
        for attempt in count():
            page = ask()  # the client tries again by itself
            try:
                passed = self._unless_over(counted(page, self.query))
                blocks = held(passed, _bytes_of_window(self.jobs) * 5 // 4)
                return page, blocks if page.is_checked else objects(blocks)
            except (Network, Internal):
                if attempt >= self.retries or self._over:
                    raise
                self.retried += 1
                from random import uniform  # few answers break off

                longest = min(FIRST_WAIT_SECS * 2**attempt, LONGEST_WAIT_SECS)
                time.sleep(uniform(0, longest))
        raise AssertionError

    def _unless_over(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self._over:
                raise Network("stopped")
            yield block

    def _page(self, at: int, end: int) -> ItemsPage:
        """The answer for rows [at, end). Newest first, positions move as the dataset grows."""
        for _ in range(100):
            grown = self._grown
            offset = self.query.offset + at + grown
            page = self.datasets.items(self.ref, replace(self.query, offset=offset, limit=end - at))
            if self.query.desc and page.total != self.total + grown:
                self._grown = page.total - self.total
                with suppress(Network, Internal):
                    _drain(page)
                continue
            if not page.scanned:
                raise Network(
                    f"the dataset had {self.total:,} items, and none come from {offset:,} on"
                )
            return page
        raise Network("the dataset grows faster than it can be read newest first")


def _drain(page: ItemsPage) -> None:
    for _ in page.lines:
        pass  # an answer that is read to its end gives its connection back


def checked(page: ItemsPage, query: ItemsQuery) -> Iterator[bytes]:
    """The blocks of a page: as many items as the store announced, each a JSON object.

    Raises Network if fewer come, and Internal at what is no object.
    """
    blocks = counted(page, query)
    return blocks if page.is_checked else objects(blocks)


def counted(page: ItemsPage, query: ItemsQuery) -> Iterator[bytes]:
    """The blocks of a page. Raises Network if fewer items come than the store announced."""
    if page.is_checked:  # by this process or our server; HTTP tells what breaks off
        yield from page.lines
        return
    count = 0
    for block in page.lines:
        count += block.count(b"\n")
        yield block
    if count != page.scanned and not query.shapes:
        raise Network(f"only {count:,} of {page.scanned:,} items came; the answer was cut off")


def objects(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines again. Raises Internal at one that is not a JSON object.

    That takes half as long as decoding them all: 2.4 s a gigabyte.
    """
    decode = decoder()
    for block in recut(whole_lines(blocks)):
        lines = block.split(b"\n")
        del lines[-1]  # what is behind the last newline
        if not are_objects(block, lines) and not all(_is_object(decode(line)) for line in lines):
            raise Internal("The store holds an item that is not a JSON object")
        yield block


def _is_object(values: list[Item]) -> bool:
    return len(values) == 1 and isinstance(values[0], dict)


def held(blocks: Iterable[bytes], most: int) -> Iterable[bytes]:
    """All blocks, taken at once: in memory, or on disk what is over so many bytes."""
    kept: list[bytes] = []
    size = 0
    source = iter(blocks)
    for block in source:
        kept.append(block)
        size += len(block)
        if size >= most:
            break
    else:
        return kept
    from tempfile import TemporaryFile  # few windows are that large

    spool = TemporaryFile()  # noqa: SIM115 goes with its last reader
    for block in source:
        spool.write(block)
    spool.seek(0)
    return chain(kept, iter(partial(spool.read, 256 * 1024), b""))
