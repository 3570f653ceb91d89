"""storectl's client alone, on nginx with files: a server that costs next to nothing."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import data
from bench import Bench, digest, never
from processes import Run, Wrong, free_port, installed, listening
from results import Goal, Row
from versus import Against, Side, compare

from storectl.client import open_store
from storectl.model.kvs import KeyValueStores, Record

SMALL = Goal(most=150, of="memory")
THREADS = 32
FAST = (Goal(least=8000),)
STORE = "benchBENCHbench12"
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/body; client_max_body_size 0;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000; sendfile on;
  server {{
    listen 127.0.0.1:{port}; root {folder}/www;
    add_header X-RateLimit-Limit 1000000 always;
    default_type application/octet-stream;
    location = /v2/key-value-stores/{store} {{ default_type application/json;
      alias {folder}/store.json; }}
    location / {{ dav_methods PUT; create_full_put_path on; }}
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
    """Records of 4 KB by 32 threads of one client, in this process."""
    count, times = bench.sizes.calls, bench.sizes.rounds
    bodies = [data.record(at) for at in range(min(count, 500))]
    for at, body in enumerate(bodies):
        (www / f"rec-{at}").write_bytes(body)

    def get(kvs: KeyValueStores, at: int) -> None:
        which = at % len(bodies)
        if b"".join(kvs.record(STORE, f"rec-{which}").body) != bodies[which]:
            raise Wrong("a record is not what the server has")

    def put(kvs: KeyValueStores, at: int) -> None:
        body = bodies[at % len(bodies)]
        kvs.put(STORE, Record(key=f"put-{at}", content_type="application/octet-stream",
                            size=len(body), body=(body,)))  # fmt: skip

    def check_put() -> None:
        for at in range(count):
            body, found = bodies[at % len(bodies)], (www / f"put-{at}").read_bytes()
            if found != body and gzip.decompress(found) != body:  # apify-client packs it
                raise Wrong("a record is not what was sent")
            (www / f"put-{at}").unlink()

    rows = []
    for job, call, check in (("GET", get, lambda: None), ("PUT", put, check_put)):
        run = partial(_by_threads, address, call, count, check)
        apify = partial(_by_apify, job, address, bodies, count, check)
        row = compare(f"client: {job} 4 KB, 32 at a time", Side("storectl", run),
                      [apify()], times, FAST)  # fmt: skip
        rows += row
    return rows


def _by_threads(
    address: str,
    call: Callable[[KeyValueStores, int], None],
    count: int,
    check: Callable[[], None],
) -> Run:
    client = open_store(address)
    call(client.kvs, 0)  # what it imports is imported, and the rate is known
    run = _at_once(partial(call, client.kvs), count)
    client.close()
    check()
    return run


def _at_once(call: Callable[[int], object], count: int) -> Run:
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for at in range(first, count, THREADS):
                call(at)
        except Exception as error:  # told below, by who asked
            failures.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(THREADS)]
    cpu, start = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    secs = time.perf_counter() - start
    if failures:
        raise Wrong(repr(failures[0])) from failures[0]
    return Run(count, secs, 0, time.process_time() - cpu, os.getloadavg()[0])


def _by_apify(
    job: str, address: str, bodies: list[bytes], count: int, check: Callable[[], None]
) -> Against:
    """apify-client, by as many threads."""
    try:
        from apify_client import ApifyClient
    except ImportError:
        return Against(Side("apify-client", never, "not installed: pip install apify-client"))

    def call(at: int) -> None:
        body = bodies[at % len(bodies)]
        if job == "PUT":
            store.set_record(f"put-{at}", body, content_type="application/octet-stream")
            return
        record = store.get_record_as_bytes(f"rec-{at % len(bodies)}")
        if record is None or record["value"] != body:
            raise Wrong("a record is not what the server has")

    store = ApifyClient("none", api_url=address).key_value_store(STORE)

    def run() -> Run:
        call(0)
        done = _at_once(call, count)
        check()
        return done

    return Against(Side("apify-client", run))


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
