"""Every transfer through a proxy that breaks its calls: the result is that of one without.

FAULT_SEEDS says with how many different rows of faults each is tried; `make crash` takes many.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults import FAULTS, Proxy, seeded

from .conftest import Done, Served

SEEDS = range(int(os.environ.get("FAULT_SEEDS", "1")))
ITEMS = [{"n": n, "text": f"zażółć {n}", "tags": ["a", None, n / 4]} for n in range(3000)]
ITEMS[1000:1500] = [{}] * 500
RECORDS = {f"r{n}.json": os.urandom(n * 97) for n in range(40)} | {"empty": b"", "INPUT": b"{}"}
URLS = [f"https://example.com/{n}" for n in range(120)]

Here = Callable[..., Done]


def jsonl(items: list[dict[str, object]]) -> str:
    """As a dataset keeps them."""
    return "".join(
        json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n" for item in items
    )


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits before repetitions are short."""
    for module in ("client.http", "transfer.windows", "transfer.kvs"):
        monkeypatch.setattr(f"storectl.{module}.FIRST_WAIT_SECS", 0.01)
    monkeypatch.setattr("storectl.transfer.copy.BATCH_BYTES", 30_000)
    monkeypatch.setattr("storectl.transfer.push.BATCH_BYTES", 30_000)
    monkeypatch.setattr("storectl.transfer.tail.ROWS", 500)
    monkeypatch.setattr("storectl.transfer.windows.WINDOW_BYTES", 30_000)


