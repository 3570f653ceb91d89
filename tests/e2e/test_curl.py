"""curl as a client, and what is no HTTP at all."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import urlopen

import brotli
import pytest
from running import Server

TEXT = "Žluťoučký kůň " * 400


class Reply(NamedTuple):
    """The last answer of a curl run; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"]["type"])


Curl = Callable[..., Reply]


@pytest.fixture
def curl(tmp_path: Path) -> Curl:
    program = shutil.which("curl")
    if program is None:
        assert not os.environ.get("CI"), "curl is not installed"
        pytest.skip("curl is not installed")

    def run(*words: str, stdin: bytes = b"") -> Reply:
        head, body = tmp_path / "head", tmp_path / "body"
        body.write_bytes(b"")
        kept = ["--dump-header", str(head), "--output", str(body), "--max-time", "20"]
        subprocess.run([str(program), "-sS", *kept, *words], input=stdin, check=True)
        last = head.read_text().strip().split("\n\n")[-1].splitlines()
        pairs = (re.split(r":\s*", line, maxsplit=1) for line in last[1:])
        headers = {name.lower(): value for name, value in pairs}
        return Reply(int(last[0].split()[1]), headers, body.read_bytes())

    return run


@pytest.fixture(scope="session")
def token(server: Server) -> str:
    return server.token("curl")


@pytest.fixture
def new(server: Server, curl: Curl, token: str) -> Callable[[str], str]:
    """The address of a new storage of a kind."""

    def made(kind: str) -> str:
        reply = curl("-X", "POST", f"{server.address}/v2/{kind}?token={token}")
        return f"{server.address}/v2/{kind}/{reply.data['id']}"

    return made


def test_a_token_in_the_address_is_as_good_as_one_in_the_header(
    server: Server, curl: Curl, token: str
) -> None:
    address = f"{server.address}/v2/users/me"

    assert curl(f"{address}?token={token}").data["username"] == "curl"
    assert curl("-H", f"Authorization: Bearer {token}", address).data["username"] == "curl"
    assert curl("-H", "Authorization: Basic YTpi", address).status == 401
    assert (curl(address).status, curl(address).error) == (401, "token-not-provided")


def test_health_needs_no_token(server: Server, curl: Curl) -> None:
    assert curl(f"{server.address}/healthz").status == 200


def test_creating_says_where(server: Server, curl: Curl, token: str) -> None:
    address = f"{server.address}/v2/datasets?name=curled&token={token}"

    first, again = curl("-X", "POST", address), curl("-X", "POST", address)

    assert (first.status, again.status) == (201, 200)
    assert first.headers["location"].startswith(f"{server.address}/v2/datasets/")
    assert again.data["id"] == first.data["id"]
    assert first.headers["x-ratelimit-limit"].isdecimal()


def test_an_upload_in_chunks_is_kept_whole(
    curl: Curl, token: str, new: Callable[[str], str]
) -> None:
    record, body = f"{new('key-value-stores')}/records/K?token={token}", os.urandom(3_000_000)

    put = curl("-T", "-", "-H", "Content-Type: image/png", record, stdin=body)
    got = curl(record)

    assert (put.status, put.body) == (201, b"{}")
    assert put.headers["location"].endswith("/records/K")
    assert (got.body, got.headers["content-type"]) == (body, "image/png")
    assert got.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("br", brotli.compress(TEXT.encode())), ("gzip", gzip.compress(TEXT.encode()))],
)
def test_a_packed_record_is_sent_packed_to_those_who_take_it(
    curl: Curl, token: str, new: Callable[[str], str], encoding: str, packed: bytes
) -> None:
    record = f"{new('key-value-stores')}/records/K?token={token}"
    words = ["-X", "PUT", "--data-binary", "@-", "-H", f"Content-Encoding: {encoding}"]
    curl(*words, "-H", "Content-Type: text/plain", record, stdin=packed)

    raw = curl("-H", f"Accept-Encoding: {encoding}", record)
    unpacked = curl("--compressed", record)
    plain = curl(record)
    other = curl("-H", "Accept-Encoding: zstd, identity", record)

    assert (raw.headers["content-encoding"], raw.body) == (encoding, packed)
    assert unpacked.body == plain.body == other.body == TEXT.encode()
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in other.headers
    assert plain.headers["vary"] == "Accept-Encoding"


def test_head_tells_what_get_would_send(curl: Curl, token: str, new: Callable[[str], str]) -> None:
    store, dataset = new("key-value-stores"), new("datasets")
    curl("-X", "PUT", "-d", "abc", f"{store}/records/K?token={token}")
    curl("-d", "[{},{}]", "-H", "Content-Type: application/json", f"{dataset}/items?token={token}")

    record = curl("-I", f"{store}/records/K?token={token}")
    items = curl("-I", f"{dataset}/items?token={token}&limit=1")
    missing = curl("-I", f"{store}/records/NONE?token={token}")

    assert (record.status, record.headers["content-length"]) == (200, "3")
    assert (items.status, items.headers["x-apify-pagination-total"]) == (200, "2")
    assert items.headers["x-apify-pagination-desc"] == "false"
    assert missing.status == 404


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/", "/v2/nothing", "/v2/datasets//items", "/v1/datasets", "/x?y=%"]
)
def test_an_unknown_page_is_a_404_in_json(server: Server, curl: Curl, path: str) -> None:
    reply = curl("--path-as-is", f"{server.address}{path}")

    assert (reply.status, reply.error) == (404, "page-not-found")
    assert reply.headers["content-type"].startswith("application/json")


