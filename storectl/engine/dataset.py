"""Datasets on a database: chunks of JSON lines, read by copying bytes.

A push is cut into chunks of about 128 KiB, compressed. Small pushes become rows
of a tail as they are, which is folded into one chunk when it has grown.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple, cast
from zlib import crc32

import msgspec

from storectl.engine.db import SharedDb, Tx
from storectl.engine.retention import TOUCH_MS
from storectl.engine.schema import check_items, check_schema
from storectl.engine.statistics import MISSING, FieldStatistics
from storectl.engine.storage import Keeper, StorageRow, common
from storectl.errors import InvalidInput, Local, NotFound
from storectl.formats.frames import Damaged, framed, pack, unpack
from storectl.model import rules
from storectl.model.dataset import Dataset, ItemsPage, ItemsQuery
from storectl.model.items import Items, too_large
from storectl.model.shape import shaper

CHUNK_BYTES = 128 * 1024
SMALL_BYTES = 16 * 1024
TAIL_BYTES = CHUNK_BYTES
TAIL_ROWS = 512
PAGE_CHUNKS = 16
MOST_PUSHED = 10_000
"""Datasets whose number is remembered, where one statement is enough to push."""

RAW, ZSTD = 0, 1


class Datasets(Keeper[Dataset]):
    """The keeper of datasets. See model/dataset.py for the promise."""

    noun = "dataset"

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self._pushed: dict[str, int] = {}

    def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
        row = self.find(ref)
        offset, limit = query.offset, query.limit
        for name, value in (("offset", offset), ("limit", limit or 0)):
            if value < 0:
                raise InvalidInput(
                    f"{name} must be 0 or more, not {value}", type="invalid-parameter"
                )
        total = row.item_count
        start = min(offset, total)
        stop = total if limit is None else min(start + limit, total)
        self.touch(row)
        self.reads.add(row.no, reads=stop - start)
        low, high = (total - stop, total - start) if query.desc else (start, stop)
        read = self._backward if query.desc else self._forward
        lines, length, packed = read(row.no, low, high), None, None
        if query.shapes:
            shape = shaper(query, msgspec.json.decode(row.schema) if row.schema else None)
            lines = _shaped(lines, shape)
        else:
            length = self._length(row.no, low, high)
            packed = None if query.desc else self._packed(row.no, low, high)
        return ItemsPage(
            total=total,
            offset=offset,
            limit=limit,
            desc=query.desc,
            scanned=stop - start,
            lines=lines,
            bytes=length,
            is_checked=True,
            packed=packed,
        )

    def push(self, ref: str, items: Items, *, idempotency_key: str | None = None) -> None:
        small = len(items.lines) < SMALL_BYTES
        rows: list[dict[str, Any]] | None = None
        if ref in self._pushed and idempotency_key is None and len(items):
            rows = chunks_of(items, small)
            if len(rows) == 1 and self._push(self._pushed[ref], items, rows[0], small):
                return
        row = self.find(ref)
        no, count = row.no, len(items)
        if not count:
            self.touch(row)
            return
        if row.schema is not None:
            check_items(row.schema, items)
        elif "push" in self.sql and ref == row.id and len(self._pushed) < MOST_PUSHED:
            self._pushed[ref] = no
        rows = rows or chunks_of(items, small)
        taken = {"no": no, **counts(items, small)}

        def work(tx: Tx) -> None:
            if idempotency_key is not None:
                if self.answered(tx, no, idempotency_key) is not None:
                    return
                self.answer(tx, no, idempotency_key, b"{}")
            found = tx.one(self.sql["reserve"], now=self.clock(), **taken)
            if found is None:
                raise NotFound.of("dataset", ref)
            first, tail_first, tail_rows, tail_bytes = found
            if tail_rows and not small:
                self._fold(tx, no, tail_first)
            at = first
            for chunk in rows:
                tx.all(self.sql["append"], no=no, first=at, **chunk)
                at += chunk["count"]
            if small and is_full(tail_rows, tail_bytes):
                self._fold(tx, no, tail_first)

        self.db.write(work)

    def _push(self, no: int, items: Items, chunk: dict[str, Any], small: bool) -> bool:
        """Append one chunk in one statement; False, and nothing is done, where that cannot be."""
        db = cast(SharedDb, self.db)
        row = {**chunk, "clean": items.clean}
        return db.gather(("push", no, small), row, partial(self._push_all, no, small))

    def _push_all(self, no: int, small: bool, chunks: list[dict[str, Any]]) -> list[bool]:
        """The same for the chunks of several threads, one behind the other."""
        now = self.clock()
        columns = {name: [chunk[name] for chunk in chunks] for name in _PACKED}
        tails = self.db.commit(
            self.sql["push"],
            no=no,
            now=now,
            since=now - TOUCH_MS,
            small=int(small),
            pushes=len(chunks),
            items=sum(columns["count"]),
            clean=sum(chunk["clean"] for chunk in chunks),
            size=sum(columns["raw_bytes"]),
            behind=[0, *accumulate(columns["count"][:-1])],
            **columns,
        )
        if tails and small and is_full(*tails[0]):
            self.db.write(lambda tx: self._fold_full(tx, no))
        return [bool(tails)] * len(chunks)

    def _fold_full(self, tx: Tx, no: int) -> None:
        """Fold the tail, unless somebody just has."""
        tail = tx.one(self.sql["tail_of"], no=no)
        if tail is not None and is_full(*tail[1:]):
            self._fold(tx, no, tail[0])

    def keeps_keys(self) -> bool:
        return True

    def statistics(self, ref: str) -> dict[str, Any]:
        """Fields that the schema of the dataset describes. Reads every item."""
        row = self.find(ref)
        self.touch(row)
        schema = msgspec.json.decode(row.schema) if row.schema else {}
        fields = ((schema.get("fields") or {}).get("properties")) or {}
        if not fields:
            return {"fieldStatistics": None}
        found = {name: FieldStatistics() for name in fields}
        decode = msgspec.json.Decoder().decode_lines
        for block in self._forward(row.no, 0, row.item_count):
            for item in decode(block):
                for name, statistics in found.items():
                    statistics.add(item.get(name, MISSING))
        return {"fieldStatistics": {name: each.shown() for name, each in found.items()}}

    def describe(self, row: StorageRow, username: str | None) -> Dataset:
        reads, _, _ = self.reads.pending(row.no)
        return Dataset(
            **common(row, username),
            item_count=row.item_count,
            clean_item_count=row.clean_count,
            stats={
                "readCount": row.read_count + reads,
                "writeCount": row.write_count,
                "storageBytes": row.bytes,
            },
        )

    def check_schema(self, schema: object) -> None:
        check_schema(schema)

    def erase(self, tx: Tx, no: int, limit: int) -> int:
        return len(tx.all(self.sql["erase"], no=no, limit=limit))

    def _fold(self, tx: Tx, no: int, first: int) -> None:
        """Turn the tail, all rows from `first` on, into chunks."""
        lines: list[bytes] = []
        for codec, crc, body in tx.all(self.sql["tail"], no=no, first=first):
            lines += unpacked(codec, crc, body).split(b"\n")[:-1]
        tx.all(self.sql["cut_tail"], no=no, first=first)
        for part in Items.from_lines(lines).split(2 * CHUNK_BYTES):
            tx.all(self.sql["append"], no=no, first=first, **packed(part, compress=True))
            first += len(part)
        tx.all(self.sql["no_tail"], no=no)

    def _forward(self, no: int, start: int, stop: int) -> Iterator[bytes]:
        return (part.lines() for part in self._parts(no, start, stop))

    def _packed(self, no: int, start: int, stop: int) -> Iterator[bytes]:
        """The same in frames: those of chunks as they are kept, and what is beside them anew."""
        loose: list[bytes] = []
        size = 0
        for part in self._parts(no, start, stop):
            lines = b"" if part.is_frame else part.lines()
            if loose and (part.is_frame or size + len(lines) > CHUNK_BYTES):
                yield framed(pack(b"".join(loose)))
                loose, size = [], 0
            if part.is_frame:
                yield framed(part.body)
            else:
                loose.append(lines)
                size += len(lines)
        if loose:
            yield framed(pack(b"".join(loose)))

    def _parts(self, no: int, start: int, stop: int) -> Iterator[Part]:
        at, limit = start, 1
        while at < stop:
            rows = self.db.all(self.sql["chunks"], no=no, at=at, limit=limit)
            if not rows:
                raise _gone()
            for first, count, codec, _, crc, ends, body in rows:
                low, high = at - first, min(stop - first, count)
                yield Part(low, high, count, codec, crc, ends, body)
                at = first + high
                if at >= stop:
                    return
            limit = PAGE_CHUNKS

    def _backward(self, no: int, start: int, stop: int) -> Iterator[bytes]:
        """Items [start, stop) with the last one first."""
        at, limit = stop, 1
        while at > start:
            rows = self.db.all(self.sql["chunks_back"], no=no, at=at - 1, limit=limit)
            if not rows:
                raise _gone()
            for first, _, codec, _, crc, _, body in rows:
                lines = unpacked(codec, crc, body).split(b"\n")
                part = lines[max(start - first, 0) : at - first]
                yield b"\n".join(reversed(part)) + b"\n"
                at = max(first, start)
                if at <= start:
                    return
            limit = PAGE_CHUNKS

    def _length(self, no: int, start: int, stop: int) -> int:
        """Bytes of items [start, stop). No body is read for it."""
        if start >= stop:
            return 0
        rows = self.db.all(self.sql["raw_bytes"], no=no, at=start, stop=stop)
        if not rows:
            raise _gone()
        first, size, ends = rows[0]
        before = read_ends(ends, size)[start - first - 1] if start > first else 0
        first, size, ends = rows[-1]
        after = size - read_ends(ends, size)[stop - first - 1] if ends is not None else 0
        return sum(int(row[1]) for row in rows) - before - after


def is_full(tail_rows: int, tail_bytes: int) -> bool:
    """Whether a tail has grown enough to be folded."""
    return tail_rows >= TAIL_ROWS or tail_bytes >= TAIL_BYTES


def chunks_of(items: Items, small: bool) -> list[dict[str, Any]]:
    """The columns of the chunks that a push becomes."""
    return [packed(part, compress=not small) for part in items.split(CHUNK_BYTES)]


def counts(items: Items, small: bool) -> dict[str, int]:
    """What a push adds to the row of its dataset."""
    return {
        "count": len(items),
        "clean": items.clean,
        "bytes": len(items.lines),
        "small": int(small),
    }


class Part(NamedTuple):
    """Items [low, high) of a chunk that has `size` of them."""

    low: int
    high: int
    size: int
    codec: int
    crc: int | None
    ends: bytes | None
    body: bytes

    @property
    def is_frame(self) -> bool:
        """Whether the chunk is a frame, and the part all of it."""
        return self.codec == ZSTD and self.low == 0 and self.high == self.size

    def lines(self) -> bytes:
        """Their JSON lines."""
        lines = unpacked(self.codec, self.crc, self.body)
        if self.low or self.high < self.size:
            cut = read_ends(self.ends, len(lines))
            lines = lines[cut[self.low - 1] if self.low else 0 : cut[self.high - 1]]
        return lines


_PACKED = ("count", "raw_bytes", "codec", "crc", "ends", "body")


def packed(items: Items, *, compress: bool) -> dict[str, Any]:
    """The columns of a chunk that holds the items."""
    count = len(items)
    if count == 1 and len(items.lines) > rules.MAX_PAYLOAD_BYTES:
        raise too_large(len(items.lines))
    body = items.lines
    codec, crc = RAW, None
    if compress:
        smaller = pack(body)
        if len(smaller) < len(body):
            codec, body = ZSTD, smaller
    if codec == RAW:
        crc = crc32(body)
    row = (count, len(items.lines), codec, crc, write_ends(items.ends), body)
    return dict(zip(_PACKED, row, strict=True))


def unpacked(codec: int, crc: int | None, body: bytes) -> bytes:
    """The JSON lines of a chunk, checked against its checksum."""
    if codec == RAW:
        if crc32(body) != crc:
            raise Local("A chunk of items is damaged: its checksum does not match")
        return body
    try:
        return unpack(body)
    except Damaged as error:
        raise Local(f"A chunk of items is damaged: {error}") from None


def write_ends(ends: array[int]) -> bytes | None:
    """Little-endian uint32 each; nothing for a single item."""
    if len(ends) < 2:
        return None
    if sys.byteorder == "big":
        ends = ends[:]
        ends.byteswap()
    return ends.tobytes()


def read_ends(stored: bytes | None, length: int) -> array[int]:
    """The offsets that write_ends wrote; length: bytes of the lines."""
    ends = array("I")
    if stored is None:
        ends.append(length)
        return ends
    ends.frombytes(stored)
    if sys.byteorder == "big":
        ends.byteswap()
    return ends


def _gone() -> NotFound:
    return NotFound("The dataset was deleted while it was read")


def _shaped(blocks: Iterable[bytes], shape: Any) -> Iterator[bytes]:
    decode = msgspec.json.Decoder().decode_lines
    encode = msgspec.json.Encoder().encode_lines
    for block in blocks:
        shaped = encode(list(shape(decode(block))))
        if shaped:
            yield shaped
