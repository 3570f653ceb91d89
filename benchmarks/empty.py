"""`storectl serve` around an application that does nothing: what a request costs anyway.

python empty.py     # prints its address, serves until it is told to end

It hears a body out and answers as many bytes as the path says: GET /4096.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import storectl.server.loop
from storectl.server import serve
from storectl.server.settings import Settings

HEADERS = [(b"Content-Type", b"application/octet-stream")]


@cache
def body(length: int) -> bytes:
    return b"x" * length


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})
        return
    if scope["method"] != "GET":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    path = scope["path"]
    length = int(path[1:]) if path[1:].isdecimal() else 0
    await send({"type": "http.response.body", "body": body(length)})


class Nothing:
    """In place of a store."""

    def sweep(self) -> None:
        """There is nothing to remove."""


if __name__ == "__main__":
    storectl.server.loop.Loop = lambda *_: answer  # type: ignore
    serve(Nothing, Settings(), port=0, on_ready=lambda url: print(url, flush=True))  # type: ignore[arg-type]
