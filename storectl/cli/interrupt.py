"""Signals that end a transfer end it soon, whatever it waits for."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE_SECS = 3.0
"""For so long an interrupted transfer waits for answers in flight, to tell of their work."""


class _Stop:
    """Handles a signal as before, and once more after PATIENCE_SECS, as a second one would."""

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, lambda _, later: self.handler(number, later))
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECS)
        self.handler(number, frame)


@contextmanager
def soon_over() -> Iterator[None]:
    """Within it, a signal that raises in the main thread raises there again if need be.

    The first asks whatever is in flight to come to its end; the second gives it up. What
    is done stands in a journal by then, since that is written as it is done.
    """
    usual: dict[int, Any] = {}
    if os.name == "posix" and threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        usual = {
            number: handler
            for number, handler in handlers.items()
            if callable(handler) and not isinstance(handler, _Stop)
        }
    for number, handler in usual.items():
        signal.signal(number, _Stop(handler))
    try:
        yield
    finally:
        if usual:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in usual.items():
            signal.signal(number, handler)


def hush() -> None:
    """Let another Ctrl-C pass by, from here to the end."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def leave(code: int) -> None:
    """End the process at once if a thread of it still waits for an answer."""
    if any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
