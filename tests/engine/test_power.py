"""The power fails at any moment: what was acknowledged is there, and nothing by half.

How a power cut is simulated, disk.py says. POWER_SEEDS runs it with more seeds.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from storectl.engine import open_store
from storectl.engine.db import statements
from storectl.engine.kvs import GRACE_SECS, INLINE_BYTES
from storectl.engine.store import EngineStore
from storectl.model import rules
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import KeysQuery, Record
from storectl.model.queue import RequestsQuery
from storectl.model.storage import ListQuery

from .disk import Disk, Image, forgetful

SEEDS = range(int(os.environ.get("POWER_SEEDS", "2")))
STEPS = 60
CUTS = 40
"""Of one seed, at most."""

CHANGES = 40
"""Of files, between one cut and the next, more or less; a step makes about twenty."""

NAME = {"dataset": "~rows", "kvs": "~box", "queue": "~crawl"}


def contents(store: EngineStore) -> dict[str, Any]:
    """All that can be read of a store."""
    found: dict[str, Any] = {"tokens": [token.name for token in store.tokens.list()]}
    for noun in NAME:
        storages = store.keeper(noun).list(ListQuery(unnamed=True)).items
        found[noun] = sorted((each.id, each.name or "") for each in storages)
    page = store.datasets.items(NAME["dataset"], ItemsQuery())
    found["items"] = b"".join(page.lines)
    found["count"] = store.datasets.get(NAME["dataset"]).item_count
    keys = [key.key for key in store.kvs.keys(NAME["kvs"], KeysQuery()).items]
    found["records"] = {key: b"".join(store.kvs.record(NAME["kvs"], key).body) for key in keys}
    queue = store.queues.get(NAME["queue"])
    found["counts"] = queue.handled_request_count, queue.pending_request_count
    found["requests"] = store.queues.requests(NAME["queue"], RequestsQuery()).items
    found["head"] = [item["id"] for item in store.queues.head(NAME["queue"]).items]
    return found


class Load:
    """Writes of every kind, one after another, and what the store holds after each."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.now = rules.now_ms()
        self.number = 0
        self.made: list[str] = []
        self.writes: list[Callable[[], object]] = [
            self.push, self.push_much, self.set, self.set_large, self.set_large, self.remove,
            self.add, self.lock, self.handle, self.create, self.delete, self.token,
            self.sweep, self.give_back, self.reopen,
        ]  # fmt: skip
        self.opened()

    def opened(self) -> None:
        self.store = open_store(str(self.folder), clock=lambda: self.now)
        self.store._db._writer.execute("PRAGMA wal_autocheckpoint=40")  # many, in a small test

    def start(self) -> None:
        for noun, ref in NAME.items():
            self.store.keeper(noun).create(ref[1:])

    def step(self) -> None:
        self.number += 1
        self.chance.choice(self.writes)()

    def push(self) -> None:
        self.store.datasets.push(NAME["dataset"], Items.of([{"n": self.number}]))

    def push_much(self) -> None:
        items = [{"n": self.number, "at": at, "x": self.chance.random()} for at in range(5000)]
        self.store.datasets.push(NAME["dataset"], Items.of(items))

    def set(self) -> None:
        self._set(self.chance.randbytes(3000))

    def set_large(self) -> None:
        self._set(self.chance.randbytes(INLINE_BYTES + 1 + self.chance.randrange(300_000)))

    def _set(self, body: bytes) -> None:
        key = self.chance.choice("abc")
        blocks = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
        self.store.kvs.put(NAME["kvs"], Record(key=key, content_type="a/b", body=blocks))

    def remove(self) -> None:
        self.store.kvs.remove(NAME["kvs"], self.chance.choice("abc"))

    def add(self) -> None:
        names = [f"{self.number}-{n}" for n in range(30)]
        requests = [{"url": f"https://e/{name}", "uniqueKey": name} for name in names]
        self.store.queues.add(NAME["queue"], requests, forefront=self.number % 2 == 0)

    def lock(self) -> None:
        self.store.queues.lock_head(NAME["queue"], lock_secs=60, limit=5, client_key="me")

    def handle(self) -> None:
        head = self.store.queues.head(NAME["queue"], limit=3).items
        done = [{**item, "handledAt": rules.iso(self.now)} for item in head]
        self.store.queues.update_requests(NAME["queue"], done)

    def create(self) -> None:
        self.store.kvs.create(f"more-{self.number}")

    def delete(self) -> None:
        """Every second time; else one is made for it."""
        if self.made:
            self.store.datasets.delete(self.made.pop())
        else:
            self.made.append(self.store.datasets.create()[0].id)
            self.store.datasets.push(self.made[0], Items.of([{"n": self.number}]))

    def token(self) -> None:
        self.store.tokens.create(f"t{self.number}")

    def sweep(self) -> None:
        self.now += GRACE_SECS * 1000
        self.store.sweep()

    def give_back(self) -> None:
        """What a sweep does where much is free."""
        self.store._db.commit(statements("retention", "sqlite")["give_back"])

    def reopen(self) -> None:
        self.store.close()
        self.opened()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    cuts: list[tuple[Image, int, int]] = []
    states: list[dict[str, Any]] = []

    def cut() -> None:
        if states and len(cuts) < CUTS and chance.random() < 1 / CHANGES:
            cuts.append((disk.image(chance), len(states) - 1, load.now))

    with forgetful(tmp_path / "new" / "store", cut) as disk:
        load = Load(disk.root, seed)
        load.start()
        states.append(contents(load.store))
        for _ in range(STEPS):
            load.step()
            states.append(contents(load.store))
        load.store.close()

    assert len(cuts) > CUTS / 4
    for number, (image, acknowledged, now) in enumerate(cuts):
        folder = tmp_path / str(number)
        laid_out(image, folder)
        store = open_store(str(folder), clock=lambda now=now: now)
        # What was on the way when the power failed is there whole, or not at all.
        assert contents(store) in states[acknowledged : acknowledged + 2], number
        assert store._db.all("PRAGMA integrity_check") == [("ok",)]
        assert not unlisted(store, folder), number
        store.datasets.push(NAME["dataset"], Items.of([{"goes": "on"}]))
        store.close()


