"""What the parts of the benchmark share: sizes, places, who does a job, whether all came."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from processes import HERE, Run, Wrong, installed, timed
from served import Running, running
from startup import environment, program
from versus import Side

from storectl.client import open_store as open_client
from storectl.client.store import ClientStore
from storectl.engine import open_store

TOKEN_NAMES = ("STORECTL_TOKEN", "APIFY_TOKEN")


class Sizes(NamedTuple):
    """How much there is of everything. few_*: for who is too slow for all of it."""

    items: int
    bytes_of_pull: int
    few_items: int
    some_items: int
    urls: int
    few_urls: int
    records: int
    few_records: int
    calls: int
    rows: int
    few_rows: int
    memory: tuple[int, int]
    growth: tuple[int, ...]
    rounds: int


FULL = Sizes(1_000_000, 2**30, 10_000, 100_000, 100_000, 5_000, 10_000, 1_000, 10_000,
             1_000_000, 50_000, (1_000_000, 4_000_000), (10_000, 100_000, 1_000_000),
             3)  # fmt: skip
QUICK = Sizes(100_000, 2**26, 2_000, 20_000, 20_000, 1_000, 500, 200, 2_000,
              100_000, 10_000, (25_000, 100_000), (10_000, 100_000), 2)  # fmt: skip
TINY = Sizes(2_000, 2**20, 200, 500, 500, 50, 50, 20, 64, 500, 100, (500, 2_000), (1_000, 2_000), 1)


class Bench:
    """A folder to work in, and servers that are started in it."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder, self.sizes = folder, sizes
        self.env = environment(folder)
        self.storectl = program()
        self._made = 0

    def fresh(self, name: str) -> Path:
        """A path where nothing is yet."""
        self._made += 1
        return self.folder / f"{name}-{self._made}"

    @contextmanager
    def serving(self) -> Iterator[There]:
        """`storectl serve` on an empty store."""
        folder = self.fresh("store")
        store = open_store(str(folder))
        token = store.tokens.create("bench", username="bench").secret or ""
        store.close()
        words = [*self.storectl, "serve", "--dir", str(folder), "--port", "0",
                 "--rate-limit", "off", "--default-access", "restricted"]  # fmt: skip
        env = {**self.env, **dict.fromkeys(TOKEN_NAMES, token)}
        with running(words, env) as server:
            yield There(self, server, token, env)
        shutil.rmtree(folder)

    def storectl_side(
        self, words: Callable[[], list[str]], count: int, check: Callable[[], None]
    ) -> Side:
        """The embedded store at work: the whole command, with its start."""
        return self.command("storectl", lambda: [*self.storectl, *words()], self.env, count, check)

    def command(
        self,
        name: str,
        words: Callable[[], list[str]],
        env: dict[str, str],
        count: int,
        check: Callable[[], None],
    ) -> Side:
        """A whole command. The words are made anew each time; all is checked each time."""

        def run() -> Run:
            done = timed(words(), env, count)
            check()
            return done

        return Side(name, run)

    def script(
        self,
        name: str,
        package: str,
        module: str,
        words: Callable[[], list[str]],
        env: dict[str, str],
        count: int,
        check: Callable[[], None],
    ) -> Side:
        """A peer_*.py, which tells how long its loop took: its start is not counted."""
        missing = "" if find_spec(module) else f"not installed: pip install '{package}'"
        return self.loop(
            name, lambda: [sys.executable, *words()], env, count, check, missing=missing
        )

    def loop(
        self,
        name: str,
        words: Callable[[], list[str]],
        env: dict[str, str],
        count: int,
        check: Callable[[], None] = lambda: None,
        *,
        missing: str = "",
    ) -> Side:
        """A program that prints the seconds that count. check: if it does not do that itself."""
        if missing:
            return Side(name, never, missing)

        def run() -> Run:
            said = self.fresh("said")
            done = timed(words(), env, count, said)
            check()
            return done._replace(secs=float(said.read_text()))

        return Side(name, run)

    def apify(
        self, there: There, words: Callable[[], list[str]], count: int, check: Callable[[], None]
    ) -> Side:
        """apify-client, on the same server. words: the job and what follows the address."""

        def whole() -> list[str]:
            job, *more = words()
            return [str(HERE / "peer_apify.py"), job, there.address, *more]

        return self.script(
            "apify-client", "apify-client", "apify_client", whole, there.env, count, check
        )

    def crawlee(self, layout: str, job: str, source: Path, count: int, folder: str = "") -> Side:
        """Crawlee's storage client for files or SQL, which checks itself.

        folder: where to; a new one each time if it is not given.
        """

        def words() -> list[str]:
            place = folder or str(self.fresh("crawlee"))
            places.append(Path(place))
            return [str(HERE / "peer_crawlee.py"), layout, job, place, str(source), str(count)]

        def remove() -> None:
            if not folder:
                shutil.rmtree(places[-1])

        places: list[Path] = []
        package, module = ("crawlee", "crawlee") if layout == "files" else (
            "crawlee[sql-sqlite]", "sqlalchemy")  # fmt: skip
        return self.script(f"crawlee {layout}", package, module, words, self.env, count, remove)

    def curl(self, words: Callable[[], list[str]], count: int, check: Callable[[], None]) -> Side:
        """curl, failing where the server refuses."""
        found = installed("curl")
        if found is None:
            return Side("curl", never, "not installed")
        start = [found, "-q", "--fail-early", "-fsS"]
        return self.command("curl", lambda: [*start, *words()], self.env, count, check)


