"""A dataset without the items that repeat a key, written to another one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import count

from msgspec import Struct

from storectl.formats.blocks import gather, whole_lines
from storectl.model.dataset import Datasets
from storectl.model.items import Items
from storectl.transfer.dataset import BATCH_BYTES
from storectl.transfer.doubt import Sender
from storectl.transfer.events import Advanced, Event, Finished, Started
from storectl.transfer.keys import Key
from storectl.transfer.scan import scan
from storectl.transfer.windows import Rows

_SORTED = {
    "first": "SELECT key, at FROM seen ORDER BY key, at",
    "last": "SELECT key, at FROM seen ORDER BY key, at DESC",
}


class Repeats(Struct, rename="camel", kw_only=True):
    """What the keys of a dataset tell. keys: different ones. repeats: items beyond one of each.

    keyless: items in which a field of the key is missing or null; none repeats another.
    """

    items: int = 0
    keys: int = 0
    repeats: int = 0
    keyless: int = 0


class Seen:
    """The keys of items at their positions, and which of them repeat another."""

    def __init__(self, key: Key, database: sqlite3.Connection) -> None:
        self.found = Repeats()
        self._key, self._database = key, database
        database.execute("CREATE TABLE seen (key BLOB, at INTEGER)")
        database.execute("CREATE TABLE dropped (at INTEGER)")

    def take(self, block: bytes) -> None:
        """Note the next items."""
        rows = []
        for at, (digest, is_keyless) in enumerate(self._key.digests(block), self.found.items):
            if is_keyless:
                self.found.keyless += 1
            else:
                rows.append((digest, at))
        self.found.items += block.count(b"\n")
        self._database.executemany("INSERT INTO seen VALUES (?, ?)", rows)

    def settle(self, keep: str = "first") -> None:
        """Find out which items repeat another. keep: the first or the last of each key."""
        self._database.executemany("INSERT INTO dropped VALUES (?)", self._repeated(keep))

    def dropped(self) -> Iterator[int]:
        """Positions of the items that repeat another, in order."""
        for (at,) in self._database.execute("SELECT at FROM dropped ORDER BY at"):
            yield at

    def _repeated(self, keep: str) -> Iterator[tuple[int]]:
        before = None
        for digest, at in self._database.execute(_SORTED[keep]):
            if digest == before:
                self.found.repeats += 1
                yield (at,)
            else:
                self.found.keys += 1
            before = digest


def look(rows: Rows, size: int, seen: Seen, keep: str = "first") -> Iterator[Event]:
    """Read all keys; `seen.found` then says what they tell. size: rows of a call."""
    yield from scan(len(rows), rows.windows(0, size), seen.take)
    seen.settle(keep)


def write(rows: Rows, size: int, seen: Seen, target: Datasets, target_id: str) -> Iterator[Event]:
    """Append what does not repeat to a dataset, in order, as it is spelled.

    What is in doubt where the target knows no idempotency keys: see doubt.Sender.
    """
    begin = time.monotonic()
    sender = Sender(target, target_id, rows.retries)
    yield Started(total=seen.found.items - seen.found.repeats)
    moved = moved_bytes = 0
    blocks = (block for _, blocks in rows.windows(0, size) for block in whole_lines(blocks))
    for lines in gather(_kept(blocks, seen.dropped()), BATCH_BYTES):
        for part in Items.from_lines(lines.split(b"\n")[:-1]).split(2 * BATCH_BYTES):
            name = f"{target_id} {moved} ".encode()
            idempotency_key = "dedupe-" + sha256(name + part.lines).hexdigest()[:40]
            sender.push(part, idempotency_key)
            moved += len(part)
            moved_bytes += len(part.lines)
            yield Advanced(moved, moved_bytes)
    yield Finished(
        moved,
        moved_bytes,
        time.monotonic() - begin,
        retries=rows.retried + sender.retried,
        repeated=sender.repeated,
        settled=sender.settled,
    )


def _kept(blocks: Iterable[bytes], dropped: Iterator[int]) -> Iterator[bytes]:
    """The lines that are not at one of the positions."""
    at, drop = 0, next(dropped, None)
    for block in blocks:
        end = at + block.count(b"\n")
        if drop is None or drop >= end:
            yield block
        else:
            lines = []
            for here, line in zip(count(at), block[:-1].split(b"\n"), strict=False):
                if here == drop:
                    drop = next(dropped, None)
                else:
                    lines.append(line)
            if lines:
                yield b"\n".join([*lines, b""])
        at = end
