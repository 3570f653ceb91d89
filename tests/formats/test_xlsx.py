"""XLSX: workbooks that two foreign readers open and agree with."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from python_calamine import CalamineWorkbook

from storectl.formats import xlsx
from tests.formats.test_csv import table
from tests.formats.writing import FEW, ITEMS, Item, golden, printable, written


def sheets(body: bytes) -> dict[str, list[list[Any]]]:
    """The cells of every sheet as openpyxl reads them."""
    book = openpyxl.load_workbook(io.BytesIO(body))
    return {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book}


def test_the_golden_sheet_looks_the_same_as_ever() -> None:
    archive = zipfile.ZipFile(io.BytesIO(written("xlsx", golden(".jsonl"))))

    assert archive.testzip() is None
    assert archive.read("xl/worksheets/sheet1.xml") == golden(".sheet.xml")


def test_the_same_items_are_the_same_bytes() -> None:
    assert written("xlsx", [{"a": 1}]) == written("xlsx", [{"a": 1}])


def test_values_keep_their_type_where_a_spreadsheet_can_hold_it() -> None:
    body = (
        b'{"int":7,"float":1.50,"big":999999999999999,"bigger":1000000000000000,"yes":true,'
        b'"no":false,"null":null,"text":"x","empty":"","huge":1e400,"formula":"=1+1"}\n'
    )

    header, row = sheets(written("xlsx", body))["Items"]

    assert dict(zip(header, row, strict=True)) == {
        "int": 7,
        "float": 1.5,
        "big": 999_999_999_999_999,
        "bigger": "1000000000000000",
        "yes": True,
        "no": False,
        "null": None,
        "text": "x",
        "empty": None,
        "huge": "1e400",
        "formula": "=1+1",
    }


@pytest.mark.parametrize("other", [b"1.5", b"null", b"1e5", b"7", b"true", b'"x"'])
@pytest.mark.parametrize("number", [b"1e400", b"-1E400", b"9" * 400 + b".5", b"1" + b"0" * 15])
def test_a_number_too_large_for_a_cell_is_text_whatever_else_is_in_its_column(
    number: bytes, other: bytes
) -> None:
    body = b'{"a":%b}\n{"a":%b}\n' % (number, other)

    found = sheets(written("xlsx", body))["Items"]

    assert found[:2] == [["a"], [number.decode()]]


def test_a_formula_is_text_and_nothing_else() -> None:
    book = openpyxl.load_workbook(io.BytesIO(written("xlsx", [{"a": "=1+1"}])))

    archive = zipfile.ZipFile(io.BytesIO(written("xlsx", [{"a": "=1+1"}])))

    assert book["Items"]["A2"].value == "=1+1"
    assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  both ends \n", "  both ends \n"),
        ("<&>\"'", "<&>\"'"),
        ("x\x00\x0b\ufffey", "xy"),
        ("a\tb\nc", "a\tb\nc"),
        ("&" * 32_767, "&" * 32_767),
        ("&" * 32_768, "&" * 32_767),
        ("é" * 40_000, "é" * 32_767),
    ],
)
def test_text_is_kept_as_far_as_a_cell_can(text: str, expected: str) -> None:
    body = written("xlsx", [{"a": text}])

    assert CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()[
        1
    ] == [expected]
    assert sheets(body)["Items"][1] == [expected]


def test_a_text_like_a_code_for_a_character_stays_that_text() -> None:
    """A spreadsheet takes `_x000D_` for a return; openpyxl does not, so it sees our escape."""
    body = written("xlsx", [{"a": "_x000D_ _x", "b": "_xyz"}])

    [_, row] = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()

    assert row == ["_x000D_ _x", "_xyz"]
    assert sheets(body)["Items"][1] == ["_x005F_x000D_ _x", "_xyz"]


@FEW
@given(ITEMS)
def test_two_readers_find_the_cells_of_csv(items: list[Item]) -> None:
    clean = [{f"x{n}": printable(value) for n, value in enumerate(item.values())} for item in items]
    expected = table(clean)
    body = written("xlsx", clean)

    found = sheets(body)["Items"]
    other = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()

    for csv_row, row, other_row in zip(expected, found, other, strict=False):
        assert [_number(cell) for cell in csv_row] == [_number(_spelled(cell)) for cell in row]
        assert len(other_row) == len(row)
    if expected:
        assert other[0] == found[0] == expected[0]


def _spelled(cell: Any) -> str:
    if cell is None:
        return ""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def test_rows_that_do_not_fit_go_on_in_the_next_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_ROWS", 4)

    found = sheets(written("xlsx", [{"n": n} for n in range(7)]))

    assert found == {
        "Items": [["n"], [0], [1], [2]],
        "Items 2": [["n"], [3], [4], [5]],
        "Items 3": [["n"], [6]],
    }


def test_a_full_sheet_has_no_empty_one_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_ROWS", 4)

    assert list(sheets(written("xlsx", [{"n": n} for n in range(3)]))) == ["Items"]


def test_a_sheet_ends_before_it_is_too_long_for_its_archive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(xlsx, "MAX_SHEET_BYTES", 1)
    items = [{"n": n, "text": "x" * 1000} for n in range(600)]

    found = sheets(written("xlsx", items))

    assert len(found) > 1
    assert [row[0] for rows in found.values() for row in rows[1:]] == list(range(600))


def test_columns_go_on_behind_z() -> None:
    header, row = sheets(written("xlsx", [{f"c{n}": n for n in range(800)}]))["Items"]

    assert header == [f"c{n}" for n in range(800)]
    assert row == list(range(800))


def test_changing_fields_stand_in_their_columns() -> None:
    """More patterns of empty cells than there are templates for."""
    items = [{f"c{bit}": n for bit in range(11) if n >> bit & 1} for n in range(1, 2048)]

    header, *rows = sheets(written("xlsx", items))["Items"]

    found = [
        {name: cell for name, cell in zip(header, row, strict=True) if cell is not None}
        for row in rows
    ]
    assert found == items
