"""A proxy for tests that stands before a server and breaks what it is told to break.

    with Proxy(server, plan) as proxy: ... proxy.url ...

The plan is asked for each request, and names one of FAULTS or nothing. A fault that
strikes before the server got the request leaves no trace there; one behind it does,
and only the client does not know.
"""

from __future__ import annotations

import os
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit
from zlib import crc32

LOST = ("reset before", "429", "503", "502 html")
"""Faults before the request has reached the server."""

LANDED = ("reset after", "reset inside", "cut", "garbage", "503 after")
"""Faults behind it: what was asked is done, and no whole answer comes."""

SLOW = ("latency", "drip", "crumbs")
"""No failures, only waiting, or a body in many chunks of few bytes."""

HELD = ("hold", "late", "stall")
"""Until `released`, and `held` tells of it: the request goes no further; it has landed and
has no answer; the answer stops inside.
"""

FAULTS = (*LOST, *LANDED, *SLOW)
LATENCY_SECS = 0.05
CRUMB_BYTES = 7
BLOCK_BYTES = 64 * 1024

WORDS = {
    "429": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0.05\r\nContent-Length: 81\r\n\r\n"
    b'{"error":{"type":"rate-limit-exceeded","message":"You have exceeded the limit."}}',
    "503": b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0.05\r\nContent-Length: 0\r\n\r\n",
    "502 html": b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n"
    b"Content-Length: 24\r\n\r\n<html>Bad gateway</html>",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00 SSH-2.0-OpenSSH\r\n\r\n" * 4,
}


class Asked(NamedTuple):
    """One request. number: from 1 on, of all; time: from 1 on, of those that are the same."""

    number: int
    time: int
    method: str
    target: str
    head: bytes
    body: bytes

    @property
    def changes(self) -> bool:
        return self.method in ("POST", "PUT", "DELETE")


Plan = Callable[[Asked], str | None]


def seeded(seed: int, *faults: str, share: float = 0.5, most: int = 3) -> Plan:
    """Faults at random, the same for the same requests, in whatever order those come.

    Names of storages do not count. most: times that one request fails; then it is let
    through. The first of all fails in any case.
    """

    def plan(asked: Asked) -> str | None:
        if asked.number == 1:
            return "reset before"
        target = re.sub(r"^(/v2/[\w-]+)/[^/?]+", r"\1", asked.target)
        same = f"{asked.method} {target} {crc32(asked.body)}"
        chance = random.Random(f"{seed} {same} {asked.time}")
        struck = asked.time <= most and chance.random() < share
        return chance.choice(faults) if struck else None

    return plan


