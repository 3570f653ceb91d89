"""What a transfer has done, on disk, so that the same command goes on after a kill.

One file for each job, in a folder of the user's state: never beside the data, and
without tokens. A journal that is there belongs to a job that did not finish. Nobody
goes on with it after KEPT_SECS: whichever job begins next removes it, and what it kept
beside its target.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from storectl.errors import Conflict, Local

State = TypeVar("State")

KEPT_SECS = 30 * 86_400
"""How long after its last step a job can be gone on with."""

_NAME = 8


class Journal:
    """The file of one job, held against other runs of it: `with Journal(…) as journal`.

    verb, job: what identifies the job, as values of JSON; the file says them for
    people. The same verb and job find the same journal again. name: eight characters
    that stand for the job, for files of its own.
    """

    def __init__(self, folder: Path, verb: str, job: Mapping[str, object]) -> None:
        told = msgspec.json.encode({"verb": verb, **job}, order="sorted")
        digest = sha256(told).hexdigest()
        self.name = digest[:_NAME]
        self.path = folder / f"{verb}-{digest[:24]}.json"
        self._job = msgspec.Raw(told)
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Raises Conflict if another process is at the same job."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(self.path)
        self._lock = _locked(self.path.with_suffix(".lock"))
        return self

    def __exit__(self, *failure: object) -> None:
        if self._lock is not None:
            self.path.with_suffix(".lock").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def read(self, shape: type[State]) -> State | None:
        """What was written last, or None. Local if it cannot be understood: never a guess."""
        try:
            found = msgspec.json.decode(self.path.read_bytes())["state"]
            return msgspec.convert(found, shape, str_keys=True)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise Local(
                f"{self.path} is not a journal of this version: {error}",
                hint="the same command with --restart begins anew",
            ) from None

    def write(self, state: object, *, durable: bool = False) -> None:
        """Replace the file in one step. durable: it is on the disk when this returns.

        A kill of the process loses nothing either way; a power cut may, unless durable.
        """
        data = msgspec.json.encode({"job": self._job, "state": state})
        temporary = self.path.with_suffix(".tmp")
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(self.path)

    def forget(self) -> None:
        """The job is done, or begins anew."""
        self.path.unlink(missing_ok=True)


class Left(NamedTuple):
    """A job that stopped on its way: its journal, what it moved, when it was at it last."""

    path: Path
    verb: str
    files: list[str]
    secs: float


def left_behind(folder: Path) -> list[Left]:
    """The jobs that did not finish and that no process is at, the oldest first."""
    found = []
    for path in folder.glob("*.json"):
        with suppress(OSError):
            secs = path.stat().st_mtime
            with _held(path):
                found.append(Left(path, path.name.partition("-")[0], _files(path), secs))
    return sorted(found, key=lambda left: left.secs)


def _sweep(mine: Path) -> None:
    """Remove what is left of other jobs that nobody can go on with, as far as that goes."""
    oldest = time.time() - KEPT_SECS
    for found in mine.parent.iterdir():
        path = found.with_suffix(".json")
        with suppress(OSError):
            if path == mine or found.stat().st_mtime > oldest:
                continue
            with _held(path):
                if path.exists() and path.stat().st_mtime > oldest:
                    continue
                for file in _files(path):
                    _remove_parts(Path(file), path.stem.rpartition("-")[2][:_NAME])
                path.unlink(missing_ok=True)
                path.with_suffix(".tmp").unlink(missing_ok=True)


def _files(path: Path) -> list[str]:
    """The files that a journal is about; none if it cannot be understood."""
    try:
        job = msgspec.json.decode(path.read_bytes())["job"]
        files = [job["file"]] if "file" in job else [file[0] for file in job["files"]]
    except (FileNotFoundError, msgspec.MsgspecError, KeyError, TypeError, IndexError):
        return []
    return [file for file in files if isinstance(file, str)]


def _remove_parts(file: Path, name: str) -> None:
    """Remove what a job of that name has written beside its file."""
    with suppress(OSError):
        for path in file.parent.glob(f".*.{name}.*"):
            if path.suffix in (".part", ".tmp"):
                path.unlink(missing_ok=True)


@contextmanager
def _held(journal: Path) -> Iterator[None]:
    """Keep a journal from every job; BlockingIOError if one has it."""
    lock = journal.with_suffix(".lock")
    try:
        number = _locked(lock)
    except Conflict:
        raise BlockingIOError from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(number)


def _locked(path: Path) -> int:
    """The descriptor of a lock file that is ours until it is closed."""
    import fcntl  # POSIX only

    while True:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            raise Conflict(
                "another process is at the same transfer",
                hint="wait for it to end, or stop it",
            ) from None
        if _is_at(path, number):
            return number
        os.close(number)  # whoever held it removed it as we opened it


def _is_at(path: Path, number: int) -> bool:
    try:
        found: Any = path.stat()
    except FileNotFoundError:
        return False
    return bool(found.st_ino == os.fstat(number).st_ino)
