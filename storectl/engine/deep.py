"""Reads all that a storage holds and holds it against its checksums.

In short snapshots, so that a writer's log does not grow: items never change their place,
and a record or request that was changed in between is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from zlib import crc32

import msgspec

from storectl.engine.blobs import Blobs
from storectl.engine.dataset import ZSTD, unpacked, write_ends
from storectl.engine.finding import derivable, lost
from storectl.engine.snapshot import DamagedError, Reading
from storectl.engine.storage import StorageRow
from storectl.errors import Local
from storectl.model import rules
from storectl.model.items import Items, count_clean
from storectl.model.upkeep import Finding

SLICE = 64
"""Chunks, records or requests of one snapshot."""


def contents(
    db: Reading, sql: dict[str, str], blobs: Blobs, row: StorageRow, *, trusted: bool
) -> Iterator[Finding | int]:
    """What is wrong in a storage; between findings bytes that were read.

    row: as it was in a snapshot. trusted: nothing was found there, so that its counters
    can be held against what is read.
    """
    if row.noun == "dataset":
        yield from DatasetContents(db, sql, row).run(trusted)
    elif row.noun == "kvs":
        yield from _records(db, sql, row)
        yield from _blobs(db, sql, blobs, row)
    else:
        yield from _requests(db, sql, row)


class DatasetContents:
    """The items that a dataset had when its row was read: they are there as long as it is."""

    def __init__(self, db: Reading, sql: dict[str, str], row: StorageRow) -> None:
        self.db, self.sql, self.row = db, sql, row
        self.clean = 0

    def run(self, trusted: bool) -> Iterator[Finding | int]:
        at, row, sound = 0, self.row, trusted
        while at < row.item_count:
            with self.db.snapshot():
                heads = self._heads(at)
                found = [each for head in heads for each in self._chunk(at, *head)]
            yield from found
            sound = sound and not any(isinstance(each, Finding) for each in found)
            end = max((first + count for _, first, count, *_ in heads), default=0)
            if end <= at:  # deleted since, or nothing more is there
                break
            at = end
        if sound and self.clean != row.clean_count and self._is_there():
            detail = f"says {row.clean_count:,} clean items; there are {self.clean:,}"
            mend = {"no": row.no, "missing": self.clean - row.clean_count}
            yield derivable("counters", detail, ("add_clean", mend), row)

    def _heads(self, at: int) -> list[tuple[Any, ...]]:
        return self.db.all(self.sql["chunk_heads"], no=self.row.no, at=at, limit=SLICE)

    def _is_there(self) -> bool:
        return self.db.one(self.sql["storage"], no=self.row.no) is not None

    def _chunk(
        self,
        at: int,
        no: int,
        first: int,
        count: int,
        raw_bytes: int,
        codec: int,
        crc: int | None,
        ends: bytes | None,
    ) -> Iterator[Finding | int]:
        place = f"[{first}, {first + count})"
        try:
            ((body,),) = self.db.all(self.sql["chunk_body"], no=no)
            if codec == ZSTD:
                _check_size(body, raw_bytes)
            lines = unpacked(codec, crc, body)
        except (Local, DamagedError, TypeError) as error:
            yield lost("items", f"cannot be read: {error}", self.row, place)
            return
        items = Items.from_lines(lines.split(b"\n")[:-1], lines)
        described = {"count": len(items), "raw_bytes": len(lines), "ends": write_ends(items.ends)}
        if described != {"count": count, "raw_bytes": raw_bytes, "ends": ends}:
            mend = ("describe_chunk", {"chunk_no": no, **described})
            yield derivable("items", "row does not describe its items", mend, self.row, place)
        else:
            low, high = max(at - first, 0), min(self.row.item_count - first, count)
            if (low, high) == (0, count):
                self.clean += items.clean
            elif low < high:  # pushed since, or folded
                self.clean += count_clean(items.slice(low, high).lines, None)
        yield raw_bytes


def _check_size(body: bytes, raw_bytes: int) -> None:
    """Before a frame is unpacked: a damaged one may claim any size."""
    import zstandard

    try:
        claimed = zstandard.get_frame_parameters(body).content_size
    except zstandard.ZstdError as error:
        raise Local(f"a chunk of items is damaged: {error}") from None
    if claimed != raw_bytes:
        raise Local("a chunk of items is damaged: its sizes differ")


def _records(db: Reading, sql: dict[str, str], row: StorageRow) -> Iterator[Finding | int]:
    """Records whose bytes are in their row."""
    after = ""
    while True:
        found: list[Finding | int] = []
        with db.snapshot():
            rows = db.all(sql["records"], no=row.no, after=after, limit=SLICE)
            for no, after in rows:
                found += _record(db, sql, row, no, after)
        if not rows:
            return
        yield from _summed(found)


def _record(
    db: Reading, sql: dict[str, str], row: StorageRow, no: int, key: str
) -> Iterator[Finding | int]:
    try:
        record = db.one(sql["record"], no=no)
    except DamagedError as error:
        yield lost("record", f"cannot be read: {error}", row, key)
        return
    if record is None:  # its bytes are a blob
        return
    size, digest, body = record
    if body is not None and sha256(body).digest() != digest:
        yield lost("record", "bytes are not those that were kept", row, key)
    yield size


def _blobs(
    db: Reading, sql: dict[str, str], blobs: Blobs, row: StorageRow
) -> Iterator[Finding | int]:
    """Records whose bytes are a blob. One that is missing was found already."""
    after = ""
    while rows := db.all(sql["blobs"], no=row.no, after=after, limit=SLICE):
        for key, _, digest, blob in rows:
            actual = sha256()
            try:
                for block in blobs.open(blob):
                    actual.update(block)
                    yield len(block)
            except Local as error:
                if blobs.has(blob):
                    yield lost("blob", error.message, row, key)
                continue
            same = actual.digest() == digest
            if not same and db.one(sql["blob"], no=row.no, key=key) == (blob,):
                yield lost("blob", f"{blob}: bytes are not those that were kept", row, key)
        after = rows[-1][0]


def _requests(db: Reading, sql: dict[str, str], row: StorageRow) -> Iterator[Finding | int]:
    after = ""
    while True:
        found: list[Finding | int] = []
        with db.snapshot():
            rows = db.all(sql["requests"], no=row.no, after=after, limit=SLICE * 8)
            for no, after in rows:
                found += _request(db, sql, row, no, after)
        if not rows:
            return
        yield from _summed(found)


def _summed(found: list[Finding | int]) -> Iterator[Finding | int]:
    """Findings, then one number of bytes: a step for each record would be many."""
    yield from (each for each in found if isinstance(each, Finding))
    yield sum(each for each in found if isinstance(each, int))


class Body(msgspec.Struct, rename="camel"):
    """What of a request its row says too."""

    unique_key: str
    url: str
    handled_at: Any = None


_decode = msgspec.json.Decoder(Body).decode


def _request(
    db: Reading, sql: dict[str, str], row: StorageRow, no: int, id: str
) -> Iterator[Finding | int]:
    try:
        ((handled, crc, body),) = db.all(sql["request"], no=no)
        said = _decode(body)
    except (DamagedError, TypeError, ValueError) as error:
        yield lost("requests", f"cannot be read: {error}", row, id)
        return
    if rules.request_id(said.unique_key) != id:
        yield lost("requests", "ID is not that of its uniqueKey", row, id)
    elif crc is not None and crc != crc32(body):
        yield lost("requests", "bytes are not those that were kept", row, id)
    elif bool(handled) != (said.handled_at is not None):
        state = "handled" if handled else "pending"
        detail = f"stands as {state}, its handledAt says otherwise"
        mend = ("place" if handled else "handle", {"request_no": no, "no": row.no})
        yield derivable("requests", detail, mend, row, id)
    yield len(body)
