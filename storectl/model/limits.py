"""How many requests a second: what is counted, and whoever counts it for all processes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

WINDOW_NS = 1_000_000_000


class Window(NamedTuple):
    """The requests of one key: how many in the second that began at `start`, and the one before.

    A key that comes up after two idle seconds begins a second of its own.
    """

    start: int = 0
    before: int = 0
    now: int = 0

    def take(self, rate: int, at_ns: int) -> tuple[Window, int]:
        """Count one more, and 0; or leave it, and nanoseconds until there is room.

        A full second may come at once. After that the second before counts for the
        part of it that is not over (a sliding window), and one more is let in while
        that is under the rate: in the long run it is `rate` a second exactly. Times from
        before `start`, as after a restart of the machine, begin anew.
        """
        start, before, now = self
        gone = at_ns - start
        if not 0 <= gone < 2 * WINDOW_NS:
            return Window(at_ns, 0, 1), 0
        if gone >= WINDOW_NS:
            start, gone, before, now = start + WINDOW_NS, gone - WINDOW_NS, now, 0
        room = (rate - now) * WINDOW_NS
        left = WINDOW_NS - gone
        if before * left < room:
            return Window(start, before, now + 1), 0
        if room > 0:
            return self, left - (room - 1) // before
        return self, left + WINDOW_NS - (rate * WINDOW_NS - 1) // now


class Rates(Protocol):
    """Counts for all processes that serve one store."""

    def take(self, key: str, rate: int) -> float:
        """Count one request of the key, and 0.0; or seconds until there is room for it."""
        ...

    def close(self) -> None: ...
