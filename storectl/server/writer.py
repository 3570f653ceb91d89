"""One thread for small writes: those that wait together share a commit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from storectl.model.store import Served
from storectl.server.wire import Answer

MOST_TOGETHER = 64

Work = Callable[[], Answer]


class Waiting(NamedTuple):
    """A call that waits, and where its answer goes."""

    work: Work
    answer: asyncio.Future[Answer]


class Writer:
    """Runs what is handed in on one loop, in the order in which it came.

    count: told of `commits` as they begin.

    No answer is given before what it says is durable. A caller that went away is no
    reason to leave out what it asked for.
    """

    def __init__(
        self,
        store: Served,
        loop: asyncio.AbstractEventLoop,
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._together, self._count = store.together, count
        self._loop = loop
        self._waiting: deque[Waiting] = deque()
        self._rounds: SimpleQueue[list[Waiting] | None] = SimpleQueue()
        self._is_busy = False
        self._thread = Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def write(self, work: Work) -> asyncio.Future[Answer]:
        """Have a call made. Its failure, or that of the commit, is the future's."""
        answer = self._loop.create_future()
        self._waiting.append(Waiting(work, answer))
        if not self._is_busy:
            self._next()
        return answer

    def close(self) -> None:
        """End once everything that waits is done. The loop must still run."""
        while self._is_busy:
            time.sleep(0.005)
        self._rounds.put(None)
        self._thread.join()

    def _next(self) -> None:
        waiting = self._waiting
        count = min(len(waiting), MOST_TOGETHER)
        self._is_busy = count > 0
        if count:
            self._count("commits")
            self._rounds.put([waiting.popleft() for _ in range(count)])

    def _run(self) -> None:
        while (group := self._rounds.get()) is not None:
            found: list[Answer] | Exception
            try:
                works = [each.work for each in group]
                found = self._together(works) if len(works) > 1 else [works[0]()]
            except Exception as error:
                found = error
            self._loop.call_soon_threadsafe(self._done, group, found)

    def _done(self, group: list[Waiting], found: list[Answer] | Exception) -> None:
        self._next()  # first: the disk works while the answers are sent
        for at, (_, answer) in enumerate(group):
            if answer.cancelled():
                continue
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found[at])
