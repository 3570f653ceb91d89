"""XLSX: a workbook whose cells are written in place, compressed while it streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import compress, groupby, starmap
from math import inf
from operator import itemgetter
from types import NoneType
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from storectl.formats import Options
from storectl.formats.markup import escape, unescape
from storectl.formats.table import Table

MAX_ROWS = 1_048_576
MAX_CELL = 32_767
MAX_DIGITS = 10**15
MAX_SHEET_BYTES = 2_000_000_000
"""A part of 2 GiB would need ZIP64, which not every reader of a stream takes."""

# Three times as fast as the usual 6, and an eighth more bytes.
_LEVEL = 2
_TEMPLATES = 1000
_BOOLEANS = {True: '" t="b"><v>1</v></c>', False: '" t="b"><v>0</v></c>', None: ""}
_CODE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
"""Where a text looks like the code `_x000D_`, by which a spreadsheet means a character."""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"

# Sheets are the default, so that this part can come first and needs no list of them.
_CONTENT_TYPES = (
    f'{_DECLARATION}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels"'
    ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Default Extension="xml" ContentType="{_KIND}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/></Types>'
)
_RELATIONS = (
    f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1"'
    f' Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)
_SHEET_HEAD = f'{_DECLARATION}<worksheet xmlns="{_MAIN}"><sheetData>'.encode()
_SHEET_FOOT = b"</sheetData></worksheet>"


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """Yield the workbook. The columns are those of csv, their names the first row.

    Numbers and booleans are such cells, integers of more than 15 digits text, since
    a spreadsheet would round them. Longer text is cut at 32,767 characters, and rows
    that do not fit one sheet go on in the next. A text is never taken for a formula.
    """
    with Table(blocks, _cells, options.columns, number=Number, markup=True) as table:
        yield from _workbook(table)


def _workbook(table: Table) -> Iterator[bytes]:
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED, compresslevel=_LEVEL) as file:  # type: ignore[call-overload]
        _part(file, "[Content_Types].xml", _CONTENT_TYPES)
        _part(file, "_rels/.rels", _RELATIONS)
        sheets = 0
        for sheet, pieces in groupby(_pieces(table), itemgetter(0)):
            with file.open(f"xl/worksheets/sheet{sheet}.xml", "w") as part:
                for _, piece in pieces:
                    part.write(piece)
                    yield sink.taken()
            sheets = sheet
        _part(file, "xl/workbook.xml", _workbook_xml(sheets))
        _part(file, "xl/_rels/workbook.xml.rels", _workbook_relations(sheets))
    yield sink.taken()


def _part(file: ZipFile, name: str, text: str) -> None:
    # Not writestr, which puts the time of day in: the same items give the same bytes.
    with file.open(name, "w") as part:
        part.write(text.encode())


def _pieces(table: Table) -> Iterator[tuple[int, bytes]]:
    """The XML of the sheets in pieces of many rows, each with the number of its sheet."""
    write_row = _row_writer(len(table.columns))
    head = _SHEET_HEAD + write_row(1, [_string(name).encode() for name in table.columns])
    sheet, row, size = 1, 1, len(head)
    yield sheet, head
    for rows in table.rows():
        start = 0
        while start < len(rows):
            if row >= MAX_ROWS or size >= MAX_SHEET_BYTES:
                yield sheet, _SHEET_FOOT
                sheet, row, size = sheet + 1, 1, len(head)
                yield sheet, head
            now = rows[start : start + MAX_ROWS - row]
            piece = b"".join(starmap(write_row, enumerate(now, row + 1)))
            yield sheet, piece
            start, row, size = start + len(now), row + len(now), size + len(piece)
    yield sheet, _SHEET_FOOT


def _row_writer(columns: int) -> Callable[[int, list[bytes]], bytes]:
    """Writes one row from its number and cells.

    A cell is what follows its place: `<c r="B7` and then `"><v>1</v></c>`. Which of
    them are empty hardly changes from row to row, so that makes a template.
    """
    places = [f'<c r="{_letters(column)}#%b'.encode() for column in range(columns)]
    templates: dict[tuple[bool, ...], bytes] = {}

    def row(number: int, cells: list[bytes]) -> bytes:
        filled = tuple(map(bool, cells))
        template = templates.get(filled)
        if template is None:
            if len(templates) == _TEMPLATES:
                templates.clear()
            inside = b"".join(compress(places, filled))
            template = templates[filled] = b'<row r="#">' + inside + b"</row>"
        return template.replace(b"#", b"%d" % number) % tuple(filter(None, cells))

    return row


def _cells(values: list[Any], kinds: set[type]) -> list[str]:
    """Cells of any values: by the column where it is of one kind, which most are."""
    if kinds == {str}:
        return _strings(values)
    if kinds <= {str, NoneType}:
        return _strings([value or "" for value in values])
    if kinds <= {bool, NoneType}:
        return [_BOOLEANS[value] for value in values]
    if kinds == {int} and max(values) < MAX_DIGITS and min(values) > -MAX_DIGITS:
        return [f'"><v>{value}</v></c>' for value in values]
    if kinds <= {Number, NoneType} and _are_plain(list(filter(None, values))):
        return ["" if value is None else f'"><v>{value}</v></c>' for value in values]
    return [_cell(value) for value in values]


def _strings(texts: list[str]) -> list[str]:
    """Cells of text. A column is mostly plain, and few looks tell that all of it is."""
    is_plain = max(map(len, texts)) <= MAX_CELL and list(map(str.strip, texts)) == texts
    if not is_plain or "_x" in "".join(texts):
        return [_string(text) for text in texts]
    cells = [f'" t="inlineStr"><is><t>{text}</t></is></c>' for text in texts]
    if "" in texts:
        cells = [cell if text else "" for text, cell in zip(texts, cells, strict=True)]
    return cells


def _string(text: str) -> str:
    if not text:
        return ""
    if len(text) > MAX_CELL:
        text = escape(unescape(text)[:MAX_CELL])
    if "_x" in text:
        text = _CODE.sub("_x005F_", text)
    space = "" if text == text.strip() else ' xml:space="preserve"'
    return f'" t="inlineStr"><is><t{space}>{text}</t></is></c>'


def _are_plain(numbers: list[str]) -> bool:
    """Whether they are too short to be infinite."""
    return "e" not in "".join(numbers).lower() and max(map(len, numbers)) < 300


def _cell(value: Any) -> str:
    if value is None:
        return ""
    kind = type(value)
    if kind is Number:
        is_number = abs(float(value)) != inf
    elif kind is int:
        is_number = abs(value) < MAX_DIGITS
    elif kind is bool:
        return _BOOLEANS[value]
    else:
        is_number = False
    return f'"><v>{value}</v></c>' if is_number else _string(str(value))


class Number(str):
    """A number with a fraction or an exponent, as it was sent."""

    __slots__ = ()


def _letters(column: int) -> str:
    """A for 0, Z for 25, AA for 26."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _workbook_xml(sheets: int) -> str:
    listed = "".join(
        f'<sheet name="{"Items" if sheet == 1 else f"Items {sheet}"}" sheetId="{sheet}"'
        f' r:id="rId{sheet}"/>'
        for sheet in range(1, sheets + 1)
    )
    return (
        f'{_DECLARATION}<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}">'
        f"<sheets>{listed}</sheets></workbook>"
    )


def _workbook_relations(sheets: int) -> str:
    listed = "".join(
        f'<Relationship Id="rId{sheet}" Type="{_DOCUMENT}/worksheet"'
        f' Target="worksheets/sheet{sheet}.xml"/>'
        for sheet in range(1, sheets + 1)
    )
    return f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'


class _Sink:
    """A file that cannot seek, for the archive to write to; what it wrote is taken away."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """The archive calls it."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)
