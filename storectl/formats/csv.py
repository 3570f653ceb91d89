"""CSV: RFC 4180, UTF-8, one column for each leaf of the items."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from math import inf
from typing import Any, BinaryIO

import msgspec

from storectl.errors import InvalidInput, TooLarge
from storectl.formats import Options
from storectl.formats.batch import LIMIT_BYTES, Batch, OnBad, batches, reject, without_bom
from storectl.formats.columns import Cells, texts
from storectl.formats.table import Table

_DELIMITERS = ",;\t|"
_EMPTY = '""'
"""A lone empty cell: without quotes it would be an empty line, which readers skip."""

_QUOTED = re.compile('"[^"]*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMERIC = "-0123456789"
_WORDS = {"": None, "true": True, "false": False, "null": None}

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")

_encode = msgspec.json.Encoder().encode


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """Yield the items as CSV: a byte order mark, the header, a line for each item, CRLF.

    The mark is there unless `bom` is false. A cell is quoted only where it must
    be. A text such as `=1+1` stays as it was stored, and a spreadsheet may take it
    for a formula; with `csv_safe` it is written as `'=1+1`, numbers as they are.
    """
    delimiter = options.delimiter
    if len(delimiter) != 1 or delimiter in '"\r\n' or "\ud800" <= delimiter <= "\udfff":
        raise InvalidInput(
            f"delimiter {delimiter!r} is not one character, or is a quote or line end",
            hint="delimiter=; or delimiter=%09 for a tab",
            type="invalid-parameter",
        )
    return _write(blocks, options)


def _write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    delimiter = options.delimiter
    safe = options.csv_safe
    number, cells = (_Number, _safe_cells(delimiter)) if safe else (str, _cells(delimiter))
    with Table(blocks, cells, options.columns, number=number) as table:
        if not table.columns:
            return
        if not options.skip_header_row:
            names = [harmless(name) for name in table.columns] if safe else table.columns
            names = _quoted(names, delimiter)
            yield f"{delimiter.join(names) or _EMPTY}\r\n".encode()
        if len(table.columns) > 1:
            yield from table.lines(b"", delimiter.encode(), b"\r\n")
            return
        for rows in table.rows():
            yield b"".join([(row[0] or _EMPTY.encode()) + b"\r\n" for row in rows])


def _cells(delimiter: str) -> Cells:
    def cells(values: list[Any], kinds: set[type]) -> list[str]:
        return _quoted(texts(values, kinds), delimiter)

    return cells


class _Number(str):
    """The text of a number, which is never taken for a formula that does something."""


def _safe_cells(delimiter: str) -> Cells:
    def cells(values: list[Any], kinds: set[type]) -> list[str]:
        safe = [harmless(value) if type(value) is str else value for value in values]
        return _quoted(texts(safe, kinds), delimiter)

    return cells


def harmless(text: str) -> str:
    """The text, with ' before it if a spreadsheet could take it for a formula.

    Source: OWASP, "CSV Injection"; the wide signs are those of East Asian keyboards.
    """
    return "'" + text if text.startswith(_FORMULA) else text


def _quoted(texts: list[str], delimiter: str) -> list[str]:
    """The cells, quoted where they must be. Most columns need none: one look tells."""
    if not _needs_quotes("".join(texts), delimiter):
        return texts
    return [_quote(text) if _needs_quotes(text, delimiter) else text for text in texts]


def _needs_quotes(text: str, delimiter: str) -> bool:
    return delimiter in text or '"' in text or "\n" in text or "\r" in text


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


_FAULTS = (
    ("new-line character", "a carriage return in a cell without quotes"),
    ("unexpected end of data", "a quote that is not closed"),
    ("field larger", f"a cell over {LIMIT_BYTES:,} bytes"),
)
"""What Python's reader says, and what it means."""


def read(
    stream: BinaryIO, *, max_bytes: int, on_bad: OnBad, typed: bool, delimiter: str | None
) -> Iterator[Batch]:
    """Yield an item for each row, its fields named by the header.

    Cells are text unless typed. A row may be shorter than the header: the fields
    that it lacks are absent. Blank lines are let be. The delimiter is the one of
    , ; tab | that the header has most of.
    """
    lines = _lines(stream)
    first = next(lines, "")
    csv.field_size_limit(LIMIT_BYTES)  # of the process; the default of 128 KiB is for people
    rows = _Rows(chain([first], lines), delimiter or _sniffed(first), on_bad)
    names = _names(rows)
    held: list[bytes] = []
    numbers = array("I")
    held_bytes = 0
    for line, row in rows:
        item = _item(names, row, line, on_bad, typed=typed)
        if item is None:
            continue
        if held and held_bytes + len(item) >= max_bytes:
            yield from batches(held, numbers, on_bad, max_bytes)
            held, numbers, held_bytes = [], array("I"), 0
        held.append(item)
        numbers.append(line)
        held_bytes += len(item) + 1
    yield from batches(held, numbers, on_bad, max_bytes)


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines as text; what is not UTF-8 becomes lone surrogates, which no item can have."""
    first = True
    while line := stream.readline(LIMIT_BYTES):
        if len(line) == LIMIT_BYTES and not line.endswith(b"\n"):
            raise TooLarge(f"A line is over the limit of {LIMIT_BYTES:,} bytes")
        yield (without_bom(line) if first else line).decode("utf-8", "surrogateescape")
        first = False


class _Rows:
    """Rows that are not blank, each with the line it began on."""

    def __init__(self, lines: Iterator[str], delimiter: str, on_bad: OnBad) -> None:
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._on_bad = on_bad

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            line = self._reader.line_num + 1
            try:
                row = next(self._reader, None)
            except csv.Error as error:
                why = next((ours for theirs, ours in _FAULTS if theirs in str(error)), error)
                reject(line, f"not CSV: {why}", self._on_bad)
                continue
            if row is None:
                return
            if row:
                yield line, row


def _sniffed(header: str) -> str:
    plain = _QUOTED.sub("", header)
    return max(_DELIMITERS, key=plain.count)


def _names(rows: _Rows) -> list[str]:
    line, names = next(iter(rows), (1, []))
    for at, name in enumerate(names):
        if not name:
            raise InvalidInput(f"line {line}: column {at + 1} has no name", data={"line": line})
        if name in names[:at]:
            raise InvalidInput(f"line {line}: two columns are named '{name}'", data={"line": line})
    return names


def _item(
    names: list[str], row: list[str], line: int, on_bad: OnBad, *, typed: bool
) -> bytes | None:
    if len(row) > len(names):
        if any(row[len(names) :]):
            reject(line, f"{len(row)} cells, but the header has {len(names)}", on_bad)
            return None
        row = row[: len(names)]
    cells: list[Any] = [_typed(cell) for cell in row] if typed else row  # type: ignore[assignment]
    try:
        return _encode(dict(zip(names, cells, strict=False)))
    except UnicodeEncodeError:
        reject(line, "not UTF-8", on_bad)
        return None


def _typed(cell: str) -> Any:
    """The value that a cell looks like: 1.50 stays 1.50, and 007 is text."""
    if cell in _WORDS:
        return _WORDS[cell]
    if cell[0] in _NUMERIC and _NUMBER.fullmatch(cell) and abs(float(cell)) != inf:
        return msgspec.Raw(cell.encode())
    return cell
