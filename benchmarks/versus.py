"""The same job by storectl and by others, in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from processes import Run, Wrong
from results import Goal, Row, rounds


class Side(NamedTuple):
    """Who does a job. run: does it once, from the start, and raises Wrong if not all of it came.

    missing: what to do to have it on this machine; then it is not run.
    """

    name: str
    run: Callable[[], Run]
    missing: str = ""


class Against(NamedTuple):
    """What storectl is compared with. of: `speed`, how many times faster storectl is, or
    `time`, how many times longer it takes."""

    side: Side
    of: str = "speed"
    goals: tuple[Goal, ...] = ()


def compare(
    job: str, ours: Side, others: list[Against], times: int, goals: tuple[Goal, ...] = ()
) -> list[Row]:
    """A row for each of the others. In each round all do the job, and each time another is first.

    goals: of storectl's own figure and memory; they stand in the first row.
    """
    rows = [_row(job, other, goals if at == 0 else ()) for at, other in enumerate(others)]
    seen: dict[str, list[Run]] = {}
    failed: dict[str, str] = {}

    def once(side: Side, rows_of: list[Row]) -> None:
        if side.missing or side.name in failed or ours.name in failed:
            return
        try:
            seen.setdefault(side.name, []).append(side.run())
        except Wrong as error:
            failed[side.name] = str(error)
            for row in rows_of:
                row.failed = str(error) if side is not ours else f"not compared; storectl: {error}"

    work = [(ours, rows), *((other.side, [row]) for other, row in zip(others, rows, strict=True))]
    turns = iter(range(times))

    def one_round() -> None:
        first = next(turns) % len(work)
        for side, rows_of in work[first:] + work[:first]:
            once(side, rows_of)

    rounds(times, [one_round], job)
    for other, row in zip(others, rows, strict=True):
        _fill(row, seen.get(ours.name, []), seen.get(other.side.name, []), other.of)
    return rows


def _row(job: str, other: Against, goals: tuple[Goal, ...]) -> Row:
    name = other.side.name if other.of == "speed" else f"time of {other.side.name}"
    row = Row(job, "/s", name, (*goals, *other.goals))
    row.failed = other.side.missing
    return row


def _fill(row: Row, ours: list[Run], theirs: list[Run], of: str) -> None:
    row.beside += [run.rate for run in theirs]
    for at, mine in enumerate(ours):
        faster = None if row.failed else mine.rate / theirs[at].rate
        ratio = 1 / faster if faster and of == "time" else faster
        row.saw(mine.rate, ratio, mine.load)
        if mine.memory_mib:
            row.note(mine.memory_mib, "MiB")
