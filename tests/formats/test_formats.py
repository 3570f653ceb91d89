"""What all formats share: their table, how they are called, what is refused at once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import Internal, InvalidInput
from storectl.formats import BINARY, FORMATS, Options, detect, read, write
from storectl.formats.blocks import gather, recut
from storectl.model.rules import MAX_COLUMN_NAME, MAX_COLUMNS
from tests.formats.writing import FEW, ITEMS, Item, golden, lines, written

FEED = {
    "feed_title": "Shop & <co>",
    "feed_description": "Items",
    "feed_link": "https://example.com/",
}
TABLES = ("csv", "html", "xlsx")


def test_the_formats_are_those_of_the_api_and_parquet() -> None:
    assert list(FORMATS) == ["json", "jsonl", "csv", "html", "xlsx", "xml", "rss", "parquet"]
    assert {name for name, form in FORMATS.items() if not form.self_closing} == {"jsonl", "csv"}
    for name, form in FORMATS.items():
        assert form.suffix == f".{name}"
        assert form.media_type.endswith("; charset=utf-8") == (name not in BINARY)


LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    ".json": ("json", {}),
    ".jsonl": ("jsonl", {}),
    ".csv": ("csv", {}),
    ".bare.csv": ("csv", {"bom": False, "skip_header_row": True, "delimiter": ";"}),
    ".safe.csv": ("csv", {"csv_safe": True}),
    ".tsv": ("csv", {"delimiter": "\t"}),
    ".html": ("html", {}),
    ".xml": ("xml", {}),
    ".renamed.xml": ("xml", {"xml_root": "shop", "xml_row": "offer"}),
    ".rss": ("rss", FEED),
}
"""By the end of a golden file, the format and options that make it."""


@pytest.mark.parametrize("end", LOOKS)
def test_the_golden_items_look_the_same_as_ever(end: str) -> None:
    name, options = LOOKS[end]

    assert written(name, golden(".jsonl"), **options) == golden(end)


@pytest.mark.parametrize("name", FORMATS)
@FEW
@given(items=ITEMS, size=st.integers(1, 60))
def test_where_blocks_are_cut_changes_nothing(name: str, items: list[Item], size: int) -> None:
    body = lines(items)

    whole = b"".join(write(name, [body], Options()))

    assert written(name, body) == whole
    cut_anywhere = (body[at : at + size] for at in range(0, len(body), size))
    assert b"".join(write(name, cut_anywhere, Options())) == whole


@pytest.mark.parametrize("name", FORMATS)
@FEW
@given(items=ITEMS)
def test_escapes_change_nothing_but_json(name: str, items: list[Item]) -> None:
    """A name or text may come as `é` or as `\\u00e9`: both mean the same."""
    if name in ("json", "jsonl"):
        assert json.loads(b"[%b]" % lines(items).strip().replace(b"\n", b",")) == items
        return

    assert written(name, lines(items, ascii=True)) == written(name, lines(items))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("half", [r"\ud800", r"\udfff", r"\uD83D", r"\ud83d\ud83d\ude00"])
def test_half_a_surrogate_pair_stops_no_format(name: str, half: str) -> None:
    body = f'{{"a{half}":"b{half}","c":{{"d":["{half}"]}}}}\n'.encode()

    assert written(name, body)


@pytest.mark.parametrize("name", ["csv", "html", "xlsx", "xml", "rss"])
def test_what_was_never_json_is_the_failure_of_the_store(name: str) -> None:
    with pytest.raises(Internal, match="holds an item that is not JSON"):
        written(name, b'{"a":1}\n{"a" 2}\n')


@pytest.mark.parametrize("name", FORMATS)
def test_no_items_are_a_whole_file_too(name: str) -> None:
    expected = {"jsonl": b"", "json": b"[]", "csv": b"\xef\xbb\xbf"}

    assert written(name, []) == expected.get(name, written(name, b""))


@pytest.mark.parametrize(("name", "by_default"), [("csv", True), ("json", False), ("xml", False)])
def test_a_byte_order_mark_leads_if_asked_for(name: str, by_default: bool) -> None:
    mark = b"\xef\xbb\xbf"

    assert written(name, [{"a": 1}]).startswith(mark) == by_default
    assert written(name, [{"a": 1}], bom=True).startswith(mark)
    assert not written(name, [{"a": 1}], bom=False).startswith(mark)


def test_an_unknown_format_names_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="'yaml' is none of json, jsonl, csv"):
        write("yaml", [], Options())

    with pytest.raises(InvalidInput, match="from 'xml', only from json, jsonl, csv"):
        read("xml", sys.stdin.buffer)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("csv", {"delimiter": ""}, "delimiter ''"),
        ("csv", {"delimiter": ",,"}, "delimiter ',,'"),
        ("csv", {"delimiter": '"'}, "delimiter"),
        ("csv", {"delimiter": "\n"}, "delimiter"),
        ("xml", {"xml_root": "a b"}, "xmlRoot 'a b' is not a name"),
        ("xml", {"xml_row": "1"}, "xmlRow '1' is not a name"),
        ("xml", {"xml_row": ""}, "xmlRow ''"),
    ],
)
def test_a_bad_option_is_refused_at_once(name: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        write(name, [], Options(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({str(n): n for n in range(MAX_COLUMNS + 1)}, "2,001 columns, over the limit of 2,000"),
        ({"a": list(range(3 * MAX_COLUMNS))}, "more than 4,000 columns"),
        ({"<" * (MAX_COLUMN_NAME + 1): 1}, "a name of 201 characters, over the limit of 200"),
    ],
)
def test_over_the_limits_of_tables_nothing_is_written(name: str, item: Item, why: str) -> None:
    chunks = write(name, [lines([item])], Options())

    with pytest.raises(InvalidInput, match=why):
        next(chunks)


@pytest.mark.parametrize("name", TABLES)
def test_up_to_the_limits_all_is_written(name: str) -> None:
    names = ["<" * MAX_COLUMN_NAME, *(str(n) for n in range(MAX_COLUMNS - 1))]

    assert written(name, [dict.fromkeys(names, 1)])


def test_columns_that_turn_out_nested_do_not_count() -> None:
    nested: dict[str, object] = {str(n): {"x": n} for n in range(MAX_COLUMNS)}

    header = written("csv", [dict.fromkeys(nested), nested]).splitlines()[0]

    assert header.count(b",") == MAX_COLUMNS - 1


def test_chunks_are_neither_rows_nor_the_whole() -> None:
    body = lines([{"n": n, "text": "x" * 80} for n in range(9000)])

    for name in ("json", "jsonl", "csv", "html", "xml", "rss"):
        sizes = [len(chunk) for chunk in write(name, body.splitlines(keepends=True), Options())]
        assert len(sizes) > 1
        assert min(sizes[:-1]) >= 64 * 1024
        assert max(sizes) < 512 * 1024


@FEW
@given(
    st.lists(st.binary(max_size=9).map(lambda b: b.replace(b"\n", b"") + b"\n")), st.integers(1, 30)
)
def test_blocks_are_cut_anew_only_at_ends_of_lines(rows: list[bytes], size: int) -> None:
    blocks = list(recut([b"".join(rows[:3]), *rows[3:]], size))

    assert b"".join(blocks) == b"".join(rows)
    assert all(block.endswith(b"\n") for block in blocks)
    assert all(len(block) <= size or block.count(b"\n") == 1 for block in blocks)


@FEW
@given(st.lists(st.binary(max_size=9)), st.integers(1, 30))
def test_gathered_chunks_are_large_and_all_there(chunks: list[bytes], size: int) -> None:
    gathered = list(gather(chunks, size))

    assert b"".join(gathered) == b"".join(chunks)
    assert all(len(chunk) >= size for chunk in gathered[:-1])


def test_naming_the_formats_loads_none_of_them() -> None:
    program = (
        "import sys, storectl.formats as formats; formats.detect('a.csv', b'');"
        "print([m for m in ('csv', 'zipfile', 'html', 'tempfile', 'xml', 'storectl.formats.csv')"
        " if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "[]\n"


def test_memory_does_not_grow_with_the_items() -> None:
    """48 MB through each format, in a process of its own: the peak of this one is past."""
    program = """
