"""The server, beside the same server and Starlette with nothing to do, and nginx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import data
from load import WRK, Job, load
from processes import free_port, installed, listening
from results import Goal, Row, rounds
from startup import environment, program

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.items import Items
from storectl.model.kvs import Record

HERE = Path(__file__).parent
RECORDS = 500
ITEMS = 20_000
LARGE_BYTES = 100 * 2**20
LOCKED = 25
EMPTY, STARLETTE, NGINX = "empty handler", "starlette + uvicorn", "nginx"
GOALS = {
    EMPTY: Goal(least=0.5, of="ratio"),
    STARLETTE: Goal(least=1.3, of="ratio"),
    NGINX: Goal(least=0.5, of="ratio"),
}
CONFIG = """
worker_processes 1; daemon off; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; default_type application/octet-stream;
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""
HANDLING = """
local ids, base = {{}}, "{path}"
request = function()
  local found = table.remove(ids)
  if found == nil then
    return wrk.format("POST", base .. "/head/lock?lockSecs=600&limit={locked}&clientKey=c")
  end
  local at = base .. "/requests/" .. found[1] .. "?clientKey=c"
  local sent = '{{"id":"' .. found[1] .. '","url":"' .. found[2] .. '","uniqueKey":"' .. found[2]
    .. '","handledAt":"2026-01-01T00:00:00.000Z"}}'
  return wrk.format("PUT", at, nil, sent)
end
response = function(status, headers, body)
  for id, key in body:gmatch('"id":"([^"]+)","uniqueKey":"(http[^"]+)"') do
    ids[#ids + 1] = {{id, key}}
  end
end
"""


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


class Call(NamedTuple):
    """A job, and the servers that it is done beside. before: each time, with the seconds."""

    job: Job
    beside: tuple[str, ...] = (EMPTY,)
    before: Callable[[float], object] = lambda _: None


class Download(NamedTuple):
    """A large answer, and the file that nginx has of it."""

    path: str
    file: str


