"""What is different between two datasets whose items are known by a key.

Items with the same key are compared in turn: the second of one dataset with the second
of the other. So every item is in exactly one comparison, whatever the keys are.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from hashlib import blake2b
from itertools import accumulate
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from storectl.transfer.events import Event
from storectl.transfer.keys import Key
from storectl.transfer.scan import scan
from storectl.transfer.values import same
from storectl.transfer.windows import Rows


class Side(Struct, rename="camel", kw_only=True):
    """One of the two. repeats: items whose key an earlier one has, the first of them by example.

    keyless: items in which a field of the key is missing or null, and where the first is.
    """

    items: int = 0
    repeats: int = 0
    repeat: msgspec.Raw | None = None
    keyless: int = 0
    first_keyless: int | None = None


class Difference(Struct, rename="camel", kw_only=True):
    """How many items are only in the second, only in the first, or in both and not the same."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    same: int = 0

    @property
    def is_none(self) -> bool:
        return not (self.added or self.removed or self.changed)


class Change(Struct):
    """One difference. op: added, removed or changed. The others are the JSON as it is kept."""

    op: str
    key: msgspec.Raw
    before: msgspec.Raw | None
    after: msgspec.Raw | None


class _Row(NamedTuple):
    """Where an item is: digests of its key and its line, its position, its place in the spool."""

    key: bytes
    at: int
    line: bytes
    offset: int
    size: int


class Diff:
    """A comparison: read both sides, then settle, then ask."""

    def __init__(self, key: Key, database: sqlite3.Connection) -> None:
        self.before, self.after = Side(), Side()
        self.found = Difference()
        self._key, self._database = key, database
        self._spools: list[Any] = []
        database.execute(
            "CREATE TABLE change (after_at, before_at, before_offset, before_size,"
            " after_offset, after_size)"
        )

    def close(self) -> None:
        """Give the room on the disk back."""
        for spool in self._spools:
            spool.close()

    def read(self, rows: Rows, size: int) -> Iterator[Event]:
        """Take the items of a side, the first one first. size: rows of a call."""
        number = len(self._spools)
        side = self.after if number else self.before
        spool = TemporaryFile()  # noqa: SIM115 closed by close
        self._spools.append(spool)
        self._database.execute(
            f"CREATE TABLE side{number} (key BLOB, at INTEGER, line BLOB, offset INTEGER,"
            " size INTEGER)"
        )
        insert = f"INSERT INTO side{number} VALUES (?, ?, ?, ?, ?)"
        offset = 0

        def take(block: bytes) -> None:
            nonlocal offset
            lines = block[:-1].split(b"\n")
            offsets = accumulate((len(line) + 1 for line in lines), initial=offset)
            rows = []
            keys = self._key.digests(block)
            for at, (line, (digest, is_keyless), start) in enumerate(
                zip(lines, keys, offsets, strict=False), side.items
            ):
                if is_keyless:
                    side.keyless += 1
                    side.first_keyless = at if side.first_keyless is None else side.first_keyless
                told = blake2b(line, digest_size=16).digest()
                rows.append(_Row(digest, at, told, start, len(line)))
            self._database.executemany(insert, rows)
            side.items += len(lines)
            spool.write(block)
            offset += len(block)

        yield from scan(len(rows), rows.windows(0, size), take)
        spool.flush()

    def settle(self) -> None:
        """Find the differences."""
        self._database.executemany(
            "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?)", self._differences()
        )

    def changes(self) -> Iterator[Change]:
        """The differences: what was removed or changed in the first's order, then what came."""
        for _, _, *places in self._database.execute(
            "SELECT * FROM change ORDER BY before_at IS NULL, before_at, after_at"
        ):
            before, after = self._line(0, *places[:2]), self._line(1, *places[2:])
            op = "added" if before is None else "removed" if after is None else "changed"
            key = self._key.json(before or after or b"{}")
            yield Change(op, msgspec.Raw(key), _raw(before), _raw(after))

    def _differences(self) -> Iterator[tuple[int | None, ...]]:
        """One row for each, by walking both sides in the order of their keys."""
        befores, afters = self._sorted(0, self.before), self._sorted(1, self.after)
        one, other = next(befores, None), next(afters, None)
        while one or other:
            if other is None or (one is not None and one.key < other.key):
                assert one is not None
                self.found.removed += 1
                yield None, one.at, one.offset, one.size, None, None
                one = next(befores, None)
            elif one is None or other.key < one.key:
                self.found.added += 1
                yield other.at, None, None, None, other.offset, other.size
                other = next(afters, None)
            else:
                if self._same(one, other):
                    self.found.same += 1
                else:
                    self.found.changed += 1
                    yield other.at, one.at, one.offset, one.size, other.offset, other.size
                one, other = next(befores, None), next(afters, None)

    def _same(self, one: _Row, other: _Row) -> bool:
        if one.line == other.line:
            return True
        before, after = self._line(0, *one[3:]), self._line(1, *other[3:])
        return before is not None and after is not None and same(before, after)

    def _sorted(self, number: int, side: Side) -> Iterator[_Row]:
        before = None
        for row in self._database.execute(f"SELECT * FROM side{number} ORDER BY key, at"):
            found = _Row(*row)
            if found.key == before:
                side.repeats += 1
                if side.repeat is None:
                    line = self._line(number, found.offset, found.size)
                    side.repeat = msgspec.Raw(self._key.json(line or b"{}"))
            before = found.key
            yield found

    def _line(self, number: int, offset: int | None, size: int | None) -> bytes | None:
        if offset is None or size is None:
            return None
        return os.pread(self._spools[number].fileno(), size, offset)


def _raw(line: bytes | None) -> msgspec.Raw | None:
    return None if line is None else msgspec.Raw(line)
