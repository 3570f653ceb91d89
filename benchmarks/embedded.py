"""The embedded store: whole processes that push and read, and single calls in this one."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import data
from processes import Run, timed
from results import Goal, Row, rounds
from startup import environment, program

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import Record

RECORDS = 2000


def bulk(folder: Path, count: int, times: int) -> list[Row]:
    """Push a file of JSON lines and read it back through a pipe; new processes each time."""
    source, copy, store = folder / "items.jsonl", folder / "copy.jsonl", folder / "store-of-bulk"
    data.write_lines(source, count)
    env = environment(folder)
    storectl = [*program(), "--store", str(store)]
    name = f"{count // 1000}k items"
    small = Goal(most=64, of="memory")
    goals = (Goal(least=400_000), Goal(most=15, of="ratio"), small)
    push = Row(f"push {name}", "/s", "time of cat > file", goals)
    goals = (Goal(least=1_000_000), Goal(most=4, of="ratio"), small)
    read = Row(f"read back {name}", "/s", "time of cat | cat", goals)

    def one_round() -> None:
        shutil.rmtree(store, ignore_errors=True)
        subprocess.run([*storectl, "dataset", "create", "b", "-q"], env=env, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        cat = timed(["sh", "-c", f"cat '{source}' > '{copy}'"], env)
        _add(push, timed([*storectl, "dataset", "push", "b", str(source), "-q"], env, count), cat)
        pipe = timed(["sh", "-c", f"cat '{source}' | cat > /dev/null"], env)
        words = " ".join([*storectl, "dataset", "items", "b", "--format", "jsonl", "--all"])
        done = timed(["bash", "-c", f"set -o pipefail; {words} | cat > /dev/null"], env, count)
        _add(read, done, pipe)

    rounds(times, [one_round], "bulk")
    words = [*storectl, "dataset", "items", "b", "--format", "jsonl", "--all"]
    with copy.open("wb") as file:
        subprocess.run(words, env=env, check=True, stdout=file)
    assert copy.read_bytes() == source.read_bytes(), "what was read is not what was pushed"
    shutil.rmtree(store)
    return [push, read]


def _add(row: Row, run: Run, yardstick: Run) -> None:
    row.saw(run.rate, run.secs / yardstick.secs, run.load)
    row.note(run.memory_mib, "MiB")


def calls(folder: Path, count: int, times: int) -> list[Row]:
    """Single calls, alone and with 32 threads. count: of each, per round."""
    store = open_store(str(folder / "store-of-calls"))
    cases = Calls(store, 200_000 if count > 500 else 50_000)
    queue = Requests(store, count)
    with Disk(folder) as disk, Selects(folder) as selects:
        alone, many = partial(_one, threads=1), partial(_one, threads=32)
        work = [
            alone("page of 100 at a random offset", cases.page, count, 3_333, selects),
            alone("push of one item", cases.push, count, 3_000, disk),
            many("push of one item, 32 threads", cases.push, count * 8, 15_000, disk),
            alone("set a record of 4 KB", cases.put, count, 2_500, disk),
            many("set a record of 4 KB, 32 threads", cases.put, count * 8, 15_000, disk),
            alone("get a record of 4 KB", cases.get, count * 8, 20_000, selects),
            many("get a record of 4 KB, 32 threads", cases.get, count * 8, 20_000, selects),
            *queue.work(disk),
        ]
        rounds(times, [one_round for _, one_round in work], "calls")
    store.close()
    return [row for row, _ in work]


Yardstick = Callable[[], float]
"""Measures how often a second something can be done."""


def _one(
    job: str,
    call: Callable[[int], None],
    count: int,
    least: int,
    beside: Yardstick,
    *,
    threads: int,
) -> tuple[Row, Callable[[], None]]:
    row = Row(job, "/s", str(beside), (Goal(least=least),))

    def one_round() -> None:
        yardstick = beside()
        row.add(_rate(call, count, threads), yardstick)

    return row, one_round


def _rate(call: Callable[[int], None], count: int, threads: int) -> float:
    def work(first: int) -> None:
        for at in range(first, count, threads):
            call(at)

    workers = [threading.Thread(target=work, args=(at,)) for at in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return count / (time.perf_counter() - start)


class Calls:
    """A store with a dataset and records, and what is asked of them."""

    def __init__(self, store: EngineStore, count: int) -> None:
        self.datasets, self.kvs = store.datasets, store.kvs
        self.shop = store.datasets.create("shop")[0].id
        self.single = store.datasets.create("single")[0].id
        self.records = store.kvs.create("records")[0].id
        self.body, self.count = data.record(), count
        self.chance = random.Random(5)
        lines = list(data.encoded(count))
        self.lines = lines[:1000]
        for at in range(0, count, 5000):
            self.datasets.push(self.shop, Items.from_lines(lines[at : at + 5000]))
        for at in range(RECORDS):
            self.put(at)

    def page(self, _: int) -> None:
        query = ItemsQuery(offset=self.chance.randrange(self.count - 100), limit=100)
        for _block in self.datasets.items(self.shop, query).lines:
            pass

    def push(self, at: int) -> None:
        self.datasets.push(self.single, Items.from_json(self.lines[at % 1000]))

    def put(self, at: int) -> None:
        key, size = f"rec-{at % RECORDS}", len(self.body)
        record = Record(key=key, content_type="image/png", size=size, body=(self.body,))
        self.kvs.put(self.records, record)

    def get(self, at: int) -> None:
        record = self.kvs.record(self.records, f"rec-{at % RECORDS}")
        assert sum(map(len, record.body)) == len(self.body)


class Requests:
    """Requests added to a queue, then locked and marked as handled, each durable."""

    def __init__(self, store: EngineStore, count: int) -> None:
        self.queues = store.queues
        self.id = self.queues.create("requests")[0].id
        self.count, self.added = count, 0

    def work(self, disk: Yardstick) -> list[tuple[Row, Callable[[], None]]]:
        """Rows, and what makes one round of each. More is added than is handled."""
        few = max(4, self.count // 100)
        return [
            self._one("add, 25 a call", partial(self._add, 25), self.count // 5, 30_000, disk),
            self._one("add, 1,000 a call", partial(self._add, 1000), few, 70_000, disk),
            self._one("lock 25 + handle them", self._handle, self.count // 10, 20_000, disk),
            self._one("lock 25 + handle one by one", self._handle_each, few, 3_000, disk),
        ]

    def _one(
        self, job: str, call: Callable[[], int], count: int, least: int, disk: Yardstick
    ) -> tuple[Row, Callable[[], None]]:
        row = Row(f"queue {job}", "/s", str(disk), (Goal(least=least),))

        def one_round() -> None:
            yardstick = disk()
            start = time.perf_counter()
            moved = sum(call() for _ in range(count))
            row.add(moved / (time.perf_counter() - start), yardstick)

        return row, one_round

    def _add(self, at_once: int) -> int:
        self.queues.add(self.id, data.requests(self.added, at_once))
        self.added += at_once
        return at_once

    def _locked(self) -> list[dict[str, Any]]:
        locked = self.queues.lock_head(self.id, lock_secs=60, limit=25).items
        assert len(locked) == 25
        return [{**request, "handledAt": "2026-01-01T00:00:00.000Z"} for request in locked]

    def _handle(self) -> int:
        return len(self.queues.update_requests(self.id, self._locked()))

    def _handle_each(self) -> int:
        return len([self.queues.update_request(self.id, each) for each in self._locked()])


class Disk:
    """Yardstick of writers: an append of 4 KB that is flushed to the disk."""

    def __init__(self, folder: Path) -> None:
        self.file = (folder / "probe").open("wb", buffering=0)
        self.block = data.record()

    def __str__(self) -> str:
        return "flushed append"

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __call__(self, count: int = 200) -> float:
        start = time.perf_counter()
        for _ in range(count):
            self.file.write(self.block)
            os.fdatasync(self.file.fileno())
        return count / (time.perf_counter() - start)


class Selects:
    """Yardstick of readers: one row of 4 KB by its key, with nothing around it."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "selects.sqlite")
        self.connection.execute("CREATE TABLE record (key TEXT PRIMARY KEY, body BLOB)")
        rows = [(f"rec-{at}", data.record()) for at in range(RECORDS)]
        self.connection.executemany("INSERT INTO record VALUES (?, ?)", rows)
        self.connection.commit()

    def __str__(self) -> str:
        return "bare SELECT"

    def __enter__(self) -> Selects:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def __call__(self, count: int = 5000) -> float:
        sql = "SELECT body FROM record WHERE key = ?"
        start = time.perf_counter()
        for at in range(count):
            self.connection.execute(sql, (f"rec-{at % RECORDS}",)).fetchall()
        return count / (time.perf_counter() - start)