def test_a_get_may_say_that_it_means_another_method(
    curl: Curl, token: str, new: Callable[[str], str]
) -> None:
    dataset = new("datasets")

    words = ["-X", "GET", "-H", "Content-Type: application/json", "-d", '{"n":1}']
    pushed = curl(*words, f"{dataset}/items?token={token}&method=POST")
    found = curl(f"{dataset}/items?token={token}")
    deleted = curl(f"{dataset}?token={token}&method=delete")

    assert (pushed.status, json.loads(found.body)) == (201, [{"n": 1}])
    assert deleted.status == 204
    assert curl(f"{dataset}?token={token}").status == 404


def test_other_methods_are_named(server: Server, curl: Curl, token: str) -> None:
    reply = curl("-X", "PATCH", f"{server.address}/v2/datasets?token={token}")
    asked = curl("-X", "OPTIONS", "-H", "Origin: http://a.test", f"{server.address}/v2/datasets")

    assert (reply.status, reply.error) == (405, "method-not-allowed")
    assert asked.status == 204
    assert "POST" in asked.headers["access-control-allow-methods"].upper()


def test_an_unknown_encoding_is_refused(curl: Curl, token: str, new: Callable[[str], str]) -> None:
    words = ["-X", "PUT", "-d", "abc", "-H", "Content-Encoding: bla"]

    reply = curl(*words, f"{new('key-value-stores')}/records/K?token={token}")

    assert (reply.status, reply.error) == (415, "unsupported-content-encoding")


def test_a_body_that_unpacks_to_more_than_is_allowed_is_refused(
    curl: Curl, token: str, new: Callable[[str], str]
) -> None:
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    words = ["-X", "POST", "--data-binary", "@-", "-H", "Content-Encoding: gzip"]

    reply = curl(*words, f"{new('datasets')}/items?token={token}", stdin=bomb)

    assert (reply.status, reply.error) == (413, "request-too-large")


