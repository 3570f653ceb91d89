"""Deleting what is large, and forgetting what is old."""

from __future__ import annotations

from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.engine.db import Tx
from storectl.engine.storage import ERASE_ROWS
from storectl.engine.store import EngineStore
from storectl.model.items import Items
from storectl.model.kvs import Record


def rows(store: EngineStore, table: str) -> int:
    return store._db.one(f"SELECT count(*) FROM {table}")[0]


def fill(store: EngineStore, count: int) -> None:
    """One storage of each noun with `count` rows of contents, and one beside it."""
    for name in ("large", "other"):
        store.datasets.create(name)
        store.kvs.create(name)
        store.queues.create(name)
    urls = [{"url": f"https://e/{n}", "uniqueKey": f"https://e/{n}"} for n in range(count)]
    store.queues.add("~large", urls)
    for n in range(count):
        store.kvs.put("~large", Record(key=f"k{n}", content_type="text/plain", body=[b"x"]))
    store.datasets.push("~large", Items.of([{"n": n, "t": "x" * 900} for n in range(count)]))
    store.queues.add("~other", urls[:1])
    store.kvs.put("~other", Record(key="k", content_type="text/plain", body=[b"x"]))
    store.datasets.push("~other", Items.of([{"n": 1}]))


def test_a_large_storage_is_deleted_slice_by_slice_and_whole(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    fill(store, 2 * ERASE_ROWS + 7)

    for keeper in (store.datasets, store.kvs, store.queues):
        keeper.delete("~large")

    assert [rows(store, table) for table in ("request", "record", "chunk")] == [1, 1, 1]
    assert rows(store, "erased") == 0


@pytest.mark.parametrize(
    ("noun", "table"), [("dataset", "chunk"), ("kvs", "record"), ("queue", "request")]
)
def test_what_a_killed_delete_left_goes_with_the_next(
    tmp_path: Path, noun: str, table: str
) -> None:
    store = open_store(str(tmp_path))
    fill(store, ERASE_ROWS + 7)
    keeper = store.keeper(noun)
    no = keeper.find("~large").no

    def as_far_as_it_came(tx: Tx) -> None:
        tx.all("DELETE FROM storage WHERE no = :no", no=no)
        tx.all("INSERT INTO erased VALUES (:no, :noun)", no=no, noun=noun)

    store._db.write(as_far_as_it_came)
    keeper.create("one-more")
    keeper.delete("~one-more")

    assert rows(store, "erased") == 0
    assert rows(store, table) == 1


def test_answers_are_forgotten_after_24_hours(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.datasets.create("a")

    for hours in (0, 23, 2, 30):
        past = {"ms": hours * 3_600_000}
        store._db.write(lambda tx, past=past: tx.all("UPDATE answered SET at = at - :ms", **past))
        again = open_store(str(tmp_path))
        again.datasets.push("~a", Items.of([{"after": hours}]), idempotency_key="same")

    assert store.datasets.get("~a").item_count == 3
    assert rows(store, "answered") == 1
