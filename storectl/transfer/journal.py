"""What a transfer has done, on disk, so that the same command goes on after a kill.

One file for each job, in a folder of the user's state: never beside the data, and
without tokens. A journal that is there belongs to a job that did not finish.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from storectl.errors import Conflict, Local

State = TypeVar("State")


class Journal:
    """The file of one job, held against other runs of it: `with Journal(…) as journal`.

    verb, job: what identifies the job, as values of JSON; the file says them for
    people. The same verb and job find the same journal again. name: eight characters
    that stand for the job, for files of its own.
    """

    def __init__(self, folder: Path, verb: str, job: Mapping[str, object]) -> None:
        told = msgspec.json.encode({"verb": verb, **job}, order="sorted")
        digest = sha256(told).hexdigest()
        self.name = digest[:8]
        self.path = folder / f"{verb}-{digest[:24]}.json"
        self._job = msgspec.Raw(told)
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Raises Conflict if another process is at the same job."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
