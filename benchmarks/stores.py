"""Calls of the engine beside libraries and databases that keep the same things on a disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import data
from bench import Bench
from processes import HERE, free_port, installed, listening
from results import Row
from versus import Against, Side, compare

ROOT = HERE.parent
NODE = ROOT / ".bench" / "node"
PACKAGES = {
    "storage-local": "@apify/storage-local",
    "memory-storage": "@crawlee/memory-storage",
}
DURABLE = "--appendonly yes --appendfsync always --save".split()
sys.path.insert(0, str(ROOT))


class Peer(NamedTuple):
    """Who does a job, in a program that tells how long its loop took.

    words: the program. place: gives a new, empty one. missing: what to install to have it.
    """

    name: str
    words: tuple[str, ...]
    place: Callable[[], str] = str
    missing: str = ""

    def side(self, bench: Bench, job: str, source: Path, count: int) -> Side:
        """It at a job, which it checks itself."""

        def words() -> list[str]:
            return [*self.words, job, self.place(), str(source), str(count)]

        return bench.loop(self.name, words, bench.env, count, missing=self.missing)


def measure(bench: Bench) -> list[Row]:
    """Rows of queues, datasets and records."""
    return [*_queues(bench), *_datasets(bench), *_records(bench)]


def _queues(bench: Bench) -> list[Row]:
    urls, sizes = bench.folder / "urls.txt", bench.sizes
    many, some, few = sizes.urls // 5, sizes.few_urls, sizes.few_records
    data.write_urls(urls, max(many, some))
    local, memory = _node(bench, "storage-local"), _node(bench, "memory-storage")
    flushed = _node(bench, "storage-local+flush")
    with _postgres(bench) as postgres, _redis(bench) as redis:
        adding = {local: some, flushed: some, memory: few, postgres: many, redis: many}
        locking = {local: some, flushed: some, memory: few, postgres: some, redis: some}
        return [
            *_rows(bench, "queue: add, 25 a call", "add", urls, many, adding),
            *_rows(bench, "queue: lock 25, handle each", "lock", urls, some, locking),
        ]


def _datasets(bench: Bench) -> list[Row]:
    items, count, few = bench.folder / "items.jsonl", bench.sizes.some_items, bench.sizes.few_items
    data.write_lines(items, count)
    others = {_node(bench, "storage-local"): few}
    return [
        *_rows(bench, "dataset: push, 1,000 a call", "push", items, count, others),
        *_rows(bench, "dataset: read, 1,000 a call", "read", items, count, others),
    ]


def _records(bench: Bench) -> list[Row]:
    folder, count = bench.folder / "records", bench.sizes.few_records
    data.write_records(folder, count)
    others = {_node(bench, "storage-local"): count}
    return [
        *_rows(bench, "kvs: set 4 KB", "set", folder, count, others),
        *_rows(bench, "kvs: get 4 KB", "get", folder, count, others),
    ]


def _rows(
    bench: Bench, name: str, job: str, source: Path, count: int, others: dict[Peer, int]
) -> list[Row]:
    """A row for each of the others, with how many it does."""
    engine = Peer("storectl", _python("engine"), lambda: str(bench.fresh("store")))
    against = [Against(peer.side(bench, job, source, few)) for peer, few in others.items()]
    return compare(name, engine.side(bench, job, source, count), against, bench.sizes.rounds)


def _python(name: str) -> tuple[str, ...]:
    return sys.executable, str(HERE / f"peer_{name}.py")


def _node(bench: Bench, library: str) -> Peer:
    """A library for Node. `+flush`: made to flush what it commits."""
    package = PACKAGES[library.partition("+")[0]]
    found, there = installed("node"), (NODE / "node_modules" / package).is_dir()
    missing = "" if found and there else f"npm i --prefix .bench/node {package}"
    words = (found or "", str(HERE / "peer_node.mjs"), library)
    return Peer(library, words, lambda: str(bench.fresh("store")), missing)


@contextmanager
def _postgres(bench: Bench) -> Iterator[Peer]:
    """PostgreSQL, with a new database each time."""
    from tests.postgres import Cluster, programs

    found = programs()
    if found is None or find_spec("psycopg") is None:
        yield Peer("PostgreSQL", (), missing="apt-get install postgresql; pip install psycopg")
        return
    folder = bench.fresh("postgres")
    folder.mkdir()
    bench.folder.chmod(0o755)  # it runs as another user where we are root
    cluster = Cluster(folder, found)
    try:
        yield Peer("PostgreSQL", _python("postgres"), cluster.database)
    finally:
        cluster.stop()


@contextmanager
def _redis(bench: Bench) -> Iterator[Peer]:
    """Redis, which flushes what it appends to its file before it answers."""
    found = installed("redis-server")
    if found is None or find_spec("redis") is None:
        yield Peer("Redis", (), missing="apt-get install redis-server; pip install redis")
        return
    folder, port = bench.fresh("redis"), free_port()
    folder.mkdir()
    place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    with listening([found, *place, *DURABLE, ""], bench.env, port):
        yield Peer("Redis", _python("redis"), lambda: str(port))
