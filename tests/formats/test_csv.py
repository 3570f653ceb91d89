"""CSV: one column for each leaf, RFC 4180, and back."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import InvalidInput, TooLarge
from storectl.formats import read
from storectl.formats.batch import LIMIT_BYTES
from tests.formats.writing import FEW, ITEMS, VALUES, Item, written

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1)
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


def table(items: list[Item] | bytes, **options: Any) -> list[list[str]]:
    """The cells that a reader of CSV finds."""
    text = written("csv", items, bom=False, **options).decode()
    delimiter = options.get("delimiter", ",")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def leaves(value: Any, path: str = "") -> dict[str, str]:
    """The cells of one item, the slow and plain way."""
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= leaves(inner, f"{path}/{name}" if path else name)
        return found
    if isinstance(value, list):
        return leaves({str(at): inner for at, inner in enumerate(value)}, path)
    if value is None:
        return {}
    return {path: value if isinstance(value, str) else json.dumps(value)}


@FEW
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=6), st.sampled_from(",;\t|é"))
def test_cells_are_the_leaves_of_the_items(items: list[Item], delimiter: str) -> None:
    items = json.loads(json.dumps(items).replace("\\u0000", "").replace("/", ""))

    header, *rows = table(items, delimiter=delimiter) or [[]]

    if header:
        found = [dict(zip(header, row, strict=True)) for row in rows]
        expected = [{k: v for k, v in leaves(item).items() if v} for item in items]
        assert [{k: v for k, v in row.items() if v} for row in found] == expected
        assert len(set(header)) == len(header)
    else:
        assert not any(leaves(item) for item in items)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"b": 1, "a": 2}, {"c": 3, "a": 4}], [["b", "a", "c"], ["1", "2", ""], ["", "4", "3"]]),
        ([{"a": {"b": {"c": 1}}}], [["a/b/c"], ["1"]]),
        ([{"a": ["x", "y"]}, {"a": ["z"]}], [["a/0", "a/1"], ["x", "y"], ["z", ""]]),
        (
            [{"a": [1]}, {"b": 2, "a": [3, 4]}],
            [["a/0", "b", "a/1"], ["1", "", ""], ["3", "2", "4"]],
        ),
        ([{"a": None}, {"b": 1}], [["a", "b"], ["", ""], ["", "1"]]),
        ([{"a": [], "b": {}}, {"b": 1}], [["a", "b"], ["", ""], ["", "1"]]),
        ([{"a": None, "b": 1}, {"a": {"c": 2}}], [["b", "a/c"], ["1", ""], ["", "2"]]),
        ([{"a": {"c": 2}}, {"a": None}, {"a": []}], [["a/c"], ["2"], [""], [""]]),
        ([{"a": {"c": 2}}, {"a": 3}], [["a/c", "a"], ["2", ""], ["", "3"]]),
        ([{"a": [1]}, {"a": {"0": 2, "x": 3}}], [["a/0", "a/x"], ["1", ""], ["2", "3"]]),
        ([{"a/b": 1}, {"a": {"b": 2}}], [["a/b"], ["1"], ["2"]]),
        ([{"a/b": 1, "a": {"b": 2}}], [["a/b"], ["1"]]),
        ([{}, {"a": 1, "b": 2}, {}], [["a", "b"], ["", ""], ["1", "2"], ["", ""]]),
        ([{"": 1, "b": {"": 2}}], [["", "b/"], ["1", "2"]]),
        ([{}, {}], []),
    ],
)
def test_columns_are_paths_in_the_order_they_are_seen(
    items: list[Item], expected: list[list[str]]
) -> None:
    assert table(items) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("b", "a"), [["b", "a"], ["1", "2"], ["", "4"]]),
        (("c", "b"), [["c", "b"], ["", "1"], ["3", ""]]),
        (("never", "a"), [["never", "a"], ["", "2"], ["", "4"]]),
        (("d", "a"), [["d/x", "d/y/0", "a"], ["", "", "2"], ["5", "6", "4"]]),
    ],
)
def test_given_columns_are_those_and_nested_ones_open_in_place(
    columns: tuple[str, ...], expected: list[list[str]]
) -> None:
    items = [{"b": 1, "a": 2}, {"c": 3, "a": 4, "d": {"x": 5, "y": [6]}}]

    assert table(items, columns=columns) == expected


def test_given_columns_are_there_without_items() -> None:
    assert table([], columns=("a", "b")) == [["a", "b"]]


def test_a_column_that_comes_late_pads_all_rows_before() -> None:
    long = "x" * 100_000
    items: list[Item] = [{"n": n, "text": "x" * 100} for n in range(3000)]
    items += [{"n": None, "late": [True]}, {"text": {"now": "nested"}}]
    items += [{"n": long, "text": long, "late": [long]}, {"late": "now not"}]

    header, *rows = table(items)

    assert header == ["n", "text", "late/0", "text/now", "late"]
    assert rows[:3000] == [[str(n), "x" * 100, "", "", ""] for n in range(3000)]
    assert rows[3000:] == [
        ["", "", "true", "", ""],
        ["", "", "", "nested", ""],
        [long, long, long, "", ""],
        ["", "", "", "", "now not"],
    ]


def test_a_row_may_be_longer_than_what_is_read_at_once() -> None:
    item = {f"c{n}": "x" * 100_000 for n in range(8)}

    assert table([{"c0": 1}, item, {"c7": 2}]) == [
        list(item),
        ["1", *[""] * 7],
        list(item.values()),
        [*[""] * 7, "2"],
    ]


def test_numbers_are_written_as_they_were_sent() -> None:
    body = b'{"a":1.0,"b":1E5,"c":12345678901234567890123,"d":-0.10,"e":true,"f":false}\n'

    assert table(body)[1] == ["1.0", "1E5", "12345678901234567890123", "-0.10", "true", "false"]


def test_only_what_must_be_quoted_is() -> None:
    items = [{"a": 'say "x"', "b": "1,2", "c": "l\nm\rn", "d": " =1+1 ", "e": "é"}]

    assert written("csv", items) == (
        '\ufeffa,b,c,d,e\r\n"say ""x""","1,2","l\nm\rn", =1+1 ,é\r\n'.encode()
    )
    assert written("csv", items, delimiter=";", bom=False, skip_header_row=True) == (
        '"say ""x""";1,2;"l\nm\rn"; =1+1 ;é\r\n'.encode()
    )


