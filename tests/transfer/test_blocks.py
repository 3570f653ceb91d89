"""Answers of a server may be cut anywhere: whoever reads them finds what whole ones tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.formats import FORMATS, Options, write
from storectl.model.dataset import Datasets, ItemsPage, ItemsQuery
from storectl.model.items import Items
from storectl.transfer.copy import DatasetCopy, copy_items
from storectl.transfer.dataset import Source, save
from storectl.transfer.dedupe import Seen, look
from storectl.transfer.dedupe import write as write_once
from storectl.transfer.diff import Diff
from storectl.transfer.journal import Journal
from storectl.transfer.keys import Key
from storectl.transfer.pull import pull
from storectl.transfer.scan import scan
from storectl.transfer.scratch import scratch
from storectl.transfer.sql import Table, ask
from storectl.transfer.stats import Stats
from storectl.transfer.tail import tail
from storectl.transfer.target import Target
from storectl.transfer.verify import verify
from storectl.transfer.windows import Rows, checked
from tests.formats.writing import FEW, VALUES, Item, lines

from .reading import drained

ALL = ItemsQuery()
LISTS = st.lists(
    st.fixed_dictionaries(
        {"k": st.sampled_from([0, 1, "1", None])},
        optional=dict.fromkeys(("é", "a/b", "#h"), VALUES),
    ),
    max_size=9,
)
"""Few names, so that formats with columns have few of them; keys that are repeated."""

MANY: list[Item] = [
    {"k": n % 700, "é": f"zażółć {n}", "in": {"n": [n / 8] * (n % 4)}} for n in range(3_000)
]
"""More than what is looked at together."""


class Cut:
    """A keeper of datasets whose pages come in blocks of so many bytes.

    is_checked: as our server says it of them, or as others do not.
    """

    def __init__(self, datasets: Datasets, size: int, *, is_checked: bool) -> None:
        self.datasets, self.size, self.is_checked = datasets, size, is_checked

    def items(self, ref: str, query: ItemsQuery) -> ItemsPage:
        page = self.datasets.items(ref, query)
        return replace(page, lines=self._cut(b"".join(page.lines)), is_checked=self.is_checked)

    def _cut(self, whole: bytes) -> Iterator[bytes]:
        for at in range(0, len(whole), self.size):
            yield whole[at : at + self.size]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.datasets, name)


Reader = Callable[[Any, str, Path], object]
"""Reads a dataset to its end, and says what it found."""


def rows_of(datasets: Any, ref: str, jobs: int = 0) -> Rows:
    return Rows(datasets, ref, ALL, jobs=jobs)


def size_of(total: int) -> int:
    """Rows of a call: several calls in any case, and blocks that are smaller than an answer."""
    return 3 if total < 10 else 2_000


def taken(rows: Rows, take: Callable[[bytes], None]) -> None:
    drained(scan(len(rows), rows.windows(0, size_of(len(rows))), take))


def shown(format: str, datasets: Any, ref: str, _: Path) -> object:
    return b"".join(write(format, checked(datasets.items(ref, ALL), ALL), Options()))


def saved(datasets: Any, ref: str, folder: Path) -> object:
    done = drained(save(datasets.items(ref, ALL), ALL, "csv", Options(), folder / "items.csv"))
    return done.moved, (folder / "items.csv").read_bytes()


def pulled(format: str, jobs: int, datasets: Any, ref: str, folder: Path) -> object:
    target = Target(file=folder / "pulled", format=format)
    with Journal(folder / "state", "pull", {"of": ref}) as journal:
        dataset = datasets.get(ref)
        window = size_of(dataset.item_count)
        drained(pull(datasets, ref, dataset, ALL, target, journal, jobs=jobs, window=window))
    return target.file.read_bytes()


def looked_at(datasets: Any, ref: str, _: Path) -> object:
    stats = Stats()
    taken(rows_of(datasets, ref), stats.take)
    return stats.fields()


def differing(datasets: Any, ref: str, _: Path) -> object:
    with scratch() as database, closing(Diff(Key(("k",)), database)) as found:
        for rows in (rows_of(datasets, ref), rows_of(datasets.datasets, ref)):
            drained(found.read(rows, size_of(len(rows))))
        found.settle()
        return found.found, list(found.changes())


def verified(datasets: Any, ref: str, folder: Path) -> object:
    file = folder / "items.jsonl"
    file.write_bytes(b"".join(datasets.datasets.items(ref, ALL).lines))
    rows = rows_of(datasets, ref, 1)
    source = Source("items.jsonl", partial(file.open, "rb"))
    verdict = verify(rows, source, size=size_of(len(rows)))
    assert verdict.is_same
    return verdict


def deduped(datasets: Any, ref: str, _: Path) -> object:
    target = datasets.create(None)[0].id
    rows = rows_of(datasets, ref)
    with scratch() as database:
        seen = Seen(Key(("k",)), database)
        drained(look(rows, size_of(len(rows)), seen))
        drained(write_once(rows, size_of(len(rows)), seen, datasets, target))
        return seen.found, b"".join(datasets.datasets.items(target, ALL).lines)


def asked(datasets: Any, ref: str, _: Path) -> object:
    with scratch() as database:
        table = Table(database, "t")
        taken(rows_of(datasets, ref), table.take)
        answer = ask(database, "select *, count(*) over () as n from t", [table])
        return answer.columns, list(answer.rows)


def last(datasets: Any, ref: str, _: Path) -> object:
    return b"".join(tail(datasets, ref, from_end=2_500))


def copied(jobs: int, datasets: Any, ref: str, _: Path) -> object:
    target = datasets.create(None)[0].id
    drained(copy_items(DatasetCopy(datasets, ref, datasets, target, ALL, jobs=jobs), 0))
    return b"".join(datasets.datasets.items(target, ALL).lines)


READERS: dict[str, Reader] = {
    **{f"items {format}": partial(shown, format) for format in FORMATS},
    "items to a file": saved,
    **{f"pull {format}": partial(pulled, format, 2) for format in FORMATS},
    "pull, one after the other": partial(pulled, "jsonl", 0),
    "stats": looked_at,
    "diff": differing,
    "verify": verified,
    "dedupe": deduped,
    "sql": asked,
    "tail": last,
    "copy": partial(copied, 1),
    "copy, one after the other": partial(copied, 0),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineStore]:
    with closing(open_store(str(tmp_path_factory.mktemp("store")))) as found:
        yield found


def check(
    store: EngineStore,
    folders: pytest.TempPathFactory,
    reader: str,
    items: list[Item],
    size: int,
    is_checked: bool,
) -> None:
    read = READERS[reader]
    ref = store.datasets.create(None)[0].id
    if items:
        store.datasets.push(ref, Items.from_lines(lines(items).splitlines()))
    whole = Cut(store.datasets, 10**9, is_checked=True)
    cut = Cut(store.datasets, size, is_checked=is_checked)

    expected = read(whole, ref, folders.mktemp("whole"))

    assert read(cut, ref, folders.mktemp("cut")) == expected


@pytest.mark.parametrize("reader", READERS)
@settings(FEW, max_examples=15)
@given(items=LISTS, size=st.sampled_from([1, 7, 100]), is_checked=st.booleans())
def test_blocks_that_are_cut_anywhere_are_read_as_whole_ones(
    store: EngineStore,
    tmp_path_factory: pytest.TempPathFactory,
    reader: str,
    items: list[Item],
    size: int,
    is_checked: bool,
) -> None:
    check(store, tmp_path_factory, reader, items, size, is_checked)


@pytest.mark.parametrize(("size", "is_checked"), [(1_009, True), (50_021, False)])
@pytest.mark.parametrize("reader", READERS)
def test_so_are_blocks_of_more_items_than_are_looked_at_together(
    store: EngineStore,
    tmp_path_factory: pytest.TempPathFactory,
    reader: str,
    size: int,
    is_checked: bool,
) -> None:
    check(store, tmp_path_factory, reader, MANY, size, is_checked)
