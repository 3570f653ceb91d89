"""Large records: where their bytes lie, that none is lost and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storectl.engine import files as files_module
from storectl.engine import open_store
from storectl.engine.files import Files
from storectl.engine.kvs import GRACE_SECS, INLINE_BYTES, UPLOAD_SECS, KeyValueStores, collect
from storectl.engine.place import BlobPlace
from storectl.engine.reads import Reads
from storectl.engine.sqlite import SqliteDb
from storectl.engine.token import make_user
from storectl.errors import Local, NotFound, Unavailable
from storectl.model import rules
from storectl.model.kvs import KeysQuery, Record

from ..clock import Clock

LARGE = INLINE_BYTES + 1
BODY = os.urandom(LARGE)


@pytest.fixture
def kvs(tmp_path: Path) -> Iterator[KeyValueStores]:
    store = open_store(str(tmp_path / "store"))
    store.kvs.create("box")
    yield store.kvs
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(tmp_path: Path, clock: Clock) -> Iterator[KeyValueStores]:
    """A keeper with that clock."""
    db = SqliteDb(tmp_path / "timed")
    files = Files(tmp_path / "timed" / "blobs")
    keeper = KeyValueStores(db, make_user(db, "alice"), Reads(), files, clock=clock)
    keeper.create("box")
    yield keeper
    db.close()


def put(kvs: KeyValueStores, key: str, body: bytes) -> None:
    kvs.put("~box", Record(key=key, content_type="a/b", body=(body,)))


def value(kvs: KeyValueStores, key: str) -> bytes:
    return b"".join(kvs.record("~box", key).body)


def folder(kvs: KeyValueStores) -> Path:
    """Of its blobs."""
    blobs = kvs.blobs.blobs if isinstance(kvs.blobs, BlobPlace) else kvs.blobs
    assert isinstance(blobs, Files)
    return blobs.folder


def on_disk(kvs: KeyValueStores) -> list[Path]:
    """Every file below the folder of blobs."""
    return [path for path in folder(kvs).rglob("*") if path.is_file()]


def collected(kvs: KeyValueStores, *, after_secs: int) -> int:
    return collect(kvs.db, kvs.blobs, now=rules.now_ms() + after_secs * 1000)


def test_small_bodies_lie_in_the_database_and_larger_ones_in_a_file(kvs: KeyValueStores) -> None:
    put(kvs, "small", bytes(INLINE_BYTES))
    assert on_disk(kvs) == []

    put(kvs, "large", BODY)

    (path,) = on_disk(kvs)
    assert path.read_bytes() == BODY
    assert path.parent.name == path.name[:2]
    assert len(path.name) == 32


def test_nobody_else_can_read_the_files(kvs: KeyValueStores) -> None:
    old = os.umask(0)
    try:
        put(kvs, "large", BODY)
    finally:
        os.umask(old)

    (path,) = on_disk(kvs)
    modes = [each.stat().st_mode & 0o777 for each in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


def test_a_file_is_flushed_before_it_has_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        done.append("flush " + str(path.relative_to(tmp_path)))
        fsync(descriptor)

    def watched_rename(old: Path, new: Path) -> None:
        done.append(f"name {new.relative_to(tmp_path)}")
        rename(old, new)

    monkeypatch.setattr(files_module.os, "fsync", watched_fsync)
    monkeypatch.setattr(files_module.os, "rename", watched_rename)
    Files(tmp_path / "blobs").put("abcd", [b"body"])

    assert done == [
        "flush .",
        "flush blobs",
        "flush blobs/ab/abcd.part",
        "name blobs/ab/abcd",
        "flush blobs/ab",
    ]


@pytest.mark.parametrize("change", ["replaced", "removed", "deleted with its store"])
def test_the_file_of_a_record_that_is_gone_goes_after_an_hour(
    kvs: KeyValueStores, change: str
) -> None:
    put(kvs, "large", BODY)
    if change == "replaced":
        put(kvs, "large", b"small")
    elif change == "removed":
        kvs.remove("~box", "large")
    else:
        kvs.delete("~box")

    before = collected(kvs, after_secs=GRACE_SECS - 60)
    assert (before, len(on_disk(kvs))) == (0, 1)
    after = collected(kvs, after_secs=GRACE_SECS + 60)

    assert (after, on_disk(kvs)) == (1, [])
    assert collected(kvs, after_secs=GRACE_SECS + 60) == 0


def test_the_file_of_a_record_that_is_there_never_goes(kvs: KeyValueStores) -> None:
    put(kvs, "large", BODY)

    assert collected(kvs, after_secs=10 * UPLOAD_SECS) == 0
    assert value(kvs, "large") == BODY


def test_disk_space_comes_back_with_later_uploads(timed: KeyValueStores, clock: Clock) -> None:
    put(timed, "large", BODY)
    put(timed, "large", b"small")
    clock.now += (GRACE_SECS + 1) * 1000

    again = KeyValueStores(timed.db, timed.user, timed.reads, timed.blobs, clock=clock)
    put(again, "other", bytes(LARGE))

    assert [path.read_bytes() for path in on_disk(timed)] == [bytes(LARGE)]


def test_what_two_collect_at_once_is_deleted_once(kvs: KeyValueStores) -> None:
    for key in "abc":
        put(kvs, key, BODY)
        kvs.remove("~box", key)
    on_disk(kvs)[0].unlink()

    assert collected(kvs, after_secs=GRACE_SECS + 1) == 3
    assert on_disk(kvs) == []


class Broken(Exception):
    """The sender's own failure."""


