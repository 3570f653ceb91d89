"""Damage of every kind is found and named, and what is derivable is mended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storectl.engine import open_store
from storectl.errors import Local
from storectl.model import rules
from storectl.model.dataset import ItemsQuery
from storectl.model.storage import ListQuery

from .keeping import BIG, blobs, change, contents, fill, look, mend

bounded = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that nothing is wrong with; tests damage copies of it."""
    folder = tmp_path_factory.mktemp("sound") / "store"
    fill(folder)
    return folder


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "store"))


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_store_has_no_findings(store: Path, deep: bool) -> None:
    assert look(store, deep=deep) == []


def test_a_check_changes_no_file(store: Path) -> None:
    """SQLite may leave an empty log beside the database: the store's next user removes it."""
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}

    look(store)

    assert {path: path.read_bytes() for path in before} == before
    log = store / "store.sqlite-wal"
    assert not log.exists() or log.stat().st_size == 0


def test_what_a_killed_writer_left_in_the_log_is_looked_at_too(store: Path) -> None:
    """Its pushes are in the write-ahead log alone, and no other process has it open."""
    code = (
        "import os, sys; from storectl.engine import open_store;"
        "from storectl.model.items import Items; store = open_store(sys.argv[1]);"
        "store.datasets.push('~things', Items.of([{'n': 1}])); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(store)], check=False, timeout=60)
    assert (store / "store.sqlite-wal").stat().st_size > 0

    assert look(store) == []

    shutil.copytree(store, store.with_name("lost"))
    change(store.with_name("lost"), "UPDATE storage SET bytes = bytes + 1 WHERE noun = 'dataset'")
    assert [each.check for each in look(store.with_name("lost"))] == ["counters"]


DERIVABLE = {
    "items counted wrong": "UPDATE storage SET item_count = item_count + 2 WHERE noun = 'dataset'",
    "items not counted": "UPDATE storage SET item_count = item_count - 2 WHERE noun = 'dataset'",
    "clean items": "UPDATE storage SET clean_count = 1 WHERE noun = 'dataset'",
    "bytes of a dataset": "UPDATE storage SET bytes = bytes + 7 WHERE noun = 'dataset'",
    "the tail": "UPDATE storage SET tail_rows = 9 WHERE noun = 'dataset'",
    "bytes in the tail": "UPDATE storage SET tail_bytes = 9 WHERE noun = 'dataset'",
    "raw bytes of a chunk": "UPDATE chunk SET raw_bytes = 3 WHERE first = 4015",
    "the ends of a chunk": "UPDATE chunk SET ends = x'01000000' WHERE first = 4017",
    "bytes of records": "UPDATE storage SET bytes = 0 WHERE noun = 'kvs'",
    "requests": "UPDATE storage SET request_count = 3 WHERE noun = 'queue'",
    "handled requests": "UPDATE storage SET handled_count = 3 WHERE noun = 'queue'",
    "bytes of requests": "UPDATE storage SET bytes = 3 WHERE noun = 'queue'",
    "the last place": "UPDATE storage SET last_ord = 2 WHERE noun = 'queue'",
    "two on one place": "UPDATE request SET ord = 7 WHERE ord BETWEEN 7 AND 9",
    "handled and locked": "UPDATE request SET locked_until = 9 WHERE ord IS NULL",
    "locked by half": "UPDATE request SET locked_by = 'x' WHERE locked_until IS NULL",
    "handled, its body says pending": "UPDATE request SET ord = NULL WHERE ord = 9",
    "pending, its body says handled": "UPDATE request SET ord = 90 WHERE ord IS NULL",
    "a right to nothing": "INSERT INTO granted SELECT 77, id, 'read', 0 FROM user",
    "a link to nothing": "INSERT INTO link VALUES (77, '', 0, 0)",
    "an old answer to nothing": "INSERT INTO answered VALUES (77, 'k', 0, x'00')",
    "listed as deleted": "INSERT INTO erased SELECT no, noun FROM storage",
}


@pytest.mark.parametrize("sql", DERIVABLE.values(), ids=list(DERIVABLE))
def test_what_is_derivable_is_found_and_mended(sound: Path, store: Path, sql: str) -> None:
    change(store, sql)

    found = look(store)
    mend(store)

    assert found
    assert {each.harm for each in found} == {"derivable"}
    assert look(store) == []
    assert contents(store) == contents(sound)


@pytest.mark.parametrize("noun", ["dataset", "kvs", "queue"])
def test_contents_without_a_storage_get_one_again(store: Path, noun: str) -> None:
    change(store, f"DELETE FROM storage WHERE noun = '{noun}'")

    found = [each for each in look(store) if each.noun == noun]
    mend(store)

    assert [each.harm for each in found] == ["derivable"]
    assert look(store) == []
    opened = open_store(str(store))
    keeper = {"dataset": opened.datasets, "kvs": opened.kvs, "queue": opened.queues}[noun]
    (named,) = [each.name for each in keeper.list(ListQuery()).items]
    assert str(named).startswith("recovered-")
    if noun == "dataset":
        assert keeper.get(f"~{named}").item_count == 4021
        assert opened.datasets.items(f"~{named}", ItemsQuery()).total == 4021
    opened.close()


LOST = {
    "a chunk": ("DELETE FROM chunk WHERE first = 4017", "items", "[4017, 4019)"),
    "the last chunks": ("DELETE FROM chunk WHERE first > 4015", "items", "[4017, 4021)"),
    "two chunks on one place": (
        "UPDATE chunk SET first = 4018 WHERE first = 4019",
        "items",
        "[4018, 4019)",
    ),
    "the checksum of a chunk": (
        "UPDATE chunk SET crc = 1 WHERE first = 4017",
        "items",
        "[4017, 4019)",
    ),
    "the bytes of a record": (
        "UPDATE record SET body = CAST('jello' AS BLOB) WHERE key = 'small'",
        "record",
        "small",
    ),
    "half a record": (
        "UPDATE record SET body = NULL WHERE key = 'small'",
        "record",
        "small",
    ),
    "a byte of a request": (
        "UPDATE request SET body = CAST(replace(CAST(body AS TEXT), 'com/12', 'cam/12') AS BLOB)",
        "requests",
        rules.request_id("u12"),
    ),
    "the ID of a request": (
        "UPDATE request SET id = 'aaaaaaaaaaaaaaa' WHERE ord = 9",
        "requests",
        "aaaaaaaaaaaaaaa",
    ),
}


@pytest.mark.parametrize("damage", LOST.values(), ids=list(LOST))
def test_what_is_lost_is_named_and_left_as_it_is(store: Path, damage: tuple[str, str, str]) -> None:
    sql, check, place = damage
    change(store, sql)

    found = look(store)
    mend(store)

    assert (check, place, "lost") in [(each.check, each.place, each.harm) for each in found]
    assert (check, place, "lost") in [(e.check, e.place, e.harm) for e in look(store)]


def test_a_missing_blob_is_found_without_reading_any(store: Path) -> None:
    gone = blobs(store)[0]
    gone.unlink()

    (found,) = look(store, deep=False)

    assert (found.check, found.noun, found.harm) == ("blob", "kvs", "lost")
    assert found.place in ("big", "big-2")
    assert gone.name in found.detail


def test_a_blob_that_no_record_names_is_left_to_the_sweep(store: Path) -> None:
    orphan = store / "blobs/ab" / ("ab" * 16)
    orphan.parent.mkdir(mode=0o700, exist_ok=True)
    orphan.write_bytes(b"x")
    orphan.chmod(0o600)

    (found,) = look(store, deep=False)
    mend(store)

    assert (found.check, found.harm, found.place) == ("orphans", "derivable", str(orphan))
    assert look(store) == []
    assert orphan.exists()


def test_a_blob_without_a_record_stays_while_records_are_lost(store: Path) -> None:
    """It may be what is left of one of them."""
    change(store, "UPDATE record SET blob = printf('%032d', no) WHERE key = 'big'")

    mend(store)

    left = {(each.check, each.harm) for each in look(store)}
    assert left == {("blob", "lost"), ("orphans", "derivable")}


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_files_that_others_can_read_are_named_and_closed(store: Path) -> None:
    (store / "store.sqlite").chmod(0o644)
    (store / "blobs").chmod(0o755)

    found = look(store, deep=False)
    mend(store)

    assert [(each.check, each.harm) for each in found] == [("modes", "none")] * 2
    assert look(store, deep=False) == []


def test_an_index_that_lacks_a_row_is_found_and_built_anew(sound: Path, store: Path) -> None:
    change(
        store,
        """
        CREATE TEMP TABLE kept AS SELECT sql FROM sqlite_schema WHERE name = 'request_head';
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'locked_until IS NULL', 'ord = 1')
        WHERE name = 'request_head';
        PRAGMA writable_schema = RESET;
        REINDEX request_head;
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = (SELECT sql FROM kept) WHERE name = 'request_head';
        """,
    )

    found = look(store, deep=False)
    mend(store)

    assert {(each.check, each.harm, each.place) for each in found} == {
        ("index", "derivable", "request_head")
    }
    assert look(store) == []
    assert contents(store) == contents(sound)


def test_a_table_that_is_described_otherwise_is_lost(store: Path) -> None:
    """As by a byte that changes in the text of the schema: reading would fail."""
    change(
        store,
        """
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'content_encoding', 'content_encodinG_')
        WHERE name = 'record';
        """,
    )

    (found,) = look(store)

    assert (found.check, found.harm) == ("database", "lost")


@pytest.mark.parametrize("size", [0, 100, 4096, 20_000])
def test_a_truncated_database_is_lost(store: Path, size: int) -> None:
    with (store / "store.sqlite").open("r+b") as file:
        file.truncate(size)

    found = look(store)

    assert found
    assert {each.harm for each in found} == {"lost"}


def test_a_database_that_is_missing_is_lost(store: Path) -> None:
    (store / "store.sqlite").unlink()

    (found,) = look(store)

    assert (found.check, found.harm) == ("database", "lost")
    assert "store.sqlite is missing" in found.detail


def rows_of_bodies(store: Path) -> list[tuple[str, int, bytes]]:
    import sqlite3

    connection = sqlite3.connect(store / "store.sqlite")
    found = [
        (table, no, body)
        for table in ("chunk", "record")
        for no, body in connection.execute(f"SELECT no, body FROM {table} WHERE length(body) > 0")
    ]
    connection.close()
    return found


@bounded
@given(data=st.data())
def test_a_bit_that_flips_in_any_body_is_found(store: Path, data: st.DataObject) -> None:
    table, no, body = data.draw(st.sampled_from(rows_of_bodies(store)))
    at, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(body)
    flipped[at] ^= 1 << bit
    change(store, f"UPDATE {table} SET body = ? WHERE no = ?", bytes(flipped), no)
    try:
        (found,) = look(store)
    finally:
        change(store, f"UPDATE {table} SET body = ? WHERE no = ?", body, no)

    assert found.harm == "lost"
    assert found.check == {"chunk": "items", "record": "record"}[table]


def test_a_chunk_that_claims_terabytes_is_damage_and_takes_no_memory(store: Path) -> None:
    table, no, body = max(rows_of_bodies(store), key=lambda row: len(row[2]))
    eight_bytes_of_size = bytes([0xE4]) + (1 << 45).to_bytes(8, "little")
    change(
        store,
        "UPDATE chunk SET body = ? WHERE no = ?",
        body[:4] + eight_bytes_of_size + body[9:],
        no,
    )
    opened = open_store(str(store))

    with pytest.raises(Local, match="claims more than a chunk can hold"):
        list(opened.datasets.items("~things", ItemsQuery()).lines)
    opened.close()
    (found,) = look(store)

    assert table == "chunk"
    assert (found.check, found.harm) == ("items", "lost")


@bounded
@given(at=st.integers(0, len(BIG) - 2), bit=st.integers(0, 7), which=st.integers(0, 1))
def test_a_bit_that_flips_in_any_blob_is_found(store: Path, at: int, bit: int, which: int) -> None:
    path = blobs(store)[which]
    with path.open("r+b") as file:
        file.seek(at)
        before = file.read(1)
        file.seek(at)
        file.write(bytes([before[0] ^ (1 << bit)]))
    try:
        (found,) = look(store)
    finally:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(before)

    assert (found.check, found.harm) == ("blob", "lost")


@bounded
@given(data=st.data())
def test_a_database_with_a_byte_changed_anywhere_is_told_or_reads_the_same(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Where no finding is made, what is read is what was written; a check never fails itself."""
    original = (sound / "store.sqlite").read_bytes()
    at, value = data.draw(st.integers(0, len(original) - 1)), data.draw(st.integers(0, 255))
    store = Path(shutil.copytree(sound, tmp_path_factory.mktemp("byte") / "store"))
    changed = bytearray(original)
    changed[at] = value
    (store / "store.sqlite").write_bytes(changed)

    found = look(store)

    if not found:
        assert contents(store) == contents(sound)
    shutil.rmtree(store)


WRITER = """
import os, random, sys
from storectl.engine import open_store
from storectl.errors import Local
from storectl.errors import NotFound
from storectl.model.items import Items
from storectl.model.kvs import Record

store, chance = open_store(sys.argv[1]), random.Random(int(sys.argv[2]))
print("ready", flush=True)
number = 0
while True:
    number += 1
    try:
        size = chance.choice([1, 3, 3, 3, 2000])
        store.datasets.push("~things", Items.of([{"n": n, "#h": 1} for n in range(size)]))
        key = f"k{chance.randrange(6)}"
        body = os.urandom(chance.choice([10, 200_000]))
        store.kvs.put("~files", Record(key=key, content_type="text/plain", body=(body,)))
        store.kvs.remove("~files", f"k{chance.randrange(6)}")
        made = [{"url": f"https://example.com/{sys.argv[2]}/{number}/{n}"} for n in range(5)]
        made = [{**each, "uniqueKey": each["url"]} for each in made]
        store.queues.add("~urls", made, forefront=chance.random() < 0.5)
        for each in store.queues.lock_head("~urls", lock_secs=9999, limit=3, client_key="w").items:
            full = store.queues.request("~urls", each["id"])
            if chance.random() < 0.5:
                full = {**full, "handledAt": "2026-01-01T00:00:00.000Z"}
                store.queues.update_request("~urls", full, client_key="w")
            else:
                store.queues.unlock("~urls", each["id"], client_key="w")
        store.queues.delete_requests("~urls", [{"uniqueKey": made[0]["uniqueKey"]}])
        other = store.datasets.create(f"other-{chance.randrange(3)}")[0].id
        store.datasets.push(other, Items.of([{"n": 1}] * 900))
        store.access.link("dataset", other, secs=60)
        store.datasets.delete(other)
    except NotFound:
        continue
"""


def test_writers_at_full_load_make_no_false_alarm(store: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store), str(seed)], stdout=subprocess.PIPE
        )
        for seed in range(3)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        found = [each for number in range(12) for each in look(store, deep=number % 2 == 1)]
        alive = [writer.poll() is None for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()

    assert found == []
    assert alive == [True] * 3
    assert look(store) == []  # after the kill, too
