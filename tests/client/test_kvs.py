"""Records on a remote API: what is sent, what is sent again, what is believed."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from storectl.client.http import Http
from storectl.client.kvs import SPOOL_BYTES, KeyValueStores
from storectl.errors import Internal, NotFound, RateLimited
from storectl.model.kvs import KeysQuery, Record, every_key

STORE = {
    "id": "WkzbQMuFYuamGv3YF",
    "userId": "u",
    "createdAt": "2019-12-12T07:34:14.202Z",
    "modifiedAt": "2019-12-12T07:34:14.202Z",
    "accessedAt": "2019-12-12T07:34:14.202Z",
}
BODY = [b"one", b"two" * 1000, b"three"]


class Server:
    """Answers each request in turn, the last answer for ever, and remembers what came."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response] = []
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.read())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def kvs(server: Server) -> KeyValueStores:
    transport = httpx.MockTransport(server)
    http = Http("https://data.example.com", retries=3, transport=transport, sleep=lambda _: None)
    return KeyValueStores(http)


def record(body: object, size: int | None = None) -> Record:
    return Record(key="k", content_type="text/plain", size=size, body=body)


def busy() -> httpx.Response:
    return httpx.Response(503, json={"error": {"type": "x", "message": "busy"}})


def test_a_record_is_asked_for_as_it_is_stored(kvs: KeyValueStores, server: Server) -> None:
    """attachment: without it the platform may alter HTML."""
    stream = httpx.ByteStream(b"x")
    server.answers = [httpx.Response(200, headers={"Content-Type": "a/b"}, stream=stream)]

    found = kvs.record("~box", "it's(1)")

    (request,) = server.requests
    assert request.headers["accept-encoding"] == "br, gzip, deflate"
    assert request.url.query == b"attachment=1"
    assert request.url.raw_path.split(b"?")[0] == (
        b"/v2/key-value-stores/~box/records/it%27s%281%29"
    )
    assert (found.content_type, b"".join(found.body)) == ("a/b", b"x")


@pytest.mark.parametrize("size", [None, 3008])
def test_a_body_is_sent_with_its_length(
    kvs: KeyValueStores, server: Server, size: int | None
) -> None:
    """Cut off in chunks it could be taken for whole."""
    server.answers = [httpx.Response(201, json={})]

    kvs.put("~box", record(iter(BODY), size))

    (request,) = server.requests
    assert request.headers["content-length"] == "3008"
    assert "transfer-encoding" not in request.headers
    assert server.bodies == [b"".join(BODY)]


def test_a_body_that_can_be_read_again_is_sent_again(kvs: KeyValueStores, server: Server) -> None:
    server.answers = [busy(), busy(), httpx.Response(201, json={})]

    kvs.put("~box", record(BODY, 3008))

    assert server.bodies == [b"".join(BODY)] * 3


def test_a_pipe_is_sent_again_from_what_was_spooled(kvs: KeyValueStores, server: Server) -> None:
    server.answers = [busy(), httpx.Response(201, json={})]
    block = bytes(1_000_000)

    kvs.put("~box", record(iter([block] * 10)))

    assert [len(body) for body in server.bodies] == [10_000_000] * 2
    assert SPOOL_BYTES < 10_000_000


def test_a_body_that_is_used_up_is_not_sent_again(kvs: KeyValueStores, server: Server) -> None:
    """Half a body with a success would be worse than the failure, which is told as it was."""
    too_many = httpx.Response(429, json={"error": {"type": "r", "message": "too many"}})
    server.answers = [too_many, httpx.Response(201, json={})]

    with pytest.raises(RateLimited, match="too many"):
        kvs.put("~box", record(iter([b"x" * 50_000] * 2), 100_000))

    assert len(server.requests) == 1


def test_a_small_body_is_held_and_sent_again(kvs: KeyValueStores, server: Server) -> None:
    too_many = httpx.Response(429, json={"error": {"type": "r", "message": "too many"}})
    server.answers = [too_many, httpx.Response(201, json={})]

    kvs.put("~box", record(iter(BODY), 3008))

    assert [request.content for request in server.requests] == [b"".join(BODY)] * 2


def test_a_failure_of_the_sender_is_passed_on(kvs: KeyValueStores, server: Server) -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionResetError("the pipe broke")

    with pytest.raises(ConnectionResetError):
        kvs.put("~box", record(body()))

    assert server.requests == []


@pytest.mark.parametrize("body", [True, False])
def test_a_404_is_told_apart_by_asking_for_the_store(
    kvs: KeyValueStores, server: Server, body: bool
) -> None:
    missing = {"error": {"type": "record-not-found", "message": "Not found"}}
    server.answers = [httpx.Response(404, json=missing), httpx.Response(200, json={"data": STORE})]
    with pytest.raises(NotFound, match="has no record 'k'"):
        kvs.record("~box", "k", body=body)

    server.answers = [httpx.Response(404, json=missing)]
    with pytest.raises(NotFound, match="Key-value store 'box' was not found"):
        kvs.record("~box", "k", body=body)


def test_removing_what_a_server_does_not_find_is_no_failure(
    kvs: KeyValueStores, server: Server
) -> None:
    missing = {"error": {"type": "record-not-found", "message": "Record was not found"}}
    server.answers = [httpx.Response(404, json=missing), httpx.Response(200, json={"data": STORE})]

    kvs.remove("~box", "k")

    assert [request.method for request in server.requests] == ["DELETE", "GET"]


def test_keys_of_a_server_that_leaves_out_nulls(kvs: KeyValueStores, server: Server) -> None:
    server.answers = [httpx.Response(200, json={"data": {"items": [{"key": "a", "size": 1}]}})]

    page = kvs.keys("~box", KeysQuery())

    assert (page.count, page.is_truncated, page.next_exclusive_start_key) == (1, False, None)


def test_a_server_that_lists_the_same_page_for_ever_is_left(
    kvs: KeyValueStores, server: Server
) -> None:
    page = {"items": [{"key": "a", "size": 1}], "nextExclusiveStartKey": "a"}
    server.answers = [httpx.Response(200, json={"data": page})]

    with pytest.raises(Internal, match="again and again"):
        list(every_key(kvs, "~box"))


@pytest.mark.parametrize(
    "page", [{}, {"items": None}, {"items": [{"key": 5, "size": 1}]}, {"items": [{"key": "a"}]}, []]
)
def test_a_page_of_keys_that_is_none_is_a_failure_of_the_server(
    server: Server, kvs: KeyValueStores, page: object
) -> None:
    server.answers = [httpx.Response(200, json={"data": page})]

    with pytest.raises(Internal, match="not the API's"):
        kvs.keys("id", KeysQuery())
