"""JSON Lines and JSON: bytes are copied, and read back as they were."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import InvalidInput, TooLarge
from storectl.formats import read
from storectl.formats.batch import LIMIT_BYTES
from storectl.model.items import Items
from tests.formats.writing import FEW, ITEMS, Item, lines, written

SIZES = st.integers(1, 200)


def taken(name: str, body: bytes, **options: Any) -> tuple[bytes, list[int]]:
    """All lines that were read, and the line of the file where each began."""
    batches = list(read(name, io.BytesIO(body), **options))
    assert all(len(batch.items) == len(batch.lines) > 0 for batch in batches)
    return b"".join(batch.items.lines for batch in batches), [
        line for batch in batches for line in batch.lines
    ]


def bad(name: str, body: bytes, **options: Any) -> tuple[bytes, list[tuple[int, str]]]:
    """What was read all the same, and what was reported."""
    found: list[tuple[int, str]] = []
    kept, _ = taken(name, body, on_bad=lambda line, why: found.append((line, why)), **options)
    return kept, found


@FEW
@given(items=ITEMS, ascii=st.booleans(), size=SIZES)
def test_lines_come_back_byte_for_byte(items: list[Item], ascii: bool, size: int) -> None:
    body = lines(items, ascii=ascii)

    assert written("jsonl", body) == body
    assert taken("jsonl", body, max_bytes=size) == (body, list(range(1, len(items) + 1)))


@FEW
@given(items=ITEMS, ascii=st.booleans(), size=SIZES)
def test_an_array_comes_back_byte_for_byte(items: list[Item], ascii: bool, size: int) -> None:
    body = lines(items, ascii=ascii)

    array = written("json", body)

    assert json.loads(array) == items
    assert taken("json", array, max_bytes=size) == (body, [1] * len(items))


@FEW
@given(items=ITEMS, indent=st.sampled_from([0, 1, "\t"]), size=SIZES)
def test_a_printed_array_gives_the_line_of_each_item(
    items: list[Item], indent: int | str, size: int
) -> None:
    text = json.dumps(items, indent=indent)
    starts, line = [], 2
    for item in items:
        starts.append(line)
        line += json.dumps(item, indent=indent).count("\n") + 1

    kept, at = taken("json", text.encode(), max_bytes=size)

    assert [json.loads(each) for each in kept.splitlines()] == items
    assert at == starts


@pytest.mark.parametrize("name", ["json", "jsonl"])
@FEW
@given(items=ITEMS, size=SIZES)
def test_no_batch_is_over_its_bound_but_for_one_long_item(
    name: str, items: list[Item], size: int
) -> None:
    body = written(name, items)

    for batch in read(name, io.BytesIO(body), max_bytes=size):
        assert len(batch.items.lines) <= size or len(batch.items) == 1


def test_numbers_and_spaces_stay_as_they_were_sent() -> None:
    body = b'{"a": 1.0, "b":12345678901234567890,"c":1E5 , "a":"\\u00e9"}\n'

    assert taken("jsonl", body)[0] == body
    assert taken("json", b"[" + body + b"]")[0] == body
    assert written("json", body) == b"[" + body[:-1] + b"]"


def test_blank_lines_marks_and_line_ends_are_let_be() -> None:
    body = b'\xef\xbb\xbf{"a":1}\r\n\r\n  {"b":\t2}  \n\n\n{"c":3}'

    assert taken("jsonl", body) == (b'{"a":1}\n{"b":\t2}\n{"c":3}\n', [1, 3, 6])


@pytest.mark.parametrize("body", [b"", b" \n\t", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_nothing_is_no_items(name: str, body: bytes) -> None:
    assert taken(name, body) == (b"", [])


def test_one_object_is_one_item() -> None:
    assert taken("json", b' {"a":\n 1} \n') == (b'{"a":  1}\n', [1])
    assert taken("json", b'    {"a":1}', max_bytes=2) == (b'{"a":1}\n', [1])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"name" 2}', "not JSON: expected ':' at column 9"),
        ('{"é" 2}'.encode(), "not JSON: expected ':' at column 6"),
        (b'{"a":1', "not JSON: it ends too early at column 7"),
        (b'{"a":1}}', "not JSON: trailing characters at column 8"),
        (b'{"a":1} {"a":2}', "not JSON: trailing characters at column 9"),
        (b"[1]", "an array, not an object"),
        (b'"x"', "a string, not an object"),
        (b"null", "null, not an object"),
        (b"false", "a boolean, not an object"),
        (b"-1", "a number, not an object"),
        (b'{"a":"\xc3\xa9\xff"}', "not UTF-8: bad byte 0xff at column 8"),
        (b'{"a":1e999}', "item has a number out of range"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "item is nested over 200 levels deep"),
        (b"[" * 5000, "not JSON: it is nested too deeply"),
    ],
)
def test_a_bad_line_is_named_and_passed_over(line: bytes, why: str) -> None:
    body = b'{"a":1}\n\n' + line + b'\n{"a":2}\n'

    with pytest.raises(InvalidInput) as failure:
        taken("jsonl", body)

    assert failure.value.message == f"line 3: {why}"
    assert bad("jsonl", body) == (b'{"a":1}\n{"a":2}\n', [(3, why)])


def test_a_value_over_two_lines_is_two_bad_lines() -> None:
    """As many values as lines, yet not one in each."""
    body = b'{"a":{"b":1}\n}\n{} {}\n'

    _, found = bad("jsonl", body)

    assert [line for line, _ in found] == [1, 2, 3]


@pytest.mark.parametrize("newline", [b"\n", b""])
def test_an_item_over_the_limit_is_named_and_never_held(newline: bytes) -> None:
    long = b'{"a":"' + b"x" * (LIMIT_BYTES + 200_000) + b'"}'
    body = b"{}\n" + long + newline

    with pytest.raises(TooLarge, match="line 2: item is over the limit of 9,437,182 bytes"):
        taken("jsonl", body, max_bytes=100_000)

    for end, kept in ((b"", b"{}\n"), (b"\n{}\n", b"{}\n{}\n")):
        found = bad("jsonl", body + end, max_bytes=100_000)
        assert found == (kept, [(2, "item is over the limit of 9,437,182 bytes")])


def test_a_long_item_is_named_inside_of_a_longer_batch_too() -> None:
    long = b'{"a":"' + b"x" * LIMIT_BYTES + b'"}'

    _, found = bad("jsonl", long + b"\n{}\n", max_bytes=2 * LIMIT_BYTES)
    assert found == [(1, "item is over the limit of 9,437,182 bytes")]
    _, found = bad("json", b"[{}," + long + b",{}]", max_bytes=4_000_000)
    assert found == [(1, "item is over the limit of 9,437,182 bytes")]


@pytest.mark.parametrize("body", [b'{"a":"%b"}', b'[{"a":"%b"}]'])
def test_a_file_of_one_item_over_the_limit_is_not_read_to_its_end(body: bytes) -> None:
    stream = io.BytesIO(body % (b"x" * 3 * LIMIT_BYTES))

    with pytest.raises(TooLarge, match="over the limit of 9,437,182 bytes"):
        list(read("json", stream))

    assert stream.tell() < 3 * LIMIT_BYTES


@pytest.mark.parametrize("size", [3, 4_000_000])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'[{"a":1},\n {"b" 2}]', "line 2: not JSON: expected ':' at column 7"),
        (b'[{"a":1} {"a":2}]', "line 1: not JSON: expected ',' or ']' at column 10"),
        (b'[{"a":1}', "line 1: not JSON: it ends too early at column 9"),
        (b'[{"a":1},\n', "line 2: not JSON: it ends too early at column 1"),
        (b'[{"a":1}]\n]', "line 2: not JSON: trailing characters at column 1"),
        (b'[{"a":1}][{"a":2}]', "line 1: not JSON: trailing characters at column 10"),
        (b"[,]", "line 1: not JSON: invalid character at column 2"),
        (b'[{"a":"\xff"}]', "line 1: not UTF-8: bad byte 0xff at column 8"),
        (b'{"a":1}\n{"a":2}', "line 2: not JSON: trailing characters at column 1"),
        (b"id,name", "line 1: neither an array nor an object of JSON"),
    ],
)
def test_broken_json_is_named_by_line_and_column(body: bytes, why: str, size: int) -> None:
    with pytest.raises(InvalidInput) as failure:
        taken("json", body, max_bytes=size)

    assert failure.value.message == why


@pytest.mark.parametrize("size", [3, 4_000_000])
def test_a_trailing_comma_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match="line 1: not JSON: trailing comma in array"):
        taken("json", b'[{"a":1},{"a":2} , ]', max_bytes=size)


def test_elements_that_are_no_objects_are_named_and_passed_over() -> None:
    body = b'[{"a":1},\n5,\n"},{\\"a\\":", {"a":2}]'

    assert bad("json", body, max_bytes=3) == (
        b'{"a":1}\n{"a":2}\n',
        [(2, "a number, not an object"), (3, "a string, not an object")],
    )


@FEW
@given(
    texts=st.lists(st.text('{}[],"\\:x', max_size=12), min_size=1, max_size=8),
    size=st.integers(1, 60),
)
def test_brackets_and_quotes_inside_of_strings_mislead_nobody(texts: list[str], size: int) -> None:
    items = [{text: [{"a": text}, text]} for text in texts]

    kept, _ = taken("json", json.dumps(items).encode(), max_bytes=size)

    assert [json.loads(line) for line in kept.splitlines()] == items


def test_half_a_surrogate_pair_is_replaced() -> None:
    body = rb'{"a":"\ud83d","b":"\ud83d\ude00"}'
    mended = rb'{"a":"\ufffd","b":"\ud83d\ude00"}' + b"\n"

    assert taken("jsonl", body + b"\n{}\n")[0] == mended + b"{}\n"
    assert taken("json", b"[" + body + b"]")[0] == mended


@FEW
@given(items=ITEMS, ascii=st.booleans(), cut=st.integers(1, 200))
def test_lines_that_are_looked_at_together_are_counted_as_one_by_one(
    items: list[Item], ascii: bool, cut: int
) -> None:
    body = lines(items, ascii=ascii)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storectl.formats.jsonl._CUT_BYTES", cut)
        found = [batch.items for batch in read("jsonl", io.BytesIO(body))]

    assert found == ([Items.from_lines(body.splitlines())] if items else [])


@pytest.mark.parametrize("line", ['{"a":1} {"b":2}', '{"a":[', "1]}", '{"a":1e999}', '{"a":"\n"}'])
def test_one_bad_line_among_good_ones_is_the_only_one_refused(line: str) -> None:
    good = [b'{"n":1}'] * 3

    kept, refused = bad("jsonl", b"\n".join([*good, line.encode(), *good, b""]))

    assert kept.splitlines() == good * 2
    assert {number for number, _ in refused} == set(range(4, 5 + line.count("\n")))


def test_a_lone_carriage_return_is_a_space_between_tokens_and_refused_in_a_string() -> None:
    """Left as it is, it would end a line for many who read the items next."""
    body = b'{"a":1}\n{"b":\r2}\n{"c":"x\ry"}\r\n{"d":3}\r\n'

    kept, refused = bad("jsonl", body)

    assert kept == b'{"a":1}\n{"b": 2}\n{"d":3}\n'
    assert [number for number, _ in refused] == [3]
