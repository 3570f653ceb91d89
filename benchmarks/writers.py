"""Several processes that write to one folder: how long one waits for the others.

Beside it the same engine without turns (`engine/turns.py`): who wants to write asks SQLite again
and again until it is free (`busy_timeout`), and luck decides who comes first.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from functools import partial

import data
from bench import Bench
from processes import Wrong, at_once
from results import Goal, Row, rounds

from storectl.engine import open_store
from storectl.engine.turns import Turns
from storectl.model.items import Items

LARGE = 30_000
"""Items in a large push, about 9 MB: as much as a request to the API may have."""

CASES = {
    "2 proc. push an item": [1, 1],
    "4 proc. push an item": [1] * 4,
    "8 proc. push an item": [1] * 8,
    "3 proc. push an item, one 30k": [LARGE, 1, 1, 1],
}
NO_TURNS = "no turns"
GOALS = (Goal(most=250, of="longest"),)


def measure(bench: Bench) -> list[Row]:
    """Rows of pushes by several processes. sizes: how many items each of them pushes a call."""
    secs = {1: 0.3, 2: 0.5}.get(bench.sizes.rounds, 2.0)
    rows: list[Row] = []
    work: list[Callable[[], None]] = []
    for job, sizes in CASES.items():
        pair = Row(job, "/s", NO_TURNS, GOALS), Row(f"{job}, {NO_TURNS}", "/s", "")
        rows += pair
        work.append(partial(_round, bench, pair, sizes, secs))
    rounds(bench.sizes.rounds, work, "writers")
    return rows


def _round(bench: Bench, pair: tuple[Row, Row], sizes: list[int], secs: float) -> None:
    """With turns and without; the other way round the next time. Only small pushes count."""
    rates = {}
    for turns in (True, False) if len(pair[0].figures) % 2 == 0 else (False, True):
        row, pushes = pair[not turns], _pushed(bench, sizes, turns, secs)
        ends = sorted(end for each in pushes for _, end in each)
        small = [
            push for size, each in zip(sizes, pushes, strict=True) if size == 1 for push in each
        ]
        waits = [end - begin for begin, end in small]
        rates[turns] = len(small) / secs
        row.note(statistics.median(waits) * 1e3, "ms")
        row.note(statistics.quantiles(waits, n=100)[98] * 1e3, "ms p99")
        row.note(max(waits) * 1e3, "ms longest")
        row.note(max(_between(ends, begin, end) for begin, end in small), "before one")
        if sizes[0] == LARGE:
            row.note(len(pushes[0]) / secs, "large/s")
    pair[0].add(rates[True], rates[False])
    pair[1].add(rates[False])


def _between(ends: list[float], begin: float, end: float) -> int:
    """How many pushes of others ended while one went on."""
    return bisect_left(ends, end) - bisect_left(ends, begin)


Push = tuple[float, float]
"""When it began and when it was done, by a clock that all processes share."""


def _pushed(bench: Bench, sizes: list[int], turns: bool, secs: float) -> list[list[Push]]:
    """The pushes of each process. Raises Wrong if the dataset does not have what they pushed."""
    folder = bench.fresh("store")
    store = open_store(str(folder))
    store.datasets.create("b")
    scripts = [[__file__, str(folder), str(size), str(turns), str(secs)] for size in sizes]
    _, said = at_once(scripts, bench.env)
    pushes: list[list[Push]] = [json.loads(each) for each in said]
    found = store.datasets.get("~b").item_count
    store.close()
    shutil.rmtree(folder)
    expected = sum(size * len(each) for size, each in zip(sizes, pushes, strict=True))
    if found != expected:
        raise Wrong(f"{found} items are there of {expected}")
    return pushes


def without_turn(_: Turns) -> contextlib.nullcontext[None]:
    """In place of a turn."""
    return contextlib.nullcontext()


def main(folder: str, size: str, turns: str, secs: str) -> None:
    """One of the processes: push for so long; prints when each push began and ended."""
    if turns == "False":
        Turns.turn = without_turn  # type: ignore[assignment, method-assign]
    store, items = open_store(folder), Items.from_lines(list(data.encoded(int(size))))
    id = store.datasets.get("~b").id
    print("ready", flush=True)
    sys.stdin.readline()
    pushes, end = [], time.perf_counter() + float(secs)
    while (now := time.perf_counter()) < end:
        store.datasets.push(id, items)
        pushes.append((now, time.perf_counter()))
    print(json.dumps(pushes))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
