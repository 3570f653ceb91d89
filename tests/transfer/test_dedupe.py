"""Items that repeat a key: found, counted and left out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storectl.model.dataset import ItemsQuery
from storectl.transfer.dedupe import Repeats, Seen, look, write
from storectl.transfer.keys import Key
from storectl.transfer.scratch import scratch

from .reading import WINDOW, Item, drained, keeping

KEYED = st.fixed_dictionaries(
    {"n": st.integers()},
    optional={"k": st.sampled_from([0, 1, 1.5, "1", True, None, [1], {"a": None}])},
)


def deduped(items: list[Item] | bytes, keep: str, *fields: str) -> tuple[Repeats, bytes]:
    """What was found, and what was written."""
    with keeping(items, []) as (store, (rows, target)), scratch() as database:
        seen = Seen(Key(fields), database)
        drained(look(rows, WINDOW, seen, keep))
        done = drained(write(rows, WINDOW, seen, store.datasets, target.ref))
        found = b"".join(store.datasets.items(target.ref, ItemsQuery()).lines)
        assert done.moved == found.count(b"\n")
        return seen.found, found


def test_the_first_of_each_key_stays_as_it_is_spelled_and_where_it_is() -> None:
    items = b'{"k":1, "n":0.10}\n{"k":2}\n{"k":1.0}\n{"n":5}\n{"k":null}\n{"k":"1"}\n{"k":2}\n'

    found, written = deduped(items, "first", "k")

    assert written == b'{"k":1, "n":0.10}\n{"k":2}\n{"n":5}\n{"k":null}\n{"k":"1"}\n'
    assert found == Repeats(items=7, keys=3, repeats=2, keyless=2)


def test_or_the_last_of_each_key() -> None:
    items: list[Item] = [{"k": n % 3, "n": n} for n in range(10)]

    _, written = deduped(items, "last", "k")

    assert [json.loads(line)["n"] for line in written.splitlines()] == [7, 8, 9]


@settings(max_examples=20, deadline=None)
@given(st.lists(KEYED, max_size=12), st.sampled_from(["first", "last"]))
def test_it_is_what_a_dictionary_would_keep(items: list[Item], keep: str) -> None:
    order = items if keep == "first" else items[::-1]
    expected, keys = [], set()
    for item in order:
        key = repr(item.get("k"))
        if item.get("k") is None or key not in keys:
            expected.append(item)
        keys.add(key)

    found, written = deduped(items, keep, "k")

    kept = [json.loads(line) for line in written.splitlines()]
    assert kept == (expected if keep == "first" else expected[::-1])
    assert found.repeats == len(items) - len(expected)


@pytest.mark.parametrize("items", [[], [{"a": 1}], [{}] * 5])
def test_where_nothing_repeats_all_stays(items: list[Item]) -> None:
    found, written = deduped(items, "first", "k")

    assert (found.items, found.repeats, written.count(b"\n")) == (len(items), 0, len(items))
