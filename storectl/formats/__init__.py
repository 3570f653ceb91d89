"""Items as bytes in eight formats, and bytes as items. Pure, streaming, constant memory.

A format is one module, loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec
from msgspec import Struct

from storectl.errors import InvalidInput

if TYPE_CHECKING:
    from storectl.formats.batch import Batch, OnBad

BINARY = ("xlsx", "parquet")
READABLE = ("json", "jsonl", "csv")
_READ_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}


class Options(Struct, frozen=True, kw_only=True):
    """How to write; a format takes what concerns it.

    bom: None is the format's own habit: on for csv, off for the others. columns:
    the fields of the items in their order, where they are known beforehand. csv_safe:
    a text in csv that a spreadsheet would take for a formula begins with '.
    """

    delimiter: str = ","
    bom: bool | None = None
    skip_header_row: bool = False
    xml_root: str = "items"
    xml_row: str = "item"
    feed_title: str = ""
    feed_description: str = ""
    feed_link: str = ""
    columns: tuple[str, ...] | None = None
    csv_safe: bool = False


class Format(NamedTuple):
    """One way to write items. self_closing: a stream that was cut is visibly broken."""

    name: str
    media_type: str
    suffix: str
    self_closing: bool


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("json", "application/json; charset=utf-8", ".json", True),
        Format("jsonl", "application/jsonl; charset=utf-8", ".jsonl", False),
        Format("csv", "text/csv; charset=utf-8", ".csv", False),
        Format("html", "text/html; charset=utf-8", ".html", True),
        Format(
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ".xlsx",
            True,
        ),
        Format("xml", "application/xml; charset=utf-8", ".xml", True),
        Format("rss", "application/rss+xml; charset=utf-8", ".rss", True),
        Format("parquet", "application/vnd.apache.parquet", ".parquet", True),
    )
}


def write(name: str, blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """Write items in the named format, in chunks of about 64 KiB or more.

    blocks: JSON lines, cut anywhere, the last one ended too; read once. Raises
    InvalidInput at once for an unknown format or a bad option, and before the
    first chunk if the items have too many columns.
    """
    if name not in FORMATS:
        raise InvalidInput(
            f"Format '{name}' is none of {', '.join(FORMATS)}", type="invalid-parameter"
        )
    from storectl.formats.blocks import gather, whole_lines

    chunks: Iterator[bytes] = import_module(f"storectl.formats.{name}").write(
        whole_lines(blocks), options
    )
    has_bom = name == "csv" if options.bom is None else options.bom
    if has_bom and name not in BINARY:
        chunks = chain((_BOM,), chunks)
    return gather(chunks)


def read(
    name: str,
    stream: BinaryIO,
    *,
    max_bytes: int = _READ_BYTES,
    on_bad: OnBad = None,
    typed: bool = False,
    delimiter: str | None = None,
) -> Iterator[Batch]:
    """Read items out of a file of JSON, JSON Lines or CSV, in batches of about max_bytes or less.

    An item keeps the bytes it has in the file, and no batch is cut inside of one.
    on_bad: told the line of what is no item, and why; it is then passed over. None
    raises InvalidInput, or TooLarge for an item over the limit of a push. typed:
    cells of csv that look like numbers, true, false or nothing are such. delimiter:
    of csv; None looks at the header.
    """
    if name not in READABLE:
        raise InvalidInput(
            f"Items cannot be read from '{name}', only from {', '.join(READABLE)}",
            type="invalid-parameter",
        )
    module = import_module(f"storectl.formats.{name}")
    more = {"typed": typed, "delimiter": delimiter} if name == "csv" else {}
    found: Iterator[Batch] = module.read(stream, max_bytes=max_bytes, on_bad=on_bad, **more)
    return found


def detect(name: str, head: bytes) -> str:
    """The format to read a file in: by the end of its name, else by how it starts.

    head: the first bytes, whole lines if they are short. What starts with { is JSON
    Lines if its first line is whole, also where it is named .json and goes on. Raises
    InvalidInput for what holds no items in any of them.
    """
    _check_text(head)
    known = next((form for end, form in _SUFFIXES.items() if name.lower().endswith(end)), None)
    text = head.removeprefix(_BOM).lstrip()
    if known in ("jsonl", "csv"):
        return known
    if text[:1] == b"{":
        line, newline, rest = text.partition(b"\n")
        is_whole = _is_json(line)
        if known and is_whole and not rest.strip():
            return known
        return "json" if newline and not is_whole else "jsonl"
    return known or ("json" if text[:1] == b"[" else "csv")


def _check_text(head: bytes) -> None:
    """Refuse in one line what every line of would be refused."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InvalidInput("UTF-16, and items are read in UTF-8", hint="iconv -f utf-16 -t utf-8")
    if b"\0" in head.partition(b"\n")[0]:  # a later line is refused by itself
        kind = "a workbook or an archive" if head[:4] == b"PK\x03\x04" else "binary"
        raise InvalidInput(f"{kind}, and items are read from {', '.join(READABLE)}")
    if head.removeprefix(_BOM).lstrip()[:1] == b"<":
        raise InvalidInput(f"XML or HTML, and items are read from {', '.join(READABLE)}")


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True