class Raw(NamedTuple):
    """Requests of our own making, to one dataset."""

    host: str
    port: int
    token: str
    items: str

    def post(self, *headers: str, body: bytes = b"") -> bytes:
        lines = [f"POST {self.items} HTTP/1.1", *self.common, *headers, "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    def get(self, path: str, *headers: str) -> bytes:
        lines = [f"GET {path} HTTP/1.1", *self.common, *headers, "", ""]
        return "\r\n".join(lines).encode("latin-1")

    @property
    def common(self) -> list[str]:
        return [f"Host: {self.host}", f"Authorization: Bearer {self.token}", "Connection: close"]

    def send(self, request: bytes, *, hang_up: bool = True) -> int:
        """The status of the answer, 0 where the server just closes the connection."""
        with socket.create_connection((self.host, self.port), timeout=60) as connection:
            try:
                connection.sendall(request)
                if hang_up:
                    connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(65536)
            except TimeoutError:
                raise
            except OSError:  # closed while we were still sending
                return 0
        found = re.match(rb"HTTP/1\.1 (\d+) ", answer)
        return int(found[1]) if found else 0

    def total(self) -> int:
        with urlopen(f"http://{self.host}:{self.port}{self.items}?token={self.token}") as response:
            return int(response.headers["X-Apify-Pagination-Total"])


@pytest.fixture
def raw(server: Server, token: str, new: Callable[[str], str]) -> Raw:
    parts = urlsplit(new("datasets"))
    return Raw(str(parts.hostname), int(parts.port or 0), token, f"{parts.path}/items")


def test_a_body_too_large_is_refused_before_it_is_sent(raw: Raw) -> None:
    """An answer comes at all: the rest of the body never does."""
    declared = raw.send(raw.post("Content-Length: 1000000000", body=b"["), hang_up=False)
    chunk = b"900000\r\n" + b" " * 0x900000 + b"\r\n"
    chunked = raw.send(raw.post("Transfer-Encoding: chunked", body=chunk * 2), hang_up=False)

    assert (declared, chunked) == (413, 413)


def test_a_sender_that_hangs_up_half_way_leaves_nothing(raw: Raw) -> None:
    raw.send(raw.post("Content-Length: 100", body=b'{"n": 1}'))
    raw.send(raw.post("Content-Length: 100", "Content-Encoding: gzip", body=gzip.compress(b"{}")))

    assert raw.total() == 0


def test_strangers_who_fall_silent_do_not_stop_the_server(raw: Raw, server: Server) -> None:
    stranger = raw._replace(token="nobody")
    request = stranger.post("Content-Length: 1000000", body=b"[")
    with ExitStack() as open_ones:
        for _ in range(100):
            connection = socket.create_connection((raw.host, raw.port), timeout=60)
            open_ones.enter_context(connection)
            connection.sendall(request)
        first = connection.recv(65536)

        with urlopen(f"{server.address}/healthz", timeout=60) as response:
            assert response.status == 200
        assert first.startswith(b"HTTP/1.1 401 ")


ODD: dict[str, Callable[[Raw], bytes]] = {
    "a chunk size that is none": lambda raw: raw.post(
        "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"
    ),
    "a chunk size below zero": lambda raw: raw.post(
        "Transfer-Encoding: chunked", body=b"-5\r\n{}\r\n0\r\n\r\n"
    ),
    "a chunk size beyond all": lambda raw: raw.post(
        "Transfer-Encoding: chunked", body=b"f" * 30 + b"\r\n{}\r\n0\r\n\r\n"
    ),
    "a length and chunks": lambda raw: raw.post(
        "Content-Length: 9", "Transfer-Encoding: chunked", body=b"2\r\n[]\r\n0\r\n\r\n"
    ),
    "two lengths": lambda raw: raw.post("Content-Length: 2", "Content-Length: 3", body=b"[] "),
    "a length below zero": lambda raw: raw.post("Content-Length: -1"),
    "a length beyond all": lambda raw: raw.post("Content-Length: " + "9" * 40),
    "a header of a megabyte": lambda raw: raw.post("X: " + "a" * 1_000_000),
    "five thousand headers": lambda raw: raw.post(*(f"X{n}: a" for n in range(5_000))),
    "a header without colon": lambda raw: raw.post("nothing"),
    "a header that is not text": lambda raw: raw.post("X: \xff\xfe", "Content-Length: 0"),
    "a token that is not text": lambda raw: raw.get("/v2/datasets", "Authorization: Bearer \xff"),
    "a host that is not one": lambda raw: raw.get(raw.items, 'Host: a"<b>'),
    "a path of other bytes": lambda raw: raw.get("/v2/datasets/\xff\xfe"),
    "a path that is not UTF-8": lambda raw: raw.get("/v2/datasets/%ff%fe"),
    "a path with a zero byte": lambda raw: raw.get("/v2/datasets/%00/items"),
    "a path with half an escape": lambda raw: raw.get("/v2/datasets/%z"),
    "a path that climbs": lambda raw: raw.get("/v2/datasets/../../../../etc/passwd"),
    "a path without end": lambda raw: raw.get("/v2/datasets/" + "a" * 100_000),
    "a query that is not UTF-8": lambda raw: raw.get(f"{raw.items}?limit=%ff"),
    "a number without end": lambda raw: raw.get(f"{raw.items}?limit=" + "9" * 5_000),
    "a thousand parameters": lambda raw: raw.get(f"{raw.items}?" + "a=1&" * 1_000),
    "gzip that is none": lambda raw: raw.post(
        "Content-Encoding: gzip", "Content-Length: 2", body=b"{}"
    ),
    "brotli that is none": lambda raw: raw.post(
        "Content-Encoding: br", "Content-Length: 2", body=b"{}"
    ),
    "deflate that is none": lambda raw: raw.post(
        "Content-Encoding: deflate", "Content-Length: 2", body=b"{}"
    ),
    "JSON that is not UTF-8": lambda raw: raw.post("Content-Length: 8", body=b'{"a":"\xff'),
    "JSON with a zero byte": lambda raw: raw.post("Content-Length: 3", body=b"{\0}"),
    "JSON without bottom": lambda raw: raw.post("Content-Length: 200000", body=b"[" * 200_000),
    "an item without bottom": lambda raw: raw.post(
        "Content-Length: 200005", body=b'{"a":' + b"[" * 100_000 + b"]" * 100_000
    ),
    "a method of its own": lambda raw: raw.get(raw.items).replace(b"GET", b"JUMP"),
    "a tunnel": lambda raw: b"CONNECT a.test:1 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "HTTP/0.9": lambda raw: b"GET /v2/datasets\r\n\r\n",
    "HTTP/3": lambda raw: b"GET / HTTP/3.0\r\n\r\n",
    "HTTP/2": lambda raw: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": lambda raw: bytes.fromhex("16030100a5010000a1") + b"x" * 100,
    "no HTTP": lambda raw: bytes(range(256)) * 10,
    "nothing": lambda raw: b"",
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_request_is_refused_at_once_and_leaves_nothing(
    raw: Raw, server: Server, odd: str
) -> None:
    started = time.monotonic()

    status = raw.send(ODD[odd](raw))

    assert status < 500
    assert time.monotonic() - started < 10  # when the server closes what stays silent
    assert raw.total() == 0
    with urlopen(f"{server.address}/healthz") as response:
        assert response.status == 200
