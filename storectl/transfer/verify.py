"""Whether a dataset holds what a file holds, item by item and in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest

from msgspec import Struct

from storectl.formats.blocks import whole_lines
from storectl.transfer.dataset import Source, batches
from storectl.transfer.events import Refused
from storectl.transfer.values import same
from storectl.transfer.windows import Rows


class Verdict(Struct, rename="camel", kw_only=True):
    """What was found. different: positions at which the items are not the same.

    first, first_line: of these, from 0 in the dataset and from 1 in the file. refused:
    what in the file is no item; it has no counterpart, and so is a difference.
    """

    dataset_items: int = 0
    file_items: int = 0
    different: int = 0
    first: int | None = None
    first_line: int | None = None
    refused: int = 0

    @property
    def is_same(self) -> bool:
        return not self.different and not self.refused and self.dataset_items == self.file_items


def verify(rows: Rows, source: Source, *, size: int) -> Verdict:
    """Compare all items of a dataset with those of a file. size: rows of a call.

    Items are the same if their values are: the order of fields, space and the spelling
    of numbers do not count.
    """
    found = Verdict()
    bad: list[Refused] = []
    for position, (kept, given) in enumerate(
        zip_longest(_of_dataset(rows, size), _of_file(source, bad))
    ):
        found.dataset_items += kept is not None
        found.file_items += given is not None
        if kept is None or given is None or same(kept, given[0]):
            continue
        found.different += 1
        if found.first is None:
            found.first, found.first_line = position, given[1]
    found.refused = len(bad)
    return found


def _of_dataset(rows: Rows, size: int) -> Iterator[bytes]:
    blocks = chain.from_iterable(blocks for _, blocks in rows.windows(0, size))
    for block in whole_lines(blocks):
        yield from block[:-1].split(b"\n")


def _of_file(source: Source, bad: list[Refused]) -> Iterator[tuple[bytes, int]]:
    for batch in batches(source, bad):
        if batch is not None:
            yield from zip(batch.items.lines[:-1].split(b"\n"), batch.lines, strict=True)
