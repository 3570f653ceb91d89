"""Every transfer through a proxy that breaks its calls, or killed at any of them.

The result is that of a transfer without. FAULT_SEEDS says with how many rows of faults
each is tried, CRASH_POINTS how often each is killed; `make crash` asks for many. Kills at
any moment, without a server too, are in tests/transfer/test_crash.py.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults import FAULTS, Asked, Proxy, seeded

from .conftest import Cli, Done, Here, Served

SEEDS = range(int(os.environ.get("FAULT_SEEDS", "1")))
POINTS = int(os.environ.get("CRASH_POINTS", "2"))
ITEMS = [{"n": n, "text": f"zażółć {n}", "tags": ["a", None, n / 4]} for n in range(3000)]
ITEMS[1000:1500] = [{}] * 500
RECORDS = {f"r{n}.json": os.urandom(n * 97) for n in range(40)} | {"empty": b"", "INPUT": b"{}"}
URLS = [f"https://example.com/{n}" for n in range(120)]

SMALL = [
    *(
        (f"storectl.{name}.FIRST_WAIT_SECS", 0.01)
        for name in ("client.http", "transfer.windows", "transfer.kvs", "transfer.doubt")
    ),
    *(
        (f"storectl.transfer.{name}", 30_000)
        for name in (
            *(f"{name}.BATCH_BYTES" for name in ("copy", "push", "dedupe", "local_import")),
            "windows.WINDOW_BYTES",
        )
    ),
    ("storectl.transfer.doubt.LAG_SECS", 0.0),
    ("storectl.transfer.tail.ROWS", 500),
    ("storectl.transfer.queue.BATCH", 50),
]
"""What makes many small calls of a transfer, and short waits before repetitions."""

SCRIPT = f"""
import importlib
for path, value in {SMALL!r}:
    module, name = path.rsplit(".", 1)
    setattr(importlib.import_module(module), name, value)
from storectl.__main__ import main
main()
"""
"""The program with these."""


def jsonl(items: list[dict[str, object]]) -> str:
    """As a dataset keeps them."""
    return "".join(
        json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n" for item in items
    )


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small calls, and short waits before repetitions."""
    for path, value in SMALL:
        monkeypatch.setattr(path, value)


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


def push_unordered(both: Both) -> Iterator[list[str]]:
    dataset = both.name("dataset")
    yield ["dataset", "push", dataset, both.write("items.jsonl", LINES), "--unordered"]
    assert sorted(both.items(dataset).splitlines()) == sorted(LINES.encode().splitlines())


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


def in_order(both: Both, queue: str) -> list[str]:
    """The URLs of a queue that has nothing but what is pending."""
    listed = both.plainly("queue", "export", queue, "-o", "-").lines()
    return [json.loads(line)["url"] for line in listed]


def urls(both: Both, queue: str) -> list[str]:
    return sorted(in_order(both, queue))


def queue_add(*more: str) -> Transfer:
    def transfer(both: Both) -> Iterator[list[str]]:
        queue = both.name("queue")
        yield ["queue", "add", queue, "-i", both.write("urls.txt", "\n".join(URLS)), *more]
        assert urls(both, queue) == sorted(URLS)
        if not more:
            assert in_order(both, queue) == URLS

    return transfer


def queue_export(both: Both) -> Iterator[list[str]]:
    queue = both.name("queue")
    both.plainly("queue", "add", queue, "-i", both.write("urls.txt", "\n".join(URLS)))
    both.plainly("queue", "export", queue, "-o", "whole.jsonl")
    yield ["queue", "export", queue, "-o", "queue.jsonl"]
    assert both.read("queue.jsonl") == both.read("whole.jsonl")


def queue_import(*more: str) -> Transfer:
    def transfer(both: Both) -> Iterator[list[str]]:
        queue, other = both.name("queue"), both.name("queue")
        both.plainly("queue", "add", queue, "-i", both.write("urls.txt", "\n".join(URLS)))
        both.plainly("queue", "export", queue, "-o", "queue.jsonl")
        yield ["queue", "import", other, "queue.jsonl", *more]
        assert urls(both, other) == sorted(URLS)
        if not more:
            assert in_order(both, other) == URLS

    return transfer


def dataset_copy(both: Both) -> Iterator[list[str]]:
    dataset, other = both.filled(), both.name("dataset")
    yield ["dataset", "copy", dataset, other]
    assert both.items(other) == both.items(dataset)


def dedupe(both: Both) -> Iterator[list[str]]:
    dataset, other = both.filled(), both.name("dataset")
    yield ["dataset", "dedupe", dataset, "--key", "n", "--write-to", other]
    assert both.items(other) == both.items(dataset)


