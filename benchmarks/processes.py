"""Commands that are timed, and servers that run beside them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
START_SECS = 20


class Wrong(Exception):
    """A job that failed, or did not do what it should have: its time says nothing."""


class Run(NamedTuple):
    """A job that was done. moved: how many. memory_mib: the most it had.

    load: of the machine then, by all who use it.
    """

    moved: int
    secs: float
    memory_mib: float = 0.0
    cpu_secs: float = 0.0
    load: float = 0.0

    @property
    def rate(self) -> float:
        return self.moved / self.secs


def timed(words: list[str], env: dict[str, str], count: int = 1, output: Path | None = None) -> Run:
    """Run a command to its end. output: what it prints goes there. Raises Wrong if it fails."""
    spawn = [sys.executable, "-I", "-S", str(HERE / "spawn.py"), str(output or os.devnull)]
    done = subprocess.run([*spawn, *words], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    secs, cpu_secs, memory_mib, code = map(float, done.stdout.split())
    if code != 0:
        said = " ".join(done.stderr.strip().splitlines()[-2:]) or "nothing was said"
        raise Wrong(f"{Path(words[0]).name} ended with {code:.0f}: {said[:200]}")
    return Run(count, secs, memory_mib, cpu_secs, os.getloadavg()[0])


def at_once(scripts: list[list[str]], env: dict[str, str] | None = None) -> tuple[float, list[str]]:
    """Run Python scripts that say a line and then wait for one, and go on when all are ready.

    Seconds from then to the last one's end, and what each prints. Raises Wrong if one fails.
    """
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen([sys.executable, *words], env=env, stdin=pipe, stdout=pipe, text=True)
        for words in scripts
    ]
    for each in running:
        assert each.stdout is not None
        each.stdout.readline()
    begin = time.perf_counter()
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate()[0] for each in running]
    secs = time.perf_counter() - begin
    codes = [each.returncode for each in running]
    if any(codes):
        raise Wrong(f"of {len(running)} processes some failed: exit codes {codes}")
    return secs, said


def installed(name: str) -> str | None:
    """A program of this environment, or else of this machine."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def listening(words: list[str], env: dict[str, str], port: int) -> Iterator[int]:
    """A server of others, from when it takes connections on: its process."""
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(START_SECS)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise Wrong(f"{process.args!r} did not start") from None
            time.sleep(0.05)
