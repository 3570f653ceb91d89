"""What the fields of a dataset hold: types, gaps, how many values, the least and greatest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from storectl.formats.blocks import decoder
from storectl.model.dataset import Datasets, ItemsQuery
from storectl.transfer.windows import Rows, Window

EXACT = 16_384
"""Different values of a field that are counted; beyond them their number is estimated from
as many of their hashes or up to twice that, with a standard error of 0.8 % at most."""

MOST_HASHES = 400_000
"""In memory, of all fields together: 28 MB. With more, each field keeps fewer."""

MOST_FIELDS = 2_000
MOST_TEXT = 200
"""Characters of a text that are compared and shown as the least and greatest."""

SAMPLE_WINDOWS, SAMPLE_ROWS = 100, 1_000
"""What --approx looks at: so many places, evenly spaced, and so many items at each."""

TYPES = {
    type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string",
    list: "array", dict: "object",
}  # fmt: skip
_HASHES = float(2**56)
_encode = msgspec.json.encode


class Field(Struct, rename="camel", kw_only=True):
    """One field of the items, by its dotted path.

    types: how many values of each. missing: items without it. distinct: different values
    that are neither null nor nested; is_exact: counted, not estimated. min, max: of these,
    numbers before text; None if there are none.
    """

    field: str
    types: dict[str, int]
    missing: int
    nulls: int
    distinct: int
    is_exact: bool
    min: Any = None
    max: Any = None


class Distinct:
    """How many different values there were, from the least of their hashes."""

    __slots__ = ("_ceiling", "hashes", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.hashes: set[int] = set()
        self._ceiling: int | None = None

    def add(self, values: set[Any]) -> None:
        """Meet values of one type of JSON, numbers among themselves."""
        found = map(_hash, values)
        if self._ceiling is None:
            self.hashes.update(found)
        else:
            ceiling = self._ceiling
            self.hashes.update(number for number in found if number < ceiling)
        if len(self.hashes) > 2 * self.limit:
            self.shrink(self.limit)

    def shrink(self, limit: int) -> None:
        """Keep at most so many hashes from now on."""
        self.limit = limit
        if len(self.hashes) > limit:
            self.hashes = set(sorted(self.hashes)[:limit])
            self._ceiling = max(self.hashes)

    def count(self) -> tuple[int, bool]:
        """How many, and whether that is counted. However they came, it is the same number."""
        self.shrink(self.limit)
        if self._ceiling is None:
            return len(self.hashes), True
        return round(len(self.hashes) * _HASHES / self._ceiling), False


class _Place:
    """What was seen at one path."""

    __slots__ = ("children", "distinct", "extremes", "path", "types")

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.types: Counter[type] = Counter()
        self.distinct = Distinct(limit)
        self.extremes: dict[str, tuple[Any, Any]] = {}
        self.children: dict[str, _Place] = {}


class Stats:
    """Statistics of all items that it is given, in bounded memory.

    left_out: fields beyond the first MOST_FIELDS, which are not looked at.
    """

    def __init__(self) -> None:
        self.items = 0
        self.left_out = False
        self._root = _Place("", EXACT)
        self._places = [self._root]
        self._decode = decoder(float)

    def take(self, block: bytes) -> None:
        """Meet the next items."""
        items = self._decode(block)
        self.items += len(items)
        self._inside(self._root, items)
        limit = self._root.distinct.limit
        while self._hashes() > MOST_HASHES:
            # First without those that are kept to save sorting: how many there are of them
            # depends on how the items were cut, and what is told of them must not.
            for place in self._places:
                place.distinct.shrink(limit)
            limit = max(limit // 2, 16)

    def _hashes(self) -> int:
        return sum(len(place.distinct.hashes) for place in self._places)

    def fields(self) -> list[Field]:
        """Every field, those of an object behind it."""
        return [self._field(place) for place in _below(self._root)]

    def _inside(self, place: _Place, objects: list[dict[str, Any]]) -> None:
        """Meet the fields of objects, one field of all of them at a time."""
        for name in dict.fromkeys(name for one in objects for name in one):
            child = place.children.get(name)
            if child is None:
                if len(self._places) > MOST_FIELDS:
                    self.left_out = True
                    continue
                path = f"{place.path}.{name}" if place is not self._root else name
                child = place.children[name] = _Place(path, self._root.distinct.limit)
                self._places.append(child)
            self._meet(child, [one[name] for one in objects if name in one])

    def _meet(self, place: _Place, values: list[Any]) -> None:
        kinds = Counter(map(type, values))
        place.types.update(kinds)
        if len(kinds) == 1 and (str in kinds or int in kinds):
            (kind,) = kinds
            self._scalars(place, "text" if kind is str else "number", set(values))
            return
        for kind, scale in ((str, "text"), (int, "number"), (float, "number"), (bool, "flag")):
            if kind in kinds:
                self._scalars(place, scale, {value for value in values if type(value) is kind})
        if dict in kinds:
            self._inside(place, [value for value in values if type(value) is dict])

    def _scalars(self, place: _Place, scale: str, values: set[Any]) -> None:
        place.distinct.add(values)
        if scale == "flag":
            return
        least, greatest = min(values), max(values)
        if scale == "text":
            least, greatest = least[:MOST_TEXT], greatest[:MOST_TEXT]
        known = place.extremes.get(scale)
        if known:
            least, greatest = min(least, known[0]), max(greatest, known[1])
        place.extremes[scale] = least, greatest

    def _field(self, place: _Place) -> Field:
        distinct, is_exact = place.distinct.count()
        scales = [place.extremes[name] for name in ("number", "text") if name in place.extremes]
        return Field(
            field=place.path,
            types={TYPES[kind]: count for kind, count in place.types.most_common()},
            missing=self.items - place.types.total(),
            nulls=place.types[type(None)],
            distinct=distinct,
            is_exact=is_exact,
            min=scales[0][0] if scales else None,
            max=scales[-1][1] if scales else None,
        )


def _below(place: _Place) -> Iterator[_Place]:
    for child in place.children.values():
        yield child
        yield from _below(child)


def _hash(value: Any) -> int:
    """56 bits, the same on every run. 1 and 1.0 share theirs, 1 and true and "1" do not.

    64 would not fit an int of 32 bytes, and the next one has 48.
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    told = _encode(value) if type(value) is not int else str(value).encode()
    return int.from_bytes(blake2b(told, digest_size=7).digest(), "big")


def sample(datasets: Datasets, ref: str, total: int, jobs: int) -> Iterator[Window]:
    """Windows all over a dataset, in order; all of it if it is not larger than they are."""
    rows = partial(Rows, datasets, ref, total=total, jobs=min(jobs, 1))
    step = total // SAMPLE_WINDOWS
    if step <= SAMPLE_ROWS:
        yield from rows(ItemsQuery()).windows(0, SAMPLE_ROWS)
        return
    for window in range(SAMPLE_WINDOWS):
        query = replace(ItemsQuery(), offset=window * step, limit=SAMPLE_ROWS)
        yield from rows(query).windows(0, SAMPLE_ROWS)
