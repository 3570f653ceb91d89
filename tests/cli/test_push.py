"""storectl dataset push: what is made for it, in which order, and what a kill leaves."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from storectl.transfer.journal import Journal
from tests.faults import Asked, Proxy

from .conftest import Here, Served

BATCHES = 6
BATCH_ITEMS = 17
"""Of 120 kB each."""
JOBS = 3


def items_of(here: Here, name: str, **how: dict[str, str]) -> list[int]:
    return [json.loads(line)["n"] for line in here("dataset", "items", name, **how).lines()]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", "[1]\n"),
        ("a.jsonl", '{"n":\n'),
        ("a.json", '[{"n":1},'),
        ("a.json", ""),
        ("a.csv", "n\n"),
        ("a.jsonl", "\n \n"),
        ("a.jsonl", "<html>"),
    ],
)
def test_bad_input_makes_no_dataset(here: Here, name: str, text: str) -> None:
    (here.folder / name).write_text(text)

    of_file = here("dataset", "push", "a", name, "--create")
    of_pipe = here("dataset", "push", "a", "--create", stdin=text)

    assert (of_file.code, of_pipe.code) == (2, 2)
    assert here("dataset", "ls", "-q").out == ""
    assert not list(here.folder.glob("**/push-*"))


def test_a_dataset_is_made_when_there_is_an_item_for_it(here: Here) -> None:
    (here.folder / "a.jsonl").write_text('5\n{"n":1}\n')

    done = here("dataset", "push", "a", "a.jsonl", "--create")
    more = here("dataset", "push", "a", "--create", stdin='{"n":2}\n')

    assert (done.code, more.code) == (7, 0)
    assert items_of(here, "a") == [1, 2]


def test_an_empty_input_that_is_allowed_makes_the_dataset(here: Here, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")

    done = here("dataset", "push", "a", "a.jsonl", "--create", "--allow-empty")

    assert (done.code, done.out) == (0, "0\n")
    assert here("dataset", "info", "a", "--json").json()["itemCount"] == 0


@pytest.mark.parametrize("where", ["embedded", "server"])
def test_several_files_may_come_in_any_order(
    here: Here, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr("storectl.transfer.push.BATCH_BYTES", 1000)
    server = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}
    env = server if where == "server" else {}
    for first in (0, 500):
        lines = (f'{{"n":{n}}}\n' for n in range(first, first + 500))
        (tmp_path / f"{first}.jsonl").write_text("".join(lines))

    words = ("unordered-push", "0.jsonl", "500.jsonl", "--create", "--unordered", "-j", "4")
    done = here("dataset", "push", *words, env=env)

    assert (done.code, done.out) == (0, "1000\n")
    assert sorted(items_of(here, "unordered-push", env=env)) == list(range(1000))


@pytest.mark.parametrize("fault", ["hold", "late"])
def test_a_killed_push_of_several_lanes_goes_on_with_what_is_not_there(
    here: Here, served: Served, fault: str
) -> None:
    """The first batch is in doubt, whether the server has it or not; others behind it are there."""
    text = "x" * 120_000  # so that batches are full
    lines = (json.dumps({"n": n, "text": text}) + "\n" for n in range(BATCHES * BATCH_ITEMS))
    (here.folder / "items.jsonl").write_text("".join(lines))
    name = f"killed-{fault}"
    pushes: list[Asked] = []

    def plan(asked: Asked) -> str | None:
        if asked.method == "POST" and "/items" in asked.target:
            pushes.append(asked)
            return fault if len(pushes) == 1 else None
        return None

    with Proxy(served.url, plan) as proxy:
        env = {"STORECTL_SERVER": proxy.url, "STORECTL_TOKEN": served.token, "STORECTL_STORE": ""}
        words = ("dataset", "push", name, "items.jsonl", "--create", "--unordered", "-j", str(JOBS))
        process = here.start(*words, env=env)
        end = time.monotonic() + 60
        while len(pushes) < BATCHES and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        before = len(pushes)
        done = here(*words, env=env)

        assert (done.code, done.out) == (0, f"{BATCHES * BATCH_ITEMS}\n"), done.err
        assert "of them earlier" in done.err
        assert len(pushes) - before <= JOBS
        assert sorted(items_of(here, name, env=env)) == list(range(BATCHES * BATCH_ITEMS))


def test_doctor_names_what_was_stopped(here: Here, tmp_path: Path) -> None:
    env = {"STORECTL_STATE_DIR": str(tmp_path / "state")}
    before = here("doctor", "--json", env=env).json()
    with Journal(tmp_path / "state", "push", {"files": [["/data/items.jsonl", 1, 2]]}) as journal:
        journal.write({"batches": 1})

    after = here("doctor", "--json", env=env).json()

    (fine,), (told,) = (
        [one for one in found["items"] if one["check"] == "transfers"] for found in (before, after)
    )
    assert (fine["state"], told["state"]) == ("ok", "warn")
    assert told["detail"] == "1 transfer stopped, the oldest 0 days ago: push /data/items.jsonl"
    assert "the same command again" in told["fix"]
