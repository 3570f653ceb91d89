"""What is done to a queue in one statement, where each is a turn to another machine.

A transaction of several would hold the row of the queue, for which everybody else of that
queue waits, from one turn to the next. What cannot be done so, by reasons that the statements
in sql/queue.sql name, is left to `Writes` of request.py: then these give None.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any
from zlib import crc32

from storectl.engine.db import Row, SharedDb
from storectl.engine.request import Written, ids_json, sorted_out, to_added
from storectl.engine.retention import TOUCH_MS
from storectl.model.queue import Added, AddedBatch


class Swift:
    """One change of requests by one client: a statement for all threads that ask for the same.

    no: of the queue. clock: milliseconds since 1970.
    """

    def __init__(
        self,
        db: SharedDb,
        sql: dict[str, str],
        no: int,
        client_key: str | None,
        clock: Callable[[], int],
    ) -> None:
        self.db, self.sql, self.no, self.client_key = db, sql, no, client_key
        self.clock = clock

    def add(self, written: list[Written], forefront: bool) -> tuple[AddedBatch, bool] | None:
        """The answer to an add, and whether anything was new."""
        about = "add", self.no, self.client_key, forefront
        return self.db.gather(about, written, partial(self._add, forefront))

    def update(self, written: list[Written], forefront: bool) -> list[Added] | None:
        """Write requests with distinct IDs that are there."""
        about = "update", self.no, self.client_key, forefront
        return self.db.gather(about, written, partial(self._update, forefront))

    def delete(self, ids: list[str]) -> bool | None:
        """Whether any of them was there."""
        which = self._which(self.clock())
        ((there, done),) = self.db.commit(self.sql["drop"], ids=ids_json(ids), **which)
        return bool(there) if done or not there else None

    def take(self, lock_secs: int, limit: int) -> tuple[list[Row], int]:
        """Lock the head: rows of ord, id, body and whether many clients came; and when that was."""
        now = self.clock()
        until = now + lock_secs * 1000
        values = {"until": until, "limit": limit, **self._which(now)}
        return self.db.commit(self.sql["take"], **values), now

    def _add(
        self, forefront: bool, asked: list[list[Written]]
    ) -> list[tuple[AddedBatch, bool] | None]:
        first: dict[str, Written] = {}
        for each in chain.from_iterable(asked):
            first.setdefault(each.id, each)
        values = self._values([*first.values()], forefront)
        rows = self.db.commit_held(self.sql["hold_queue"], self.sql["add"], **values)
        known = {id: handled for id, handled in rows if id is not None}
        if len(known) < len(first) and len(rows) == len(known):  # not counted, so not written
            return [None] * len(asked)
        batches = [sorted_out(written, known) for written in asked]
        return [(batch, bool(fresh)) for batch, fresh in batches]

    def _update(self, forefront: bool, asked: list[list[Written]]) -> list[list[Added] | None]:
        flat = [*chain.from_iterable(asked)]
        was_handled: dict[str, bool] = {}
        if len({each.id for each in flat}) == len(flat):
            values = self._values(flat, forefront)
            was_handled = dict(self.db.commit(self.sql["rewrite"], **values))
        if was_handled:
            return [[to_added(each, was_handled[each.id]) for each in written] for written in asked]
        if len(asked) == 1:
            return [None]
        return [self._update(forefront, [written])[0] for written in asked]

    def _values(self, written: list[Written], forefront: bool) -> dict[str, Any]:
        return {
            "count": len(written),
            "forefront": forefront,
            "id": [each.id for each in written],
            "is_handled": [each.handled for each in written],
            "crc": [crc32(each.body) for each in written],
            "body": [each.body for each in written],
            **self._which(self.clock()),
        }

    def _which(self, now: int) -> dict[str, Any]:
        return {
            "no": self.no,
            "client_key": self.client_key,
            "now": now,
            "since": now - TOUCH_MS,
        }
