"""What is deleted gives its room back to the system."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.items import Items
from storectl.model.kvs import Record

from .keeping import change, look, mend

MIB = 1024 * 1024
STAYS = Items.of([{"n": n} for n in range(100)])


def filled(folder: Path) -> EngineStore:
    """50 MB of records that can be deleted, among items that stay."""
    store = open_store(str(folder))
    store.kvs.create("box")
    store.datasets.create("rows")
    body = os.urandom(100_000)

    def put(n: int) -> None:
        store.kvs.put("~box", Record(key=f"{n}", content_type="a/b", body=(body,)))

    for first in range(0, 500, 100):
        store.together([partial(put, n) for n in range(first, first + 100)])
        store.datasets.push("~rows", STAYS)
    assert size(folder) > 48 * MIB
    return store


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("store.sqlite*"))


def test_a_store_that_held_50_mb_shrinks_when_they_are_deleted(tmp_path: Path) -> None:
    store = filled(tmp_path)

    store.kvs.delete("~box")
    assert store.retention.is_due()
    store.sweep()
    assert not store.retention.is_due()
    store.close()

    assert size(tmp_path) < 18 * MIB
    assert look(tmp_path) == []


def test_a_store_does_not_shrink_while_a_backup_runs(tmp_path: Path) -> None:
    store = filled(tmp_path)
    until = store.now_ms() + 60_000
    store._db.commit("INSERT INTO lease VALUES ('backup-x', 'x', :until)", until=until)

    store.kvs.delete("~box")
    store.sweep()
    store.close()

    assert size(tmp_path) > 48 * MIB


def test_an_older_store_shrinks_when_it_is_repaired(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.close()
    change(tmp_path, "PRAGMA auto_vacuum=NONE; VACUUM")
    store = open_store(str(tmp_path))
    store.kvs.delete("~box")
    store.sweep()
    store.close()
    assert size(tmp_path) > 48 * MIB

    assert [(each.check, each.harm) for each in look(tmp_path)] == [("space", "none")]
    mend(tmp_path)

    assert look(tmp_path) == []
    assert size(tmp_path) < MIB
