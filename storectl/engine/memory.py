"""Answers of a database, remembered for as long as nobody commits anything that matters."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from storectl.engine.db import Db

MOST = 10_000

Answer = TypeVar("Answer")


class Memory:
    """Exact, over all threads and processes: what it gives, the database would give too.

    rights: for answers that a change of rights changes, and else a deletion, which may be
    seen a tenth of a second later.
    """

    def __init__(self, db: Db, most: int = MOST, *, rights: bool = False) -> None:
        self._version = db.rights if rights else db.version
        self._most = most
        self._kept: tuple[int, dict[Hashable, Any]] = (-1, {})

    def recall(self, key: Hashable, read: Callable[[], Answer]) -> Answer:
        """What was read under this key since the last commit, else what can be read now."""
        version = self._version()  # before reading: what comes later is out of date then
        if version is None:
            return read()
        kept_version, kept = self._kept
        if kept_version != version:
            kept = {}
            self._kept = version, kept
        try:
            found: Answer = kept[key]
        except KeyError:
            found = read()
            if len(kept) < self._most:
                kept[key] = found
        return found
