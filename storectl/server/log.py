"""What a server says on stderr. Where that cannot be written, it goes on all the same."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from storectl.errors import Outage, StorectlError, Unavailable

REPEAT_SECS = 30.0
"""How often the same failure is told while it lasts."""

MOST_TOLD = 100


def say(text: str) -> None:
    """Write a line, or lose it: a log on a full disk must not cost a caller the answer.

    At once, so that lines of several processes stay whole.
    """
    with suppress(OSError, ValueError):  # ValueError: it is closed
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class Told:
    """What was said of a failure. calls: refused since it was told last; all: since the first."""

    __slots__ = ("all", "at", "calls", "since")

    def __init__(self, now: float) -> None:
        self.since = self.at = now
        self.calls, self.all = 0, 1


class Refusals:
    """Tells of calls that the store cannot serve: once, then now and then how many there were.

    What is away is the same failure whatever each call was told, and it is told when it is
    back. A line for each call would fill the disk of a server whose database is away.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[Outage | str, Told] = {}
        self._mutex = Lock()
        self.away: tuple[Outage, ...] = ()
        """What was away when a call was refused."""

    def add(self, error: StorectlError) -> None:
        """A call was refused for this."""
        outage = error.outage if isinstance(error, Unavailable) else None
        with self._mutex:
            self._add(error.message, outage or error.message)
            self._see_who_is_back()

    def see_who_is_back(self) -> None:
        """A call was answered: tell what is not away any more."""
        with self._mutex:
            self._see_who_is_back()

    def _see_who_is_back(self) -> None:
        for outage in self.away:
            if outage.over:
                told = self._told.pop(outage)
                secs = self._clock() - told.since
                say(f"note: {outage.what} is back after {secs:,.0f} s; {_refused(told.all)}")
        self.away = tuple(self._outages())

    def _add(self, message: str, failure: Outage | str) -> None:
        now = self._clock()
        told = self._told.get(failure)
        if told is None:
            say(f"error: {message}")
            self._forget(now)
            self._told[failure] = Told(now)
            return
        told.calls += 1
        told.all += 1
        if now - told.at >= REPEAT_SECS:
            say(f"error: {message}; {_refused(told.calls)} in the last {now - told.at:,.0f} s")
            told.at, told.calls = now, 0

    def _outages(self) -> list[Outage]:
        return [failure for failure in self._told if isinstance(failure, Outage)]

    def _forget(self, now: float) -> None:
        """Failures are told anew that have not come for long."""
        if len(self._told) >= MOST_TOLD:
            self._told = {
                failure: told
                for failure, told in self._told.items()
                if isinstance(failure, Outage) or now - told.at < REPEAT_SECS
            }


def _refused(calls: int) -> str:
    return f"{calls:,} {'call was' if calls == 1 else 'calls were'} refused"
