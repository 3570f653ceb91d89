"""A push that was stopped goes on: the same batches, the same keys, nothing lost or doubled."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import zstandard

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.errors import Conflict, InvalidInput, Network, Unauthorized
from storectl.model.dataset import Dataset, ItemsQuery
from storectl.model.items import Items
from storectl.transfer.dataset import Source
from storectl.transfer.events import Finished, Refused
from storectl.transfer.journal import Journal
from storectl.transfer.push import push

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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EngineStore]:
    found = open_store(str(tmp_path / "store"))
    found.datasets.create("a")
    found.datasets.push("~a", Items.of([{"before": True}]))
    yield found
    found.close()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storectl.transfer.push.BATCH_BYTES", 1_000)
    monkeypatch.setattr("storectl.transfer.push.LAG_SECS", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_text("".join(f'{{"n":{n}}}\n' for n in range(COUNT)))
    return path


def opened(path: Path) -> BinaryIO:
    return path.open("rb")


def run(datasets: Any, file: Path, folder: Path) -> list[Any]:
    source = Source(str(file), partial(opened, file))
    with Journal(folder / "state", "push", {"file": str(file)}) as journal:
        before = datasets.get("~a")
        events = list(push(datasets, "~a", [source], dataset=before, journal=journal))
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


def test_where_others_push_too_and_no_keys_are_known_nobody_guesses(
    store: EngineStore, file: Path, tmp_path: Path
) -> None:
    datasets = Failing(store, keeps_keys=False)
    stopped(datasets, 3, True, file, tmp_path)
    store.datasets.push("~a", Items.of([{"n": -1}]))
    there = numbers(store)

    with pytest.raises(Conflict, match="cannot be told"):
        run(datasets, file, tmp_path)

    assert numbers(store) == there


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