import re
from pathlib import Path
from storectl.formats import FORMATS, Options, write

row = b'{"n":1.5,"text":"%b","tags":["a",null]}\\n' % (b"lorem ipsum " * 160)

def peak_after(blocks):
    for name in FORMATS:
        for chunk in write(name, (row * 30 for _ in range(blocks)), Options()):
            pass
    # Not ru_maxrss, which counts the memory of the process that forked this one.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

print(-peak_after(20) + peak_after(800))
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    spool_and_slack_kib = (8 + 12) * 1024
    assert int(done.stdout) < spool_and_slack_kib


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("items.jsonl", b"", "jsonl"),
        ("ITEMS.NDJSON", b"", "jsonl"),
        ("items.csv", b"{", "csv"),
        ("items.tsv", b"", "csv"),
        ("items.json", b"[", "json"),
        ("items.json", b'{"a":1}\n', "json"),
        ("items.json", b'{\n "a":1}', "json"),
        ("items.json", b'{"a":1}\n{"a":2}\n', "jsonl"),
        ("-", b'\xef\xbb\xbf \n[{"a":1}]', "json"),
        ("-", b'{\n "a":1}', "json"),
        ("-", b'{"a":1}\n{"a":2}\n', "jsonl"),
        ("-", b'{"a":"a line longer than the head', "jsonl"),
        ("-", b"id,name\n1,x\n", "csv"),
        ("-", b"", "csv"),
    ],
)
def test_a_file_is_known_by_its_name_or_its_start(name: str, head: bytes, expected: str) -> None:
    assert detect(name, head) == expected


@pytest.mark.parametrize(
    ("name", "head", "why"),
    [
        ("items.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("items.jsonl", b"\x7fELF\x02\x01\x01\0\0\0", "binary"),
        ("items.xlsx", b"PK\x03\x04\x14\0\x06\0", "a workbook or an archive"),
        ("items.xml", b"\xef\xbb\xbf <items>", "XML or HTML"),
        ("-", b"<!doctype html>", "XML or HTML"),
    ],
)
def test_what_holds_no_items_is_refused_once(name: str, head: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        detect(name, head)


def test_a_nul_in_a_later_line_is_the_fault_of_that_line() -> None:
    assert detect("-", b'{"a":1}\n\0\n{"a":2}\n') == "jsonl"
