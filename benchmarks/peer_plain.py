"""The plain way to a table in Python, as most would write it: the standard library's json and
csv, and XlsxWriter with constant memory. Prints the seconds of the loop alone.

python peer_plain.py csv|xlsx FILE OUTPUT COUNT    # the first COUNT of the JSON lines in FILE
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any


def flattened(item: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in item.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{name}/")
        elif isinstance(value, list):
            yield from flattened(dict(enumerate(value)), f"{prefix}{name}/")  # type: ignore[arg-type]
        else:
            yield prefix + str(name), value


def rows(file: Path, count: int) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for line in islice(lines, count):
            yield dict(flattened(json.loads(line)))


def to_csv(source: Path, output: Path, count: int) -> None:
    columns = list(next(rows(source, 1)))
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows(source, count):
            writer.writerow(row)


def to_xlsx(source: Path, output: Path, count: int) -> None:
    import xlsxwriter

    columns = list(next(rows(source, 1)))
    with xlsxwriter.Workbook(str(output), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, columns)
        for at, row in enumerate(rows(source, count), 1):
            sheet.write_row(at, 0, [row.get(column) for column in columns])


if __name__ == "__main__":
    job = {"csv": to_csv, "xlsx": to_xlsx}[sys.argv[1]]
    start = time.perf_counter()
    job(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    print(time.perf_counter() - start)