def test_a_lone_empty_cell_is_no_blank_line() -> None:
    assert written("csv", [{"a": None}, {"a": 1}], bom=False) == b'a\r\n""\r\n1\r\n'


@FEW
@given(ITEMS)
def test_what_is_written_is_read_again(items: list[Item]) -> None:
    body = written("csv", items)
    header, *rows = table(items) or [[]]
    if "" in header:
        return  # a column without a name can be written, not read

    found = [
        item
        for batch in read("csv", io.BytesIO(body), delimiter=",")
        for item in batch.items.objects()
    ]

    assert found == [dict(zip(header, row, strict=True)) for row in rows]


def taken(body: bytes, **options: Any) -> list[tuple[int, Item]]:
    """The items that were read, each with its line."""
    return [
        (line, item)
        for batch in read("csv", io.BytesIO(body), **options)
        for line, item in zip(batch.lines, batch.items.objects(), strict=True)
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_the_header_has_most_of(delimiter: str) -> None:
    body = delimiter.join(['"a,b;c|d\t"', "x y", "z"]) + "\n" + delimiter.join("123") + "\n"

    assert taken(body.encode()) == [(2, {"a,b;c|d\t": "1", "x y": "2", "z": "3"})]


def test_cells_are_text_and_rows_may_be_short() -> None:
    body = b'\xef\xbb\xbfid,text\r\n007,"two\r\nlines"\r\n\r\n8\r\n'

    assert taken(body) == [(2, {"id": "007", "text": "two\r\nlines"}), (5, {"id": "8"})]


def test_typed_cells_are_what_they_look_like() -> None:
    body = b"a,b,c,d,e,f,g\n1,1.50,-2e3,007,true,,1e999\nfalse,null,+1,1.,.5,- 1,\xd9\xa1\n"

    read_typed = b"".join(b.items.lines for b in read("csv", io.BytesIO(body), typed=True))

    assert read_typed.decode().splitlines() == [
        '{"a":1,"b":1.50,"c":-2e3,"d":"007","e":true,"f":null,"g":"1e999"}',
        '{"a":false,"b":null,"c":"+1","d":"1.","e":".5","f":"- 1","g":"١"}',
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"1,2,3", "3 cells, but the header has 2"),
        (b'"x"y,2', "not CSV: ',' expected after '\"'"),
        (b"\xff,2", "not UTF-8"),
    ],
)
def test_a_bad_row_is_named_and_passed_over(row: bytes, why: str) -> None:
    body = b'a,b\n"1\n1",2\n' + row + b"\n3,4\n"
    found: list[tuple[int, str]] = []

    with pytest.raises(InvalidInput) as failure:
        taken(body)
    kept = taken(body, on_bad=lambda line, why: found.append((line, why)))

    assert failure.value.message == f"line 4: {why}"
    assert found == [(4, why)]
    assert kept == [(2, {"a": "1\n1", "b": "2"}), (5, {"a": "3", "b": "4"})]


