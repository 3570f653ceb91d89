"""kill -9 of pull, push and sync at random points; run again, and both sides are equal."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from storectl.cli import main
from storectl.engine import open_store
from storectl.model.kvs import Record, every_key

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("CRASH_POINTS", "4"))
"""Kills of each command in each place."""

RECORDS = 100
WINDOW_SECS = 0.1
"""About as long as moving the records takes; the kill comes within it."""

Bodies = dict[str, bytes]


class Place(NamedTuple):
    """Where commands find a store, and the folder of that store."""

    store: Path
    env: dict[str, str]


def bodies(seed: int) -> Bodies:
    """Records of many sizes, two of them large; and one key in two capitals."""
    chance = random.Random(seed)
    found = {f"r{at}.json": chance.randbytes(chance.randrange(1, 9000)) for at in range(RECORDS)}
    found |= {"big.bin": chance.randbytes(1_500_000), "Large.bin": chance.randbytes(700_000)}
    found |= {"INPUT": b"{}", "input": b"[]", "empty": b""}
    return found


@pytest.fixture(scope="module", params=["embedded", "served"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    home = tmp_path_factory.mktemp(request.param)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "STORECTL_CONFIG_DIR": str(home / "config"),
        "STORECTL_STORE": str(home / "store"),
    }
    if request.param == "embedded":
        yield Place(home / "store", env)
        return
    run = [sys.executable, "-m", "storectl"]
    made = subprocess.run(
        [*run, "token", "create", "--user", "alice", "-q"], env=env, capture_output=True, text=True
    )
    server = subprocess.Popen(
        [*run, "serve", "--port", "0", "--rate-limit", "off"], env=env, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    url = json.loads(server.stdout.readline())["url"]
    del env["STORECTL_STORE"]
    yield Place(
        home / "store", env | {"STORECTL_SERVER": url, "STORECTL_TOKEN": made.stdout.strip()}
    )
    server.terminate()
    server.communicate(timeout=60)


@pytest.fixture
def run(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., int]:
    """Runs a command to its end, in this process."""
    for name in list(os.environ):
        if name.startswith(("STORECTL_", "APIFY_")):
            monkeypatch.delenv(name)
    for name, value in place.env.items():
        monkeypatch.setenv(name, value)
    return lambda *words: main(list(words))


@pytest.fixture
def create(run: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Makes a store, and says its ID."""

    def made() -> str:
        capfd.readouterr()
        assert run("kvs", "create", "-q") == 0
        return capfd.readouterr().out.strip()

    return made


def killed(place: Place, folder: Path, *words: str) -> bool:
    """Start a command, and kill it some time after it moved its first record.

    Whether it was still running then.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "storectl", *words],
        env=place.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while process.poll() is None and not (folder / ".storectl.log").exists():
        assert time.monotonic() < end, "it moves nothing"
        time.sleep(0.001)
    time.sleep(random.uniform(0, WINDOW_SECS))
    process.send_signal(signal.SIGKILL)
    return process.wait(60) == -signal.SIGKILL


def filled(place: Place, id: str, records: Bodies) -> None:
    """Put records into a store, one of them packed."""
    store = open_store(str(place.store))
    for key, body in records.items():
        packed = key == "big.bin"
        store.kvs.put(
            id,
            Record(
                key=key,
                content_type="application/x-test",
                content_encoding="gzip" if packed else None,
                body=(gzip.compress(body, 1) if packed else body,),
            ),
        )
    store.close()


def stored(place: Place, id: str) -> Bodies:
    store = open_store(str(place.store))
    found = {
        key.key: b"".join(store.kvs.record(id, key.key).body) for key in every_key(store.kvs, id)
    }
    store.close()
    return found


def held(folder: Path) -> Bodies:
    """The files of a folder by name; nothing unfinished is among them."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name[0] != "."}


def named(records: Bodies) -> Bodies:
    """Records by the name of their file: INPUT comes first, so that input has to give way."""
    return {key.replace("input", "%69%6E%70%75%74"): body for key, body in records.items()}


def left(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.name[0] == "."}


def written(folder: Path, records: Bodies) -> None:
    folder.mkdir()
    for name, body in named(records).items():
        (folder / name).write_bytes(body)


@pytest.mark.slow
def test_pull(
    place: Place, run: Callable[..., int], create: Callable[[], str], tmp_path: Path
) -> None:
    records = bodies(1)
    id = create()
    filled(place, id, records)
    whole = named(records)
    cut = 0

    for round in range(ROUNDS):
        folder = tmp_path / str(round)
        cut += killed(place, folder, "kvs", "pull", id, str(folder))
        for name, body in held(folder).items():
            assert body == whole[name], f"{name} looks whole and is not"
        assert run("kvs", "pull", id, str(folder), "-q") == 0
        assert held(folder) == whole
        assert left(folder) == {".storectl.json"}
        shutil.rmtree(folder)

    print(f"{cut} of {ROUNDS} runs were cut off")  # how many depends on the machine


@pytest.mark.slow
def test_push(
    place: Place, run: Callable[..., int], create: Callable[[], str], tmp_path: Path
) -> None:
    records = bodies(2)
    folder = tmp_path / "folder"
    written(folder, records)
    cut = 0

    for _ in range(ROUNDS):
        id = create()
        cut += killed(place, folder, "kvs", "push", str(folder), id)
        for key, body in stored(place, id).items():
            assert body == records[key], f"{key} is stored and not whole"
        assert run("kvs", "push", str(folder), id, "-q") == 0
        assert stored(place, id) == records
        (folder / ".storectl.json").unlink()

    print(f"{cut} of {ROUNDS} runs were cut off")


@pytest.mark.slow
def test_sync_with_delete_both_ways(
    place: Place, run: Callable[..., int], create: Callable[[], str], tmp_path: Path
) -> None:
    """What is there is partly old, partly too much: changes and deletions are cut off too."""
    chance = random.Random(3)
    folder = tmp_path / "folder"
    written(folder, bodies(3))
    id = create()
    assert run("kvs", "push", str(folder), id, "-q") == 0
    plain = {name: name.replace("%69%6E%70%75%74", "input") for name in held(folder)}
    cut = 0

    for round in range(ROUNDS):
        if round % 2:
            change(folder, chance)
            words = ["kvs", "sync", str(folder), id, "--delete"]
            wanted = held(folder)
        else:
            other = tmp_path / "other"
            assert run("kvs", "pull", id, str(other), "-q") == 0
            change(other, chance)
            assert run("kvs", "sync", str(other), id, "--delete", "-q") == 0
            wanted = held(other)
            shutil.rmtree(other)
            # Nothing but its bytes tells of a record that another folder set anew.
            words = ["kvs", "sync", id, str(folder), "--delete", "--checksum"]
        cut += killed(place, folder, *words)
        assert run(*words, "-q") == 0
        assert held(folder) == wanted
        assert stored(place, id) == {plain.get(name, name): wanted[name] for name in wanted}
        assert left(folder) == {".storectl.json"}

    print(f"{cut} of {ROUNDS} runs were cut off")


def change(folder: Path, chance: random.Random) -> None:
    """A third of the files anew with the same size, some gone, some new."""
    files = sorted(file for file in folder.iterdir() if file.name.startswith(("r", "new", "big")))
    for file in chance.sample(files, len(files) // 3):
        file.write_bytes(chance.randbytes(file.stat().st_size))
    for file in chance.sample(files, 6):
        file.unlink()
    for _ in range(6):
        (folder / f"new{chance.randrange(10**9)}").write_bytes(chance.randbytes(5000))
