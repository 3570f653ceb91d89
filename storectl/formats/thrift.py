"""Thrift's compact protocol, as far as the headers of Parquet need it: writing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Value(NamedTuple):
    """A value on its way out. kind: its number in the protocol."""

    kind: int
    body: bytes


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def i32(number: int) -> Value:
    """A small integer."""
    return Value(5, _zigzag(number))


def i64(number: int) -> Value:
    """A large integer."""
    return Value(6, _zigzag(number))


def binary(data: bytes) -> Value:
    """Bytes, or a text in UTF-8."""
    return Value(8, varint(len(data)) + data)


def array(kind: int, values: Iterable[Value]) -> Value:
    """A list. kind: of its values, also where there are none."""
    bodies = [value.body for value in values]
    size = len(bodies)
    head = bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + varint(size)
    return Value(9, head + b"".join(bodies))


def struct(fields: Mapping[int, Value | None]) -> Value:
    """Fields by their numbers, in order; None is left out."""
    out, before = bytearray(), 0
    for number, value in fields.items():
        if value is not None:
            out.append((number - before) << 4 | value.kind)  # numbers here are less than 15 apart
            out += value.body
            before = number
    out.append(0)
    return Value(12, bytes(out))


STRUCT, BINARY, I32 = 12, 8, 5


def _zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)
