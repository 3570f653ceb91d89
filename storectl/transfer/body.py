"""What a record is made from and saved to: a file, a pipe or a text; and the type it has."""

from __future__ import annotations

import mimetypes
import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

import msgspec

from storectl.errors import InvalidInput, NotFound
from storectl.model.items import check_utf8, not_json
from storectl.model.kvs import Record
from storectl.transfer.dataset import whole_file
from storectl.transfer.events import Advanced, Event, Finished, Started

HEAD_BYTES = 64 * 1024
BLOCK_BYTES = 256 * 1024
BYTES = "application/octet-stream"

_MORE_TYPES = {
    ".avif": "image/avif",
    ".gz": "application/gzip",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".tgz": "application/gzip",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


class Body:
    """Bytes to be put. head: the first 64 KiB; is_whole: there are no more.

    name: for messages. size: bytes, None for a pipe, which can be iterated once. sent:
    how many bytes the last iteration gave.
    """

    def __init__(self, name: str, head: bytes, rest: Iterable[bytes], size: int | None) -> None:
        self.name, self.head, self.size = name, head, size
        self.is_whole = len(head) < HEAD_BYTES or size == len(head)
        self.sent = 0
        self._rest = rest

    @classmethod
    def of_text(cls, text: str, name: str) -> Body:
        """A text as it was typed."""
        data = os.fsencode(text)
        return cls(name, data[:HEAD_BYTES], (data[HEAD_BYTES:],), len(data))

    @classmethod
    def of_file(cls, path: Path) -> Body:
        """A file or a named pipe. NotFound if it is not there."""
        try:
            return cls.of_open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), str(path))
        except FileNotFoundError:
            raise NotFound(f"{path}: no such file") from None
        except IsADirectoryError:
            raise InvalidInput(f"{path} is a folder") from None

    @classmethod
    def of_open(cls, descriptor: int, name: str) -> Body:
        """What is left to read behind a file descriptor."""
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(name)
        if not stat.S_ISREG(found.st_mode):
            return cls(name, _read(descriptor, HEAD_BYTES), Pipe(descriptor), None)
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        head = _read(descriptor, HEAD_BYTES)
        rest = Pipe(descriptor, start + len(head))
        return cls(name, head, rest, max(found.st_size - start, 0))

    def __iter__(self) -> Iterator[bytes]:
        self.sent = len(self.head)
        yield self.head
        for block in self._rest:
            self.sent += len(block)
            yield block

    def check_json(self) -> None:
        """Raise InvalidInput, with line and column, unless it is JSON."""
        data = b"".join(self)
        text = check_utf8(data)
        try:
            msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise not_json(error, text, self.name) from None


class Pipe:
    """What comes from a file descriptor; from a place in it, where it has places."""

    def __init__(self, descriptor: int, start: int | None = None) -> None:
        self._descriptor, self._start = descriptor, start

    def __iter__(self) -> Iterator[bytes]:
        if self._start is not None:
            os.lseek(self._descriptor, self._start, os.SEEK_SET)
        while block := os.read(self._descriptor, BLOCK_BYTES):
            yield block


def _read(descriptor: int, size: int) -> bytes:
    blocks = []
    while size and (block := os.read(descriptor, size)):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def save(record: Record, blocks: Iterable[bytes], file: Path) -> Iterator[Event]:
    """Write a body to a file, which appears when it is whole. Yields its progress.

    blocks: the body of the record, perhaps unpacked.
    """
    begin = time.monotonic()
    written = 0
    yield Started(record.size if record.content_encoding is None else None)
    with whole_file(file) as out:
        for block in blocks:
            out.write(block)
            written += len(block)
            yield Advanced(0, written)
    yield Finished(1, written, time.monotonic() - begin)


def media_type(body: Body, names: Iterable[str]) -> str:
    """The type of a record: by the suffix of the first name that has one, else by its bytes.

    Without a suffix a JSON object or array is JSON, UTF-8 is text, all else bytes; and
    so is what is over 64 KiB.
    """
    for name in names:
        found = _by_suffix(name)
        if found is not None:
            return found
    return _by_content(body.head) if body.is_whole else BYTES


def is_json(content_type: str) -> bool:
    """Whether a type is JSON, whatever its parameters."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def is_text(head: bytes) -> bool:
    """Whether bytes are text: UTF-8, perhaps cut at the end, without NUL."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode()
    return "\0" not in text


def _by_suffix(name: str) -> str | None:
    suffix = PurePath(name).suffix.lower()
    if suffix in _MORE_TYPES:
        return _MORE_TYPES[suffix]
    if not mimetypes.inited:
        mimetypes.init([])  # not the tables of this machine: a type is the same everywhere
    return mimetypes.types_map.get(suffix)


def _by_content(data: bytes) -> str:
    if not is_text(data):
        return BYTES
    if data.lstrip()[:1] in (b"{", b"["):
        try:
            msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            pass
        else:
            return "application/json; charset=utf-8"
    return "text/plain; charset=utf-8"
