"""Two processes, PostgreSQL and a bucket: each goes away under load, and no answer is broken.

SCALE_ROUNDS says how often, SCALE_SEED in which order; `make crash` does it many times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from checks import check_all
from running import Server, serve
from writers import Adder, Holder, Maker, Pusher, Setter, Target, Writer

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from tests import buckets, postgres
from tests.faults import Proxy

KINDS = ("datasets", "key-value-stores", "request-queues")
ROUNDS = int(os.environ.get("SCALE_ROUNDS", "1"))
SEED = int(os.environ.get("SCALE_SEED", "1"))
WRITERS = (Pusher, Pusher, Setter, Setter, Adder, Holder, Holder, Maker)
WAIT_SECS = 120
WORKERS = 2
KILLS_APART_SECS = 6
"""A process that ends twice within five seconds ends all, which is another test's."""

CLOCKS_APART_MS = 1000
"""What a busy machine makes of the time it takes to ask the database for its own."""


class Ground:
    """A server and what it stands on, each of which can be taken away."""

    def __init__(
        self,
        server: Server,
        cluster: postgres.Cluster,
        away: threading.Event,
        writers: list[Writer],
    ) -> None:
        self.server, self.cluster, self.away, self.writers = server, cluster, away, writers
        self._killed_at = float("-inf")

    def kill_a_process(self) -> None:
        time.sleep(max(0.0, self._killed_at + KILLS_APART_SECS - time.monotonic()))
        os.kill(_workers(self.server)[0], signal.SIGKILL)
        self._killed_at = time.monotonic()

    def crash_the_database(self) -> None:
        before = [writer.refused for writer in self.writers]
        self.cluster.stop()
        self._wait(lambda: all(w.refused > n for w, n in zip(self.writers, before, strict=True)))
        self.cluster.start()

    def lose_the_bucket(self) -> None:
        setters = [writer for writer in self.writers if isinstance(writer, Setter)]
        others = [writer for writer in self.writers if not isinstance(writer, Setter | Maker)]
        before = [writer.refused for writer in setters]
        self.away.set()
        self._wait(lambda: all(w.refused > n for w, n in zip(setters, before, strict=True)))
        self.goes_on(others)
        self.away.clear()

    def goes_on(self, writers: list[Writer] | None = None) -> None:
        """Wait until each of them has done more."""
        writers = writers or self.writers
        before = [writer.done for writer in writers]
        self._wait(lambda: all(w.done > n for w, n in zip(writers, before, strict=True)))

    def _wait(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_SECS
        while not true():
            assert [writer.failed for writer in self.writers] == [None] * len(self.writers)
            assert time.monotonic() < end, [(w.done, w.doubts, w.refused) for w in self.writers]
            time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes in /proc")
def test_nothing_acknowledged_is_lost_whatever_goes_away(
    s3: buckets.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, chance = threading.Event(), random.Random(SEED)
    options = ["--workers", str(WORKERS), "--rate-limit", "off", "--blobs", s3.bucket()]
    with (
        postgres.running() as cluster,
        Proxy(s3.url, lambda _: "reset before" if away.is_set() else None) as proxy,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        database = cluster.database()
        with serve(tmp_path / "store", *options, store=database) as server:
            ground = Ground(server, cluster, away, _writers(server))
            faults = [ground.kill_a_process, ground.crash_the_database, ground.lose_the_bucket]
            for _ in range(ROUNDS):
                chance.shuffle(faults)
                for fault in faults:
                    ground.goes_on()
                    fault()
            ground.goes_on()
            for writer in ground.writers:
                writer.over = True
                writer.join(60)

        assert "Traceback" not in server.log.read_text()
        store = open_store(database, username="alice")
        check_all(store, ground.writers, CLOCKS_APART_MS)
        _check_bucket(store)
        store.close()


def _writers(server: Server) -> list[Writer]:
    """Clients that have begun."""
    token = server.token("alice")
    target = Target(token, *(_new(server, token, kind) for kind in KINDS), may_refuse=True)
    target.port = int(server.address.rpartition(":")[2])
    writers: list[Writer] = [each(n, target) for n, each in enumerate(WRITERS)]
    for writer in writers:
        writer.start()
    return writers


def _workers(server: Server) -> list[int]:
    """The processes that serve."""
    tasks = Path(f"/proc/{server.process.pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def _check_bucket(store: EngineStore) -> None:
    """Each body that a record names is there, and what else is there is on the list to go."""
    named = {blob for (blob,) in store._db.all("SELECT blob FROM record WHERE blob IS NOT NULL")}
    listed = {blob for (blob,) in store._db.all("SELECT blob FROM garbage")}
    there = {blob for blob, _ in store.blobs.there()}
    assert named <= there <= named | listed


def _new(server: Server, token: str, kind: str) -> str:
    made = Request(
        f"{server.address}/v2/{kind}", method="POST", headers={"Authorization": f"Bearer {token}"}
    )
    with urlopen(made) as answer:
        return str(json.load(answer)["data"]["id"])