def test_empty_cells_beyond_the_header_are_let_be() -> None:
    assert taken(b"a,b\n1,2,,\n") == [(2, {"a": "1", "b": "2"})]


@pytest.mark.parametrize(
    ("header", "why"),
    [(b"a,,b", "line 1: column 2 has no name"), (b"a,b,a", "line 1: two columns are named 'a'")],
)
def test_a_header_must_name_each_column_once(header: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        taken(header + b"\n1,2,3\n")


def test_a_cell_may_be_as_long_as_an_item() -> None:
    """The csv module stops at 131,072 characters unless told."""
    [(_, item)] = taken(b"a,b\n" + b"x" * 1_000_000 + b",2\n")

    assert item == {"a": "x" * 1_000_000, "b": "2"}


def test_a_quote_that_never_closes_does_not_swallow_the_memory() -> None:
    body = b'a\n"' + (b"x" * 99 + b"\n") * (LIMIT_BYTES // 100 + 1)

    with pytest.raises(InvalidInput, match="line 2: not CSV: a cell over"):
        taken(body)


def test_a_line_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge, match="over the limit of 9,437,182 bytes"):
        taken(b"a\n" + b"x" * (LIMIT_BYTES + 1))


@FEW
@given(ITEMS, st.integers(1, 100))
def test_batches_keep_their_bound(items: list[Item], size: int) -> None:
    body = written("csv", [{"n": n, "text": repr(item)} for n, item in enumerate(items)])

    for batch in read("csv", io.BytesIO(body), max_bytes=size):
        assert len(batch.items.lines) <= size or len(batch.items) == 1


DANGEROUS = "=+-@\t\r\n"
LEADING = st.sampled_from([*DANGEROUS, "＝", "'", "a", ""])
CELLS = st.builds(str.__add__, LEADING, st.text(max_size=5)) | st.integers() | st.floats(
    allow_nan=False, allow_infinity=False
)  # fmt: skip


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.sampled_from(",\t"))
def test_no_cell_is_a_formula_if_that_is_asked_and_numbers_stay_numbers(
    rows: list[tuple[Any, Any]], delimiter: str
) -> None:
    items = [{"=a": one, "b": two} for one, two in rows]

    body = written("csv", items, delimiter=delimiter, csv_safe=True, bom=False)

    head, *found = csv.reader(io.StringIO(body.decode(), newline=""), delimiter=delimiter)
    as_ever = written("csv", items, delimiter=delimiter, bom=False)
    _, *plain = csv.reader(io.StringIO(as_ever.decode(), newline=""), delimiter=delimiter)
    assert head == ["'=a", "b"]
    for values, cells, same in zip(rows, found, plain, strict=True):
        for value, cell, before in zip(values, cells, same, strict=True):
            is_formula = isinstance(value, str) and value[:1] in {*DANGEROUS, "＝"}
            assert cell == ("'" if is_formula else "") + before
