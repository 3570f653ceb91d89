"""A disk that is full, or breaks, at any of the writes of any operation.

What is asked for is done, or it is told in one sentence and nothing has changed; once
there is space again, it works. The disk is one of calls that fail, as in disk.py.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import apsw
import pytest

from storectl.engine import open_store
from storectl.engine.kvs import GRACE_SECS, INLINE_BYTES
from storectl.engine.store import EngineStore
from storectl.errors import Local
from storectl.model import rules
from storectl.model.items import Items
from storectl.model.kvs import Record
from storectl.model.storage import Change

from .disk import standing_in
from .test_power import contents


class Space:
    """Counts what is written or flushed, and lets as much through as it is told to."""

    def __init__(self, error: type[apsw.Error], number: int) -> None:
        self.error, self.number = error, number
        self.left: float = float("inf")

    def take(self) -> None:
        if self.left <= 0:
            raise self.error("no space")
        self.left -= 1


class _Vfs(apsw.VFS):
    def __init__(self, space: Space) -> None:
        self.space = space
        super().__init__("limited", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _File(self.space, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, space: Space, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self.space = space

    def xWrite(self, data: bytes, offset: int) -> None:
        self.space.take()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self.space.take()
        super().xSync(flags)


class _Os(ModuleType):
    """The module os for engine/files.py."""

    def __init__(self, space: Space) -> None:
        super().__init__("os")
        self.space = space

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        if name not in ("write", "fsync", "rename"):
            return found

        def limited(*values: Any) -> Any:
            try:
                self.space.take()
            except apsw.Error:
                raise OSError(self.space.number, os.strerror(self.space.number)) from None
            return found(*values)

        return limited


@contextmanager
def limited(error: type[apsw.Error], number: int) -> Iterator[Space]:
    """Stores that are opened here have only this space."""
    space = Space(error, number)
    with standing_in(_Vfs(space), _Os(space)):
        yield space


LARGE = os.urandom(INLINE_BYTES + 1)
ITEMS = Items.of([{"n": n, "x": f"{n * 7919}"} for n in range(9000)])
ADDED = [{"uniqueKey": f"{n}", "url": f"https://e/{n}"} for n in range(3, 40)]
ID = rules.request_id("1")
HANDLED = {"id": ID, "uniqueKey": "1", "url": "https://e/1", "handledAt": "2026-01-02T03:04:05Z"}


def put(store: EngineStore, key: str, body: bytes) -> None:
    store.kvs.put("~box", Record(key=key, content_type="a/b", body=(body,)))


OPERATIONS: dict[str, Callable[[EngineStore], object]] = {
    "push a few": lambda store: store.datasets.push("~rows", Items.of([{"n": 1}])),
    "push many": lambda store: store.datasets.push("~rows", ITEMS),
    "record in its row": lambda store: put(store, "old", b"small"),
    "record as a blob": lambda store: put(store, "new", LARGE),
    "remove a record": lambda store: store.kvs.remove("~box", "old"),
    "add requests": lambda store: store.queues.add("~crawl", ADDED),
    "lock": lambda store: store.queues.lock_head("~crawl", lock_secs=30, client_key="me"),
    "prolong": lambda store: store.queues.prolong(
        "~crawl", rules.request_id("0"), lock_secs=90, client_key="me"
    ),
    "handle": lambda store: store.queues.update_request("~crawl", HANDLED),
    "create": lambda store: store.kvs.create("more"),
    "rename": lambda store: store.datasets.update("~other", Change(name="renamed")),
    "delete": lambda store: store.datasets.delete("~other"),
    "create a token": lambda store: store.tokens.create("more"),
    "sweep": lambda store: store._sweep.run(),
}


def filled(folder: Path, now: list[int]) -> EngineStore:
    """A store with something for each of the operations to work on."""
    store = open_store(str(folder), clock=lambda: now[0])
    for noun, name in (("dataset", "rows"), ("dataset", "other"), ("kvs", "box")):
        store.keeper(noun).create(name)
    store.queues.create("crawl")
    store.datasets.push("~rows", Items.of([{"n": 0}]))
    put(store, "old", LARGE)
    put(store, "gone", LARGE)
    store.kvs.remove("~box", "gone")
    store.datasets.delete(store.datasets.create()[0].id)
    requests = [{"uniqueKey": f"{n}", "url": f"https://e/{n}"} for n in range(3)]
    store.queues.add("~crawl", requests, client_key="me")
    store.queues.lock_head("~crawl", lock_secs=20, limit=1, client_key="me")
    return store


@pytest.mark.parametrize(
    ("error", "number", "told"),
    [
        (apsw.FullError, errno.ENOSPC, "Disk is full"),
        (apsw.IOError, errno.EIO, "could not be read or written|cannot be used"),
    ],
    ids=["full", "broken"],
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_disk_without_space_is_told_and_nothing_is_half_done(
    tmp_path: Path, operation: str, error: type[apsw.Error], number: int, told: str
) -> None:
    now = [rules.now_ms()]
    work = OPERATIONS[operation]
    with limited(error, number) as space:
        store = filled(tmp_path / "store", now)
        if operation == "sweep":
            now[0] += GRACE_SECS * 1000
        before = contents(store)

        failures = 0
        while True:
            space.left = failures
            try:
                work(store)
            except Local as failure:
                space.left = float("inf")
                assert failure.exit_code == 12
                with pytest.raises(Local, match=told):
                    raise failure
                assert contents(store) == before
                failures += 1
            else:
                break

        space.left = float("inf")
        assert failures  # of a write or a flush, at the least
        if operation != "sweep":
            assert contents(store) != before
        store.close()
    again = open_store(str(tmp_path / "store"), clock=lambda: now[0])
    assert again._db.all("PRAGMA integrity_check") == [("ok",)]
    listed = {blob for (blob,) in again._db.all("SELECT blob FROM garbage")}
    named = {blob for (blob,) in again._db.all("SELECT blob FROM record WHERE blob IS NOT NULL")}
    files = {path.name.partition(".")[0] for path in (tmp_path / "store").glob("blobs/*/*")}
    assert named <= files <= named | listed
    again.close()


def test_a_store_can_be_read_where_there_is_no_space(tmp_path: Path) -> None:
    now = [rules.now_ms()]
    store = filled(tmp_path / "store", now)
    before = contents(store)
    store.close()

    with limited(apsw.FullError, errno.ENOSPC) as space:
        space.left = 0
        store = open_store(str(tmp_path / "store"), clock=lambda: now[0])
        assert contents(store) == before
        store.close()


def test_no_store_is_made_where_there_is_no_space(tmp_path: Path) -> None:
    with limited(apsw.FullError, errno.ENOSPC) as space:
        for left in range(100):
            space.left = left
            try:
                open_store(str(tmp_path / "store")).close()
            except Local as failure:
                assert "Disk is full" in failure.message or "No space" in failure.message
            else:
                break
        assert left > 2
        space.left = float("inf")
        store = open_store(str(tmp_path / "store"))
        store.datasets.create("rows")
        store.close()
