"""What a copy button leaves behind."""

from __future__ import annotations

from typing import Any

HOLDS = "async (text) => (await navigator.clipboard.readText()) === text"


def wait_for_copy(page: Any, text: str) -> None:
    """Wait until the text is on the clipboard, which takes its time; fails if it never is."""
    page.wait_for_function(HOLDS, arg=text)
