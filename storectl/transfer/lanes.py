"""Threads that make calls while the next ones are prepared: as many as are busy, no more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, TypeVar

Job = TypeVar("Job")

TURN_SECS = 0.0002
"""How long a thread may compute while another waits for its turn; the interpreter's own 5 ms
make each of the many short waits of a commit ten times longer than the work between them."""


class Outcome(NamedTuple, Generic[Job]):
    """A job that is over, and what it raised, if it did."""

    job: Job
    error: BaseException | None


class Lanes(Generic[Job]):
    """Runs `call` on jobs, at most `most` at once, each in a thread that nobody waits for.

    A process that is told to stop does not stay for a call that waits for a server.
    """

    def __init__(self, call: Callable[[Job], object], most: int, name: str = "lane") -> None:
        self.most = most
        self.busy = 0
        self._call, self._name = call, name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome[Job]] = SimpleQueue()
        self._threads = 0

    def start(self, job: Job) -> None:
        """Begin a job, in a lane that is free."""
        self.busy += 1
        if self.busy > self._threads:
            self._threads += 1
            Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put(job)

    def over(self, free: int = 0) -> Iterator[Outcome[Job]]:
        """The jobs that are over by now; waits until so many lanes are free, at least."""
        while self.busy and (self.busy > self.most - free or not self._outcomes.empty()):
            outcome = self._outcomes.get()
            self.busy -= 1
            yield outcome

    def close(self) -> None:
        """Start nothing more."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            error = None
            try:
                self._call(job)
            except BaseException as raised:  # for whoever asks for the outcome
                error = raised
            self._outcomes.put(Outcome(job, error))
            del job, error


class Aside:
    """Work that is done beside, one piece after the other, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._lanes: Lanes[Callable[[], object]] = Lanes(_run, 1, name)

    @property
    def busy(self) -> bool:
        """Whether the last piece is not done. Raises what it raised, if it is."""
        self._told(0)
        return bool(self._lanes.busy)

    def start(self, work: Callable[[], object]) -> None:
        """Begin a piece, when the last one is done."""
        self.wait()
        self._lanes.start(work)

    def wait(self) -> None:
        """Until the last piece is done. Raises what it raised."""
        self._told(1)

    def close(self) -> None:
        """Start nothing more."""
        self._lanes.close()

    def _told(self, free: int) -> None:
        for _, error in self._lanes.over(free):
            if error is not None:
                raise error


def _run(work: Callable[[], object]) -> None:
    work()


@contextmanager
def quick_turns() -> Iterator[None]:
    """Let threads that wait for the interpreter have it soon."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, TURN_SECS))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
