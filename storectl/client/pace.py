"""As many requests a second as the server allows, and no more.

One bucket for each storage and class of endpoint, shared by all threads of a
process (the generic cell rate algorithm). Its burst is small: a server that counts
what came in the last second has no room for a burst and a full rate in one. The
rate is what `X-RateLimit-Limit` says, less what makes up for calls that overtake each
other on the way; until the first answer it is what the API's oldest text promises.
An answer of 429 that says in `Retry-After-Ms` when there is room, as storectl's does,
sets the pace right to the millisecond; where it does not, several mean that another
process shares the budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

ASSUMED = {False: 30.0, True: 200.0}
"""Requests a second before the first answer, in general and for fast endpoints."""

MARGIN = 0.995
BURST_SECS = 0.25
BURST = 15
"""Calls that may come at once, and not more than those of a quarter of a second."""

UNPACED = 10_000.0
"""A limit that no client of ours reaches is none."""

ALONE_SECS = 10.0
"""One refusal in so long is chance; a second means that others take part of the rate."""

SHARED = 0.1
"""Where the server says when there is room: the part of the last calls that is no chance."""

LAST = 0.02
"""What one call weighs among the last."""

CUT = 0.8
MENDED_A_SECOND = 0.01
LEAST_SHARE = 0.02

Bucket = tuple[str, bool]
"""A storage as it is addressed, and whether the endpoint is of the fast class."""


class _State:
    """due: when the next request would come if all came evenly. share: our part of the rate.

    refused: the part of the last calls that was; those under way at once count as one.
    room_at: when there was to be room after the last of them. pushed: seconds by which
    all that waited were put off so far, for that.
    """

    __slots__ = ("due", "pushed", "rate", "refused", "refused_at", "room_at", "share")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.due = now
        self.share = 1.0
        self.refused = 0.0
        self.refused_at = now - ALONE_SECS
        self.room_at = now
        self.pushed = 0.0


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
        """Take the next place in the bucket and wait for it, and while it is put off."""
        secs = self.reserve(bucket)
        pushed = self.put_off(bucket)
        while secs > 0:
            self._sleep(secs)
            now = self.put_off(bucket)
            secs, pushed = now - pushed, now

    def put_off(self, bucket: Bucket) -> float:
        """The seconds by which all that waited for the bucket have been put off so far."""
        return self._states[bucket].pushed

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
                waits.append(_placed(state, state.rate * state.share * self._part * MARGIN, now))
            return max(waits, default=0.0)

    def answered(
        self, bucket: Bucket, limit: str | None, *, refused: bool, room_secs: float | None = None
    ) -> None:
        """Learn from an answer: the limit that it names, and whether it was 429.

        room_secs: when there will be room, if it says so.
        """
        now = self._clock()
        with self._mutex:
            state = self._states[bucket]
            rate = _rate(limit)
            if rate is not None and rate != state.rate:
                ahead = max(state.due - now, 0.0) * state.rate / rate
                state.rate, state.due = rate, now + ahead
            if refused:
                state.due = max(state.due, now + _burst_secs(state.rate))
                if room_secs is not None:
                    later = max(now + room_secs - max(state.room_at, now), 0.0)
                    state.due += later
                    state.pushed += later
                if _is_shared(state, now, room_secs):
                    state.share = max(state.share * CUT, LEAST_SHARE)
                return
            state.refused -= state.refused * LAST
            if state.share < 1.0:
                mended = MENDED_A_SECOND / (state.rate * state.share)
                state.share = min(state.share + mended, 1.0)


def _is_shared(state: _State, now: float, room_secs: float | None) -> bool:
    """Whether a refusal means that others take part of the rate; at most once a second."""
    since = now - state.refused_at
    if room_secs is None:
        shared = since < ALONE_SECS
    else:
        if now >= state.room_at:
            state.refused += (1.0 - state.refused) * LAST
        state.room_at = max(state.room_at, now + room_secs)
        shared = state.refused > SHARED
        if not shared:
            return False
    if since <= 1.0:
        return False
    state.refused_at = now
    return shared


def _burst_secs(rate: float) -> float:
    return min(BURST_SECS, BURST / rate)


def _placed(state: _State, rate: float, now: float) -> float:
    """Take the next place; the seconds until then, less than 0 within the burst."""
    state.due = max(state.due, now)
    wait = state.due - now - _burst_secs(rate)
    state.due += 1.0 / rate
    return wait


def _rate(limit: str | None) -> float | None:
    """The limit of a header, if it is one."""
    try:
        rate = float(limit) if limit else 0.0
    except ValueError:
        return None
    return rate if 0 < rate < float("inf") else None
