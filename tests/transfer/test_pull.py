"""Pulling: every format out of a part file, which a run that was stopped leaves to the next."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard
from msgspec.structs import replace

from storectl.client import open_store as remote
from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.errors import Internal, InvalidInput, Network
from storectl.formats import FORMATS, Options, write
from storectl.model.dataset import ItemsPage, ItemsQuery
from storectl.model.items import Items
from storectl.transfer import pull as module
from storectl.transfer.events import Finished, Saved, Started
from storectl.transfer.journal import Journal
from storectl.transfer.pull import pull
from storectl.transfer.target import Target
from storectl.transfer.windows import AHEAD_BYTES, Rows, held, objects, rows_of_window
from tests.serving import served

COUNT = 2_500


@pytest.fixture
def store(store: EngineStore) -> EngineStore:
    store.datasets.push("~a", Items.of({"n": n, "text": "x" * (n % 90)} for n in range(COUNT)))
    return store


class Small:
    """A dataset that answers at most `most` rows a call, and breaks off when it is told to."""

    def __init__(self, datasets: Any, most: int = 10**9) -> None:
        self.datasets, self.most = datasets, most
        self.breaks: list[int] = []
        self.asked: list[tuple[int, int | None]] = []

    def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
        self.asked.append((query.offset, query.limit))
        limit = self.most if query.limit is None else min(query.limit, self.most)
        page = self.datasets.items(ref, replace(query, limit=limit))
        if self.breaks and query.limit != 1 and query.offset >= self.breaks[0]:
            self.breaks.pop(0)
            page.lines = self._broken(page.lines)
        return page

    def get(self, ref: str) -> Any:
        return self.datasets.get(ref)

    @staticmethod
    def _broken(lines: Any) -> Iterator[bytes]:
        yield next(iter(lines), b"")[:100]  # of empty items, left out, nothing
        raise Network("the answer broke off")


def run(
    store: EngineStore,
    folder: Path,
    target: Target,
    query: ItemsQuery | None = None,
    datasets: Any = None,
    **how: Any,
) -> list[Any]:
    query = query or ItemsQuery()
    datasets = datasets or store.datasets
    job = {"query": str(query), "file": str(target.file)}
    with Journal(folder / "state", "pull", job) as journal:
        return list(pull(datasets, "~a", store.datasets.get("~a"), query, target, journal, **how))


def expected(store: EngineStore, format: str, query: ItemsQuery, **options: Any) -> bytes:
    lines = store.datasets.items("~a", query).lines
    return b"".join(write(format, lines, Options(**options)))


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"store", "state"}


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "xlsx"])
@pytest.mark.parametrize("jobs", [0, 4])
def test_a_file_holds_what_the_format_writes(
    store: EngineStore, tmp_path: Path, format: str, jobs: int
) -> None:
    file = tmp_path / "items"

    events = run(store, tmp_path, Target(file=file, format=format), jobs=jobs)

    data = file.read_bytes()
    assert data == expected(store, format, ItemsQuery())
    assert events[0] == Started(total=COUNT)
    assert events[-2] == Saved(file, COUNT, len(data), sha256(data).hexdigest())
    assert isinstance(events[-1], Finished)
    assert left_in(tmp_path) == {"items"}
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        ItemsQuery(offset=7, limit=1000),
        ItemsQuery(desc=True),
        ItemsQuery(desc=True, offset=3, limit=600, fields=("n",)),
        ItemsQuery(offset=10**6),
        ItemsQuery(limit=0),
        ItemsQuery(flatten=("text",), omit=("n",), clean=True),
    ],
)
def test_windows_make_the_same_as_one_answer(
    store: EngineStore, tmp_path: Path, query: ItemsQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storectl.transfer.windows.WINDOW_BYTES", 6000)
    file = tmp_path / "items.jsonl"

    run(store, tmp_path, Target(file=file), query, jobs=3)

    assert file.read_bytes() == expected(store, "jsonl", query)


@pytest.mark.parametrize("jobs", [0, 3])
def test_a_server_that_gives_less_than_is_asked_is_asked_on(
    store: EngineStore, tmp_path: Path, jobs: int
) -> None:
    datasets = Small(store.datasets, most=333)
    file = tmp_path / "items.jsonl"

    run(store, tmp_path, Target(file=file), datasets=datasets, jobs=jobs)

    assert file.read_bytes() == expected(store, "jsonl", ItemsQuery())


@pytest.mark.parametrize("clean", [False, True])
def test_empty_items_in_the_middle_are_neither_lost_nor_doubled(
    store: EngineStore, tmp_path: Path, clean: bool
) -> None:
    """5,000 of them fill whole windows: a window without items is not the end."""
    store.datasets.push("~a", Items.of({} for _ in range(5_000)))
    store.datasets.push("~a", Items.of({"last": n} for n in range(10)))
    query = ItemsQuery(clean=clean)
    datasets = Small(store.datasets, most=1_000)
    file = tmp_path / "items.jsonl"

    events = run(store, tmp_path, Target(file=file), query, datasets=datasets, jobs=3)

    items = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert len(items) == COUNT + 10 + (0 if clean else 5_000)
    assert items[-10:] == [{"last": n} for n in range(10)]
    assert [item["n"] for item in items[:COUNT]] == list(range(COUNT))
    assert events[-1].moved == len(items)


FULL = [{"n": n, "text": "x" * (n % 9)} for n in range(200)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The same dataset embedded and behind a server: 5,000 empty items in the middle."""
    folder = tmp_path_factory.mktemp("empty")
    with closing(open_store(str(folder))) as store:
        store.datasets.create("a")
        for part in (FULL[:100], [{}] * 5_000, FULL[100:]):
            store.datasets.push("~a", Items.of(part))
        token = store.tokens.create("test").secret
        with served(folder) as address, closing(remote(address, token)) as other:
            yield {"embedded": store.datasets, "remote": other.datasets}


