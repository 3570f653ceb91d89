"""Differences between datasets whose items are known by a key."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import closing
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from storectl.transfer.diff import Diff, Difference
from storectl.transfer.keys import Key
from storectl.transfer.scratch import scratch

from .reading import WINDOW, Item, drained, keeping

KEYED = st.fixed_dictionaries(
    {"v": st.integers(0, 2)}, optional={"k": st.sampled_from([0, 1, "1", None])}
)
SIDES = st.lists(KEYED, max_size=8)


def differing(
    before: list[Item] | bytes, after: list[Item] | bytes, *fields: str
) -> tuple[Diff, list[dict[str, Any]]]:
    with (
        keeping(before, after) as (_, sides),
        scratch() as database,
        closing(Diff(Key(fields), database)) as found,
    ):
        for rows in sides:
            drained(found.read(rows, WINDOW))
        found.settle()
        changes = [
            {
                "op": one.op,
                "key": value_of(one.key),
                "before": value_of(one.before),
                "after": value_of(one.after),
            }
            for one in found.changes()
        ]
        return found, changes


def value_of(raw: Any) -> Any:
    return None if raw is None else json.loads(bytes(raw))


def test_what_came_went_and_changed_is_told_with_both_items() -> None:
    before: list[Item] = [{"id": n, "price": n} for n in range(5)]
    after: list[Item] = [{"id": 9, "price": 9}, *({"id": n, "price": n} for n in (4, 3, 0))]
    after[2]["price"] = 30

    found, changes = differing(before, after, "id")

    assert changes == [
        {"op": "removed", "key": {"id": 1}, "before": {"id": 1, "price": 1}, "after": None},
        {"op": "removed", "key": {"id": 2}, "before": {"id": 2, "price": 2}, "after": None},
        {
            "op": "changed",
            "key": {"id": 3},
            "before": {"id": 3, "price": 3},
            "after": {"id": 3, "price": 30},
        },
        {"op": "added", "key": {"id": 9}, "before": None, "after": {"id": 9, "price": 9}},
    ]
    assert found.found == Difference(added=1, removed=2, changed=1, same=2)


def test_spelling_is_no_difference_and_null_is() -> None:
    before = b'{"id":1,"a":1,"b":2}\n{"id":2,"a":null}\n'
    after = b'{"b":2.0,"id":1.0,"a":1e0}\n{"id":2}\n'

    _, changes = differing(before, after, "id")

    assert [change["key"] for change in changes] == [{"id": 2}]


def test_items_with_the_same_key_are_compared_in_turn_and_named() -> None:
    before: list[Item] = [{"id": 1, "v": "a"}, {"id": 1, "v": "b"}, {"v": "x"}]
    after: list[Item] = [{"id": 1, "v": "a"}, {"id": 1, "v": "c"}, {"id": 1, "v": "d"}, {"v": "x"}]

    found, changes = differing(before, after, "id")

    told = [(one["op"], one["before"], one["after"]) for one in changes]
    assert told == [("changed", before[1], after[1]), ("added", None, after[2])]
    assert (found.before.repeats, found.after.repeats) == (1, 2)
    assert value_of(found.after.repeat) == {"id": 1}
    assert (found.before.keyless, found.before.first_keyless) == (1, 2)
    assert (found.after.keyless, found.after.first_keyless) == (1, 3)


def spelled(item: Item) -> str:
    return json.dumps(item, sort_keys=True)


@settings(max_examples=15, deadline=None)
@given(SIDES, SIDES)
def test_a_dataset_and_its_differences_make_the_other(
    before: list[Item], after: list[Item]
) -> None:
    found, changes = differing(before, after, "k")

    items = Counter(map(spelled, before))
    for change in changes:
        items.subtract([spelled(change["before"])] if change["before"] else [])
        items.update([spelled(change["after"])] if change["after"] else [])
    assert +items == Counter(map(spelled, after))
    assert min(items.values(), default=0) >= 0
    assert len(changes) == found.found.added + found.found.removed + found.found.changed


@settings(max_examples=15, deadline=None)
@given(SIDES, st.randoms())
def test_the_order_of_keys_does_not_count(items: list[Item], random: Any) -> None:
    groups = defaultdict(list)
    for item in items:
        groups[repr(item.get("k"))].append(item)
    order = [key for key in groups for _ in groups[key]]
    random.shuffle(order)
    other = [groups[key].pop(0) for key in order]

    found, changes = differing(items, other, "k")

    assert changes == []
    assert found.found.is_none
