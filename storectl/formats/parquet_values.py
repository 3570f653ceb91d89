"""Values of Parquet's columns, and the levels that stand before them, as bytes."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from functools import lru_cache
from itertools import chain, groupby
from struct import Struct
from typing import Any

import msgspec

from storectl.formats import thrift
from storectl.formats.parquet_types import Kind

size = Struct("<I").pack
"""A length of four bytes, as it stands before what has it."""


def levels_as_runs(levels: list[int]) -> bytes:
    """Levels in runs of the same, behind their size."""
    body = b"".join([_run(level, len(list(run))) for level, run in groupby(levels)])
    return size(len(body)) + body


def levels_of_one(level: int, count: int) -> bytes:
    """The same level for all values."""
    body = _run(level, count)
    return size(len(body)) + body


@lru_cache(1024)
def _run(level: int, count: int) -> bytes:
    return thrift.varint(count << 1) + bytes([level])


def _texts(values: list[str]) -> bytes:
    texts = [value.encode() for value in values]
    return b"".join(chain.from_iterable(zip(map(size, map(len, texts)), texts, strict=True)))


def _json(values: list[Any]) -> bytes:
    return _texts([msgspec.json.encode(value).decode() for value in values])


def _booleans(values: list[bool]) -> bytes:
    bits = "".join(["1" if value else "0" for value in reversed(values)])
    return int(bits or "0", 2).to_bytes((len(values) + 7) // 8, "little")


def _numbers(code: str) -> Callable[[list[Any]], bytes]:
    def spread(values: list[Any]) -> bytes:
        numbers = array(code, values)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tobytes()

    return spread


SPREAD: dict[Kind, Callable[[list[Any]], bytes]] = {
    "boolean": _booleans,
    "integer": _numbers("q"),
    "number": _numbers("d"),
    "text": _texts,
    "json": _json,
}