def test_an_upload_that_breaks_off_leaves_no_file(kvs: KeyValueStores) -> None:
    def body() -> Iterator[bytes]:
        yield BODY
        yield BODY
        assert len(on_disk(kvs)) == 1
        raise Broken

    with pytest.raises(Broken):
        kvs.put("~box", Record(key="large", content_type="a/b", body=body()))

    assert on_disk(kvs) == []
    assert collected(kvs, after_secs=UPLOAD_SECS + 1) == 1


def test_a_failure_of_the_sender_is_not_taken_for_one_of_the_disk(kvs: KeyValueStores) -> None:
    def body() -> Iterator[bytes]:
        yield BODY
        yield BODY
        raise ConnectionResetError("peer is gone")

    with pytest.raises(ConnectionResetError):
        kvs.put("~box", Record(key="large", content_type="a/b", body=body()))


def test_an_upload_that_a_sweep_may_have_met_is_not_named(
    timed: KeyValueStores, clock: Clock
) -> None:
    """A sender who takes over a day loses: his blob may be gone already."""

    def body() -> Iterator[bytes]:
        yield BODY
        yield BODY
        clock.now += (UPLOAD_SECS + 1) * 1000
        yield b"the end"

    with pytest.raises(Unavailable, match="took over 24 h"):
        timed.put("~box", Record(key="large", content_type="a/b", body=body()))

    assert timed.keys("~box", KeysQuery()).items == []
    assert collect(timed.db, timed.blobs, now=clock()) == 1
    assert on_disk(timed) == []


def test_a_store_deleted_during_an_upload_stays_deleted(kvs: KeyValueStores) -> None:
    def body() -> Iterator[bytes]:
        yield BODY
        yield BODY
        kvs.delete("~box")
        yield b"the end"

    with pytest.raises(NotFound):
        kvs.put("~box", Record(key="large", content_type="a/b", body=body()))

    assert collected(kvs, after_secs=UPLOAD_SECS + 1) == 1
    assert on_disk(kvs) == []


def test_a_flipped_bit_is_found_before_the_last_block_is_out(kvs: KeyValueStores) -> None:
    body = os.urandom(1_000_000)
    put(kvs, "large", body)
    (path,) = on_disk(kvs)
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])

    given: list[bytes] = []
    with pytest.raises(Local, match="Record 'large' is damaged"):
        given.extend(kvs.record("~box", "large").body)

    assert 0 < sum(map(len, given)) < len(body)


@pytest.mark.parametrize("damage", ["cut", "longer", "missing"])
def test_a_file_of_another_size_is_found_before_any_block_is_out(
    kvs: KeyValueStores, damage: str
) -> None:
    put(kvs, "large", BODY)
    (path,) = on_disk(kvs)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(BODY[:-1] if damage == "cut" else BODY + b"x")

    with pytest.raises(Local, match=r"is (damaged|missing)"):
        kvs.record("~box", "large")


def test_a_flipped_bit_in_the_database_is_found(kvs: KeyValueStores) -> None:
    put(kvs, "small", b"value")
    kvs.db.write(lambda tx: tx.all("UPDATE record SET body = CAST('valuf' AS BLOB)"))

    with pytest.raises(Local, match="is damaged"):
        kvs.record("~box", "small")


LIMITED = """
import resource, sys
from storectl.engine import open_store
from storectl.errors import Local
from storectl.model.kvs import Record

store = open_store(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    store.kvs.put("~box", Record(key="one", content_type="a/b", body=[b"x" * 100_000] * 40))
except Local as error:
    print(error.exit_code, error.message, "|", error.hint)
"""


def test_a_full_disk_is_said_and_changes_nothing(kvs: KeyValueStores) -> None:
    """A limit on the size of files stands for the disk: EFBIG instead of ENOSPC."""
    put(kvs, "one", BODY)

    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder(kvs).parent)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.startswith("12 Disk is full: ")
    assert "free some space" in done.stdout
    assert value(kvs, "one") == BODY
    assert len(on_disk(kvs)) == 1


UPLOADING = """
import sys
from storectl.engine import open_store
from storectl.model.kvs import Record

def body():
    for at in range(1000):
        print(at, flush=True)
        yield bytes(100_000)

store = open_store(sys.argv[1])
store.kvs.put("~box", Record(key="one", content_type="a/b", body=body()))
"""


@pytest.mark.parametrize("at", [0, 1, 2, 3, 10, 200])
def test_a_killed_upload_changes_nothing_and_leaves_what_is_listed(
    kvs: KeyValueStores, at: int
) -> None:
    put(kvs, "one", b"before")

    process = subprocess.Popen(
        [sys.executable, "-c", UPLOADING, str(folder(kvs).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= at:
            process.send_signal(signal.SIGKILL)
            break
    process.wait(60)
    process.stdout.close()

    assert value(kvs, "one") == b"before"
    collected(kvs, after_secs=UPLOAD_SECS + 1)
    assert on_disk(kvs) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("not a folder")

    with pytest.raises(Local, match="cannot be used"):
        Files(tmp_path / "blobs").put("abcd", [b"body"])


def test_deleting_what_is_not_there_is_no_failure(tmp_path: Path) -> None:
    Files(tmp_path).delete("abcd")
