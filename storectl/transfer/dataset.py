"""Items between files and a dataset, in constant memory."""

from __future__ import annotations

import errno
import os
import re
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from storectl.errors import InvalidInput, Local, TooLarge
from storectl.formats import Options, detect, read, write
from storectl.formats.batch import Batch
from storectl.formats.encoding import PACKED, packing, unpacked
from storectl.model.dataset import ItemsPage, ItemsQuery
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started
from storectl.transfer.windows import checked

BATCH_BYTES = 2 * 1024 * 1024
"""Of one call: large enough that its round trip does not count. Twice that takes as long and
20 MiB more memory, half of it a fifth longer."""

HEAD_BYTES = 256 * 1024
"""What is looked at, at most, to tell the format of an input."""

_MAGIC_BYTES = 4

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
    """A file or pipe whose reads are full, or end where the producer pauses.

    What is packed with gzip or zstd, as its first bytes tell, is read unpacked.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.number = stream.fileno()
        self.held = b""
        self.at = 0
        self._plain: Iterator[bytes] | None = None
        while len(self.held) < _MAGIC_BYTES and self._more():
            pass
        if name := packing(self.held):
            raw = chain((self.held,), iter(lambda: os.read(self.number, HEAD_BYTES), b""))
            self._plain, self.held = unpacked(raw, name), b""

    def head(self) -> bytes:
        """The first line, or what there is of it up to HEAD_BYTES, without taking it."""
        while b"\n" not in self.held and len(self.held) < HEAD_BYTES and self._more():
            pass
        return self.held

    def read(self, size: int) -> bytes:
        """At most size bytes; none at the end."""
        taken = self._take(size)
        parts, got = [taken] if taken else [], len(taken)
        while got < size and not (got and self._pauses()):
            if self._plain is None:
                more = os.read(self.number, size - got)
            else:
                more = self._take(size - got) if self._more() else b""
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
        if self._plain is None:
            more = os.read(self.number, HEAD_BYTES)
        else:
            more = next(self._plain, b"")
        self.held = self.held[self.at :] + more
        self.at = 0
        return bool(more)

    def _pauses(self) -> bool:
        if os.name != "posix" or self._plain is not None:  # elsewhere select knows only sockets
            return False
        ready, _, _ = select.select([self.number], [], [], PAUSE_SECS)
        return not ready


def batches(
    source: Source, bad: list[Refused], max_bytes: int = BATCH_BYTES
) -> Iterator[Batch | None]:
    """Batches of one source; None at its end, when the last bad items are known."""

    def on_bad(line: int, why: str) -> None:
        bad.append(Refused(f"{source.name}:{line}", why))

    with source.open() as opened:
        name = source.format
        try:
            stream = Input(opened)
            if name == "auto":
                head = stream.head()
                name = detect(_unpacked_name(source.name), head) if head.strip() else "jsonl"
            yield from read(
                name,
                cast("BinaryIO", stream),
                max_bytes=max_bytes,
                on_bad=on_bad,
                typed=source.typed,
                delimiter=source.delimiter,
            )
        except (InvalidInput, TooLarge) as error:
            why = error.message.removeprefix("Body is ")
            where = source.name
            if numbered := re.match(r"line (\d+): ", why):
                where, why = f"{where}:{numbered[1]}", why[numbered.end() :]
            raise type(error)(f"{where}: {why}", hint=error.hint) from None
    yield None


def _unpacked_name(name: str) -> str:
    """The name of what a packed file holds."""
    end = next((end for end in PACKED.values() if name.lower().endswith(end)), "")
    return name[: len(name) - len(end)]


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
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder", hint="name a file in it")
    if is_open_already(path) or (path.exists() and not path.is_file()):
        with path.open("ab") as file:
            yield file
        return
    path = Path(os.path.realpath(path))  # a link stays one
    temporary = path.with_name(f".{path.name}.{run or os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (
            error.filename == str(temporary) or error.errno == errno.ENOSPC
        ):
            error.filename = str(path)  # the name that was asked for
        raise


def is_open_already(path: Path) -> bool:
    """Whether a path is one of our streams, such as /dev/stdout: a file or not, it stays."""
    link = path.parent / os.readlink(path) if path.is_symlink() else path
    return os.path.realpath(link.parent).startswith("/proc/")
