"""Items as rows of cells, for the formats that have columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any, Self

from storectl.formats.blocks import decoder, recut
from storectl.formats.columns import Cells, Columns
from storectl.formats.markup import escape, escaped, unescape

# What stands between cells and behind rows in the spool: bytes which UTF-8 never
# contains, in text the lone surrogates that `surrogateescape` turns into them. Markup
# has no control characters, so there two of these do, and text stays ASCII: faster.
_MARKS = ("\udcfe", "\udcff")
_MARKUP_MARKS = ("\x1e", "\x1f")

_SPOOL_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 256 * 1024


class Table:
    """Rows of finished cells in a spool, read from blocks of JSON lines when made.

    The last item may bring a new column, and the names come first: so the cells
    are kept until all are seen. Earlier rows are padded on the way out.

    columns: the names for the header, escaped as the cells are.
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
        """given: the fields that count, or None for all. number: see blocks.decoder.
        markup: escape names and cells. Raises InvalidInput over the limits of columns."""
        if markup:
            blocks = map(escaped, blocks)
            given = None if given is None else tuple(map(escape, given))
        self._cell_mark, self._row_mark = _MARKUP_MARKS if markup else _MARKS
        self._cell_byte, self._row_byte = _encoded(self._cell_mark), _encoded(self._row_mark)
        self._spool = SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 closed by exit
        # Where in the spool rows of equal length end, and how many cells each of them has.
        self._segments: list[tuple[int, int]] = []
        columns = Columns(cells, given, unescape if markup else str)
        decode = decoder(number)
        try:
            for block in recut(blocks):
                items = decode(block)
                self._keep(columns.spread(items) or [[""] * len(items)])
            self._order = columns.order()
        except BaseException:
            self._spool.close()
            raise
        self._width = len(columns.names)
        self._is_in_order = self._order == list(range(self._width))
        self.columns = [columns.names[column] for column in self._order]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.close()

    def _keep(self, columns: list[list[str]]) -> None:
        rows = map(self._cell_mark.join, zip(*columns, strict=True))
        self._spool.write(_encoded(self._row_mark.join(rows) + self._row_mark))
        if self._segments and self._segments[-1][1] == len(columns):
            self._segments.pop()
        self._segments.append((self._spool.tell(), len(columns)))

    def rows(self) -> Iterator[list[list[bytes]]]:
        """Yield the rows, many at a time, each with a cell for every column."""
        for piece, cells in self._pieces():
            padding = [b""] * (self._width - cells)
            kept = piece[:-1].split(self._row_byte)
            rows = [row.split(self._cell_byte) + padding for row in kept]
            if not self._is_in_order:
                rows = [[row[column] for column in self._order] for row in rows]
            yield rows

    def lines(self, start: bytes, between: bytes, end: bytes) -> Iterator[bytes]:
        """Yield the rows as text, many at a time, with these around and between the cells."""
        if not self._is_in_order:
            for rows in self.rows():
                yield b"".join([b"%b%b%b" % (start, between.join(row), end) for row in rows])
            return
        for piece, cells in self._pieces():
            close = between * (self._width - cells) + end
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


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
