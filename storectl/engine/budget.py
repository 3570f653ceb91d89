"""The requests of each key, counted for all processes on a PostgreSQL: a row for each key.

A process takes a few requests at once, and gives them out itself for a short while; what it
was refused it refuses too, without asking. The rule is that of model/limits.py.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from storectl.engine.db import statements
from storectl.engine.postgres import PostgresDb
from storectl.errors import Unavailable
from storectl.model.limits import Window

PART = 20
"""A twentieth of a second's requests is taken at once, at least one."""

KEPT_SECS = 0.2
"""Requests that were taken and not used by then are lost."""

MOST_KEYS = 100_000


class Held(NamedTuple):
    """Requests of a key that this process may give out, or when to ask again."""

    left: int
    until: float


class SharedBudget:
    """Over all processes `rate` a second in the long run, like one that counts alone.

    While the database is away nothing is refused: calls fail without it anyway.
    """

    def __init__(self, db: PostgresDb) -> None:
        self._db = db
        self._sql = statements("postgres", db.dialect)
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._mutex = Lock()

    def take(self, key: str, rate: int) -> float:
        """See model/limits.py `Rates`."""
        now = time.monotonic()
        with self._mutex:
            held = self._held.get(key)
            if held is not None and held.until > now:
                if not held.left:
                    return held.until - now
                self._held[key] = held._replace(left=held.left - 1)
                return 0.0
        count = max(rate // PART, 1)
        try:
            (row,) = self._db.commit(self._sql["take"], key=key, rate=rate, count=count)
        except Unavailable:
            return 0.0
        given, *window, at_us = row
        if given:
            self._hold(key, Held(given - 1, now + KEPT_SECS if given > 1 else now))
            return 0.0
        start, before, used = (value * 1000 if n == 0 else value for n, value in enumerate(window))
        wait_secs = Window(start, before, used).take(rate, at_us * 1000)[1] / 1e9
        self._hold(key, Held(0, now + wait_secs))
        return wait_secs

    def close(self) -> None:
        """There is nothing to close."""

    def _hold(self, key: str, held: Held) -> None:
        with self._mutex:
            self._held[key] = held
            self._held.move_to_end(key)
            if len(self._held) > MOST_KEYS:
                self._held.popitem(last=False)
