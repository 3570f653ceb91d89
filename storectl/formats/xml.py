"""XML: each item an element, each of its fields an element inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from storectl.errors import InvalidInput
from storectl.formats import Options
from storectl.formats.blocks import decoder, recut
from storectl.formats.markup import escaped, unescape

DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>\n'

# Letters that every XML parser takes in a name, also one of the fourth edition.
_LETTERS = (
    "A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e"
    "\u0391-\u03a1\u03a3-\u03ce\u0401-\u040c\u040e-\u044f\u0451-\u045c\u05d0-\u05ea"
    "\u0621-\u063a\u0641-\u064a\u0905-\u0939\u0e01-\u0e2e\u3041-\u3094\u30a1-\u30fa\u4e00-\u9fa5"
    "\uac00-\ud7a3"
)
_NOT_IN_NAME = re.compile(f"[^{_LETTERS}0-9.-]")
_STARTS_NAME = re.compile(f"[{_LETTERS}]")

Out = Callable[[str], None]


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """Yield the items as elements of one root.

    An array repeats its element, and arrays inside of arrays are taken as one (our
    choice); null is an empty element. The field `@` of an object is the attributes
    of its element, and the field `#` its text where there are no other fields.
    A character that no XML name can have becomes `_`, one that XML cannot hold at
    all is dropped. Source: Apify API v2, "Get items".
    """
    for option, given in (("xmlRoot", options.xml_root), ("xmlRow", options.xml_row)):
        if name(given) != given:
            raise InvalidInput(
                f"{option} {given!r} is not a name in XML; use letters, digits, '_', '-' and '.'",
                hint=f"{option}={name(given)}",
                type="invalid-parameter",
            )
    return _write(blocks, options)


def _write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    yield DECLARATION + f"<{options.xml_root}>\n".encode()
    yield from rows(blocks, options.xml_row)
    yield f"</{options.xml_root}>\n".encode()


def rows(blocks: Iterable[bytes], row: str) -> Iterator[bytes]:
    """Yield each item as an element of this name, on a line of its own, many at a time."""
    decode = decoder()
    for block in recut(map(escaped, blocks)):
        text: list[str] = []
        for item in decode(block):
            _element(row, item, text.append)
            text.append("\n")
        yield "".join(text).encode()


def _element(name: str, value: Any, out: Out) -> None:
    """Write one field. Strings are escaped already, names with them."""
    kind = type(value)
    if kind is list:
        for element in value:
            _element(name, element, out)
        return
    start, end, empty = _tags(name)
    if kind is str:
        out(f"{start}{value}{end}")
    elif kind is dict:
        _object(name, value, out)
    elif value is None:
        out(empty)
    else:
        out(f"{start}{_text(value)}{end}")


def _object(name: str, fields: dict[str, Any], out: Out) -> None:
    start, end, empty = _tags(name)
    attributes = fields.get("@")
    if type(attributes) is dict:
        fields = {key: value for key, value in fields.items() if key != "@"}
        start = f"{start[:-1]}{_attributes(attributes)}>"
        empty = f"{start[:-1]}/>"
    if not fields:
        out(empty)
        return
    out(start)
    if len(fields) == 1 and type(fields.get("#", fields)) not in (dict, list):
        out(_text(fields["#"]))
    else:
        for key, value in fields.items():
            if type(value) is str:  # most fields: no call for these
                opening, closing, _ = _tags(key)
                out(f"{opening}{value}{closing}")
            else:
                _element(key, value, out)
    out(end)


def _attributes(fields: dict[str, Any]) -> str:
    """The attributes of an element; a name that comes twice keeps its first value."""
    found: dict[str, str] = {}
    for key, value in fields.items():
        attribute = name(unescape(key))
        # An attribute xmlns would move the element to another namespace.
        attribute = f"_{attribute}" if attribute == "xmlns" else attribute
        text = _text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
        found.setdefault(attribute, text)
    return "".join([f' {attribute}="{text}"' for attribute, text in found.items()])


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    # Nested values inside of an attribute: their JSON.
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=4096)
def _tags(field: str) -> tuple[str, str, str]:
    """How an element opens, closes, and looks when empty."""
    tag = name(unescape(field))
    return f"<{tag}>", f"</{tag}>", f"<{tag}/>"


def name(text: str) -> str:
    """The nearest name that XML allows."""
    found = _NOT_IN_NAME.sub("_", text)
    return found if _STARTS_NAME.match(found) else f"_{found}"
