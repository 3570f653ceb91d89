"""What is deleted gives its room back to the system."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from storectl.engine import open_store
from storectl.engine.db import statements
from storectl.engine.store import EngineStore
from storectl.model.items import Items
from storectl.model.kvs import Record

from .keeping import change, look, mend

MIB = 1024 * 1024
STAYS = Items.of([{"n": n} for n in range(100)])


def filled(folder: Path, records: int = 250) -> EngineStore:
    """Records of 0.1 MB that can be deleted, among items that stay."""
    store = open_store(str(folder))
    store.kvs.create("box")
    store.datasets.create("rows")
    body = os.urandom(100_000)

    def put(n: int) -> None:
        store.kvs.put("~box", Record(key=f"{n}", content_type="a/b", body=(body,)))

    for first in range(0, records, 50):
        store.together([partial(put, n) for n in range(first, first + 50)])
        store.datasets.push("~rows", STAYS)
    return store


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("store.sqlite*"))


def test_a_store_that_held_50_mb_shrinks_when_they_are_deleted(tmp_path: Path) -> None:
    store = filled(tmp_path, records=500)
    assert size(tmp_path) > 48 * MIB

    store.kvs.delete("~box")
    while store.retention.is_due():
        store.sweep()
    store.close()

    assert size(tmp_path) < 18 * MIB
    assert look(tmp_path) == []


def test_where_very_much_is_free_the_steps_are_small(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.kvs.delete("~box")
    while store.kvs.erase_more():
        pass
    sql = statements("retention", "sqlite")

    counts = [store._db.all("SELECT page_count FROM pragma_page_count")[0][0]]
    for name in ("give_back", "give_back_little"):
        store._db.commit(sql[name])
        counts += store._db.all("SELECT page_count FROM pragma_page_count")[0]
    store.close()

    assert 256 <= counts[0] - counts[1] < 300
    assert 16 <= counts[1] - counts[2] < 30


def test_a_store_does_not_shrink_while_a_backup_runs(tmp_path: Path) -> None:
    store = filled(tmp_path)
    until = store.now_ms() + 60_000
    store._db.commit("INSERT INTO lease VALUES ('backup-x', 'x', :until)", until=until)

    store.kvs.delete("~box")
    store.sweep()
    store.close()

    assert size(tmp_path) > 23 * MIB


def test_an_older_store_shrinks_when_it_is_repaired(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.close()
    change(tmp_path, "PRAGMA auto_vacuum=NONE; VACUUM")
    store = open_store(str(tmp_path))
    store.kvs.delete("~box")
    store.sweep()
    store.close()
    assert size(tmp_path) > 23 * MIB

    assert [(each.check, each.harm) for each in look(tmp_path)] == [("space", "none")]
    mend(tmp_path)

    assert look(tmp_path) == []
    assert size(tmp_path) < MIB
