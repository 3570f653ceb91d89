"""Datasets in a store for tests that read all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.transfer.events import Event, Finished
from storectl.transfer.windows import Rows

Item = dict[str, Any]

WINDOW = 3
"""Rows of a call: the few items of a test make several."""


@contextmanager
def keeping(*datasets: list[Item] | bytes) -> Iterator[tuple[EngineStore, list[Rows]]]:
    """A store and the rows of its datasets. bytes are JSON lines."""
    with TemporaryDirectory() as folder, closing(open_store(folder)) as store:
        rows = []
        for number, given in enumerate(datasets):
            made, _ = store.datasets.create(f"d{number}")
            lines = given.splitlines() if isinstance(given, bytes) else list(map(encoded, given))
            if lines:
                store.datasets.push(made.id, Items.from_lines(lines))
            rows.append(Rows(store.datasets, made.id, ItemsQuery()))
        yield store, rows


def opened(file: Path) -> BinaryIO:
    """What a Source opens."""
    return file.open("rb")


def encoded(item: Item) -> bytes:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()


def drained(events: Iterator[Event]) -> Finished:
    """Run a transfer to its end."""
    *_, last = events
    assert isinstance(last, Finished)
    return last


def read_all(rows: Rows, take: Callable[[bytes], None]) -> None:
    """Hand all items over, in blocks of few."""
    from storectl.transfer.scan import scan

    drained(scan(len(rows), rows.windows(0, WINDOW), take))
