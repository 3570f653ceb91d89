"""Queues of a server as the client sees them: its limits, its moods, its silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from storectl.client.http import Http
from storectl.client.queue import Queues
from storectl.errors import Network, NotFound, RateLimited
from storectl.model.queue import RequestsQuery
from storectl.model.request import Request
from storectl.model.rules import MAX_PAYLOAD_BYTES, request_id

SERVER = "https://data.example.com"
QUEUE = {
    "id": "WkzbQMuFYuamGv3YF",
    "userId": "u",
    "createdAt": "2019-12-12T07:34:14.202Z",
    "modifiedAt": "2019-12-12T07:34:14.202Z",
    "accessedAt": "2019-12-12T07:34:14.202Z",
}

Answering = Callable[[httpx.Request], httpx.Response]


class Server:
    """Answers as a function says, and remembers what it was asked."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.asked: list[httpx.Request] = []
        self.waits: list[float] = []
        self.offers: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/capabilities":
            return httpx.Response(200, json={"data": {"extensions": self.offers}})
        self.asked.append(request)
        return self.answer(request)

    def queues(self, retries: int = 3) -> Queues:
        """The keeper that talks to it."""
        transport = httpx.MockTransport(self)
        http = Http(SERVER, "t", retries=retries, transport=transport, sleep=self.waits.append)
        return Queues(http)

    def batches(self) -> list[list[str]]:
        """The uniqueKeys of each call."""
        bodies = [json.loads(request.content) for request in self.asked]
        return [[one["uniqueKey"] for one in body] for body in bodies]


def page(name: object, **fields: Any) -> Request:
    return {"uniqueKey": str(name), "url": f"https://example.com/{name}", **fields}


def taken(request: httpx.Request, left: tuple[str, ...] = ()) -> httpx.Response:
    """The answer to an add; of a batch in another order than it was sent, as may be."""
    body = json.loads(request.content)
    flags = {"wasAlreadyPresent": False, "wasAlreadyHandled": False}
    if isinstance(body, dict):
        alone = {"requestId": request_id(body["uniqueKey"]), **flags}
        return httpx.Response(201, json={"data": alone})
    processed = [
        {"requestId": request_id(one["uniqueKey"]), "uniqueKey": one["uniqueKey"], **flags}
        for one in reversed(body)
        if one["uniqueKey"] not in left
    ]
    unprocessed = [one for one in body if one["uniqueKey"] in left]
    return httpx.Response(
        201, json={"data": {"processedRequests": processed, "unprocessedRequests": unprocessed}}
    )


def failed(status: int, type: str = "record-not-found") -> httpx.Response:
    return httpx.Response(status, json={"error": {"type": type, "message": "Not so"}})


def test_requests_are_sent_25_at_a_time_and_answered_in_their_order() -> None:
    server = Server(taken)

    answer = server.queues().add("~a", [page(n) for n in range(52)], client_key="me")

    assert [len(batch) for batch in server.batches()] == [25, 25, 2]
    assert [each.unique_key for each in answer.processed_requests] == [str(n) for n in range(52)]
    assert {str(each.url.params["clientKey"]) for each in server.asked} == {"me"}


def test_a_server_of_large_batches_gets_1000_at_a_time() -> None:
    server = Server(taken)
    server.offers = ["large-batches"]

    answer = server.queues().add("~a", [page(n) for n in range(2100)])

    assert [len(batch) for batch in server.batches()] == [1000, 1000, 100]
    assert [each.unique_key for each in answer.processed_requests] == [str(n) for n in range(2100)]
    assert {each.url.params["large"] for each in server.asked} == {"1"}


