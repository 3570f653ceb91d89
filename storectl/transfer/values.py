"""JSON values compared by what they mean, not by how they are spelled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from storectl.errors import Internal
from storectl.model.items import mended

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encode = msgspec.json.encode


def decoded(line: bytes) -> Any:
    """The value of a JSON text, its numbers exact: int or Decimal. Internal if it is none."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        pass
    try:
        return _decoder.decode(mended(line))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Internal(f"The store holds an item that is not JSON: {error}") from None


def same(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts mean the same: order of fields, space, 1 and 1.0 do not count."""
    return one == other or equal(decoded(one), decoded(other))


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON values; true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def canonical(value: Any) -> str:
    """A text in one line that two values have in common exactly if they are equal."""
    kind = type(value)
    if kind is str:
        return _encode(value).decode()
    if kind is int and value % 10:
        return f"{value}e0"
    if kind is dict:
        inside = (f"{_encode(name).decode()}:{canonical(value[name])}" for name in sorted(value))
        return f"{{{','.join(inside)}}}"
    if kind is list:
        return f"[{','.join(map(canonical, value))}]"
    if value is None or kind is bool:
        return str(value)
    sign, digits, exponent = Decimal(value).as_tuple()
    assert isinstance(exponent, int)  # JSON has no infinity
    text = "".join(map(str, digits)).rstrip("0")
    return f"{'-' * sign}{text}e{exponent + len(digits) - len(text)}" if text else "0"
