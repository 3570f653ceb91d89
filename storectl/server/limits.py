"""Requests a second for each storage. Source: Apify API v2, "Rate limiting"."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from storectl.errors import RateLimited
from storectl.model.limits import Rates, Window

MOST_KEYS = 100_000


class Limits:
    """Two classes: `default` requests a second, and `fast` for single records and requests.

    They count apart. rates: whoever counts for all processes that serve the store.
    """

    def __init__(self, classes: tuple[int, int] | None, rates: Rates | None = None) -> None:
        self.classes = classes
        self._take = (rates or OwnRates()).take

    def header(self, fast: bool) -> str:
        """What X-RateLimit-Limit says of a class; a number no client reaches when off."""
        return str(self.classes[fast]) if self.classes else "1000000"

    def check(self, key: str, fast: bool) -> None:
        """Count one request, or raise RateLimited with the seconds to wait."""
        if self.classes is None:
            return
        rate = self.classes[fast]
        wait_secs = self._take(f"{key} fast" if fast else key, rate)
        if wait_secs:
            raise RateLimited(
                f"You have exceeded the rate limit of {rate} requests per second",
                retry_after_secs=wait_secs,
            )


class OwnRates:
    """Counts for this process alone, exactly; see model/limits.py `Rates`.

    Of over 100,000 keys the one idle longest is forgotten.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._mutex = Lock()

    def take(self, key: str, rate: int) -> float:
        windows = self._windows
        with self._mutex:
            window, wait_ns = windows.get(key, Window()).take(rate, self._clock())
            if not wait_ns:
                windows[key] = window
                windows.move_to_end(key)
                if len(windows) > MOST_KEYS:
                    windows.popitem(last=False)
        return wait_ns / 1e9

    def close(self) -> None:
        """There is nothing to close."""
