"""Items as tables: CSV and XLSX of nested items, beside the plain way in Python."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path

import data
from bench import Bench
from items import label
from processes import HERE, Wrong, timed
from results import Goal, Row
from versus import Against, compare

GOALS = {"csv": 120_000, "xlsx": 60_000}
SMALL = Goal(most=64, of="memory")


def measure(bench: Bench) -> list[Row]:
    """Rows of `dataset pull` to a file, from the embedded store."""
    sizes = bench.sizes
    source, store = bench.folder / "rows.jsonl", bench.fresh("store")
    data.write_lines(source, sizes.rows)
    push = ["--store", str(store), "dataset", "push", "b", str(source), "--create", "-q"]
    timed([*bench.storectl, *push], bench.env)
    return [
        *_table(bench, "csv", store, source, sizes.rows),
        *_table(bench, "xlsx", store, source, sizes.few_rows),
    ]


def _table(bench: Bench, form: str, store: Path, source: Path, few: int) -> list[Row]:
    count, target = bench.sizes.rows, bench.folder / f"table.{form}"

    def checking(rows: int) -> Callable[[], None]:
        def check() -> None:
            _check(target, rows, form)
            target.unlink()

        return check

    words = ["--store", str(store), "dataset", "pull", "b", "-o", str(target), "-q"]
    ours = bench.storectl_side(lambda: words, count, checking(count))
    loop = [str(HERE / "peer_plain.py"), form, str(source), str(target), str(few)]
    name, package, module = ("json + csv", "", "csv") if form == "csv" else (
        "xlsxwriter", "xlsxwriter", "xlsxwriter")  # fmt: skip
    plain = bench.script(name, package, module, lambda: loop, bench.env, few, checking(few))
    goals = (Goal(least=GOALS[form]), SMALL)
    job = f"pull {label(count)} items to {form}, embedded"
    return compare(job, ours, [Against(plain)], bench.sizes.rounds, goals)


def _check(table: Path, count: int, form: str) -> None:
    """Raise Wrong unless the table has a row for each item, the last one that of the last."""
    if form == "csv":
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            at = next(rows).index("id")
            seen = 0
            for seen, row in enumerate(rows, 1):  # noqa: B007
                pass
        if seen != count or row[at] != str(count - 1):
            raise Wrong(f"the table has {seen} rows")
        return
    with zipfile.ZipFile(table) as book, book.open("xl/worksheets/sheet1.xml") as sheet:
        rows_seen, rest = 0, b""
        while block := sheet.read(2**20):
            rows_seen += (rest + block).count(b"<row ") + (rest + block).count(b"<row>")
            rest = (rest + block)[-4:]
    if rows_seen != count + 1:
        raise Wrong(f"the sheet has {rows_seen} rows")
