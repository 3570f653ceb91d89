"""kill -9 of pull and push at random points: what goes on ends as if nothing had been.

CRASH_POINTS says how often each of them is killed; `make crash` does it many times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
POINTS = int(os.environ.get("CRASH_POINTS", "6"))
ITEMS = 100_000
LONGEST_SECS = 0.5
"""A kill comes so long after the work has begun, at most; all of it takes about as long."""

pytestmark = pytest.mark.slow


class Shell:
    """Runs storectl with one store, one configuration and one folder of journals."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "STORECTL_CONFIG_DIR": str(folder / "config"),
            "STORECTL_STATE_DIR": str(self.state),
            **env,
        }

    def start(self, *words: str, **how: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "storectl", *words],
            cwd=self.folder,
            env=self.env,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how},
        )

    def run(self, *words: str) -> str:
        """Run to a good end; what it wrote to stdout."""
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        return out.decode()

    def killed(self, chance: random.Random, *words: str) -> bool:
        """Run, and kill at a random point after the work has begun; False if it ended before."""
        process = self.start(*words)
        while process.poll() is None and not any(self.state.glob("*.json")):
            time.sleep(0.002)
        if process.poll() is None:
            time.sleep(chance.uniform(0, LONGEST_SECS))
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL), err.decode()
        # Who has read that all went well does not begin anew.
        return process.returncode != 0 and b"items, " not in err


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    with path.open("w") as file:
        for n in range(ITEMS):
            item = {"n": n, "url": f"https://example.com/{n * 7919}", "text": "lorem ipsum " * 20}
            file.write(json.dumps(item, separators=(",", ":")) + "\n")
    return path


@pytest.fixture(scope="module", params=["embedded", "server"])
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, items: Path
) -> Iterator[Shell]:
    """One that has the items in its dataset `pulled`."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    local = Shell(folder, STORECTL_STORE=str(folder / "store"))
    if request.param == "embedded":
        local.run("dataset", "push", "pulled", str(items), "--create")
        yield local
        return
    token = local.run("token", "create", "ci", "-q").strip()
    log = (folder / "log").open("wb")
    server = local.start("serve", "--port", "0", "--rate-limit", "off", stderr=log)
    assert server.stdout is not None
    try:
        url = json.loads(server.stdout.readline())["url"]
        remote = Shell(folder, STORECTL_SERVER=url, STORECTL_TOKEN=token)
        remote.run("dataset", "push", "pulled", str(items), "--create")
        yield remote
    finally:
        server.terminate()
        server.communicate(timeout=60)
        log.close()


def kills(
    shell: Shell,
    points: int,
    job: Callable[[int], tuple[str, ...]],
    check: Callable[[int], None],
) -> None:
    """Kill runs of a job, let it end, and check; so many jobs that there are that many kills."""
    seed = int(os.environ.get("CRASH_SEED", time.time_ns()))
    print(f"CRASH_SEED={seed}")
    chance = random.Random(seed)
    count = number = 0
    while count < points:
        number += 1
        words = job(number)
        for _ in range(chance.randint(2, 6)):
            if not shell.killed(chance, *words):
                break
            count += 1
        else:
            shell.run(*words)
        check(number)
        assert not list(shell.state.glob("*.json"))


@pytest.mark.parametrize("name", ["items.jsonl", "clean.csv.gz"])
def test_a_killed_pull_ends_as_one_that_was_not(shell: Shell, name: str) -> None:
    """Half of the points each: a format that is ready when all has come, and one that is not."""
    more = ["--clean"] if name.startswith("clean") else []
    whole = shell.folder / f"whole-{name}"
    shell.run("dataset", "pull", "pulled", "-o", str(whole), *more)

    def job(number: int) -> tuple[str, ...]:
        return ("dataset", "pull", "pulled", "-o", f"{number}-{name}", *more)

    def check(number: int) -> None:
        file = shell.folder / f"{number}-{name}"
        assert file.read_bytes() == whole.read_bytes()
        file.unlink()

    kills(shell, POINTS // 2, job, check)

    assert [path.name for path in shell.folder.glob(".*")] == []


def test_a_killed_push_loses_nothing_and_doubles_nothing(shell: Shell, items: Path) -> None:
    data = items.read_bytes()

    def job(number: int) -> tuple[str, ...]:
        shell.run("dataset", "create", f"pushed-{number}")
        return ("dataset", "push", f"pushed-{number}", str(items))

    def check(number: int) -> None:
        file = shell.folder / "found.jsonl"
        shell.run("dataset", "pull", f"pushed-{number}", "-o", str(file))
        assert file.read_bytes() == data
        shell.run("dataset", "rm", f"pushed-{number}", "--yes")

    kills(shell, POINTS, job, check)
