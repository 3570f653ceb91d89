"""A backup holds all that was acknowledged, is whole or is none, and comes back as it was."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from storectl.engine import look_after, open_store
from storectl.errors import CheckFailed, Conflict, InvalidInput, NotFound, StorectlError
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import Record
from storectl.model.upkeep import Copied

from .keeping import BIG, blobs, change, contents, fill, look


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "store"
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def made(sound: Path) -> Path:
    """A backup of the sound store."""
    return back_up(sound, sound.with_name("backup"))


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "store"))


@pytest.fixture
def backup(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "backup"))


def back_up(store: Path, to: Path) -> Path:
    *_, copied = look_after(str(store)).back_up(to)
    assert isinstance(copied, Copied)
    return to


def restore(backup: Path, to: Path) -> Path:
    *_, copied = look_after(str(to)).restore(backup)
    assert isinstance(copied, Copied)
    return to


def test_what_is_restored_is_what_was_backed_up(sound: Path, made: Path, tmp_path: Path) -> None:
    new = restore(made, tmp_path / "new")

    assert contents(new) == contents(sound)
    assert look(new) == []


def test_the_summary_counts_what_was_copied(store: Path, tmp_path: Path) -> None:
    *_, copied = look_after(str(store)).back_up(tmp_path / "backup")

    size = sum(path.stat().st_size for path in blobs(store))
    database = (tmp_path / "backup/store.sqlite").stat().st_size
    assert isinstance(copied, Copied)
    assert copied[:3] == (3, 2, size + database)
    told = json.loads((tmp_path / "backup/backup.json").read_bytes())
    assert told["databaseSha256"] == copied.sha256


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_nobody_else_can_read_a_backup_or_what_is_restored(store: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        backup = back_up(store, tmp_path / "backups" / "monday")
        new = restore(backup, tmp_path / "new")
    finally:
        os.umask(before)

    for place in (backup, new):
        for path in (place, *place.rglob("*")):
            wanted = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_tokens_work_as_they_did(store: Path, tmp_path: Path) -> None:
    opened = open_store(str(store))
    secret = opened.tokens.create("ci").secret
    opened.close()

    new = restore(back_up(store, tmp_path / "backup"), tmp_path / "new")

    again = open_store(str(new))
    assert secret is not None
    caller = again.caller(secret)
    again.close()
    assert caller is not None


def test_a_backup_can_be_looked_at_like_a_store(made: Path) -> None:
    assert look(made) == []
    assert sorted(path.name for path in made.iterdir()) == ["backup.json", "blobs", "store.sqlite"]


def test_nothing_is_overwritten(store: Path, backup: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    for taken in (backup, store, tmp_path / "file"):
        with pytest.raises((Conflict, InvalidInput)):
            back_up(store, taken)
    for taken in (store, tmp_path / "file"):
        with pytest.raises(Conflict):
            restore(backup, taken)

    assert (tmp_path / "file").read_text() == "mine"
    assert look(store) == look(backup) == []


def test_an_empty_folder_may_be_there(store: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "new").mkdir(mode=0o755)

    new = restore(back_up(store, tmp_path / "backup"), tmp_path / "new")

    assert look(new) == []


def test_a_backup_into_the_store_is_refused(store: Path) -> None:
    with pytest.raises(InvalidInput, match="inside of the store"):
        back_up(store, store / "backup")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        back_up(tmp_path / "nothing", tmp_path / "backup")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 9])
def test_a_backup_that_was_cut_off_is_never_there(store: Path, tmp_path: Path, steps: int) -> None:
    """Like a kill after so many steps: what runs at its end is kept from running."""
    cut = look_after(str(store)).back_up(tmp_path / "backup")
    assert len(list(islice(cut, steps))) == steps

    left = [path for path in tmp_path.iterdir() if path != store]
    assert not (tmp_path / "backup").exists()
    assert len(left) == 1
    with pytest.raises(CheckFailed, match="not a whole backup"):
        restore(left[0], tmp_path / "new")
    assert not (tmp_path / "new").exists()

    cut.close()  # type: ignore[attr-defined]
    assert [path for path in tmp_path.iterdir() if path != store] == []


def test_a_backup_after_one_that_was_cut_off_succeeds(store: Path, tmp_path: Path) -> None:
    cut = look_after(str(store)).back_up(tmp_path / "backup")
    next(iter(cut))

    assert look(back_up(store, tmp_path / "backup")) == []


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


HALVES: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda backup: (backup / "backup.json").unlink(),
    "an empty manifest": lambda backup: (backup / "backup.json").write_bytes(b""),
    "half a manifest": lambda backup: (backup / "backup.json").write_bytes(b'{"format": 1'),
    "no database": lambda backup: (backup / "store.sqlite").unlink(),
    "half a database": lambda backup: os.truncate(backup / "store.sqlite", 40_000),
    "a bit of the database": lambda backup: flip(backup / "store.sqlite", 100_001),
    "a missing blob": lambda backup: blobs(backup)[0].unlink(),
    "half a blob": lambda backup: os.truncate(blobs(backup)[0], 1000),
    "a bit of a blob": lambda backup: flip(blobs(backup)[1], 77),
    "no blobs": lambda backup: shutil.rmtree(backup / "blobs"),
}


@pytest.mark.parametrize("damage", HALVES.values(), ids=list(HALVES))
def test_half_a_backup_is_refused_and_nothing_appears(
    backup: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(backup)

    with pytest.raises(CheckFailed):
        restore(backup, tmp_path / "new")

    assert list(tmp_path.iterdir()) == [backup]


def test_a_backup_of_a_newer_storectl_is_refused(backup: Path, tmp_path: Path) -> None:
    told = json.loads((backup / "backup.json").read_bytes())
    (backup / "backup.json").write_text(json.dumps({**told, "format": 2, "storectl": "9.0"}))

    with pytest.raises(StorectlError, match=r"newer storectl, 9\.0"):
        restore(backup, tmp_path / "new")


@pytest.mark.parametrize(
    "damage",
    [
        lambda store: blobs(store)[0].unlink(),
        lambda store: flip(blobs(store)[0], 5),
        lambda store: change(store, "UPDATE chunk SET crc = 1 WHERE codec = 0"),
        lambda store: change(store, "UPDATE storage SET bytes = 1"),
    ],
    ids=["a missing blob", "a bit of a blob", "a chunk", "a counter"],
)
def test_a_damaged_store_gives_no_backup_that_looks_good(
    store: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(store)

    with pytest.raises(CheckFailed, match="there is damage"):
        back_up(store, tmp_path / "backup")

    assert list(tmp_path.iterdir()) == [store]


CUT_OFF = """
import sys; from pathlib import Path; from storectl.engine import look_after
keeper, place = look_after(sys.argv[2]), Path(sys.argv[3])
steps = iter(keeper.back_up(place) if sys.argv[1] == "backup" else keeper.restore(place))
next(steps)
print("under way", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["backup", "restore"])
def test_what_a_killed_copy_has_left_goes_with_the_next_to_the_same_place(
    kind: str, store: Path, backup: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    words = (str(store), str(new)) if kind == "backup" else (str(new), str(backup))
    process = subprocess.Popen(
        [sys.executable, "-c", CUT_OFF, kind, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "under way\n"
    (part,) = tmp_path.glob(".new.*.part")

    again = partial(back_up, store) if kind == "backup" else partial(restore, backup)
    shutil.rmtree(again(new))
    assert part.exists()  # its process lives

    process.kill()
    process.communicate(timeout=60)
    again(new)
    assert not list(tmp_path.glob(".new.*"))
    assert contents(restore(new, tmp_path / "last") if kind == "backup" else new)


def test_what_four_writers_were_told_before_is_in_it(store: Path, tmp_path: Path) -> None:
    acknowledged: dict[int, int] = {}
    stop, going = threading.Event(), threading.Barrier(5)

    def write(writer: int) -> None:
        mine = open_store(str(store))
        mine.datasets.create(f"of-{writer}")
        number = 0
        while not stop.is_set():
            mine.datasets.push(f"~of-{writer}", Items.of([{"n": number}] * 20))
            body = str(number).encode().ljust(150_000)
            mine.kvs.put("~files", Record(key=f"w{writer}", content_type="a/b", body=(body,)))
            number += 1
            acknowledged[writer] = number
            if number == 3:
                going.wait(300)
        mine.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        going.wait(300)
        for attempt in range(3):
            before = dict(acknowledged)
            new = restore(back_up(store, tmp_path / f"b{attempt}"), tmp_path / f"new{attempt}")
            assert look(new) == []
            copy = open_store(str(new))
            for number, count in before.items():
                assert copy.datasets.get(f"~of-{number}").item_count >= 20 * count
                body = b"".join(copy.kvs.record("~files", f"w{number}").body or ())
                assert int(body) >= count - 1
            copy.close()
    finally:
        stop.set()
        for writer in writers:
            writer.join(300)


def test_a_blob_that_is_replaced_while_it_is_copied_is_in_it_and_goes_afterwards(
    store: Path, tmp_path: Path
) -> None:
    """Also if that takes longer than replaced bytes are kept: an hour and a half here."""
    now = int(time.time() * 1000)
    named = {path.name for path in blobs(store)}
    running = look_after(str(store), clock=lambda: now).back_up(tmp_path / "backup")
    next(iter(running))  # the database is copied, the blobs are not

    later = open_store(str(store), clock=lambda: now + 10)
    for key in ("big", "big-2"):
        later.kvs.put("~files", Record(key=key, content_type="a/b", body=(BIG[2:],)))
    later.close()
    sweep(store, now + 90 * 60_000)
    assert named <= {path.name for path in blobs(store)}

    *_, copied = running
    assert isinstance(copied, Copied)
    assert {path.name for path in blobs(tmp_path / "backup")} == named
    sweep(store, now + 90 * 60_000)
    assert named.isdisjoint(path.name for path in blobs(store))


def test_a_backup_that_was_killed_holds_up_no_sweep_for_long(store: Path, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    cut = look_after(str(store), clock=lambda: now).back_up(tmp_path / "backup")
    next(iter(cut))
    named = {path.name for path in blobs(store)}
    later = open_store(str(store), clock=lambda: now + 10)
    for key in ("big", "big-2"):
        later.kvs.remove("~files", key)
    later.close()

    sweep(store, now + 3 * 3600_000)

    assert named.isdisjoint(path.name for path in blobs(store))


def sweep(store: Path, now: int) -> None:
    """As a server does when the clock is there."""
    opened = open_store(str(store), clock=lambda: now)
    opened.retain(None)
    opened.sweep()
    opened.close()


def test_items_of_a_backup_read_the_same_while_the_store_goes_on(
    store: Path, tmp_path: Path
) -> None:
    before = contents(store)
    backup = back_up(store, tmp_path / "backup")
    opened = open_store(str(store))
    opened.datasets.push("~things", Items.of([{"new": True}]))
    total = opened.datasets.items("~things", ItemsQuery()).total
    opened.close()

    new = restore(backup, tmp_path / "new")

    assert contents(new) == before
    assert total == before["things"].count(b"\n") + 1
