"""What several threads ask of one storage at the same time, asked as one.

One transaction at a time holds the row of a storage. Those that would wait for it one
behind the other are gathered: the first goes alone, and who comes meanwhile goes next,
all together. Nobody waits for others to come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Any, Generic, TypeVar

from storectl.errors import Unavailable

Asked = TypeVar("Asked")
Given = TypeVar("Given")

MOST = 32
"""Asked as one. A statement's work grows with it, and so does what its failure undoes."""


class _Call(Generic[Asked, Given]):
    """What one thread asks. turn: held until it may go on."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.turn = Lock()
        self.turn.acquire()
        self.done = False
        self.given: Given | None = None
        self.error: BaseException | None = None


class Gathering:
    """The lines in front of storages, for the threads of one process."""

    def __init__(self) -> None:
        self._mutex = Lock()
        self._lines: dict[Hashable, deque[_Call[Any, Any]]] = {}

    def ask(
        self, about: Hashable, asked: Asked, make: Callable[[list[Asked]], Sequence[Given]]
    ) -> Given:
        """What `make` gives for this, which it may be asked together with others.

        about: what has to be the same of those that go together, `make` included. Where it
        fails for several it is asked for each alone, unless it cannot be known what it did.
        """
        call: _Call[Asked, Given] = _Call(asked)
        with self._mutex:
            line = self._lines.get(about)
            if line is None:
                self._lines[about] = deque([call])
            else:
                line.append(call)
        if line is not None:
            call.turn.acquire()
        if not call.done:
            self._lead(about, make)
        if call.error is not None:
            raise call.error
        return call.given  # type: ignore[return-value]

    def _lead(self, about: Hashable, make: Callable[[list[Any]], Sequence[Any]]) -> None:
        """Ask for all that wait, then let the next one lead."""
        with self._mutex:
            line = self._lines[about]
            calls = [line.popleft() for _ in range(min(len(line), MOST))]
        try:
            _make(calls, make)
        finally:
            with self._mutex:
                following = line[0] if line else None
                if following is None:
                    del self._lines[about]
            for call in calls:
                call.done = True
                call.turn.release()
            if following is not None:
                following.turn.release()


def _make(calls: list[_Call[Any, Any]], make: Callable[[list[Any]], Sequence[Any]]) -> None:
    try:
        found = make([call.asked for call in calls])
        for call, given in zip(calls, found, strict=True):
            call.given = given
    except BaseException as error:
        is_undone = isinstance(error, Exception) and not isinstance(error, Unavailable)
        if is_undone and len(calls) > 1:
            for call in calls:
                _make([call], make)
            return
        for call in calls:
            call.error = error
