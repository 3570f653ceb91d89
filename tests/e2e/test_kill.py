"""kill -9 at any time: what was acknowledged is there, and no process is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from running import Server, Start, serve

ROUNDS = 5
WRITERS = 3
ITEMS = 20
"""Items in one push: a torn chunk would show as a run that is not a multiple of this."""


class Writer(threading.Thread):
    """Pushes batches of numbered items, sets records, and remembers what was acknowledged."""

    def __init__(self, name: int, token: str, dataset: str, store: str) -> None:
        super().__init__(daemon=True)
        self.number = name
        self.token, self.dataset, self.store = token, dataset, store
        self.sent = 0
        self.pushed: list[int] = []
        self.put: list[int] = []
        self.port: int | None = None
        self.over = False

    def run(self) -> None:
        while not self.over:
            if self.port is None:
                time.sleep(0.005)
                continue
            try:
                self._write(HTTPConnection("127.0.0.1", self.port, timeout=60))
            except (OSError, HTTPException):
                self.port = None  # killed; until the next round

    def _write(self, connection: HTTPConnection) -> None:
        while not self.over and self.port is not None:
            batch, self.sent = self.sent, self.sent + 1
            items = [{"w": self.number, "batch": batch, "n": n} for n in range(ITEMS)]
            path = f"/v2/datasets/{self.dataset}/items"
            if self._ask(connection, "POST", path, json.dumps(items)) == 201:
                self.pushed.append(batch)
            path = f"/v2/key-value-stores/{self.store}/records/{self.number}-{batch}"
            if self._ask(connection, "PUT", path, str(batch) * 20_000) == 201:
                self.put.append(batch)

    def _ask(self, connection: HTTPConnection, method: str, path: str, body: str) -> int:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


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


def _each_wrote_more(writers: list[Writer]) -> Callable[[], bool]:
    """Asks whether each of them got something acknowledged since now."""
    before = [len(writer.put) for writer in writers]
    return lambda: all(len(w.put) > count for w, count in zip(writers, before, strict=True))


def test_no_acknowledged_write_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    writers: list[Writer] = []
    dataset = store = token = ""

    for round in range(ROUNDS):
        with serve(folder, "--rate-limit", "off") as server:
            if not writers:
                token = server.token("alice")
                dataset = _new(server, token, "datasets")
                store = _new(server, token, "key-value-stores")
                writers = [Writer(n, token, dataset, store) for n in range(WRITERS)]
                for writer in writers:
                    writer.start()
            for writer in writers:
                writer.port = int(server.address.rpartition(":")[2])
            assert _until(_each_wrote_more(writers), 60)
            time.sleep(random.uniform(0, 0.3))
            if round % 2:  # at once; else the child, when it sees that its parent is gone
                for child in _children(server.process.pid):
                    os.kill(child, signal.SIGKILL)
            server.process.kill()
            server.process.wait()
    for writer in writers:
        writer.over = True
        writer.join(60)

    with serve(folder, "--rate-limit", "off") as server:
        url = f"{server.address}/v2/datasets/{dataset}/items"
        items = json.loads(_get(url, token))
        listed = json.loads(_get(f"{server.address}/v2/datasets/{dataset}", token))["data"]
        records = f"{server.address}/v2/key-value-stores/{store}/records"
        for writer in writers:
            assert len(writer.pushed) >= ROUNDS
            for batch in writer.put:
                found = _get(f"{records}/{writer.number}-{batch}", token)
                assert found.decode() == str(batch) * 20_000
    chunks = [items[at : at + ITEMS] for at in range(0, len(items), ITEMS)]
    for chunk in chunks:
        first = chunk[0]
        assert chunk == [{"w": first["w"], "batch": first["batch"], "n": n} for n in range(ITEMS)]
    kept = {(chunk[0]["w"], chunk[0]["batch"]) for chunk in chunks}
    assert len(kept) == len(chunks)
    assert {(writer.number, batch) for writer in writers for batch in writer.pushed} <= kept
    assert listed["itemCount"] == len(items)


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
    with serve(tmp_path / "store", port=port) as again:
        assert again.address == server.address
        assert _get(f"{again.address}/healthz", "") != b""
    assert "Traceback" not in server.log.read_text()
