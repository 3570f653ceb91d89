"""Queries over items: what they find, and what they cannot do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from storectl.errors import InvalidInput
from storectl.transfer.scratch import scratch
from storectl.transfer.sql import Answer, Table, ask, quoted

from ..formats.writing import ITEMS
from .reading import Item, keeping, read_all


def asked(query: str, *datasets: list[Item] | bytes) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns and rows of an answer about the tables t, t2, …"""
    with keeping(*datasets) as (_, sides), scratch() as database:
        tables = []
        for number, rows in enumerate(sides, 1):
            table = Table(database, f"t{number}" if number > 1 else "t")
            read_all(rows, table.take)
            tables.append(table)
        answer: Answer = ask(database, query, tables)
        return answer.columns, list(answer.rows)


def test_fields_are_columns_and_values_keep_their_types() -> None:
    items: list[Item] = [
        {"n": 1, "f": 1.5, "b": True, "l": [1, "é"]},
        {"o": {"a": None}, "n": "1", "z": None},
    ]

    assert asked("select * from t", items) == (
        ["n", "f", "b", "l", "o", "z"],
        [(1, 1.5, 1, '[1,"é"]', None, None), ("1", None, None, None, '{"a":null}', None)],
    )


def test_what_is_nested_can_be_asked_for() -> None:
    items: list[Item] = [{"seller": {"name": "Ann"}, "tags": ["a", "b"]}, {"tags": ["b"]}]

    _, rows = asked(
        "select json_extract(seller, '$.name') from t union all "
        "select value from t, json_each(t.tags)",
        items,
    )

    assert rows == [("Ann",), (None,), ("a",), ("b",), ("b",)]


def test_tables_can_be_joined() -> None:
    query = "select t.id, t2.v from t join t2 using (id) order by 1"

    assert asked(query, [{"id": 1}, {"id": 2}], [{"id": 2, "v": "x"}])[1] == [(2, "x")]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", "9223372036854775808"),
        (b"-9223372036854775809", "-9223372036854775809"),
        (b"1e300", 1e300),
        (rb'"nul \u0000"', "nul \0"),
        (rb'"half \ud83d"', "half \ufffd"),
    ],
)
def test_what_sqlite_cannot_hold_is_text(value: bytes, kept: Any) -> None:
    assert asked("select a from t", b'{"a":%b}\n' % value)[1] == [(kept,)]


def test_names_that_sqlite_takes_for_one_are_two_columns() -> None:
    columns, rows = asked("select * from t", [{"Price": 1, "price": 2, 'a"b': 3, "": 4}])

    assert (columns, rows) == (["Price", "price_2", 'a"b', ""], [(1, 2, 3, 4)])


def test_columns_of_an_answer_have_names_of_their_own() -> None:
    columns, _ = asked("select t.id, t2.id, count(*) as n from t, t2", [{"id": 1}], [{"id": 2}])

    assert columns == ["id", "id_2", "n"]


@settings(max_examples=15, deadline=None)
@given(ITEMS)
def test_every_value_of_any_items_is_there(items: list[Item]) -> None:
    columns, rows = asked("select * from t", items)

    given = [value for item in items for value in item.values() if value is not None]
    assert sum(one is not None for row in rows for one in row) == len(given)
    assert len(rows) == len(items)
    assert len(columns) == len({name for item in items for name in item} or {"item"})


@pytest.mark.parametrize("items", [[], [{}, {}]])
def test_items_without_a_field_are_rows_too(items: list[Item]) -> None:
    assert asked("select count(*) from t", items)[1] == [(len(items),)]


@pytest.mark.parametrize(
    "query",
    [
        "attach 'other.db' as other",
        "vacuum into 'copy.db'",
        "pragma temp_store_directory='/tmp'",
        "pragma journal_mode",
        "delete from t",
        "insert into t values (1)",
        "update t set id = 2",
        "create temp table mine as select * from t",
        "drop table t",
        "select load_extension('x')",
        "select readfile('/etc/passwd')",
        "select writefile('mine', 'x')",
        "commit",
        "explain select 1; select 2",
        "select 1; attach 'other.db' as other",
        "",
        "-- nothing",
        "selekt",
    ],
)
def test_a_query_reads_its_tables_and_does_nothing_else(
    query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidInput):
        asked(query, [{"id": 1}])

    assert os.listdir(tmp_path) == []


def test_a_mistake_is_told_with_what_there_is() -> None:
    with pytest.raises(InvalidInput, match="no such column: prise") as failed:
        asked("select prise from t", [{"price": 1}])
    assert failed.value.hint == "t has price"

    with pytest.raises(InvalidInput, match="no such table: prices") as failed:
        asked("select 1 from prices", [{"price": 1}])
    assert failed.value.hint == "there is t"


def test_too_many_fields_are_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidInput, match="more than 2,000 fields") as failed:
        asked("select 1", [{f"f{n}": n for n in range(2_001)}])

    assert failed.value.hint == "--fields A,B loads only those"


def test_a_name_is_quoted_as_sql_has_it() -> None:
    assert quoted('a"b') == '"a""b"'
