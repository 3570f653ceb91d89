"""A whole store into another: all of it, once, also after a kill; nobody writes to both."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.engine.move import TABLES, move, release
from storectl.engine.store import EngineStore
from storectl.errors import CheckFailed, Conflict, InvalidInput, NotFound
from storectl.model.items import Items
from storectl.model.kvs import Record
from storectl.model.storage import ListQuery
from storectl.model.upkeep import Copied, Scope, Step

from ..buckets import Server
from .keeping import BIG, blobs, change, contents, fill, look

STAY = {"sqlite_sequence", "garbage", "lease", "erased", "rate", "schema_version"}
"""Tables that are about a store's own disk and processes."""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with something in every table, and storages that are gone or going."""
    folder = tmp_path_factory.mktemp("full") / "store"
    fill(folder)
    with closing(open_store(str(folder))) as store:
        store.retain(86_400)
        scope = ["dataset:read"]
        scoped = store.tokens.create("scoped", username="bob", email="b@c.de", scope=scope)
        store.tokens.create("old", username="bob")
        store.tokens.revoke(store.tokens.create("gone", username="carol").id)
        store.tokens.rotate(scoped.id)
        store.access.grant("kvs", "~files", "bob", "read")
        store.access.link("kvs", "~files", key="big", secs=None)
        store.access.link("dataset", "~things", secs=3600)
        store.datasets.create(None)
        store.datasets.create("with-schema", schema={"fields": {"type": "object"}})
        for n in range(40):
            body = os.urandom(200_000) if n % 20 == 0 else b"%d" % n
            store.kvs.put("~files", Record(key=f"k{n}", content_type="a/b", body=(body,)))
        store.kvs.create("deleted")
        store.kvs.put("~deleted", Record(key="a", content_type="a/b", body=(BIG,)))
        store.kvs.delete("~deleted")
        store.datasets.push("~things", Items.of([{"é": None}]), idempotency_key="last")
    return folder


@pytest.fixture
def source(full: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(full, tmp_path / "source"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def moved(source: object, target: object, blobs: str | None = None) -> Copied:
    *_, copied = move(str(source), str(target), blobs)
    assert isinstance(copied, Copied)
    return copied


def rows(folder: Path) -> dict[str, list[str]]:
    """Every row of every table that moves, without the numbers that only their table knows."""
    found = {}
    with closing(sqlite3.connect(folder / "store.sqlite")) as db:
        db.row_factory = sqlite3.Row
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")
        ]
        there = {no for (no,) in db.execute("SELECT no FROM storage")}
        for table in set(tables) - STAY:
            every = [dict(row) for row in db.execute(f'SELECT * FROM "{table}"')]
            if table != "storage":
                for row in every:
                    row.pop("no", None)
            if table == "setting":
                own = ("blobs", "blobs_mark", "moving")
                every = [row for row in every if row["key"] not in own]
            every = [row for row in every if row.get("storage_no", min(there)) in there]
            found[table] = sorted(map(repr, every))
    return found


def use(folder: object) -> EngineStore:
    return open_store(str(folder))


def test_everything_is_moved(source: Path, target: Path) -> None:
    held, before = contents(source), rows(source)

    copied = moved(source, target)

    assert all(before.values()), "a table is empty: the test shows nothing of it"
    assert rows(target) == before
    assert contents(target) == held
    assert (copied.storages, copied.blobs) == (5, 4)
    assert look(target) == []


def test_what_is_moved_goes_on_as_before(source: Path, target: Path) -> None:
    with closing(use(source)) as store:
        secret = store.tokens.create("mine", username="bob").secret
        place = store.locate("dataset", "~things", store.tokens.me())
        numbers = [store.datasets.get("~things").item_count]
    moved(source, target)

    with closing(use(target)) as store:
        who = store.caller(str(secret))
        assert who is not None
        assert who.user.username == "bob"
        assert store.locate("dataset", "~things", store.tokens.me()) == place
        store.datasets.push("~things", Items.of([{"again": 1}]), idempotency_key="last")
        assert store.datasets.get("~things").item_count == numbers[0]
        new = store.kvs.create("new")[0]
        assert store.kvs.get(new.id).name == "new"
        assert store.retention.secs() == 86_400


def test_the_source_is_closed_until_it_is_released(source: Path, target: Path) -> None:
    moved(source, target)

    with pytest.raises(Conflict, match=f"was moved to {target}"):
        use(source)
    with pytest.raises(Conflict, match="was moved to .* already"):
        moved(source, target.with_name("third"))

    assert release(str(source))
    assert not release(str(source))
    use(source).close()


def test_how_far_it_has_come_is_told(source: Path, target: Path) -> None:
    scope, *steps, copied = move(str(source), str(target), None)

    assert isinstance(scope, Scope)
    assert isinstance(copied, Copied)
    bytes_ = [step.bytes for step in steps if isinstance(step, Step)]
    assert bytes_ == sorted(bytes_)
    assert bytes_[-1] == scope.total_bytes == 2 * copied.bytes


def test_a_move_that_ended_anywhere_goes_on(full: Path, tmp_path: Path) -> None:
    """After every second page; the last ends are inside of the reading back."""
    before = rows(full)
    points = len(list(move(str(shutil.copytree(full, tmp_path / "a")), str(tmp_path / "b"), None)))

    for point in range(1, points, 2):
        source = Path(shutil.copytree(full, tmp_path / f"from-{point}"))
        target = tmp_path / f"to-{point}"
        coming = move(str(source), str(target), None)
        assert len(list(islice(coming, point))) == point
        coming.close()
        for side, why in ((source, "is being moved"), (target, "not come to its end")):
            with pytest.raises(Conflict, match=why):
                use(side)

        moved(source, target)

        assert rows(target) == before, point


KILLED = """
import os, sys
from storectl.engine import files, move
whole = files.write
def half(path, blocks):
    def first():
        for block in blocks:
            yield block[: len(block) // 2]
            os.kill(os.getpid(), 9)
    whole(path, first())
files.write = half
list(move.move(sys.argv[1], sys.argv[2], None))
"""


def test_a_move_that_is_killed_inside_of_a_blob_goes_on(source: Path, target: Path) -> None:
    before = rows(source)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(source), str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert {path.suffix for path in blobs(target)} == {".part"}

    moved(source, target)

    assert rows(target) == before
    assert look(target) == []


def test_a_store_that_is_served_is_not_moved(source: Path, target: Path) -> None:
    with closing(use(source)) as server:
        server.sweep()

        with pytest.raises(Conflict, match="A server is running"):
            moved(source, target)

        server.datasets.create("it-goes-on")
    moved(source, target)


def test_a_server_that_came_in_between_learns_that_it_has_to_end(
    source: Path, target: Path
) -> None:
    with closing(use(source)) as late:
        moved(source, target)

        with pytest.raises(Conflict, match="was moved"):
            late.sweep()


def test_whoever_writes_meanwhile_is_found_out(source: Path, target: Path) -> None:
    with closing(use(source)) as late:
        coming = move(str(source), str(target), None)
        list(islice(coming, 8))
        late.datasets.push("~things", Items.of([{"late": 1}]))

        with pytest.raises(CheckFailed, match="was written to"):
            list(coming)

    for side in (source, target):
        with pytest.raises(Conflict):
            use(side)


def test_whatever_changes_in_the_target_is_found_out(source: Path, target: Path) -> None:
    coming = move(str(source), str(target), None)
    list(islice(coming, 1 + len(TABLES)))
    change(target, "DELETE FROM request WHERE id IN (SELECT id FROM request LIMIT 1)")

    with pytest.raises(CheckFailed, match="table request .* 19 rows of 20"):
        list(coming)


def test_a_damaged_blob_is_not_moved_as_if_it_were_good(source: Path, target: Path) -> None:
    for path in blobs(source):  # one of them is of a deleted record, and stays behind
        body = path.read_bytes()
        path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))

    with pytest.raises(CheckFailed, match="is damaged"):
        moved(source, target)


