"""storectl's client alone, on nginx: a server that costs next to nothing.

It reads files. What it is sent it takes to the last byte and forgets, but for one of a
hundred, which it keeps to be compared: to write files takes it longer than a client does.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import data
from bench import Bench, digest
from processes import HERE, Wrong, free_port, installed, listening
from results import Goal, Row
from versus import Against, Side, compare

SMALL = Goal(most=150, of="memory")
FAST = (Goal(least=8000),)
STORE = "benchBENCHbench12"
KEPT = 100
"""One of so many records that are set is kept."""

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/body; client_max_body_size 0;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000; sendfile on; client_body_buffer_size 64k;
  server {{
    listen 127.0.0.1:{port}; root {folder}/www;
    add_header X-RateLimit-Limit 1000000 always;
    default_type application/octet-stream;
    location = /v2/key-value-stores/{store} {{ default_type application/json;
      alias {folder}/store.json; }}
    location ~ "/put-(0|[0-9]+00)$" {{ dav_methods PUT; create_full_put_path on; }}
    # Only what mirrors a request has read all of it before it is answered.
    location ~ /put- {{ mirror /taken; error_page 404 405 =201 @taken; }}
    location = /taken {{ internal; return 204; }}
    location @taken {{ return 201; }}
  }}
}}
"""


def measure(bench: Bench) -> list[Row]:
    """Rows of records of 4 KB by many threads, and of a large one."""
    nginx = installed("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    folder, port = bench.fresh("nginx"), free_port()
    www = folder / "www" / "v2" / "key-value-stores" / STORE / "records"
    www.mkdir(parents=True)
    if nginx is None:
        row = Row("client, 4 KB, 32 at a time", "/s", "nginx")
        row.saw(0, None)
        row.failed = "not installed: apt-get install nginx"
        return [row]
    (folder / "conf").write_text(NGINX.format(folder=folder, port=port, store=STORE))
    when = "2026-01-01T00:00:00.000Z"
    told = {"id": STORE, "name": None, "userId": "bench", "createdAt": when,
            "modifiedAt": when, "accessedAt": when}  # fmt: skip
    (folder / "store.json").write_text(json.dumps({"data": told}))
    words = [nginx, "-c", str(folder / "conf"), "-p", str(folder)]
    with listening(words, bench.env, port):
        address = f"http://127.0.0.1:{port}"
        return [*_calls(bench, address, www), *_large(bench, address, www)]


def _calls(bench: Bench, address: str, www: Path) -> list[Row]:
    """Records of 4 KB by 32 threads of one client."""
    count, source = bench.sizes.calls, bench.fresh("bodies")
    data.write_records(source, min(count, 500))
    bodies = [file.read_bytes() for file in sorted(source.iterdir())]
    for file in source.iterdir():
        shutil.copy(file, www / file.name)

    def check_put() -> None:
        for at in range(0, count, KEPT):
            file, body = www / f"put-{at}", bodies[at % len(bodies)]
            found = file.read_bytes() if file.exists() else b""
            if found != body and gzip.decompress(found) != body:  # apify-client packs it
                raise Wrong("a record is not what was sent")
            file.unlink()

    def row(method: str, check: Callable[[], None]) -> list[Row]:
        words = [method, address, STORE, str(source), str(count)]
        ours = _threads(bench, "storectl", words, count, check)
        apify = Against(_threads(bench, "apify-client", words, count, check))
        job = f"client: {method} 4 KB, 32 at a time"
        return compare(job, ours, [apify], bench.sizes.rounds, FAST)

    return [*row("GET", lambda: None), *row("PUT", check_put)]


def _threads(
    bench: Bench, name: str, words: list[str], count: int, check: Callable[[], None]
) -> Side:
    module = name.replace("-", "_")
    words = [str(HERE / "peer_threads.py"), name.partition("-")[0], *words]
    return bench.script(name, name, module, lambda: words, bench.env, count, check)


def _large(bench: Bench, address: str, www: Path) -> list[Row]:
    """One record of a gigabyte to a file."""
    size, target = bench.sizes.bytes_of_pull, bench.folder / "large"
    with (www / "large").open("wb") as file:
        block = os.urandom(2**20)
        for _ in range(size // len(block)):
            file.write(block)
    expected = digest(www / "large")

    def check() -> None:
        if digest(target) != expected:
            raise Wrong("the file is not the record")
        target.unlink()

    words = [*bench.storectl, "--server", address, "kvs", "get", STORE, "large", "-o", str(target)]
    env = {**bench.env, "STORECTL_TOKEN": "none"}
    ours = bench.command("storectl", lambda: words, env, size // 10**6, check)
    path = f"{address}/v2/key-value-stores/{STORE}/records/large"
    curl = bench.curl(lambda: ["-o", str(target), path], size // 10**6, check)
    other = Against(curl, "time", (Goal(most=1.1, of="ratio"),))
    job = f"client: GET {size / 1e9:.2g} GB, in MB"
    return compare(job, ours, [other], bench.sizes.rounds, (SMALL,))
