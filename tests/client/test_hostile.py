"""Servers that send too much, too slowly, or something else than the API says."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import httpx
import pytest

from storectl import errors
from storectl.client.dataset import ended_lines
from storectl.client.http import Http
from storectl.client.store import ClientStore
from storectl.formats.frames import framed, pack
from storectl.model.dataset import CHECKED, PACKED, ItemsQuery
from storectl.model.storage import ListQuery
from storectl.model.token import ME

SERVER = "https://data.example.com"
FRAME = framed(pack(b"{}\n"))
Answers = Callable[[httpx.Request], httpx.Response]


class Endless(httpx.SyncByteStream):
    """A body that does not end; each block after some seconds. given: how many blocks so far."""

    def __init__(self, block: bytes, secs: float = 0) -> None:
        self.block, self.secs = block, secs
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            time.sleep(self.secs)
            self.given += 1
            yield self.block


def store(answers: Answers, **settings: float) -> ClientStore:
    """A store whose server is a function."""
    transport = httpx.MockTransport(answers)
    return ClientStore(Http(SERVER, retries=0, transport=transport, **settings))  # type: ignore[arg-type]


def test_an_answer_without_an_end_is_given_up() -> None:
    body = Endless(b"x" * 1024**2)

    with pytest.raises(errors.Internal, match="over 268,435,456 bytes"):
        store(lambda _: httpx.Response(200, stream=body)).datasets.get("~a")

    assert body.given == 257


def test_a_bomb_is_counted_while_it_is_unpacked() -> None:
    packed = gzip.compress(bytes(300 * 1024**2), 1)
    head = {"Content-Encoding": "gzip"}

    with pytest.raises(errors.Internal, match="over 268,435,456 bytes"):
        store(lambda _: httpx.Response(200, headers=head, content=packed)).datasets.get("~a")


def test_of_a_failure_without_an_end_the_status_is_told() -> None:
    body = Endless(b"<html>" * 100_000)

    with pytest.raises(errors.Forbidden, match="answered 403"):
        store(lambda _: httpx.Response(403, stream=body)).datasets.get("~a")

    assert body.given < 100


def test_a_byte_now_and_then_is_no_answer() -> None:
    body = Endless(b" ", secs=0.05)

    with pytest.raises(errors.Network, match="did not answer in time"):
        store(lambda _: httpx.Response(200, stream=body), timeout_secs=0.3).datasets.get("~a")


def test_a_large_answer_may_take_its_time() -> None:
    def slowly() -> Iterator[bytes]:
        yield b'{"data": {"username": "jane", "id": "x", "more": "'
        for _ in range(8):
            time.sleep(0.05)
            yield b"x" * 1000
        yield b'"}}'

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return slowly()

    user = store(lambda _: httpx.Response(200, stream=Body()), timeout_secs=0.2).tokens.me()

    assert user.username == "jane"


def test_redirects_without_end_are_not_followed_for_ever() -> None:
    asked: list[httpx.Request] = []

    def around(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers={"Location": str(request.url)})

    with pytest.raises(errors.Network, match="redirects without end"):
        store(around).datasets.get("~a")

    assert len(asked) == 6


DEEP = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"data": {"items": "none"}}',
        b'{"data": {"items": [{"id": 5}]}}',
        b'{"data": {"items": [], "total": "x"}}',
        b'{"data": {"items": [], "offset": []}}',
        b'{"data": {"total": 1}}',
    ],
    ids=lambda body: body[:40].decode(),
)
@pytest.mark.parametrize("noun", ["datasets", "kvs", "queues"])
def test_a_listing_of_another_shape_is_told_as_the_servers(noun: str, body: bytes) -> None:
    keeper = getattr(store(lambda _: httpx.Response(200, content=body)), noun)

    with pytest.raises(errors.Internal, match=r"data\.example\.com sent an answer that is not"):
        keeper.list(ListQuery())


def test_a_failure_that_is_nested_too_deeply_is_told_by_its_status() -> None:
    body = DEEP.replace(b"data", b"error")

    with pytest.raises(errors.Conflict, match="answered 409"):
        store(lambda _: httpx.Response(409, content=body)).datasets.get("~a")


@pytest.mark.parametrize("user", [{}, {"username": 5}, {"username": None}])
def test_a_server_that_does_not_say_who_one_is_is_told(user: dict[str, object]) -> None:
    with pytest.raises(errors.Internal, match="whose token this is"):
        store(lambda _: httpx.Response(200, json={"data": user})).tokens.me()


def test_items_need_their_pagination_headers() -> None:
    with pytest.raises(errors.Internal, match="no pagination headers"):
        store(lambda _: httpx.Response(200, content=b"{}\n")).datasets.items("~a", ItemsQuery())


@pytest.mark.parametrize(
    ("body", "why"),
    [(FRAME[:-1], "inside of a block"), (FRAME[:-1] + b"?", "damaged"), (b"{}\n" * 9, "is not")],
)
def test_packed_items_that_are_none_are_told(body: bytes, why: str) -> None:
    head = {"x-apify-pagination-total": "1", "x-apify-pagination-count": "1"}
    head |= {"content-type": PACKED, CHECKED[0]: CHECKED[1]}
    page = store(lambda _: httpx.Response(200, headers=head, content=body)).datasets.items(
        "~a", ItemsQuery()
    )

    with pytest.raises(errors.Internal, match=why):
        list(page.lines)


def test_the_last_line_gets_its_end_wherever_blocks_are_cut() -> None:
    text = b'{"a":1}\n{"b":22}\n\n{"c":3}'

    for size in range(1, len(text) + 1):
        blocks = [text[at : at + size] for at in range(0, len(text), size)]

        assert b"".join(ended_lines(iter(blocks))) == text + b"\n"
        assert b"".join(ended_lines(iter([*blocks, b"\n"]))) == text + b"\n"


def test_an_answer_that_ends_inside_of_an_item_is_told_wherever_blocks_are_cut() -> None:
    text = b'{"a":1}\n{"b":22'

    for size in range(1, len(text) + 1):
        blocks = [text[at : at + size] for at in range(0, len(text), size)]

        with pytest.raises(errors.Internal, match="inside of an item"):
            list(ended_lines(iter(blocks)))


def test_a_line_without_an_end_is_given_up() -> None:
    blocks = iter(lambda: b"x" * 1024**2, None)

    with pytest.raises(errors.Internal, match="an item over"):
        list(ended_lines(blocks))


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"])
def test_this_machine_is_reached_without_a_proxy(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")

    with pytest.raises(errors.Network) as failure:
        Http(server, retries=0, timeout_secs=2).data(ME, dict)

    assert server.removeprefix("http://") in failure.value.message
    assert "refused" in failure.value.message.lower() or "address" in failure.value.message.lower()


def test_others_are_reached_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        asked: list[bytes] = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            asked.append(connection.recv(1000))
            connection.sendall(b"HTTP/1.1 407 No\r\n\r\n")
            connection.close()

        thread = Thread(target=refuse)
        thread.start()
        with pytest.raises(errors.Network):
            Http(SERVER, "storectl_secret", retries=0).data(ME, dict)
        thread.join()

    assert asked[0].startswith(b"CONNECT data.example.com:443 ")
    assert b"secret" not in asked[0]


SLOW_HEADS = {
    "answers before the answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a header, drop by drop": b"a",
}


@pytest.mark.parametrize("name", SLOW_HEADS)
@pytest.mark.parametrize("thread", ["main", "worker"])
def test_a_head_without_an_end_is_given_up(name: str, thread: str) -> None:
    """The two kinds of threads have transports of their own."""
    over = Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with suppress(OSError):  # given up
            connection.recv(65536)
            connection.sendall(b"" if "before" in name else b"HTTP/1.1 200 OK\r\nX-Drops: ")
            while not over.wait(0.05):
                connection.sendall(SLOW_HEADS[name])
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        dripping = Thread(target=drip, args=(listening,))
        dripping.start()
        http = Http(f"http://127.0.0.1:{listening.getsockname()[1]}", retries=0, timeout_secs=0.5)
        call = partial(http.data, ME, dict)
        ask = call if thread == "main" else pool.submit(call).result
        try:
            with pytest.raises(errors.Network, match="did not answer in time"):
                ask()
        finally:
            over.set()
            dripping.join()
            http.close()


TWO_POOLS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from storectl.client.http import Http
from storectl.model.token import ME
http = Http(sys.argv[1], "storectl_x", retries=0)
for _ in range(4):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: http.send(ME), range(32)))
http.close()
print("whole")
"""


def test_threads_may_call_after_those_that_called_first_have_ended() -> None:
    """In a process of its own: what goes wrong here ends the interpreter."""

    class Empty(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-c", TWO_POOLS, f"http://127.0.0.1:{server.server_port}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        server.shutdown()

    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr
