"""Bodies on their way in: read on the loop, whole or not at all, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from storectl.errors import Unavailable
from storectl.server.wire import Gone, TooSlow

Receive = Callable[[], Awaitable[dict[str, Any]]]

BODY_SECS = 30.0
STEP_BYTES = 64 * 1024
"""So much, or what is left of a body, has to come within BODY_SECS."""

BUFFERED_BYTES = 256 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
"""What a thread that takes a body waits for: each time costs a way to the loop and back."""

DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_SECS = 5.0


class Budget:
    """How many bytes of bodies wait in memory, over all connections."""

    def __init__(self, most_bytes: int = BUFFERED_BYTES) -> None:
        self.left = most_bytes

    def take(self, size: int) -> None:
        """Unavailable if there is no room for that."""
        if size > self.left:
            raise Unavailable(
                "The server holds as many uploads as it can; try again", retry_after_secs=1
            )
        self.left -= size


class Patience:
    """Cancels what this task waits for after BODY_SECS. A third of what asyncio.timeout costs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self.is_over = False
        self._timer = self._loop.call_later(BODY_SECS, self._cancel)

    def renew(self) -> None:
        """Begin to wait anew."""
        self._timer.cancel()
        self._timer = self._loop.call_later(BODY_SECS, self._cancel)

    def end(self) -> None:
        """Wait no more, whatever happened."""
        self._timer.cancel()
        if self.is_over and self._task is not None:
            self._task.uncancel()

    def _cancel(self) -> None:
        self.is_over = True
        if self._task is not None:
            self._task.cancel()


class Body:
    """The body of one request. size: bytes that have come. ended: whether that is all.

    declared: bytes that it has, None where it comes in chunks. Whatever reads it raises
    Gone if it ends early, and TooSlow if there is not enough of it in time.
    """

    def __init__(self, receive: Receive, declared: int | None, budget: Budget) -> None:
        self._receive, self._declared, self._budget = receive, declared, budget
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.size = 0
        self.ended = declared == 0
        self._is_lost = False

    async def gather(self, most_bytes: int) -> None:
        """Hold blocks until the body has ended or they are more than so many bytes."""
        patience = Patience()
        try:
            step = self.size + STEP_BYTES
            while not self.ended and self._held_bytes <= most_bytes:
                block = await self._next()
                self._budget.take(len(block))
                self._held_bytes += len(block)
                self._held.append(block)
                if self.size >= step:
                    step = self.size + STEP_BYTES
                    patience.renew()
        except asyncio.CancelledError:
            if not patience.is_over:
                raise
            self._is_lost = True
            raise TooSlow(f"Of the body no more than {self.size} bytes came") from None
        finally:
            patience.end()

    def taken(self) -> list[bytes]:
        """The blocks that are held, which then are not any more."""
        blocks, self._held = self._held, []
        self._budget.left += self._held_bytes
        self._held_bytes = 0
        return blocks

    def whole(self) -> tuple[bytes, ...]:
        """The body that has ended, held on to."""
        return tuple(self._held)

    def for_thread(self, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
        """The blocks, for a thread that waits for them."""
        while True:
            yield from asyncio.run_coroutine_threadsafe(self._further(), loop).result()
            if self.ended:
                return

    async def _further(self) -> list[bytes]:
        if not self._held:
            await self.gather(BLOCK_BYTES)
        return self.taken()

    @property
    def is_worth_draining(self) -> bool:
        """Whether its sender is still busy, as far as is known."""
        return not (self.ended or self._is_lost)

    async def drain(self) -> None:
        """Read on for a while: a sender who is still busy never hears an answer else."""
        self.taken()
        try:
            async with asyncio.timeout(DRAIN_SECS) as limit:
                while not self.ended and self.size < DRAIN_BYTES:
                    await self._next()
                    limit.reschedule(asyncio.get_running_loop().time() + DRAIN_SECS)
        except (Gone, TimeoutError):
            return

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self._is_lost = True
            raise Gone
        block: bytes = message["body"]
        self.size += len(block)
        if self.size == self._declared:
            self.ended = True
        elif not message.get("more_body"):
            if self._declared is not None:
                self._is_lost = True
                raise Gone
            self.ended = True
        return block