def test_a_batch_stays_under_the_limit_of_a_body() -> None:
    server = Server(taken)

    server.queues().add("~a", [page(n, payload="x" * 4_000_000) for n in range(5)])

    assert [len(request.content) // 4_000_000 for request in server.asked] == [2, 2, 1]
    assert max(len(request.content) for request in server.asked) < MAX_PAYLOAD_BYTES


def test_each_call_has_an_idempotency_key_of_its_own() -> None:
    server = Server(taken)
    queues = server.queues()

    queues.add("~a", [page(n) for n in range(60)], idempotency_key="k")
    queues.add("~a", [page(n) for n in range(60)])

    keys = [request.headers["Idempotency-Key"] for request in server.asked]
    assert keys[:3] == ["k", "k-1", "k-2"]
    assert len(set(keys)) == 6


def test_the_same_request_is_sent_once_in_a_list() -> None:
    server = Server(taken)

    answer = server.queues().add("~a", [page("a"), page("b"), page("a")])

    assert server.batches() == [["a", "b"]]
    assert [each.was_already_present for each in answer.processed_requests] == [False, False, True]


def test_what_a_server_leaves_is_sent_again_after_a_wait() -> None:
    left = iter([("b", "c"), ("c",)])
    server = Server(lambda request: taken(request, next(left, ())))

    batch = server.queues().add("~a", [page(name) for name in "abc"])

    bodies = [json.loads(request.content) for request in server.asked]
    assert [len(body) if isinstance(body, list) else 1 for body in bodies] == [3, 2, 1]
    assert len(server.waits) == 2
    assert [each.unique_key for each in batch.processed_requests] == ["a", "b", "c"]
    assert batch.unprocessed_requests == []
    keys = [request.headers["Idempotency-Key"] for request in server.asked]
    assert len(set(keys)) == 3


def test_what_a_server_never_takes_is_answered_as_unprocessed() -> None:
    server = Server(lambda request: taken(request, ("b", "c")))

    batch = server.queues().add("~a", [page(name) for name in "abcd"])

    assert [each.unique_key for each in batch.processed_requests] == ["a", "d"]
    assert batch.unprocessed_requests == [page("b"), page("c")]
    assert len(server.asked) == 4


def test_an_add_whose_answer_was_lost_is_sent_again() -> None:
    """What is there already stays as it is: a repetition is harmless on any server."""
    answers = iter(["lost", "lost", "kept"])

    def answer(request: httpx.Request) -> httpx.Response:
        if next(answers) == "lost":
            raise httpx.ReadError("reset")
        return taken(request)

    server = Server(answer)

    assert len(server.queues().add("~a", [page("a"), page("b")]).processed_requests) == 2
    assert len({request.headers["Idempotency-Key"] for request in server.asked}) == 1


def test_a_lock_whose_answer_was_lost_is_not_asked_again() -> None:
    """It may have locked 25 requests that nobody would work on."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    server = Server(answer)

    with pytest.raises(Network):
        server.queues().lock_head("~a", lock_secs=60)
    assert len([each for each in server.asked if "head/lock" in str(each.url)]) == 1


def test_a_lock_that_was_refused_for_its_rate_is_asked_again() -> None:
    answers = iter([failed(429, "rate-limit-exceeded")] * 2)
    head = {
        "limit": 25,
        "lockSecs": 60,
        "queueModifiedAt": QUEUE["modifiedAt"],
        "hadMultipleClients": False,
        "queueHasLockedRequests": False,
        "items": [],
    }
    server = Server(lambda _: next(answers, httpx.Response(201, json={"data": head})))

    locked = server.queues().lock_head("~a", lock_secs=60)

    assert (locked.items, locked.client_key) == ([], None)
    assert len(server.waits) == 2
    with pytest.raises(RateLimited):
        Server(lambda _: failed(429)).queues(retries=0).head("~a")


@pytest.mark.parametrize("queue_is_there", [True, False])
def test_a_404_about_a_request_names_what_is_missing(queue_is_there: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("~a") and queue_is_there:
            return httpx.Response(200, json={"data": QUEUE})
        return failed(404)

    for ask in (
        lambda queues: queues.request("~a", "A" * 15),
        lambda queues: queues.prolong("~a", "A" * 15, lock_secs=5),
        lambda queues: queues.unlock("~a", "A" * 15),
    ):
        with pytest.raises(NotFound) as failure:
            ask(Server(answer).queues())
        wanted = f"Request queue 'a' has no request '{'A' * 15}'"
        assert failure.value.message == (
            wanted if queue_is_there else "Request queue 'a' was not found"
        )
        assert failure.value.http == 404


@pytest.mark.parametrize("id", ["", "..", ".", "a/../..", "head", "x?y"])
def test_an_id_never_leads_to_another_address(id: str) -> None:
    """`DELETE …/requests/..` would be `DELETE` of the queue."""
    server = Server(lambda _: failed(404))
    queues = server.queues()

    for ask in (lambda: queues.request("~a", id), lambda: queues.unlock("~a", id)):
        with pytest.raises(NotFound):
            ask()

    paths = {request.url.raw_path.decode().partition("?")[0] for request in server.asked}
    assert paths <= {
        "/v2/request-queues/~a",
        f"/v2/request-queues/~a/requests/{id}",
        f"/v2/request-queues/~a/requests/{id}/lock",
    }
    assert server.asked == [] or id == "head"


def test_a_list_without_a_next_cursor_is_at_its_end() -> None:
    server = Server(lambda _: httpx.Response(200, json={"data": {"items": [], "limit": 5}}))

    answer = server.queues().requests("~a", RequestsQuery(filter=("locked", "pending")))

    assert answer.next_cursor is None
    assert server.asked[0].url.params["filter"] == "locked,pending"


def test_requests_left_by_a_batch_delete_are_told() -> None:
    left = {"uniqueKey": "b", "url": "https://example.com/b"}
    told = {"processedRequests": [{"uniqueKey": "a"}], "unprocessedRequests": [left]}
    server = Server(lambda _: httpx.Response(200, json={"data": told}))

    answer = server.queues().delete_requests("~a", [{"uniqueKey": "a"}, {"uniqueKey": "b"}])

    assert [key["uniqueKey"] for key in answer.processed_requests] == ["a"]
    assert [key["uniqueKey"] for key in answer.unprocessed_requests] == ["b"]
    assert json.loads(server.asked[0].content) == [{"id": request_id("a")}, {"id": request_id("b")}]