@pytest.mark.parametrize("is_resumed", [False, True], ids=["whole", "resumed"])
@pytest.mark.parametrize("query", [ItemsQuery(clean=True), ItemsQuery(skip_empty=True)])
@pytest.mark.parametrize("place", ["embedded", "remote"])
@pytest.mark.parametrize("format", FORMATS)
def test_empty_items_that_are_left_out_take_no_other_item_with_them(
    places: dict[str, Any],
    tmp_path: Path,
    format: str,
    place: str,
    query: ItemsQuery,
    is_resumed: bool,
) -> None:
    datasets, jobs = Small(places[place]), 0 if place == "embedded" else 3
    target = Target(file=tmp_path / "items", format=format)

    def run() -> list[Any]:
        with Journal(tmp_path / "state", "pull", {}) as journal:
            described = datasets.get("~a")
            how = {"jobs": jobs, "retries": 0, "window": 1_000}
            return list(pull(datasets, "~a", described, query, target, journal, **how))

    if is_resumed:
        datasets.breaks = [3_000]
        with pytest.raises(Network, match="broke off"):
            run()
    done = run()

    assert done[0] == Started(total=5_200, resumed=100 if is_resumed else 0)
    assert done[-1].moved == len(FULL)
    whole = b"".join(write(format, [Items.of(FULL).lines], Options()))
    found = target.file.read_bytes()
    assert (sheet(found) == sheet(whole)) if format == "xlsx" else (found == whole)


def sheet(workbook: bytes) -> bytes:
    """Its cells; around them there are times."""
    return zipfile.ZipFile(io.BytesIO(workbook)).read("xl/worksheets/sheet1.xml")


