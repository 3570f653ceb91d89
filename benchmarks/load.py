"""Requests as fast as a server answers them: by wrk where it is installed, else by threads."""

from __future__ import annotations

import re
import shutil
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
    """What is asked again and again. path: `{n}` in it is a number that changes, below `spread`."""

    method: str
    path: str
    token: str = ""
    body: bytes = b""
    spread: int = 1

    @property
    def headers(self) -> dict[str, str]:
        named = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**named, "Content-Type": "application/json"} if self.body else named

    def at(self, number: int) -> str:
        """The path of one request."""
        return self.path.replace("{n}", str(number * 7 % self.spread))


def generator() -> str:
    """What makes the load, for the head of the table."""
    return "wrk" if WRK else "threads with http.client (wrk is not installed: figures are lower)"


def rate(address: str, job: Job, connections: int, secs: float) -> float:
    """Answers a second, all of them good."""
    return (_by_wrk if WRK else _by_threads)(address, job, connections, secs)


def _by_wrk(address: str, job: Job, connections: int, secs: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "job.lua")
        body.write_bytes(job.body)
        headers = "".join(f'wrk.headers["{k}"] = "{v}"\n' for k, v in job.headers.items())
        before, _, after = job.path.partition("{n}")
        path = f'"{before}" .. (n * 7 % {job.spread}) .. "{after}"' if after or "{n}" in job.path \
            else f'"{job.path}"'  # fmt: skip
        script.write_text(
            f'local file = io.open("{body}", "rb")\n'
            f'local body = file:read("*a")\nif body == "" then body = nil end\n{headers}'
            f"local n = 0\nrequest = function()\n  n = n + 1\n"
            f'  return wrk.format("{job.method}", {path}, nil, body)\nend\n'
        )
        # Whole seconds only, and what it waits for at the end is not counted.
        words = [str(WRK), "-t1", f"-c{connections}", f"-d{max(1, round(secs))}s",
                 "-s", str(script), address]  # fmt: skip
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1])


def _by_threads(address: str, job: Job, connections: int, secs: float) -> float:
    where = urlsplit(address)
    end = time.perf_counter() + secs
    counts = [0] * connections
    bad: list[int] = []

    def work(number: int) -> None:
        connection = HTTPConnection(where.hostname or "", where.port)
        while time.perf_counter() < end:
            at = counts[number] * connections + number
            connection.request(job.method, job.at(at), job.body or None, job.headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                bad.append(answer.status)
                return
            counts[number] += 1
        connection.close()

    start = time.perf_counter()
    workers = [threading.Thread(target=work, args=(at,)) for at in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not bad, bad
    return sum(counts) / (time.perf_counter() - start)
