"""As many bytes a second as a user allows, over all threads and in both directions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock

from storectl.client.answer import Answer

PIECE_BYTES = 64 * 1024
"""What is sent at once: a body that waited whole would come in a burst."""


class Band:
    """Tells each block how long to wait before or after it passes.

    bytes_a_sec: the limit. A block may pass early by as much as it is over a second's
    worth; the next ones wait for that, so that the mean holds.
    """

    def __init__(
        self,
        bytes_a_sec: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bytes_a_sec = bytes_a_sec
        self._clock, self._sleep = clock, sleep
        self._mutex = Lock()
        self._due = clock()

    def take(self, size: int) -> float:
        """Let a block of so many bytes pass; the seconds that it waited."""
        with self._mutex:
            now = self._clock()
            secs = max(self._due - now, 0.0)
            self._due = now + secs + size / self.bytes_a_sec
        if secs:
            self._sleep(secs)
        return secs

    def sent(self, body: bytes | Iterable[bytes]) -> Iterator[bytes]:
        """A body in pieces, each when it may be sent."""
        for block in (body,) if isinstance(body, bytes) else body:
            for at in range(0, len(block), PIECE_BYTES):
                piece = block[at : at + PIECE_BYTES]
                self.take(len(piece))
                yield piece

    def received(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """A body as it comes, no faster than it may."""
        for block in blocks:
            self.take(len(block))
            yield block


class Slowed:
    """An Answer whose body comes no faster than it may."""

    def __init__(self, answer: Answer, band: Band) -> None:
        self._answer, self._band = answer, band

    @property
    def status_code(self) -> int:
        return self._answer.status_code

    @property
    def reason_phrase(self) -> str:
        return self._answer.reason_phrase

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    def iter_bytes(self) -> Iterator[bytes]:
        return self._band.received(self._answer.iter_bytes())

    def iter_raw(self) -> Iterator[bytes]:
        return self._band.received(self._answer.iter_raw())

    def close(self) -> None:
        self._answer.close()
