"""Parquet: files that two foreign readers open and agree with."""

from __future__ import annotations

import io
import json
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from storectl.errors import InvalidInput
from tests.formats.writing import FEW, ITEMS, Item, golden, lines, written


def read(body: bytes) -> tuple[pa.Schema, list[Item]]:
    """The rows as Arrow reads them, JSON text parsed."""
    table = pq.ParquetFile(io.BytesIO(body), arrow_extensions_enabled=True).read()
    rows = [{} for _ in range(table.num_rows)] if not table.num_columns else table.to_pylist()
    return table.schema, [
        {field.name: meant(row[field.name], field.type) for field in table.schema} for row in rows
    ]


def meant(value: Any, kind: pa.DataType) -> Any:
    """A value of a column; what JSON text holds, marked, since null there is not null here."""
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return json.loads(value)
    if pa.types.is_struct(kind):
        return {field.name: meant(value[field.name], field.type) for field in kind}
    if pa.types.is_list(kind):
        return [meant(one, kind.value_type) for one in value]
    return value


def plain(value: Any) -> Any:
    """Without fields that are null, which parquet cannot tell from missing; 1 as 1.0, not true."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [plain(one) for one in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return ("number", value) if is_number else value


def kinds(items: list[Item] | bytes, **options: Any) -> dict[str, str]:
    schema, _ = read(written("parquet", items, **options))
    return {field.name: str(field.type) for field in schema}


@FEW
@given(ITEMS)
def test_arrow_reads_what_was_written(items: list[Item]) -> None:
    _, found = read(written("parquet", items))

    assert plain(found) == plain(items)


def test_the_golden_items_look_to_another_reader_the_same_as_ever() -> None:
    """The bytes themselves depend on the version of zstd."""
    schema, rows = read(written("parquet", golden(".jsonl")))

    columns = [f"{field.name!a}: {field.type}" for field in schema]
    shown = [json.dumps(row, default=str) for row in rows]
    assert [*columns, "", *shown] == golden(".parquet.txt").decode().splitlines()


def test_the_golden_items_are_read_as_they_are() -> None:
    _, found = read(written("parquet", golden(".jsonl")))

    halves = golden(".jsonl").decode().replace("\\ud83d,", "\\ufffd,")
    assert plain(found) == plain([json.loads(line) for line in halves.splitlines()])


def test_another_reader_finds_the_same(tmp_path: Path) -> None:
    file = tmp_path / "items.parquet"
    items = [
        {"n": n, "tags": ["a"] * (n % 3), "in": {"x": n / 4}, "odd": n if n % 2 else str(n)}
        for n in range(5_000)
    ]
    file.write_bytes(written("parquet", items))

    with duckdb.connect() as database:
        found = database.execute(f"select n, tags, \"in\", odd from '{file}' order by n").fetchall()

    assert [(n, tags, inside, json.loads(odd)) for n, tags, inside, odd in found] == [
        tuple(item.values()) for item in items
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None], "int64"),
        ([1, 2.5], "double"),
        ([2**63 - 1, -(2**63)], "int64"),
        ([2**63, 1], "extension<arrow.json>"),
        ([2**53 + 1, 0.5], "extension<arrow.json>"),
        ([True, False], "bool"),
        ([True, 1], "extension<arrow.json>"),
        (["a", ""], "string"),
        (["a", 1, [None], {}], "extension<arrow.json>"),
        ([None], "string"),
        ([{}], "extension<arrow.json>"),
        ([[], None], "list<element: string>"),
        ([[1], [None, 2]], "list<element: int64>"),
        ([[[1]], [[], [2, 3]], []], "list<element: list<element: int64>>"),
        ([{"a": 1}, {"b": None}, {}], "struct<a: int64, b: string>"),
        ([[{"a": [1]}, {}], [None]], "list<element: struct<a: list<element: int64>>>"),
    ],
)
def test_the_type_of_a_column_holds_every_value(values: list[Any], kind: str) -> None:
    items = [{"a": value} for value in values]

    schema, found = read(written("parquet", items))

    assert str(schema.field("a").type) == kind
    assert plain(found) == plain(items)


@pytest.mark.parametrize(
    ("values", "least", "greatest"),
    [
        ([3, None, -(2**63), 5], -(2**63), 5),
        ([0.5, -1, None], -1.0, 0.5),
        ([True, None], True, True),
        (["b", "é", "", None, "z"], "", "é"),
        (["\uffff", "\U0001f600"], "\uffff", "\U0001f600"),
        ([None], None, None),
        (["a", 1], None, None),
        (["x" * 65, "a"], None, None),
    ],
)
def test_readers_find_the_least_and_greatest_values_and_the_nulls(
    values: list[Any], least: Any, greatest: Any
) -> None:
    file = io.BytesIO(written("parquet", [{"a": value} for value in values]))

    found = pq.ParquetFile(file).metadata.row_group(0).column(0).statistics

    assert found.null_count == values.count(None)
    assert found.has_min_max == (least is not None)
    assert not found.has_min_max or (found.min, found.max) == (least, greatest)


def test_zeros_are_bounds_of_either_sign() -> None:
    file = io.BytesIO(written("parquet", b'{"a":0.0}\n{"a":-0.0}\n'))

    found = pq.ParquetFile(file).metadata.row_group(0).column(0).statistics

    assert (str(found.min), str(found.max)) == ("-0.0", "0.0")


def test_what_is_in_lists_and_objects_has_bounds_too() -> None:
    items: list[Item] = [
        {"l": [3, 1, None], "o": {"t": "b"}},
        {"l": [], "o": None},
        {"o": {"t": "a"}},
    ]

    group = pq.ParquetFile(io.BytesIO(written("parquet", items))).metadata.row_group(0)

    lists, texts = (group.column(at).statistics for at in (0, 1))
    assert (lists.min, lists.max, lists.null_count) == (1, 3, 3)
    assert (texts.min, texts.max, texts.null_count) == ("a", "b", 1)


def test_row_groups_are_passed_over_by_their_bounds_and_nothing_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storectl.formats.parquet.GROUP_BYTES", 10_000)
    monkeypatch.setattr("storectl.formats.parquet.PAGE_BYTES", 20_000)
    file = tmp_path / "items.parquet"
    chance = Random(7)
    items: list[Item] = [
        {"n": n, "f": n / 8, "t": f"{n:06}é", "x": chance.randbytes(20).hex()} for n in range(5_000)
    ]
    file.write_bytes(written("parquet", items))

    groups = pq.ParquetFile(file).metadata.num_row_groups
    with duckdb.connect() as database:
        for where in ("n = 4321", "f = 540.125", "t = '004321é'"):
            query = f"select n from '{file}' where {where}"
            assert database.execute(query).fetchall() == [(4321,)]
        bounds = database.execute(
            f"select stats_min_value, stats_max_value from parquet_metadata('{file}') "
            "where path_in_schema = 't' order by row_group_id"
        ).fetchall()

    assert groups > 10
    assert [one for pair in bounds for one in pair] == sorted(
        one for pair in bounds for one in pair
    )
    assert (bounds[0][0], bounds[-1][1]) == ("000000é", "004999é")


def test_the_last_item_may_bring_a_column_and_change_a_type() -> None:
    items: list[Item] = [{"n": n} for n in range(60_000)]
    items += [{"n": "text", "late": True}]

    schema, found = read(written("parquet", items))

    assert schema.names == ["n", "late"]
    assert plain(found) == plain(items)


def test_maps_and_what_is_nested_deeply_are_json_text() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"in": [deep]}
    items = [{"map": {f"key {n}": n for n in range(501)}, "deep": deep}]

    schema, found = read(written("parquet", items))

    assert str(schema.field("map").type) == "extension<arrow.json>"
    assert plain(found) == plain(items)


def test_fields_that_are_chosen_are_the_columns_in_their_order() -> None:
    assert list(kinds([{"a": 1, "b": 2}], columns=("b", "a", "c"))) == ["b", "a", "c"]


def test_too_many_columns_are_refused_before_the_first_byte() -> None:
    with pytest.raises(InvalidInput, match="more than 2,000 columns"):
        written("parquet", [{f"{n}": n for n in range(2_001)}])


def test_large_files_have_several_row_groups_and_the_same_items_the_same_bytes() -> None:
    random = Random(1)
    items = [{"text": random.randbytes(100_000).hex()} for _ in range(120)]

    body = written("parquet", items)

    assert pq.ParquetFile(io.BytesIO(body)).num_row_groups > 1
    assert read(body)[1] == items
    assert written("parquet", lines(items)) == body
