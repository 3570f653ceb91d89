"""Blobs in a folder: one immutable file each, `ab/abcd…`.

A body is written beside its place, flushed, renamed and its folder flushed, so
that a power cut leaves the whole file or none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

from storectl.errors import Local

BLOCK_BYTES = 256 * 1024
UNFINISHED = ".part"
FULL = (ENOSPC, EDQUOT, EFBIG)


class Files:
    """Blobs below a folder, which is made when it is needed. See blobs.py for the promise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, blob: str, blocks: Iterable[bytes]) -> None:
        path = self._path(blob)
        unfinished = path.with_name(path.name + UNFINISHED)
        try:
            with _named(path):
                make_folder(path.parent)
            write(unfinished, blocks)
            with _named(path):
                os.rename(unfinished, path)
                flush_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise

    def size(self, blob: str) -> int:
        path = self._path(blob)
        with _named(path):
            return os.stat(path).st_size

    def has(self, blob: str) -> bool:
        """Whether a body is there."""
        return self._path(blob).exists()

    def open(self, blob: str, size: int | None = None) -> Iterator[bytes]:
        found = self.size(blob)
        if size not in (None, found):
            raise Local(f"Blob {self._path(blob)} is damaged: it has {found:,} bytes, not {size:,}")
        return self._read(self._path(blob))

    def delete(self, *blobs: str) -> None:
        changed = set()
        for path in map(self._path, blobs):
            for each in (path, path.with_name(path.name + UNFINISHED)):
                with _named(each), suppress(FileNotFoundError):
                    os.unlink(each)
                    changed.add(path.parent)
        for folder in changed:  # the first takes a journal's time, the others none
            with _named(folder):
                flush_folder(folder)

    def there(self) -> Iterator[tuple[str, int]]:
        for part in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            for path in part.iterdir() if part.is_dir() else ():
                size = None
                with _named(path), suppress(FileNotFoundError):  # collected since
                    size = path.stat().st_size
                if size is not None:
                    yield path.name.removesuffix(UNFINISHED), size

    def _read(self, path: Path) -> Iterator[bytes]:
        with _named(path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while True:
                with _named(path):
                    block = os.read(descriptor, BLOCK_BYTES)
                if not block:
                    return
                yield block
        finally:
            os.close(descriptor)

    def _path(self, blob: str) -> Path:
        return self.folder / blob[:2] / blob


def write(path: Path, blocks: Iterable[bytes]) -> None:
    """Make a private file and flush it. Raises Local, also if it is there."""
    with _named(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    try:
        for block in blocks:  # a failure of these is the sender's and stays as it is
            with _named(path):
                _write_block(descriptor, block)
        with _named(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_block(descriptor: int, block: bytes) -> None:
    written = os.write(descriptor, block)
    while written < len(block):  # a signal or a nearly full disk
        written += os.write(descriptor, block[written:])


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each flushed into the one above."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Return once what was made and renamed in a folder is durable."""
    if os.name == "nt":  # folders cannot be opened there
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:  # one above the store, which may be written and not be read
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which file failed and what to do, instead of a bare errno."""
    try:
        yield
    except FileNotFoundError:
        raise Local(f"Blob {path} is missing") from None
    except OSError as error:
        if error.errno in FULL:
            raise Local(
                f"Disk is full: {path} was not written ({error.strerror})",
                hint="free some space and try again",
            ) from None
        raise Local(f"{path} cannot be used: {error.strerror}") from None
