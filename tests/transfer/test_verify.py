"""Comparing a dataset with a file, and watching its end."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from storectl.engine.store import EngineStore
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.transfer.dataset import Source
from storectl.transfer.tail import tail
from storectl.transfer.verify import Verdict, verify
from storectl.transfer.windows import Rows

from .reading import opened

ITEM = '{"n":1,"b":true,"list":[1,{"x":null}],"f":0.10}'


def compared(
    store: EngineStore, folder: Path, kept: list[str], given: str, size: int = 3
) -> Verdict:
    if kept:
        store.datasets.push("~a", Items.from_lines([line.encode() for line in kept]))
    file = folder / ("items.json" if given.startswith("[") else "items.jsonl")
    file.write_text(given)
    source = Source(str(file), partial(opened, file))
    return verify(Rows(store.datasets, "~a", ItemsQuery(), jobs=2), source, size=size)


@pytest.mark.parametrize(
    "given",
    [
        ITEM,
        '{ "f": 1e-1, "list": [1.0, {"x": null}], "b": true, "n": 1 }',
        '[{"b":true,"n":1,\n"list":[1,{"x":null}],"f":0.1}]',
    ],
)
def test_items_are_the_same_if_their_values_are(
    store: EngineStore, tmp_path: Path, given: str
) -> None:
    found = compared(store, tmp_path, [ITEM], given)

    assert found.is_same
    assert (found.dataset_items, found.file_items) == (1, 1)


@pytest.mark.parametrize(
    "given",
    [
        ITEM.replace("true", "1"),
        ITEM.replace("null", "0"),
        ITEM.replace("0.10", "0.1000000000000000001"),
        ITEM.replace('"n"', '"m"'),
        ITEM.replace('{"x":null}', '{"x":null},2'),
        ITEM.replace("[1,", '["1",'),
    ],
)
def test_other_values_are_a_difference(store: EngineStore, tmp_path: Path, given: str) -> None:
    found = compared(store, tmp_path, [ITEM], given)

    assert (found.is_same, found.different, found.first, found.first_line) == (False, 1, 0, 1)


def test_differences_are_counted_and_the_first_is_named(store: EngineStore, tmp_path: Path) -> None:
    lines = [f'{{"n":{n}}}' for n in range(20)]
    other = [line.replace("{", '{"x":0,') if n in (7, 9) else line for n, line in enumerate(lines)]

    found = compared(store, tmp_path, lines, "\n" + "\n".join(other))

    assert (found.different, found.first, found.first_line) == (2, 7, 9)


@pytest.mark.parametrize(("kept", "given"), [(5, 3), (3, 5), (0, 1), (1, 0)])
def test_a_longer_side_is_a_difference(
    store: EngineStore, tmp_path: Path, kept: int, given: int
) -> None:
    lines = [f'{{"n":{n}}}' for n in range(5)]

    found = compared(store, tmp_path, lines[:kept], "\n".join(lines[:given]))

    assert (found.is_same, found.different) == (False, 0)
    assert (found.dataset_items, found.file_items) == (kept, given)


def test_what_is_no_item_is_a_difference(store: EngineStore, tmp_path: Path) -> None:
    found = compared(store, tmp_path, ['{"n":0}', '{"n":1}'], '{"n":0}\n[]\n{"n":1}\n')

    assert (found.is_same, found.different, found.refused) == (False, 0, 1)


class Time:
    """A clock that moves when someone sleeps, and what happens meanwhile."""

    def __init__(self, *happens: Any) -> None:
        self.now = 0.0
        self.happens = list(happens)

    def sleep(self, secs: float) -> None:
        self.now += secs
        if self.happens:
            self.happens.pop(0)()


def watched(store: EngineStore, time: Time, **how: Any) -> list[int]:
    blocks = tail(store.datasets, "~a", sleep=time.sleep, clock=lambda: time.now, **how)
    return [json.loads(line)["n"] for block in blocks for line in block.splitlines()]


@pytest.fixture
def ten(store: EngineStore) -> EngineStore:
    store.datasets.push("~a", Items.of({"n": n} for n in range(10)))
    return store


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, range(10)),
        ({"from_end": 3}, range(7, 10)),
        ({"from_end": 99}, range(10)),
        ({"from_end": 0}, range(0)),
        ({"from_end": 5, "max_items": 2}, range(5, 7)),
    ],
)
def test_the_end_of_a_dataset(ten: EngineStore, how: dict[str, int], expected: range) -> None:
    assert watched(ten, Time(), **how) == list(expected)


def test_following_gives_what_comes_until_it_is_enough(ten: EngineStore) -> None:
    def more(*numbers: int) -> Any:
        return lambda: ten.datasets.push("~a", Items.of({"n": n} for n in numbers))

    time = Time(more(10), lambda: None, more(11, 12), more(13, 14, 15))

    assert watched(ten, time, from_end=1, follow=True, max_items=6) == [9, 10, 11, 12, 13, 14]
    assert time.now == 4


def test_following_ends_when_nothing_came_for_so_long(ten: EngineStore) -> None:
    def more() -> None:
        ten.datasets.push("~a", Items.of([{"n": 10}]))

    time = Time(lambda: None, lambda: None, more)

    assert watched(ten, time, from_end=1, follow=True, until_idle_secs=5) == [9, 10]
    assert time.now == 8