def test_a_target_that_is_in_use_is_refused_and_the_source_stays_open(
    source: Path, target: Path
) -> None:
    use(target).close()

    with pytest.raises(Conflict, match="is not empty"):
        moved(source, target)

    use(source).close()


def test_one_move_at_a_time(source: Path, target: Path, full: Path, tmp_path: Path) -> None:
    list(islice(move(str(source), str(target), None), 5))

    with pytest.raises(Conflict, match="is being moved to"):
        moved(source, tmp_path / "elsewhere")
    other = shutil.copytree(full, tmp_path / "other")
    with pytest.raises(Conflict, match="another move has begun"):
        moved(other, target)
    use(Path(other)).close()


def test_nothing_is_moved_from_nowhere_or_to_itself(source: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no store"):
        moved(tmp_path / "nowhere", tmp_path / "target")
    with pytest.raises(InvalidInput, match="to itself"):
        moved(source, source)

    assert not (tmp_path / "nowhere").exists()
    use(source).close()


def test_large_records_go_to_a_bucket_and_back(s3: Server, source: Path, target: Path) -> None:
    before = rows(source)
    url = s3.bucket()

    moved(source, target, url)
    assert not (target / "blobs").exists()
    assert len(s3.objects(url)) == 5  # and the mark
    moved(target, third := target.with_name("third"))

    assert rows(third) == before
    assert look(third) == []


def test_a_store_goes_into_postgresql_and_comes_back(
    database: str, s3: Server, source: Path, target: Path
) -> None:
    held, before = contents(source), rows(source)

    there = moved(source, database, s3.bucket())
    with closing(use(database)) as store:
        new = store.datasets.create(None)[0].id
        assert [page.id for page in store.datasets.list(ListQuery(unnamed=True)).items].count(
            new
        ) == 1
        store.datasets.delete(new)
        store.sweep()
    back = moved(database, target)

    assert back == there
    assert rows(target) == before
    assert contents(target) == held
    assert look(target) == []
