"""What every process of a server has counted, in memory that they share: a file they map.

Each process has a page of its own on it, and only one thread writes any one number, so
nothing is locked and nothing is lost. Who takes the place of a process that was killed
goes on with its page.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from storectl.errors import BY_STATUS
from storectl.model.endpoint import Endpoint
from storectl.server.app import HANDLERS

try:
    import fcntl
except ImportError:  # Windows: there is one process
    fcntl = None  # type: ignore[assignment]

ENDPOINTS = (*HANDLERS, None)
"""None: what led nowhere, and the files of the console."""

STATUSES = tuple(sorted({200, 201, 204, 302, 304, 405, 408, *BY_STATUS}))
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: upper bounds of the histogram of an endpoint. Above them is one class more."""

SINGLE = (
    "starts",
    "in_flight",
    "by_loop",
    "by_writer",
    "by_thread",
    "by_upload",
    "commits",
    "sweeps",
    "sweeps_failed",
    "expired",
)
"""Numbers that there is one of. by_*: calls, by who made them."""

_AT = {name: at for at, name in enumerate(SINGLE)}
_STATUS_AT = {status: at for at, status in enumerate(STATUSES)}
_STATUSES_END = len(STATUSES) + 1
_SUM = _STATUSES_END + len(BOUNDS) + 1
_ROW = _SUM + 1
_ROW_AT = {endpoint: len(SINGLE) + _ROW * at for at, endpoint in enumerate(ENDPOINTS)}
WORDS = len(SINGLE) + _ROW * len(ENDPOINTS)
PAGE_BYTES = -(-WORDS * 8 // mmap.PAGESIZE) * mmap.PAGESIZE


class Page:
    """The numbers of one process."""

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def begin(self) -> None:
        """A request has come."""
        self._words[1] += 1

    def end(self, endpoint: Endpoint | None, status: int, secs: float) -> None:
        """It has been answered, to the last byte, or its sender is gone."""
        words, row = self._words, _ROW_AT[endpoint]
        words[1] -= 1
        words[row + _STATUS_AT.get(status, _STATUSES_END - 1)] += 1
        words[row + _STATUSES_END + bisect_left(BOUNDS, secs)] += 1
        words[row + _SUM] += int(secs * 1e9)

    def add(self, name: str, count: int = 1) -> None:
        """Count something of SINGLE."""
        self._words[_AT[name]] += count

    def renew(self) -> bool:
        """Begin a process with this page; whether another had it before."""
        self._words[_AT["in_flight"]] = 0
        self.add("starts")
        return self._words[_AT["starts"]] > 1


class Board:
    """The pages of all processes. path: an empty file; it is filled by whoever makes the board."""

    def __init__(self, path: Path, processes: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._pages = processes
        size = PAGE_BYTES * processes
        there = os.fstat(self._file).st_size
        if there < size:  # in blocks that are there: a hole could kill who maps it
            os.pwrite(self._file, bytes(size - there), there)
        self._map = mmap.mmap(self._file, size)

    def taken(self) -> Page:
        """A page for this process until it ends, however it does."""
        for at in range(self._pages):
            try:
                if fcntl is not None:  # the system lets go of the lock of whoever was killed
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
            except OSError:
                continue
            return self.page(at)
        return Page(memoryview(bytearray(PAGE_BYTES)).cast("Q"))  # one that ends still has it

    def page(self, at: int) -> Page:
        """One of the pages, whoever has it."""
        return Page(self._words(at))

    def total(self, name: str) -> int:
        """A number of SINGLE, of all processes."""
        return sum(self._words(at)[_AT[name]] for at in range(self._pages))

    def rows(self) -> Iterator[tuple[Endpoint | None, dict[int, int], list[int], float]]:
        """Each endpoint that was asked: answers by status (0: any other), by BOUNDS, seconds."""
        pages = [self._words(at)[:WORDS].tolist() for at in range(self._pages)]
        words = [sum(column) for column in zip(*pages, strict=True)]
        for endpoint, at in _ROW_AT.items():
            row = words[at : at + _ROW]
            by_status = dict(zip((*STATUSES, 0), row[:_STATUSES_END], strict=True))
            found = {status: count for status, count in by_status.items() if count}
            if found:
                yield endpoint, found, row[_STATUSES_END:_SUM], row[_SUM] / 1e9

    def _words(self, at: int) -> memoryview:
        return memoryview(self._map)[at * PAGE_BYTES : (at + 1) * PAGE_BYTES].cast("Q")
