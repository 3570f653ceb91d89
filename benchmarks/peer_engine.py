"""storectl's own engine, in this process, at what libraries and databases are timed at.

python peer_engine.py push|read FOLDER FILE COUNT      # of JSON lines
python peer_engine.py add|lock  FOLDER FILE COUNT      # of URLs
python peer_engine.py set|get   FOLDER RECORDS COUNT   # files of a folder

The first COUNT are taken. Prints the seconds of the loop alone, and fails if a store that is
opened anew does not have all of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from data import cut, requests_of

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import Record
from storectl.model.queue import RequestsQuery


def push(store: EngineStore, file: Path, count: int) -> float:
    items = first(file, count)
    start = time.perf_counter()
    for batch in cut(items, 1000):
        store.datasets.push("~b", Items.of(batch))
    secs = time.perf_counter() - start
    assert pages(reopened(store), count) == items
    return secs


def read(store: EngineStore, file: Path, count: int) -> float:
    push(store, file, count)
    again = reopened(store)
    start = time.perf_counter()
    found = pages(again, count)
    secs = time.perf_counter() - start
    assert found == first(file, count)
    return secs


def add(store: EngineStore, file: Path, count: int) -> float:
    requests = requests_of(file, count)
    start = time.perf_counter()
    for batch in cut(requests, 25):
        store.queues.add("~b", batch)
    secs = time.perf_counter() - start
    assert pending(reopened(store)) == sorted(request["uniqueKey"] for request in requests)
    return secs


def lock(store: EngineStore, file: Path, count: int) -> float:
    add(store, file, count)
    store = reopened(store)
    handled = []
    start = time.perf_counter()
    while locked := store.queues.lock_head("~b", lock_secs=600, limit=25).items:
        for request in locked:
            done = {**request, "handledAt": "2026-01-01T00:00:00.000Z"}
            store.queues.update_request("~b", done)
            handled.append(request["uniqueKey"])
    secs = time.perf_counter() - start
    assert sorted(handled) == sorted(each["uniqueKey"] for each in requests_of(file, count))
    assert not pending(reopened(store))
    return secs


def set_(store: EngineStore, folder: Path, count: int) -> float:
    bodies = bodies_of(folder, count)
    start = time.perf_counter()
    for key, body in bodies.items():
        record = Record(key=key, content_type="image/png", size=len(body), body=(body,))
        store.kvs.put("~b", record)
    secs = time.perf_counter() - start
    assert records(reopened(store), bodies) == bodies
    return secs


def get(store: EngineStore, folder: Path, count: int) -> float:
    set_(store, folder, count)
    again, bodies = reopened(store), bodies_of(folder, count)
    start = time.perf_counter()
    found = records(again, bodies)
    secs = time.perf_counter() - start
    assert found == bodies
    return secs


def pages(store: EngineStore, count: int) -> list[dict[str, Any]]:
    """All items, 1,000 a call."""
    found: list[dict[str, Any]] = []
    for offset in range(0, count, 1000):
        page = store.datasets.items("~b", ItemsQuery(offset=offset, limit=1000))
        found += map(json.loads, b"".join(page.lines).splitlines())
    return found


def pending(store: EngineStore) -> list[str]:
    """The keys of all that is not handled, in order."""
    found: list[str] = []
    query = RequestsQuery(limit=10_000, filter=("locked", "pending"))
    while True:
        page = store.queues.requests("~b", query)
        found += [request["uniqueKey"] for request in page.items]
        if page.next_cursor is None:
            return sorted(found)
        query = RequestsQuery(limit=10_000, filter=query.filter, cursor=page.next_cursor)


def records(store: EngineStore, keys: Iterable[str]) -> dict[str, bytes]:
    return {key: b"".join(store.kvs.record("~b", key).body) for key in keys}


def first(file: Path, count: int) -> list[dict[str, Any]]:
    with file.open("rb") as lines:
        return [json.loads(line) for line in islice(lines, count)]


def bodies_of(folder: Path, count: int) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())[:count]}


def reopened(store: EngineStore) -> EngineStore:
    store.close()
    return open_store(store.place)


JOBS = {"push": push, "read": read, "add": add, "lock": lock, "set": set_, "get": get}


def main(job: str, folder: str, source: str, count: str) -> None:
    store = open_store(folder)
    for keeper in (store.datasets, store.kvs, store.queues):
        keeper.create("b")
    print(JOBS[job](store, Path(source), int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