class There:
    """A server that runs. client: storectl's own, to prepare and to check."""

    def __init__(self, bench: Bench, server: Running, token: str, env: dict[str, str]) -> None:
        self.bench, self.server, self.token, self.env = bench, server, token, env
        self.address = server.address
        self._last = ""

    def client(self) -> ClientStore:
        return open_client(self.address, self.token)

    def fresh(self, noun: str) -> str:
        """The ID of a new storage. noun: datasets, kvs or queues."""
        with closing_client(self) as client:
            self._last = str(getattr(client, noun).create(self.bench.fresh(noun).name)[0].id)
        return self._last

    def last(self) -> str:
        """The ID that `fresh` gave last."""
        return self._last

    def side(self, words: Callable[[], list[str]], count: int, check: Callable[[], None]) -> Side:
        """storectl on this server."""
        start = [*self.bench.storectl, "--server", self.address]
        return self.bench.command("storectl", lambda: [*start, *words()], self.env, count, check)

    def items(self, ref: str, file: Path) -> None:
        """All items of a dataset as JSON lines, by no client of anybody."""
        with self.get(f"/v2/datasets/{ref}/items?format=jsonl") as blocks, file.open("wb") as out:
            out.writelines(blocks)

    @contextmanager
    def get(self, path: str) -> Iterator[Iterable[bytes]]:
        """The body of an answer."""
        where = urlsplit(self.address)
        connection = HTTPConnection(where.hostname or "", where.port)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise Wrong(f"{path} answered {answer.status}")
        yield iter(lambda: answer.read(2**18), b"")
        connection.close()


@contextmanager
def closing_client(there: There) -> Iterator[ClientStore]:
    """A client that is closed."""
    client = there.client()
    try:
        yield client
    finally:
        client.close()


def never() -> Run:
    """What a side that is missing does."""
    raise AssertionError("what is not installed is not run")


def digest(file: Path) -> str:
    """Of all bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()


def same_items(found: Path, source: Path, count: int | None = None) -> None:
    """Raise Wrong unless both have the same items in the same order, however spelled.

    count: that only so many of the source are meant.
    """
    same_size = count is None and found.stat().st_size == source.stat().st_size
    if same_size and digest(found) == digest(source):
        return
    decode = msgspec.json.decode
    with found.open("rb") as ours, source.open("rb") as theirs:
        lines = theirs if count is None else islice(theirs, count)
        for at, line in enumerate(lines):
            other = ours.readline()
            if other != line and (not other or decode(other) != decode(line)):
                raise Wrong(f"item {at} is not what was sent")
        if ours.read(1):
            raise Wrong("there are more items than were sent")
