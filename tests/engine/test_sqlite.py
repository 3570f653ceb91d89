"""The database itself: whose file it is, who writes when, and what survives."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.engine.db import Taken, statements
from storectl.engine.sqlite import APPLICATION_ID, SqliteDb, SqliteTx, migrations
from storectl.errors import InvalidInput, Local, NotFound, Unavailable
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items

from .keeping import look


def numbers(folder: Path, name: str) -> list[int]:
    store = open_store(str(folder))
    page = store.datasets.items(f"~{name}", ItemsQuery())
    found = [
        item["n"] for block in page.lines for item in Items.from_lines(block.splitlines()).objects()
    ]
    assert len(found) == page.total == store.datasets.get(f"~{name}").item_count
    store.close()
    return found


def test_a_new_store_is_private_and_marked(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "store"

    open_store(str(folder)).close()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    marked = sqlite3.connect(folder / "store.sqlite")
    assert marked.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert marked.execute("PRAGMA user_version").fetchone() == (len(migrations("sqlite")),)
    assert marked.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_commits_are_flushed_to_the_disk(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)

    assert db.one("PRAGMA synchronous") == (2,)
    assert db.write(lambda tx: tx.one("PRAGMA synchronous")) == (2,)


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    before = path.read_bytes()

    with pytest.raises(Local, match="another program"):
        open_store(str(tmp_path))

    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"\0" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)

    with pytest.raises(Local):
        open_store(str(tmp_path))

    assert path.read_bytes() == content


def test_a_store_of_a_newer_storectl_is_refused(tmp_path: Path) -> None:
    open_store(str(tmp_path)).close()
    newer = sqlite3.connect(tmp_path / "store.sqlite")
    newer.execute("PRAGMA user_version = 999")
    newer.close()

    with pytest.raises(Local, match="newer storectl"):
        open_store(str(tmp_path))


@pytest.mark.parametrize("version", range(1, len(migrations("sqlite"))))
def test_a_store_of_an_older_storectl_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    older = sqlite3.connect(tmp_path / "store.sqlite")
    older.execute("PRAGMA journal_mode=WAL")
    for step in migrations("sqlite")[:version]:
        older.executescript(step.read_text())
    older.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    older.execute(f"PRAGMA user_version = {version}")
    older.close()
    (tmp_path / "store.sqlite").chmod(0o600)
    tmp_path.chmod(0o700)

    store = open_store(str(tmp_path))
    store.queues.create("urls")
    store.queues.add("~urls", [{"url": "https://example.com", "uniqueKey": "1"}])
    store.close()

    assert look(tmp_path) == []


def test_keys_are_listed_from_an_index_alone(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)
    keys = statements("kvs", "sqlite")["keys"]

    steps = db.all(f"EXPLAIN QUERY PLAN {keys}", no=1, low="a", high="b", limit=100)

    assert [step for *_, step in steps] == [
        "SEARCH record USING COVERING INDEX record_list (storage_no=? AND key>? AND key<?)"
    ]


def test_a_half_made_schema_is_not_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    sqlite3.connect(path).close()  # an empty file, as a crash before the first commit leaves

    open_store(str(tmp_path)).close()

    assert sqlite3.connect(path).execute("SELECT count(*) FROM storage").fetchone() == (0,)


@pytest.mark.parametrize("url", ["mysql://x/y", "s3://x"])
def test_an_unknown_kind_of_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="unknown scheme"):
        open_store(url)


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(Local, match="cannot be opened"):
        open_store(str(tmp_path / "file"))


def test_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)

    def work(tx: object) -> None:
        tx.all("INSERT INTO garbage VALUES ('a', 1)")
        raise NotFound("on purpose")

    with pytest.raises(NotFound):
        db.write(work)

    assert db.all("SELECT * FROM garbage") == []


def test_a_unique_index_is_told_from_other_failures(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)
    db.write(lambda tx: tx.all("INSERT INTO garbage VALUES ('a', 1)"))

    with pytest.raises(Taken):
        db.write(lambda tx: tx.all("INSERT INTO garbage VALUES ('a', 2)"))

    assert db.all("SELECT * FROM garbage") == [("a", 1)]


def test_writers_that_wait_share_a_commit_and_fail_alone(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)
    outcomes: dict[int, str] = {}
    start = threading.Event()

    def write(number: int) -> None:
        start.wait()
        try:
            db.write(lambda tx: tx.all(f"INSERT INTO garbage VALUES ('{number // 2}', {number})"))
            outcomes[number] = "kept"
        except Taken:
            outcomes[number] = "taken"

    threads = [threading.Thread(target=write, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    start.set()
    for thread in threads:
        thread.join(30)

    assert len(outcomes) == 200
    assert sorted(outcomes.values()) == ["kept"] * 100 + ["taken"] * 100
    kept = {int(row[0]) for row in db.all("SELECT not_before FROM garbage")}
    assert kept == {number for number, outcome in outcomes.items() if outcome == "kept"}


@pytest.mark.parametrize("fails", [False, True])
def test_who_comes_while_others_write_shares_their_commit(tmp_path: Path, fails: bool) -> None:
    db, outcomes = SqliteDb(tmp_path), []
    before = db.version()

    def late() -> None:
        outcomes.append(db.write(lambda tx: tx.all("INSERT INTO garbage VALUES ('late', 1)")))

    def first(tx: SqliteTx) -> None:
        tx.all("INSERT INTO garbage VALUES ('first', 1)")
        thread.start()
        while not db._queue:
            time.sleep(0.001)
        if fails:
            raise InvalidInput("no")

    thread = threading.Thread(target=late)
    with pytest.raises(InvalidInput) if fails else nullcontext():
        db.write(first)
    thread.join()

    kept = [("late",)] if fails else [("first",), ("late",)]
    assert db.all("SELECT blob FROM garbage ORDER BY blob") == kept
    assert outcomes == [[]]
    assert before is not None
    assert db.version() == before + 2


def test_a_reader_sees_what_another_connection_has_committed(tmp_path: Path) -> None:
    one, two = open_store(str(tmp_path)), open_store(str(tmp_path))
    one.datasets.create("shared")

    for n in range(20):
        one.datasets.push("~shared", Items.of([{"n": n}]))
        assert two.datasets.get("~shared").item_count == n + 1


PUSHER = """
import sys
from storectl.engine import open_store
from storectl.model.items import Items
store = open_store(sys.argv[1])
store.datasets.create("busy")
first, count = int(sys.argv[2]), int(sys.argv[3])
for n in range(first, first + count):
    store.datasets.push("~busy", Items.of([{"n": n}]))
    print(n, flush=True)