def test_a_body_that_breaks_off_is_asked_for_again(
    store: EngineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storectl.transfer.windows.FIRST_WAIT_SECS", 0.001)
    datasets = Small(store.datasets, most=500)
    datasets.breaks = [500, 500, 1500]
    file = tmp_path / "items.jsonl"

    events = run(store, tmp_path, Target(file=file), datasets=datasets, jobs=2)

    assert file.read_bytes() == expected(store, "jsonl", ItemsQuery())
    assert events[-1].retries == 3


@pytest.mark.parametrize("format", ["jsonl", "json", "csv", "xml"])
def test_a_run_that_broke_goes_on_with_what_was_not_kept(
    store: EngineStore, tmp_path: Path, format: str
) -> None:
    datasets = Small(store.datasets, most=500)
    datasets.breaks = [1500]
    target = Target(file=tmp_path / "items", format=format)
    with pytest.raises(Network, match="broke off"):
        run(store, tmp_path, target, datasets=datasets, window=500)
    datasets.asked.clear()

    events = run(store, tmp_path, target, datasets=datasets, window=500)

    data = target.file.read_bytes()
    assert data == expected(store, format, ItemsQuery())
    assert events[0].resumed == 1500
    assert min(offset for offset, _ in datasets.asked) == 1500
    assert events[-2].sha256 == sha256(data).hexdigest()
    assert left_in(tmp_path) == {"items"}


def test_items_that_came_in_the_meantime_are_not_among_them(
    store: EngineStore, tmp_path: Path
) -> None:
    before = expected(store, "jsonl", ItemsQuery())
    datasets = Small(store.datasets, most=500)
    datasets.breaks = [1500]
    target = Target(file=tmp_path / "items.jsonl")
    with pytest.raises(Network):
        run(store, tmp_path, target, datasets=datasets, window=500)
    store.datasets.push("~a", Items.of([{"late": True}]))

    run(store, tmp_path, target, datasets=datasets, window=500)

    assert target.file.read_bytes() == before


def test_newest_first_keeps_its_place_while_the_dataset_grows(
    store: EngineStore, tmp_path: Path
) -> None:
    query = ItemsQuery(desc=True)
    before = expected(store, "jsonl", query)

    class Growing(Small):
        def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
            if query.limit != 1 and len(self.asked) < 9:
                self.datasets.push(ref, Items.of([{"late": len(self.asked)}]))
            return super().items(ref, query)

    file = tmp_path / "items.jsonl"
    run(store, tmp_path, Target(file=file), query, datasets=Growing(store.datasets, most=300))

    assert file.read_bytes() == before


def test_a_part_that_is_gone_or_short_begins_anew(store: EngineStore, tmp_path: Path) -> None:
    datasets = Small(store.datasets, most=500)
    datasets.breaks = [1500]
    target = Target(file=tmp_path / "items.jsonl")
    with pytest.raises(Network):
        run(store, tmp_path, target, datasets=datasets, window=500)
    part = next(path for path in tmp_path.iterdir() if path.suffix == ".part")
    part.write_bytes(part.read_bytes()[:50])

    events = run(store, tmp_path, target)

    assert events[0].resumed == 0
    assert target.file.read_bytes() == expected(store, "jsonl", ItemsQuery())


def test_what_was_behind_the_last_sure_byte_is_cut_off(store: EngineStore, tmp_path: Path) -> None:
    datasets = Small(store.datasets, most=500)
    datasets.breaks = [1500]
    target = Target(file=tmp_path / "items.jsonl")
    with pytest.raises(Network):
        run(store, tmp_path, target, datasets=datasets, window=500)
    part = next(path for path in tmp_path.iterdir() if path.suffix == ".part")
    with part.open("ab") as file:
        file.write(b'{"half":')

    run(store, tmp_path, target)

    assert target.file.read_bytes() == expected(store, "jsonl", ItemsQuery())


@pytest.mark.parametrize(
    ("packing", "unpack"),
    [("gzip", gzip.decompress), ("zstd", lambda data: zstandard.decompress(data, 10**7))],
)
def test_a_file_can_be_packed(
    store: EngineStore, tmp_path: Path, packing: str, unpack: Any
) -> None:
    file = tmp_path / "items"

    run(store, tmp_path, Target(file=file, format="csv", packing=packing))

    assert unpack(file.read_bytes()) == expected(store, "csv", ItemsQuery())


@pytest.mark.parametrize(
    ("split", "sizes"), [(1000, [1000, 1000, 500]), (2500, [2500]), (10**6, [2500])]
)
def test_a_split_cuts_into_numbered_files(
    store: EngineStore, tmp_path: Path, split: int, sizes: list[int]
) -> None:
    events = run(store, tmp_path, Target(file=tmp_path / "a.csv", format="csv", split=split))

    saved = [event for event in events if isinstance(event, Saved)]
    assert [one.file.name for one in saved] == [f"a-{n + 1:05}.csv" for n in range(len(sizes))]
    assert [one.items for one in saved] == sizes
    rows = [one.file.read_bytes().split(b"\r\n") for one in saved]
    assert {lines[0] for lines in rows} == {b"\xef\xbb\xbfn,text"}
    assert [int(row.split(b",")[0]) for lines in rows for row in lines[1:-1]] == list(range(COUNT))


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_appending_adds_rows_and_no_second_header(
    store: EngineStore, tmp_path: Path, format: str
) -> None:
    target = Target(file=tmp_path / "a", format=format, append=True)

    run(store, tmp_path, target, ItemsQuery(limit=1000))
    run(store, tmp_path, target, ItemsQuery(offset=1000))

    assert target.file.read_bytes() == expected(store, format, ItemsQuery())


def test_appending_mends_a_last_line_without_its_end(store: EngineStore, tmp_path: Path) -> None:
    target = Target(file=tmp_path / "a", append=True)
    target.file.write_bytes(b'{"old":1}')

    run(store, tmp_path, target, ItemsQuery(limit=1, fields=("n",)))

    assert target.file.read_bytes() == b'{"old":1}\n{"n":0}\n'


def test_appending_refuses_other_columns_and_leaves_the_file(
    store: EngineStore, tmp_path: Path
) -> None:
    target = Target(file=tmp_path / "a.csv", format="csv", append=True)
    target.file.write_bytes(b"a,b\r\n1,2\r\n")

    with pytest.raises(InvalidInput, match="other columns"):
        run(store, tmp_path, target)

    assert target.file.read_bytes() == b"a,b\r\n1,2\r\n"


def test_an_appended_file_is_not_appended_to_again_after_a_kill_at_the_last_moment(
    store: EngineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the new name and the end of the journal: the next run sees that it is done."""
    target = Target(file=tmp_path / "a", append=True)
    target.file.write_bytes(b'{"old":1}\n')

    class Killed(BaseException):
        pass

    def kill(journal: Journal) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module.Journal, "forget", kill)
        with pytest.raises(Killed):
            run(store, tmp_path, target)
    once = target.file.read_bytes()

    events = run(store, tmp_path, target)

    assert target.file.read_bytes() == once
    assert events[-2].sha256 == sha256(once).hexdigest()
    assert left_in(tmp_path) == {"a"}


def test_windows_come_in_order_and_only_a_few_are_held(store: EngineStore) -> None:
    datasets = Small(store.datasets)
    rows = Rows(datasets, "~a", ItemsQuery(), jobs=2)

    windows = rows.windows(0, 100)
    scanned, blocks = next(windows)

    assert scanned == 100
    assert b"".join(blocks).startswith(b'{"n":0,')
    assert len(datasets.asked) <= 1 + 4
    windows.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("jobs", [1, 8, 20])
def test_calls_at_once_share_what_is_fetched_ahead(store: EngineStore, jobs: int) -> None:
    dataset = store.datasets.create("large")[0]
    dataset.item_count, dataset.stats = 10**7, {"storageBytes": 10**10}

    rows = rows_of_window(dataset, jobs)

    assert rows * (jobs + 1) * 1000 <= AHEAD_BYTES


def test_what_is_held_over_the_limit_goes_to_disk() -> None:
    blocks = [b"12345"] * 7

    kept = held(iter(blocks), 10)

    assert not isinstance(kept, list)
    assert b"".join(kept) == b"12345" * 7


PLAIN = b'{"a":1}\n{"b":{"c":2}}\n{}\n'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (b"", None),
        (b"{}\n", None),
        (PLAIN, None),
        (b"5\n" + PLAIN, "not a JSON object"),
        (PLAIN + b"[]\n", "not a JSON object"),
        (PLAIN + b"\n" + PLAIN, "not a JSON object"),
        (PLAIN + b'{"a":1}{"b":2}\n', "not a JSON object"),
        (PLAIN + b"<html>\n" + PLAIN, "not JSON"),
        (PLAIN + b'{"cut":\n' + PLAIN, "not JSON"),
        (PLAIN + b'{"cut":{}\n,"b":{}}\n' + PLAIN, "not JSON"),
        (PLAIN + b'{"a":tru}\n' + PLAIN, "not JSON"),
        (PLAIN + b'{"a":"\xff"}\n' + PLAIN, "not JSON"),
    ],
)
def test_lines_that_are_no_objects_are_seen_however_they_are_cut(
    lines: bytes, why: str | None, size: int
) -> None:
    blocks = [lines[at : at + size] for at in range(0, len(lines), size)]

    with pytest.raises(Internal, match=why) if why else nullcontext():
        assert b"".join(objects(blocks)) == lines


@pytest.mark.parametrize("jobs", [0, 1])
def test_what_a_store_has_checked_is_not_looked_at_again(store: EngineStore, jobs: int) -> None:
    class Told:
        """Passes on what is no JSON. is_checked: as it says."""

        is_checked = False

        def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
            page = store.datasets.items(ref, query)
            lines = (block.replace(b'"n":7,', b'"n":?,') for block in page.lines)
            return replace(page, lines=lines, is_checked=self.is_checked)

    told: Any = Told()
    rows = Rows(told, "~a", ItemsQuery(), jobs=jobs)

    with pytest.raises(Internal, match="not JSON"):
        b"".join(b"".join(blocks) for _, blocks in rows.windows(0, 1_000))
    told.is_checked = True
    assert b'"n":?,' in b"".join(b"".join(blocks) for _, blocks in rows.windows(0, 1_000))


def test_odd_lines_that_are_objects_are_no_fault() -> None:
    lines = b' {"a":1} \r\n{"b" : 2}\n'

    assert b"".join(objects([lines[:5], lines[5:]])) == lines
    with pytest.raises(Internal, match="not a JSON object"):
        list(objects([lines, b"5\n"]))
    with pytest.raises(Internal, match="not JSON"):
        list(objects([lines, b"{\n"]))
