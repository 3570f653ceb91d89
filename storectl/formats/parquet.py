"""Parquet: columns that analytics tools read, compressed with zstd, written in place.

Written here, since the usual library takes 170 MB on disk and brings a pull to 190 MB of
memory. What is held at a time is one page of each column as values, and one row group
compressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

from zstandard import ZstdCompressor, ZstdDecompressor

from storectl.formats import Options, thrift
from storectl.formats.blocks import decoder, recut
from storectl.formats.parquet_types import Kind, Place, too_many
from storectl.formats.parquet_values import SPREAD, levels_as_runs, levels_of_one, size
from storectl.model.rules import MAX_COLUMNS

PAGE_BYTES = 512 * 1024
"""Of the items that make one page of each column."""

GROUP_BYTES = 8 * 1024 * 1024
"""Of a row group, compressed: what a reader takes at once, and we hold."""

BOUND_BYTES = 64
"""Of the least and the greatest text of a row group; longer ones are not told."""

_SPOOL_BYTES = 8 * 1024 * 1024
_MAGIC = b"PAR1"
_OPTIONAL, _REPEATED = 1, 2
_PLAIN, _RLE, _ZSTD, _DATA_PAGE = 0, 3, 6, 0
# Of each kind of column: its physical type, its old annotation and its new one.
_TYPES: dict[Kind, tuple[int, int | None, int | None]] = {
    "boolean": (0, None, None),
    "integer": (2, None, None),
    "number": (5, None, None),
    "text": (6, 0, 1),
    "json": (6, 19, 12),
}
_LIST = (3, 3)


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """Yield the file. Objects are groups, lists are lists; every column may be null.

    A field of several types, an object with more than 500 names or none at all, and
    integers of more than 64 bits are JSON text, marked as such; integers among numbers
    with a fraction are such numbers if they keep their digits. What is missing is null.
    The items go to a spool first: the last one may decide the type of a column.
    """
    with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        root = Place()
        for name in options.columns or ():
            root.fields[name] = Place(1)
        _keep(blocks, spool, root)
        if sum(1 for _ in root.leaves()) > MAX_COLUMNS:
            raise too_many()
        yield from _file(root, _kept(spool))


def _keep(blocks: Iterable[bytes], spool: Any, root: Place) -> None:
    decode, pack = decoder(float), ZstdCompressor(1).compress
    for block in recut(blocks, PAGE_BYTES):
        root.meet_objects(decode(block))
        packed = pack(block)
        spool.write(size(len(packed)) + packed)


def _kept(spool: BinaryIO | Any) -> Iterator[list[dict[str, Any]]]:
    decode, unpack = decoder(float), ZstdDecompressor().decompress
    spool.seek(0)
    while head := spool.read(4):
        yield decode(unpack(spool.read(int.from_bytes(head, "little"))))


class _Column:
    """A leaf: where it is, and its pages of the row group at hand.

    defined, repeated: its greatest levels. spread: makes bytes of its values.
    """

    def __init__(self, path: tuple[str, ...], kind: Kind, defined: int, repeated: int) -> None:
        self.path, self.kind = path, kind
        self.defined, self.repeated = defined, repeated
        self._spread = SPREAD[kind]
        self._pack = ZstdCompressor(3).compress
        self.clear()

    def clear(self) -> None:
        """Begin a row group."""
        self.pages: list[bytes] = []
        self.count = self.plain_bytes = self.bytes = self.nulls = 0
        self._bounds: list[Any] = []

    def add(self, values: list[Any], defined: list[int], repeated: list[int] | None) -> None:
        """Add a page. values: None where there is none; the levels stand beside them."""
        plain = b""
        if repeated is not None and self.repeated:
            plain += levels_as_runs(repeated)
        if None in values:
            here = self.defined
            plain += levels_as_runs(
                [level if value is None else here for value, level in zip(values, defined)]  # noqa: B905
            )
            there = [value for value in values if value is not None]
            self.nulls += len(values) - len(there)
        else:
            plain += levels_of_one(self.defined, len(values))
            there = values
        if there and self.kind != "json":
            met = [*self._bounds, min(there), max(there)]
            self._bounds = [min(met), max(met)]
        plain += self._spread(there)
        packed = self._pack(plain)
        head = thrift.struct(
            {
                1: thrift.i32(_DATA_PAGE),
                2: thrift.i32(len(plain)),
                3: thrift.i32(len(packed)),
                5: thrift.struct(
                    {
                        1: thrift.i32(len(values)),
                        2: thrift.i32(_PLAIN),
                        3: thrift.i32(_RLE),
                        4: thrift.i32(_RLE),
                    }
                ),
            }
        ).body
        self.pages += (head, packed)
        self.count += len(values)
        self.plain_bytes += len(head) + len(plain)
        self.bytes += len(head) + len(packed)

    def chunk(self, offset: int) -> thrift.Value:
        """What the footer says of the pages, which begin there."""
        about = thrift.struct(
            {
                1: thrift.i32(_TYPES[self.kind][0]),
                2: thrift.array(thrift.I32, [thrift.i32(_PLAIN), thrift.i32(_RLE)]),
                3: thrift.array(thrift.BINARY, [thrift.binary(_utf8(name)) for name in self.path]),
                4: thrift.i32(_ZSTD),
                5: thrift.i64(self.count),
                6: thrift.i64(self.plain_bytes),
                7: thrift.i64(self.bytes),
                9: thrift.i64(offset),
                12: self._statistics(),
            }
        )
        return thrift.struct({2: thrift.i64(offset), 3: about})

    def _statistics(self) -> thrift.Value:
        """What lets a reader pass over a row group: nulls, the least and the greatest value."""
        bounds = [self._bound(at, value) for at, value in enumerate(self._bounds)]
        least, greatest = bounds or (None, None)
        return thrift.struct({3: thrift.i64(self.nulls), 5: greatest, 6: least})

    def _bound(self, at: int, value: Any) -> thrift.Value | None:
        """The least value, at 0, or the greatest, at 1."""
        if self.kind == "text":
            text = value.encode()
            return thrift.binary(text) if len(text) <= BOUND_BYTES else None
        if value == 0 and self.kind == "number":  # readers may tell the zeros apart
            value = 0.0 if at else -0.0
        return thrift.binary(self._spread([value]))


class _Node:
    """A place of the tree with its type settled: a column, or what is inside."""

    def __init__(
        self, place: Place, name: str, path: tuple[str, ...], defined: int, repeated: int
    ) -> None:
        """defined, repeated: levels of what it is in."""
        self.name, self.kind = name, place.kind
        self.defined = defined + 1
        self.repeated = repeated
        self.inside: list[_Node] = []
        self.column: _Column | None = None
        path = (*path, name)
        if self.kind == "struct":
            self.inside = [
                _Node(inner, inner_name, path, self.defined, repeated)
                for inner_name, inner in place.fields.items()
            ]
        elif self.kind == "list" and place.element is not None:
            self.repeated += 1
            element = (*path, "list")
            self.inside = [
                _Node(place.element, "element", element, self.defined + 1, self.repeated)
            ]
        else:
            self.column = _Column(path, self.kind, self.defined, repeated)

    def columns(self) -> Iterator[_Column]:
        """Every column here and below."""
        if self.column is not None:
            yield self.column
        for inner in self.inside:
            yield from inner.columns()

    def schema(self) -> Iterator[thrift.Value]:
        """The elements of the schema, depth first."""
        if self.column is not None:
            physical, converted, logical = _TYPES[self.kind]
            yield _element(self.name, _OPTIONAL, physical, None, converted, logical)
            return
        if self.kind == "list":
            yield _element(self.name, _OPTIONAL, None, 1, *_LIST)
            yield _element("list", _REPEATED, None, 1)
        else:
            yield _element(self.name, _OPTIONAL, None, len(self.inside))
        for inner in self.inside:
            yield from inner.schema()

    def add(self, values: list[Any], defined: list[int], repeated: list[int] | None) -> None:
        """Add values, of which None is not there: how much around it is, says its level."""
        if self.column is not None:
            self.column.add(values, defined, repeated)
            return
        if self.kind == "list":
            self.inside[0].add(*self._elements(values, defined, repeated))
            return
        here = self.defined
        if None in values:
            defined = [
                level if value is None else here
                for value, level in zip(values, defined, strict=True)
            ]
            for inner in self.inside:
                name = inner.name
                found = [None if value is None else value.get(name) for value in values]
                inner.add(found, defined, repeated)
            return
        defined = [here] * len(values)
        for inner in self.inside:
            name = inner.name
            inner.add([value.get(name) for value in values], defined, repeated)

    def _elements(
        self, values: list[Any], defined: list[int], repeated: list[int] | None
    ) -> tuple[list[Any], list[int], list[int]]:
        """What is in the lists, one behind the other, with their levels."""
        here, again = self.defined, self.repeated
        inside: list[Any] = []
        levels: list[int] = []
        repeats: list[int] = []
        befores = repeated or [0] * len(values)
        for value, level, before in zip(values, defined, befores, strict=True):
            repeats.append(before)
            if not value:
                inside.append(None)
                levels.append(level if value is None else here)
                continue
            inside += value
            levels += [here + 1] * len(value)
            repeats += [again] * (len(value) - 1)
        return inside, levels, repeats


def _file(root: Place, pages: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    nodes = [_Node(place, name, (), 0, 0) for name, place in root.fields.items()]
    columns = [column for node in nodes for column in node.columns()]
    yield _MAGIC
    orders = [thrift.struct({1: thrift.struct({})}) for _ in columns]
    offset, rows, total = len(_MAGIC), 0, 0
    groups: list[thrift.Value] = []
    for items in pages:
        zeros = [0] * len(items)
        for node in nodes:
            node.add([item.get(node.name) for item in items], zeros, None)
        rows += len(items)
        if sum(column.bytes for column in columns) >= GROUP_BYTES:
            groups.append(_group(columns, rows, offset))
            total, rows = total + rows, 0
            for chunk in _pages(columns):
                offset += len(chunk)
                yield chunk
    if rows:
        groups.append(_group(columns, rows, offset))
        total += rows
        yield from _pages(columns)
    footer = _footer(nodes, groups, total, orders)
    yield footer + size(len(footer)) + _MAGIC


def _pages(columns: list[_Column]) -> Iterator[bytes]:
    """The pages of a row group, which are then forgotten."""
    for column in columns:
        yield from column.pages
        column.clear()


def _group(columns: list[_Column], rows: int, offset: int) -> thrift.Value:
    chunks = []
    start = offset
    for column in columns:
        chunks.append(column.chunk(offset))
        offset += column.bytes
    return thrift.struct(
        {
            1: thrift.array(thrift.STRUCT, chunks),
            2: thrift.i64(sum(column.plain_bytes for column in columns)),
            3: thrift.i64(rows),
            5: thrift.i64(start),
            6: thrift.i64(offset - start),
        }
    )


def _footer(
    nodes: list[_Node], groups: list[thrift.Value], rows: int, orders: list[thrift.Value]
) -> bytes:
    """orders: of each column, that its least and greatest values are those of its type."""
    root = thrift.struct({4: thrift.binary(b"items"), 5: thrift.i32(len(nodes))})
    schema = chain([root], *(node.schema() for node in nodes))
    return thrift.struct(
        {
            1: thrift.i32(1),
            2: thrift.array(thrift.STRUCT, schema),
            3: thrift.i64(rows),
            4: thrift.array(thrift.STRUCT, groups),
            6: thrift.binary(b"storectl"),
            7: thrift.array(thrift.STRUCT, orders),
        }
    ).body


def _element(
    name: str,
    repetition: int,
    physical: int | None,
    children: int | None,
    converted: int | None = None,
    logical: int | None = None,
) -> thrift.Value:
    return thrift.struct(
        {
            1: None if physical is None else thrift.i32(physical),
            3: thrift.i32(repetition),
            4: thrift.binary(_utf8(name)),
            5: None if children is None else thrift.i32(children),
            6: None if converted is None else thrift.i32(converted),
            10: None if logical is None else thrift.struct({logical: thrift.struct({})}),
        }
    )


def _utf8(name: str) -> bytes:
    return name.encode()
