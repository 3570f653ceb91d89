"""A folder that holds records: a file name for every key, and what is remembered of each file.

A name is ASCII and below the folder whatever the key is: letters, digits and !-_.'()
stand for themselves, every other byte and whatever would be dangerous (a dot at either
end, the first letter of a Windows device) is `%` and two hex digits. A key whose name is
taken by another in other capitals has its capitals, or else all its letters, written so.
Reading the name backwards gives the key. Only names over 240 characters are cut: they
end in `%~` and a hash, and their key stands in `.storectl.json`.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from pathlib import Path
from string import ascii_letters, ascii_uppercase
from threading import Lock
from typing import NamedTuple

import msgspec
from msgspec import Struct

from storectl.errors import Conflict, InvalidInput, Local, NotFound
from storectl.model import rules

MEMORY = ".storectl.json"
LOG = ".storectl.log"
UNFINISHED = ".storectl-"
MAX_NAME = 240
"""Characters of a file name; most file systems take 255."""

BLOCK_BYTES = 256 * 1024
HOPELESS = (ENOSPC, EDQUOT, EFBIG, EIO, EROFS)

_UNSAFE = re.compile(rb"[^a-zA-Z0-9!\-_.'()]")
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_NAME = re.compile(r"(?!\.)(?:[a-zA-Z0-9!\-_.'()]|%[0-9a-fA-F]{2})+")
_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")
_UTF8 = "surrogatepass"


def names(key: str) -> Iterator[str]:
    """The names that a key may have, the plainest first.

    The last can be that of no other key, in whatever capitals.
    """
    is_device = _DEVICE.match(key) is not None
    for letters in (ascii_uppercase if is_device else "", ascii_uppercase, ascii_letters):
        name = _escaped(key.encode("utf-8", _UTF8), letters, is_device)
        yield name if 0 < len(name) <= MAX_NAME else _cut(name, key)


def key_of(name: str) -> str | None:
    """The key that a name stands for; None if it is that of no key, or was cut."""
    if not _NAME.fullmatch(name):
        return None
    data = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), name.encode())
    try:
        return data.decode("utf-8", _UTF8)
    except UnicodeDecodeError:
        return None


def folded(name: str) -> str:
    """What a file system that ignores capitals and Unicode's forms makes of a name."""
    return unicodedata.normalize("NFKC", name).casefold()


def _escaped(data: bytes, letters: str, first: bool) -> str:
    last = len(data) - 1
    done = []
    for at, byte in enumerate(data):
        plain = not _UNSAFE.match(data, at) and chr(byte) not in letters
        if (byte == 0x2E and at in (0, last)) or (first and at == 0):
            plain = False
        done.append(chr(byte) if plain else f"%{byte:02X}")
    return "".join(done)


def _cut(name: str, key: str) -> str:
    from hashlib import sha256  # few keys are that long

    start = re.sub(r"%[0-9A-F]?$", "", name[: MAX_NAME - 60])
    return f"{start}%~{sha256(key.encode('utf-8', _UTF8)).hexdigest()[:40]}"


class Stamp(NamedTuple):
    """What tells one state of a file from another."""

    size: int
    mtime_ns: int


