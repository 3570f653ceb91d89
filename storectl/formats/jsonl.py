"""JSON Lines: one object on each line, as it was sent."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, count
from operator import add, itemgetter
from typing import BinaryIO

import msgspec
from msgspec import Raw

from storectl.errors import InvalidInput, TooLarge
from storectl.formats import Options
from storectl.formats.batch import LIMIT_BYTES, Batch, OnBad, batches, reject, utf8, without_bom
from storectl.model.items import (
    SHALLOW_BYTES,
    Items,
    check_depth,
    check_numbers,
    count_clean,
    fault,
    mended,
)

_decode_lines = msgspec.json.Decoder(Raw).decode_lines
_decode = msgspec.json.Decoder(Raw).decode

_first, _last = itemgetter(0), itemgetter(-1)
_BRACE, _CLOSING_BRACE = {ord("{")}, {ord("}")}
_SKIP_BYTES = 64 * 1024

_CUT_BYTES = 64 * 1024
"""Of lines that are looked at together: they stay in the cache, which halves the time."""

_start = itemgetter(slice(0, 2))
_STARTS = {b'{"'}


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:  # noqa: ARG001
    """Yield the lines as they are kept. Nothing is parsed."""
    return iter(blocks)


def read(stream: BinaryIO, *, max_bytes: int, on_bad: OnBad) -> Iterator[Batch]:
    """Yield the items of the lines. Blank lines, CRLF and a byte order mark are let be."""
    line = 1
    for block in _blocks(stream, max_bytes):
        if block is None:
            reject(line, f"item is over the limit of {LIMIT_BYTES:,} bytes", on_bad, TooLarge)
            line += 1
            continue
        bare = False  # a CR alone: space in JSON, the end of a line for who reads it next
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
            bare = b"\r" in block
        if not bare and (items := _as_they_are(block)):
            yield Batch(items, range(line, line + len(items)))
            line += len(items)
            continue
        lines = block.split(b"\n")
        del lines[-1]  # what is behind the last newline
        if not bare and are_objects(block, lines):
            numbers = range(line, line + len(lines))
            yield from batches(lines, numbers, on_bad, max_bytes, block)
        else:
            yield from batches(*_elements(lines, line, on_bad), on_bad, max_bytes)
        line += len(lines)


def _blocks(stream: BinaryIO, max_bytes: int) -> Iterator[bytes | None]:
    """Whole lines of at most max_bytes together, or one longer line; None for one over the limit.

    Such a line is passed over without being held.
    """
    rest = without_bom(stream.read(max_bytes))
    while rest:
        cut = rest.rfind(b"\n", 0, max_bytes) + 1 or rest.find(b"\n") + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > LIMIT_BYTES:
            yield None
            rest = _after_newline(stream)
        if more := stream.read(max(max_bytes - len(rest), _SKIP_BYTES)):
            rest += more
        elif rest and not rest.endswith(b"\n"):
            rest += b"\n"


def _after_newline(stream: BinaryIO) -> bytes:
    while read := stream.read(_SKIP_BYTES):
        if found := read.find(b"\n") + 1:
            return read[found:]
    return b""


def _as_they_are(block: bytes) -> Items | None:
    """The items of whole lines that are all plain objects; None if a closer look is needed.

    Few passes over little text at a time: this is most of the work of a push.
    """
    if len(block) > LIMIT_BYTES:
        return None
    ends = array("I")
    clean = at = 0
    while at < len(block):
        cut = block.rfind(b"\n", at, at + _CUT_BYTES) + 1 or block.find(b"\n", at) + 1
        part = block[at:cut]
        lines = part.split(b"\n")
        del lines[-1]
        if {*map(_start, lines)} != _STARTS:
            return None
        if {*map(_last, lines)} != _CLOSING_BRACE or not _hold(part, len(lines)):
            return None
        sizes = list(map(len, lines))
        try:
            if max(sizes) > SHALLOW_BYTES:
                check_depth(lines)
            check_numbers(part, lines)
        except InvalidInput:
            return None
        sizes[0] += at
        ends.extend(map(add, accumulate(sizes), count(1)))  # a newline behind each
        may_hide = b"#" in part or b"\\" in part
        clean += count_clean(part, lines) if may_hide else len(lines)
        at = cut
    return Items(block, ends, clean)


def _elements(lines: list[bytes], line: int, on_bad: OnBad) -> tuple[list[bytes], Sequence[int]]:
    """The values on lines, without space around, and the line of each. line: of the first."""
    lines = [each.strip() for each in lines]
    numbers = array("I", [line + at for at, each in enumerate(lines) if each])
    lines = [each for each in lines if each]
    if are_objects(b"\n".join(lines), lines):
        return [each.replace(b"\r", b" ") for each in lines], numbers
    good = [at for at, each in enumerate(lines) if _is_json(each, numbers[at], on_bad)]
    return [mended(lines[at]).replace(b"\r", b" ") for at in good], array(
        "I", [numbers[at] for at in good]
    )


def are_objects(block: bytes, lines: list[bytes]) -> bool:
    """Whether each line is one object of JSON, with no space around.

    Where each line starts with { and ends with }, no newline is inside a value;
    then as many values as lines means one in each.
    """
    if b"" in lines or {*map(_first, lines)} != _BRACE or {*map(_last, lines)} != _CLOSING_BRACE:
        return False
    return _hold(block, len(lines))


def _hold(block: bytes, count: int) -> bool:
    """Whether a block is UTF-8 and has so many values of JSON, one behind the other."""
    try:
        if not block.isascii():
            block.decode()
        return len(_decode_lines(block)) == count
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return False


def _is_json(text: bytes, line: int, on_bad: OnBad) -> bool:
    try:
        plain = utf8(text)
    except InvalidInput as error:
        reject(line, error.message, on_bad)
        return False
    try:
        _decode(mended(text))
    except (msgspec.DecodeError, RecursionError) as error:
        why, at = fault(error, plain)
        reject(line, f"not JSON: {why}" + ("" if at is None else f" at column {at + 1}"), on_bad)
        return False
    return True
