"""`storectl serve` around an application that does nothing but answer 4 KB: what a request costs.

python empty.py     # prints its address, serves until it is told to end
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import data

import storectl.server.app
from storectl.server import serve
from storectl.server.settings import Settings

BODY = b"x" * data.RECORD_BYTES
HEADERS = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(BODY)))]


class Nothing:
    """In place of a store."""

    def close(self) -> None:
        """Nothing is open."""


def answer(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The application."""
    start_response("200 OK", HEADERS)
    return [BODY]


if __name__ == "__main__":
    storectl.server.app.app = lambda *_: answer  # type: ignore[assignment]
    serve(Nothing, Settings(), port=0, on_ready=lambda url: print(url, flush=True))  # type: ignore[arg-type]
