"""Items as rows of cells, for the formats that have columns.

A column is the path to a leaf, joined by `/`: `seller/name`, `tags/0`. Columns come
in the order in which they are first seen, or below the given ones in their order.
Our choice, as is all of this where the API only says "table": an empty object or
array is an empty cell like null; a field which is null in some items and nested in
others has no column of its own; where columns are given and the value of one is
nested, its leaves stand in its place; a name which two paths share is one column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from tempfile import SpooledTemporaryFile
from types import NoneType, TracebackType
from typing import Any, Self

from storectl.errors import InvalidInput
from storectl.formats.blocks import decoder, recut
from storectl.formats.markup import escape, escaped, unescape
from storectl.model.items import Item
from storectl.model.rules import MAX_COLUMN_NAME, MAX_COLUMNS

Cells = Callable[[list[Any], set[type]], list[str]]
"""Makes the cells of one column: its values, and the types which occur among them.

Values are str, int, bool, None and what `number` makes; the cell of None is "".
"""

# What stands between cells and behind rows in the spool: bytes which UTF-8 never
# contains, in text the lone surrogates that `surrogateescape` turns into them. Markup
# has no control characters, so there two of these do, and text stays ASCII: faster.
_MARKS = ("\udcfe", "\udcff")
_MARKUP_MARKS = ("\x1e", "\x1f")

_SPOOL_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_NESTED = frozenset({dict, list})
_ABSENT: Item = {}
_SPELLED = {True: "true", False: "false"}


class Place:
    """A place in the tree of items: what lies below, and its column if a leaf was seen here.

    valued: whether the leaf was ever anything but null or empty.
    """

    __slots__ = ("children", "column", "path", "valued")

    def __init__(self, path: str) -> None:
        self.path = path
        self.children: dict[str, Place] = {}
        self.column: int | None = None
        self.valued = False

    def child(self, name: str) -> Place:
        """Make the place below, by this name."""
        place = Place(f"{self.path}/{name}" if self.path else name)
        self.children[name] = place
        return place

    def leaves(self) -> Iterator[int]:
        """The columns here and below that are worth having."""
        if self.column is not None and (self.valued or not self.children):
            yield self.column
        for child in self.children.values():
            yield from child.leaves()


class Table:
    """Rows of finished cells in a spool, read from blocks of JSON lines when made.

    The last item may bring a new column, and the names come first: so the cells
    are kept until all are seen. Earlier rows are padded on the way out.
    """

    def __init__(
        self,
        blocks: Iterable[bytes],
        cells: Cells,
        given: tuple[str, ...] | None = None,
        *,
        number: Callable[[str], Any] = str,
        markup: bool = False,
    ) -> None:
        """given: the columns, if known. number: see blocks.decoder. markup: escape names
        and cells. Raises InvalidInput over the limits of columns and names."""
        self._cells = cells
        self._cell_mark, self._row_mark = _MARKUP_MARKS if markup else _MARKS
        self._cell_byte = _encoded(self._cell_mark)
        self._row_byte = _encoded(self._row_mark)
        self._plain = unescape if markup else str
        self._decode = decoder(number)
        if markup:
            blocks = map(escaped, blocks)
            given = None if given is None else tuple(map(escape, given))
        self._root = Place("")
        self._given = given
        self._names: list[str] = []
        self._by_name: dict[str, int] = {}
        self._segments: list[tuple[int, int]] = []
        self._spool = SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 closed by exit
        try:
            for name in given or ():
                self._root.child(name).column = self._column(name)
            for block in recut(blocks):
                self._take(self._decode(block))
            self._order = self._ordered()
        except BaseException:
            self._spool.close()
            raise
        self.columns = [self._names[column] for column in self._order]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.close()

    def rows(self) -> Iterator[list[list[bytes]]]:
        """Yield the rows, many at a time, each with a cell for every column."""
        order, width = self._order, len(self._names)
        for piece, cells in self._pieces():
            padding = [b""] * (width - cells)
            rows = [
                row.split(self._cell_byte) + padding for row in piece[:-1].split(self._row_byte)
            ]
            yield [[row[column] for column in order] for row in rows]

    def lines(self, start: bytes, between: bytes, end: bytes) -> Iterator[bytes]:
        """Yield the rows as text, many at a time, with these around and between the cells."""
        if self._order != list(range(len(self._names))):
            for rows in self.rows():
                yield b"".join([b"%b%b%b" % (start, between.join(row), end) for row in rows])
            return
        for piece, cells in self._pieces():
            close = between * (len(self._names) - cells) + end
            inner = piece[:-1].replace(self._cell_byte, between)
            yield b"%b%b%b" % (start, inner.replace(self._row_byte, close + start), close)

    def _pieces(self) -> Iterator[tuple[bytes, int]]:
        """Whole rows from the spool, and how many cells each of them has."""
        self._spool.seek(0)
        at, rest = 0, b""
        for end, cells in self._segments:
            while at < end:
                read = self._spool.read(min(_PIECE_BYTES, end - at))
                at += len(read)
                cut = read.rfind(self._row_byte) + 1
                if cut:
                    yield rest + read[:cut], cells
                    rest = read[cut:]
                else:
                    rest += read

    def _take(self, items: list[Item]) -> None:
        found: dict[int, list[str]] = {}
        self._spread(self._root, items, items, found)
        width = len(self._names)
        blank = [""] * len(items)
        columns = [found.get(column, blank) for column in range(width)] or [blank]
        rows = map(self._cell_mark.join, zip(*columns, strict=True))
        self._spool.write(_encoded(self._row_mark.join(rows) + self._row_mark))
        if self._segments and self._segments[-1][1] == len(columns):
            self._segments.pop()
        self._segments.append((self._spool.tell(), len(columns)))

    def _spread(
        self, place: Place, values: list[Any], items: list[Item], found: dict[int, list[str]]
    ) -> None:
        """Turn the values at one place, one for each of the items, into columns of cells.

        Working by column instead of by item leaves nearly all of it to C.
        """
        kinds = set(map(type, values))
        nested = kinds & _NESTED
        if len(nested) == 2:
            values = [_numbered(value) if type(value) is list else value for value in values]
            kinds.discard(list)
        if dict in kinds:
            objects = values if len(kinds) == 1 else [_object(value) for value in values]
            names = set().union(*objects)
            self._check_known(place, names, items)
            for name in names & place.children.keys():
                inner = [value.get(name) for value in objects]
                self._spread(place.children[name], inner, items, found)
        elif list in kinds:
            lists = values if len(kinds) == 1 else [_list(value) for value in values]
            length = max(map(len, lists))
            self._check_known(place, map(str, range(length)), items)
            for at, inside in enumerate(zip_longest(*lists)):
                self._spread(place.children[str(at)], list(inside), items, found)
        kinds -= _NESTED
        if kinds and kinds != {NoneType}:
            if nested:
                values = [None if type(value) in _NESTED else value for value in values]
                kinds.add(NoneType)
            self._fill(place, self._cells(values, kinds), items, found)

    def _fill(
        self, place: Place, cells: list[str], items: list[Item], found: dict[int, list[str]]
    ) -> None:
        if place.column is None:
            self._learn_all(items)
        place.valued = True
        column = place.column
        assert column is not None
        if column in found:
            cells = [mine or other for mine, other in zip(found[column], cells, strict=True)]
        found[column] = cells

    def _check_known(self, place: Place, names: Iterable[str], items: list[Item]) -> None:
        fixed = self._given is not None and place is self._root
        if not fixed and not place.children.keys() >= set(names):
            self._learn_all(items)

    def _learn_all(self, items: list[Item]) -> None:
        """Meet what is new in these items in the order of reading."""
        for item in items:
            self._learn(self._root, item)

    def _learn(self, place: Place, value: Any) -> None:
        inside: Iterable[tuple[str, Any]]
        if type(value) is dict and value:
            inside = value.items()
        elif type(value) is list and value:
            inside = ((str(at), element) for at, element in enumerate(value))
        else:
            if place.column is None:
                place.column = self._column(place.path)
            return
        fixed = self._given is not None and place is self._root
        for name, inner in inside:
            child = place.children.get(name)
            if child is None:
                if fixed:
                    continue
                child = place.child(name)
            self._learn(child, inner)

    def _column(self, name: str) -> int:
        if name in self._by_name:
            return self._by_name[name]
        if len(name) > MAX_COLUMN_NAME and len(plain := self._plain(name)) > MAX_COLUMN_NAME:
            raise InvalidInput(
                f"Column '{plain[:40]}…' has a name of {len(plain)} characters, "
                f"over the limit of {MAX_COLUMN_NAME}",
                hint="Leave it out with omit, or choose json, jsonl or xml, which have no columns",
            )
        # Columns that are only null may be dropped in the end, so twice as many may be met.
        if len(self._names) >= 2 * MAX_COLUMNS:
            raise _too_many(f"more than {len(self._names)}")
        self._by_name[name] = len(self._names)
        self._names.append(name)
        return self._by_name[name]

    def _ordered(self) -> list[int]:
        """The columns worth having, in the order of the header."""
        tops = [sorted(set(top.leaves())) for top in self._root.children.values()]
        every = [column for top in tops for column in top]
        order = list(dict.fromkeys(every)) if self._given is not None else sorted(set(every))
        if len(order) > MAX_COLUMNS:
            raise _too_many(str(len(order)))
        return order


def texts(values: list[Any], kinds: set[type]) -> list[str]:
    """Values as people write them: numbers as they came, true, false, nothing for null."""
    if kinds == {str}:
        return values
    if kinds <= {str, NoneType}:
        return [value or "" for value in values]
    if kinds == {int}:
        return list(map(str, values))
    return [value if type(value) is str else _text(value) for value in values]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return _SPELLED[value] if type(value) is bool else str(value)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _object(value: Any) -> Item:
    return value if type(value) is dict else _ABSENT


def _list(value: Any) -> list[Any] | tuple[()]:
    return value if type(value) is list else ()


def _numbered(value: list[Any]) -> Item:
    return {str(at): element for at, element in enumerate(value)}


def _too_many(count: str) -> InvalidInput:
    return InvalidInput(
        f"The items have {count} columns, over the limit of {MAX_COLUMNS:,}",
        hint="Choose some with fields, or json, jsonl or xml, which have no columns",
    )
