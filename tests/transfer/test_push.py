"""A push that was stopped goes on: the same batches, the same keys, nothing lost or doubled."""

from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest
import zstandard

from storectl.engine.store import EngineStore
from storectl.errors import Conflict, InvalidInput, Network, Unauthorized
from storectl.model.dataset import Dataset, ItemsPage, ItemsQuery
from storectl.model.items import Items
from storectl.transfer.dataset import Source
from storectl.transfer.doubt import landed
from storectl.transfer.events import Finished, Refused
from storectl.transfer.journal import Journal
from storectl.transfer.push import AHEAD, Into, push

from .reading import opened

COUNT = 1_000


class Killed(BaseException):
    """The process ends here."""


class Failing:
    """A dataset that fails at one push: before it takes the items, or after.

    keeps_keys: whether it knows idempotency keys, as the store below does.
    """

    def __init__(self, store: EngineStore, keeps_keys: bool = True) -> None:
        self.datasets = store.datasets
        self.knows = keeps_keys
        self.keys: list[str | None] = []
        self.left: int | None = None
        self.error: BaseException = Killed()
        self.lands = False

    def push(self, ref: str, items: Items, *, idempotency_key: str | None = None) -> None:
        self.keys.append(idempotency_key)
        if self.left == 0:
            self.left = None
            if self.lands:
                self._land(ref, items, idempotency_key)
            raise self.error
        if self.left is not None:
            self.left -= 1
        self._land(ref, items, idempotency_key)

    def _land(self, ref: str, items: Items, key: str | None) -> None:
        self.datasets.push(ref, items, idempotency_key=key if self.knows else None)

    def keeps_keys(self) -> bool:
        return self.knows

    def get(self, ref: str) -> Dataset:
        return self.datasets.get(ref)

    def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
        return self.datasets.items(ref, query)


@pytest.fixture
def store(store: EngineStore) -> EngineStore:
    store.datasets.push("~a", Items.of([{"before": True}]))
    return store


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storectl.transfer.push.BATCH_BYTES", 1_000)
    monkeypatch.setattr("storectl.transfer.doubt.LAG_SECS", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_text("".join(f'{{"n":{n}}}\n' for n in range(COUNT)))
    return path


def run(datasets: Any, file: Path, folder: Path, jobs: int = 1, retries: int = 8) -> list[Any]:
    source = Source(str(file), partial(opened, file))
    with Journal(folder / "state", "push", {"file": str(file)}) as journal:
        into = Into("~a", datasets.get("~a"), journal)
        events = list(push(datasets, into, [source], jobs=jobs, retries=retries))
        journal.forget()
        return events


def numbers(store: EngineStore) -> list[int]:
    lines = b"".join(store.datasets.items("~a", ItemsQuery(offset=1)).lines).splitlines()
    return [json.loads(line)["n"] for line in lines]


def stopped(datasets: Failing, after: int, lands: bool, file: Path, folder: Path) -> None:
    datasets.left, datasets.lands = after, lands
    with pytest.raises(type(datasets.error)):
        run(datasets, file, folder)


@pytest.mark.parametrize("keeps_keys", [True, False])
@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_push_that_was_killed_goes_on(
    store: EngineStore, file: Path, tmp_path: Path, keeps_keys: bool, lands: bool, after: int
) -> None:
    datasets = Failing(store, keeps_keys)
    stopped(datasets, after, lands, file, tmp_path)

    done = run(datasets, file, tmp_path)

    assert numbers(store) == list(range(COUNT))
    assert done[-1][:2] == (COUNT, file.stat().st_size)
    assert done[0].resumed == done[-1].resumed
    assert list((tmp_path / "state").iterdir()) == []


def test_it_goes_on_with_the_key_of_the_batch_in_doubt(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    datasets = Failing(store)
    stopped(datasets, 3, True, file, tmp_path)
    doubtful = datasets.keys[-1]
    datasets.keys.clear()

    run(datasets, file, tmp_path)

    assert datasets.keys[0] == doubtful
    assert len(set(datasets.keys)) == len(datasets.keys)


@pytest.mark.parametrize("lands", [True, False])
def test_where_others_push_too_and_no_keys_are_known_it_is_told_that_nobody_knows(
    store: EngineStore, file: Path, tmp_path: Path, lands: bool
) -> None:
    datasets = Failing(store, keeps_keys=False)
    stopped(datasets, 3, lands, file, tmp_path)
    doubtful = numbers(store)[-1]
    store.datasets.push("~a", Items.of([{"n": -1}]))

    done = run(datasets, file, tmp_path)

    assert set(numbers(store)) == {-1, *range(COUNT)}
    assert numbers(store).count(doubtful) == 1 + lands
    assert (done[-1].repeated, done[-1].settled) == (1, 0)


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("after", [0, 3])
def test_without_keys_the_count_of_items_tells_of_an_answer_that_was_lost(
    store: EngineStore, file: Path, tmp_path: Path, lands: bool, after: int
) -> None:
    datasets = Failing(store, keeps_keys=False)
    datasets.error = Network("the connection broke")
    datasets.left, datasets.lands = after, lands

    done = run(datasets, file, tmp_path)

    assert numbers(store) == list(range(COUNT))
    assert (done[-1].retries, done[-1].repeated, done[-1].settled) == (int(not lands), 0, 1)


def test_a_count_that_fits_by_the_items_of_others_proves_nothing(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    datasets = Failing(store, keeps_keys=False)
    stopped(datasets, 3, True, file, tmp_path)
    doubtful = len(numbers(store)) // 4  # batches of items that are as long have as many
    datasets = Failing(store, keeps_keys=False)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(f'{{"n":{n}}}\n' for n in range(2000, 2000 + COUNT)))
    before = len(numbers(store))
    datasets.left = 0

    class Meanwhile(Network):
        """Another writer, whose items are as many."""

    def push_others(ref: str, items: Items, *, idempotency_key: str | None = None) -> None:
        if datasets.left == 0:
            datasets.left = None
            store.datasets.push(ref, Items.of([{"n": -1}] * len(items)))
            raise Meanwhile("the connection broke")
        store.datasets.push(ref, items)

    datasets.push = push_others  # type: ignore[method-assign]

    done = run(datasets, other, tmp_path)

    assert doubtful
    assert [n for n in numbers(store)[before:] if n >= 0] == list(range(2000, 2000 + COUNT))
    assert done[-1].repeated == 1


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (0, set()),
        (3, {1}),
        (4, {2}),
        (7, None),  # both, or the third
        (11, {2, 3}),
        (14, {1, 2, 3}),
        (1, None),
        (None, None),
    ],
)
def test_a_sum_that_only_some_batches_make_tells_which(
    more: int | None, found: set[int] | None
) -> None:
    assert landed(more, {1: 3, 2: 4, 3: 7}) == found


