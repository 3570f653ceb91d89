"""What a transfer reports while it works: counts and bytes, no colours, no sentences."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Started(NamedTuple):
    """A transfer begins. total_bytes: the size of its input where that is known.

    resumed: things that an earlier run has moved; they are part of what follows.
    """

    total_bytes: int | None = None
    total: int | None = None
    resumed: int = 0


class Advanced(NamedTuple):
    """So far: things and bytes that the other side has acknowledged.

    scanned: of Started.total, where filters let less or more through.
    """

    moved: int
    bytes: int
    scanned: int | None = None


class Refused(NamedTuple):
    """One thing that could not be moved; the rest goes on. where: file and line, or a key."""

    where: str
    why: str


class Saved(NamedTuple):
    """One file is there, whole. sha256: of its bytes, in hexadecimal."""

    file: Path
    items: int
    bytes: int
    sha256: str


class Finished(NamedTuple):
    """The end: what was moved, what was refused, and how long it took.

    resumed: what of it earlier runs have moved. retries: calls that were made again.
    repeated: batches of these that may be there twice, since nobody could tell whether
    they had landed; settled: those of which the count of items told.
    """

    moved: int
    bytes: int
    secs: float
    refused: int = 0
    resumed: int = 0
    retries: int = 0
    repeated: int = 0
    settled: int = 0


Event = Started | Advanced | Refused | Saved | Finished