def local_import(both: Both) -> Iterator[list[str]]:
    name = both.name("dataset")
    folder = both.folder / "storage" / "datasets" / name
    folder.mkdir(parents=True)
    for at, line in enumerate(LINES.splitlines()[:900], 1):
        (folder / f"{at:09d}.json").write_text(line)
    yield ["local", "import", "storage"]
    assert both.items(name).decode() == jsonl(ITEMS[:900])


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
    "push unordered": push_unordered,
    "pull jsonl": pull("items.jsonl"),
    "pull json": pull("items.json"),
    "pull clean csv.gz": pull("items.csv.gz", "--clean"),
    "pull xlsx": pull("items.xlsx", "--skip-empty"),
    "tail": tail,
    "verify": verify,
    "kvs push": kvs_push,
    "kvs pull": kvs_pull,
    "kvs sync": kvs_sync,
    "queue add": queue_add(),
    "queue add unordered": queue_add("--unordered"),
    "queue export": queue_export,
    "queue import": queue_import(),
    "queue import unordered": queue_import("--unordered"),
    "dataset copy": dataset_copy,
    "dedupe": dedupe,
    "local import": local_import,
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


@pytest.mark.parametrize(
    "words",
    [
        ["items", "-f", "json"],
        ["items", "-f", "csv"],
        ["items", "-o", "out.xlsx"],
        ["items", "--jsonl", "--fields", "text"],
        ["pull", "-o", "out.csv"],
        ["stats", "--key", "n"],
        ["tail", "--from-end", "2500"],
        ["sql", "select text, count(*) from t group by 1"],
    ],
    ids=" ".join,
)
def test_what_comes_in_crumbs_is_read_as_it_is(both: Both, words: list[str]) -> None:
    name = both.filled()
    verb, *more = words
    whole = both.plainly("dataset", verb, name, *more)
    file = both.read(words[2]) if "-o" in words else None

    with Proxy(both.served.url, lambda _: "crumbs") as proxy:
        done = both.at(proxy.url, "dataset", verb, name, *more)

    assert (done.code, done.out) == (0, whole.out), done.err
    assert file is None or both.read(words[2]) == file


def test_a_table_of_items_that_come_in_crumbs_is_the_same(cli: Cli, both: Both) -> None:
    name = both.filled()

    with Proxy(both.served.url, lambda _: "crumbs") as proxy:
        env = {"STORECTL_STORE": "", "STORECTL_TOKEN": both.served.token}
        tables = [
            cli.on_terminal("dataset", "items", name, env=env | {"STORECTL_SERVER": url})
            for url in (both.served.url, proxy.url)
        ]

    assert "zażółć 19" in tables[0].out
    assert tables[0].out == tables[1].out


# Servers without idempotency keys, as Apify's own

