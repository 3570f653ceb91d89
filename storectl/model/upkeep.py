"""What an owner does for a store as a whole: check it, mend it, copy it, put a copy back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

REPAIR = "the same command with --repair"
"""The remedy of what repair can mend."""

Harm = Literal["lost", "derivable", "none"]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be.

    harm: lost is data that this store no longer has; derivable is what follows from data
    that is there; none is what does no harm yet. noun, storage: of which storage, by its
    ID. place: a key, an ID, items `[a, b)` or a file in it. mend: what repair does, by
    its name and values; None where it cannot do anything.
    """

    check: str
    detail: str
    harm: Harm
    remedy: str
    noun: str | None = None
    storage: str | None = None
    place: str | None = None
    mend: tuple[str, dict[str, Any]] | None = None


class Scope(NamedTuple):
    """How many bytes there are to go through, as far as that is known."""

    total_bytes: int


class Step(NamedTuple):
    """So far: storages that are done, and bytes."""

    storages: int
    bytes: int


class Copied(NamedTuple):
    """A copy is there, whole and checked.

    sha256: of its database, in hexadecimal; that names the SHA-256 of every blob.
    """

    storages: int
    blobs: int
    bytes: int
    sha256: str


class Upkeep(Protocol):
    """One store in a folder, also while others use it, and also if it cannot be opened."""

    def exists(self) -> bool:
        """Whether anything of a store is there."""
        ...

    def check(self, *, deep: bool) -> Iterator[Finding | Scope | Step]:
        """Find what is wrong; nothing is changed. deep: read all data, not only its rows."""
        ...

    def repair(self, findings: Iterable[Finding]) -> list[tuple[Finding, str]]:
        """Mend what has a mend; what could not be, and why. Nothing readable is deleted.

        Raises Local, Unavailable if the database cannot be opened or written.
        """
        ...

    def back_up(self, to: Path) -> Iterator[Scope | Step | Copied]:
        """Copy the store into a folder that must not be there, and check the copy.

        All that was acknowledged before is in it. The folder appears when it is whole.
        Raises Conflict, Local; CheckFailed if the copy, and so the store, is damaged.
        """
        ...

    def restore(self, backup: Path) -> Iterator[Scope | Step | Copied]:
        """Put a backup where the store is to be, and where none may be yet.

        Raises NotFound, Conflict, Local; CheckFailed if the backup is damaged or not whole.
        """
        ...
