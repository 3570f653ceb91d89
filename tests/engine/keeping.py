"""A store with something of everything, for tests that damage or copy it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from storectl.engine import look_after, open_store
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import KeysQuery, Record
from storectl.model.upkeep import Finding

BIG = bytes(range(256)) * 2000


def fill(folder: Path) -> None:
    """Chunks of both codecs and a tail, records in rows and files, requests in each state."""
    store = open_store(str(folder))
    store.datasets.create("things")
    for n in range(5):
        store.datasets.push("~things", Items.of([{"n": n}, {}, {"#hidden": 1}]))
    many = [{"n": n, "text": "x" * (n % 90)} for n in range(4000)]
    store.datasets.push("~things", Items.of(many), idempotency_key="k")
    for n in range(3):
        store.datasets.push("~things", Items.of([{"n": n}, {}]))
    store.kvs.create("files")
    for key, body in (("small", b"hello"), ("empty", b""), ("big", BIG), ("big-2", BIG[1:])):
        store.kvs.put("~files", Record(key=key, content_type="text/plain", body=(body,)))
    store.queues.create("urls")
    requests = [{"url": f"https://example.com/{n}", "uniqueKey": f"u{n}"} for n in range(20)]
    store.queues.add("~urls", requests)
    store.queues.lock_head("~urls", lock_secs=3600, limit=3, client_key="me")
    done = {**requests[10], "handledAt": "2026-01-01T00:00:00.000Z"}
    store.queues.update_request("~urls", done)
    store.access.link("dataset", "~things", secs=None)
    store.close()


def contents(folder: Path) -> dict[str, Any]:
    """All items, records and requests, by storage and key."""
    store = open_store(str(folder))
    found: dict[str, Any] = {}
    try:
        found["things"] = b"".join(store.datasets.items("~things", ItemsQuery()).lines)
        for key in store.kvs.keys("~files", KeysQuery()).items:
            body = store.kvs.record("~files", key.key).body
            found[f"files/{key.key}"] = b"".join(body or ())
    finally:
        store.close()
    return found


def look(folder: Path, *, deep: bool = True) -> list[Finding]:
    """What a check finds."""
    return [each for each in look_after(str(folder)).check(deep=deep) if isinstance(each, Finding)]


def mend(folder: Path) -> None:
    """Repair as often as it takes, as the command does."""
    for _ in range(5):
        look_after(str(folder)).repair(look(folder))


def change(folder: Path, sql: str, *values: object) -> None:
    """What no storectl would do to its database."""
    connection = sqlite3.connect(folder / "store.sqlite")
    connection.executescript(sql) if not values else connection.execute(sql, values)
    connection.commit()
    connection.close()


def blobs(folder: Path) -> list[Path]:
    """The files of records."""
    return sorted(path for path in (folder / "blobs").rglob("*") if path.is_file())
