"""Tables on a terminal: fitted to its width, one line a row, written as rows come."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from storectl.cli.values import Column, pick, short

SAMPLE = 500
"""Rows that decide the widths; later ones are cut to fit."""

GAP = "  "
NARROWEST = 6
RIGHT = ("count", "bytes")
UNCUT = (*RIGHT, "time")
"""Half a number is another number."""


def lines(
    columns: list[Column],
    rows: Iterable[dict[str, Any]],
    *,
    bold: bool,
    width: int | None = None,
    hidden: list[str] | None = None,
) -> Iterator[str]:
    """The lines of a table, head first. Nothing at all if there are no rows.

    width: columns of the terminal. Cells that are too wide end in `…`, but no
    number is cut. hidden gets the titles of columns that found no room.
    """
    from rich.cells import cell_len  # wide characters; only on a terminal

    if width is None:
        width = terminal_width()
    cells = ([short(pick(row, c.field), c.kind) for c in columns] for row in rows)
    sample = list(islice(cells, SAMPLE))
    if not sample:
        return
    titles = [column.title for column in columns]
    wanted = [max(map(cell_len, col)) for col in zip(titles, *sample, strict=True)]
    least = [
        want
        if column.whole or column.kind in UNCUT
        else min(want, max(cell_len(column.title), NARROWEST))
        for column, want in zip(columns, wanted, strict=True)
    ]
    widths = fit(wanted, least, width)
    if hidden is not None:
        hidden += [title for title, room in zip(titles, widths, strict=True) if not room]
    right = [column.kind in RIGHT for column in columns]
    head = _line(titles, widths, right)
    yield f"\x1b[1m{head}\x1b[0m" if bold else head
    for row in chain(sample, cells):
        yield _line(row, widths, right)


def terminal_width() -> int:
    """Columns of the terminal, at least 20."""
    return max(20, shutil.get_terminal_size().columns)


def fit(wanted: list[int], least: list[int], total: int) -> list[int]:
    """Widths that fit a line: the widest column gives first, down to its least.

    If even that is too wide, columns at the end get nothing, and the others what
    that leaves.
    """
    shown = len(wanted)
    while shown > 1 and sum(least[:shown]) + len(GAP) * (shown - 1) > total:
        shown -= 1
    widths = wanted[:shown]
    room = total - len(GAP) * (shown - 1)
    if shown == 1:
        widths = [min(wanted[0], total)]
    while sum(widths) > room:
        spare = [width - low for width, low in zip(widths, least[:shown], strict=True)]
        widest = max(w for w, s in zip(widths, spare, strict=True) if s > 0)
        widths[max(i for i, w in enumerate(widths) if w == widest and spare[i] > 0)] -= 1
    return widths + [0] * (len(wanted) - shown)


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    from rich.cells import cell_len

    parts = []
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        if not width:
            continue
        length = cell_len(cell)
        if length > width:
            cell = _cut(cell, width)
            length = cell_len(cell)
        space = " " * (width - length)
        parts.append(space + cell if to_right else cell + space)
    return GAP.join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1) + "…" if width > 1 else "…"
