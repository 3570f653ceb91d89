"""Facts of the wire about request queues: statuses, shapes, parameters, refusals."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from storectl.model import rules

from .conftest import Connect
from .test_wire import error


@pytest.fixture
def queue(api: httpx.Client) -> str:
    """The path of an empty queue."""
    id = api.post("/v2/request-queues?name=crawl").json()["data"]["id"]
    return f"/v2/request-queues/{id}"


def page(name: object, **fields: Any) -> dict[str, Any]:
    return {"uniqueKey": str(name), "url": f"https://example.com/{name}", **fields}


def add(api: httpx.Client, queue: str, *names: object) -> list[str]:
    """The IDs of some new requests."""
    answer = api.post(f"{queue}/requests/batch", json=[page(name) for name in names])
    return [each["requestId"] for each in answer.json()["data"]["processedRequests"]]


def test_an_empty_queue_has_all_fields_that_clients_insist_on(
    api: httpx.Client, queue: str
) -> None:
    found = api.get(queue).json()["data"]

    assert found["totalRequestCount"] == found["handledRequestCount"] == 0
    assert found["pendingRequestCount"] == 0
    assert found["hadMultipleClients"] is False
    assert found["stats"] == dict.fromkeys(
        ("readCount", "writeCount", "deleteCount", "headItemReadCount", "storageBytes"), 0
    )
    assert found["consoleUrl"].startswith("http://api.test/")
    assert {"id", "userId", "username", "name", "createdAt", "modifiedAt", "accessedAt"} <= set(
        found
    )


def test_adding_one_request_answers_201(api: httpx.Client, queue: str) -> None:
    first = api.post(f"{queue}/requests", json=page("test-key-1"))
    again = api.post(f"{queue}/requests?forefront=true&clientKey=me", json=page("test-key-1"))

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == {
        "data": {
            "requestId": "ElVVjfWGrieQB6J",
            "wasAlreadyPresent": False,
            "wasAlreadyHandled": False,
        }
    }
    assert again.json()["data"]["wasAlreadyPresent"] is True


def test_adding_a_batch_answers_201_with_every_unique_key(api: httpx.Client, queue: str) -> None:
    answer = api.post(f"{queue}/requests/batch?forefront=0", json=[page("a"), page("b")])

    assert answer.status_code == 201
    assert answer.json() == {
        "data": {
            "processedRequests": [
                {
                    "requestId": rules.request_id(name),
                    "uniqueKey": name,
                    "wasAlreadyPresent": False,
                    "wasAlreadyHandled": False,
                }
                for name in "ab"
            ],
            "unprocessedRequests": [],
        }
    }


def test_a_batch_has_1_to_25_requests(api: httpx.Client, queue: str) -> None:
    batch = f"{queue}/requests/batch"

    assert api.post(batch, json=[page(n) for n in range(25)]).status_code == 201
    assert error(api.post(batch, json=[page(n) for n in range(26)])) == (400, "invalid-value")
    assert error(api.post(batch, json=[])) == (400, "invalid-value")
    assert api.request("DELETE", batch, json=[page(n) for n in range(26)]).status_code == 400
    assert api.get(queue).json()["data"]["totalRequestCount"] == 25


def test_a_large_batch_has_up_to_1000_requests_in_their_order(
    api: httpx.Client, queue: str
) -> None:
    batch = f"{queue}/requests/batch?large=1"

    assert api.post(batch, json=[page(n) for n in range(1000)]).status_code == 201
    assert error(api.post(batch, json=[page(n) for n in range(1001)])) == (400, "invalid-value")

    head = api.get(f"{queue}/head?limit=1000").json()["data"]["items"]
    assert [item["uniqueKey"] for item in head] == [page(n)["uniqueKey"] for n in range(1000)]


def test_a_unique_key_is_in_a_batch_once(api: httpx.Client, queue: str) -> None:
    answer = api.post(f"{queue}/requests/batch", json=[page("a"), page("b"), page("a")])

    assert error(answer) == (400, "request-queue-duplicate-requests")
    assert "'a'" in answer.json()["error"]["message"]
    assert api.get(queue).json()["data"]["totalRequestCount"] == 0


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("requests", "[]", "invalid-request"),
        ("requests", "", "invalid-value"),
        ("requests", "{}", "invalid-value"),
        ("requests", "{", "invalid-input"),
        ("requests", '{"url":"https://example.com"}', "invalid-value"),
        ("requests", '{"uniqueKey":"a","url":"u","id":"AAAAAAAAAAAAAAA"}', "request-id-invalid"),
        ("requests/batch", "{}", "invalid-request"),
        ("requests/batch", "", "invalid-request"),
        ("requests/batch", "[1]", "invalid-request"),
        ("requests/batch", '[{"uniqueKey":"a"}]', "invalid-value"),
        ("requests/batch", '[{"uniqueKey":["a"],"url":"u"}]', "invalid-value"),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    api: httpx.Client, queue: str, path: str, body: str, kind: str
) -> None:
    answer = api.post(f"{queue}/{path}", content=body, headers={"Content-Type": "application/json"})

    assert error(answer) == (400, kind)


def test_a_request_is_read_whole_and_an_unknown_one_is_404(api: httpx.Client, queue: str) -> None:
    sent = page("a", userData={"__crawlee": {"x": None}}, odd=[1.5])
    api.post(f"{queue}/requests", json=sent)
    id = rules.request_id("a")

    assert api.get(f"{queue}/requests/{id}").json() == {"data": {"id": id, **sent}}
    assert error(api.get(f"{queue}/requests/AAAAAAAAAAAAAAA")) == (404, "record-not-found")


def test_a_request_is_written_under_its_own_id_only(api: httpx.Client, queue: str) -> None:
    id, other = rules.request_id("a"), rules.request_id("b")

    made = api.put(f"{queue}/requests/{id}", json=page("a"))
    again = api.put(f"{queue}/requests/{id}?forefront=1", json=page("a", id=id))

    assert made.status_code == 200
    assert made.json()["data"] == {
        "requestId": id,
        "wasAlreadyPresent": False,
        "wasAlreadyHandled": False,
    }
    assert again.json()["data"]["wasAlreadyPresent"] is True
    for body in (page("a"), page("a", id=id)):
        answer = api.put(f"{queue}/requests/{other}", json=body)
        assert error(answer) == (400, "request-id-invalid")


def test_deleting_a_request_answers_204_also_if_it_is_not_there(
    api: httpx.Client, queue: str
) -> None:
    (id,) = add(api, queue, "a")

    for _ in range(2):
        answer = api.delete(f"{queue}/requests/{id}?clientKey=me")
        assert (answer.status_code, answer.content) == (204, b"")
    assert error(api.get(f"{queue}/requests/{id}")) == (404, "record-not-found")


def test_a_delete_with_a_body_deletes_a_batch(api: httpx.Client, queue: str) -> None:
    ids = add(api, queue, "a", "b", "c")

    answer = api.request(
        "DELETE", f"{queue}/requests/batch", json=[{"id": ids[0]}, {"uniqueKey": "b"}]
    )

    assert answer.status_code == 200
    assert answer.json() == {
        "data": {
            "processedRequests": [{"id": ids[0]}, {"id": ids[1], "uniqueKey": "b"}],
            "unprocessedRequests": [],
        }
    }
    assert api.get(queue).json()["data"]["totalRequestCount"] == 1


@pytest.mark.parametrize("more", ["", "&inOrder=1", "&filter=pending"])
def test_who_observes_a_queue_is_no_client_of_it(api: httpx.Client, queue: str, more: str) -> None:
    api.post(f"{queue}/requests?clientKey=crawler", json=page("a")).raise_for_status()

    found = api.get(f"{queue}/requests?observe=1{more}").json()["data"]["items"]
    assert [one["uniqueKey"] for one in found] == ["a"]
    assert api.get(queue).json()["data"]["hadMultipleClients"] is False

    api.get(f"{queue}/requests?limit=1{more}").raise_for_status()
    assert api.get(queue).json()["data"]["hadMultipleClients"] is True


def test_the_head_has_its_shape(api: httpx.Client, queue: str) -> None:
    (id,) = add(api, queue, "a")

    found = api.get(f"{queue}/head?limit=5&clientKey=me").json()["data"]

    assert found == {
        "limit": 5,
        "queueModifiedAt": api.get(queue).json()["data"]["modifiedAt"],
        "hadMultipleClients": True,
        "items": [{"id": id, **page("a"), "method": "GET", "retryCount": 0}],
    }


def test_a_locked_head_has_its_shape_and_answers_201(api: httpx.Client, queue: str) -> None:
    (id,) = add(api, queue, "a")

    answer = api.post(
        f"{queue}/head/lock?lockSecs=60&limit=5&clientKey=me",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code == 201
    found = answer.json()["data"]
    assert rules.iso(rules.now_ms()) < found["items"][0].pop("lockExpiresAt")
    assert found == {
        "limit": 5,
        "lockSecs": 60,
        "queueModifiedAt": api.get(queue).json()["data"]["modifiedAt"],
        "hadMultipleClients": True,
        "queueHasLockedRequests": True,
        "clientKey": "me",
        "items": [{"id": id, **page("a"), "method": "GET", "retryCount": 0}],
    }


@pytest.mark.parametrize("query", ["", "lockSecs=", "lockSecs=0", "lockSecs=x", "lockSecs=-1"])
def test_a_lock_without_a_time_is_refused(api: httpx.Client, queue: str, query: str) -> None:
    (id,) = add(api, queue, "a")

    for answer in (
        api.post(f"{queue}/head/lock?{query}"),
        api.put(f"{queue}/requests/{id}/lock?{query}"),
    ):
        assert error(answer) == (400, "invalid-parameter")
        assert "lockSecs must be" in answer.json()["error"]["message"]


def test_a_lock_is_prolonged_given_back_and_refused(api: httpx.Client, queue: str) -> None:
    a, b = add(api, queue, "a", "b")
    api.post(f"{queue}/head/lock?lockSecs=5&clientKey=me")

    longer = api.put(f"{queue}/requests/{a}/lock?lockSecs=600&clientKey=me&forefront=false")
    foreign = api.put(f"{queue}/requests/{a}/lock?lockSecs=600&clientKey=you")
    back = api.delete(f"{queue}/requests/{a}/lock?clientKey=me&forefront=true")
    again = api.delete(f"{queue}/requests/{a}/lock?clientKey=me")
    rest = api.post(f"{queue}/requests/unlock?clientKey=me")

    assert list(longer.json()["data"]) == ["lockExpiresAt"]
    assert error(foreign) == (400, "request-handled-or-locked")
    assert (back.status_code, back.content) == (204, b"")
    assert error(again) == (400, "request-handled-or-locked")
    assert (rest.status_code, rest.json()) == (200, {"data": {"unlockedCount": 1}})
    assert error(api.delete(f"{queue}/requests/AAAAAAAAAAAAAAA/lock")) == (404, "record-not-found")
    assert [item["id"] for item in api.get(f"{queue}/head").json()["data"]["items"]] == [a, b]


def test_a_list_of_requests_has_its_shape(api: httpx.Client, queue: str) -> None:
    ids = sorted(add(api, queue, *"abc"))

    first = api.get(f"{queue}/requests?limit=2").json()["data"]
    second = api.get(
        f"{queue}/requests", params={"limit": 2, "cursor": first["nextCursor"]}
    ).json()["data"]

    assert [item["id"] for item in first["items"]] == ids[:2]
    assert [item["id"] for item in second["items"]] == ids[2:]
    assert first["limit"] == second["limit"] == 2
    assert second["nextCursor"] is None
    assert second["cursor"] == first["nextCursor"]


def test_a_list_takes_filters_comma_joined(api: httpx.Client, queue: str) -> None:
    add(api, queue, *"abc")
    api.post(f"{queue}/head/lock?lockSecs=60&limit=1&clientKey=me")

    def listed(filter: str) -> list[str]:
        found = api.get(f"{queue}/requests", params={"filter": filter}).json()["data"]["items"]
        return sorted(item["uniqueKey"] for item in found)

    assert (listed("locked"), listed("pending"), listed("locked,pending")) == (
        ["a"],
        ["b", "c"],
        ["a", "b", "c"],
    )
    (item,) = api.get(f"{queue}/requests?filter=locked").json()["data"]["items"]
    assert item["lockByClient"] == "me"
    assert error(api.get(f"{queue}/requests?filter=done")) == (400, "invalid-parameter")


CLIENT_CALLS = [
    ("GET", "requests", None),
    ("POST", "requests", page("a")),
    ("PUT", f"requests/{rules.request_id('a')}", page("a")),
    ("DELETE", f"requests/{rules.request_id('a')}", None),
    ("POST", "requests/batch", [page("a")]),
    ("DELETE", "requests/batch", [page("a")]),
    ("POST", "requests/unlock", None),
    ("GET", "head", None),
    ("POST", "head/lock?lockSecs=5", None),
    ("PUT", f"requests/{rules.request_id('a')}/lock?lockSecs=5", None),
    ("DELETE", f"requests/{rules.request_id('a')}/lock", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CLIENT_CALLS)
@pytest.mark.parametrize("key", ["", "x" * 33])
def test_a_client_key_that_is_none_is_refused(
    api: httpx.Client, queue: str, method: str, path: str, body: Any, key: str
) -> None:
    mark = "&" if "?" in path else "?"

    answer = api.request(method, f"{queue}/{path}{mark}clientKey={key}", json=body)

    assert error(answer) == (400, "invalid-client-key")


def test_a_repeated_add_with_its_key_gets_the_same_answer(api: httpx.Client, queue: str) -> None:
    key = {"Idempotency-Key": "k-1"}

    for path, body in (("requests", page("a")), ("requests/batch", [page("b"), page("c")])):
        key = {"Idempotency-Key": path}
        first = api.post(f"{queue}/{path}", json=body, headers=key)
        again = api.post(f"{queue}/{path}", json=body, headers=key)
        assert first.json() == again.json()
        assert first.status_code == again.status_code == 201


READS = ["", "/requests", "/requests/{id}", "/head"]
WRITES = [
    ("POST", "/requests", page("b")),
    ("PUT", "/requests/{id}", page("a")),
    ("DELETE", "/requests/{id}", None),
    ("POST", "/requests/batch", [page("b")]),
    ("DELETE", "/requests/batch", [page("a")]),
    ("POST", "/requests/unlock", None),
    ("POST", "/head/lock?lockSecs=5", None),
    ("PUT", "/requests/{id}/lock?lockSecs=5", None),
    ("DELETE", "/requests/{id}/lock", None),
]


@pytest.mark.parametrize("path", READS)
def test_a_stranger_reads_a_queue_only_if_it_is_open(
    api: httpx.Client, connect: Connect, queue: str, path: str
) -> None:
    (id,) = add(api, queue, "a")
    url = queue + path.format(id=id)

    assert error(connect(None).get(url)) == (401, "token-not-provided")
    assert error(connect("bob").get(url)) == (403, "insufficient-permissions")

    api.put(queue, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
    assert connect(None).get(url).status_code == 200
    assert connect("bob").get(url).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_stranger_never_writes_to_a_queue(
    api: httpx.Client, connect: Connect, queue: str, method: str, path: str, body: Any
) -> None:
    (id,) = add(api, queue, "a")
    api.put(queue, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
    url = queue + path.format(id=id)

    assert error(connect(None).request(method, url, json=body)) == (401, "token-not-provided")
    assert error(connect("bob").request(method, url, json=body)) == (
        403,
        "insufficient-permissions",
    )
    assert api.get(queue).json()["data"]["totalRequestCount"] == 1


def test_a_body_over_the_limit_is_413(api: httpx.Client, queue: str) -> None:
    large = page("a", payload="x" * rules.MAX_PAYLOAD_BYTES)

    assert error(api.post(f"{queue}/requests", json=large)) == (413, "request-too-large")
    assert error(api.post(f"{queue}/requests/batch", json=[large])) == (413, "request-too-large")