def unlisted(store: EngineStore, folder: Path) -> set[str]:
    """Blobs that no record names and that no sweep would delete."""
    files = {path.name.partition(".")[0] for path in folder.glob("blobs/*/*")}
    listed = "SELECT blob FROM garbage UNION SELECT blob FROM record WHERE blob IS NOT NULL"
    return files - {blob for (blob,) in store._db.all(listed)}


def laid_out(image: Image, folder: Path) -> None:
    for name, content in image.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_the_folder_of_a_new_store_outlives_a_power_cut(tmp_path: Path) -> None:
    with forgetful(tmp_path / "new" / "store", lambda: None) as disk:
        open_store(str(disk.root)).datasets.create("rows")
        image = disk.image(random.Random(0))

    assert "store.sqlite" in image


def test_without_a_flush_a_cut_loses_what_was_written(tmp_path: Path) -> None:
    """That the disk forgets at all, without which the tests above would say nothing."""
    with forgetful(tmp_path / "store", lambda: None) as disk:
        store = open_store(str(disk.root))
        store._db._writer.execute("PRAGMA synchronous=OFF")
        store.datasets.create("rows")
        before = lost(disk, tmp_path)
        store._db._writer.execute("PRAGMA synchronous=FULL")
        store.datasets.create("more")
        after = lost(disk, tmp_path)
        store.close()

    assert (before, after) == (True, False)


def lost(disk: Disk, tmp_path: Path) -> bool:
    """Whether of twenty cuts there is one that lost the first dataset, or the whole store."""
    for seed in range(20):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        laid_out(disk.image(random.Random(seed)), folder)
        try:
            named = open_path(folder)
        except apsw.Error:
            return True
        if "rows" not in named:
            return True
    return False


def open_path(folder: Path) -> list[str]:
    path = folder / "store.sqlite"
    connection = apsw.Connection(str(path), vfs="unix")
    return [name for (name,) in connection.execute("SELECT name FROM storage").fetchall()]
