"""Keepers on a remote API. Only cli/context.py and tests open one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storectl.client.store import ClientStore


def open_store(
    server: str,
    token: str | None = None,
    *,
    retries: int = 8,
    timeout_secs: float = 60.0,
    rate: float | None = None,
    part: float = 1.0,
    bytes_a_sec: float | None = None,
    jobs: int = 8,
    debug: Callable[[str], None] | None = None,
    waiting: Callable[[str], None] | None = None,
) -> ClientStore:
    """The store behind an address (without /v2). Nothing is sent yet. See Http for the rest."""
    from storectl.client.http import Http  # httpx costs 100 ms: not for an embedded store
    from storectl.client.store import ClientStore

    return ClientStore(
        Http(
            server,
            token,
            retries=retries,
            timeout_secs=timeout_secs,
            rate=rate,
            part=part,
            bytes_a_sec=bytes_a_sec,
            jobs=jobs,
            debug=debug,
            waiting=waiting,
        )
    )
