"""What was read may be remembered until anyone commits, and not a moment longer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from storectl.engine.memory import Memory
from storectl.engine.sqlite import SqliteDb
from storectl.engine.turns import FILE, Turns


def insert(db: SqliteDb, blob: str) -> None:
    db.write(lambda tx: tx.all("INSERT INTO garbage VALUES (:blob, 1)", blob=blob))


def reader(db: SqliteDb, asked: list[int]) -> Callable[[], list]:
    """What reads the table, and notes in `asked` that it did."""

    def read() -> list:
        asked.append(1)
        return db.all("SELECT blob FROM garbage ORDER BY blob")

    return read


def test_the_database_is_asked_once_while_nothing_is_committed(tmp_path: Path) -> None:
    db, asked = SqliteDb(tmp_path), []
    insert(db, "a")
    memory, read = Memory(db), reader(db, asked)

    answers = [memory.recall("all", read) for _ in range(3)]

    assert answers == [[("a",)]] * 3
    assert len(asked) == 1


def test_a_commit_is_seen_by_whoever_remembers(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)
    other = SqliteDb(tmp_path)
    memory, read = Memory(db), reader(db, [])
    before = memory.recall("all", read)

    insert(db, "own")
    after_own = memory.recall("all", read)
    insert(other, "other")
    after_other = memory.recall("all", read)

    assert (before, after_own, after_other) == ([], [("own",)], [("other",), ("own",)])


def test_a_commit_of_another_process_is_seen(tmp_path: Path) -> None:
    db = SqliteDb(tmp_path)
    memory, read = Memory(db), reader(db, [])
    memory.recall("all", read)

    code = (
        "import sys; from pathlib import Path; from storectl.engine.sqlite import SqliteDb; "
        "db = SqliteDb(Path(sys.argv[1])); "
        "db.write(lambda tx: tx.all(\"INSERT INTO garbage VALUES ('theirs', 1)\"))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)

    assert memory.recall("all", read) == [("theirs",)]


def test_while_another_process_commits_nothing_is_remembered(tmp_path: Path) -> None:
    """Also if it dies at that: nobody knows then whether its commit is there."""
    db, asked = SqliteDb(tmp_path), []
    memory, read = Memory(db), reader(db, asked)
    file = (tmp_path / FILE).open("r+b", buffering=0)
    count = int.from_bytes(file.read(8), sys.byteorder)

    file.seek(0)
    file.write((count + 1).to_bytes(8, sys.byteorder))
    memory.recall("all", read)
    memory.recall("all", read)
    assert len(asked) == 2

    insert(db, "next")
    memory.recall("all", read)
    assert memory.recall("all", read) == [("next",)]
    assert len(asked) == 3


def test_in_the_middle_of_an_own_commit_what_was_before_still_holds(tmp_path: Path) -> None:
    turns = Turns(tmp_path)
    before = turns.count()

    with turns.turn(), turns.commit(rights=True):
        during = turns.count()

    assert during == before
    assert turns.count() not in (None, before)


def test_a_commit_that_fails_counts_too(tmp_path: Path) -> None:
    turns = Turns(tmp_path)
    before = turns.count()

    with pytest.raises(OSError, match="full"), turns.turn(), turns.commit(rights=True):
        raise OSError("full")

    assert turns.count() not in (None, before)


def test_in_a_folder_that_cannot_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()  # as root, permissions stop nobody

    turns = Turns(tmp_path)

    assert turns.count() is None
    with turns.turn(), turns.commit(rights=True):
        pass


def test_a_memory_does_not_grow_without_end(tmp_path: Path) -> None:
    db, asked = SqliteDb(tmp_path), []
    memory, read = Memory(db, most=2), reader(db, asked)

    for key in ("a", "b", "c", "a", "c"):
        memory.recall(key, read)

    assert len(asked) == 4  # `c` each time


def test_rights_are_asked_again_only_where_a_commit_changes_them(tmp_path: Path) -> None:
    turns = Turns(tmp_path)
    before = turns.rights()

    with turns.turn(), turns.commit(rights=False):
        pass
    after_other_things = turns.rights()
    with turns.turn(), turns.commit(rights=True):
        pass

    assert after_other_things == before
    assert turns.rights() not in (None, before)


def test_a_change_of_rights_of_another_writer_is_seen_at_once(tmp_path: Path) -> None:
    db, other = SqliteDb(tmp_path), SqliteDb(tmp_path)
    before = db.rights()

    other.commit("-- Changes rights.\nDELETE FROM granted")

    assert db.rights() not in (None, before)


def test_nobody_knows_rights_while_they_are_changed_or_after_who_did_died(tmp_path: Path) -> None:
    mine, theirs = Turns(tmp_path), Turns(tmp_path)
    before = mine.rights()

    change = theirs.commit(rights=True)
    change.__enter__()
    during = mine.rights()
    with mine.turn(), mine.commit(rights=False):
        mending = mine.rights()

    assert during is None
    assert mending != before
    assert mine.rights() not in (None, before)


def test_a_file_of_turns_that_counts_no_rights_yet_goes_on_counting(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes((4).to_bytes(8, sys.byteorder))

    turns = Turns(tmp_path)

    assert (turns.count(), turns.rights()) == (4, 0)
