"""A dataset into a file: goes on where it was killed, and the file appears when it is whole.

Items are kept as JSON lines in a part file beside the target, whatever the format; a
journal says how much of it is sure. When all are there, the part becomes the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from storectl.errors import InvalidInput, Local
from storectl.formats import write
from storectl.formats.blocks import gather, whole_lines
from storectl.formats.encoding import packed, packing
from storectl.model.dataset import Dataset, Datasets, ItemsQuery
from storectl.transfer.dataset import whole_file
from storectl.transfer.events import Advanced, Event, Finished, Saved, Started
from storectl.transfer.journal import Journal
from storectl.transfer.lanes import Aside, quick_turns
from storectl.transfer.target import Target
from storectl.transfer.windows import Rows, rows_of_window

READ_BYTES = 1024 * 1024

CHECKPOINT_SECS = 1.0
"""How much work a kill costs at most, beside the window in flight."""


class State(Struct, frozen=True, kw_only=True):
    """How far a pull is. total: items of the dataset when it began. window: rows of a call.

    rows, items, bytes: scanned, received, and kept in the part file for sure.
    inode: of the file that is about to take the name of the target.
    """

    total: int
    window: int
    rows: int = 0
    items: int = 0
    bytes: int = 0
    inode: int | None = None


def pull(
    datasets: Datasets,
    ref: str,
    dataset: Dataset,
    query: ItemsQuery,
    target: Target,
    journal: Journal,
    *,
    jobs: int = 0,
    retries: int = 8,
    window: int | None = None,
) -> Iterator[Event]:
    """Write the items that a query selects to a file, in constant memory.

    dataset: what ref means. journal: held; a job is the dataset, the query and the
    file. jobs, retries: see windows.Rows; window: rows of a call, by default by their
    size. Raises what the store raises, and keeps the journal for the next run.
    """
    begin = time.monotonic()
    next(write(target.format, (), target.options), None)  # a bad option is told at once
    part = target.file.with_name(f".{target.file.name}.{journal.name}.part")
    state = _agreed(journal.read(State), part, target.file)
    total = state.total if state else None
    rows = Rows(datasets, ref, query, total=total, jobs=jobs, retries=retries)
    state = state or State(total=rows.total, window=window or rows_of_window(dataset, rows.jobs))
    yield Started(total=len(rows), resumed=state.items)
    done = _Part(part, state, journal, hashed=target.is_part)
    if state.inode is None:
        yield from done.fill(rows)
        finishing = _Files(part, done.state, target, journal).made(done.digest)
    else:
        finishing = _seen(target.file, state.items)
    size = 0
    try:
        for event in finishing:
            size += event.bytes if isinstance(event, Saved) else 0
            yield event
    except InvalidInput:  # such as too many columns: the same command would end the same
        part.unlink(missing_ok=True)
        journal.forget()
        raise
    part.unlink(missing_ok=True)
    journal.forget()
    secs = time.monotonic() - begin
    yield Finished(done.state.items, size, secs, 0, state.items, rows.retried)


def _agreed(state: State | None, part: Path, file: Path) -> State | None:
    """What the journal says, if the files agree; else None: all begins anew."""
    if state is None:
        return None
    with suppress(FileNotFoundError):
        if state.inode is not None and file.stat().st_ino == state.inode:
            return state
    with suppress(FileNotFoundError):
        if part.stat().st_size >= state.bytes:
            return replace(state, inode=None)
    return None


class _Part:
    """The part file: items as JSON lines, and how much of them is sure.

    Its checksum, and what makes it sure, are the work of two threads beside: each of them
    would take as long as a server on this machine needs to send the items.
    """

    def __init__(self, path: Path, state: State, journal: Journal, *, hashed: bool) -> None:
        self.path, self.state, self.journal = path, state, journal
        self.digest: Any = sha256() if hashed else None
        self._hashing, self._keeping = Aside("hashing"), Aside("keeping")
        self._next = 0.0

    def fill(self, rows: Rows) -> Iterator[Event]:
        """Write what is missing. Whatever ends it, what has come is kept."""
        plain = not rows.query.shapes  # then as many items come as rows are scanned
        with self._opened() as file, quick_turns():
            now = self.state
            try:
                for scanned, blocks in rows.windows(now.rows, now.window):
                    items, size = self._copy(blocks, file, scanned if plain else None)
                    now = replace(
                        now,
                        rows=now.rows + scanned,
                        items=now.items + items,
                        bytes=now.bytes + size,
                    )
                    yield Advanced(now.items, now.bytes, now.rows)
                    if time.monotonic() >= self._next and not self._keeping.busy:
                        file.flush()
                        self._keeping.start(partial(self._keep, file.fileno(), now))
            finally:
                self._keeping.wait()
                file.flush()
                self._keep(file.fileno(), now)
                self._hashing.wait()
                self._hashing.close()
                self._keeping.close()

    def _opened(self) -> BinaryIO:
        """The file at the end of what is sure."""
        if not self.path.parent.is_dir():
            raise Local(f"{self.path.parent} is not a folder", hint=f"mkdir -p {self.path.parent}")
        file = open(self.path, "r+b" if self.state.bytes else "wb")  # noqa: SIM115
        left = self.state.bytes if self.digest else 0
        while left and (block := file.read(min(READ_BYTES, left))):
            self.digest.update(block)
            left -= len(block)
        file.truncate(self.state.bytes)
        file.seek(self.state.bytes)
        return file

    def _copy(self, blocks: Iterable[bytes], file: BinaryIO, known: int | None) -> tuple[int, int]:
        """Append the blocks; their items, counted if they are not known, and bytes."""
        items = size = 0
        # Few and large: each call below hands the interpreter to other threads.
        for block in gather(blocks, READ_BYTES):
            if self.digest is not None:
                self._hashing.start(partial(self.digest.update, block))
            file.write(block)
            size += len(block)
            if known is None:
                items += block.count(b"\n")
        return items if known is None else known, size

    def _keep(self, file: int, now: State) -> None:
        """Bytes first, then what speaks of them."""
        if now == self.state:
            return
        os.fsync(file)
        self.journal.write(now)
        self.state = now
        self._next = time.monotonic() + CHECKPOINT_SECS


def _seen(file: Path, items: int) -> Iterator[Event]:
    """A file which an earlier run finished, and was killed before it could say so."""
    digest, size = sha256(), 0
    with file.open("rb") as kept:
        while block := kept.read(READ_BYTES):
            digest.update(block)
            size += len(block)
    yield Saved(file, items, size, digest.hexdigest())


class _Files:
    """The file or files that the part becomes. Each takes its name when it is whole."""

    def __init__(self, part: Path, state: State, target: Target, journal: Journal) -> None:
        self.part, self.state, self.target, self.journal = part, state, target, journal

    def made(self, digest: Any) -> Iterator[Event]:
        """Make them. digest: of the part, where it is the file."""
        target, state = self.target, self.state
        if target.is_part:
            self._note(self.part.stat().st_ino)
            self.part.replace(target.file)
            yield Saved(target.file, state.items, state.bytes, digest.hexdigest())
            return
        with self.part.open("rb") as source:
            if target.split is None:
                yield from self._file(_lines(source), target.file, state.items)
                return
            cuts = _Cuts(_lines(source), target.split)
            left, number = state.items, 0
            while left or not number:
                number += 1
                items = min(target.split, left)
                left -= items
                yield from self._file(cuts.next(), target.numbered(number), items)

    def _file(self, blocks: Iterable[bytes], file: Path, items: int) -> Iterator[Event]:
        """One file from JSON lines."""
        target = self.target
        digest, size = sha256(), 0
        with whole_file(file, self.journal.name) as out:
            chunks = write(target.format, blocks, target.options)
            if target.append and file.exists():
                chunks = _continued(file, target, chunks)
            else:
                chunks = packed(chunks, target.packing)
            for chunk in chunks:
                out.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                yield Advanced(self.state.items, size, self.state.rows)
            if target.split is None:
                self._note(os.fstat(out.fileno()).st_ino)
        yield Saved(file, items, size, digest.hexdigest())

    def _note(self, inode: int) -> None:
        """Say which file is about to take the name: seen there, the job is done."""
        self.journal.write(replace(self.state, inode=inode), durable=True)


def _continued(file: Path, target: Target, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What the file holds, and then the chunks: packed anew, or without a second header."""
    end = b""
    with file.open("rb") as old:
        head = old.read(4)
        old.seek(0)
        if head and packing(head) != target.packing:
            raise InvalidInput(f"{file} is packed in another way than what is to follow")
        if target.format == "csv" and not target.options.skip_header_row:
            chunks = _headless(chunks, old, file)
        while block := old.read(READ_BYTES):
            end = block
            yield block
    if end and not target.packing and not end.endswith(b"\n"):
        yield b"\r\n" if target.format == "csv" else b"\n"
    yield from packed(chunks, target.packing)


