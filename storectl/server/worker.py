"""In a process that serves: the application, and what goes on beside it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from storectl.errors import Conflict, StorectlError, Unavailable
from storectl.model.memory import keep_freed
from storectl.model.store import Served
from storectl.server.log import say
from storectl.server.settings import Settings

if TYPE_CHECKING:
    from storectl.server.board import Page
    from storectl.server.loop import Loop

SWEEP_SECS = 60.0
AGAIN_SECS = 0.5
"""How often a process that starts looks for a database that is away."""

SWITCH_SECS = 0.001
"""How long a thread that computes keeps the loop waiting."""

BLOCK_BYTES, KEPT_BYTES = 4 * 1024 * 1024, 8 * 1024 * 1024
"""Larger blocks come from the system each time; as much is kept of smaller ones."""

TOLD = b"." * 256
"""What the workers hear of the end: a byte each, and more of them than there ever are."""


def load(
    open_store: Callable[[], Served],
    settings: Settings,
    alive: tuple[int, int],
    counts: Path | None,
    workers: int,
    *_: object,
) -> Loop:
    """The application, and an end to this process when its parent is killed.

    alive: a pipe from the parent. counts: the file of a Board for so many workers.
    """
    from storectl.server.loop import Loop

    if os.name == "posix":
        os.setpgid(0, 0)  # Ctrl-C is for the parent: two signals at once could block each other
    parent = os.getppid()
    threading.Thread(target=_end_with_parent, args=(*alive, parent), daemon=True).start()
    sys.setswitchinterval(SWITCH_SECS)
    keep_freed(BLOCK_BYTES, KEPT_BYTES)
    page = _page(counts, workers) if counts is not None else None
    store = opened(open_store)
    threading.Thread(target=_sweep, args=(store, page), daemon=True).start()
    return Loop(store, settings, page)


def opened(open_store: Callable[[], Served]) -> Served:
    """The store, once what it stands on is there: a process that takes another's place may
    come while it is away, and two that fail would end the server."""
    told = None
    while True:
        try:
            return open_store()
        except Unavailable as error:
            if told is None:
                told = error
                say(f"error: {error.message}; a process that starts waits for it")
            time.sleep(AGAIN_SECS)


def _page(counts: Path, workers: int) -> Page:
    from storectl.server.board import Board

    page = Board(counts, workers).taken()
    if page.renew():
        say("warning: a process that served has ended; this one takes its place")
    return page


def _sweep(store: Served, page: Page | None) -> None:
    """Remove what is over, every minute; of several servers on a store one does it."""
    count: Callable[..., None] = page.add if page is not None else lambda *_: None
    told = ""
    while True:
        try:
            count("expired", store.sweep())
            count("sweeps")
        except Conflict as error:  # it was moved: what is written to it from now on is lost
            say(f"error: {error.message}")
            os.kill(os.getppid(), signal.SIGTERM)
        except StorectlError as error:  # a full disk, a lock: the next minute may be better
            count("sweeps_failed")
            if error.message != told:
                say(f"error: sweep: {error.message}")
                told = error.message
        time.sleep(SWEEP_SECS)


def _end_with_parent(reading: int, writing: int, parent: int) -> None:
    """End this process when its parent says so, and at once when it is gone.

    The parent sends one SIGTERM, which is lost while this process still starts: then
    another follows, late enough to leave alone whoever heard the first.
    """
    try:
        os.close(writing)
        told = os.read(reading, 1)
    except OSError:  # a start method that hands down no file descriptors
        told = b""
    else:
        if not told:
            os._exit(1)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
