"""What the two layouts of Crawlee's local folders have in common, and what each must say."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple, Protocol

import msgspec

from storectl.errors import InvalidInput
from storectl.formats.batch import utf8, without_bom
from storectl.model.items import mended, not_json
from storectl.model.request import Request
from storectl.model.storage import Storage
from storectl.transfer.events import Refused

FOLDERS = {"dataset": "datasets", "kvs": "key_value_stores", "queue": "request_queues"}
"""Where each noun is kept, below the folder that CRAWLEE_STORAGE_DIR names."""

METADATA = "__metadata__.json"
DEFAULT = "default"
"""The folder of a run's own storages; a library opens it where no name is given."""

BLOCK_BYTES = 256 * 1024
MAX_JSON_BYTES = 64 * 1024 * 1024
"""Of a file that is read as a whole: items and requests are at most 9 MiB, indented more."""

_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_PLACE, _FAR = Struct(">?QQ"), 2**62
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Folder(NamedTuple):
    """One storage on disk. layout: js or python."""

    noun: str
    path: Path
    layout: str

    @property
    def key(self) -> str:
        """How people name it: `datasets/default`."""
        return f"{self.path.parent.name}/{self.path.name}"


class Notes:
    """What was left out, by path: refused for it is broken, passed over for it is no data.

    remarks: what was moved and is not quite what it was.
    """

    def __init__(self) -> None:
        self.refused: list[Refused] = []
        self.passed: list[Refused] = []
        self.remarks: list[Refused] = []
        self.metadata = 0
        """Files that a library keeps for itself; they are made anew on the way back."""

    def refuse(self, path: object, why: str) -> None:
        self.refused.append(Refused(str(path), why))

    def pass_over(self, path: object, why: str) -> None:
        self.passed.append(Refused(str(path), why))

    def remark(self, what: object, why: str) -> None:
        self.remarks.append(Refused(str(what), why))


class FoundRecord(NamedTuple):
    """A record on disk: its key as the library reads it, and its type."""

    key: str
    content_type: str
    path: Path


class Order(NamedTuple):
    """What is known of a queue that is written. head: the pending requests in order, by ID.

    total: of its requests.
    """

    head: dict[str, int]
    total: int


class Layout(Protocol):
    """How one library keeps records and requests. Items are kept alike: numbered files of JSON."""

    def records(self, folder: Folder, notes: Notes) -> Iterator[FoundRecord]:
        """The records that the library would read."""
        ...

    def requests(self, folder: Folder, notes: Notes) -> Iterator[Request]:
        """The requests as the API has them: those pending first, in the queue's order."""
        ...

    def item(self, line: bytes) -> bytes:
        """The file of an item: its JSON as the library indents it, not a token changed."""
        ...

    def record_name(self, key: str, content_type: str, notes: Notes) -> str:
        """The file name of a record. InvalidInput if the library could not read it back."""
        ...

    def record_metadata(self, key: str, content_type: str, size: int) -> tuple[str, bytes] | None:
        """Name and content of the file beside a record, if there is one."""
        ...

    def queue(
        self, requests: Iterable[Request], order: Order, parent: Path, id: str
    ) -> Iterator[tuple[Path, bytes]]:
        """The files of a queue. parent: the folder of the storages that is written to.

        A path with folders is one below parent, the others are in the queue's folder.
        """
        ...

    def metadata(self, noun: str, storage: Storage, name: str, counts: dict[str, int]) -> bytes:
        """The file METADATA of a storage, or nothing if there is none."""
        ...


def plain_files(folder: Path, notes: Notes) -> Iterator[os.DirEntry[str]]:
    """The files of a folder that may be data, in no order. Links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if entry.is_symlink():
                notes.pass_over(entry.path, "a link; links are not followed")
            elif name == METADATA or (name.endswith(".lock") and entry.is_dir()):
                notes.metadata += 1
            elif not entry.is_file():
                notes.pass_over(entry.path, "not a file")
            else:
                yield entry


def place_of(entry: os.DirEntry[str], handled: bool, place: int) -> bytes:
    """What the files of a queue are sorted by: pending first, place, time of the file, name.

    Bytes, since there may be a million: a tuple takes three times as much memory.
    """
    bounded = min(max(place, -_FAR), _FAR) + _FAR
    return _PLACE.pack(handled, bounded, entry.stat().st_mtime_ns) + os.fsencode(entry.name)


def name_at(place: bytes) -> str:
    """The name of the file that place_of was made of."""
    return os.fsdecode(place[_PLACE.size :])


def read_json(path: Path, notes: Notes) -> Any:
    """The value of a file, or None if it is broken, which is noted."""
    try:
        return msgspec.json.decode(compact(read_file(str(path))))
    except InvalidInput as error:
        notes.refuse(path, error.message)
        return None


def compact(data: bytes) -> bytes:
    """JSON without the whitespace between its tokens, which stay as they are.

    Raises InvalidInput for what is not JSON.
    """
    utf8(data)
    try:
        return msgspec.json.format(without_bom(data), indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        if (whole := mended(data)) != data:
            return compact(whole)
        if not data.strip():
            raise InvalidInput("empty") from None
        raise not_json(error, data.decode(), "It") from None


def metadata_of(folder: Path) -> dict[str, Any]:
    """What METADATA of a storage says; nothing if it is not there or broken."""
    try:
        found = msgspec.json.decode(read_file(f"{folder}/{METADATA}"))
    except (OSError, InvalidInput, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def write_new(path: str, parts: Iterable[bytes]) -> int:
    """Write a file that must not be there yet: its bytes. InvalidInput if it is.

    Where a file system does not tell two names apart, the second one is refused here.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    except FileExistsError:
        raise InvalidInput(f"the file {os.path.basename(path)} is taken by another") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidInput("its file name would be too long") from None
        raise
    size = 0
    try:
        for part in parts:
            left = memoryview(part)
            while left:
                written = os.write(number, left)
                left = left[written:]
                size += written
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(number)
    return size


def read_file(path: str) -> bytes:
    """The bytes of a file of JSON; there may be a million. No link, no pipe, nothing huge."""
    number = os.open(path, os.O_RDONLY | _BINARY | _PLAIN)
    try:
        parts = [os.read(number, BLOCK_BYTES)]
        size = len(parts[0])
        while size >= BLOCK_BYTES and (more := os.read(number, BLOCK_BYTES)):
            parts.append(more)
            size += len(more)
            if size > MAX_JSON_BYTES:
                raise InvalidInput(f"over {MAX_JSON_BYTES:,} bytes")
        return b"".join(parts)
    finally:
        os.close(number)
