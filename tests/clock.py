"""A clock for tests: a store, a server or a limit that goes by it waits for nobody."""

from __future__ import annotations

from storectl.model import rules


class Clock:
    """Stands until it is moved. now: milliseconds since 1970, or what the test counts in."""

    def __init__(self, now: int | None = None) -> None:
        self.now = rules.now_ms() if now is None else now

    def __call__(self) -> int:
        return self.now
