"""The journal of a job: read back, replaced in one step, held by one process."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from msgspec import Struct

from storectl.errors import Conflict, Local
from storectl.transfer.journal import KEPT_SECS, Journal, left_behind


class State(Struct):
    rows: int


def test_the_same_job_finds_its_journal_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "state", "pull", {"a": 1, "b": "x"}) as journal:
        journal.write(State(7), durable=True)

    with Journal(tmp_path / "state", "pull", {"b": "x", "a": 1}) as again:
        assert again.read(State) == State(7)
        assert again.name == journal.name


@pytest.mark.parametrize(
    ("verb", "job"), [("push", {"a": 1}), ("pull", {"a": 2}), ("pull", {"a": 1, "b": 2})]
)
def test_another_job_does_not(tmp_path: Path, verb: str, job: dict[str, object]) -> None:
    with Journal(tmp_path, "pull", {"a": 1}) as journal:
        journal.write(State(7))

    assert Journal(tmp_path, verb, job).read(State) is None


def test_a_finished_job_leaves_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path, "pull", {}) as journal:
        journal.write(State(7))
        journal.forget()

    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    with Journal(tmp_path / "state", "pull", {}) as journal:
        journal.write(State(7))

    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def test_two_runs_of_one_job_exclude_each_other(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, "pull", {}),
        pytest.raises(Conflict, match="another process"),
        Journal(tmp_path, "pull", {}),
    ):
        pass

    with Journal(tmp_path, "pull", {}) as free:
        assert free.read(State) is None


@pytest.mark.parametrize("text", ["", "{}", '{"state":{"rows":"x"}}', "[1]", "null"])
def test_a_journal_that_makes_no_sense_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    journal = Journal(tmp_path, "pull", {})
    journal.path.write_text(text)

    with pytest.raises(Local, match="not a journal"):
        journal.read(State)


def begun(folder: Path, verb: str, **job: object) -> Journal:
    """A job that was killed."""
    journal = Journal(folder, verb, job)
    with journal:
        journal.write(State(7))
    journal.path.with_suffix(".lock").touch()
    return journal


def grow_old(folder: Path, secs: float = KEPT_SECS + 60) -> None:
    for path in folder.iterdir():
        os.utime(path, (time.time() - secs,) * 2)


def test_the_next_job_removes_what_nobody_goes_on_with(tmp_path: Path) -> None:
    state, target = tmp_path / "state", tmp_path / "out.csv"
    old = begun(state, "pull", file=str(target))
    begun(state, "push", files=[["gone.jsonl", 1, 2]])
    (state / "pull-0.lock").touch()
    (state / "push-1.json").write_text("cut o")
    parts = [tmp_path / f".out{part}.csv.{old.name}.part" for part in ("", "-00001")]
    others = [target, tmp_path / ".out.csv.0a1b2c3d.part", tmp_path / f".out.{old.name}.bak"]
    for path in [*parts, *others]:
        path.touch()
    grow_old(state)

    with Journal(state, "pull", {"file": "another"}) as journal:
        journal.write(State(1))

    assert [path.name for path in state.iterdir()] == [journal.path.name]
    assert [path for path in parts if path.exists()] == []
    assert [path for path in others if not path.exists()] == []


def test_what_is_not_so_old_stays(tmp_path: Path) -> None:
    kept = begun(tmp_path, "push", files=[["a.jsonl", 1, 2]])
    grow_old(tmp_path, KEPT_SECS - 600)

    with Journal(tmp_path, "pull", {}):
        pass

    assert kept.read(State) == State(7)


def test_a_job_goes_on_with_its_own_journal_however_old(tmp_path: Path) -> None:
    old = begun(tmp_path, "push", files=[])
    grow_old(tmp_path)

    with Journal(tmp_path, "push", {"files": []}) as journal:
        assert journal.read(State) == State(7)
    assert journal.path == old.path


def test_a_job_that_a_process_is_at_is_neither_removed_nor_told(tmp_path: Path) -> None:
    with Journal(tmp_path, "push", {"files": [["slow.jsonl", 1, 2]]}) as slow:
        slow.write(State(7))
        grow_old(tmp_path)

        with Journal(tmp_path, "pull", {}):
            pass

        assert left_behind(tmp_path) == []
        assert slow.read(State) == State(7)
    assert [(left.verb, left.files) for left in left_behind(tmp_path)] == [("push", ["slow.jsonl"])]
    assert left_behind(tmp_path / "none") == []
