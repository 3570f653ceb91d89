"""Items between files and a dataset, in constant memory."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import msgspec

from storectl.errors import InvalidInput, Local, TooLarge
from storectl.formats import Options, detect, read, write
from storectl.formats.batch import Batch
from storectl.model import rules
from storectl.model.dataset import Datasets, ItemsPage, ItemsQuery
from storectl.model.items import Items
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started
from storectl.transfer.windows import checked

BATCH_BYTES = 4 * 1024 * 1024
"""Of one call: large enough that its round trip does not count, less than half of the limit."""

HEAD_BYTES = 256 * 1024
"""What is looked at, at most, to tell the format of an input."""

PAUSE_SECS = 0.5
"""After so long without input, what has come is sent: a slow producer loses little."""


class Source(NamedTuple):
    """One input of a push. open: called once, when its turn comes. size: bytes, if known.

    format: json, jsonl, csv, or auto, which looks at the name and the first bytes.
    typed, delimiter: of csv; see formats.read.
    """

    name: str
    open: Callable[[], BinaryIO]
    format: str = "auto"
    size: int | None = None
    typed: bool = False
    delimiter: str | None = None


class Input:
    """A file or pipe whose reads are full, or end where the producer pauses."""

    def __init__(self, stream: BinaryIO) -> None:
        self.number = stream.fileno()
        self.held = b""
        self.at = 0

    def head(self) -> bytes:
        """The first line, or what there is of it up to HEAD_BYTES, without taking it."""
        while b"\n" not in self.held and len(self.held) < HEAD_BYTES and self._more():
            pass
        return self.held

    def read(self, size: int) -> bytes:
        """At most size bytes; none at the end."""
        parts = [self._take(size)]
        got = len(parts[0])
        while got < size and not (got and self._pauses()):
            more = os.read(self.number, size - got)
            if not more:
                break
            parts.append(more)
            got += len(more)
        return b"".join(parts)

    def readline(self, size: int) -> bytes:
        """A line with its newline, or size bytes of it; nothing at the end."""
        seen = self.at
        while (end := self.held.find(b"\n", seen)) < 0 and len(self.held) - self.at < size:
            seen = len(self.held) - self.at
            if not self._more():
                return self._take(size)
        return self._take(size if end < 0 else min(size, end + 1 - self.at))

    def _take(self, size: int) -> bytes:
        taken = self.held[self.at : self.at + size]
        self.at += len(taken)
        return taken

    def _more(self) -> bool:
        more = os.read(self.number, HEAD_BYTES)
        self.held = self.held[self.at :] + more
        self.at = 0
        return bool(more)

    def _pauses(self) -> bool:
        if os.name != "posix":  # select knows only sockets there
            return False
        ready, _, _ = select.select([self.number], [], [], PAUSE_SECS)
        return not ready


def push(datasets: Datasets, ref: str, sources: list[Source]) -> Iterator[Event]:
    """Append the items of all sources, in order, a batch a call.

    An item that cannot be stored is Refused with file and line, and the rest
    goes on. A failure of the store ends it; what was acknowledged stays. Raises
    InvalidInput for a source that cannot be read further.
    """
    begin = time.monotonic()
    sizes = [source.size for source in sources]
    yield Started(sum(size or 0 for size in sizes) if None not in sizes else None)
    moved = moved_bytes = refused = 0
    bad: list[Refused] = []
    for source in sources:
        for batch in _batches(source, bad):
            if batch is not None:
                taken = _push(datasets, ref, batch, source.name, bad)
                moved += len(taken)
                moved_bytes += len(taken.lines)
            refused += len(bad)
            yield from bad
            bad.clear()
            yield Advanced(moved, moved_bytes)
    yield Finished(moved, moved_bytes, time.monotonic() - begin, refused)


def _batches(source: Source, bad: list[Refused]) -> Iterator[Batch | None]:
    """Batches of one source; None at its end, when the last bad items are known."""

    def on_bad(line: int, why: str) -> None:
        bad.append(Refused(f"{source.name}:{line}", why))

    with source.open() as opened:
        stream = Input(opened)
        name = source.format
        try:
            if name == "auto":
                head = stream.head()
                name = detect(source.name, head) if head.strip() else "jsonl"
            yield from read(
                name,
                cast("BinaryIO", stream),
                max_bytes=BATCH_BYTES,
                on_bad=on_bad,
                typed=source.typed,
                delimiter=source.delimiter,
            )
        except (InvalidInput, TooLarge) as error:
            raise type(error)(f"{source.name}: {error.message}", hint=error.hint) from None
    yield None


def _push(datasets: Datasets, ref: str, batch: Batch, name: str, bad: list[Refused]) -> Items:
    """Send one batch; what was taken. Items that break the dataset's schema are left out."""
    items = batch.items
    try:
        datasets.push(ref, items, idempotency_key=rules.new_id())
    except InvalidInput as error:
        wrong = _breaking_schema(error)
        if not wrong:
            raise
        for at, why in wrong.items():
            bad.append(Refused(f"{name}:{batch.lines[at]}", why))
        lines = items.lines.splitlines()
        items = Items.from_lines([line for at, line in enumerate(lines) if at not in wrong])
        if len(items):
            datasets.push(ref, items, idempotency_key=rules.new_id())
    return items


class _Complaint(msgspec.Struct, rename="camel"):
    item_position: int
    validation_errors: list[dict[str, object]] = []


class _Complaints(msgspec.Struct, rename="camel"):
    invalid_items: list[_Complaint]


def _breaking_schema(error: InvalidInput) -> dict[int, str]:
    """Positions of items that a schema refuses, and why.

    Source: Apify API v2, the answer to a push that breaks the dataset's schema.
    """
    if error.type != "schema-validation-error":
        return {}
    try:
        told = msgspec.convert(error.data, _Complaints)
    except msgspec.ValidationError:
        return {}
    return {
        one.item_position: "; ".join(
            f"{wrong.get('instancePath') or 'item'} {wrong.get('message')}"
            for wrong in one.validation_errors
        )
        or "breaks the schema of the dataset"
        for one in told.invalid_items
    }


def save(
    page: ItemsPage, query: ItemsQuery, format: str, options: Options, file: Path
) -> Iterator[Event]:
    """Write a page to a file, which appears when it is whole. Yields its progress."""
    begin = time.monotonic()
    moved = 0

    def counted(blocks: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal moved
        for block in blocks:
            moved += block.count(b"\n")
            yield block

    yield Started(total=page.scanned)
    written = 0
    with whole_file(file) as out:
        for chunk in write(format, counted(checked(page, query)), options):
            out.write(chunk)
            written += len(chunk)
            yield Advanced(moved, written)
    yield Finished(moved, written, time.monotonic() - begin)


@contextmanager
def whole_file(path: Path, run: str | None = None) -> Iterator[BinaryIO]:
    """A file to write, which takes its name when it is whole, and leaves nothing if it fails.

    run: what marks the temporary file, the process by default; a job that goes on after
    a kill names itself, and so writes over what it left.
    """
    if not path.parent.is_dir():
        raise Local(f"{path.parent} is not a folder", hint=f"mkdir -p {path.parent}")
    if path.exists() and not path.is_file():  # a device or pipe has no whole
        with path.open("wb") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name}.{run or os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
