"""`serve --workers 1, 2, 4` on PostgreSQL, beside the same on a folder; a queue for four.

A PostgreSQL is started as for the tests, with fsync on; where there is none a row says so.
Database, servers and load share the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import data
from bench import Bench
from load import WRK, Job, load
from processes import Wrong, at_once
from results import Goal, Row, rounds
from served import HANDLING, LOCKED, RECORDS, Running, running

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.items import Items
from storectl.model.kvs import Record

sys.path.insert(0, str(Path(__file__).parents[1]))

WORKERS = (1, 2, 4)
CONSUMERS = 4
CONNECTIONS = 16
READERS = 4
STORAGES = 16
"""Written to in turn: each has a row that one transaction holds at a time."""

FILL = 1000
FOLDER = "same on a folder"
NEEDED = "apt-get install postgresql; pip install 'storectl[postgres]'"

DRAIN = """
import sys
from storectl.engine import open_store

place, queue, client, said = sys.argv[1:]
store = open_store(place, username="bench")
when = {"handledAt": "2026-01-01T00:00:00.000Z"}
print("ready", flush=True)
sys.stdin.readline()
with open(said, "w") as out:
    while head := store.queues.lock_head(queue, lock_secs=600, client_key=client).items:
        out.writelines(each["uniqueKey"] + "\\n" for each in head)
        for each in head:
            del each["lockExpiresAt"]
        store.queues.update_requests(queue, [each | when for each in head], client_key=client)
store.close()
"""

LIMIT = """
import sys, time
from storectl.engine import open_store

place, rate, secs = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
rates = open_store(place, username="bench").rates()
print("ready", flush=True)
sys.stdin.readline()
start, let_through = time.monotonic() + 1, 0
while (now := time.monotonic()) < start + secs:
    wait = rates.take("storage", rate)
    if wait:
        time.sleep(min(wait, 0.02))
    elif now >= start:
        let_through += 1