"""


def pusher(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PUSHER, str(folder), str(first), str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_processes_write_to_one_store_in_turns(tmp_path: Path) -> None:
    open_store(str(tmp_path)).close()
    writers = [pusher(tmp_path, at * 1000, 150) for at in range(3)]
    for writer in writers:
        writer.communicate(timeout=60)

    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(numbers(tmp_path, "busy")) == [
        at * 1000 + n for at in range(3) for n in range(150)
    ]


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    open_store(str(tmp_path)).close()
    acknowledged = []
    for turn in range(6):
        writer = pusher(tmp_path, turn * 10_000, 10_000)
        assert writer.stdout is not None
        acknowledged.append(int(writer.stdout.readline()))
        time.sleep(0.05 + 0.04 * turn)
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.communicate()[0].splitlines() if line]

    found = numbers(tmp_path, "busy")

    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))
    assert len(found) - len(acknowledged) <= 6  # the one in flight, each time


FILLER = """
import resource, signal, sys
from storectl.engine import open_store
from storectl.errors import Local
from storectl.model.items import Items
store = open_store(sys.argv[1])
store.datasets.create("full")
store.datasets.push("~full", Items.of([{"n": 0}]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
import os
kept = 1
try:
    for n in range(1, 200):
        store.datasets.push("~full", Items.of([{"n": n, "noise": os.urandom(30_000).hex()}]))
        kept += 1
except Local as failure:
    print(failure.exit_code, failure.message)
else:
    print("not full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.datasets.push("~full", Items.of([{"n": 1000}]))
print(kept + 1)
"""


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(tmp_path)], capture_output=True, text=True, timeout=60
    )

    told, kept = done.stdout.splitlines()
    assert told.startswith("12 "), done.stdout + done.stderr
    found = numbers(tmp_path, "full")
    assert found == [*range(int(kept) - 1), 1000]


READER = """
import os, sys
from storectl.engine import open_store
from storectl.engine import dataset, files, place, sqlite, store  # before the rights go
from storectl.errors import Local
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
import zstandard
if os.geteuid() == 0:
    os.setuid(65534)
try:
    open_store(sys.argv[1]).datasets.create("new")
except Local as failure:
    print(failure.exit_code, failure.message)
"""


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_that_is_read_only_is_told(made: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "store")
        folder.mkdir()
        if made:
            open_store(str(folder)).close()
        for path in (Path(name), folder, *folder.iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)

        done = subprocess.run(
            [sys.executable, "-c", READER, str(folder)], capture_output=True, text=True
        )

        for path in (Path(name), folder):
            path.chmod(0o755)
    assert done.stdout.startswith("12 "), done.stdout + done.stderr
    assert "read-only" in done.stdout or "cannot be opened" in done.stdout
    assert done.stdout.count("\n") == 1


def test_damaged_bytes_are_found(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.datasets.create("hurt")
    store.datasets.push("~hurt", Items.of([{"n": n, "text": "x" * 300} for n in range(500)]))
    store.datasets.create("small")
    store.datasets.push("~small", Items.of([{"n": 1}]))
    store._db.write(
        lambda tx: tx.all(
            "UPDATE chunk SET body = CAST(substr(body, 1, length(body) - 3) || x'414243' AS BLOB)"
        )
    )

    for name in ("hurt", "small"):
        with pytest.raises(Local, match="damaged"):
            list(store.datasets.items(f"~{name}", ItemsQuery()).lines)


def test_closing_waits_for_writers_and_refuses_later_ones(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)
    writing = threading.Event()
    outcomes: list[object] = []

    def slowly(tx: object) -> str:
        writing.set()
        time.sleep(0.1)
        tx.all("INSERT INTO garbage VALUES ('a', 1)")
        return "kept"

    writer = threading.Thread(target=lambda: outcomes.append(db.write(slowly)))
    writer.start()
    writing.wait()
    db.close()

    with pytest.raises(Unavailable):
        db.write(lambda tx: tx.all("INSERT INTO garbage VALUES ('b', 1)"))
    writer.join()
    assert outcomes == ["kept"]
    assert SqliteDb(tmp_path).all("SELECT blob FROM garbage") == [("a",)]
