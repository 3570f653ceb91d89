"""The body of a record on its way in."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import chain

from storectl.model.kvs import Record, counted


class Upload:
    """A body on its way in. size and digest are those of the blocks so far."""

    def __init__(self, record: Record) -> None:
        self.key = record.key
        self.size = 0
        self._hash = sha256()
        self._held: list[bytes] = []
        self._coming = self._count(record)

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def whole(self, most_bytes: int) -> bytes | None:
        """The body if it is that small; else None, and then it can be iterated."""
        for block in self._coming:
            self._held.append(block)
            if self.size > most_bytes:
                return None
        return b"".join(self._held)

    def __iter__(self) -> Iterator[bytes]:
        return chain(self._held, self._coming)

    def _count(self, record: Record) -> Iterator[bytes]:
        for block in counted(record):
            self.size += len(block)
            self._hash.update(block)
            yield block
