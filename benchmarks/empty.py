"""`storectl serve` around an application that does nothing but answer 4 KB: what a request costs.

python empty.py     # prints its address, serves until it is told to end
"""

from __future__ import annotations

from typing import Any

import data

import storectl.server.loop
from storectl.server import serve
from storectl.server.settings import Settings

BODY = b"x" * data.RECORD_BYTES
HEADERS = [(b"Content-Type", b"application/octet-stream")]


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


class Nothing:
    """In place of a store."""

    def sweep(self) -> None:
        """There is nothing to remove."""


if __name__ == "__main__":
    storectl.server.loop.Loop = lambda *_: answer  # type: ignore
    serve(Nothing, Settings(), port=0, on_ready=lambda url: print(url, flush=True))  # type: ignore[arg-type]
