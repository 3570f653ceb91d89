"""A disk that forgets, for tests: what a power cut would leave of a store's files.

No machine is switched off. The calls of a live store are written down on their way:
SQLite's by a VFS of apsw over the real one, those of blobs by what engine/files.py
takes for the module `os`. From these an image can be made at any moment, as strict as
POSIX allows: contents of a file are sure only from its fsync on, and a name only from
the fsync of its folder on. Of what was written later any part may be there, in any
order, a last write also by half. Chance decides, by a seed.

Two things of SQLite cannot be seen from a VFS and are taken from its source
(os_unix.c): the first sync of a journal or a log flushes its folder too, and the
memory that processes share (-shm) is never relied on after a crash.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import apsw

from storectl.engine import files as files_module

Image = dict[str, bytes]
"""Contents of files by their paths below the folder."""


class File:
    """One file, whatever it is called: what is sure of it, and what came since."""

    def __init__(self) -> None:
        self.durable = b""
        self.pending: list[tuple[int, bytes | None]] = []
        """Writes at an offset; None cuts the file off there."""

    def sync(self) -> None:
        self.durable = _applied(self.durable, self.pending)
        self.pending = []

    def after_cut(self, chance: random.Random) -> bytes:
        kept = []
        for at, data in self.pending:
            fate = chance.random()
            if fate < 0.4:
                kept.append((at, data))
            elif fate < 0.6 and data is not None:
                kept.append((at, data[: chance.randrange(len(data) + 1)]))
        return _applied(self.durable, kept)


def _applied(content: bytes, writes: list[tuple[int, bytes | None]]) -> bytes:
    found = bytearray(content)
    for at, data in writes:
        if len(found) < at:
            found.extend(bytes(at - len(found)))
        if data is None:
            del found[at:]
        else:
            found[at : at + len(data)] = data
    return bytes(found)


class Disk:
    """The files below a folder. heard: called at each change, for instance to cut the power."""

    def __init__(self, root: Path, heard: Callable[[], None]) -> None:
        self.root = root
        self.heard = heard
        self.files: dict[Path, File] = {}
        self.sure: dict[Path, File] = {}
        self.before = {each for each in (root, *root.parents) if each.is_dir()}
        self.folders: set[Path] = set()
        self.renamed: dict[Path, list[dict[Path, File | None]]] = {}
        """Changes of names that their folder was not flushed for, oldest first."""

    def create(self, path: Path) -> File:
        if path not in self.files:
            self._name({path: File()})
        return self.files[path]

    def rename(self, old: Path, new: Path) -> None:
        self._name({new: self.files[old], old: None})

    def unlink(self, path: Path) -> None:
        if path in self.files:
            self._name({path: None})

    def sync(self, path: Path) -> None:
        if path.is_dir():
            for change in self.renamed.pop(path, []):
                _rename(self.sure, change)
            self.folders.update(each for each in path.iterdir() if each.is_dir())
        else:
            self.files[path].sync()
        self.heard()

    def write(self, path: Path, at: int, data: bytes | None) -> None:
        self.files[path].pending.append((at, data))
        self.heard()

    def image(self, chance: random.Random) -> Image:
        """What a power cut at this moment leaves."""
        names = dict(self.sure)
        for changes in self.renamed.values():
            for change in changes:
                if chance.random() < 0.5:
                    _rename(names, change)
        return {
            str(path.relative_to(self.root)): file.after_cut(chance)
            for path, file in names.items()
            if self._is_sure(path.parent)
        }

    def _is_sure(self, folder: Path) -> bool:
        """Whether a folder outlives a cut: itself, and all those above it."""
        return folder in self.before or (folder in self.folders and self._is_sure(folder.parent))

    def _name(self, change: dict[Path, File | None]) -> None:
        _rename(self.files, change)
        self.renamed.setdefault(next(iter(change)).parent, []).append(change)
        self.heard()


def _rename(names: dict[Path, File], change: dict[Path, File | None]) -> None:
    for path, file in change.items():
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        super().__init__("forgetful", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _VfsFile(self.disk, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:
        super().xDelete(name, sync_folder)
        self.disk.unlink(Path(name))
        if sync_folder:
            self.disk.sync(Path(name).parent)


class _VfsFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self.disk = disk
        self.path = Path(name if isinstance(name, str) else name.filename())
        new = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
        self.folder_due = bool(flags[0] & new)
        disk.create(self.path)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self.disk.write(self.path, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self.disk.write(self.path, size, None)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self.disk.sync(self.path)
        if self.folder_due:
            self.folder_due = False
            self.disk.sync(self.path.parent)


class _Os(ModuleType):
    """The module os, as far as engine/files.py changes anything by it."""

    def __init__(self, disk: Disk) -> None:
        super().__init__("os")
        self.disk = disk
        self.paths: dict[int, Path] = {}
        self.ends: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        self.paths[descriptor], self.ends[descriptor] = path, 0
        if flags & os.O_CREAT:
            self.disk.create(path)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        written = os.write(descriptor, data)
        at = self.ends[descriptor]
        self.ends[descriptor] += written
        self.disk.write(self.paths[descriptor], at, bytes(data[:written]))
        return written

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        self.disk.sync(self.paths[descriptor])

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)
        self.disk.rename(old, new)

    def unlink(self, path: Path) -> None:
        os.unlink(path)
        self.disk.unlink(path)


@contextmanager
def forgetful(root: Path, heard: Callable[[], None]) -> Iterator[Disk]:
    """All that stores write below the folder goes by this disk while it is there."""
    disk = Disk(root, heard)
    with standing_in(_Vfs(disk), _Os(disk)):
        yield disk


@contextmanager
def standing_in(vfs: apsw.VFS, of_files: ModuleType) -> Iterator[None]:
    """Databases are opened by this VFS, and engine/files.py works by this module os."""
    files_module.os = of_files  # type: ignore[assignment]
    try:
        yield
    finally:
        files_module.os = os  # type: ignore[assignment]
        vfs.unregister()
