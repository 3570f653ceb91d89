"""What a server says on stderr. Where that cannot be written, it goes on all the same."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(text: str) -> None:
    """Write a line, or lose it: a log on a full disk must not cost a caller the answer."""
    with suppress(OSError, ValueError):  # ValueError: it is closed
        print(text, file=sys.stderr, flush=True)
