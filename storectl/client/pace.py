"""As many requests a second as the server allows, and no more.

One bucket for each storage and class of endpoint, shared by all threads of a
process. It mirrors the server's (the generic cell rate algorithm) with half of
its burst: the other half takes up what comes early on the way. The rate is what
`X-RateLimit-Limit` says; until the first answer it is what the API's oldest text
promises. Another process that shares the budget shows in answers of 429.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

ASSUMED = {False: 30.0, True: 200.0}
"""Requests a second before the first answer, in general and for fast endpoints."""

BURST_SECS = 0.5
UNPACED = 10_000.0
"""A limit that no client of ours reaches is none."""

ALONE_SECS = 10.0
"""One refusal in so long is chance; a second means that others take part of the rate."""

CUT = 0.8
MENDED_A_SECOND = 0.01
LEAST_SHARE = 0.02

Bucket = tuple[str, bool]
"""A storage as it is addressed, and whether the endpoint is of the fast class."""


class _State:
    """due: when the next request would come if all came evenly. share: our part of the rate."""

    __slots__ = ("due", "rate", "refused_at", "share")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.due = now
        self.share = 1.0
        self.refused_at = now - ALONE_SECS


class Pace:
    """Tells each request how long to wait. Waits are handed out in order.

    most: requests a second in all, whatever the server allows; None is no bound of ours.
    part: how much of what the server allows is for us.
    """

    def __init__(
        self,
        most: float | None = None,
        part: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._states: dict[Bucket, _State] = {}
        self._mutex = Lock()
        self._part = part
        self._all = _State(most, clock()) if most else None

    def wait(self, bucket: Bucket) -> None:
        """Take the next place in the bucket and wait for it."""
        secs = self.reserve(bucket)
        if secs > 0:
            self._sleep(secs)

    def reserve(self, bucket: Bucket) -> float:
        """Take the next place in the bucket; the seconds until then."""
        now = self._clock()
        with self._mutex:
            state = self._states.get(bucket)
            if state is None:
                state = self._states[bucket] = _State(ASSUMED[bucket[1]], now)
            waits = []
            if self._all is not None:
                waits.append(_placed(self._all, self._all.rate, now))
            if state.rate < UNPACED:
                waits.append(_placed(state, state.rate * state.share * self._part, now))
            return max(waits, default=0.0)

    def answered(self, bucket: Bucket, limit: str | None, *, refused: bool) -> None:
        """Learn from an answer: the limit that it names, and whether it was 429."""
        now = self._clock()
        with self._mutex:
            state = self._states[bucket]
            rate = _rate(limit)
            if rate is not None and rate != state.rate:
                ahead = max(state.due - now, 0.0) * state.rate / rate
                state.rate, state.due = rate, now + ahead
            if refused:
                state.due = max(state.due, now + BURST_SECS)
                since = now - state.refused_at
                if since > 1.0:  # one step for all that were under way
                    state.refused_at = now
                    if since < ALONE_SECS:
                        state.share = max(state.share * CUT, LEAST_SHARE)
            elif state.share < 1.0:
                mended = MENDED_A_SECOND / (state.rate * state.share)
                state.share = min(state.share + mended, 1.0)


def _placed(state: _State, rate: float, now: float) -> float:
    """Take the next place; the seconds until then, less than 0 within the burst."""
    state.due = max(state.due, now)
    wait = state.due - now - BURST_SECS
    state.due += 1.0 / rate
    return wait


def _rate(limit: str | None) -> float | None:
    """The limit of a header, if it is one."""
    try:
        rate = float(limit) if limit else 0.0
    except ValueError:
        return None
    return rate if 0 < rate < float("inf") else None
