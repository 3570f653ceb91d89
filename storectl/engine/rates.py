"""The requests of each key, counted for all processes on a folder: a file that they map.

A table of fixed size beside the database. Nothing in it outlives two seconds, so it is
never flushed, and what a crash or another start of the machine leaves does no harm.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock

from storectl.errors import Local
from storectl.model.limits import Window

try:
    import fcntl
except ImportError:  # Windows: each process counts for itself
    fcntl = None  # type: ignore[assignment]

FILE = "rates.lock"
WORDS = 4
"""Of a slot, 64 bits each: hash of the key, and the window's start, before and now."""

SLOTS = 8
"""Of a bucket. A key has its place in one of them; the one idle longest gives way."""

BUCKETS = 2048
BYTES = BUCKETS * SLOTS * WORDS * 8


class SharedRates:
    """Exact over all threads and processes while a bucket has at most eight active keys.

    Beyond that a key may be forgotten, and has its full second again. Raises Local if
    the file cannot be used.
    """

    def __init__(self, folder: Path, clock: Callable[[], int] = time.monotonic_ns) -> None:
        if fcntl is None:
            raise Local("This system has no file locks to count with")
        self._clock = clock  # the same for all processes of a machine
        self._mutex = Lock()
        self._file = -1
        path = folder / FILE
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._fill(path)
            self._map = mmap.mmap(self._file, BYTES)
        except OSError as error:
            self._close_file()
            raise Local(f"{path} cannot be used: {error.strerror}") from None
        except Local:
            self._close_file()
            raise
        self._words = memoryview(self._map).cast("Q")

    def take(self, key: str, rate: int) -> float:
        """See model/limits.py `Rates`."""
        number = number_of(key)
        first = number % BUCKETS * SLOTS * WORDS
        words = self._words
        with self._mutex:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                at_ns = self._clock()
                at = self._place(number, first, at_ns)
                window = Window(*words[at + 1 : at + WORDS]) if words[at] == number else Window()
                window, wait_ns = window.take(rate, at_ns)
                if not wait_ns:
                    words[at], words[at + 1], words[at + 2], words[at + 3] = number, *window
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        return wait_ns / 1e9

    def close(self) -> None:
        """Count no more."""
        with self._mutex:
            if self._file >= 0:
                self._words.release()
                self._map.close()
                self._close_file()

    def _place(self, number: int, first: int, at_ns: int) -> int:
        """Where the slot of a key is, or the one that it may have."""
        words = self._words
        oldest, oldest_start = first, at_ns + 1
        for at in range(first, first + SLOTS * WORDS, WORDS):
            if words[at] == number:
                return at
            start = words[at + 1]
            if start > at_ns:  # of an earlier start of the machine
                start = 0
            if start < oldest_start:
                oldest, oldest_start = at, start
        return oldest

    def _fill(self, path: Path) -> None:
        """Give the file its size, in blocks that are there: a hole could kill who maps it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            size = os.fstat(self._file).st_size
            if size > BYTES:
                raise Local(f"{path} is that of another version of storectl")
            while size < BYTES:
                size += os.pwrite(self._file, bytes(BYTES - size), size)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _close_file(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1


@lru_cache(maxsize=BUCKETS * SLOTS)
def number_of(key: str) -> int:
    """The 64 bits that stand for a key, the same in every process; 0 is an empty slot."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) or 1