class Content:
    """A store with something in it, what is asked of its server, and the same as files."""

    def __init__(self, folder: Path, large_bytes: int) -> None:
        self.folder, self.files = folder / "store-of-server", folder / "www"
        self.files.mkdir()
        self.large_bytes = large_bytes
        self.store = open_store(str(self.folder))
        self.token = self.store.tokens.create("bench", username="bench").secret or ""
        self.lines = list(data.encoded(ITEMS))
        self.keys = 0

    def calls(self) -> dict[str, Call]:
        """The hot endpoints."""
        mine, token = _mine(self.store, self.token), self.token
        kvs, sink = mine.kvs.create("records")[0].id, mine.datasets.create("sink")[0].id
        shop, queue = mine.datasets.create("shop")[0].id, mine.queues.create("queue")[0].id
        crawl = mine.queues.create("crawl")[0].id
        body, lines = data.record(), self.lines
        for at in range(RECORDS):
            record = Record(key=f"rec-{at}", content_type="image/png", size=len(body), body=(body,))
            mine.kvs.put(kvs, record)
        for at in range(0, ITEMS, 5000):
            mine.datasets.push(shop, Items.from_lines(lines[at : at + 5000]))
        record_at = f"/v2/key-value-stores/{kvs}/records/rec-{{n}}"
        into, out = f"/v2/datasets/{sink}/items", f"/v2/datasets/{shop}/items?limit=1000"
        add = f"/v2/request-queues/{queue}/requests"
        thousand = b"[" + b",".join(lines[:1000]) + b"]"
        (self.files / "record").write_bytes(body)
        (self.files / "thousand").write_bytes(thousand)
        one = b'{"url":"https://example.com/{n}","uniqueKey":"{n}"}'
        found = {
            "GET record, 4 KB": Call(
                Job("GET", record_at, token, spread=RECORDS, length=len(body)),
                (EMPTY, STARLETTE, NGINX),
            ),
            "PUT record, 4 KB": Call(Job("PUT", record_at, token, body, spread=RECORDS)),
            "push 1 item": Call(Job("POST", into, token, lines[1])),
            "push 1,000 items": Call(Job("POST", into, token, thousand)),
            "GET 1,000 items": Call(
                Job("GET", out + "&offset={n}", token, spread=ITEMS - 1000, length=len(thousand)),
                (EMPTY, NGINX),
            ),
            "add 1 request": Call(Job("POST", add, token, one, length=150)),
            "add 25 requests": Call(
                Job("POST", add + "/batch", token, b"[" + b",".join([one] * 25) + b"]", length=3000)
            ),
            "lock 25, handle each": Call(
                Job("PUT", "", token, one, length=150, script=HANDLING.format(
                    path=f"/v2/request-queues/{crawl}", locked=LOCKED)),
                before=lambda secs: self._fill(crawl, round(secs * 8000)),
            ),
        }  # fmt: skip
        if not WRK:
            del found["lock 25, handle each"]
        return found

    def downloads(self) -> dict[str, Download]:
        """Answers of 100 MB."""
        mine, size = _mine(self.store, self.token), self.large_bytes
        kvs, large = mine.kvs.create("large")[0].id, mine.datasets.create("large")[0].id
        with (self.files / "large").open("wb") as file:
            for _ in range(size // 2**20):
                file.write(os.urandom(2**20))
        with (self.files / "large").open("rb") as file:
            blocks = iter(lambda: file.read(2**20), b"")
            mine.kvs.put(kvs, Record(key="large", content_type="a/b", size=size, body=blocks))
        batch = Items.from_lines(self.lines)
        with (self.files / "items").open("wb") as file:
            for _ in range(max(1, size // len(batch.lines))):
                mine.datasets.push(large, batch)
                file.write(batch.lines)
        items = f"/v2/datasets/{large}/items?format="
        return {
            "record of 100 MB": Download(f"/v2/key-value-stores/{kvs}/records/large", "large"),
            "100 MB of items, jsonl": Download(items + "jsonl", "items"),
            "100 MB of items, json": Download(items + "json", "items"),
        }

    def _fill(self, queue: str, count: int) -> None:
        """Have so many requests to handle."""
        mine = _mine(self.store, self.token).queues
        there = mine.get(queue).pending_request_count or 0
        for _ in range(max(0, count - there) // 1000 + 1):
            urls = [f"https://example.com/{self.keys + at}" for at in range(1000)]
            self.keys += len(urls)
            mine.add(queue, [{"url": url, "uniqueKey": url} for url in urls])


def measure(
    folder: Path, concurrency: list[int], count: int, secs: float, large_bytes: int = LARGE_BYTES
) -> list[Row]:
    """Rows for each job and number of connections, and for each large answer."""
    content = Content(folder, large_bytes)
    calls, downloads = content.calls(), content.downloads()
    with ExitStack() as stack:
        servers = _servers(stack, folder, content)
        ours = servers[""]
        assert isinstance(ours, Running)
        rows: list[Row] = []
        cases: list[Callable[[], None]] = []
        for name, call in calls.items():
            for connections in concurrency:
                mine = [_row(f"{name}, c={connections}", "/s", yard) for yard in call.beside]
                cases.append(_one(mine, servers, call, connections, secs))
                rows += mine
        for name, download in downloads.items():
            row = _row(name, "MB/s", NGINX)
            cases.append(_large(row, servers, download, content.token))
            rows.append(row)
        rounds(count, cases, "server")
        nothing = servers[EMPTY]
        assert isinstance(nothing, Running)
        memory = Row("server, most memory", "MiB", EMPTY)
        memory.add(ours.memory_mib(), nothing.memory_mib())
    content.store.close()
    return [*rows, memory]


def _servers(stack: ExitStack, folder: Path, content: Content) -> dict[str, Running | str]:
    """All of them; of those that this machine has not, how to get them."""
    env = environment(folder)
    serve = [*program(), "serve", "--dir", str(content.folder), "--port", "0",
             "--rate-limit", "off", "--default-access", "restricted"]  # fmt: skip
    empty = [sys.executable, str(HERE / "empty.py")]
    env_of_empty = {**env, "PYTHONPATH": str(HERE.parent)}
    found: dict[str, Running | str] = {
        "": stack.enter_context(running(serve, env)),
        EMPTY: stack.enter_context(running(empty, env_of_empty)),
        STARLETTE: "not installed: pip install starlette uvicorn httptools",
        NGINX: "not installed: apt-get install nginx",
    }
    try:
        import httptools  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        pass
    else:
        port = free_port()
        words = [sys.executable, str(HERE / "peer_starlette.py"), str(port)]
        process = stack.enter_context(listening(words, env, port))
        found[STARLETTE] = Running(f"http://127.0.0.1:{port}", process)
    nginx = installed("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx:
        port, config = free_port(), folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=content.files, port=port))
        for file in content.files.iterdir():
            file.chmod(0o644)
        for part in (folder, content.files):
            part.chmod(0o755)
        process = stack.enter_context(listening([nginx, "-c", str(config)], env, port))
        found[NGINX] = Running(f"http://127.0.0.1:{port}", _child(process))
    return found


def _row(job: str, unit: str, yardstick: str) -> Row:
    return Row(job, unit, yardstick, (GOALS[yardstick],))


def _one(
    rows: list[Row], servers: dict[str, Running | str], call: Call, connections: int, secs: float
) -> Callable[[], None]:
    """One round of a job: by us, then by those beside."""
    ours = servers[""]

    def done() -> None:
        assert isinstance(ours, Running)
        call.before(secs)
        rate, cpu, p50, p99 = _timed(ours, call.job, connections, secs)
        for row in rows:
            server = servers[row.yardstick]
            if isinstance(server, str):
                row.saw(rate, None)
                row.failed = server
                continue
            beside, cpu_beside, *_ = _timed(server, _same(call.job, row), connections, secs)
            row.add(rate, beside)
            if row is rows[0]:
                row.note(p50, "ms")
                row.note(p99, "ms p99")
                if cpu:
                    row.note(cpu, "us CPU")
            if cpu and cpu_beside:
                row.note(cpu_beside / cpu, "x by CPU")

    return done


def _same(job: Job, row: Row) -> Job:
    """What is asked of a server beside: as many bytes there and back."""
    path = f"/{job.length}"
    if row.yardstick == NGINX:
        path = "/record" if job.length == data.RECORD_BYTES else "/thousand"
    return job._replace(path=path, script="", spread=1)


def _timed(
    server: Running, job: Job, connections: int, secs: float
) -> tuple[float, float, float, float]:
    """Answers a second, us of CPU each, median and 99th percentile of their time in ms."""
    before = server.cpu_secs()
    found = load(server.address, job, connections, secs)
    after = server.cpu_secs()
    cpu = (after - before) / found.count * 1e6 if before is not None and after is not None else 0.0
    return found.rate, cpu, found.p50_ms, found.p99_ms


def _large(
    row: Row, servers: dict[str, Running | str], download: Download, token: str
) -> Callable[[], None]:
    """One round of a large answer, by curl."""

    def done() -> None:
        ours, nginx = servers[""], servers[NGINX]
        assert isinstance(ours, Running)
        before = ours.cpu_secs()
        rate, size = _curl(ours.address + download.path, token)
        after = ours.cpu_secs()
        if isinstance(nginx, str):
            row.saw(rate, None)
            row.failed = nginx
            return
        row.add(rate, _curl(f"{nginx.address}/{download.file}", token)[0])
        if before is not None and after is not None:
            row.note((after - before) / size * 1e9, "ms CPU a MB")

    return done


def _curl(address: str, token: str) -> tuple[float, float]:
    """MB a second, and bytes, of one download to nowhere."""
    form = "%{http_code} %{size_download} %{time_total}"
    words = ["curl", "-s", "-o", os.devnull, "-w", form, "-H", f"Authorization: Bearer {token}"]
    said = subprocess.run([*words, address], capture_output=True, text=True, check=True).stdout
    code, size, secs = map(float, said.split())
    assert code == 200, said
    return size / secs / 1e6, size


def _mine(store: EngineStore, token: str):  # type: ignore[no-untyped-def]
    return store.acting(store.caller(token))


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
