"""kill -9 at any time: what was acknowledged is there, and no process is left behind.

KILL_POINTS says how often the server is killed under load, KILL_SEED where; `make crash`
does it many times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from checks import check_all
from running import Server, Start, serve
from writers import Adder, Holder, Maker, Pusher, Setter, Target, Writer

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from tests.homes import only_in_a_folder

KINDS = ("datasets", "key-value-stores", "request-queues")

POINTS = int(os.environ.get("KILL_POINTS", "4"))
SEED = int(os.environ.get("KILL_SEED", "1"))
WRITERS = (Pusher, Pusher, Setter, Adder, Holder, Holder, Maker)

SWEEPER = """
import sys
from storectl.engine import open_store
from storectl.model import rules

store = open_store(sys.argv[1], username="alice", clock=lambda: rules.now_ms() + 2 * 3_600_000)
while True:  # what was replaced is over for it
    store._sweep.run()
"""


def _get(url: str, token: str) -> bytes:
    with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
        return bytes(answer.read())


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def _is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _each_did_more(writers: list[Writer]) -> Callable[[], bool]:
    """Asks whether each of them has ended a step since now, or gave up."""
    before = [writer.done for writer in writers]
    return lambda: (
        any(writer.failed for writer in writers)
        or all(writer.done > count for writer, count in zip(writers, before, strict=True))
    )


def _kill(server: Server, sweeper: subprocess.Popen[bytes], chance: random.Random) -> None:
    """The process that serves, its parent, or both at once; and who sweeps, now and then."""
    time.sleep(chance.uniform(0, 0.3))
    who = chance.choice(["child", "parent", "both"])
    if who != "parent":
        for child in _children(server.process.pid):
            os.kill(child, signal.SIGKILL)
    if who != "child":
        server.process.kill()
    if chance.random() < 0.3:
        sweeper.kill()
    server.process.wait(60)


def _sweeper(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SWEEPER, str(folder)])


def _wreck(folder: Path, points: int, chance: random.Random) -> list[Writer]:
    """Kill a server under load that many times; the writers, which have ended by then."""
    writers: list[Writer] = []
    target: Target | None = None
    sweeper = _sweeper(folder)
    try:
        for _ in range(points):
            with serve(folder, "--rate-limit", "off") as server:
                if target is None:
                    token = server.token("alice")
                    made = [_new(server, token, name) for name in KINDS]
                    target = Target(token, *made)
                    writers = [each(n, target) for n, each in enumerate(WRITERS)]
                    for writer in writers:
                        writer.start()
                target.port = int(server.address.rpartition(":")[2])
                assert _until(_each_did_more(writers), 120), [w.done for w in writers]
                _kill(server, sweeper, chance)
                target.port = None
            if sweeper.poll() is not None:
                sweeper = _sweeper(folder)
        with serve(folder, "--rate-limit", "off") as server:
            target.port = int(server.address.rpartition(":")[2])
            assert _until(_each_did_more(writers), 120)
            for writer in writers:
                writer.over = True
                writer.join(60)
    finally:
        sweeper.kill()
        sweeper.wait()
    return writers


@only_in_a_folder("test_scale.py kills what stands on PostgreSQL and a bucket")
def test_no_acknowledged_write_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    chance = random.Random(SEED)

    writers = _wreck(folder, POINTS, chance)

    assert (tmp_path / "store.log").read_text().count("Traceback") == 0
    store = open_store(str(folder), username="alice")
    check_all(store, writers)
    _check_files(store, folder)
    done = sum(writer.done for writer in writers)
    print(f"{POINTS} kills, {done} steps, {sum(writer.doubts for writer in writers)} in doubt")
    store.close()


def _check_files(store: EngineStore, folder: Path) -> None:
    """No blob is without a row, and the database is sound."""
    db = store._db
    named = {blob for (blob,) in db.all("SELECT blob FROM record WHERE blob IS NOT NULL")}
    listed = {blob for (blob,) in db.all("SELECT blob FROM garbage")}
    files = {path.name.partition(".")[0] for path in (folder / "blobs").glob("*/*")}
    assert named <= files <= named | listed
    assert db.all("PRAGMA integrity_check") == [("ok",)]


def _new(server: Server, token: str, kind: str) -> str:
    made = Request(
        f"{server.address}/v2/{kind}", method="POST", headers={"Authorization": f"Bearer {token}"}
    )
    with urlopen(made) as answer:
        return str(json.load(answer)["data"]["id"])


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_serving_process_ends_with_its_parent(
    start: Start, tmp_path: Path, how: signal.Signals
) -> None:
    server = start(tmp_path / "store")
    children = _children(server.process.pid)
    assert children

    server.process.send_signal(how)
    server.process.wait(60)

    assert _until(lambda: not any(map(_is_alive, children)), 60)
    port = int(server.address.rpartition(":")[2])
    with serve(tmp_path / "store", port=port, store=server.store) as again:
        assert again.address == server.address
        assert _get(f"{again.address}/healthz", "") != b""
    assert "Traceback" not in server.log.read_text()
