"""A bound on waiting for the head of an answer. httpx has one for each single read only.

A server that sends a byte of a header now and then, or one `100 Continue` after
another, would else be waited for without end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

import httpcore
import httpx

_here = local()
"""secs: how long this thread waits for the head that it is waiting for."""


@contextmanager
def head_within(secs: float) -> Iterator[None]:
    """Inside, reads of this thread end so long after the last byte that it sent."""
    _here.secs = secs
    try:
        yield
    finally:
        _here.secs = None


def bounded(client: httpx.Client) -> httpx.Client:
    """The client, on connections that keep to `head_within`.

    httpx has no public place for a network backend of one's own; httpcore below it has.
    """
    for transport in (client._transport, *client._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend()
    return client


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **more: Any) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*args, **more))


class _Stream(httpcore.NetworkStream):
    """A connection. since: when the first read behind the last write began."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._since: float | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        secs = getattr(_here, "secs", None)
        if secs is not None:
            now = time.monotonic()
            self._since = self._since or now
            left = self._since + secs - now
            if left <= 0:
                raise httpcore.ReadTimeout("the head of the answer comes too slowly")
            timeout = left if timeout is None else min(left, timeout)
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._since = None
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **more: Any) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(*args, **more))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
