"""Whose turn it is to write to a folder, over all its processes, and how many turns there were.

A file lock in front of the database makes turns fair; without it a writer may wait
for seconds. The first eight bytes of the file count commits, the next eight those of them
that change rights: odd while somebody commits. Whoever remembers what was read, with the
count it had then, sees at once that it is out of date, and sees it too if the writer dies
half-way.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: SQLite's busy timeout alone keeps processes apart
    fcntl = None  # type: ignore[assignment]

FILE = "turns.lock"
BYTES = 16
COMMITS, RIGHTS = 0, 1


class Turns:
    """The turns of one folder. In one that can only be read, nobody takes any."""

    def __init__(self, folder: Path) -> None:
        self._file: int | None = None
        self._committing = False
        if fcntl is None:
            return
        try:
            self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        if os.fstat(self._file).st_size < BYTES:
            with self.turn():
                size = os.fstat(self._file).st_size
                os.pwrite(self._file, bytes(max(0, BYTES - size)), size)
        self._map = mmap.mmap(self._file, BYTES)
        self._count = memoryview(self._map).cast("Q")

    def count(self) -> int | None:
        """A number that every commit changes; None where none is known to be right.

        While this process commits it is the number before: nobody was told yet.
        """
        return self._number(COMMITS)

    def rights(self) -> int | None:
        """The same of commits that change rights."""
        return self._number(RIGHTS)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn and have it."""
        if self._file is None:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    @contextmanager
    def commit(self, *, rights: bool) -> Iterator[None]:
        """Within a turn: what is done here changes what others may remember.

        rights: whether it changes those.
        """
        if self._file is None:
            yield
            return
        counts = [COMMITS]
        if rights or self._count[RIGHTS] & 1:  # odd: whoever was at it has died
            counts.append(RIGHTS)
        for which in counts:  # to an odd number that none had, whatever a dead one left
            self._count[which] += 1 + (self._count[which] & 1)
        self._committing = True
        try:
            yield
        finally:
            for which in counts:
                self._count[which] += 1
            self._committing = False

    def close(self) -> None:
        """Take no more turns."""
        if self._file is not None:
            self._count.release()
            self._map.close()
            os.close(self._file)
            self._file = None

    def _number(self, which: int) -> int | None:
        if self._file is None:
            return None
        count = self._count[which]
        if not count & 1:
            return count
        return count - 1 if self._committing else None
