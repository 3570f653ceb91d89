"""The journal of a job: read back, replaced in one step, held by one process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from msgspec import Struct

from storectl.errors import Conflict, Local
from storectl.transfer.journal import Journal


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
