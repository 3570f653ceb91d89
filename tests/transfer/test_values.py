"""When two JSON values are equal, and when two keys are the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import InvalidInput
from storectl.transfer.keys import Key
from storectl.transfer.values import canonical, decoded, equal, same

from ..formats.writing import VALUES


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@given(VALUES, VALUES)
def test_values_have_a_canonical_text_in_common_exactly_if_they_are_equal(
    one: Any, other: Any
) -> None:
    one, other = decoded(dumped(one)), decoded(dumped(other))

    assert (canonical(one) == canonical(other)) == equal(one, other)
    assert "\n" not in canonical(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"1.0"),
        (b"100", b"1e2"),
        (b"0", b"-0.0"),
        (b"123456789012345678901", b"12345678901234567890.1e1"),
        (b'{"a":1,"b":[0.10]}', b'{ "b": [1e-1], "a": 1.0 }'),
        (rb'"\u00e9"', '"é"'.encode()),
    ],
)
def test_spelling_does_not_count(one: bytes, other: bytes) -> None:
    assert same(one, other)
    assert canonical(decoded(one)) == canonical(decoded(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"true"),
        (b"0", b"false"),
        (b"1", b'"1"'),
        (b"null", b'"None"'),
        (b"10", b"1"),
        (b"0.1", b"0.1000000000000000001"),
        (b"[1,2]", b"[2,1]"),
        (b"{}", b"[]"),
        (b'{"a":null}', b"{}"),
    ],
)
def test_values_do(one: bytes, other: bytes) -> None:
    assert not same(one, other)
    assert canonical(decoded(one)) != canonical(decoded(other))


@pytest.mark.parametrize(
    ("fields", "line", "expected"),
    [
        (("id",), b'{"x":{"id":2},"id":1.50}', b'{"id":1.50}'),
        (("b", "a"), b'{"a":1,"b":"x"}', b'{"b":"x","a":1}'),
        (("in.id",), b'{"in":{"id":7}}', b'{"in.id":7}'),
        (("in.id",), b'{"in":{"id":7},"in.id":8}', b'{"in.id":8}'),
        (("in.id",), b'{"in":[7]}', b'{"in.id":null}'),
        (("id",), b"{}", b'{"id":null}'),
        (('a"b\\',), rb'{"a\"b\\":1}', rb'{"a\"b\\":1}'),
        (("id",), rb'{"id":"half \ud83d"}', b'{"id":"half \\ufffd"}'),
    ],
)
def test_a_key_is_told_as_it_is_spelled(
    fields: tuple[str, ...], line: bytes, expected: bytes
) -> None:
    key = Key(fields)

    assert key.json(line) == expected
    assert [canonical(list(values)) for values in key.values(line + b"\n")] == [
        canonical(list(decoded(expected).values()))
    ]


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=2))
def test_keys_of_several_fields_do_not_run_into_each_other(pairs: list[tuple[Any, Any]]) -> None:
    block = b"".join(dumped({"a": a, "b": b}) + b"\n" for a, b in pairs)

    (one, _), (other, _) = Key(("a", "b")).digests(block)

    texts = [canonical(decoded(dumped(list(pair)))) for pair in pairs]
    assert (one == other) == (texts[0] == texts[1])


def test_a_key_has_fields() -> None:
    with pytest.raises(InvalidInput, match="a key needs fields"):
        Key(())
