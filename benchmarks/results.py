"""Figures of many rounds, and the one table that is made of them."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

UNITS = {"ratio": "x", "memory": " MiB", "longest": " ms longest"}
LARGEST = ("MiB", "ms longest", "before one")


class Goal(NamedTuple):
    """What should be reached. of: `figure`, `ratio` to its yardstick, `memory` in MiB, or
    `longest` of the waits in ms."""

    most: float | None = None
    least: float | None = None
    of: str = "figure"

    def __str__(self) -> str:
        sign, bound = ("≤", self.most) if self.most is not None else ("≥", self.least)
        assert bound is not None
        if self.of == "figure" and bound >= 10_000:
            return f"{sign} {bound / 1000:,.10g}k"
        return f"{sign} {bound:,.10g}" + UNITS.get(self.of, "")

    def met(self, value: float | None) -> bool:
        """Whether it is reached."""
        if value is None:
            return False
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )


class Row:
    """One job. Each round adds a figure and, measured beside it, that of its yardstick.

    beside: the figures of a yardstick that has one of its own. failed: why there is no
    yardstick. either: another row; it is enough if one of the two reaches its goals.
    """

    def __init__(self, job: str, unit: str, yardstick: str, goals: tuple[Goal, ...] = ()) -> None:
        self.job, self.unit, self.yardstick, self.goals = job, unit, yardstick, goals
        self.figures: list[float] = []
        self.ratios: list[float] = []
        self.beside: list[float] = []
        self.notes: dict[str, list[float]] = {}
        self.loads: list[float] = []
        self.failed = ""
        self.either: Row | None = None

    def add(self, figure: float, beside: float | None = None) -> None:
        """The result of one round."""
        self.saw(figure, figure / beside if beside else None)

    def saw(self, figure: float, ratio: float | None, load: float | None = None) -> None:
        """The result of one round, with the ratio as it is. load: of the machine, now if None."""
        self.figures.append(figure)
        self.loads.append(os.getloadavg()[0] if load is None else load)
        if ratio is not None:
            self.ratios.append(ratio)

    def grew(self, figure: float, size: str, load: float) -> None:
        """A figure of a larger size than before: only the last counts, beside the first."""
        first = self.beside[0] if self.beside else None
        self.beside.append(figure)
        self.figures, self.ratios, self.loads = [], [], []
        self.saw(figure, figure / first if first else None, load)
        self.yardstick = f"{self.yardstick.partition(' to ')[0] or 'from ' + size} to {size}"

    def note(self, value: float, unit: str) -> None:
        """Something else that was seen. The table has the median, of LARGEST the largest."""
        self.notes.setdefault(unit, []).append(value)

    @property
    def seen(self) -> dict[str, float]:
        """All that was noted, by its unit."""
        return {
            unit: max(values) if unit in LARGEST else statistics.median(values)
            for unit, values in self.notes.items()
        }

    @property
    def figure(self) -> float:
        return statistics.median(self.figures) if self.figures else 0.0

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether all goals are reached; None where there are none, or nothing to compare with."""
        if self.either is not None and self.either._reached():
            return True
        return self._reached()

    def _reached(self) -> bool | None:
        seen = {
            "figure": self.figure,
            "ratio": self.ratio,
            "memory": self.seen.get("MiB"),
            "longest": self.seen.get("ms longest"),
        }
        goals = [goal for goal in self.goals if not (self.failed and goal.of == "ratio")]
        return all(goal.met(seen[goal.of]) for goal in goals) if goals else None

    @property
    def cells(self) -> tuple[str, ...]:
        figure = f"{_number(self.figure)}{'' if self.unit.startswith('/') else ' '}{self.unit}"
        if self.failed:
            known = figure if self.figures else ""
            return self.job, known, f"{self.yardstick}: {self.failed}"[:68]
        return (
            self.job,
            figure,
            "" if self.ratio is None else f"{_number(self.ratio)}x {self.yardstick}",
            ", ".join(f"{_number(value)} {unit}" for unit, value in self.seen.items()),
            f"{statistics.median(self.loads):.1f}" if self.loads else "",
            ", ".join(map(str, self.goals)) + (" or next" if self.either else ""),
            {None: "", True: "yes", False: "NO"}[self.met],
        )

    def plain(self) -> dict[str, Any]:
        """All that is known, for a file."""
        return {
            "job": self.job,
            "unit": self.unit,
            "median": self.figure,
            "rounds": self.figures,
            "yardstick": self.yardstick,
            "ratio": self.ratio,
            "ratios": self.ratios,
            "medianOfYardstick": statistics.median(self.beside) if self.beside else None,
            "load": statistics.median(self.loads) if self.loads else None,
            "failed": self.failed or None,
            "alsoSeen": self.seen or None,
            "goals": [str(goal) for goal in self.goals],
            "met": self.met,
        }


HEAD = ("job", "median", "beside it", "also seen", "load", "goal", "met")


def table(rows: list[Row]) -> str:
    """The rows in columns."""
    cells = [HEAD, *(row.cells for row in rows if row.figures or row.failed)]
    whole = [line for line in cells if len(line) == len(HEAD)]
    widths = [max(len(line[at]) for line in whole) for at in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def write(rows: list[Row], path: Path) -> None:
    """The rows as JSON, and what they were measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "about": about().splitlines(),
        "rows": [row.plain() for row in rows if row.figures or row.failed],
    }
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


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
