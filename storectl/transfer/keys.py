"""What tells items apart: the values of some of their fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from storectl.errors import InvalidInput
from storectl.formats.blocks import decoder
from storectl.model.items import mended
from storectl.transfer.values import canonical, decoded

Values = tuple[Any, ...]

_UNNAMEABLE = re.compile(r'[\x00-\x1f"\\.]')
"""In a field: what a typed decoder cannot look for, and the dot of a path."""


class Key:
    """The fields of a key; a dotted one is a path unless an item has it as it stands.

    Two keys are the same if their values are: 1 and 1.0 are, 1 and "1" are not, and a
    field that is not there is as null.
    """

    def __init__(self, fields: tuple[str, ...]) -> None:
        """Raises InvalidInput if there are none."""
        if not fields:
            raise InvalidInput("a key needs fields", hint="--key id, or --key shop,id")
        self.fields = fields
        self._typed = None if any(map(_UNNAMEABLE.search, fields)) else _typed(fields)

    def values(self, block: bytes) -> Iterator[Values]:
        """The key of each of the JSON lines."""
        if self._typed is not None:
            try:
                return map(msgspec.structs.astuple, self._typed(block))
            except msgspec.DecodeError:
                pass  # the other decoder mends, or tells
        return (tuple(_at(item, field) for field in self.fields) for item in _whole(block))

    def digests(self, block: bytes) -> Iterator[tuple[bytes, bool]]:
        """16 bytes that stand for each key, and whether a field of it is missing or null."""
        for values in self.values(block):
            text = "\n".join(map(canonical, values))
            yield blake2b(text.encode(), digest_size=16).digest(), None in values

    def json(self, line: bytes) -> bytes:
        """The key of one item as a JSON object, its numbers spelled as they are there."""
        raw = msgspec.json.decode(mended(line), type=dict[str, msgspec.Raw])
        return msgspec.json.encode({field: _raw_at(raw, field) for field in self.fields})


def _typed(fields: tuple[str, ...]) -> Callable[[bytes], list[Any]]:
    """A decoder that passes over all other fields: four times as fast."""
    names = {f"f{at}": field for at, field in enumerate(fields)}
    kind = msgspec.defstruct("Key", [(name, Any, None) for name in names], rename=names)
    return msgspec.json.Decoder(kind, float_hook=Decimal).decode_lines


_whole = decoder(Decimal)


def _at(item: dict[str, Any], field: str) -> Any:
    if field in item:
        return item[field]
    value: Any = item
    for part in field.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _raw_at(item: dict[str, msgspec.Raw], field: str) -> Any:
    head, _, rest = field.partition(".")
    if field in item or not rest:
        return item.get(field)
    inner = item.get(head)
    if inner is None or not isinstance(decoded(bytes(inner)), dict):
        return None
    return _raw_at(msgspec.json.decode(inner, type=dict[str, msgspec.Raw]), rest)


def distinct(fields: Iterable[str]) -> tuple[str, ...]:
    """Fields without repetition, in their order."""
    return tuple(dict.fromkeys(fields))
