"""Items of a dataset as bytes: read once, checked, and never written anew.

A number such as 1.0 or 12345678901234567890, the order of keys and escapes come
back as the sender wrote them, since nothing here parses an item into objects.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_right
from codecs import utf_8_decode
from collections.abc import Iterable, Iterator
from itertools import accumulate
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Raw, Struct

from storectl.errors import InvalidInput, TooLarge
from storectl.model.rules import MAX_JSON_DEPTH, MAX_PAYLOAD_BYTES

Item = dict[str, Any]

SHALLOW_BYTES = 2 * MAX_JSON_DEPTH
"""What is not longer cannot be nested too deeply."""

_raws = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.Encoder().encode
_decode_lines = msgspec.json.Decoder().decode_lines
_decode = msgspec.json.Decoder().decode

# Raw lets 1e999 through. Digits, e and E are folded, + is dropped, so that two searches
# find every exponent of three digits and every number of 99. A number without either is
# below 1e198; what is found may be an ID of digits and letters, so it is decoded.
_FOLD = bytes(0x39 if 48 <= c <= 57 else 0x65 if c in b"eE" else 0x20 for c in range(256))
_EXPONENT, _DIGITS = b"9e999", b"9" * 99
_UTF8_BYTES = 32 * 1024
_EMPTY = re.compile(rb"\{\s*\}")
# One escape of a string: a pair of surrogates, half a pair, or any other.
_ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_BRACE = ord("{")
_AFTER_BRACE = frozenset(b"} \t")
_second = itemgetter(1)


class Items(Struct):
    """JSON lines, each one object and ended by a newline, with the end of each.

    ends: offset after each line, in bytes. clean: how many are left when hidden
    fields (`#…`) and then empty items are dropped.
    """

    lines: bytes
    ends: array[int]
    clean: int

    def __len__(self) -> int:
        return len(self.ends)

    @classmethod
    def of(cls, items: Iterable[Item]) -> Items:
        """Encode objects."""
        return cls.from_lines([_encode(item) for item in items])

    @classmethod
    def from_lines(cls, lines: list[bytes], body: bytes | None = None) -> Items:
        """Join objects that are known to be valid JSON without a newline inside.

        body: the lines joined and ended, where that is there already.
        """
        ends = array("I", accumulate(map((1).__add__, map(len, lines))))
        if body is None:
            body = b"\n".join([*lines, b""])
        return cls(body, ends, count_clean(body, lines))

    @classmethod
    def from_json(cls, body: bytes) -> Items:
        """Read what a push may send: an object, or an array of objects.

        Elements may be strings that hold the JSON of an object, as old clients
        send them. Raises InvalidInput with line and column, or the position of
        the element that is not an object.
        """
        if not (body.isascii() or _is_utf8(body)):
            check_utf8(body)
        start = body[:64].lstrip()[:1] or body.lstrip()[:1]
        try:
            found = _raws.decode(body) if start == b"[" else [_raw(body)]
        except (msgspec.DecodeError, RecursionError) as error:
            if (whole := mended(body)) != body:
                return cls.from_json(whole)
            raise not_json(error, body.decode()) from None
        lines = list(map(bytes, found))
        if any(line[0] != _BRACE for line in lines):
            lines = [_object(line, at) for at, line in enumerate(lines)]
        if b"\n" in body or b"\r" in body:
            lines = [line.replace(b"\r", b" ").replace(b"\n", b" ") for line in lines]
        check_numbers(body, lines)
        check_depth(lines)
        return cls.from_lines(lines)

    def slice(self, start: int, stop: int) -> Items:
        """The items [start, stop)."""
        first = self.ends[start - 1] if start else 0
        last = self.ends[stop - 1] if stop else 0
        ends = moved(self.ends[start:stop], first)
        lines = self.lines[first:last]
        all_clean = self.clean == len(self)
        return Items(lines, ends, len(ends) if all_clean else count_clean(lines, None))

    def split(self, max_bytes: int) -> Iterator[Items]:
        """Cut into parts of at most max_bytes each, or of one item."""
        if len(self.lines) <= max_bytes:
            yield self
            return
        start, base = 0, 0
        while start < len(self):
            stop = max(bisect_right(self.ends, base + max_bytes, start), start + 1)
            yield self.slice(start, stop)
            start, base = stop, self.ends[stop - 1]

    def objects(self) -> list[Item]:
        """Decode every item."""
        return _decode_lines(self.lines)

    def json(self) -> bytes:
        """The items as one JSON array."""
        return b"[" + self.lines[:-1].replace(b"\n", b",") + b"]"


def _is_utf8(body: bytes) -> bool:
    """Whether that is so, told in pieces: of 5 MB at once the text alone takes twice as long."""
    view, at = memoryview(body), 0
    try:
        while at < len(body):
            at += utf_8_decode(
                view[at : at + _UTF8_BYTES], "strict", at + _UTF8_BYTES >= len(body)
            )[1]
    except UnicodeDecodeError:
        return False
    return True


def moved(ends: array[int], by: int) -> array[int]:
    """Offsets, each at least `by`, counted from there.

    All in one subtraction of two long integers, of which no digit borrows from the
    next: a sixth of the time of one after the other.
    """
    size, order = len(ends) * ends.itemsize, sys.byteorder
    each = array("I", [by]) * len(ends)
    less = int.from_bytes(ends.tobytes(), order) - int.from_bytes(each.tobytes(), order)
    return array("I", less.to_bytes(size, order))


def check_utf8(body: bytes) -> str:
    """The body as text. InvalidInput names the first bad byte."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"Body is not UTF-8: bad byte 0x{body[error.start]:02x} at offset {error.start}",
            type="invalid-input",
        ) from None


