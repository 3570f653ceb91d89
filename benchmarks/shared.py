"""Several processes on one store, each with its engine: `python shared.py STORE [PROCESSES…]`.

STORE: a folder, or postgresql://… of an empty database. Each operation runs for some
seconds in 1, 2 and 4 processes; a table says how many a second, and how long one took.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import quantiles

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import Record

SECS = float(os.environ.get("BENCH_SECS", "4"))
BATCH = 25
TO_LOCK = 40_000

Step = Callable[[], int]
"""Does it once; how many that were."""


def push(store: EngineStore, dataset: str, count: int) -> Step:
    """Items of 500 bytes."""
    items = Items.of([{"n": n, "text": "lorem ipsum " * 40} for n in range(count)])

    def step() -> int:
        store.datasets.push(dataset, items)
        return 1

    return step


def put(store: EngineStore, bytes_each: int) -> Step:
    made, _ = store.kvs.create()
    body = os.urandom(bytes_each)
    keys = iter(range(10**9))

    def step() -> int:
        key = f"key-{next(keys)}"
        store.kvs.put(made.id, Record(key=key, content_type="text/plain", body=(body,)))
        return 1

    return step


def add(store: EngineStore, name: int) -> Step:
    """Batches into one queue, of which 70 % is new."""
    fresh, queue = iter(range(10**9)), store.queues.get("~added").id

    def step() -> int:
        keys = [
            f"{name}-{next(fresh)}" if random.random() < 0.7 else f"old-{random.randrange(1000)}"
            for _ in range(BATCH)
        ]
        store.queues.add(
            queue, [{"url": f"https://example.com/{key}", "uniqueKey": key} for key in keys]
        )
        return BATCH

    return step


def lock(store: EngineStore, name: int) -> Step:
    """Lock 25 of one queue and handle them."""
    key, queue = f"client-{name}", store.queues.get("~locked").id

    def step() -> int:
        head = store.queues.lock_head(queue, lock_secs=60, limit=BATCH, client_key=key)
        done = [{**each, "handledAt": "2026-01-01T00:00:00.000Z"} for each in head.items]
        for each in done:
            each.pop("lockExpiresAt")
        store.queues.update_requests(queue, done, client_key=key)
        return len(done)

    return step


def scan(store: EngineStore) -> Step:
    """MB of JSON lines."""

    def step() -> int:
        return sum(map(len, store.datasets.items("~scanned", ItemsQuery()).lines)) // 1_000_000

    return step


def step_of(job: str, store: EngineStore, name: int) -> Step:
    if job.startswith("push"):
        same, count = "same" in job, int(job.split()[1])
        made = store.datasets.get("~results") if same else store.datasets.create()[0]
        return push(store, made.id, count)
    if job.startswith("put"):
        return put(store, int(job.split()[1]))
    return {"add": add, "lock": lock}[job](store, name) if job != "scan" else scan(store)


JOBS = ["push 1", "push 1 same", "push 100", "push 100 same", "put 2000", "put 60000", "add"]
JOBS += ["lock", "scan"]


def prepare(place: str) -> None:
    """Storages that all share, filled where that is wanted."""
    store = open_store(place)
    store.datasets.create("results")
    store.queues.create("added")
    store.queues.create("locked")
    store.datasets.create("scanned")
    for _ in range(200):
        push(store, "~scanned", 1000)()
    fill(store)
    store.close()


def fill(store: EngineStore) -> None:
    """More requests to lock."""
    stamp = time.time_ns()
    for start in range(0, TO_LOCK, 1000):
        keys = [f"{stamp}-{n}" for n in range(start, start + 1000)]
        store.queues.add("~locked", [{"url": "https://example.com/", "uniqueKey": k} for k in keys])


def work(place: str, job: str, name: int) -> None:
    """What each process does: say that it is ready, wait, and print its count and times."""
    store = open_store(place)
    step = step_of(job, store, name)
    print("ready", flush=True)
    sys.stdin.readline()
    times, moved = [], 0
    begun, cpu = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) < begun + SECS:
        moved += step()
        times.append(time.perf_counter() - now)
    print(json.dumps([moved, times, time.perf_counter() - begun, time.process_time() - cpu]))
    store.close()


def measured(place: str, job: str, processes: int) -> Iterator[str]:
    words = [sys.executable, __file__, "--work", place, job]
    running = [
        subprocess.Popen([*words, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:  # all at once
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in running]
    rate = sum(moved / secs for moved, _, secs, _ in found)
    times = sorted(each for _, some, _, _ in found for each in some)
    cuts = quantiles(times, n=100) if len(times) > 1 else times * 99
    cpu_us = sum(cpu for *_, cpu in found) / max(sum(moved for moved, *_ in found), 1) * 1e6
    yield f"{job:<14}{processes:>2}{rate:>12,.0f}/s"
    yield f"{cuts[49] * 1e3:>9.2f} ms{cuts[98] * 1e3:>9.2f} ms{times[-1] * 1e3:>9.1f} ms"
    yield f"{cpu_us:>8.0f} us CPU   load {os.getloadavg()[0]:.0f}"


def main(place: str, *counts: str) -> None:
    prepare(place)
    jobs = os.environ["BENCH_JOBS"].split(",") if "BENCH_JOBS" in os.environ else JOBS
    print(f"{'operation':<14}{'n':>2}{'rate':>14}{'p50':>12}{'p99':>12}{'worst':>12}")
    for job in jobs:
        for count in map(int, counts or ("1", "2", "4")):
            print("".join(measured(place, job, count)), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(*sys.argv[1:])
