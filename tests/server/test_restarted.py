"""A database that goes away under load: nothing acknowledged is lost, and it is told as such."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event, Thread

import httpx

from storectl.engine import open_store
from storectl.model.dataset import ItemsQuery

from ..postgres import running

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import served

WRITERS = 4
RESTARTS = 2
BACK = re.compile(r"note: \w+ is back after \d+ s; ([\d,]+) calls? w(?:as|ere) refused")


class Pusher(Thread):
    """Pushes one item after another, and keeps what was acknowledged and what was refused."""

    def __init__(self, address: str, token: str, dataset: str, name: int, end: Event) -> None:
        super().__init__()
        self.path = f"{address}/v2/datasets/{dataset}/items"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.name_, self.end = name, end
        self.acknowledged: list[int] = []
        self.refused: list[httpx.Response] = []

    def run(self) -> None:
        with httpx.Client(headers=self.headers, trust_env=False, timeout=60) as client:
            n = 0
            while not self.end.is_set():
                answer = client.post(self.path, json={"by": self.name_, "n": n})
                if answer.status_code == 201:
                    self.acknowledged.append(n)
                else:
                    self.refused.append(answer)
                n += 1


def test_what_was_acknowledged_outlives_crashes_of_the_database(tmp_path: Path) -> None:
    with running() as cluster:
        url = cluster.database()
        store = open_store(url)
        token = str(store.tokens.create("test").secret)
        dataset = store.datasets.create("results")[0].id
        end = Event()
        with served(url, log=tmp_path / "log") as address:
            pushers = [Pusher(address, token, dataset, n, end) for n in range(WRITERS)]
            for pusher in pushers:
                pusher.start()
            for _ in range(RESTARTS):
                _wait(lambda: all(_went_on(pusher) for pusher in pushers))
                cluster.stop()
                _wait(lambda: all(_was_refused(pusher) for pusher in pushers))
                cluster.start()
            _wait(lambda: all(_went_on(pusher) for pusher in pushers))
            end.set()
            for pusher in pushers:
                pusher.join()

        lines = b"".join(store.datasets.items(dataset, ItemsQuery()).lines).splitlines()
        store.close()

    there = Counter((item["by"], item["n"]) for item in map(json.loads, lines))
    assert {pair for pusher in pushers for pair in _acknowledged(pusher)} <= there.keys()
    assert set(there.values()) == {1}
    for answer in (answer for pusher in pushers for answer in pusher.refused):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "postgres" not in answer.text.lower()
    refused = sum(len(pusher.refused) for pusher in pushers)
    _check_log((tmp_path / "log").read_text().splitlines(), cluster.port, refused)


def _check_log(lines: list[str], port: int, refused: int) -> None:
    """It was told when the database went away and when it was back, not by every call."""
    place = f"PostgreSQL at 127.0.0.1:{port}, database "
    told = [line for line in lines if line.startswith(f"error: {place}")]
    away = [line for line in told if " in the last " not in line]
    back = [found for line in lines if (found := BACK.match(line.replace(place, "")))]
    assert RESTARTS <= len(back) == len(away) < refused
    assert sum(int(found[1].replace(",", "")) for found in back) == refused


def _was_refused(pusher: Pusher) -> bool:
    """Whether more was refused since this was asked last, or the first time at all."""
    seen, pusher.told = getattr(pusher, "told", 0), len(pusher.refused)
    return pusher.told > seen


def _went_on(pusher: Pusher) -> bool:
    """Whether more was acknowledged since this was asked last, or the first time at all."""
    seen = getattr(pusher, "seen", 0)
    if len(pusher.acknowledged) < seen + 20:
        return False
    pusher.seen = len(pusher.acknowledged)
    return True


def _acknowledged(pusher: Pusher) -> list[tuple[int, int]]:
    return [(pusher.name_, n) for n in pusher.acknowledged]


def _wait(true: object) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not go on"
        time.sleep(0.02)
