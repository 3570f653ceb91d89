"""The server, beside the same server around an application that does nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import data
from load import Job, rate
from results import Goal, Row, rounds
from startup import environment, program

from storectl.engine import open_store
from storectl.model.items import Items
from storectl.model.kvs import Record

HERE = Path(__file__).parent
RECORDS = 500
ITEMS = 20_000
# 1.3 times an empty Starlette on uvicorn, on the machine that the goals were set on.
GET_GOAL, BESIDE_GOAL = 28_000, 0.6
NOTHING = "empty handler"


class Running(NamedTuple):
    """A server that answers. process: the one that serves, a child of the one started."""

    address: str
    process: int

    def cpu_secs(self) -> float | None:
        """Time its threads have run, where /proc tells."""
        threads = Path(f"/proc/{self.process}/task")
        if not threads.exists():
            return None
        return sum(int((t / "schedstat").read_text().split()[0]) for t in threads.iterdir()) / 1e9

    def memory_mib(self) -> float:
        """The most it had, 0 where /proc does not tell."""
        try:
            lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        except OSError:
            return 0.0
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def jobs(folder: Path) -> dict[str, Job]:
    """A store with something in it, and what is asked of its server."""
    store = open_store(str(folder / "store-of-server"))
    token = store.tokens.create("bench", username="bench").secret or ""
    mine = store.acting(store.caller(token))
    records, _ = mine.kvs.create("records")
    shop, _ = mine.datasets.create("shop")
    sink, _ = mine.datasets.create("sink")
    body, lines = data.record(), list(data.encoded(ITEMS))
    for at in range(RECORDS):
        record = Record(key=f"rec-{at}", content_type="image/png", size=len(body), body=(body,))
        mine.kvs.put(records.id, record)
    for at in range(0, ITEMS, 5000):
        mine.datasets.push(shop.id, Items.from_lines(lines[at : at + 5000]))
    store.close()
    record = f"/v2/key-value-stores/{records.id}/records/rec-{{n}}"
    items, into = f"/v2/datasets/{shop.id}/items", f"/v2/datasets/{sink.id}/items"
    thousand = b"[" + b",".join(lines[:1000]) + b"]"
    return {
        "GET record, 4 KB": Job("GET", record, token, spread=RECORDS),
        "PUT record, 4 KB": Job("PUT", record, token, body, spread=RECORDS),
        "POST 1 item": Job("POST", into, token, lines[1]),
        "POST 1,000 items": Job("POST", into, token, thousand),
        "GET page of 100 items": Job("GET", items + "?limit=100&offset={n}", token, spread=ITEMS),
    }


def measure(folder: Path, concurrency: list[int], count: int, secs: float) -> list[Row]:
    """A row for each job and number of connections."""
    asked = jobs(folder)
    env = environment(folder)
    serve = [*program(), "serve", "--dir", str(folder / "store-of-server"), "--port", "0",
             "--rate-limit", "off", "--default-access", "restricted"]  # fmt: skip
    empty = [sys.executable, str(HERE / "empty.py")]
    env_of_empty = {**env, "PYTHONPATH": str(HERE.parent)}
    rows = []
    cases = []
    with running(serve, env) as server, running(empty, env_of_empty) as nothing:
        for connections in concurrency:
            for name, job in asked.items():
                row = Row(
                    f"{name}, {connections} at a time", "/s", NOTHING, _goals(name, connections)
                )
                rows.append(row)
                one = partial(_one, row, server, nothing, job, connections, secs)
                cases.append(one)
        rounds(count, cases, "server")
        memory = Row("server, most memory", "MiB", NOTHING)
        memory.add(server.memory_mib(), nothing.memory_mib())
    return [*rows, memory]


def _goals(name: str, connections: int) -> tuple[Goal, ...]:
    if name.startswith("GET record") and connections > 1:
        return (Goal(least=GET_GOAL), Goal(least=BESIDE_GOAL, of="ratio"))
    return ()


def _one(
    row: Row, server: Running, nothing: Running, job: Job, connections: int, secs: float
) -> None:
    beside = rate(nothing.address, Job("GET", "/"), connections, secs)
    before = server.cpu_secs()
    found = rate(server.address, job, connections, secs)
    after = server.cpu_secs()
    row.add(found, beside)
    if before is not None and after is not None:
        row.note((after - before) / (found * max(1, round(secs))) * 1e6, "us CPU")


@contextmanager
def running(words: list[str], env: dict[str, str]) -> Iterator[Running]:
    """A server in a process of its own, ended at the end."""
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert said, f"{words} did not start"
        address = json.loads(said)["url"] if said.startswith("{") else said
        yield Running(address, _child(process.pid))
    finally:
        process.terminate()
        process.wait(20)


def _child(parent: int) -> int:
    """The process that serves; the parent itself where /proc does not tell."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[1]) == parent:
            return int(status.parent.name)
    return parent


assert os.name == "posix", "the benchmarks need POSIX"
