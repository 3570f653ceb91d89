"""The columns of items, and the cells below them.

A column is the path to a leaf, joined by `/`: `seller/name`, `tags/0`. Columns come
in the order in which they are first seen, or below the given ones in their order.
Our choice, as is all of this where the API only says "table": an empty object or
array is an empty cell like null; a field which is null in some items and nested in
others has no column of its own; where columns are given and the value of one is
nested, its leaves stand in its place; a name which two paths share is one column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from types import NoneType
from typing import Any

from storectl.errors import InvalidInput
from storectl.model.items import Item
from storectl.model.rules import MAX_COLUMN_NAME, MAX_COLUMNS

Cells = Callable[[list[Any], set[type]], list[str]]
"""Makes the cells of one column: its values, and the types which occur among them.

Values are str, int, bool, None and numbers as the decoder makes them; None must give "".
"""

_NESTED = frozenset({dict, list})
_ABSENT: Item = {}
_SPELLED = {True: "true", False: "false"}


class Place:
    """A place in the tree of items: what lies below, and its column if a leaf was seen here.

    valued: whether the leaf was ever anything but null or empty.
    """

    __slots__ = ("children", "column", "path", "valued")

    def __init__(self, path: str) -> None:
        self.path = path
        self.children: dict[str, Place] = {}
        self.column: int | None = None
        self.valued = False

    def child(self, name: str) -> Place:
        """Make the place below, by this name."""
        place = Place(f"{self.path}/{name}" if self.path else name)
        self.children[name] = place
        return place

    def leaves(self) -> Iterator[int]:
        """The columns here and below that are worth having."""
        if self.column is not None and (self.valued or not self.children):
            yield self.column
        for child in self.children.values():
            yield from child.leaves()


class Columns:
    """All columns met so far, by number. It grows with every block that brings new ones."""

    def __init__(
        self, cells: Cells, given: tuple[str, ...] | None, plain: Callable[[str], str]
    ) -> None:
        """given: the fields that count, or None for all. plain: undoes the escaping of a name."""
        self.names: list[str] = []
        self._cells = cells
        self._plain = plain
        self._by_name: dict[str, int] = {}
        self._root = Place("")
        self._is_fixed = given is not None
        for name in given or ():
            self._root.child(name).column = self._number(name)

    def spread(self, items: list[Item]) -> list[list[str]]:
        """The items as columns, each with a cell for every item.

        Raises InvalidInput for a name that is too long, or when there are far too many.
        """
        found: dict[int, list[str]] = {}
        self._spread(self._root, items, items, found)
        blank = [""] * len(items)
        return [found.get(column, blank) for column in range(len(self.names))]

    def order(self) -> list[int]:
        """The columns worth having, in the order of the header. InvalidInput if too many."""
        tops = [sorted(top.leaves()) for top in self._root.children.values()]
        every = dict.fromkeys(column for top in tops for column in top)
        order = list(every) if self._is_fixed else sorted(every)
        if len(order) > MAX_COLUMNS:
            raise _too_many(f"{len(order):,}")
        return order

    def _spread(
        self, place: Place, values: list[Any], items: list[Item], found: dict[int, list[str]]
    ) -> None:
        """Turn the values at one place, one for each of the items, into columns of cells.

        Working by column instead of by item leaves nearly all of it to C.
        """
        kinds = set(map(type, values))
        nested = kinds & _NESTED
        if len(nested) == 2:
            values = [_numbered(value) if type(value) is list else value for value in values]
            kinds.discard(list)
        if dict in kinds:
            objects = values if len(kinds) == 1 else [_object(value) for value in values]
            names = set().union(*objects)
            self._know(place, names, items)
            for name in [name for name in place.children if name in names]:
                inner = [value.get(name) for value in objects]
                self._spread(place.children[name], inner, items, found)
        elif list in kinds:
            lists = values if len(kinds) == 1 else [_list(value) for value in values]
            self._know(place, set(map(str, range(max(map(len, lists))))), items)
            for at, inside in enumerate(zip_longest(*lists)):
                self._spread(place.children[str(at)], list(inside), items, found)
        kinds -= _NESTED
        if kinds and kinds != {NoneType}:
            if nested:
                values = [None if type(value) in _NESTED else value for value in values]
                kinds.add(NoneType)
            self._fill(place, self._cells(values, kinds), items, found)

    def _fill(
        self, place: Place, cells: list[str], items: list[Item], found: dict[int, list[str]]
    ) -> None:
        if place.column is None:
            self._learn_all(items)
        place.valued = True
        column = place.column
        assert column is not None
        if column in found:
            cells = [mine or other for mine, other in zip(found[column], cells, strict=True)]
        found[column] = cells

    def _know(self, place: Place, names: set[str], items: list[Item]) -> None:
        if place.children.keys() >= names or (self._is_fixed and place is self._root):
            return
        self._learn_all(items)

    def _learn_all(self, items: list[Item]) -> None:
        """Meet what is new in these items in the order of reading."""
        for item in items:
            self._learn(self._root, item)

    def _learn(self, place: Place, value: Any) -> None:
        inside: Iterable[tuple[str, Any]]
        if type(value) is dict and value:
            inside = value.items()
        elif type(value) is list and value:
            inside = ((str(at), element) for at, element in enumerate(value))
        else:
            if place.column is None:
                place.column = self._number(place.path)
            return
        for name, inner in inside:
            child = place.children.get(name)
            if child is None:
                if self._is_fixed and place is self._root:
                    continue
                child = place.child(name)
            self._learn(child, inner)

    def _number(self, name: str) -> int:
        if name in self._by_name:
            return self._by_name[name]
        if len(name) > MAX_COLUMN_NAME and len(plain := self._plain(name)) > MAX_COLUMN_NAME:
            raise InvalidInput(
                f"Column '{plain[:40]}…' has a name of {len(plain)} characters, "
                f"over the limit of {MAX_COLUMN_NAME}",
                hint="Leave it out with omit, or choose json, jsonl or xml, which have no columns",
            )
        # Columns that are only null may be dropped in the end, so twice as many may be met.
        if len(self.names) >= 2 * MAX_COLUMNS:
            raise _too_many(f"more than {len(self.names):,}")
        self._by_name[name] = len(self.names)
        self.names.append(name)
        return self._by_name[name]


def texts(values: list[Any], kinds: set[type]) -> list[str]:
    """Values as people write them: numbers as they came, true, false, nothing for null."""
    if kinds == {str}:
        return values
    if kinds <= {str, NoneType}:
        return [value or "" for value in values]
    if kinds == {int}:
        return list(map(str, values))
    return [value if type(value) is str else _text(value) for value in values]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return _SPELLED[value] if type(value) is bool else str(value)


def _object(value: Any) -> Item:
    return value if type(value) is dict else _ABSENT


def _list(value: Any) -> list[Any] | tuple[()]:
    return value if type(value) is list else ()


def _numbered(value: list[Any]) -> Item:
    return {str(at): element for at, element in enumerate(value)}


def _too_many(count: str) -> InvalidInput:
    return InvalidInput(
        f"The items have {count} columns, over the limit of {MAX_COLUMNS:,}",
        hint="Choose some with fields, or json, jsonl or xml, which have no columns",
    )