def _headless(chunks: Iterator[bytes], old: BinaryIO, file: Path) -> Iterator[bytes]:
    """The rows without their header, which has to be that of the file."""
    first = next(chunks, b"").removeprefix(b"\xef\xbb\xbf")
    cut = first.find(b"\r\n") + 2
    while first.count(b'"', 0, cut) % 2:  # the line end is inside of a quoted name
        cut = first.index(b"\r\n", cut) + 2
    header = first[:cut]
    there = old.read(len(header) + 3).removeprefix(b"\xef\xbb\xbf")
    if there and first and there[: len(header)] != header:
        raise InvalidInput(
            f"{file} has other columns: {there[:80].decode(errors='replace').splitlines()[0]!r}",
            hint="name those of the file, in their order, with --fields",
        )
    old.seek(0)
    return _chained(first[cut:] if there else first, chunks)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _lines(file: BinaryIO) -> Iterator[bytes]:
    return whole_lines(iter(lambda: file.read(READ_BYTES), b""))


class _Cuts:
    """Lines, so many at a time. Each cut has to be read to its end before the next."""

    def __init__(self, blocks: Iterator[bytes], size: int) -> None:
        self._blocks, self._size, self._held = blocks, size, b""

    def more(self) -> bool:
        """Whether there is another line."""
        self._held = self._held or next(self._blocks, b"")
        return bool(self._held)

    def next(self) -> Iterator[bytes]:
        """The blocks of the next lines."""
        left = self._size
        while left and self.more():
            count = self._held.count(b"\n")
            if count <= left:
                yield self._held
                self._held, left = b"", left - count
                continue
            at = -1
            for _ in range(left):
                at = self._held.index(b"\n", at + 1)
            yield self._held[: at + 1]
            self._held, left = self._held[at + 1 :], 0
