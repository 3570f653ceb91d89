"""What a transfer reports while it works: counts and bytes, no colours, no sentences."""

from __future__ import annotations

from typing import NamedTuple


class Started(NamedTuple):
    """A transfer begins. total_bytes: the size of its input where that is known."""

    total_bytes: int | None = None
    total: int | None = None


class Advanced(NamedTuple):
    """So far: things and bytes that the other side has acknowledged."""

    moved: int
    bytes: int


class Refused(NamedTuple):
    """One thing that could not be moved; the rest goes on. where: file and line, or a key."""

    where: str
    why: str


class Finished(NamedTuple):
    """The end: what was moved, what was refused, and how long it took."""

    moved: int
    bytes: int
    secs: float
    refused: int = 0


Event = Started | Advanced | Refused | Finished
