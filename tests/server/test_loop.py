"""What connections can do to a server: be cut, stall, dawdle, be many, send what is no HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import resource
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.errors import Unavailable
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import KeysQuery, Record
from storectl.server import body as bodies
from storectl.server.body import Body, Budget
from storectl.server.wire import Gone, TooSlow

from ..serving import served as serving

MIB = 1024 * 1024
CONNECTIONS = 10_000
PING = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Place(NamedTuple):
    """A server, and what is in its store."""

    address: tuple[str, int]
    store: EngineStore
    token: str
    box: str
    list: str

    def open(self, small: bool = False) -> socket.socket:
        connection = socket.socket()
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(self.address)
        return connection

    def head(self, method: str, path: str, *lines: str) -> bytes:
        first = (f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.token}")
        return "\r\n".join([*first, "Content-Type: application/json", *lines, "", ""]).encode()

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def keys(self) -> list[str]:
        return [item.key for item in self.store.kvs.keys(self.box, KeysQuery()).items]

    def items(self) -> bytes:
        return b"".join(self.store.datasets.items(self.list, ItemsQuery()).lines)


@pytest.fixture
def store(home: str) -> Iterator[EngineStore]:
    found = open_store(home)
    yield found
    found.close()


@pytest.fixture
def place(home: str, store: EngineStore) -> Iterator[Place]:
    box = store.kvs.create("box")[0].id
    list = store.datasets.create("list")[0].id
    token = store.tokens.create("test").secret
    with serving(home) as url:
        parts = urlsplit(url)
        yield Place((str(parts.hostname), parts.port or 80), store, token, box, list)


def paths(place: Place) -> dict[str, tuple[str, str]]:
    return {
        "record": ("PUT", f"/v2/key-value-stores/{place.box}/records/cut"),
        "items": ("POST", f"/v2/datasets/{place.list}/items"),
    }


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def whole(connection: socket.socket) -> bytes:
    """What comes until the connection ends."""
    found = b""
    while block := connection.recv(MIB):
        found += block
    return found


def peak(address: tuple[str, int]) -> int:
    """The most memory that the process which serves has had, in bytes."""
    inode = None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[3] == "0A" and int(columns[1].split(":")[1], 16) == address[1]:
            inode = columns[9]
    most = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            links = [os.readlink(link) for link in (status.parent / "fd").iterdir()]
            if f"socket:[{inode}]" in links:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                most = max(most, int(fields["VmHWM"].split()[0]) * 1024)
        except OSError:
            continue
    assert most
    return most


@pytest.mark.parametrize("end", ["FIN", "RST"])
@pytest.mark.parametrize("sent", [100, 2_000_000])
@pytest.mark.parametrize("framing", ["declared", "chunked"])
@pytest.mark.parametrize("what", ["record", "items"])
def test_a_body_that_is_cut_off_stores_nothing(
    home: str, store: EngineStore, what: str, framing: str, sent: int, end: str
) -> None:
    box, list = store.kvs.create("box")[0].id, store.datasets.create("list")[0].id
    token = store.tokens.create("test").secret
    line = "Content-Length: 3000000" if framing == "declared" else "Transfer-Encoding: chunked"
    # As JSON it is whole already: spaces may follow.
    part = b'[{"n":1}]'.ljust(sent)

    with serving(home) as url:
        parts = urlsplit(url)
        place = Place((str(parts.hostname), parts.port or 80), store, token, box, list)
        connection = place.open()
        if framing == "chunked":  # whole chunks, but the last one is missing
            part = b"%x\r\n%s\r\n" % (len(part), part)
        connection.sendall(place.head(*paths(place)[what], line) + part)
        if end == "FIN":
            connection.shutdown(socket.SHUT_WR)
            whole(connection)
            connection.close()
        else:
            reset(connection)

    assert place.keys() == []
    assert place.items() == b""
    assert [*store.blobs.there()] == []


@pytest.mark.parametrize("what", ["record", "items"])
@pytest.mark.parametrize(
    "chunks", [b"9\r\n[1,2,3,4]\r\nzz\r\n", b"4\r\n[{}]{}\r\n0\r\n\r\n", b"-1\r\n"]
)
def test_chunks_that_are_none_store_nothing(place: Place, what: str, chunks: bytes) -> None:
    connection = place.open()

    connection.sendall(place.head(*paths(place)[what], "Transfer-Encoding: chunked") + chunks)
    whole(connection)

    assert place.keys() == []
    assert place.items() == b""


def test_what_follows_a_body_is_no_part_of_it(place: Place) -> None:
    connection = place.open()

    head = place.head(*paths(place)["record"], "Content-Length: 3")
    connection.sendall(head + b"abcdef\r\n\r\n")
    answer = whole(connection)

    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"".join(place.store.kvs.record(place.box, "cut").body) == b"abc"


def test_stalled_uploads_and_slow_readers_keep_nobody_out(place: Place) -> None:
    large = Record(key="large", content_type="a/b", body=[bytes(MIB)] * 20)
    place.store.kvs.put(place.box, large)
    path = f"/v2/key-value-stores/{place.box}/records/large"
    kinds = [
        place.head(*paths(place)["record"], "Content-Length: 900000") + bytes(1000),
        place.head(*paths(place)["record"], "Content-Length: 9000000") + bytes(1000),
        place.head(*paths(place)["record"], "Transfer-Encoding: chunked") + b"fffff\r\nx",
        place.head(*paths(place)["items"], "Content-Length: 9000000") + b"[" * 1000,
    ]

    held = [place.open(small=True) for _ in range(400)]
    for at, connection in enumerate(held):
        connection.sendall(place.head("GET", path) if at % 2 else kinds[at // 2 % len(kinds)])
    for connection in held[1::2]:  # so that all are answered by now, as far as they can be
        assert connection.recv(12) == b"HTTP/1.1 200"
    statuses = [
        place.ask("GET", "/healthz")[0],
        place.ask("GET", path.replace("large", "none"))[0],
        place.ask("GET", "/v2/datasets")[0],
        place.ask("POST", f"/v2/datasets/{place.list}/items", b'[{"n":1}]')[0],
        place.ask("PUT", path.replace("large", "new"), bytes(3 * MIB))[0],
        len(place.ask("GET", path)[1]),
    ]
    for connection in held:
        connection.close()

    assert statuses == [200, 404, 200, 201, 201, 20 * MIB]
    assert place.keys() == ["large", "new"]


def test_ten_thousand_idle_connections_keep_nobody_out(place: Place) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CONNECTIONS + 1200:
        pytest.skip(f"a process may have {hard:,} files open here, and they are {CONNECTIONS:,}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (CONNECTIONS + 1200, hard))
    before = peak(place.address)
    idle: list[tuple[socket.socket, float]] = []

    while len(idle) < CONNECTIONS:
        some = [(place.open(), time.monotonic()) for _ in range(500)]
        for connection, _ in some:
            connection.sendall(PING)
        assert {connection.recv(999)[:12] for connection, _ in some} == {b"HTTP/1.1 200"}
        idle += some
    grown = peak(place.address) - before
    status = place.ask("POST", f"/v2/datasets/{place.list}/items", b'[{"n":1}]')[0]
    kept = [pinged(connection) or time.monotonic() - since > 10 for connection, since in idle[::20]]
    for connection, _ in idle:
        reset(connection)  # or the system keeps their ports for a minute
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert status == 201
    assert all(kept)  # what is idle for ten seconds may be gone
    assert grown < CONNECTIONS * 32 * 1024


def pinged(connection: socket.socket) -> bool:
    try:
        connection.sendall(PING)
        return connection.recv(999).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def test_memory_does_not_grow_with_an_answer_that_nobody_reads(place: Place) -> None:
    large = Record(key="large", content_type="a/b", body=(bytes(MIB) for _ in range(300)))
    place.store.kvs.put(place.box, large)
    path = f"/v2/key-value-stores/{place.box}/records/large"
    assert place.ask("GET", "/healthz")[0] == 200
    before = peak(place.address)

    connection = place.open()
    connection.sendall(place.head("GET", path, "Connection: close"))
    first = connection.recv(1000)
    assert place.ask("GET", "/v2/datasets")[0] == 200
    during = peak(place.address) - before
    size = len(first) + sum(len(block) for block in iter(lambda: connection.recv(MIB), b""))

    assert size > 300 * MIB
    assert during < 50 * MIB
    assert peak(place.address) - before < 50 * MIB


def test_memory_does_not_grow_with_the_number_of_uploads(place: Place) -> None:
    before = peak(place.address)
    body = (b'[{"n":1}]').ljust(9 * MIB - 1)

    held = [place.open() for _ in range(100)]
    for connection in held:
        connection.sendall(place.head(*paths(place)["items"], f"Content-Length: {9 * MIB}") + body)
    grown = peak(place.address) - before
    statuses = []
    for connection in held:
        connection.sendall(b" ")
        statuses.append(connection.recv(65536)[9:12])
        connection.close()

    assert grown < 400 * MIB
    assert set(statuses) == {b"201", b"503"}
    assert place.items() == b'{"n":1}\n' * statuses.count(b"201")


def test_an_answer_that_fails_half_way_is_visibly_cut(place: Place) -> None:
    row = b'{"text":"%s"}' % (b"x" * 100_000)
    for _ in range(10):
        place.store.datasets.push(place.list, Items.from_json(b"[" + b",".join([row] * 50) + b"]"))
    path = f"/v2/datasets/{place.list}/items"
    found = {}
    for format in ("json", "jsonl&skipEmpty=1"):
        connection = place.open()
        connection.sendall(place.head("GET", f"{path}?format={format}", "Connection: close"))
        found[format] = connection, connection.recv(1000)

    assert place.ask("DELETE", f"/v2/datasets/{place.list}")[0] == 204

    for connection, first in found.values():
        answer = first + whole(connection)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\ntransfer-encoding: chunked\r\n" in answer
        assert not answer.endswith(b"\r\n0\r\n\r\n")


def test_of_many_writes_at_once_each_has_its_own_fate(place: Place) -> None:
    queue = place.store.queues.create("queue")[0].id
    add = f"/v2/request-queues/{queue}/requests"
    calls: list[tuple[str, str, Any, int]] = []
    for n in range(60):
        url = {"url": f"https://e.com/{n}", "uniqueKey": str(n)}
        calls += [
            ("POST", f"/v2/datasets/{place.list}/items", [{"n": n}], 201),
            ("POST", f"/v2/datasets/{place.list}/items", [1], 400),
            ("POST", add, url, 201),
            ("POST", add, {"uniqueKey": str(n)}, 400),
            ("PUT", f"/v2/key-value-stores/{place.box}/records/{n}", n, 201),
            ("PUT", f"{add}/none{n}", {**url, "id": "other"}, 400),
            ("PUT", f"{add}/none/lock?lockSecs=9", None, 404),
        ]

    with ThreadPoolExecutor(32) as threads:
        found = [
            threads.submit(place.ask, method, path, json.dumps(body).encode())
            for method, path, body, _ in calls
        ]
    statuses = [each.result()[0] for each in found]

    assert statuses == [status for *_, status in calls]
    numbers = sorted(json.loads(line)["n"] for line in place.items().splitlines())
    assert numbers == [*range(60)]
    assert len(place.keys()) == 60
    assert place.store.queues.get(queue).total_request_count == 60


def test_senders_that_are_gone_harm_nobody(place: Place) -> None:
    body = b'[{"n":1}]'
    ask = place.head(*paths(place)["items"], f"Content-Length: {len(body)}") + body

    for _ in range(100):
        connection = place.open()
        connection.sendall(ask)
        reset(connection)
    statuses = {place.ask(*paths(place)["items"], b'[{"n":2}]')[0] for _ in range(20)}

    assert statuses == {201}
    assert place.items().count(b'{"n":2}\n') == 20


def test_a_slow_sender_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECS", 0.01)

    async def silent() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(TooSlow):
        asyncio.run(Body(silent, 10, Budget()).gather(100))


@pytest.mark.parametrize("declared", [None, 10])
def test_a_body_is_whole_or_its_sender_is_gone(declared: int | None) -> None:
    messages = [
        {"type": "http.request", "body": b"12345", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    with pytest.raises(Gone):
        asyncio.run(Body(receive, declared, Budget()).gather(100))


def test_what_a_body_holds_is_given_back() -> None:
    budget = Budget(10)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"12345678", "more_body": True}

    first, second = Body(receive, None, budget), Body(receive, None, budget)
    asyncio.run(first.gather(1))
    with pytest.raises(Unavailable):
        asyncio.run(second.gather(1))
    assert first.taken() == [b"12345678"]
    asyncio.run(second.gather(1))

    assert second.taken() == [b"12345678"]
    assert budget.left == 10
