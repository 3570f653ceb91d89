"""Both transports below Http against real sockets: one set of rules, proven for each.

httpx makes the calls of the main thread, pyreqwest those of worker threads.
"""

from __future__ import annotations

import gzip
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest

from storectl import errors
from storectl.client.fast import MOST_SENT_BYTES, Fast
from storectl.client.http import Http, reading
from storectl.client.kvs import KeyValueStores
from storectl.model import dataset, kvs, queue
from storectl.model.endpoint import Endpoint
from storectl.model.kvs import Record

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"data": "x"}'
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
SILENCE = b""
LATE = None
"""An answer that does not come until the other side hangs up."""

Call = Callable[..., Any]


class Server:
    """Gives prepared answers, one a connection, as bytes. asked: what came."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []
        self.asked: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self.asked.append(_request(connection))
                answer = self.answers.pop(0)
                if answer is LATE:
                    connection.recv(1)
                else:
                    connection.sendall(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))


def _request(connection: socket.socket) -> bytes:
    """One request with its body."""
    held = b""
    while b"\r\n\r\n" not in held:
        held += connection.recv(65536)
    head, _, body = held.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    size = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < size:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(params=["httpx", "pyreqwest"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def call(transport: str) -> Iterator[Call]:
    """What runs a function so that its calls go through the transport."""
    if transport == "httpx":
        yield lambda work, *given, **named: work(*given, **named)
        return
    with ThreadPoolExecutor(1) as pool:
        yield lambda work, *given, **named: pool.submit(work, *given, **named).result()


@pytest.fixture
def http(server: Server) -> Iterator[Http]:
    http = Http(server.address, "storectl_secret", retries=2, sleep=lambda secs: None)
    yield http
    http.close()


@pytest.fixture
def hasty(server: Server) -> Iterator[Http]:
    http = Http(server.address, retries=2, timeout_secs=0.4, sleep=lambda secs: None)
    yield http
    http.close()


def push(http: Http, **more: Any) -> object:
    return http.send(dataset.PUSH, ref="~a", content=b"[]", **more)


def test_worker_threads_call_through_pyreqwest(
    server: Server, http: Http, call: Call, transport: str
) -> None:
    server.answers = [OK]

    call(http.send, dataset.GET, ref="~a")

    assert is_of_httpx(server.asked[0]) == (transport == "httpx")


def is_of_httpx(asked: bytes) -> bool:
    """Whether httpx sent the request: it says what is the default."""
    return b"\nconnection: keep-alive" in asked.lower()


def test_a_call_looks_the_same(server: Server, http: Http, call: Call) -> None:
    server.answers = [OK]

    query = {"limit": 2, "prefix": "a b/é&"}
    call(http.send, dataset.PUSH, ref="me~a b", query=query, content=b"[1]", idempotency_key="k")

    head, _, body = server.asked[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    told = {name.lower(): value for name, _, value in (each.partition(": ") for each in headers)}
    assert line == "POST /v2/datasets/me~a%20b/items?limit=2&prefix=a+b%2F%C3%A9%26 HTTP/1.1"
    assert body == b"[1]"
    assert told["authorization"] == "Bearer storectl_secret"
    assert told["content-type"] == "application/json"
    assert told["content-length"] == "3"
    assert told["idempotency-key"] == "k"
    assert told["user-agent"].startswith("storectl/")
    assert told["host"] == http.host
    assert "gzip" in told["accept-encoding"]


@pytest.mark.parametrize("first", [BUSY, TOO_MANY, SILENCE])
def test_what_may_pass_is_tried_again(server: Server, http: Http, call: Call, first: bytes) -> None:
    server.answers = [first, OK]

    assert call(http.data, dataset.GET, str, ref="~a") == "x"
    assert http.retried == 1


@pytest.mark.parametrize("first", [SILENCE, LATE, BUSY, b"nonsense\r\n\r\n"])
def test_a_push_in_doubt_is_never_sent_twice(
    server: Server, hasty: Http, call: Call, first: bytes | None
) -> None:
    """An error that sounds as if no connection was made proves nothing."""
    no_keys = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    server.answers = [first, no_keys, no_keys]

    with pytest.raises(errors.StorectlError):
        call(push, hasty)

    assert sum(asked.startswith(b"POST") for asked in server.asked) == 1


def test_a_push_that_was_refused_is_sent_again(server: Server, http: Http, call: Call) -> None:
    server.answers = [TOO_MANY, OK]

    call(push, http)

    assert len(server.asked) == 2


def test_an_answer_that_is_late_is_told_so(server: Server, hasty: Http, call: Call) -> None:
    server.answers = [LATE] * 3

    with pytest.raises(errors.Network, match="did not answer in time"):
        call(hasty.data, dataset.GET, str, ref="~a")


def test_a_server_that_is_not_there_is_told_so(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    http = Http(f"http://127.0.0.1:{port}", retries=0)

    with pytest.raises(errors.Network, match="No connection to .*refused"):
        call(http.data, dataset.GET, str, ref="~a")

    http.close()


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["length", "chunks", "gzip"],
)
def test_a_body_that_breaks_off_is_a_failure(
    server: Server, http: Http, call: Call, cut: bytes
) -> None:
    server.answers = [cut] * 3

    def read() -> bytes:
        return b"".join(reading(http.send(dataset.ITEMS, ref="~a", stream=True), http.host))

    with pytest.raises(errors.Network, match="broke"):
        call(read)


def packed(plain: bytes, more: bytes = b"") -> bytes:
    body = gzip.compress(plain)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n" + more
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_an_answer_is_unpacked(server: Server, http: Http, call: Call) -> None:
    server.answers = [packed(b'{"data": "x"}')]

    assert call(http.data, dataset.GET, str, ref="~a") == "x"


def test_a_record_comes_as_it_is_stored(server: Server, http: Http, call: Call) -> None:
    server.answers = [packed(b"plain text")]

    def read() -> tuple[Record, bytes]:
        record = KeyValueStores(http).record("~a", "key")
        return record, b"".join(record.body)

    record, body = call(read)

    assert (record.content_type, record.content_encoding) == ("text/plain", "gzip")
    assert (body, record.size) == (gzip.compress(b"plain text"), len(body))


@pytest.mark.parametrize("size", [0, 1, MOST_SENT_BYTES, MOST_SENT_BYTES + 1, 1_000_000])
def test_a_record_is_sent_as_it_is(server: Server, http: Http, call: Call, size: int) -> None:
    server.answers = [OK]
    body = bytes(range(256)) * (size // 256 + 1)

    record = Record(key="k", content_type="image/png", size=size, body=(body[:size],))
    call(KeyValueStores(http).put, "~a", record)

    head, _, sent = server.asked[0].partition(b"\r\n\r\n")
    assert sent == body[:size]
    assert f"content-length: {size}" in head.decode().lower()
    assert "content-type: image/png" in head.decode().lower()
    assert "transfer-encoding" not in head.decode().lower()


def test_the_head_of_a_record_has_no_body(server: Server, http: Http, call: Call) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
    server.answers = [head]

    record = call(KeyValueStores(http).record, "~a", "key", body=False)

    assert (record.size, list(record.body)) == (5, [])


def test_a_header_that_is_not_ascii_does_no_harm(server: Server, http: Http, call: Call) -> None:
    strange = b"HTTP/1.1 200 OK\r\nX-Caf\x65: \xe9\r\nContent-Length: 13\r\n\r\n" + b'{"data": "x"}'
    server.answers = [strange, strange]

    assert call(http.data, dataset.GET, str, ref="~a") == "x"


def test_a_read_is_redirected_within_its_origin(
    server: Server, http: Http, call: Call, transport: str
) -> None:
    """By httpx, which then makes all calls: who redirects once does so again."""
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    tried = [moved] if transport == "pyreqwest" else []
    server.answers = [*tried, moved, OK, OK]

    assert call(http.data, dataset.GET, str, ref="~a") == "x"
    assert call(http.data, dataset.GET, str, ref="~a") == "x"

    assert server.asked[-2].startswith(b"GET /elsewhere ")
    assert is_of_httpx(server.asked[-1])


@pytest.mark.parametrize(("endpoint", "status"), [(dataset.PUSH, 307), (kvs.KEYS, 302)])
def test_nothing_goes_to_another_origin_over_plain_http(
    server: Server, http: Http, call: Call, endpoint: Endpoint, status: int
) -> None:
    head = b"HTTP/1.1 %d Moved\r\nLocation: http://evil.invalid/\r\n" % status
    server.answers = [head + b"Content-Length: 0\r\n\r\n"] * 2

    with pytest.raises(errors.Network, match=r"redirects to http://evil\.invalid/"):
        call(http.send, endpoint, ref="~a")


def test_an_error_of_the_api_is_told(server: Server, http: Http, call: Call) -> None:
    body = b'{"error": {"type": "name-not-unique", "message": "taken token=abc"}}'
    server.answers = [b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n" % len(body) + body]

    with pytest.raises(errors.Conflict) as failure:
        call(http.data, queue.GET, str, ref="~a")

    assert failure.value.message == "taken token=…"
    assert failure.value.type == "name-not-unique"


def test_debug_lines_hold_no_secret(server: Server, call: Call) -> None:
    lines: list[str] = []
    http = Http(server.address, "storectl_secret", debug=lines.append)
    server.answers = [OK]

    call(http.send, dataset.GET, ref="~a", query={"token": "abc"})
    http.close()

    assert "GET" in lines[0]
    assert "200" in lines[0]
    assert not {"abc", "secret"} & set(lines[0].replace("=", " ").split())


def off_the_main_thread(work: Callable[[], object]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_the_main_thread_is_left_to_httpx() -> None:
    """A wait in pyreqwest does not hear of Ctrl-C, and may abort the interpreter then."""
    fast = Fast("http://127.0.0.1:9", {}, 1.0, direct=True)

    assert not fast.takes(None)
    assert off_the_main_thread(lambda: fast.takes(None))
    fast.close()


def test_a_daemon_is_left_to_httpx() -> None:
    """Its call may be under way when the interpreter ends, and would crash it."""
    fast = Fast("http://127.0.0.1:9", {}, 1.0, direct=True)
    taken: list[bool] = []

    thread = Thread(target=lambda: taken.append(fast.takes(None)), daemon=True)
    thread.start()
    thread.join()

    assert taken == [False]


@pytest.mark.parametrize("body", [b"x" * (MOST_SENT_BYTES + 1), iter([b"x"])])
def test_long_bodies_are_left_to_httpx(body: object) -> None:
    fast = Fast("http://127.0.0.1:9", {}, 1.0, direct=True)

    assert not off_the_main_thread(lambda: fast.takes(body))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxies_are_left_to_httpx(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.invalid:3128")
    fast = Fast("http://data.example.com", {}, 1.0, direct=False)

    assert not off_the_main_thread(lambda: fast.takes(None))


def test_a_machine_without_a_wheel_has_httpx(
    server: Server, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyreqwest.client", None)
    server.answers = [OK]

    found = off_the_main_thread(lambda: http.data(dataset.GET, str, ref="~a"))

    assert found == "x"
    assert is_of_httpx(server.asked[0])
