"""Several processes on one port: one may be killed, all end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.errors import Unavailable
from storectl.model.dataset import ItemsQuery
from storectl.server import worker

SERVING = Path(__file__).parents[1] / "serving.py"
WORKERS = 3


class Started:
    """A server of three processes, and what it says."""

    def __init__(self, home: str, token: str) -> None:
        self.token = token
        self.process = subprocess.Popen(
            [sys.executable, str(SERVING), home, f"workers={WORKERS}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        until(lambda: len(self.workers()) == WORKERS)

    def workers(self) -> list[int]:
        """The processes that serve."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]

    def push(self, dataset: str, number: int) -> None:
        """Push an item, again if whoever took the call was killed; once all the same."""
        sent = Request(
            f"{self.address}/v2/datasets/{dataset}/items",
            json.dumps({"n": number}).encode(),
            {
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": str(number),
            },
        )
        for _ in range(20):
            try:
                with urlopen(sent, timeout=60) as answer:
                    assert answer.status == 201
                    return
            except (OSError, HTTPException):
                continue
        raise AssertionError("nobody answered")


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what will be."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


@pytest.fixture
def dataset(home: str) -> str:
    store = open_store(home)
    made = store.datasets.create("numbers")[0].id
    store.close()
    return made


@pytest.fixture
def started(home: str, dataset: str) -> Iterator[Started]:
    store = open_store(home)
    secret = store.tokens.create("test").secret
    store.close()
    found = Started(home, str(secret))
    yield found
    found.process.kill()
    found.process.communicate()


def test_one_that_is_killed_is_replaced_and_the_others_go_on(
    home: str, started: Started, dataset: str
) -> None:
    before = started.workers()

    for number in range(60):
        if number == 20:
            os.kill(before[1], signal.SIGKILL)
        started.push(dataset, number)
    until(lambda: len(started.workers()) == WORKERS and before[1] not in started.workers())
    started.process.terminate()
    more, told = started.process.communicate(timeout=60)

    store = open_store(home)
    lines = b"".join(store.datasets.items(dataset, ItemsQuery()).lines).splitlines()
    store.close()
    assert [json.loads(line)["n"] for line in lines] == [*range(60)]
    assert (started.process.returncode, more) == (0, "")
    assert told == "warning: a process that served has ended; this one takes its place\n"


def test_a_signal_ends_all_of_them(started: Started, dataset: str) -> None:
    workers = started.workers()
    for number in range(10):
        started.push(dataset, number)

    started.process.terminate()
    more, told = started.process.communicate(timeout=60)

    assert (started.process.returncode, more, told) == (0, "", "")
    assert not any(map(is_running, workers))


def test_none_outlives_the_one_that_started_them(started: Started) -> None:
    workers = started.workers()

    started.process.kill()

    until(lambda: not any(map(is_running, workers)))


def test_one_that_starts_waits_for_a_database_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker, "AGAIN_SECS", 0.0)
    gone = [Unavailable("PostgreSQL at db is away")] * 3

    def open_it() -> EngineStore:
        if gone:
            raise gone.pop()
        return open_store(str(tmp_path))

    worker.opened(open_it).close()

    told = "error: PostgreSQL at db is away; a process that starts waits for it\n"
    assert capsys.readouterr().err == told
