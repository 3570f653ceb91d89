"""Mixed load on a server for a while: it stays as it was, in memory and on disk.

SOAK_SECS says how long; `make soak` takes five minutes and prints what it measured. A
short run holds what does not depend on time: every answer is good and right, and the
database stays as large as what was in it at one time, however much came and went.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest
from running import Server, serve

SECS = float(os.environ.get("SOAK_SECS", "4"))
LONG_SECS = 120
"""From here on memory can be told to be flat."""

MIB = 2**20
CLIENTS = 9
MOST_CONTENTS = CLIENTS * MIB
"""More than all storages that are there at one time hold in the database."""

ITEMS = [{"n": n, "text": f"{n * 7919}" * 10} for n in range(1000)]
SMALL, LARGE = b"s" * 4000, os.urandom(300_000)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory in /proc"),
]


class Client(Thread):
    """Makes, fills, reads and deletes storages of one kind until it is over."""

    def __init__(self, server: Server, token: str, cycle: Callable[[Client], None]) -> None:
        super().__init__(daemon=True)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.connection = HTTPConnection(server.address.rpartition("/")[2], timeout=60)
        self.cycle = cycle
        self.took: dict[str, list[float]] = defaultdict(list)
        self.cycles = 0
        self.over = False
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over:
                self.cycle(self)
                self.cycles += 1
        except BaseException as error:
            self.failed = error

    def ask(self, what: str, method: str, path: str, body: object = b"") -> bytes:
        """A good answer. what: under this its time is noted."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        started = time.perf_counter()
        self.connection.request(method, f"/v2/{path}", sent, self.headers | {"Content-Type": kind})
        answer = self.connection.getresponse()
        found = answer.read()
        self.took[what].append(time.perf_counter() - started)
        assert answer.status < 300, (method, path, answer.status, found[:500])
        return found

    def made(self, kind: str) -> str:
        found = json.loads(self.ask("create", "POST", kind))
        return f"{kind}/{found['data']['id']}"


def dataset(client: Client) -> None:
    path = client.made("datasets")
    client.ask("push 1,000", "POST", f"{path}/items", ITEMS)
    for item in ITEMS[:20]:
        client.ask("push 1", "POST", f"{path}/items", [item])
    found = client.ask("get 1,020", "GET", f"{path}/items")
    assert json.loads(found) == ITEMS + ITEMS[:20]
    client.ask("delete", "DELETE", path)


def kvs(client: Client) -> None:
    path = client.made("key-value-stores")
    for n in range(20):
        client.ask("set 4 KB", "PUT", f"{path}/records/{n}", SMALL)
    for n in range(20):
        assert client.ask("get 4 KB", "GET", f"{path}/records/{n}") == SMALL
    if client.cycles % 20 == 0:  # its bytes stay for an hour, for those who read them
        client.ask("set 300 KB", "PUT", f"{path}/records/large", LARGE)
        assert client.ask("get 300 KB", "GET", f"{path}/records/large") == LARGE
    client.ask("delete", "DELETE", path)


def queue(client: Client) -> None:
    path = client.made("request-queues")
    requests = [{"url": f"https://e/{n}", "uniqueKey": f"{n}"} for n in range(25)]
    client.ask("add 25", "POST", f"{path}/requests/batch", requests)
    asked = f"{path}/head/lock?lockSecs=60&limit=10"
    handled = 0
    while head := json.loads(client.ask("lock 10", "POST", asked))["data"]["items"]:
        for one in head:
            kept = {name: one[name] for name in ("id", "url", "uniqueKey")}
            done = kept | {"handledAt": "2026-01-02T03:04:05Z"}
            client.ask("handle", "PUT", f"{path}/requests/{one['id']}", done)
            handled += 1
    assert handled == 25
    client.ask("delete", "DELETE", path)


def rss(pid: int) -> int:
    """Bytes of memory that a process has."""
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) * 1024


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def looked_at(server: Server, secs: float) -> Iterator[tuple[float, int, int, int]]:
    """Again and again: seconds, memory, and the size of the database and of its log."""
    (serving,) = (
        int(pid)
        for pid in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        .read_text()
        .split()
        if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    begun = time.monotonic()
    while (at := time.monotonic() - begun) < secs:
        database = server.folder / "store.sqlite"
        yield at, rss(serving), size(database), size(Path(f"{database}-wal"))
        time.sleep(min(secs / 20, 1))


def test_a_server_under_mixed_load_stays_as_it_was(tmp_path: Path) -> None:
    with serve(tmp_path / "store", "--rate-limit", "off") as server:
        token = server.token("alice")
        clients = [Client(server, token, (dataset, kvs, queue)[n % 3]) for n in range(CLIENTS)]
        for client in clients:
            client.start()

        seen = list(looked_at(server, SECS))

        for client in clients:
            client.over = True
            client.join(60)
    assert [client.failed for client in clients] == [None] * CLIENTS
    assert all(client.cycles for client in clients)
    assert (tmp_path / "store.log").read_text() == ""
    slope = slope_a_minute(seen)
    report(clients, seen, slope)

    assert max(database for _, _, database, _ in seen) < MOST_CONTENTS
    if SECS >= LONG_SECS:
        assert slope < MIB
        assert max(log for *_, log in seen) < 64 * MIB


def slope_a_minute(seen: list[tuple[float, int, int, int]]) -> float:
    """By how many bytes memory grew a minute in the second half."""
    rest = seen[len(seen) // 2 :]
    times, sizes = [at for at, *_ in rest], [memory for _, memory, *_ in rest]
    return statistics.linear_regression(times, sizes).slope * 60


def report(clients: list[Client], seen: list[tuple[float, int, int, int]], slope: float) -> None:
    took: dict[str, list[float]] = defaultdict(list)
    for client in clients:
        for what, some in client.took.items():
            took[what] += some
    calls = sum(map(len, took.values()))
    print(f"\n{SECS:.0f} s, {CLIENTS} clients, {calls} calls, {calls / SECS:.0f}/s")
    for what, some in sorted(took.items()):
        p50, p99 = (statistics.quantiles(some, n=100)[at] * 1000 for at in (49, 98))
        print(f"  {what:12} {len(some):8}   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms")
    memory, database, log = (max(column) / MIB for column in list(zip(*seen, strict=True))[1:])
    print(f"  memory {memory:.0f} MiB at most, {slope / MIB:+.2f} MiB a minute in the second half")
    print(f"  database {database:.1f} MiB at most, its log {log:.1f} MiB")