def test_an_answer_that_was_lost_is_no_doubt_where_keys_are_known(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    datasets = Failing(store)
    datasets.error = Network("the connection broke")
    stopped(datasets, 3, True, file, tmp_path)

    run(datasets, file, tmp_path)

    assert numbers(store) == list(range(COUNT))


def test_a_refusal_is_no_doubt(store: EngineStore, file: Path, tmp_path: Path) -> None:
    datasets = Failing(store, keeps_keys=False)
    datasets.error = Unauthorized("no")
    stopped(datasets, 3, False, file, tmp_path)
    store.datasets.push("~a", Items.of([{"n": -1}]))

    run(datasets, file, tmp_path)

    assert sorted(numbers(store)) == [-1, *range(COUNT)]


def test_a_first_batch_that_is_refused_leaves_nothing_to_go_on_with(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    datasets = Failing(store)
    datasets.error = Unauthorized("no")

    stopped(datasets, 0, False, file, tmp_path)

    assert list((tmp_path / "state").iterdir()) == []


def test_batches_are_cut_as_they_were_also_by_a_later_version(
    store: EngineStore, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = Failing(store)
    stopped(datasets, 3, True, file, tmp_path)
    monkeypatch.setattr("storectl.transfer.push.BATCH_BYTES", 700)

    run(datasets, file, tmp_path)

    assert numbers(store) == list(range(COUNT))


@pytest.mark.parametrize("now", ["", '{"other":1}\n' * COUNT])
def test_a_file_that_holds_something_else_is_not_mixed(
    store: EngineStore, file: Path, tmp_path: Path, now: str
) -> None:
    """Though its size and time may say nothing."""
    datasets = Failing(store)
    stopped(datasets, 3, True, file, tmp_path)
    there = numbers(store)
    file.write_text(now)

    with pytest.raises(Conflict, match="not cut as they were"):
        run(datasets, file, tmp_path)

    assert numbers(store) == there


def test_items_that_were_refused_earlier_are_counted_to_the_end(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    lines = file.read_text().splitlines()
    lines[5] = "[5]"
    file.write_text("\n".join(lines))
    datasets = Failing(store)
    stopped(datasets, 3, True, file, tmp_path)

    done = run(datasets, file, tmp_path)

    assert Refused(f"{file}:6", "an array, not an object") in done
    assert isinstance(done[-1], Finished)
    assert (done[-1].moved, done[-1].refused) == (COUNT - 1, 1)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("name", ["items.jsonl.gz", "packed"])
def test_a_packed_file_is_read_as_what_it_holds(
    store: EngineStore, file: Path, tmp_path: Path, pack: Any, name: str
) -> None:
    data = file.read_bytes()
    packed = tmp_path / name
    packed.write_bytes(pack(data[:3000]) + pack(data[3000:]))
    datasets = Failing(store)
    stopped(datasets, 3, True, packed, tmp_path)

    run(datasets, packed, tmp_path)

    assert numbers(store) == list(range(COUNT))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_packed_file_that_is_cut_is_told(
    store: EngineStore, file: Path, tmp_path: Path, pack: Any
) -> None:
    packed = tmp_path / "items.gz"
    packed.write_bytes(pack(file.read_bytes())[:-9])

    with pytest.raises(InvalidInput, match=r"items\.gz: not valid (gzip|zstd): it ends too early"):
        run(Failing(store), packed, tmp_path)


JOBS = 2


class Stuck(Failing):
    """One whose first batch is not taken before as many others are as may go ahead of it."""

    def __init__(self, store: EngineStore, keeps_keys: bool = True) -> None:
        super().__init__(store, keeps_keys)
        self.error = Network("the connection broke")
        self.others = Semaphore(0)
        self.is_first = True

    def push(self, ref: str, items: Items, *, idempotency_key: str | None = None) -> None:
        self.keys.append(idempotency_key)
        if self.is_first and str(idempotency_key).endswith("-1"):
            self.is_first = False
            for _ in range(AHEAD * JOBS - 1):
                assert self.others.acquire(timeout=60)
            if self.lands:
                self._land(ref, items, idempotency_key)
            raise self.error
        self._land(ref, items, idempotency_key)
        self.others.release()


def test_batches_of_several_lanes_all_come_once(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    datasets = Failing(store)

    done = run(datasets, file, tmp_path, jobs=JOBS)

    assert sorted(numbers(store)) == list(range(COUNT))
    assert done[-1][:2] == (COUNT, file.stat().st_size)
    assert len(set(datasets.keys)) == len(datasets.keys)


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("again", [1, JOBS])
def test_the_journal_knows_which_batches_are_there_and_not_only_how_many(
    store: EngineStore, file: Path, tmp_path: Path, lands: bool, again: int
) -> None:
    datasets = Stuck(store)
    datasets.lands = lands
    with pytest.raises(Network):
        run(datasets, file, tmp_path, jobs=JOBS)
    sent = [str(key).rpartition("-")[2] for key in datasets.keys]
    datasets.keys.clear()

    done = run(datasets, file, tmp_path, jobs=again)

    assert sorted(map(int, sent)) == list(range(1, AHEAD * JOBS + 1))
    assert {str(key).rpartition("-")[2] for key in datasets.keys}.isdisjoint(set(sent) - {"1"})
    assert sorted(numbers(store)) == list(range(COUNT))
    assert done[-1].moved == COUNT
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize("lands", [True, False])
def test_without_keys_the_count_of_items_decides_about_all_in_doubt(
    store: EngineStore, file: Path, tmp_path: Path, lands: bool
) -> None:
    datasets = Stuck(store, keeps_keys=False)
    datasets.lands = lands
    with pytest.raises(Network):
        run(datasets, file, tmp_path, jobs=JOBS, retries=0)

    done = run(datasets, file, tmp_path, jobs=JOBS)

    assert sorted(numbers(store)) == list(range(COUNT))
    assert done[-1].settled == 1


def test_a_batch_that_went_ahead_is_compared_when_its_file_comes_again(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(Network):
        run(Stuck(store), file, tmp_path, jobs=JOBS)
    there = numbers(store)
    file.write_text(file.read_text().replace('{"n":200}', '{"n":-10}'))

    with pytest.raises(Conflict, match="not cut as they were"):
        run(Failing(store), file, tmp_path)

    assert set(numbers(store)) - set(there) <= set(range(200))


def test_a_batch_that_breaks_the_schema_goes_again_without_what_breaks_it(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    text = file.read_text()
    for n in (5, 6, 700):
        text = text.replace(f'{{"n":{n}}}\n', f'{{"n":"{n}"}}\n')
    file.write_text(text)
    fields = {"properties": {"n": {"type": "integer"}}}
    store.datasets.create("b", schema={"actorSpecification": 1, "fields": fields})

    with Journal(tmp_path / "state", "push", {}) as journal:
        source = Source(str(file), partial(opened, file))
        events = list(push(store.datasets, Into("~b", None, journal), [source], jobs=JOBS))

    assert {each.where for each in events if isinstance(each, Refused)} == {
        f"{file}:{n + 1}" for n in (5, 6, 700)
    }
    assert (events[-1].moved, events[-1].refused) == (COUNT - 3, 3)
    assert store.datasets.get("~b").item_count == COUNT - 3
