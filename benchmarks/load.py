"""Requests as fast as a server answers them: by wrk where it is installed, else by threads."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

WRK = shutil.which("wrk")


class Job(NamedTuple):
    """What is asked again and again. path: `{n}` in it is a number that changes, below `spread`;
    in the body it is one that never comes twice. length: that an answer has.

    script: instead of all this but the token, a Lua script of wrk that makes requests of answers.
    """

    method: str
    path: str
    token: str = ""
    body: bytes = b""
    spread: int = 1
    length: int = 0
    script: str = ""

    @property
    def headers(self) -> dict[str, str]:
        named = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**named, "Content-Type": "application/json"} if self.body else named

    def at(self, number: int) -> str:
        """The path of one request."""
        return self.path.replace("{n}", str(number * 7 % self.spread))


class Load(NamedTuple):
    """Answers a second, all of them good, and how long half of them and 99 of 100 took."""

    rate: float
    count: int
    p50_ms: float
    p99_ms: float


def generator() -> str:
    """What makes the load, for the head of the table."""
    return "wrk" if WRK else "threads with http.client (wrk is not installed: figures are lower)"


def load(address: str, job: Job, connections: int, secs: float) -> Load:
    """Ask for some time."""
    return (_by_wrk if WRK else _by_threads)(address, job, connections, secs)


DONE = """
done = function(summary, latency)
  io.write(string.format("found %d %d %f %f %f\\n", summary.requests, summary.errors.status,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def _by_wrk(address: str, job: Job, connections: int, secs: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "job.lua")
        body.write_bytes(job.body)
        headers = "".join(f'wrk.headers["{k}"] = "{v}"\n' for k, v in job.headers.items())
        script.write_text(headers + (job.script or _plain(job, body)) + DONE)
        # Whole seconds only, and what it waits for at the end is not counted.
        words = [str(WRK), "-t1", f"-c{connections}", f"-d{max(1, round(secs))}s",
                 "-s", str(script), address]  # fmt: skip
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^found (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)$", said, re.MULTILINE)
    assert found, said
    count, bad, took, p50_ms, p99_ms = map(float, found.groups())
    assert not bad, said
    assert count, said
    return Load(count / took, int(count), p50_ms, p99_ms)


def _plain(job: Job, body: Path) -> str:
    """A script that makes one request after the other, whatever is answered."""
    before, found, after = job.path.partition("{n}")
    path = f'"{before}" .. (n * 7 % {job.spread}) .. "{after}"' if found else f'"{job.path}"'
    begin = time.time_ns()  # unlike every other run's
    fresh = f'body:gsub("{{n}}", function() m = m + 1; return "{begin}-" .. m end)'
    return (
        f'local file = io.open("{body}", "rb")\n'
        'local body = file:read("*a")\nif body == "" then body = nil end\n'
        f"local n, m = 0, 0\nrequest = function()\n  n = n + 1\n"
        f"  local sent = {fresh if b'{n}' in job.body else 'body'}\n"
        f'  return wrk.format("{job.method}", {path}, nil, sent)\nend\n'
    )


def _by_threads(address: str, job: Job, connections: int, secs: float) -> Load:
    assert not job.script, "wrk is not installed"
    where = urlsplit(address)
    end = time.perf_counter() + secs
    took: list[float] = []
    bad: list[int] = []

    def work(number: int) -> None:
        connection = HTTPConnection(where.hostname or "", where.port)
        sent = 0
        while (begin := time.perf_counter()) < end:
            first, *rest = job.body.split(b"{n}")
            name = f"{time.time_ns()}-{number}"
            body = first + b"".join(f"{name}-{at}".encode() + p for at, p in enumerate(rest))
            connection.request(
                job.method, job.at(sent * connections + number), body or None, job.headers
            )
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                bad.append(answer.status)
                return
            took.append(time.perf_counter() - begin)
            sent += 1
        connection.close()

    start = time.perf_counter()
    workers = [threading.Thread(target=work, args=(at,)) for at in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not bad, bad
    slow = statistics.quantiles(took, n=100) if len(took) > 1 else took * 99
    return Load(
        len(took) / (time.perf_counter() - start), len(took), slow[49] * 1e3, slow[98] * 1e3
    )
