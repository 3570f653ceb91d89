"""Draws the events of a transfer on stderr: one moving line, a line every 10 s, or nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TextIO

from storectl.cli.values import human_bytes, human_secs, plural, visible
from storectl.transfer.events import Advanced, Event, Finished, Refused, Saved, Started

DRAW_SECS = 0.1
PLAIN_SECS = 10.0
MAX_REFUSED_LINES = 20


class Progress:
    """Follows one transfer. moving: rewrite one line; plain: say a line now and then."""

    def __init__(self, stderr: TextIO, noun: str, *, moving: bool, plain: bool) -> None:
        self.stderr, self.noun, self.moving, self.plain = stderr, noun, moving, plain
        self.refused: list[Refused] = []
        self.saved: list[Saved] = []
        self.started = Started()
        self._begin = time.monotonic()
        self._next = self._begin + (DRAW_SECS if moving else PLAIN_SECS)
        self._drawn = 0

    def follow(self, events: Iterable[Event]) -> Finished:
        """Draw until the end, and return it. Failures pass through, the line wiped."""
        finished = Finished(0, 0, 0.0)
        moved = 0
        try:
            for event in events:
                if isinstance(event, Advanced):
                    moved = event.moved
                    self._advance(event)
                elif isinstance(event, Refused):
                    self._refuse(event)
                elif isinstance(event, Saved):
                    self.saved.append(event)
                elif isinstance(event, Started):
                    self.started = event
                else:
                    finished = event
        except BaseException as error:
            if moved:
                error.add_note(f"{plural(moved, self.noun)} before that")
            raise
        finally:
            self._wipe()
        if len(self.refused) > MAX_REFUSED_LINES:
            more = len(self.refused) - MAX_REFUSED_LINES
            self.stderr.write(f"error: {more:,} more refused\n")
        return finished

    def _advance(self, event: Advanced) -> None:
        now = time.monotonic()
        if now < self._next or not (self.moving or self.plain):
            return
        text = self._state(event, now - self._begin)
        if self.moving:
            text = text[: _width(self.stderr) - 1]  # a line that wraps cannot be written over
            self.stderr.write(f"\r{text:<{self._drawn}}")
            self._drawn = len(text)
            self._next = now + DRAW_SECS
        else:
            self.stderr.write(text + "\n")
            self._next = now + PLAIN_SECS
        self.stderr.flush()

    def _state(self, event: Advanced, secs: float) -> str:
        parts = [plural(event.moved, self.noun), human_bytes(event.bytes)]
        total, done = self.started.total_bytes, event.bytes
        if event.scanned is not None:
            total, done = self.started.total, event.scanned
        if total:
            parts.append(f"{min(100, done * 100 // total)} %")
        parts.append(f"{human_bytes(int(event.bytes / max(secs, 0.001)))}/s")
        return "  ".join(parts)

    def _refuse(self, event: Refused) -> None:
        self.refused.append(event)
        if len(self.refused) <= MAX_REFUSED_LINES:
            self._wipe()
            self.stderr.write(f"error: {visible(event.where)}: {visible(event.why)}\n")

    def _wipe(self) -> None:
        if self._drawn:
            self.stderr.write(f"\r{'':<{self._drawn}}\r")
            self.stderr.flush()
            self._drawn = 0


def _width(stream: TextIO) -> int:
    """Columns of the terminal that a stream is."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def summary(done: Finished, noun: str) -> str:
    """`12,345 items, 4.5 MB in 1.2 s (10,287 items/s)`, and what else is to be said of it."""
    rate = int((done.moved - done.resumed) / max(done.secs, 0.001))
    notes = [f"{rate:,} {noun}s/s"]
    if done.resumed:
        notes.append(f"{done.resumed:,} of them earlier")
    if done.retries:
        notes.append(f"{plural(done.retries, 'call')} made again")
    return (
        f"{plural(done.moved, noun)}, {human_bytes(done.bytes)} in {human_secs(done.secs)} "
        f"({', '.join(notes)})"
    )


def ending(done: Finished) -> str:
    """What stands behind a summary where a server knows no keys and a call was in doubt."""
    if done.repeated:
        return at_least_once(done.repeated)
    if done.settled:
        return f"; {_batches(done.settled)} in doubt, and the count of items told"
    return ""


def at_least_once(repeated: int) -> str:
    """What there is to say of batches that may be there twice."""
    return f"; at least once: {_batches(repeated)} sent again" if repeated else ""


def _batches(count: int) -> str:
    return "1 batch was" if count == 1 else f"{count:,} batches were"