print(let_through)
"""
RATE, RATE_SECS = 200, 10
ABOVE = 1.03
"""Of what a limit says, at most."""


class Case(NamedTuple):
    """A job. times: how many of the unit one answer stands for; goal: with four workers."""

    job: Job
    times: float = 1
    unit: str = "/s"
    connections: int = CONNECTIONS
    goal: float | None = None
    before: Callable[[], object] = lambda: None


class Filled:
    """A store with something in it, and what is asked of its servers."""

    def __init__(self, place: str, items: int, secs: float) -> None:
        self.place, self.secs, self._keys = place, secs, 0
        self.store = open_store(place, username="bench")
        self.token = self.store.tokens.create("bench").secret or ""
        self._lines = list(data.encoded(max(1000, min(items, 20_000))))

    def cases(self) -> dict[str, Case]:
        """The hot operations."""
        store, token = self.store, self.token
        kvs, sink = store.kvs.create("records")[0].id, store.datasets.create("sink")[0].id
        for at in range(STORAGES):
            store.datasets.create(f"sink-{at}")
            store.kvs.create(f"box-{at}")
        shop, queue = store.datasets.create("shop")[0].id, store.queues.create("added")[0].id
        crawl, body = store.queues.create("crawl")[0].id, data.record()
        for at in range(RECORDS):
            record = Record(key=f"rec-{at}", content_type="image/png", size=len(body), body=(body,))
            store.kvs.put(kvs, record)
        for at in range(0, len(self._lines), 1000):
            store.datasets.push(shop, Items.from_lines(self._lines[at : at + 1000]))
        sinks, boxes = "/v2/datasets/~sink-{n}/items", "/v2/key-value-stores/~box-{n}/records/r"
        size_mb = sum(map(len, self._lines)) / 1e6
        hundred = b"[" + b",".join(self._lines[:100]) + b"]"
        fresh = b'{"url":"https://example.com/{n}","uniqueKey":"{n}"}'
        batch = b"[" + b",".join([fresh] * 25) + b"]"
        base, record_at = "/v2/request-queues", f"/v2/key-value-stores/{kvs}/records/rec-{{n}}"
        handling = HANDLING.format(path=f"{base}/{crawl}", locked=LOCKED)
        return {
            "push 100 items": Case(
                Job("POST", sinks, token, hundred, spread=STORAGES), goal=1500),
            "push 100, one dataset": Case(
                Job("POST", f"/v2/datasets/{sink}/items", token, hundred)),
            "add requests, 25 a call": Case(
                Job("POST", f"{base}/{queue}/requests/batch", token, batch), 25, goal=19_000),
            "lock 25, handle each": Case(
                Job("PUT", "", token, fresh, script=handling), LOCKED / (LOCKED + 1),
                before=lambda: self.fill(crawl, round(self.secs * 6000))),
            "GET record, 4 KB": Case(Job("GET", record_at, token, spread=RECORDS)),
            "PUT record, 4 KB": Case(Job("PUT", boxes, token, body, spread=STORAGES)),
            "PUT, 4 KB, one store": Case(Job("PUT", record_at, token, body, spread=RECORDS)),
            "scan of a dataset": Case(
                Job("GET", f"/v2/datasets/{shop}/items?format=jsonl", token), size_mb, "MB/s",
                READERS, goal=550),
        }  # fmt: skip

    def fill(self, queue: str, count: int) -> None:
        """Have so many requests to handle."""
        there = self.store.queues.get(queue).pending_request_count or 0
        for _ in range((count - there + FILL - 1) // FILL):
            keys = [str(self._keys + at) for at in range(FILL)]
            self._keys += FILL
            urls = [{"url": f"https://example.com/{key}", "uniqueKey": key} for key in keys]
            self.store.queues.add(queue, urls)


def measure(bench: Bench) -> list[Row]:
    """Rows of each operation with 1, 2 and 4 processes, and of the queue."""
    from tests.postgres import Cluster, programs

    found = programs()
    if found is None or find_spec("psycopg") is None or not WRK:
        return [_missing("there is no wrk: apt-get install wrk" if found else NEEDED)]
    cluster_folder = bench.fresh("postgres")
    cluster_folder.mkdir()
    bench.folder.chmod(0o755)  # it runs as another user where we are root
    cluster = Cluster(cluster_folder, found)
    try:
        places = cluster.database(), str(bench.fresh("store"))
        return [*_served(bench, *places), *_drained(bench, *places), _limited(*places)]
    finally:
        cluster.stop()


def _missing(why: str) -> Row:
    row = Row("several processes on one store", "/s", "PostgreSQL")
    row.failed = why
    return row


def _served(bench: Bench, *places: str) -> list[Row]:
    """Answers of servers with 1, 2 and 4 processes."""
    secs = {1: 1, 2: 2}.get(bench.sizes.rounds, 3)
    filled = [Filled(place, bench.sizes.some_items, secs) for place in places]
    with ExitStack() as stack:
        rows, work = [], []
        cases = [each.cases() for each in filled]
        for name, case in cases[0].items():
            for workers in WORKERS:
                goals = (Goal(least=case.goal),) if case.goal and workers == WORKERS[-1] else ()
                row = Row(f"{name}, {workers} proc.", case.unit, FOLDER, goals)
                both = cases[0][name], cases[1][name]
                work.append(_one(bench, row, workers, places, both, secs))
                rows.append(row)
        rounds(bench.sizes.rounds, work, "scale")
        stack.callback(lambda: [each.store.close() for each in filled])
    return rows


def _one(
    bench: Bench,
    row: Row,
    workers: int,
    places: tuple[str, ...],
    both: tuple[Case, ...],
    secs: float,
) -> Callable[[], None]:
    """One round of a job: on PostgreSQL, then on a folder."""

    def done() -> None:
        rates = []
        for place, case in zip(places, both, strict=True):
            case.before()
            with _serving(bench, place, workers) as server:
                found = load(server.address, case.job, case.connections, secs)
            rates.append(found.rate * case.times)
            if place == places[0]:
                row.note(found.p50_ms, "ms")
                row.note(found.p99_ms, "ms p99")
        row.add(*rates)
        row.beside.append(rates[1])

    return done


@contextmanager
def _serving(bench: Bench, place: str, workers: int) -> Iterator[Running]:
    """A server on a store, warm."""
    words = [*bench.storectl, "serve", "--store", place, "--port", "0", "--rate-limit", "off",
             "--workers", str(workers)]  # fmt: skip
    if place.startswith("postgresql:"):
        words += ["--blobs", str(bench.folder / "blobs")]
    with running(words, bench.env) as server:
        load(server.address, Job("GET", "/healthz"), CONNECTIONS, 1)
        yield server


def _drained(bench: Bench, *places: str) -> list[Row]:
    """Four processes, each with its engine, that lock 25 and handle them until all are gone."""
    count = bench.sizes.items
    goals = (Goal(least=14_000),)
    row = Row(f"{CONSUMERS} consumers drain {count:,}", "/s", FOLDER, goals)
    rates = [_drain(bench, place, count) for place in places]
    row.add(*rates)
    row.beside.append(rates[1])
    return [row]


def _drain(bench: Bench, place: str, count: int) -> float:
    """Requests a second. Raises Wrong if one was handed out twice, or not at all."""
    store = open_store(place, username="bench")
    queue = store.queues.create("drained")[0].id
    _fill(store, queue, count)
    said = [bench.fresh("said") for _ in range(CONSUMERS)]
    words = [["-c", DRAIN, place, queue, str(n), str(file)] for n, file in enumerate(said)]
    secs, _ = at_once(words)
    handed_out = [key for file in said for key in file.read_text().split()]
    handled = store.queues.get(queue).handled_request_count
    store.close()
    if handled != count or sorted(map(int, handed_out)) != list(range(count)):
        raise Wrong(
            f"{len(handed_out)} were handed out, {len(set(handed_out))} of them once, {handled} "
            f"handled, of {count}"
        )
    return count / secs


def _limited(*places: str) -> Row:
    """Calls a second that four processes let through, of which each asks for all it can get.

    The first second is left out: all of it may come at once.
    """
    goal = Goal(most=RATE * ABOVE)
    row = Row(f"limit of {RATE}/s, {CONSUMERS} proc.", "/s", FOLDER, (goal,))
    rates = []
    for place in places:
        _, printed = at_once([["-c", LIMIT, place, str(RATE), str(RATE_SECS)]] * CONSUMERS)
        rates.append(sum(map(int, printed)) / RATE_SECS)
    row.add(*rates)
    row.beside.append(rates[1])
    return row


def _fill(store: EngineStore, queue: str, count: int) -> None:
    """Requests with the unique keys 0, 1, 2, …"""
    for start in range(0, count, FILL):
        keys = map(str, range(start, min(start + FILL, count)))
        urls = [{"url": f"https://example.com/{key}", "uniqueKey": key} for key in keys]
        store.queues.add(queue, urls)
