"""What a server says on stderr. Where that cannot be written, it goes on all the same."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(text: str) -> None:
    """Write a line, or lose it: a log on a full disk must not cost a caller the answer.

    At once, so that lines of several processes stay whole.
    """
    with suppress(OSError, ValueError):  # ValueError: it is closed
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
