"""Copies between two stores of which one breaks: what is taken up again, and what is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.errors import Conflict, Network, NotFound
from storectl.model.dataset import ItemsPage, ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import Record
from storectl.transfer.copy import (
    BATCH_BYTES,
    DatasetCopy,
    RecordsCopy,
    _cut,
    copy_items,
    copy_records,
    items_there,
    missing_keys,
)
from storectl.transfer.events import Event, Finished, Refused


@pytest.fixture
def here(tmp_path: Path) -> Iterator[EngineStore]:
    store = open_store(str(tmp_path / "here"))
    yield store
    store.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[EngineStore]:
    store = open_store(str(tmp_path / "there"))
    yield store
    store.close()


def last(events: Iterator[Event]) -> Finished:
    found = list(events)[-1]
    assert isinstance(found, Finished)
    return found


class Breaking:
    """A keeper whose calls of some name fail: these ones, counted from the first."""

    def __init__(self, keeper: Any, name: str, failing: set[int], *, after: bool = False) -> None:
        self.keeper, self.name, self.failing, self.after = keeper, name, failing, after
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        if name != self.name:
            return getattr(self.keeper, name)
        return self._call

    def _call(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls not in self.failing:
            return getattr(self.keeper, self.name)(*args, **options)
        if self.after:
            getattr(self.keeper, self.name)(*args, **options)
        raise Network("the connection broke")


# Datasets


def filled(store: EngineStore, count: int) -> str:
    made = store.datasets.create("from")[0].id
    text = "x" * 1000
    for start in range(0, count, 1000):
        items = [{"n": n, "t": text} if n % 7 else {} for n in range(start, start + 1000)]
        store.datasets.push(made, Items.of(items))
    return made


def lines(store: EngineStore, ref: str) -> bytes:
    return b"".join(store.datasets.items(ref, ItemsQuery()).lines)


def copied(copy: DatasetCopy) -> Iterator[Event]:
    return copy_items(copy, items_there(copy))


@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize("after", [False, True], ids=["before it landed", "after it landed"])
def test_a_copy_that_broke_off_is_finished_by_the_next_one(
    here: EngineStore, there: EngineStore, failing: int, after: bool
) -> None:
    source = filled(here, 12_000)
    target = there.datasets.create("to")[0].id
    broken = Breaking(there.datasets, "push", {failing}, after=after)

    with pytest.raises(Network):
        last(copied(DatasetCopy(here.datasets, source, broken, target, ItemsQuery())))
    last(copied(DatasetCopy(here.datasets, source, there.datasets, target, ItemsQuery())))

    assert lines(there, target) == lines(here, source)


def test_two_copies_at_once_append_everything_once(here: EngineStore, there: EngineStore) -> None:
    source = filled(here, 12_000)
    target = there.datasets.create("to")[0].id
    copy = DatasetCopy(here.datasets, source, there.datasets, target, ItemsQuery())
    both = threading.Barrier(2)

    def run() -> None:
        events = copied(copy)
        next(events)  # it has looked at the target
        both.wait()
        last(events)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert lines(there, target) == lines(here, source)


def test_what_a_killed_copy_sent_last_may_land_after_the_next_has_looked(
    here: EngineStore, there: EngineStore
) -> None:
    source = filled(here, 12_000)
    target = there.datasets.create("to")[0].id
    copy = DatasetCopy(here.datasets, source, there.datasets, target, ItemsQuery())
    seen = items_there(copy)
    last(copied(copy))

    done = last(copy_items(copy, seen))

    assert seen + done.moved == there.datasets.get(target).item_count
    assert lines(there, target) == lines(here, source)


def test_a_short_answer_is_no_whole_copy(here: EngineStore, there: EngineStore) -> None:
    source = filled(here, 2000)
    target = there.datasets.create("to")[0].id

    class Short(Breaking):
        def _call(self, *args: Any, **options: Any) -> ItemsPage:
            page = self.keeper.items(*args, **options)
            whole = b"".join(page.lines)
            return replace(page, lines=(whole[: whole.rfind(b"\n", 0, -1) + 1],))

    short = Short(here.datasets, "items", set())

    with pytest.raises(Network):
        last(copied(DatasetCopy(short, source, there.datasets, target, ItemsQuery())))


@pytest.mark.parametrize("at", [0, 500, 999])
def test_one_other_item_at_the_start_the_middle_or_the_end_is_a_conflict(
    here: EngineStore, there: EngineStore, at: int
) -> None:
    source = filled(here, 2000)
    target = there.datasets.create("to")[0].id
    items = list(lines(here, source).splitlines()[:1000])
    items[at] = b'{"other":1}'
    there.datasets.push(target, Items.from_lines(items))

    with pytest.raises(Conflict):
        last(copied(DatasetCopy(here.datasets, source, there.datasets, target, ItemsQuery())))


def test_parts_are_the_same_however_the_stream_is_cut() -> None:
    text = b"".join(b'{"n":%d,"t":"%s"}\n' % (n, b"x" * (n % 3000)) for n in range(9000))

    whole = list(_cut([text]))
    small = list(_cut(text[at : at + 70_001] for at in range(0, len(text), 70_001)))

    assert whole == small
    assert b"".join(whole) == text
    assert all(part.endswith(b"\n") and len(part) <= BATCH_BYTES for part in whole)
    assert len(whole) > 2


def test_a_line_longer_than_a_part_is_one_by_itself() -> None:
    long = b'{"t":"%s"}\n' % (b"x" * (BATCH_BYTES + 100))

    assert list(_cut([b"{}\n", long, b"{}\n"])) == [b"{}\n", long, b"{}\n"]


# Key-value stores


def with_records(store: EngineStore, count: int) -> str:
    made = store.kvs.create("from")[0].id
    for n in range(count):
        body = b"%d" % n * 100
        store.kvs.put(made, Record(key=f"k{n:03}", content_type="text/x", body=(body,)))
    return made


@pytest.mark.parametrize("name", ["record", "put"])
def test_a_record_that_broke_off_is_copied_again(
    here: EngineStore, there: EngineStore, name: str
) -> None:
    source, target = with_records(here, 50), there.kvs.create("to")[0].id
    ends = {"record": here.kvs, "put": there.kvs}
    ends[name] = Breaking(ends[name], name, {3, 4, 20})

    copy = RecordsCopy(ends["record"], source, ends["put"], target, jobs=1)
    done = last(copy_records(copy))

    assert (done.moved, done.refused) == (50, 0)
    assert missing_keys(copy) == 0


def test_what_is_deleted_meanwhile_is_refused_by_its_key_and_the_rest_goes_on(
    here: EngineStore, there: EngineStore
) -> None:
    source, target = with_records(here, 30), there.kvs.create("to")[0].id

    class Gone(Breaking):
        def _call(self, ref: str, key: str) -> Record:
            if key == "k007":
                raise NotFound("Key-value store 'from' has no record 'k007'")
            return self.keeper.record(ref, key)

    copy = RecordsCopy(Gone(here.kvs, "record", set()), source, there.kvs, target)
    events = list(copy_records(copy))

    assert [event.where for event in events if isinstance(event, Refused)] == ["k007"]
    assert events[-1][0] == 29
    assert missing_keys(copy) == 1


def test_a_store_that_is_gone_ends_the_copy(here: EngineStore, there: EngineStore) -> None:
    source, target = with_records(here, 30), there.kvs.create("to")[0].id
    there.kvs.delete(target)

    with pytest.raises(NotFound):
        last(copy_records(RecordsCopy(here.kvs, source, there.kvs, target)))
