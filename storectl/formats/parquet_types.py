"""The types of Parquet's columns, found by looking at all items."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

from storectl.errors import InvalidInput
from storectl.model.rules import MAX_COLUMNS

Kind = Literal["boolean", "integer", "number", "text", "json", "struct", "list"]

MOST_NAMES = 500
"""Of one object inside: with more it is a map with names for data, and kept as JSON text."""

MOST_LEVELS = 16
"""Of nesting; what is deeper is JSON text."""

_INT64 = 2**63
_EXACT = 2**53
"""Integers from here on lose digits as a floating point number."""

_NONE = type(None)


class Place:
    """A place in the tree of items, and what was seen there.

    fields: of the objects. element: of the lists. least, greatest: of the integers.
    """

    __slots__ = ("element", "fields", "greatest", "is_map", "kinds", "least", "level")

    def __init__(self, level: int = 0) -> None:
        self.level = level
        self.kinds: set[type] = set()
        self.fields: dict[str, Place] = {}
        self.element: Place | None = None
        self.is_map = level >= MOST_LEVELS
        self.least = self.greatest = 0

    def meet(self, values: list[Any]) -> None:
        """Look at values here, those of many items at a time."""
        kinds = set(map(type, values))
        self.kinds |= kinds
        if int in kinds:
            numbers = [value for value in values if type(value) is int]
            self.least = min(self.least, min(numbers))
            self.greatest = max(self.greatest, max(numbers))
        if self.is_map:
            return
        if dict in kinds:
            self.meet_objects([value for value in values if type(value) is dict])
        if list in kinds:
            self.element = self.element or Place(self.level + 1)
            inside = chain.from_iterable(value for value in values if type(value) is list)
            self.element.meet(list(inside))

    def meet_objects(self, objects: list[dict[str, Any]]) -> None:
        """Look at the fields of objects."""
        for name in dict.fromkeys(chain.from_iterable(objects)):
            if name not in self.fields:
                if self.level and len(self.fields) >= MOST_NAMES:
                    self.is_map, self.fields = True, {}
                    return
                if len(self.fields) >= MAX_COLUMNS:
                    raise too_many()
                self.fields[name] = Place(self.level + 1)
            self.fields[name].meet([one[name] for one in objects if name in one])

    @property
    def kind(self) -> Kind:
        """What a column can hold without losing a value that was seen."""
        kinds = self.kinds - {_NONE}
        if not kinds or kinds == {str}:
            return "text"
        if kinds == {bool}:
            return "boolean"
        if kinds == {int} and self.least >= -_INT64 and self.greatest < _INT64:
            return "integer"
        if kinds == {float} or (
            kinds == {int, float} and self.least >= -_EXACT and self.greatest <= _EXACT
        ):
            return "number"
        if kinds == {dict} and self.fields and not self.is_map:
            return "struct"
        if kinds == {list} and self.element is not None:
            return "list"
        return "json"

    def leaves(self) -> Iterator[Place]:
        """Every column below, this one if it is one."""
        kind = self.kind if self.level else "struct"
        if kind == "struct":
            for inner in self.fields.values():
                yield from inner.leaves()
        elif kind == "list" and self.element is not None:
            yield from self.element.leaves()
        else:
            yield self


def too_many() -> InvalidInput:
    """The failure of items with more columns than any reader wants."""
    return InvalidInput(
        f"The items have more than {MAX_COLUMNS:,} columns",
        hint="Choose some with fields, or json, jsonl or xml, which have no columns",
    )
