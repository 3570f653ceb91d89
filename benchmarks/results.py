"""Figures of many rounds, and the one table that is made of them."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple


class Goal(NamedTuple):
    """What a figure should reach. of: `figure`, or `ratio` to its yardstick."""

    most: float | None = None
    least: float | None = None
    of: str = "figure"

    def __str__(self) -> str:
        sign, bound = ("≤", self.most) if self.most is not None else ("≥", self.least)
        assert bound is not None
        return f"{sign} {bound:,.10g}" + ("x" if self.of == "ratio" else "")

    def met(self, figure: float, ratio: float | None) -> bool:
        """Whether it is reached."""
        value = ratio if self.of == "ratio" else figure
        if value is None:
            return False
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )


class Row:
    """One job. Each round adds a figure and, measured beside it, that of its yardstick."""

    def __init__(self, job: str, unit: str, yardstick: str, goals: tuple[Goal, ...] = ()) -> None:
        self.job, self.unit, self.yardstick, self.goals = job, unit, yardstick, goals
        self.figures: list[float] = []
        self.ratios: list[float] = []
        self.notes: list[float] = []
        self.note_unit = ""

    def add(self, figure: float, beside: float | None = None) -> None:
        """The result of one round."""
        self.figures.append(figure)
        if beside:
            self.ratios.append(figure / beside)

    def note(self, value: float, unit: str) -> None:
        """Something else that was seen, such as memory: the table shows its largest value."""
        self.notes.append(value)
        self.note_unit = unit

    @property
    def cells(self) -> tuple[str, ...]:
        figure = statistics.median(self.figures)
        ratio = statistics.median(self.ratios) if self.ratios else None
        goals = ", ".join(str(goal) for goal in self.goals)
        met = all(goal.met(figure, ratio) for goal in self.goals)
        return (
            self.job,
            f"{_number(figure)} {self.unit}",
            "" if ratio is None else f"{_number(ratio)}x {self.yardstick}",
            f"{_number(max(self.notes))} {self.note_unit}" if self.notes else "",
            goals,
            "" if not goals else "yes" if met else "NO",
        )


HEAD = ("job", "median", "beside it", "also seen", "goal", "met")


def table(rows: list[Row]) -> str:
    """The rows in columns."""
    cells = [HEAD, *(row.cells for row in rows if row.figures)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def about() -> str:
    """The machine and the versions that the figures are of."""
    names = "storectl apsw msgspec zstandard typer granian".split()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    load = Path("/proc/loadavg")
    return "\n".join(
        (
            f"{_processor()}, {os.cpu_count()} cores, {platform.system()} "
            f"{platform.release()}, Python {platform.python_version()}, "
            f"SQLite of apsw {_sqlite()} (of Python {sqlite3.sqlite_version})",
            versions,
            f"load before: {load.read_text().split()[0]}" if load.exists() else "",
        )
    )


def rounds(count: int, cases: list[Callable[[], None]], said: str) -> None:
    """Run every case once in each round, so that a busy moment hits all of them."""
    for number in range(count):
        _say(f"\r{said}: round {number + 1} of {count} ")
        for case in cases:
            case()
    _say("\r" + " " * 78 + "\r")


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(text, end="", file=sys.stderr, flush=True)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _sqlite() -> str:
    import apsw

    return apsw.sqlite_lib_version()