WRITES = ("push", "copy", "queue", "dedupe", "import")
KEYLESS = [name for name in TRANSFERS if name[:3] != "kvs" and any(w in name for w in WRITES)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", KEYLESS)
def test_without_keys_too_nothing_is_lost_or_doubled_while_nobody_else_writes(
    both: Both, name: str, seed: int
) -> None:
    transfer = TRANSFERS[name](both)
    words = next(transfer)

    with Proxy(both.served.url, seeded(seed, *FAULTS), without_keys=True) as proxy:
        done = both.at(proxy.url, *words)

    assert done.code == 0, (done.err, proxy.faults)
    assert proxy.failures, "nothing was broken"
    if "at least once" not in done.err:
        assert next(transfer, None) is None
    assert name == "push unordered" or "at least once" not in done.err


@pytest.mark.parametrize("fault", ["reset after", "503 after", "reset before"])
def test_what_may_be_doubled_is_said_where_others_write_to_a_server_without_keys(
    both: Both, fault: str
) -> None:
    name = both.name("dataset")
    words = ["dataset", "push", name, both.write("items.jsonl", LINES), "--json"]
    struck: list[Asked] = []

    def plan(asked: Asked) -> str | None:
        if asked.method != "POST" or "/items" not in asked.target:
            return None
        struck.append(asked)
        if len(struck) == 2:  # somebody else, between the count at the begin and this call
            both.plainly("dataset", "push", name, both.write("other.jsonl", '{"other":1}\n'))
            return fault
        return None

    with Proxy(both.served.url, plan, without_keys=True) as proxy:
        done = both.at(proxy.url, *words)

    found = both.items(name).decode().splitlines()
    assert done.code == 0, done.err
    assert (done.json()["sentAgain"], done.json()["settledByCount"]) == (1, 0)
    assert "at least once: 1 batch was sent again" in done.err
    twice = json.loads(struck[1].body) if fault != "reset before" else []
    assert len(found) == len(ITEMS) + 1 + len(twice)
    assert set(found) == {*LINES.splitlines(), '{"other":1}'}


@pytest.mark.parametrize("without_keys", [False, True])
def test_what_is_collected_is_there_once_or_at_least_once_and_is_told(
    both: Both, without_keys: bool
) -> None:
    queue, pages = both.name("queue"), both.name("dataset")
    both.plainly("queue", "add", queue, *URLS[:12])
    words = ["queue", "work", queue, "-j", "3", "--collect", pages, "--", "echo", '{"u": "{url}"}']

    def plan(asked: Asked) -> str | None:
        is_push = asked.method == "POST" and "/v2/datasets/" in asked.target
        return "reset after" if is_push and asked.time == 1 and b"/1" in asked.body else None

    with Proxy(both.served.url, plan, without_keys=without_keys) as proxy:
        done = both.at(proxy.url, *words)

    found = [json.loads(line)["u"] for line in both.items(pages).splitlines()]
    broken = [url for url in URLS[:12] if "/1" in url]
    assert done.code == 0, done.err
    assert sorted(found) == sorted([*URLS[:12], *broken * without_keys])
    told = sum(json.loads(line).get("sentAgain", 0) for line in done.lines())
    assert told == len(broken) * without_keys
    assert (f"at least once: {len(broken)} batches were sent again" in done.err) == without_keys


# kill -9


def start(cli: Cli, proxy: Proxy, words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words, "--server", proxy.url],
        env=cli.env,
        cwd=cli.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def killed(cli: Cli, proxy: Proxy, words: list[str], at: int, how: str) -> bool:
    """Run until the call of that number, and kill there; False if it ended before."""
    last = len(proxy.asked)
    proxy.plan = lambda asked: how if asked.number - last == at else None
    proxy.held.clear()
    proxy.released.clear()
    process = start(cli, proxy, words)
    while not proxy.held.wait(0.01):
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()[1].decode()
            return False
    process.kill()
    process.communicate()
    proxy.released.set()
    proxy.plan = lambda _: None
    return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "without_keys"),
    [(name, False) for name in TRANSFERS if name not in ("tail", "verify", "dedupe")]
    + [("push jsonl", True), ("dataset copy", True), ("queue add", True)],
)
def test_after_kill_9_at_any_call_the_same_command_ends_it(
    cli: Cli, both: Both, served: Served, name: str, without_keys: bool
) -> None:
    """A call waits when the kill comes: it has not reached the server, or has and nobody knows."""
    cli.env |= {"STORECTL_TOKEN": served.token}
    del cli.env["STORECTL_STORE"]
    seed = int(os.environ.get("CRASH_SEED", time.time_ns()))
    print(f"CRASH_SEED={seed}")
    chance = random.Random(f"{seed} {name}")
    kills = rounds = calls = 0

    while kills < POINTS:
        rounds += 1
        folder = cli.folder / str(rounds)
        folder.mkdir()
        cli.folder = folder
        transfer = TRANSFERS[name](both._replace(folder=folder))
        os.chdir(folder)
        words = next(transfer)
        with Proxy(served.url, lambda _: None, without_keys=without_keys) as proxy:
            is_over = False
            for _ in range(min(3, POINTS - kills) if calls else 0):
                at, how = chance.randint(1, calls), chance.choice(["hold", "late"])
                is_over = not killed(cli, proxy, words, at, how)
                if is_over:  # and again would be another push
                    break
                kills += 1
            if not is_over:
                process = start(cli, proxy, words)
                told = process.communicate(timeout=120)[1].decode()
                assert process.returncode == 0, told
            calls = calls or len(proxy.asked)
        assert next(transfer, None) is None
        cli.folder = folder.parent


def test_a_killed_dedupe_leaves_its_part_and_wants_another_name(
    cli: Cli, both: Both, served: Served
) -> None:
    cli.env |= {"STORECTL_TOKEN": served.token}
    del cli.env["STORECTL_STORE"]
    words = next(dedupe(both))

    def plan(asked: Asked) -> str | None:
        return "late" if asked.method == "POST" and "/items" in asked.target else None

    with Proxy(served.url, plan) as proxy:
        process = start(cli, proxy, words)
        assert proxy.held.wait(60)
        process.kill()
        process.communicate()
        proxy.plan = lambda _: None
        proxy.released.set()
        again = both.at(proxy.url, *words)

    assert again.code == 6
    assert "items already" in again.err
    assert "another --write-to" in again.err