class Both(NamedTuple):
    """Runs commands in one folder: on the server itself, or on what stands before it."""

    here: Here
    served: Served
    folder: Path

    def at(self, url: str, *words: str) -> Done:
        env = {
            "STORECTL_STORE": "",
            "STORECTL_SERVER": url,
            "STORECTL_TOKEN": self.served.token,
        }
        return self.here(*words, env=env)

    def plainly(self, *words: str) -> Done:
        done = self.at(self.served.url, *words)
        assert done.code == 0, done.err
        return done

    def name(self, noun: str) -> str:
        """A new storage."""
        name = f"faults-{os.urandom(5).hex()}"
        self.plainly(noun, "create", name)
        return name

    def write(self, name: str, data: str | bytes) -> str:
        (self.folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return name

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def items(self, name: str, *more: str) -> bytes:
        self.plainly("dataset", "pull", name, "-o", "found.jsonl", *more)
        return self.read("found.jsonl")

    def filled(self) -> str:
        """A dataset that has ITEMS."""
        name = self.name("dataset")
        self.plainly("dataset", "push", name, self.write("filled.jsonl", jsonl(ITEMS)))
        return name


@pytest.fixture
def both(here: Here, served: Served, tmp_path: Path) -> Both:
    return Both(here, served, tmp_path)


Transfer = Callable[[Both], Iterator[list[str]]]
"""Prepares, yields the words of a command, and checks what that left behind."""


def push(name: str, data: str | bytes, *more: str) -> Transfer:
    def transfer(both: Both) -> Iterator[list[str]]:
        dataset = both.name("dataset")
        yield ["dataset", "push", dataset, both.write(name, data), *more]
        assert both.items(dataset).decode() == LINES

    return transfer


def push_csv(both: Both) -> Iterator[list[str]]:
    dataset = both.name("dataset")
    rows = [{"n": n, "text": f"a {n}", "is": n % 2 == 0} for n in range(3000)]
    text = "n,text,is\n" + "".join(f"{r['n']},{r['text']},{str(r['is']).lower()}\n" for r in rows)
    yield ["dataset", "push", dataset, both.write("items.csv", text), "--typed"]
    assert [json.loads(line) for line in both.items(dataset).splitlines()] == rows


def pull(name: str, *more: str) -> Transfer:
    def transfer(both: Both) -> Iterator[list[str]]:
        dataset = both.filled()
        both.plainly("dataset", "pull", dataset, "-o", f"whole-{name}", *more)
        yield ["dataset", "pull", dataset, "-o", name, *more]
        assert both.read(name) == both.read(f"whole-{name}")

    return transfer


def tail(both: Both) -> Iterator[list[str]]:
    dataset = both.filled()
    yield ["dataset", "tail", dataset, "--from-end", "2000"]


def verify(both: Both) -> Iterator[list[str]]:
    dataset = both.filled()
    yield ["dataset", "verify", dataset, "filled.jsonl"]


def records(folder: Path) -> None:
    folder.mkdir()
    for name, body in RECORDS.items():
        (folder / name).write_bytes(body)


def held(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name[0] != "."}


def kvs_push(both: Both) -> Iterator[list[str]]:
    records(both.folder / "in")
    store = both.name("kvs")
    yield ["kvs", "push", "in", store]
    both.plainly("kvs", "pull", store, "out")
    assert held(both.folder / "out") == RECORDS


def kvs_pull(both: Both) -> Iterator[list[str]]:
    records(both.folder / "in")
    store = both.name("kvs")
    both.plainly("kvs", "push", "in", store)
    yield ["kvs", "pull", store, "out"]
    assert held(both.folder / "out") == RECORDS


def kvs_sync(both: Both) -> Iterator[list[str]]:
    """New, changed and deleted ones."""
    records(both.folder / "in")
    store = both.name("kvs")
    both.plainly("kvs", "push", "in", store)
    for n in range(0, 30, 3):
        (both.folder / f"in/r{n}.json").write_bytes(b"changed")
        (both.folder / f"in/r{n + 1}.json").unlink()
        (both.folder / f"in/new{n}.json").write_bytes(b"new")
    yield ["kvs", "sync", "./in", store, "--delete"]
    both.plainly("kvs", "pull", store, "out")
    assert held(both.folder / "out") == held(both.folder / "in")


def urls(both: Both, queue: str) -> list[str]:
    listed = both.plainly("queue", "export", queue, "-o", "-").lines()
    return sorted(json.loads(line)["url"] for line in listed)


def queue_add(both: Both) -> Iterator[list[str]]:
    queue = both.name("queue")
    yield ["queue", "add", queue, "-i", both.write("urls.txt", "\n".join(URLS))]
    assert urls(both, queue) == sorted(URLS)


def queue_export(both: Both) -> Iterator[list[str]]:
    queue = both.name("queue")
    both.plainly("queue", "add", queue, "-i", both.write("urls.txt", "\n".join(URLS)))
    both.plainly("queue", "export", queue, "-o", "whole.jsonl")
    yield ["queue", "export", queue, "-o", "queue.jsonl"]
    assert both.read("queue.jsonl") == both.read("whole.jsonl")


def queue_import(both: Both) -> Iterator[list[str]]:
    queue, other = both.name("queue"), both.name("queue")
    both.plainly("queue", "add", queue, "-i", both.write("urls.txt", "\n".join(URLS)))
    both.plainly("queue", "export", queue, "-o", "queue.jsonl")
    yield ["queue", "import", other, "queue.jsonl"]
    assert urls(both, other) == sorted(URLS)


def dataset_copy(both: Both) -> Iterator[list[str]]:
    dataset, other = both.filled(), both.name("dataset")
    yield ["dataset", "copy", dataset, other]
    assert both.items(other) == both.items(dataset)


def kvs_copy(both: Both) -> Iterator[list[str]]:
    records(both.folder / "in")
    store, other = both.name("kvs"), both.name("kvs")
    both.plainly("kvs", "push", "in", store)
    yield ["kvs", "copy", store, other]
    both.plainly("kvs", "pull", other, "out")
    assert held(both.folder / "out") == RECORDS


def queue_copy(both: Both) -> Iterator[list[str]]:
    queue, other = both.name("queue"), both.name("queue")
    both.plainly("queue", "add", queue, "-i", both.write("urls.txt", "\n".join(URLS)))
    yield ["queue", "copy", queue, other]
    assert urls(both, other) == sorted(URLS)


def made_again(done: Done) -> int:
    """How many calls were made again, as the summary tells."""
    told = re.search(r"([\d,]+) calls? made again", done.err)
    assert told is not None, done.err
    return int(told[1].replace(",", ""))


LINES = jsonl(ITEMS)
TRANSFERS: dict[str, Transfer] = {
    "push jsonl": push("items.jsonl", LINES),
    "push json": push("items.json", "[" + ",\n".join(LINES.splitlines()) + "]"),
    "push gz": push("items.jsonl.gz", gzip.compress(LINES.encode())),
    "push csv": push_csv,
    "pull jsonl": pull("items.jsonl"),
    "pull json": pull("items.json"),
    "pull clean csv.gz": pull("items.csv.gz", "--clean"),
    "pull xlsx": pull("items.xlsx", "--skip-empty"),
    "tail": tail,
    "verify": verify,
    "kvs push": kvs_push,
    "kvs pull": kvs_pull,
    "kvs sync": kvs_sync,
    "queue add": queue_add,
    "queue export": queue_export,
    "queue import": queue_import,
    "dataset copy": dataset_copy,
    "kvs copy": kvs_copy,
    "queue copy": queue_copy,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TRANSFERS)
def test_a_transfer_through_faults_ends_as_one_without(both: Both, name: str, seed: int) -> None:
    transfer = TRANSFERS[name](both)
    words = next(transfer)

    with Proxy(both.served.url, seeded(seed, *FAULTS)) as proxy:
        done = both.at(proxy.url, *words)

    assert done.code == 0, (done.err, proxy.faults)
    assert proxy.failures, "nothing was broken"
    assert next(transfer, None) is None
    if name == "tail":
        assert done.out.encode() == both.plainly(*words).out.encode()
    if name not in ("tail", "verify"):  # which say nothing but their result
        # The one call that looks at what a copy has made is behind its summary.
        behind = 3 if name in ("kvs copy", "queue copy") else 0
        assert 0 <= proxy.failures - made_again(done) <= behind
