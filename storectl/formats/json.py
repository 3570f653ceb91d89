"""JSON: one array, its items as they were sent."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec import Raw

from storectl.errors import InvalidInput, TooLarge
from storectl.formats import Options
from storectl.formats.batch import LIMIT_BYTES, Batch, OnBad, batches, reject, utf8, without_bom
from storectl.model.items import fault, mended

_decode_array = msgspec.json.Decoder(list[Raw]).decode
_decode = msgspec.json.Decoder(Raw).decode

_SPACE = b" \t\r\n"
_COMMA = ord(",")
_OPENING, _CLOSING = b"{[", b"}]"
_GUESS_BYTES = 64 * 1024
_MORE = "trailing characters"


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:  # noqa: ARG001
    """Yield one array. Bytes are copied, nothing is parsed."""
    lead = b"["
    for block in blocks:
        if block:
            yield lead + block[:-1].replace(b"\n", b",")
            lead = b","
    yield b"[]" if lead == b"[" else b"]"


def read(stream: BinaryIO, *, max_bytes: int, on_bad: OnBad) -> Iterator[Batch]:
    """Yield the items of an array of any size, or the one object that the file is.

    Broken JSON ends the reading with line and column, since nothing tells where
    the next item starts; an element that is no object goes to on_bad.
    """
    held = without_bom(stream.read(max_bytes))
    while not held.strip(_SPACE) and (more := stream.read(max_bytes)):
        held += more
    opening = held.lstrip(_SPACE)[:1]
    place = _Place(1, 1)
    if opening == b"{":
        part = _Part(b"", _rest(held, stream, max_bytes), b"")
        yield from batches(*part.elements(place), on_bad, max_bytes)
    elif opening == b"[":
        for part in _parts(held, stream, max_bytes):
            yield from batches(*part.elements(place), on_bad, max_bytes)
            place = place.after(part.text.decode() + ",")
    elif opening:
        reject(1, "neither an array nor an object of JSON", on_bad)


def _rest(held: bytes, stream: BinaryIO, max_bytes: int) -> bytes:
    while len(held) <= LIMIT_BYTES and (more := stream.read(max_bytes)):
        held += more
    if len(held) > LIMIT_BYTES:
        raise TooLarge(
            f"line 1: item is over the limit of {LIMIT_BYTES:,} bytes",
            hint="If every line is an item, read it as jsonl",
        )
    return held


def _parts(held: bytes, stream: BinaryIO, max_bytes: int) -> Iterator[_Part]:
    """Cut the array behind whole elements, so that no part is much over max_bytes."""
    open, start = b"", held.index(b"[") + 1
    while True:
        if len(held) >= max_bytes:
            cut = _last_cut(held, start)
            if cut >= 0:
                yield _Part(open, held[:cut], b"]")
                open, held, start = b"[", held[cut + 1 :], 0
            elif len(held) > LIMIT_BYTES + max_bytes:
                raise TooLarge(f"An item is over the limit of {LIMIT_BYTES:,} bytes")
        space = max_bytes - len(held)
        more = stream.read(space if space > 0 else len(held))
        if not more:
            break
        held += more
    yield _Part(open, held, b"")


def _last_cut(held: bytes, start: int) -> int:
    """Where the last comma between elements is, or -1. start: where one begins.

    Brackets are counted as if no string had any, and decoding proves the result: a
    text that one `]` makes whole is at the level of the array. If it does not, they
    are counted again in every other piece between quotes, which costs ten times more.
    """
    text = held[start:]
    comma = _last_comma([text], _GUESS_BYTES)
    if comma < 0 or not _is_array(b"[%b]" % text[:comma]):
        comma = _last_comma(
            text.replace(rb"\\", b"__").replace(rb"\"", b"__").split(b'"'), len(text)
        )
    return comma if comma < 0 else start + comma


def _last_comma(pieces: list[bytes], reach: int) -> int:
    """The offset of the last comma at depth 0 in text that was split at quotes, or -1.

    reach: how many bytes from the end to look at.
    """
    outside = b"".join(pieces[::2])
    depth = outside.count(b"{") + outside.count(b"[") - outside.count(b"}") - outside.count(b"]")
    end = sum(map(len, pieces)) + len(pieces) - 1
    for number in range(len(pieces) - 1, -1, -1):
        piece = pieces[number]
        end -= len(piece)
        if number % 2 == 0:
            for at in range(len(piece) - 1, max(-1, len(piece) - 1 - reach), -1):
                mark = piece[at]
                if mark == _COMMA and depth == 0:
                    return end + at
                depth += (mark in _CLOSING) - (mark in _OPENING)
        end -= 1
    return -1


def _is_array(text: bytes) -> bool:
    try:
        _decode_array(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class _Place(NamedTuple):
    line: int
    column: int

    def after(self, text: str) -> _Place:
        """The place behind this text."""
        if newlines := text.count("\n"):
            return _Place(self.line + newlines, len(text) - text.rfind("\n"))
        return _Place(self.line, self.column + len(text))


class _Part(NamedTuple):
    """Some elements of an array with the commas between; open and close make it whole."""

    open: bytes
    text: bytes
    close: bytes

    def elements(self, start: _Place) -> tuple[list[bytes], array[int]]:
        """The elements, each on one line, and the lines on which they begin."""
        open, text, close = self
        try:
            plain = utf8(text)
        except InvalidInput as error:
            line = start.line + int(str(error.data))
            raise InvalidInput(f"line {line}: {error.message}", data={"line": line}) from None
        try:
            elements = self._decoded()
        except (msgspec.DecodeError, RecursionError) as error:
            whole = self._replace(text=mended(text))
            if whole.text != text:
                return whole.elements(start)
            why, at = fault(error, f"{open.decode()}{plain}{close.decode()}")
            raise _broken(why, start.after(plain[: max(0, (at or 0) - len(open))])) from None
        if not elements and close:
            raise _broken("invalid character", start.after(plain))
        if not elements and open:
            raise _broken("trailing comma in array", start)
        lines = self._lines(elements, start.line)
        if b"\n" in text or b"\r" in text:
            elements = [each.replace(b"\r", b" ").replace(b"\n", b" ") for each in elements]
        return elements, lines

    def _decoded(self) -> list[bytes]:
        open, text, close = self
        if not open and not close and text.lstrip(_SPACE)[:1] == b"{":
            return [bytes(_decode(text))]
        return list(map(bytes, _decode_array(b"%b%b%b" % self)))

    def _lines(self, elements: list[bytes], line: int) -> array[int]:
        if b"\n" not in self.text:
            return array("I", [line]) * len(elements)
        lines = array("I")
        at = 0
        for element in elements:
            start = self.text.find(element, at)
            line += self.text.count(b"\n", at, start)
            lines.append(line)
            line += element.count(b"\n")
            at = start + len(element)
        return lines


def _broken(why: str, place: _Place) -> InvalidInput:
    return InvalidInput(
        f"line {place.line}: not JSON: {why} at column {place.column}",
        hint="If every line is an item, read it as jsonl" if why == _MORE else None,
        data={"line": place.line},
    )
