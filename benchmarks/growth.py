"""What one call costs where a storage holds ten thousand things, and where it holds millions."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import curve
import data
from bench import Bench
from items import label
from results import Goal, Row, rounds

from storectl.engine import open_store
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import KeysQuery, Record

SMALL = b"a record that takes no room in the row" * 2
AT_ONCE = 1000
"""What is put into a store in one step to fill it."""

READS = ("read 100 items", "get a record", "list 100 keys")
READS_MORE = 20
"""Times as many calls: some are over in ten microseconds, and the first of each process,
which find nothing in its memory, would be most of what is seen."""

CURVE = Path(__file__).with_name("growth.svg")
GOAL = (Goal(most=1.3, of="ratio"),)


def measure(bench: Bench) -> list[Row]:
    """A row for each call: CPU time of one at the largest size, in times of the smallest.

    Of all rounds the least: whoever else is at work makes caches cold.
    """
    sizes = bench.sizes.growth
    filled = [Filled(bench.fresh("store"), size) for size in sizes]
    jobs = list(filled[0].calls())
    cpu: dict[tuple[str, int], list[float]] = {}
    calls = max(4, bench.sizes.calls // 20)

    def one_round() -> None:
        for store in filled:
            for job, call in store.calls().items():
                count = calls * READS_MORE if job in READS else calls
                cpu.setdefault((job, store.size), []).append(_cpu_secs(call, count) * 1e6)

    for store in filled:
        store.warm_up()
    rounds(bench.sizes.rounds + 3, [one_round], "growth")
    found = []
    for job in jobs:
        row = Row(job, "us CPU", "", GOAL)
        for size in sizes:
            row.grew(min(cpu[job, size]), label(size), os.getloadavg()[0])
        found.append(row)
    for store in filled:
        store.close()
    if sizes[0] >= 10_000:  # smaller ones are to see that this works
        CURVE.write_text(curve.drawn([label(size) for size in sizes], _lines(found)))
    return found


def _lines(rows: list[Row]) -> dict[str, list[float]]:
    return {row.job: [at / row.beside[0] for at in row.beside] for row in rows}


def _cpu_secs(call: Callable[[], object], count: int) -> float:
    """Of all threads, for one call, behind some that make what was just written familiar."""
    for _ in range(count // 4):
        call()
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count


class Filled:
    """A store with a dataset, records and a queue of one size each."""

    def __init__(self, folder: Path, size: int) -> None:
        self.size, self.chance = size, random.Random(size)
        self.store = open_store(str(folder))
        self.datasets, self.kvs, self.queues = (
            self.store.datasets, self.store.kvs, self.store.queues)  # fmt: skip
        self.items = self.datasets.create("items")[0].id
        self.records = self.kvs.create("records")[0].id
        self.requests = self.queues.create("requests")[0].id
        self.lines = list(data.encoded(AT_ONCE))
        self.added = 0
        many = Items.from_lines(self.lines)
        for start in range(0, size, AT_ONCE):
            self.datasets.push(self.items, many)
            self.add(AT_ONCE)
            keys = range(start, start + AT_ONCE)
            self.store.together([partial(self.put, at) for at in keys])

    def calls(self) -> dict[str, Callable[[], object]]:
        """What is measured, by its name."""
        return {
            "push an item": self.push,
            "read 100 items": self.page,
            "set a record": lambda: self.put(self.chance.randrange(self.size)),
            "get a record": self.get,
            "list 100 keys": self.list,
            "add 25 to a queue": lambda: self.add(25),
            "add 25 that are there": self.add_again,
            "lock 25, handle them": self.handle,
        }

    def warm_up(self) -> None:
        """What a process does once."""
        for call in self.calls().values():
            for _ in range(3):
                call()

    def push(self) -> None:
        self.datasets.push(self.items, Items.from_json(self.lines[7]))

    def page(self) -> None:
        query = ItemsQuery(offset=self.chance.randrange(self.size - 100), limit=100)
        assert sum(block.count(b"\n") for block in self.datasets.items(self.items, query).lines)

    def put(self, at: int) -> None:
        record = Record(key=_key(at), content_type="text/plain", size=len(SMALL), body=(SMALL,))
        self.kvs.put(self.records, record)

    def get(self) -> None:
        record = self.kvs.record(self.records, _key(self.chance.randrange(self.size)))
        assert b"".join(record.body) == SMALL

    def list(self) -> None:
        after = _key(self.chance.randrange(self.size - 101))
        page = self.kvs.keys(self.records, KeysQuery(exclusive_start_key=after, limit=100))
        assert page.count == 100

    def add(self, count: int) -> None:
        self.queues.add(self.requests, data.requests(self.added, count))
        self.added += count

    def add_again(self) -> None:
        start = self.chance.randrange(self.size - 25)
        self.queues.add(self.requests, data.requests(start, 25))

    def handle(self) -> None:
        locked = self.queues.lock_head(self.requests, lock_secs=600, limit=25).items
        assert len(locked) == 25
        done = [{**request, "handledAt": "2026-01-01T00:00:00.000Z"} for request in locked]
        self.queues.update_requests(self.requests, done)

    def close(self) -> None:
        self.store.close()


def _key(at: int) -> str:
    return f"record-{at:09d}"
