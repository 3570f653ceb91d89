"""Removes what is over: storages that have expired, bytes that no row names, old answers.

What that leaves free in a file goes back to the system, but for some that is soon used.

Every step is a transaction that asks again whether it is meant: two sweeps at once, or
one that is killed anywhere, do no harm, and the next one ends what was begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any

from storectl.engine.blobs import Blobs
from storectl.engine.db import Db, Tx, statements
from storectl.engine.kvs import collect
from storectl.engine.retention import Retention
from storectl.model import rules
from storectl.model.storage import NOUNS

if TYPE_CHECKING:
    from storectl.engine.storage import Keeper

EXPIRE_ROWS = 500
"""Storages that expire in one transaction."""

BLOBS = 100
"""Blobs that are deleted in one step."""

SHRINK_SECS = 2.0
"""For how long a sweep makes the file smaller, in steps of some milliseconds."""

MANY_PAGES = 50_000
"""Free pages with which 1 MiB takes 5 ms; it takes 100 ms with a million."""

LEASE_MS = 150_000
"""How long a leader leads that does not ask again: two rounds and a half."""


class Sweep:
    """What is over in one store. holder: names this process among those who sweep."""

    def __init__(
        self,
        db: Db,
        blobs: Blobs,
        keeper: Callable[[str], Keeper[Any]],
        clock: Callable[[], int],
    ) -> None:
        self.db, self.blobs, self.keeper, self.clock = db, blobs, keeper, clock
        self.holder = rules.new_id()
        self._running = Lock()
        self._stopped = False
        self.retention = Retention(db, clock)
        self.sql = statements("retention", db.dialect)
        self.shared = statements("storage", db.dialect)

    def leads(self) -> bool:
        """Take the lead, or keep it; False while another process has it."""
        if self._stopped:
            return False
        now = self.clock()
        which = {"name": "sweep", "now": now, "latest": now + LEASE_MS}
        other = self.db.one(self.sql["led"], **which)
        if other is not None and other[0] != self.holder:
            return False
        which |= {"holder": self.holder, "until": now + LEASE_MS}
        return self.db.write(lambda tx: tx.one(self.sql["lead"], **which)) is not None

    def run(self, secs: float = float("inf")) -> int:
        """Remove what is over, and begin nothing more after `secs`; how many storages expired."""
        end = time.monotonic() + secs
        with self._running:
            expired = 0
            for step in self._steps():
                expired += step
                if self._stopped or time.monotonic() > end:
                    break
        return expired

    def stop(self) -> None:
        """End what runs, soon, and give up the lead: the store is about to be closed."""
        self._stopped = True
        which = {"name": "sweep", "holder": self.holder}
        with self._running:
            self.db.write(lambda tx: tx.all(self.sql["hand_over"], **which))

    def _steps(self) -> Iterator[int]:
        """Short steps, one after another; each gives the storages that expired by it."""
        while (expired := self._expire()) == EXPIRE_ROWS:
            yield expired
        yield expired
        for noun in NOUNS:
            while self.keeper(noun).erase_more():
                yield 0
        while collect(self.db, self.blobs, now=self.clock(), limit=BLOBS) == BLOBS:
            yield 0
        self.db.write(self._forget)
        yield 0
        end = time.monotonic() + SHRINK_SECS
        while time.monotonic() < end and (pages := self.retention.spare_pages()):
            name = "give_back" if pages < MANY_PAGES else "give_back_little"
            self.db.commit(self.sql[name])
            yield 0

    def _expire(self) -> int:
        """Turn up to 500 expired storages into contents to be erased."""

        def work(tx: Tx) -> int:
            over = self.retention.over(tx)
            gone = tx.all(self.sql["expire"], over=over, limit=EXPIRE_ROWS)
            tx.many(self.shared["list_erased"], [{"no": no, "noun": noun} for no, noun in gone])
            return len(gone)

        return self.db.write(work)

    def _forget(self, tx: Tx) -> None:
        now = self.clock()
        before = now - rules.IDEMPOTENCY_SECS * 1000
        tx.all(self.shared["forget_old_answers"], before=before)
        tx.all(self.sql["forget_links"], now=now)