class Proxy:
    """Serves on `url` until it is left.

    asked: every request, faults: how often each has struck. without_keys: as if the
    server knew nothing of idempotency keys and large batches, as that of the API.
    """

    def __init__(self, server: str, plan: Plan, *, without_keys: bool = False) -> None:
        parts = urlsplit(server)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self.plan = plan
        self.without_keys = without_keys
        self.asked: list[Asked] = []
        self.faults: Counter[str] = Counter()
        self.held = threading.Event()
        self.released = threading.Event()
        self._seen: Counter[tuple[str, str, int]] = Counter()
        self._mutex = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @property
    def failures(self) -> int:
        """How many requests had no good answer."""
        return sum(count for fault, count in self.faults.items() if fault in (*LOST, *LANDED))

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection, until either side ends it or a fault does."""
        with closing(client), suppress(OSError, EOFError):
            reading = client.makefile("rb")
            while head := _head(reading):
                asked = self._noted(head, b"".join(_body(reading, head)))
                fault = self.plan(asked)
                if fault is not None:
                    with self._mutex:
                        self.faults[fault] += 1
                if not self._answer(client, asked, fault):
                    return

    def _noted(self, head: bytes, body: bytes) -> Asked:
        method, target = head.split(b" ", 2)[:2]
        same = (method.decode(), target.decode(), crc32(body))
        with self._mutex:
            self._seen[same] += 1
            asked = Asked(len(self.asked) + 1, self._seen[same], *same[:2], head, body)
            self.asked.append(asked)
        return asked

    def _answer(self, client: socket.socket, asked: Asked, fault: str | None) -> bool:
        """Answer one request; whether the connection can take another."""
        if fault == "hold":
            self._hold()
        if fault == "latency":
            time.sleep(LATENCY_SECS)
        if fault == "reset before":
            _reset(client)
            return False
        if fault in ("429", "503", "502 html"):
            client.sendall(WORDS[fault])
            return True
        with closing(socket.create_connection(self._upstream)) as server:
            server.sendall(self._sent(asked))
            reading = server.makefile("rb")
            head = _head(reading)
            bodiless = asked.method == "HEAD" or head.split(b" ", 2)[1] in (b"204", b"304")
            fault = None if bodiless and fault == "crumbs" else fault
            parts = iter(()) if bodiless else _body(reading, head, raw=fault != "crumbs")
            return self._given(client, asked, fault, head, parts)

    def _hold(self) -> None:
        self.held.set()
        self.released.wait()

    def _sent(self, asked: Asked) -> bytes:
        """The request for the server: its body in one piece, and one request a connection."""
        gone = r"(?i)\r\n(connection|transfer-encoding|content-length|expect%s):[^\r]*"
        names = "|idempotency-key" if self.without_keys else ""
        head = re.sub((gone % names).encode(), b"", asked.head[:-2])
        length = b"Content-Length: %d\r\n" % len(asked.body) if asked.changes else b""
        return head + length + b"Connection: close\r\n\r\n" + asked.body

    def _given(
        self,
        client: socket.socket,
        asked: Asked,
        fault: str | None,
        head: bytes,
        parts: Iterator[bytes],
    ) -> bool:
        """Pass an answer on, as far as the fault lets it."""
        head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
        if self.without_keys and asked.target.startswith("/v2/capabilities"):
            body = b"".join(parts).replace(b"idempotency-key", b"idempotency-kez")
            parts = iter((body.replace(b"large-batches", b"large-batchez"),))
        if fault in ("reset after", "503 after", "garbage", "late"):
            for _ in parts:
                pass
            if fault == "late":
                self._hold()
                return False
            if fault == "reset after":
                _reset(client)
                return False
            client.sendall(WORDS[fault.split()[0]])
            return fault == "503 after"
        if fault in ("reset inside", "cut", "stall"):
            whole = head + b"".join(parts)
            # Of the body half, or where there is none, of the head.
            keep = len(head) + (len(whole) - len(head)) // 2 if whole != head else len(head) // 2
            client.sendall(whole[:keep])
            if fault == "stall":
                self._hold()
                client.sendall(whole[keep:])
            if fault == "reset inside":
                _reset(client)
            return False
        if fault == "crumbs":
            gone = rb"(?i)\r\n(transfer-encoding|content-length):[^\r]*"
            head = re.sub(gone, b"", head[:-2]) + b"Transfer-Encoding: chunked\r\n\r\n"
            client.sendall(head + _crumbs(b"".join(parts)))
            return True
        if fault == "drip":
            _drip(client, head)
        else:
            client.sendall(head)
        for part in parts:
            client.sendall(part)
        return not _until_close(head, asked.method)


def _head(reading: object) -> bytes:
    """Up to the empty line, that included; nothing at the end of the connection."""
    lines: list[bytes] = []
    while line := reading.readline():  # type: ignore[attr-defined]
        lines.append(line)
        if line == b"\r\n":
            break
    return b"".join(lines)


def _body(reading: object, head: bytes, *, raw: bool = False) -> Iterator[bytes]:
    """The body behind a head. raw: chunks with their frames; else what is in them."""
    low = head.lower()
    read = reading.read  # type: ignore[attr-defined]
    if b"\r\ntransfer-encoding: chunked" in low:
        while True:
            line = reading.readline()  # type: ignore[attr-defined]
            if not line:
                raise EOFError
            size = int(line.split(b";")[0], 16)
            block = read(size + 2)
            yield line + block if raw else block[:-2]
            if not size:
                return
    length = re.search(rb"\r\ncontent-length: *(\d+)", low)
    if length is None and low.startswith(b"http/"):
        yield read()  # to the end of the connection
        return
    left = int(length[1]) if length else 0
    while left:
        block = read(min(left, BLOCK_BYTES))
        if not block:
            raise EOFError
        left -= len(block)
        yield block


def _until_close(head: bytes, method: str) -> bool:
    """Whether only the end of the connection tells where the body ends."""
    low = head.lower()
    framed = b"\r\ncontent-length:" in low or b"\r\ntransfer-encoding:" in low
    return not framed and method != "HEAD" and head.split(b" ", 2)[1] not in (b"204", b"304")


def _reset(connection: socket.socket) -> None:
    """End it with RST: what is on the way is lost on both sides."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # close() would wait for the file made of it


def _crumbs(body: bytes) -> bytes:
    cuts = (body[at : at + CRUMB_BYTES] for at in range(0, len(body), CRUMB_BYTES))
    return b"".join(b"%x\r\n%b\r\n" % (len(cut), cut) for cut in cuts) + b"0\r\n\r\n"


def _drip(connection: socket.socket, data: bytes) -> None:
    for at in range(0, len(data), 8):
        connection.sendall(data[at : at + 8])
        time.sleep(0.001)
