"""What request queues promise, whatever keeps them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from storectl.errors import InvalidInput, NotFound, TooLarge
from storectl.model import rules
from storectl.model.queue import Added, LockedHead, Queues, RequestsQuery
from storectl.model.request import Request
from storectl.model.store import Store

HANDLED_AT = "2026-01-02T03:04:05.678Z"
Q = "~crawl"


@pytest.fixture
def queues(store: Store) -> Queues:
    """The keeper, with one empty queue."""
    store.queues.create("crawl")
    return store.queues


def page(name: object, **fields: Any) -> Request:
    url = f"https://example.com/{name}"
    return {"uniqueKey": url, "url": url, **fields}


def id_of(name: object) -> str:
    return rules.request_id(f"https://example.com/{name}")


def add(queues: Queues, *names: object, **options: Any) -> list[Added]:
    return queues.add(Q, [page(name) for name in names], **options).processed_requests


def flags(added: Added) -> tuple[bool, bool]:
    return added.was_already_present, added.was_already_handled


def in_head(queues: Queues, **options: Any) -> str:
    """The names in the head, in order, joined."""
    items = queues.head(Q, **options).items
    return " ".join(item["url"].removeprefix("https://example.com/") for item in items)


def locked(head: LockedHead) -> str:
    return " ".join(item["url"].removeprefix("https://example.com/") for item in head.items)


def lock(queues: Queues, count: int, key: str | None = "me", secs: int = 60) -> str:
    return locked(queues.lock_head(Q, limit=count, lock_secs=secs, client_key=key))


def counts(queues: Queues) -> tuple[int, int, int]:
    found = queues.get(Q)
    return (
        found.total_request_count,
        found.handled_request_count,
        found.pending_request_count,
    )


# Adding


def test_a_new_request_is_added_and_a_known_one_stays_as_it_is(queues: Queues) -> None:
    first = queues.add(Q, [page("a", userData={"n": 1})]).processed_requests[0]
    again = queues.add(Q, [page("a", userData={"n": 2})]).processed_requests[0]

    assert flags(first) == (False, False)
    assert flags(again) == (True, False)
    assert first.request_id == again.request_id == id_of("a")
    assert again.unique_key == "https://example.com/a"
    assert queues.request(Q, id_of("a"))["userData"] == {"n": 1}
    assert counts(queues) == (1, 0, 1)


def test_the_answers_are_in_the_order_of_the_requests(queues: Queues) -> None:
    add(queues, 7, 70)

    batch = queues.add(Q, [page(n) for n in range(80)])

    assert [each.request_id for each in batch.processed_requests] == [id_of(n) for n in range(80)]
    present = [n for n, each in enumerate(batch.processed_requests) if each.was_already_present]
    assert present == [7, 70]
    assert batch.unprocessed_requests == []


def test_any_number_of_requests_keeps_its_order(queues: Queues) -> None:
    add(queues, *range(70))

    assert in_head(queues, limit=1000) == " ".join(map(str, range(70)))
    assert counts(queues) == (70, 0, 70)


def test_a_request_twice_in_a_list_is_there_the_second_time(queues: Queues) -> None:
    batch = queues.add(Q, [page("a"), page("b", handledAt=HANDLED_AT), page("a"), page("b")])

    assert [flags(each) for each in batch.processed_requests] == [
        (False, False),
        (False, False),
        (True, False),
        (True, True),
    ]
    assert counts(queues) == (2, 1, 1)


def test_adding_nothing_changes_nothing(queues: Queues) -> None:
    assert queues.add(Q, []).processed_requests == []
    assert counts(queues) == (0, 0, 0)


def test_the_front_is_a_stack_and_comes_before_the_rest(queues: Queues) -> None:
    add(queues, "a", "b")
    add(queues, "x", forefront=True)
    add(queues, "y", "z", forefront=True)
    add(queues, "c")

    assert in_head(queues) == "z y x a b c"


def test_many_at_the_front_are_as_if_added_one_by_one(queues: Queues) -> None:
    add(queues, *range(60), forefront=True)

    assert in_head(queues, limit=100) == " ".join(map(str, reversed(range(60))))


def test_adding_a_known_request_to_the_front_moves_nothing(queues: Queues) -> None:
    add(queues, "a", "b", "c")

    add(queues, "c", forefront=True)

    assert in_head(queues) == "a b c"


def test_a_request_added_as_handled_is_never_in_the_head(queues: Queues) -> None:
    added = queues.add(Q, [page("a", handledAt=HANDLED_AT)]).processed_requests[0]

    assert flags(added) == (False, False)
    assert in_head(queues) == ""
    assert counts(queues) == (1, 1, 0)
    assert flags(add(queues, "a")[0]) == (True, True)


def test_an_add_with_a_known_key_gives_the_first_answer_again(queues: Queues) -> None:
    first = queues.add(Q, [page("a"), page("b")], idempotency_key="k")
    again = queues.add(Q, [page("a"), page("b")], idempotency_key="k")
    other = queues.add(Q, [page("a"), page("b")], idempotency_key="l")

    assert [flags(each) for each in again.processed_requests] == [(False, False)] * 2
    assert again.processed_requests == first.processed_requests
    assert [flags(each) for each in other.processed_requests] == [(True, False)] * 2
    assert counts(queues) == (2, 0, 2)


WRONG = [
    ("not an object", "object"),
    ({"url": "https://example.com"}, "uniqueKey is missing"),
    ({"uniqueKey": "a"}, "url is missing"),
    ({"uniqueKey": "", "url": "u"}, "uniqueKey"),
    ({"uniqueKey": 1, "url": "u"}, "uniqueKey"),
    ({"uniqueKey": "a", "url": None}, "url"),
    ({"uniqueKey": "a", "url": "u", "method": "FETCH"}, "FETCH"),
    ({"uniqueKey": "a", "url": "u", "method": 1}, "method"),
    ({"uniqueKey": "a", "url": "u", "retryCount": "1"}, "retryCount"),
    ({"uniqueKey": "a", "url": "u", "retryCount": True}, "retryCount"),
    ({"uniqueKey": "a", "url": "u", "payload": [1]}, "payload"),
    ({"uniqueKey": "a", "url": "u", "headers": "h"}, "headers"),
    ({"uniqueKey": "a", "url": "u", "userData": []}, "userData"),
    ({"uniqueKey": "a", "url": "u", "errorMessages": "e"}, "errorMessages"),
    ({"uniqueKey": "a", "url": "u", "handledAt": "yesterday"}, "handledAt"),
    ({"uniqueKey": "a", "url": "u", "handledAt": "2026-01-02T03:04:05"}, "handledAt"),
    ({"uniqueKey": "a", "url": "u", "id": "AAAAAAAAAAAAAAA"}, "uniqueKey"),
]


@pytest.mark.parametrize(("request_", "said"), WRONG)
def test_a_request_that_is_none_is_refused(queues: Queues, request_: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as failure:
        queues.add(Q, [page("good"), request_])
    assert said in failure.value.message
    assert counts(queues) == (0, 0, 0)

    if isinstance(request_, dict):
        with pytest.raises(InvalidInput):
            queues.update_request(Q, request_)


def test_a_request_over_the_limit_is_too_large(queues: Queues) -> None:
    with pytest.raises(TooLarge):
        queues.add(Q, [page("a", payload="x" * rules.MAX_PAYLOAD_BYTES)])


def test_requests_that_are_together_over_the_limit_are_added(queues: Queues) -> None:
    large = [page(n, payload="x" * 4_000_000) for n in range(3)]

    added = queues.add(Q, large)

    assert len(added.processed_requests) == 3
    assert len(queues.request(Q, id_of(2))["payload"]) == 4_000_000


# Reading


def test_a_request_comes_back_with_all_it_was_sent_with(queues: Queues) -> None:
    sent = page(
        "ěšč?q=\u0000 \U0001f600",
        method="POST",
        payload='{"a": 1}',
        headers={"Accept": "*/*"},
        userData={"__crawlee": {"state": 3, "deep": [1.5, None, 12345678901234567890]}, "x": ""},
        noRetry=None,
        errorMessages=[],
        retryCount=3,
        loadedUrl=None,
        handledAt=None,
        unknownField={"kept": True},
    )

    queues.add(Q, [sent])

    id = rules.request_id(sent["uniqueKey"])
    assert queues.request(Q, id) == {"id": id, **sent}


def test_an_id_that_fits_may_be_sent_along(queues: Queues) -> None:
    queues.add(Q, [page("a", id=id_of("a"))])

    assert queues.request(Q, id_of("a")) == page("a", id=id_of("a"))


def test_a_method_is_kept_in_upper_case(queues: Queues) -> None:
    queues.add(Q, [page("a", method="post")])

    assert queues.request(Q, id_of("a"))["method"] == "POST"


@pytest.mark.parametrize("id", ["A" * 15, "", "..", "a/b", "%2e%2e"])
def test_a_request_that_is_not_there_is_not_found(queues: Queues, id: str) -> None:
    for ask in (
        lambda: queues.request(Q, id),
        lambda: queues.prolong(Q, id, lock_secs=5),
        lambda: queues.unlock(Q, id),
    ):
        with pytest.raises(NotFound) as failure:
            ask()
        assert failure.value.message == f"Request queue 'crawl' has no request '{id}'"
    assert queues.get(Q).name == "crawl"


def test_a_queue_that_is_not_there_is_named(queues: Queues) -> None:
    for ask in (
        lambda: queues.add("~no", [page("a")]),
        lambda: queues.request("~no", "A" * 15),
        lambda: queues.update_request("~no", page("a")),
        lambda: queues.update_requests("~no", [page("a"), page("b")]),
        lambda: queues.delete_requests("~no", [page("a")]),
        lambda: queues.requests("~no", RequestsQuery()),
        lambda: queues.head("~no"),
        lambda: queues.lock_head("~no", lock_secs=5),
        lambda: queues.prolong("~no", "A" * 15, lock_secs=5),
        lambda: queues.unlock("~no", "A" * 15),
        lambda: queues.unlock_all("~no"),
    ):
        with pytest.raises(NotFound) as failure:
            ask()
        assert failure.value.message == "Request queue 'no' was not found"


def test_the_head_shows_the_first_requests_and_changes_nothing(queues: Queues) -> None:
    queues.add(Q, [page("a", method="POST", retryCount=2, userData={"x": 1}), page("b"), page("c")])

    head = queues.head(Q, limit=2)

    assert head.limit == 2
    assert head.items == [
        {"id": id_of("a"), **page("a"), "method": "POST", "retryCount": 2},
        {"id": id_of("b"), **page("b"), "method": "GET", "retryCount": 0},
    ]
    assert queues.head(Q, limit=2).items == head.items
    assert head.queue_modified_at == queues.get(Q).modified_at


@pytest.mark.parametrize(("limit", "used"), [(0, 1000), (5, 5), (9999, 1000)])
def test_the_head_has_at_most_a_thousand(queues: Queues, limit: int, used: int) -> None:
    assert queues.head(Q, limit=limit).limit == used


# Writing again


def test_a_handled_request_leaves_the_head(queues: Queues) -> None:
    add(queues, "a", "b")

    done = queues.update_request(Q, page("a", handledAt=HANDLED_AT))
    again = queues.update_request(Q, page("a", handledAt=HANDLED_AT, userData={"n": 2}))

    assert flags(done) == (True, False)
    assert flags(again) == (True, True)
    assert done.request_id == id_of("a")
    assert in_head(queues) == "b"
    assert counts(queues) == (2, 1, 1)
    assert queues.request(Q, id_of("a"))["userData"] == {"n": 2}


def test_a_handled_request_made_pending_is_last(queues: Queues) -> None:
    add(queues, "a", "b")
    queues.update_request(Q, page("a", handledAt=HANDLED_AT))

    revived = queues.update_request(Q, page("a", retryCount=1))

    assert flags(revived) == (True, True)
    assert in_head(queues) == "b a"
    assert counts(queues) == (2, 0, 2)


def test_writing_an_unknown_request_adds_it(queues: Queues) -> None:
    added = queues.update_request(Q, page("a"))
    handled = queues.update_request(Q, page("b", handledAt=HANDLED_AT))

    assert (flags(added), flags(handled)) == ((False, False), (False, False))
    assert in_head(queues) == "a"
    assert counts(queues) == (2, 1, 1)


def test_a_pending_request_keeps_its_place_unless_it_shall_be_first(queues: Queues) -> None:
    add(queues, "a", "b", "c")

    queues.update_request(Q, page("a", userData={"n": 1}))
    assert in_head(queues) == "a b c"

    queues.update_request(Q, page("c", userData={"n": 1}), forefront=True)
    assert in_head(queues) == "c a b"


def test_writing_a_locked_request_ends_its_lock_and_puts_it_last(queues: Queues) -> None:
    add(queues, "a", "b", "c")
    lock(queues, 2)

    queues.update_request(Q, page("a", retryCount=1), client_key="me")
    assert in_head(queues) == "c a"

    queues.update_request(Q, page("b", retryCount=1), forefront=True, client_key="me")
    assert in_head(queues) == "b c a"
    assert "lockExpiresAt" not in queues.request(Q, id_of("a"))


def test_handling_a_locked_request_ends_its_lock(queues: Queues) -> None:
    add(queues, "a")
    lock(queues, 1)

    queues.update_request(Q, page("a", handledAt=HANDLED_AT), client_key="me")

    assert queues.request(Q, id_of("a")) == page("a", id=id_of("a"), handledAt=HANDLED_AT)
    assert not queues.lock_head(Q, lock_secs=5).queue_has_locked_requests


def test_what_a_client_read_of_a_lock_is_not_written_back(queues: Queues) -> None:
    add(queues, "a")
    lock(queues, 1)
    read = queues.request(Q, id_of("a"))

    queues.update_request(Q, read, client_key="me")

    assert queues.request(Q, id_of("a")) == page("a", id=id_of("a"))


def test_many_requests_are_written_at_once(queues: Queues) -> None:
    add(queues, *range(40))

    answers = queues.update_requests(
        Q, [page(n, handledAt=HANDLED_AT) for n in reversed(range(10, 50))]
    )

    assert [each.request_id for each in answers] == [id_of(n) for n in reversed(range(10, 50))]
    assert [flags(each)[0] for each in answers] == [False] * 10 + [True] * 30
    assert in_head(queues) == " ".join(map(str, range(10)))
    assert counts(queues) == (50, 40, 10)


def test_a_request_written_twice_in_a_list_is_written_in_turn(queues: Queues) -> None:
    answers = queues.update_requests(
        Q, [page("a"), page("a", handledAt=HANDLED_AT), page("a", retryCount=1)]
    )

    assert [flags(each) for each in answers] == [(False, False), (True, False), (True, True)]
    assert counts(queues) == (1, 0, 1)
    assert queues.update_requests(Q, []) == []


def names_in_order(queues: Queues, limit: int = 1000) -> list[str]:
    """The names of what is unhandled, walked in order in pages of some size."""
    found, cursor = [], None
    while True:
        query = RequestsQuery(in_order=True, limit=limit, cursor=cursor)
        answer = queues.requests(Q, query)
        found += [item["url"].removeprefix("https://example.com/") for item in answer.items]
        cursor = answer.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_requests_can_be_listed_in_order(queues: Queues, limit: int) -> None:
    """Whole ones, what is locked in its place, and nothing that is handled."""
    queues.add(Q, [page(n, userData={"n": n}) for n in range(5)] + [page(5, handledAt=HANDLED_AT)])
    add(queues, "first", forefront=True)
    assert lock(queues, 2) == "first 0"

    assert queues.keeps_order()
    assert names_in_order(queues, limit) == ["first", "0", "1", "2", "3", "4"]
    listed = queues.requests(Q, RequestsQuery(in_order=True)).items
    assert listed[2] == {"id": id_of(1), **page(1, userData={"n": 1})}
    assert listed[1]["lockByClient"] == "me"


def test_the_order_is_told_beyond_the_head(queues: Queues) -> None:
    for start in range(0, 2500, 500):
        add(queues, *range(start, start + 500))

    assert names_in_order(queues) == [str(n) for n in range(2500)]


@pytest.mark.parametrize("more", [{"filter": ("pending",)}, {"exclusive_start_id": "A" * 15}])
def test_a_list_in_order_has_no_other_start_or_filter(queues: Queues, more: Any) -> None:
    with pytest.raises(InvalidInput, match="inOrder cannot be combined"):
        queues.requests(Q, RequestsQuery(in_order=True, **more))


def test_a_cursor_of_the_other_order_is_none_of_this(queues: Queues) -> None:
    add(queues, *range(3))
    cursor = queues.requests(Q, RequestsQuery(limit=1)).next_cursor

    with pytest.raises(InvalidInput, match="is none that a list"):
        queues.requests(Q, RequestsQuery(in_order=True, cursor=cursor))


# Deleting


def test_requests_are_deleted_by_id_or_unique_key(queues: Queues) -> None:
    queues.add(Q, [page("a"), page("b", handledAt=HANDLED_AT), page("c"), page("d")])
    lock(queues, 1)

    answer = queues.delete_requests(
        Q, [{"id": id_of("a")}, {"uniqueKey": page("b")["uniqueKey"]}, {"id": "A" * 15}]
    )

    assert counts(queues) == (2, 0, 2)
    assert in_head(queues) == "c d"
    assert [key["id"] for key in answer.processed_requests] == [id_of("a"), id_of("b"), "A" * 15]
    assert answer.processed_requests[1]["uniqueKey"] == page("b")["uniqueKey"]
    assert answer.unprocessed_requests == []
    with pytest.raises(NotFound):
        queues.request(Q, id_of("a"))


def test_many_requests_are_deleted_and_may_be_added_anew(queues: Queues) -> None:
    add(queues, *range(60))

    queues.delete_requests(Q, [{"id": id_of(n)} for n in range(60)])

    assert counts(queues) == (0, 0, 0)
    assert [flags(each) for each in add(queues, 1, 2)] == [(False, False)] * 2


@pytest.mark.parametrize("key", [{}, {"id": ""}, {"url": "u"}, "a", {"id": "x", "uniqueKey": "a"}])
def test_a_key_that_names_no_request_is_refused(queues: Queues, key: Any) -> None:
    with pytest.raises(InvalidInput):
        queues.delete_requests(Q, [key])


# Locking


def test_locked_requests_are_shown_to_their_client_and_leave_the_head(queues: Queues) -> None:
    add(queues, "a", "b", "c")
    before = rules.now_ms()

    head = queues.lock_head(Q, limit=2, lock_secs=60, client_key="me")

    assert locked(head) == "a b"
    assert (head.limit, head.lock_secs, head.client_key) == (2, 60, "me")
    assert head.queue_has_locked_requests
    expires = head.items[0].pop("lockExpiresAt")
    assert rules.iso(before + 60_000) <= expires <= rules.iso(rules.now_ms() + 60_000)
    assert head.items[0] == {"id": id_of("a"), **page("a"), "method": "GET", "retryCount": 0}
    assert in_head(queues) == "c"
    assert queues.request(Q, id_of("a")) == page(
        "a", id=id_of("a"), lockExpiresAt=expires, lockByClient="me"
    )
    assert counts(queues) == (3, 0, 3)


def test_no_request_is_locked_twice_not_even_by_its_client(queues: Queues) -> None:
    add(queues, *range(5))

    assert [lock(queues, 2, "me"), lock(queues, 2, "me"), lock(queues, 2, "you")] == [
        "0 1",
        "2 3",
        "4",
    ]
    assert lock(queues, 2, "me") == ""


def test_a_lock_takes_at_most_25(queues: Queues) -> None:
    add(queues, *range(40))

    assert len(queues.lock_head(Q, lock_secs=5).items) == 25
    assert len(queues.lock_head(Q, lock_secs=5, limit=100).items) == 15


def test_an_empty_queue_says_whether_anyone_holds_a_lock(queues: Queues) -> None:
    assert not queues.lock_head(Q, lock_secs=5, client_key="me").queue_has_locked_requests

    add(queues, "a", client_key="me")
    lock(queues, 1, "me")

    for key in ("me", "you"):
        waiting = queues.lock_head(Q, lock_secs=5, client_key=key)
        assert (waiting.items, waiting.queue_has_locked_requests) == ([], True)


@pytest.mark.parametrize("secs", [0, -1, 30 * 24 * 3600 + 1])
def test_a_lock_needs_a_time_it_can_have(queues: Queues, secs: int) -> None:
    add(queues, "a")

    with pytest.raises(InvalidInput) as failure:
        queues.lock_head(Q, lock_secs=secs)
    assert failure.value.type == "invalid-parameter"
    with pytest.raises(InvalidInput):
        queues.prolong(Q, id_of("a"), lock_secs=secs)


@pytest.mark.parametrize("key", ["", "x" * 33])
def test_a_client_key_has_1_to_32_characters(queues: Queues, key: str) -> None:
    for ask in (
        lambda: queues.add(Q, [page("a")], client_key=key),
        lambda: queues.update_request(Q, page("a"), client_key=key),
        lambda: queues.delete_requests(Q, [page("a")], client_key=key),
        lambda: queues.requests(Q, RequestsQuery(), client_key=key),
        lambda: queues.head(Q, client_key=key),
        lambda: queues.lock_head(Q, lock_secs=5, client_key=key),
        lambda: queues.prolong(Q, id_of("a"), lock_secs=5, client_key=key),
        lambda: queues.unlock(Q, id_of("a"), client_key=key),
        lambda: queues.unlock_all(Q, client_key=key),
    ):
        with pytest.raises(InvalidInput) as failure:
            ask()
        assert failure.value.type == "invalid-client-key"
    assert flags(add(queues, "b", client_key="x" * 32)[0]) == (False, False)


def test_a_lock_is_prolonged_from_now(queues: Queues) -> None:
    add(queues, "a")
    lock(queues, 1, "me", secs=3600)
    before = rules.now_ms()

    expires = queues.prolong(Q, id_of("a"), lock_secs=60, client_key="me")

    assert rules.iso(before + 60_000) <= expires <= rules.iso(rules.now_ms() + 60_000)
    assert queues.request(Q, id_of("a"))["lockExpiresAt"] == expires
    assert in_head(queues) == ""


def test_an_unlocked_request_is_last_or_first(queues: Queues) -> None:
    add(queues, "a", "b", "c", "d")
    lock(queues, 3)

    queues.unlock(Q, id_of("a"), client_key="me")
    queues.unlock(Q, id_of("b"), client_key="me", forefront=True)

    assert in_head(queues) == "b d a"


def test_a_prolonged_request_is_last_or_first_once_its_lock_ends(queues: Queues) -> None:
    add(queues, "a", "b", "c", "d")
    lock(queues, 3)

    queues.prolong(Q, id_of("a"), lock_secs=60, client_key="me")
    queues.prolong(Q, id_of("c"), lock_secs=60, client_key="me", forefront=True)
    queues.unlock_all(Q, client_key="me")

    assert in_head(queues) == "c b d a"


def test_a_client_without_a_key_holds_what_it_locked_without_one(queues: Queues) -> None:
    add(queues, "a", "b")
    lock(queues, 2, None)

    assert queues.prolong(Q, id_of("a"), lock_secs=5)
    queues.unlock(Q, id_of("a"))
    assert "lockByClient" not in queues.request(Q, id_of("b"))
    assert queues.unlock_all(Q) == 1
    assert in_head(queues) == "b a"


@pytest.mark.parametrize(("holder", "other"), [("me", "you"), ("me", None), (None, "you")])
def test_only_who_holds_a_lock_can_touch_it(
    queues: Queues, holder: str | None, other: str | None
) -> None:
    add(queues, "a")
    lock(queues, 1, holder)

    for ask in (
        lambda: queues.prolong(Q, id_of("a"), lock_secs=5, client_key=other),
        lambda: queues.unlock(Q, id_of("a"), client_key=other),
    ):
        with pytest.raises(InvalidInput, match="locked by another client") as failure:
            ask()
        assert failure.value.type == "request-handled-or-locked"
    assert queues.unlock_all(Q, client_key=other) == 0
    assert in_head(queues) == ""


def test_without_a_lock_there_is_nothing_to_touch(queues: Queues) -> None:
    add(queues, "free", "done")
    queues.update_request(Q, page("done", handledAt=HANDLED_AT))

    for name, state in (("free", "not locked"), ("done", "handled")):
        for ask in (
            lambda name=name: queues.prolong(Q, id_of(name), lock_secs=5),
            lambda name=name: queues.unlock(Q, id_of(name)),
        ):
            with pytest.raises(InvalidInput, match=f"is {state}") as failure:
                ask()
            assert failure.value.type == "request-handled-or-locked"


def test_unlocking_all_gives_back_ones_own_where_they_were(queues: Queues) -> None:
    add(queues, *range(6))
    lock(queues, 2, "me")
    lock(queues, 2, "you")
    lock(queues, 1, "me")

    assert queues.unlock_all(Q, client_key="me") == 3
    assert in_head(queues) == "0 1 4 5"
    assert queues.unlock_all(Q, client_key="me") == 0


def test_a_lock_that_is_over_gives_its_request_back_where_it_was(queues: Queues) -> None:
    add(queues, "a", "b", "c")
    lock(queues, 1, "me", secs=1)
    add(queues, "d")

    time.sleep(1.01)

    assert in_head(queues) == "a b c d"
    assert queues.request(Q, id_of("a")) == page("a", id=id_of("a"))
    with pytest.raises(InvalidInput, match="not locked"):
        queues.prolong(Q, id_of("a"), lock_secs=5, client_key="me")
    assert lock(queues, 2, "you") == "a b"


# Listing


def listed(queues: Queues, **query: Any) -> list[str]:
    """The IDs on all pages."""
    found, cursor = [], None
    while True:
        answer = queues.requests(Q, RequestsQuery(cursor=cursor, **query))
        found += [item["id"] for item in answer.items]
        assert len(answer.items) <= answer.limit
        cursor = answer.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 10, 1000])
def test_pages_of_requests_have_each_once_by_id(queues: Queues, limit: int) -> None:
    add(queues, *range(10))

    assert listed(queues, limit=limit) == sorted(id_of(n) for n in range(10))


def test_a_page_shows_whole_requests(queues: Queues) -> None:
    queues.add(Q, [page("a", userData={"x": [1]}, handledAt=HANDLED_AT)])

    answer = queues.requests(Q, RequestsQuery())

    assert answer.items == [page("a", id=id_of("a"), userData={"x": [1]}, handledAt=HANDLED_AT)]
    assert (answer.limit, answer.next_cursor) == (1000, None)


def test_a_list_starts_after_an_id_that_need_not_exist(queues: Queues) -> None:
    add(queues, *range(10))
    ids = sorted(id_of(n) for n in range(10))

    after_third = queues.requests(Q, RequestsQuery(exclusive_start_id=ids[2]))
    after_none = queues.requests(Q, RequestsQuery(exclusive_start_id=ids[2] + "x", limit=2))

    assert [item["id"] for item in after_third.items] == ids[3:]
    assert [item["id"] for item in after_none.items] == ids[3:5]
    assert after_third.exclusive_start_id == ids[2]


@pytest.mark.parametrize("handled", [0, 60])
@pytest.mark.parametrize(
    ("states", "names"),
    [(("pending",), "pqr"), (("locked",), "lm"), (("locked", "pending"), "lmpqr")],
)
def test_a_list_is_of_the_states_asked(
    queues: Queues, states: tuple[str, ...], names: str, handled: int
) -> None:
    """With many handled ones too, where the list is made another way."""
    add(queues, *"lmpqr")
    lock(queues, 2)
    queues.add(Q, [page(n, handledAt=HANDLED_AT) for n in range(handled)])

    assert listed(queues, filter=states, limit=2) == sorted(map(id_of, names))


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        {"cursor": "e30"},
        {"filter": ("handled",)},
        {"exclusive_start_id": "A", "filter": ("locked",)},
        {"exclusive_start_id": "A", "cursor": "eyJyZXF1ZXN0SWQiOiJBIn0"},
        {"limit": -1},
    ],
)
def test_a_list_that_cannot_be_is_refused(queues: Queues, query: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as failure:
        queues.requests(Q, RequestsQuery(**query))
    assert failure.value.type == "invalid-parameter"


def test_a_list_takes_the_cursor_of_the_official_api(queues: Queues) -> None:
    """As apify-docs shows it: base64 of {"requestId":"68TjCdZL3o3hbQM"}."""
    add(queues, *range(10))

    answer = queues.requests(Q, RequestsQuery(cursor="eyJyZXF1ZXN0SWQiOiI2OFRqQ2RaTDNvM2hiUU0ifQ"))

    after = [id for id in sorted(id_of(n) for n in range(10)) if id > "68TjCdZL3o3hbQM"]
    assert [item["id"] for item in answer.items] == after


@pytest.mark.parametrize(("limit", "used"), [(0, 10_000), (7, 7), (99_999, 10_000)])
def test_a_list_has_at_most_ten_thousand(queues: Queues, limit: int, used: int) -> None:
    assert queues.requests(Q, RequestsQuery(limit=limit)).limit == used


# Clients and statistics

CALLS = {
    "add": lambda queues, key: queues.add(Q, [page(key)], client_key=key),
    "add a known one": lambda queues, key: queues.add(Q, [page(0)], client_key=key),
    "update": lambda queues, key: queues.update_request(Q, page(key), client_key=key),
    "delete": lambda queues, key: queues.delete_requests(Q, [page(0)], client_key=key),
    "delete none": lambda queues, key: queues.delete_requests(Q, [page("no")], client_key=key),
    "list": lambda queues, key: queues.requests(Q, RequestsQuery(), client_key=key),
    "head": lambda queues, key: queues.head(Q, client_key=key),
    "lock": lambda queues, key: queues.lock_head(Q, lock_secs=5, client_key=key),
    "unlock all": lambda queues, key: queues.unlock_all(Q, client_key=key),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_two_clients_are_noticed_whatever_they_do(queues: Queues, call: Any) -> None:
    add(queues, 0, client_key="first")

    call(queues, "first")
    assert not queues.get(Q).had_multiple_clients

    call(queues, "second")
    assert queues.get(Q).had_multiple_clients


def test_a_client_without_a_key_is_another_one(queues: Queues) -> None:
    add(queues, "a", client_key="first")
    assert not queues.head(Q, client_key="first").had_multiple_clients

    assert queues.head(Q).had_multiple_clients
    assert queues.lock_head(Q, lock_secs=5, client_key="first").had_multiple_clients


def test_looking_at_a_queue_or_a_request_is_no_client(queues: Queues) -> None:
    add(queues, "a", client_key="first")

    queues.get(Q)
    queues.request(Q, id_of("a"))

    assert not queues.get(Q).had_multiple_clients


def test_the_statistics_count_requests(queues: Queues) -> None:
    add(queues, "a", "b", "c", client_key="me")
    add(queues, "a", client_key="me")
    lock(queues, 2, "me")
    queues.prolong(Q, id_of("a"), lock_secs=5, client_key="me")
    queues.update_request(Q, page("a", handledAt=HANDLED_AT), client_key="me")
    queues.requests(Q, RequestsQuery(), client_key="me")
    queues.request(Q, id_of("a"))
    queues.head(Q, client_key="me")
    queues.delete_requests(Q, [page("a"), page("no")], client_key="me")

    stats = queues.get(Q).stats or {}

    assert stats["writeCount"] == 3 + 2 + 1 + 1
    assert stats["readCount"] == 3 + 1
    assert stats["headItemReadCount"] == 2 + 1
    assert stats["deleteCount"] == 1
    size = sum(len(f'{{"uniqueKey":"{page(n)["url"]}","url":"{page(n)["url"]}"}}') for n in "bc")
    assert stats["storageBytes"] == size


def test_a_write_moves_the_time_of_the_queue_and_reading_does_not(queues: Queues) -> None:
    made = queues.get(Q).modified_at
    time.sleep(0.002)
    queues.head(Q)
    queues.requests(Q, RequestsQuery())
    queues.lock_head(Q, lock_secs=5)
    assert queues.get(Q).modified_at == made

    add(queues, "a")

    assert queues.get(Q).modified_at > made


def test_eight_consumers_drain_a_queue_and_no_request_is_held_twice(queues: Queues) -> None:
    total = 400
    add(queues, *range(total))
    taken: list[str] = []
    mutex = threading.Lock()

    def consume(key: str) -> None:
        while True:
            items = queues.lock_head(Q, lock_secs=60, client_key=key).items
            if not items:
                return
            with mutex:
                taken.extend(item["id"] for item in items)
            done = [
                {"uniqueKey": i["uniqueKey"], "url": i["url"], "handledAt": HANDLED_AT}
                for i in items
            ]
            queues.update_requests(Q, done, client_key=key)

    threads = [threading.Thread(target=consume, args=(f"c{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(taken) == sorted(id_of(n) for n in range(total))
    assert counts(queues) == (total, total, 0)
