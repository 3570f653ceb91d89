"""A server whose bucket goes away under load: what it promised is kept, and it says when not."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from storectl.engine import open_store

from ..buckets import Server
from ..faults import Asked, Proxy
from ..serving import served

CLIENTS = 4
ENOUGH = 6
"""Answers that each client waits for in each state."""

WAIT_SECS = 120


class Client(threading.Thread):
    """Puts large records one after another; kept: those that the server acknowledged."""

    def __init__(self, number: int, url: str, token: str, store: str) -> None:
        super().__init__(daemon=True)
        self.number, self.url, self.store = number, urlsplit(url), store
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "a/b"}
        self.kept: dict[str, bytes] = {}
        self.refused: list[dict[str, str]] = []
        self.other: list[tuple[int, bytes]] = []
        self.over = False

    def run(self) -> None:
        count = 0
        while not self.over:
            count += 1
            key, body = f"c{self.number}-{count}", os.urandom(200_000)
            status, headers, said = self.call("PUT", key, body)
            if status == 201:
                self.kept[key] = body
            elif status == 503:
                self.refused.append(headers)
            else:
                self.other.append((status, said))

    def call(self, method: str, key: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(str(self.url.hostname), self.url.port, timeout=WAIT_SECS)
        path = f"/v2/key-value-stores/{self.store}/records/{key}"
        try:
            connection.request(method, path, body or None, self.headers)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read()
        except (OSError, HTTPException) as error:
            return 0, {}, repr(error).encode()
        finally:
            connection.close()


def _each(clients: list[Client], what: str) -> None:
    """Wait until each client has seen more of something."""
    goals = [(client, len(getattr(client, what)) + ENOUGH) for client in clients]
    done = threading.Event()
    for _ in range(WAIT_SECS * 10):
        if all(len(getattr(client, what)) >= goal for client, goal in goals):
            return
        done.wait(0.1)
    raise AssertionError(f"no more were {what}: {[client.other for client in clients]}")


@pytest.mark.parametrize("fault", ["reset before", "reset after", "503"])
def test_nothing_acknowledged_is_lost_while_the_bucket_is_away(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    away = threading.Event()

    def plan(asked: Asked) -> str | None:
        return fault if away.is_set() else None

    url = s3.bucket()
    with Proxy(s3.url, plan) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        token, store = _filled(tmp_path, url)
        with served(tmp_path) as address:
            clients = [Client(n, address, token, store) for n in range(CLIENTS)]
            probe = clients[0]
            for client in clients:
                client.start()
            _each(clients, "kept")

            away.set()
            _each(clients, "refused")
            assert probe.call("PUT", "small", b"small")[0] == 201
            assert probe.call("GET", "small")[2] == b"small"
            known = next(iter(probe.kept))
            assert probe.call("GET", known)[0] == 503

            away.clear()
            _each(clients, "kept")
            for client in clients:
                client.over = True
            for client in clients:
                client.join(WAIT_SECS)
            assert [client.other for client in clients] == [[]] * CLIENTS
            assert all("retry-after" in headers for each in clients for headers in each.refused)
            for client in clients:
                for key, body in client.kept.items():
                    assert client.call("GET", key)[::2] == (200, body)


def _filled(folder: Path, url: str) -> tuple[str, str]:
    """A token for a new store with its bucket, and a key-value store in it."""
    with closing(open_store(str(folder), blobs=url)) as owner:
        owner.prepare()
        return str(owner.tokens.create("test").secret), owner.kvs.create("box")[0].id