class Note(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What is remembered of one file.

    content_encoding: how the bytes of the file are packed; unpacked: how those of the
    record were, which the file has plain. size, mtime_ns: of the file when it was the
    record's, and stored and sha256: of the record then, as it is stored; None where
    that is not known.
    """

    key: str
    content_type: str | None = None
    content_encoding: str | None = None
    unpacked: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    stored: int | None = None
    sha256: str | None = None


class Memory(Struct, rename="camel", kw_only=True):
    """`.storectl.json`. store: ID of the key-value store that the folder was last equal to."""

    version: int = 1
    store: str | None = None
    files: dict[str, Note] = {}


class Line(Struct, omit_defaults=True):
    """One line of the log: whose store it is, or what is known of one file since."""

    store: str | None = None
    file: str | None = None
    note: Note | None = None


class Found(NamedTuple):
    """A file of the folder. key: None if it can be no record."""

    name: str
    key: str | None
    stamp: Stamp
    note: Note | None


class Folder:
    """A folder, open and locked. Nothing here follows a link or leaves it.

    What is learned goes to a log at once and to MEMORY at the end: a run that is killed
    forgets nothing. keeps: whether the folder can be written. left_out: folders, links
    and hidden files that `files` met.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        self.keeps = os.access(path, os.W_OK)
        self.left_out: list[str] = []
        self._log: int | None = None
        self._lock = Lock()
        self.memory = self._remembered()

    def files(self) -> Iterator[Found]:
        """The plain files, but for hidden ones. A name that no key has is found too."""
        with os.scandir(self.descriptor) as entries:
            for entry in entries:
                name = entry.name
                if name in (MEMORY, LOG) or name.startswith(UNFINISHED):
                    continue
                if name.startswith(".") or not entry.is_file(follow_symlinks=False):
                    self.left_out.append(name)
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # deleted since
                    continue
                note = self.memory.files.get(name)
                key = note.key if note is not None else key_of(name)
                yield Found(name, key, Stamp(found.st_size, found.st_mtime_ns), note)

    def names_of(self, keys: Iterable[str], files: Iterable[Found]) -> dict[str, str]:
        """A name for each key: that of its file or of its note, or a free one.

        files: all that `files` found; the first of those with one key is the one.
        """
        files = list(files)
        taken = {folded(name) for name in (MEMORY, LOG, *self.left_out)}
        taken.update(folded(file.name) for file in files)
        chosen = {file.key: file.name for file in files[::-1] if file.key is not None}
        for name, note in self.memory.files.items():  # of files that are not there now
            if note.key not in chosen and _is_plain(name) and folded(name) not in taken:
                chosen[note.key] = name
                taken.add(folded(name))
        for key in keys:
            if key not in chosen:
                free = (name for name in names(key) if folded(name) not in taken)
                chosen[key] = next(free, "")
                taken.add(folded(chosen[key]))
        return chosen

    def belongs_to(self, store: str) -> None:
        """Say which store the folder is about; what is known of another's records is void."""
        if self.memory.store != store:
            self.memory.store = store
            for note in self.memory.files.values():
                note.stored = note.sha256 = None

    def stamp(self, name: str) -> Stamp | None:
        """The state of a file; None if there is none. InvalidInput if it is no plain file."""
        try:
            found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(f"{self.path / name} is no plain file")
        return Stamp(found.st_size, found.st_mtime_ns)

    @contextmanager
    def reading(self, name: str, was: Stamp) -> Iterator[int]:
        """The descriptor of a file that still is as it was."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._told(name):
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        try:
            self.check(descriptor, was)
            yield descriptor
        finally:
            os.close(descriptor)

    def check(self, descriptor: int, was: Stamp) -> None:
        """Raise Conflict if an open file is not as it was."""
        found = os.fstat(descriptor)
        if Stamp(found.st_size, found.st_mtime_ns) != was or not stat.S_ISREG(found.st_mode):
            raise changed("the file changed underneath")

    def write(self, name: str, blocks: Iterable[bytes], was: Stamp | None, note: Note) -> None:
        """Write a file, which appears whole, in place of what was there.

        Conflict if the file of that name is not as it was.
        """
        unfinished = f"{UNFINISHED}{rules.new_id()}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._told(name):
            descriptor = os.open(unfinished, flags, 0o666, dir_fd=self.descriptor)
        try:
            try:
                for block in blocks:
                    with self._told(name):
                        _write(descriptor, block)
                with self._told(name):
                    os.fsync(descriptor)
                found = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            if self.stamp(name) != was:
                raise changed("the file changed underneath")
            # First what is known, then the file: a type is never lost, and what is
            # known of a file that did not come does not fit the one that is there.
            self.remember(name, Stamp(found.st_size, found.st_mtime_ns), note)
            with self._told(name):
                os.rename(unfinished, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=self.descriptor)
            raise

    def remove(self, name: str, was: Stamp | None) -> None:
        """Delete a file that is as it was."""
        if self.stamp(name) != was:
            raise changed("the file changed underneath")
        with self._told(name):
            os.unlink(name, dir_fd=self.descriptor)
        self.memory.files.pop(name, None)
        self._write_log(Line(file=name))

    def remember(self, name: str, stamp: Stamp, note: Note) -> None:
        """Keep what is known of a file in this state."""
        note.size, note.mtime_ns = stamp
        self.memory.files[name] = note
        self._write_log(Line(file=name, note=note))

    def tidy(self) -> None:
        """Delete what killed runs left unfinished: the lock says that they are over."""
        for name in os.listdir(self.descriptor):
            if name.startswith(UNFINISHED) and name.endswith(".part"):
                with suppress(OSError):
                    os.unlink(name, dir_fd=self.descriptor)

    def close(self) -> None:
        """Write MEMORY anew if something was learned, and give the lock back."""
        try:
            if self._log is not None:
                os.close(self._log)
                self._log = None
            if self._has(LOG) and self.keeps:
                self._settle()
        finally:
            os.close(self.descriptor)

    def _settle(self) -> None:
        text = msgspec.json.format(msgspec.json.encode(self.memory), indent=1)
        unfinished = f"{UNFINISHED}{rules.new_id()}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._told(MEMORY):
            descriptor = os.open(unfinished, flags, 0o666, dir_fd=self.descriptor)
            try:
                _write(descriptor, text + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(unfinished, MEMORY, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            os.fsync(self.descriptor)
            os.unlink(LOG, dir_fd=self.descriptor)

    def _write_log(self, line: Line) -> None:
        with self._lock:
            if not self.keeps:
                return
            with self._told(LOG):
                if self._log is None:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                    self._log = os.open(LOG, flags, 0o666, dir_fd=self.descriptor)
                    # The newline ends a line that a killed run left half-written.
                    _write(self._log, b"\n" + _encoded(Line(store=self.memory.store)))
                _write(self._log, _encoded(line))

    def _remembered(self) -> Memory:
        try:
            memory = msgspec.json.decode(self._text(MEMORY) or b"{}", type=Memory)
        except msgspec.DecodeError as error:
            raise Local(
                f"{self.path / MEMORY} cannot be read: {error}",
                hint="repair it, or delete it: types and times of the files are then forgotten",
            ) from None
        self.memory = memory
        for text in self._text(LOG).splitlines():
            try:
                line = msgspec.json.decode(text, type=Line)
            except msgspec.DecodeError:  # cut off when its run was killed
                continue
            if line.store is not None:
                self.belongs_to(line.store)
            elif line.file is not None and line.note is not None:
                memory.files[line.file] = line.note
            elif line.file is not None:
                memory.files.pop(line.file, None)
        return memory

    def _text(self, name: str) -> bytes:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise Local(f"{self.path / name} cannot be read: {error.strerror}") from None
        with open(descriptor, "rb") as file:
            return file.read()

    def _has(self, name: str) -> bool:
        return os.access(name, os.F_OK, dir_fd=self.descriptor, follow_symlinks=False)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """A failure of this machine as ours: hopeless ones stay OSError and end the run."""
        try:
            yield
        except FileNotFoundError:
            raise changed("the file is gone") from None
        except OSError as error:
            if error.errno in HOPELESS:
                error.filename = str(self.path / name)
                raise
            raise Local(f"{self.path / name}: {error.strerror}") from None


def changed(what: str) -> Conflict:
    """The failure of what is not as it was when it was looked at."""
    return Conflict(what, type="changed-underneath")


@contextmanager
def opened(path: Path, *, create: bool) -> Iterator[Folder]:
    """A folder that no other run works in. create: make it if it is not there."""
    import fcntl  # POSIX alone has it

    if create and not path.exists():
        path.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such folder") from None
    except NotADirectoryError:
        raise InvalidInput(f"{path} is a file; a folder was expected") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = Folder(path, descriptor)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(f"another run of storectl works in {path}", type="in-use") from None
    except BaseException:
        os.close(descriptor)
        raise
    try:
        yield folder
    finally:
        folder.close()


def _is_plain(name: str) -> bool:
    """Whether a name from MEMORY, which anybody may have written, is that of a file inside."""
    return bool(name) and "/" not in name and "\0" not in name and not name.startswith(".")


def _encoded(line: Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
