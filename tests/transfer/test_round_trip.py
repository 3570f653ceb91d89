"""What is pushed is what is pulled, for any items, format and packing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.formats.encoding import packed
from storectl.model.dataset import ItemsQuery
from storectl.transfer.dataset import Source
from storectl.transfer.journal import Journal
from storectl.transfer.pull import pull
from storectl.transfer.push import Into, push
from storectl.transfer.target import Target
from tests.formats.writing import FEW, ITEMS, Item, lines

CELLS = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("abcä \"',;\n", min_size=1)
)
ROWS = st.lists(st.fixed_dictionaries({"a": CELLS, "b c": CELLS}), min_size=1, max_size=6)
"""Items of one shape. What looks like another type as text is `typed`'s own affair."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineStore]:
    found = open_store(str(tmp_path_factory.mktemp("store")))
    yield found
    found.close()


def round_trip(store: EngineStore, folder: Path, source: Source, target: Target) -> list[Item]:
    """Into a new dataset and out again, and that file into another: the items of this one."""
    first, second = (store.datasets.create(None)[0] for _ in range(2))
    list(push(store.datasets, Into(first.id), [source]))
    with Journal(folder, "pull", {"of": first.id}) as journal:
        dataset = store.datasets.get(first.id)
        list(pull(store.datasets, first.id, dataset, ItemsQuery(), target, journal))
    again = Source(target.file.name, lambda: target.file.open("rb"), typed=source.typed)
    list(push(store.datasets, Into(second.id), [again]))
    pages = [store.datasets.items(one.id, ItemsQuery()) for one in (first, second)]
    found = [[json.loads(line) for line in b"".join(page.lines).splitlines()] for page in pages]
    assert target.format == "csv" or found[0] == found[1]
    return found[1]


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
@pytest.mark.parametrize("format", ["jsonl", "json"])
@FEW
@given(items=ITEMS)
def test_json_comes_back_as_it_was(
    store: EngineStore,
    tmp_path_factory: pytest.TempPathFactory,
    items: list[Item],
    format: str,
    packing: str | None,
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    text = lines(items) if format == "jsonl" else json.dumps(items).encode()
    file = folder / f"in.{format}"
    file.write_bytes(b"".join(packed(iter((text,)), packing)))
    target = Target(file=folder / f"out.{format}", format=format, packing=packing)

    found = round_trip(store, folder, Source(file.name, lambda: file.open("rb")), target)

    assert found == items


@FEW
@given(rows=ROWS)
def test_typed_csv_comes_back_as_it_was(
    store: EngineStore, tmp_path_factory: pytest.TempPathFactory, rows: list[Item]
) -> None:
    """An empty cell is no field, as CSV cannot tell null from nothing."""
    folder = tmp_path_factory.mktemp("trip")
    file = folder / "in.jsonl"
    file.write_bytes(lines(rows))
    target = Target(file=folder / "out.csv", format="csv")

    source = Source(file.name, lambda: file.open("rb"), typed=True)
    found = round_trip(store, folder, source, target)

    plain = [{name: value for name, value in row.items() if value is not None} for row in rows]
    told = [
        {name: value for name, value in row.items() if value not in (None, "")} for row in found
    ]
    assert told == plain
