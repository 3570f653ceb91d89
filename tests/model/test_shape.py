"""Shaping holds for any items, not only for the examples of the contract."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storectl.model.dataset import ItemsQuery
from storectl.model.shape import shaper

NAMES = st.sampled_from(["a", "b", "#c", "d.e"])
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=5,
)
ITEMS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=5)
SOME = st.lists(NAMES, max_size=2, unique=True).map(tuple)
QUERIES = st.builds(
    ItemsQuery,
    fields=SOME,
    omit=SOME,
    unwind=SOME,
    flatten=SOME,
    clean=st.booleans(),
    skip_hidden=st.booleans(),
    skip_empty=st.booleans(),
)


@given(ITEMS, QUERIES)
def test_what_was_asked_to_go_is_gone(items: list[dict[str, object]], query: ItemsQuery) -> None:
    shaped = list(shaper(query)(items))

    for item in shaped:
        assert set(item) <= set(query.fields) or not query.fields
        assert not set(item) & set(query.omit)
        if query.clean or query.skip_hidden:
            assert not any(name.startswith("#") for name in item)
        if query.clean or query.skip_empty:
            assert item


@given(ITEMS, QUERIES)
def test_columns_that_are_known_are_those_that_come_out(
    items: list[dict[str, object]], query: ItemsQuery
) -> None:
    for item in shaper(query)(items):
        if query.columns is not None:
            assert [name for name in query.columns if name in item] == list(item)


@given(ITEMS)
def test_a_query_without_wishes_changes_nothing(items: list[dict[str, object]]) -> None:
    assert list(shaper(ItemsQuery())(items)) == items


@given(ITEMS, QUERIES)
def test_shaping_leaves_its_input_alone(items: list[dict[str, object]], query: ItemsQuery) -> None:
    before = repr(items)

    list(shaper(query)(items))

    assert repr(items) == before


@given(ITEMS, QUERIES)
def test_items_are_shaped_one_by_one(items: list[dict[str, object]], query: ItemsQuery) -> None:
    shape = shaper(query)

    together = list(shape(items))

    assert together == [out for item in items for out in shape([item])]