def not_json(error: Exception, text: str, where: str = "Body") -> InvalidInput:
    """The failure of a decode, with line and column instead of a byte offset."""
    if isinstance(error, RecursionError):
        return InvalidInput(f"{where} is nested too deeply", type="invalid-input")
    why, at = fault(error, text)
    if at is None:
        return InvalidInput(f"{where} is not JSON: {why}", type="invalid-input")
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return InvalidInput(
        f"{where} is not JSON: {why} at line {line}, column {column}", type="invalid-input"
    )


def fault(error: Exception, text: str) -> tuple[str, int | None]:
    """Why a decode of the text failed, and at which character of it, if that is known."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply", None
    what = str(error)
    if "truncated" in what:
        return "it ends too early", len(text)
    found = re.search(r"^JSON is malformed: (.*?) \(byte (\d+)\)", what)
    if not found:
        return what, None
    why, at = found[1], len(text.encode()[: int(found[2])].decode(errors="ignore"))
    if at and "trailing" in why:  # counted from behind the character
        at -= 1
    return why, at


def mended(body: bytes) -> bytes:
    r"""JSON with U+FFFD for every half of a surrogate pair, such as `"\ud83d"`.

    JavaScript writes one where it cuts a string inside an emoji; UTF-8 cannot hold it.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


def check_numbers(body: bytes, lines: Iterable[bytes]) -> None:
    """Refuse numbers that no JSON reader can hold, such as 1e999."""
    if not _may_be_huge(body):
        return
    for at, line in enumerate(lines):
        try:
            if _may_be_huge(line):
                _decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidInput(f"Item {at} is not JSON: {error}", type="invalid-input") from None


def _may_be_huge(text: bytes) -> bool:
    folded = text.translate(_FOLD, b"+")
    return _EXPONENT in folded or _DIGITS in folded


def check_depth(lines: list[bytes]) -> None:
    """Refuse nesting over the limit, so that whatever is kept can be read again."""
    if max(map(len, lines), default=0) <= SHALLOW_BYTES:
        return
    for at, line in enumerate(lines):
        if len(line) <= SHALLOW_BYTES or line.count(b"{") + line.count(b"[") <= MAX_JSON_DEPTH:
            continue
        depth = 0
        for mark in _BRACKETS.finditer(line):
            depth += 1 if mark[0] in (b"{", b"[") else -1 if mark[0] in (b"}", b"]") else 0
            if depth > MAX_JSON_DEPTH:
                raise InvalidInput(
                    f"Item {at} is nested over {MAX_JSON_DEPTH} levels deep", type="invalid-input"
                )


def too_large(actual: int) -> TooLarge:
    """The failure of a payload over the limit, as the API words it."""
    return TooLarge(
        f"The POST payload is too large (limit: {MAX_PAYLOAD_BYTES} bytes, "
        f"actual length: {actual} bytes)."
    )


def _raw(body: bytes) -> Raw:
    return msgspec.json.decode(body, type=Raw)


def _object(line: bytes, at: int) -> bytes:
    if line[:1] == b"{":
        return line
    if line[:1] == b'"':
        inner = _decode(line).encode()
        if inner.lstrip()[:1] == b"{":
            return Items.from_json(inner).lines[:-1]
    kind = {b"[": "an array", b'"': "a string", b"n": "null", b"t": "a boolean", b"f": "a boolean"}
    raise InvalidInput(
        f"Item {at} is {kind.get(line[:1], 'a number')}, not an object", type="invalid-input"
    )


def count_clean(body: bytes, lines: list[bytes] | None) -> int:
    """How many of the lines are left when hidden fields and then empty items are dropped."""
    hidden = (b"#" in body and b'"#' in body) or (b"\\" in body and b"\\u0023" in body)
    if lines is None:
        lines = body.split(b"\n")[:-1]
    maybe_empty = not _AFTER_BRACE.isdisjoint(map(_second, lines))
    if not hidden and not maybe_empty:
        return len(lines)
    return sum(1 for line in lines if _is_clean(line, hidden))


def _is_clean(line: bytes, hidden: bool) -> bool:
    if _EMPTY.fullmatch(line.strip()):
        return False
    if hidden and (b'"#' in line or b"\\u0023" in line):
        return any(not name.startswith("#") for name in _decode(line))
    return True
