"""How long storages without a name are kept after their last access, and what ends them.

The store itself remembers the time, so that every process on it goes by the same.
"""

from __future__ import annotations

from collections.abc import Callable

from storectl.engine.db import Db, Tx, statements
from storectl.model import rules

TOUCH_MS = rules.TOUCH_SECS * 1000
NEVER = -1
"""Before every access there ever was."""


class Retention:
    """The rule of one store. clock: milliseconds since 1970."""

    def __init__(self, db: Db, clock: Callable[[], int]) -> None:
        self.db = db
        self.clock = clock
        self.sql = statements("retention", db.dialect)

    def secs(self, tx: Tx | Db | None = None) -> int | None:
        """Seconds after the last access; None is for ever."""
        row = (tx or self.db).one(self.sql["retention"])
        return row[0] if row else rules.RETENTION_SECS

    def keep(self, secs: int | None) -> None:
        """Keep what has no name for that long from now on."""
        if secs != self.secs():
            self.db.write(lambda tx: tx.all(self.sql["keep"], secs=secs))

    def keep_garbage(self, secs: int) -> None:
        """Keep the bytes of what is replaced or deleted from now on for that long."""
        self.db.write(lambda tx: tx.all(self.sql["keep_garbage"], secs=secs))

    def over(self, tx: Tx | None = None) -> int:
        """The last access at or before which a storage without a name has expired.

        The access of a row may be an hour older than the last one that there was.
        """
        secs = self.secs(tx)
        return NEVER if secs is None else self.clock() - secs * 1000 - TOUCH_MS

    def is_over(self, name: str | None, accessed_at: int) -> bool:
        """Whether a storage has expired, swept or not. Costs a query only for what is old."""
        if name is not None or self.clock() - accessed_at < TOUCH_MS:
            return False
        return accessed_at <= self.over()

    def is_due(self) -> bool:
        """Whether a sweep would find anything. Two reads, of 20 µs."""
        now = self.clock()
        before = now - rules.IDEMPOTENCY_SECS * 1000
        row = self.db.one(self.sql["due"], over=self.over(), now=now, before=before)
        return bool(row and row[0]) or self.spare_pages() > 0

    def spare_pages(self) -> int:
        """Free pages of the database's file, if so many are that some shall be given back."""
        row = self.db.one(self.sql["spare"], now=self.clock())
        return int(row[0]) if row else 0


def expire_at(secs: int | None, accessed_at: int) -> str | None:
    """When a storage without a name expires, None for never."""
    return None if secs is None else rules.iso(accessed_at + secs * 1000 + TOUCH_MS)
