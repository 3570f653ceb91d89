"""Several pieces of work, one commit: each fails alone, or all of them do."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.engine.sqlite import SqliteDb
from storectl.errors import InvalidInput, StorectlError
from storectl.model.items import Items
from storectl.model.store import TakesLong


def put(db: SqliteDb, name: str, *, bad: bool = False) -> str:
    """A piece of work that catches its own failure, as a server does."""

    def work(tx: object) -> None:
        db_tx.many("INSERT INTO note VALUES (:name)", [{"name": name}])
        if bad:
            raise InvalidInput("bad")

    db_tx = db._tx
    try:
        db.write(work)
    except StorectlError as error:
        return error.message
    return "kept"


@pytest.fixture
def db(tmp_path: Path) -> SqliteDb:
    found = SqliteDb(tmp_path)
    found.write(lambda tx: tx.all("CREATE TABLE note (name TEXT)"))
    return found


def names(db: SqliteDb) -> list[str]:
    return [name for (name,) in db.all("SELECT name FROM note ORDER BY name")]


def test_a_failing_work_undoes_only_itself(db: SqliteDb) -> None:
    before = db.version()

    told = db.together([partial(put, db, name, bad=name == "b") for name in "abc"])

    assert told == ["kept", "bad", "kept"]
    assert names(db) == ["a", "c"]
    assert before is not None
    assert db.version() == before + 2  # one commit: odd on the way, even behind it


def test_a_work_reads_what_those_before_it_wrote(db: SqliteDb) -> None:
    def read() -> str:
        return "".join(names(db))

    assert db.together([partial(put, db, "a"), read, partial(put, db, "b"), read]) == [
        "kept",
        "a",
        "kept",
        "ab",
    ]


def test_a_work_sees_the_storage_as_those_before_it_left_it(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    id = store.datasets.create("list")[0].id

    def count() -> int:
        return store.datasets.get(id).item_count

    def push() -> int:
        store.datasets.push(id, Items.of([{"n": 1}]))
        return count()

    assert [count(), *store.together([count, push, push]), count()] == [0, 0, 1, 2, 2]
    store.close()


def test_others_see_nothing_before_the_commit(db: SqliteDb) -> None:
    seen: list[list[str]] = []

    def look() -> str:
        other = threading.Thread(target=lambda: seen.append(names(db)))
        other.start()
        other.join()
        return ""

    db.together([partial(put, db, "a"), look])

    assert seen == [[]]
    assert names(db) == ["a"]


def test_a_bug_in_a_work_is_no_commit(db: SqliteDb) -> None:
    def bug() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.together([partial(put, db, "a"), bug])

    assert names(db) == []
    assert put(db, "b") == "kept"


def test_who_is_in_a_hurry_writes_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.datasets.create("list")

    def hurried() -> None:
        store.hurry()
        with pytest.raises(TakesLong):
            store.datasets.push("~list", Items.of([{"n": 1}]))
        assert store.datasets.get("~list").item_count == 0
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=hurried)
    thread.start()
    thread.join()

    assert done == [True]
    store.datasets.push("~list", Items.of([{"n": 1}]))
    store.close()


FILLER = """
import os, resource, signal, sys
from functools import partial
from storectl.engine import open_store
from storectl.errors import StorectlError
from storectl.model.items import Items
store = open_store(sys.argv[1])
store.datasets.create("full")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))

def push(n):
    try:
        store.datasets.push("~full", Items.of([{"n": n, "noise": os.urandom(30_000).hex()}]))
    except StorectlError as error:
        return error.exit_code
    return 0

kept, failed = [], 0
for group in range(100):
    numbers = [*range(group * 8, group * 8 + 8)]
    try:
        told = store.together([partial(push, n) for n in numbers])
    except StorectlError as error:
        told = [error.exit_code] * 8
    kept += [n for n, code in zip(numbers, told) if code == 0]
    failed += sum(code == 12 for code in told)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert push(1000) == 0
print(failed, *kept, 1000)
"""


def test_what_a_full_disk_undid_is_told_to_all_whom_it_concerns(tmp_path: Path) -> None:
    from storectl.model.dataset import ItemsQuery

    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(tmp_path)], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    failed, *kept = map(int, done.stdout.split())
    store = open_store(str(tmp_path))
    lines = store.datasets.items("~full", ItemsQuery(fields=("n",))).lines
    found = b"".join(lines)
    assert failed >= 8
    assert kept[:8] == [*range(8)]
    assert found == b"".join(b'{"n":%d}\n' % n for n in kept)
    store.close()
