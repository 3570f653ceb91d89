"""Batches of checked items out of a file, each item with the line it began on."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from msgspec import Struct

from storectl.errors import InvalidInput, TooLarge
from storectl.model.items import Items, check_depth, check_numbers
from storectl.model.rules import MAX_PAYLOAD_BYTES

LIMIT_BYTES = MAX_PAYLOAD_BYTES - 2
"""What one item may have: a push of it alone puts brackets around."""

OnBad = Callable[[int, str], None] | None
"""Told the line of a bad item and what is wrong with it; None raises instead."""

_KINDS = {b"[": "an array", b'"': "a string", b"n": "null", b"t": "a boolean", b"f": "a boolean"}


class Batch(Struct):
    """Items in the order of the file. lines: for each of them, the line it began on, from 1."""

    items: Items
    lines: Sequence[int]


def batches(
    elements: list[bytes],
    lines: Sequence[int],
    on_bad: OnBad,
    max_bytes: int,
    body: bytes | None = None,
) -> Iterator[Batch]:
    """Batches of values that are known to be JSON on one line each: one, unless it is too long.

    body: all elements, each ended by a newline, where that is there already.
    """
    if not elements:
        return
    try:
        _check(elements, body)
    except (InvalidInput, TooLarge):
        good = [at for at, element in enumerate(elements) if _is_good(element, lines[at], on_bad)]
        elements = [elements[at] for at in good]
        lines = array("I", [lines[at] for at in good])
        body = None
    if not elements:
        return
    start = 0
    for items in Items.from_lines(elements, body).split(max_bytes):
        yield Batch(items, lines[start : start + len(items)])
        start += len(items)


def reject(
    line: int, why: str, on_bad: OnBad, error: type[InvalidInput | TooLarge] = InvalidInput
) -> None:
    """Report a bad line, or raise if nobody listens."""
    if on_bad is None:
        raise error(f"line {line}: {why}", data={"line": line})
    on_bad(line, why)


def _check(elements: list[bytes], body: bytes | None = None) -> None:
    if body is None:
        body = b"\n".join(elements)
    if {*map(itemgetter(0), elements)} != {ord("{")}:
        kind = next(_KINDS.get(each[:1], "a number") for each in elements if each[:1] != b"{")
        raise InvalidInput(f"{kind}, not an object")
    if len(body) > LIMIT_BYTES and max(map(len, elements)) > LIMIT_BYTES:
        raise TooLarge(f"item is over the limit of {LIMIT_BYTES:,} bytes")
    check_depth(elements)
    try:
        check_numbers(body, elements)
    except InvalidInput:
        raise InvalidInput("item has a number out of range") from None


def _is_good(element: bytes, line: int, on_bad: OnBad) -> bool:
    try:
        _check([element])
    except (InvalidInput, TooLarge) as error:
        reject(line, error.message.replace("Item 0", "item"), on_bad, type(error))
        return False
    return True


def utf8(text: bytes) -> str:
    """The text decoded; InvalidInput says which byte is bad, and where."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        column = len(text[text.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        raise InvalidInput(
            f"not UTF-8: bad byte 0x{text[error.start]:02x} at column {column}",
            data=text.count(b"\n", 0, error.start),
        ) from None


def without_bom(start: bytes) -> bytes:
    """The start of a file without its byte order mark."""
    return start.removeprefix(b"\xef\xbb\xbf")
