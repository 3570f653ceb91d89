"""Items as bytes: what a push may send, and what it may not."""

from __future__ import annotations

import json
from array import array
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import InvalidInput
from storectl.model.items import Items, moved

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=8)


@given(OBJECTS, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_what_goes_in_comes_out(
    objects: list[dict[str, object]], indent: int | str | None, ascii: bool
) -> None:
    try:
        body = json.dumps(objects, indent=indent, ensure_ascii=ascii).encode()
    except UnicodeEncodeError:
        return  # lone surrogates have no UTF-8

    items = Items.from_json(body)

    assert [json.loads(line) for line in items.lines.splitlines()] == objects
    assert items.lines.count(b"\n") == len(items) == len(objects)
    assert json.loads(items.json()) == objects


@given(OBJECTS, st.integers(1, 200))
def test_parts_make_the_whole_and_keep_the_bound(
    objects: list[dict[str, object]], most: int
) -> None:
    items = Items.of(objects)

    parts = list(items.split(most))

    assert b"".join(part.lines for part in parts) == items.lines
    assert sum(len(part) for part in parts) == len(items)
    assert sum(part.clean for part in parts) == items.clean
    assert all(len(part.lines) <= most or len(part) == 1 for part in parts)
    for part in parts:
        assert list(part.ends) == list(Items.of(part.objects()).ends)


@given(OBJECTS)
def test_clean_items_are_those_with_a_visible_field(objects: list[dict[str, object]]) -> None:
    expected = sum(any(not key.startswith("#") for key in item) for item in objects)

    assert Items.of(objects).clean == expected
    assert Items.from_json(json.dumps(objects).encode()).clean == expected


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b' [ {"a" : 1.0 } , {} ] ', [b'{"a" : 1.0 }', b"{}"]),
        (b"[]", []),
        (b'["{\\"a\\":1}"]', [b'{"a":1}']),
        (b'[{"n":12345678901234567890123}]', [b'{"n":12345678901234567890123}']),
        (b'[{"e":1e308,"text":"1e999"}]', [b'{"e":1e308,"text":"1e999"}']),
        (b'[{"n":1' + b"0" * 400 + b"}]", [b'{"n":1' + b"0" * 400 + b"}"]),
        (b'[{"a":\r\n1}]', [b'{"a":  1}']),
        (b'[{"id":"7e1234","n":1},{"n":2}]', [b'{"id":"7e1234","n":1}', b'{"n":2}']),
    ],
)
def test_bodies_that_a_push_may_send(body: bytes, lines: list[bytes]) -> None:
    assert Items.from_json(body).lines.splitlines() == lines


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "ends too early"),
        (b"[", "ends too early"),
        (b'[{"a":1},\n {"b" 2}]', "line 2, column 7"),
        (b'[{"a":1}]]', "line 1, column 10"),
        (b"[1]", "Item 0 is a number, not an object"),
        (b'[{},"text"]', "Item 1 is a string, not an object"),
        (b"[{},[]]", "Item 1 is an array, not an object"),
        (b"[{},null]", "Item 1 is null, not an object"),
        (b"[true]", "Item 0 is a boolean, not an object"),
        (b"7", "is a number"),
        (b'[{"a":"\xff"}]', "not UTF-8: bad byte 0xff at offset 7"),
        (b'[{"a":1e999}]', "out of range"),
        (b'[{"a":-1E+400}]', "out of range"),
        (b'[{"a":0.1' + b"0" * 400 + b"e+999}]", "Item 0"),
        (b'[{"a":1' + b"0" * 299 + b"e20}]", "out of range"),
        (b'[{"a":NaN}]', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'[{"a":' + b"[" * 300 + b"]" * 300 + b"}]", "200 levels"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deep"),
    ],
)
def test_bodies_that_are_refused_say_where(body: bytes, why: str) -> None:
    with pytest.raises(InvalidInput) as failure:
        Items.from_json(body)

    assert why in failure.value.message


def test_the_deepest_nesting_that_is_allowed_is_kept() -> None:
    body = b'[{"a":' + b"[" * 199 + b"]" * 199 + b"}]"

    assert len(Items.from_json(body)) == 1


@given(st.lists(st.integers(0, 10**6), max_size=50), st.integers(0, 2**31))
def test_offsets_are_counted_from_elsewhere(sizes: list[int], by: int) -> None:
    ends = array("I", (by + end for end in accumulate(sizes)))

    assert list(moved(ends, by)) == list(accumulate(sizes))


@given(st.binary(max_size=60))
def test_any_bytes_are_items_or_a_clear_failure(body: bytes) -> None:
    try:
        items = Items.from_json(body)
    except InvalidInput as failure:
        assert "\n" not in failure.message
    else:
        json.loads(items.json())


def test_half_of_a_surrogate_pair_is_replaced_and_a_whole_one_stays() -> None:
    """JavaScript sends `"\\ud83d"` where it cut a text inside an emoji."""
    body = rb'{"cut":"a\ud83d","whole":"\ud83d\ude00","text":"\\ud83d"}'

    items = Items.from_json(body)

    assert items.lines == rb'{"cut":"a\ufffd","whole":"\ud83d\ude00","text":"\\ud83d"}' + b"\n"
