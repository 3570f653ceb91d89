"""The official Python client and request queues."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from apify_client import ApifyClient, ApifyClientAsync
from apify_client._resource_clients.request_queue import RequestQueueClient
from apify_client.errors import ApifyApiError, InvalidRequestError, NotFoundError

MINUTE = timedelta(minutes=1)

Client = Callable[[str | None], RequestQueueClient]


@pytest.fixture
def client(alice: ApifyClient) -> Client:
    """One queue, as the clients with these client keys see it."""
    id = alice.request_queues().get_or_create().id
    return lambda key: alice.request_queue(id, client_key=key)


@pytest.fixture
def queue(client: Client) -> RequestQueueClient:
    return client("one")


def _request(path: str, **more: Any) -> dict[str, Any]:
    url = f"http://shop.test/{path}"
    return {"url": url, "unique_key": url, **more}


def _paths(found: Any) -> list[str]:
    return [request.url.rpartition("/")[2] for request in found.items]


def _handled(queue: RequestQueueClient, id: str, **more: Any) -> Any:
    request = queue.get_request(id)
    assert request is not None
    request.handled_at = datetime.now(timezone.utc)
    return queue.update_request(request, **more)


def test_a_request_is_added_once_and_comes_back_whole(queue: RequestQueueClient) -> None:
    request = _request(
        "a?q=ščř",
        method="POST",
        payload='{"a": 1}',
        headers={"X-A": "1"},
        user_data={"label": "DETAIL", "__crawlee": {"state": 1}},
        no_retry=True,
        retry_count=2,
        error_messages=["no"],
        loaded_url="http://shop.test/b",
    )

    first = queue.add_request(request)
    again = queue.add_request(_request("a?q=ščř", method="GET"))
    found = queue.get_request(first.request_id)

    assert (first.was_already_present, first.was_already_handled) == (False, False)
    assert (again.was_already_present, again.was_already_handled) == (True, False)
    assert again.request_id == first.request_id
    assert found is not None
    known = found.model_dump(by_alias=False, exclude_none=True, mode="json")
    assert known["id"] == first.request_id
    assert {name: known[name] for name in request} == request


def test_ids_are_those_of_the_platform(queue: RequestQueueClient) -> None:
    known = {"http://example.com": "8OamqXBCpPHxyH9", "https://example.com/ěšč": "CUn8xeIfoLIK3Yx"}

    for key, id in known.items():
        assert queue.add_request({"url": key, "unique_key": key}).request_id == id


def test_two_hundred_requests_are_added_in_batches(queue: RequestQueueClient) -> None:
    requests = [_request(f"{n:03d}") for n in range(200)]
    queue.add_request(requests[7])

    added = queue.batch_add_requests(requests)
    found = queue.get()

    assert added.unprocessed_requests == []
    assert {one.unique_key for one in added.processed_requests} == {
        request["unique_key"] for request in requests
    }
    present = [one.unique_key for one in added.processed_requests if one.was_already_present]
    assert present == [requests[7]["unique_key"]]
    assert found is not None
    assert (found.total_request_count, found.pending_request_count) == (200, 200)
    assert _paths(queue.list_head(limit=3)) == ["007", "000", "001"]


def test_the_forefront_goes_first(queue: RequestQueueClient) -> None:
    queue.batch_add_requests([_request("a"), _request("b")])
    queue.add_request(_request("c"), forefront=True)
    queue.add_request(_request("d"), forefront=True)
    queue.batch_add_requests([_request("e"), _request("f")], forefront=True)

    assert _paths(queue.list_head()) == ["f", "e", "d", "c", "a", "b"]


def test_a_handled_request_leaves_the_head_and_counts(queue: RequestQueueClient) -> None:
    ids = [queue.add_request(_request(path)).request_id for path in "abc"]

    done = _handled(queue, ids[0])
    again = queue.add_request(_request("a"))
    repeated = _handled(queue, ids[0])
    found = queue.get()

    assert (done.was_already_present, done.was_already_handled) == (True, False)
    assert (again.was_already_present, again.was_already_handled) == (True, True)
    assert repeated.was_already_handled
    assert found is not None
    counts = (found.total_request_count, found.handled_request_count, found.pending_request_count)
    assert counts == (3, 1, 2)
    assert _paths(queue.list_head()) == ["b", "c"]
    kept = queue.get_request(ids[0])
    assert kept is not None
    assert kept.handled_at is not None


def test_an_update_moves_to_the_forefront_and_keeps_the_rest(queue: RequestQueueClient) -> None:
    ids = [queue.add_request(_request(path)).request_id for path in "abc"]
    request = queue.get_request(ids[2])
    assert request is not None
    request.retry_count = 3

    updated = queue.update_request(request, forefront=True)
    found = queue.get_request(ids[2])

    assert (updated.request_id, updated.was_already_present) == (ids[2], True)
    assert found is not None
    assert found.retry_count == 3
    assert _paths(queue.list_head()) == ["c", "a", "b"]


def test_an_update_of_an_unknown_request_adds_it(queue: RequestQueueClient) -> None:
    request = {"id": "8OamqXBCpPHxyH9", "url": "http://a", "unique_key": "http://example.com"}

    queue.update_request(request)

    assert queue.get_request("8OamqXBCpPHxyH9") is not None
    with pytest.raises(InvalidRequestError) as refused:
        queue.update_request({**request, "unique_key": "http://other"})
    assert refused.value.type == "request-id-invalid"


def test_requests_are_deleted_alone_and_in_batches(queue: RequestQueueClient) -> None:
    ids = [queue.add_request(_request(path)).request_id for path in "abcd"]

    queue.delete_request(ids[0])
    deleted = queue.batch_delete_requests(
        [{"id": ids[1]}, {"unique_key": "http://shop.test/c"}, {"id": "000000000000000"}]
    )
    found = queue.get()

    assert queue.get_request(ids[0]) is None
    assert len(deleted.processed_requests) >= 2
    assert _paths(queue.list_head()) == ["d"]
    assert found is not None
    assert found.total_request_count == found.pending_request_count == 1


def test_requests_are_listed_in_pages_and_by_state(client: Client) -> None:
    queue = client("one")
    paths = [f"{n:02d}" for n in range(30)]
    added = queue.batch_add_requests([_request(path) for path in paths]).processed_requests
    locked = queue.list_and_lock_head(lock_duration=MINUTE, limit=5)
    for request in added[10:13]:
        _handled(queue, request.request_id)

    first = queue.list_requests(limit=20)
    second = queue.list_requests(limit=20, cursor=first.next_cursor)
    walked = list(queue.iterate_requests(chunk_size=7))
    held = queue.list_requests(filter=["locked"])
    pending = list(queue.iterate_requests(filter=["pending"], chunk_size=6))
    either = queue.list_requests(filter=["pending", "locked"])

    assert (len(first.items), len(second.items), second.next_cursor) == (20, 10, None)
    assert sorted(_paths(first) + _paths(second)) == paths
    assert [one.id for one in walked] == [one.id for one in [*first.items, *second.items]]
    assert sorted(_paths(held)) == sorted(_paths(locked)) == paths[:5]
    assert len(pending) == 22
    assert len(either.items) == 27
    assert held.items[0].model_extra is not None
    assert held.items[0].model_extra["lockByClient"] == "one"
    assert len(queue.list_requests(limit=3).items) == 3


def test_a_locked_request_is_given_to_one_client(client: Client) -> None:
    one, two = client("one"), client("two")
    one.batch_add_requests([_request(f"{n}") for n in range(7)])

    mine = one.list_and_lock_head(lock_duration=MINUTE, limit=3)
    yours = two.list_and_lock_head(lock_duration=MINUTE, limit=3)
    left = one.list_and_lock_head(lock_duration=MINUTE)
    none = two.list_and_lock_head(lock_duration=MINUTE)

    assert (_paths(mine), _paths(yours), _paths(left)) == (list("012"), list("345"), ["6"])
    assert (none.items, none.queue_has_locked_requests) == ([], True)
    assert (mine.limit, mine.lock_secs, mine.client_key) == (3, 60, "one")
    assert mine.had_multiple_clients is False
    assert yours.had_multiple_clients is True
    assert timedelta(seconds=50) < mine.items[0].lock_expires_at - datetime.now(timezone.utc)
    assert two.list_head().items == []


def test_only_the_holder_prolongs_and_gives_back(client: Client) -> None:
    one, two = client("one"), client("two")
    one.batch_add_requests([_request("a"), _request("b")])
    held = one.list_and_lock_head(lock_duration=MINUTE).items
    first, second = (request.id for request in held)

    longer = one.prolong_request_lock(first, lock_duration=timedelta(minutes=5))
    for refused in (
        lambda: two.prolong_request_lock(first, lock_duration=MINUTE),
        lambda: two.delete_request_lock(first),
    ):
        with pytest.raises(InvalidRequestError) as failure:
            refused()
        assert failure.value.type == "request-handled-or-locked"
    with pytest.raises(NotFoundError):
        one.prolong_request_lock("000000000000000", lock_duration=MINUTE)
    one.delete_request_lock(second)
    one.delete_request_lock(first, forefront=True)

    assert longer is not None
    assert longer.lock_expires_at > held[0].lock_expires_at + MINUTE
    assert _paths(two.list_head()) == ["a", "b"]


def test_a_lock_ends_with_its_time_with_an_update_and_when_handled(client: Client) -> None:
    one, two = client("one"), client("two")
    ids = [one.add_request(_request(path)).request_id for path in "abc"]
    one.list_and_lock_head(lock_duration=MINUTE)

    assert two.list_head().items == []
    request = one.get_request(ids[1])
    assert request is not None
    one.update_request(request)
    _handled(one, ids[2])
    assert _paths(two.list_head()) == ["b"]
    one.prolong_request_lock(ids[0], lock_duration=timedelta(seconds=1))
    time.sleep(1.05)

    assert sorted(_paths(two.list_and_lock_head(lock_duration=MINUTE))) == ["a", "b"]
    with pytest.raises(InvalidRequestError):
        one.prolong_request_lock(ids[0], lock_duration=MINUTE)


def test_all_locks_of_a_client_are_given_back_at_once(client: Client) -> None:
    one, two = client("one"), client("two")
    one.batch_add_requests([_request(f"{n}") for n in range(9)])
    one.list_and_lock_head(lock_duration=MINUTE, limit=4)
    two.list_and_lock_head(lock_duration=MINUTE, limit=3)

    unlocked = one.unlock_requests()

    assert unlocked.unlocked_count == 4
    assert one.unlock_requests().unlocked_count == 0
    assert sorted(_paths(one.list_head())) == ["0", "1", "2", "3", "7", "8"]


def test_a_queue_without_client_keys_has_many_clients(client: Client) -> None:
    keyless = client(None)
    keyless.add_request(_request("a"))

    keyless.list_head()
    locked = keyless.list_and_lock_head(lock_duration=MINUTE)
    found = keyless.get()

    assert _paths(locked) == ["a"]
    assert found is not None
    assert found.had_multiple_clients is True


def test_reading_the_queue_itself_is_not_being_its_client(client: Client) -> None:
    client("one").add_request(_request("a"))
    client("one").list_head()

    before, after = client(None).get(), client(None).get()

    assert before is not None
    assert after is not None
    assert (before.had_multiple_clients, after.had_multiple_clients) == (False, False)


@pytest.mark.parametrize(
    "body",
    [
        {"url": "", "unique_key": "a"},
        {"url": "http://a", "unique_key": ""},
        {"url": "http://a", "unique_key": "a", "method": "JUMP"},
        {"url": "http://a", "unique_key": "a", "id": "8OamqXBCpPHxyH9"},
    ],
)
def test_what_is_no_request_is_refused(queue: RequestQueueClient, body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        queue.add_request(body)

    assert queue.list_requests().items == []


@pytest.mark.parametrize("key", ["", "k" * 33])
def test_client_keys_have_up_to_32_characters(client: Client, key: str) -> None:
    client("k" * 32).add_request(_request("a"))

    with pytest.raises(InvalidRequestError) as refused:
        client(key).list_head()
    assert refused.value.type == "invalid-client-key"


def test_the_same_unique_key_twice_in_a_batch_is_refused(queue: RequestQueueClient) -> None:
    with pytest.raises(ApifyApiError) as refused:
        queue.batch_add_requests([_request("a"), _request("a")])

    assert refused.value.type == "request-queue-duplicate-requests"


def test_a_missing_queue_is_none_or_an_error(alice: ApifyClient) -> None:
    gone = alice.request_queue("WkzbQMuFYuamGv3YF")

    assert gone.get() is None
    assert gone.get_request("8OamqXBCpPHxyH9") is None
    for ask in (
        gone.list_head,
        gone.list_requests,
        gone.unlock_requests,
        lambda: gone.list_and_lock_head(lock_duration=MINUTE),
        lambda: gone.add_request(_request("a")),
    ):
        with pytest.raises(NotFoundError):
            ask()


async def _consume(token: str | None, address: str, id: str) -> list[str]:
    """Four clients handle every request of a queue, each as fast as it can."""

    async def one(key: str) -> list[str]:
        client = ApifyClientAsync(token, api_url=address, max_retries=0)
        queue = client.request_queue(id, client_key=key)
        seen: list[str] = []
        while items := (await queue.list_and_lock_head(lock_duration=MINUTE, limit=7)).items:
            for item in items:
                request = await queue.get_request(item.id)
                assert request is not None
                seen.append(request.url)
                request.handled_at = datetime.now(timezone.utc)
                await queue.update_request(request)
        return seen

    return [url for seen in await asyncio.gather(*map(one, "abcd")) for url in seen]


async def _fill(token: str | None, address: str) -> str:
    client = ApifyClientAsync(token, api_url=address, max_retries=0)
    id = (await client.request_queues().get_or_create()).id
    requests = [_request(f"{n:03d}") for n in range(200)]
    added = await client.request_queue(id).batch_add_requests(requests, max_parallel=4)
    assert len(added.processed_requests) == 200
    return id


def test_four_asynchronous_clients_handle_every_request_once(alice: ApifyClient) -> None:
    address = alice._base_url
    id = asyncio.run(_fill(alice.token, address))

    seen = asyncio.run(_consume(alice.token, address, id))

    found = alice.request_queue(id).get()
    assert sorted(seen) == [f"http://shop.test/{n:03d}" for n in range(200)]
    assert found is not None
    assert (found.handled_request_count, found.pending_request_count) == (200, 0)
