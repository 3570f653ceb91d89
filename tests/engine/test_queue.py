"""Queues on a database, with a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from storectl.engine import open_store
from storectl.engine.queue import Queues
from storectl.engine.reads import Reads
from storectl.engine.sqlite import SqliteDb
from storectl.engine.token import make_user
from storectl.errors import InvalidInput, Local
from storectl.model import rules
from storectl.model.queue import RequestsQuery
from storectl.model.request import Request

from ..clock import Clock

HANDLED_AT = "2026-01-02T03:04:05.678Z"
Q = "~crawl"


def page(name: str, **fields: object) -> Request:
    return {"uniqueKey": name, "url": f"https://example.com/{name}", **fields}


def names(requests: list[Request]) -> list[str]:
    return [request["uniqueKey"] for request in requests]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queues(tmp_path: Path, clock: Clock) -> Iterator[Queues]:
    db = SqliteDb(tmp_path)
    queues = Queues(db, make_user(db, "local"), Reads(), clock)
    queues.create("crawl")
    yield queues
    db.close()


def test_a_lock_ends_at_its_millisecond(queues: Queues, clock: Clock) -> None:
    queues.add(Q, [page("a")])
    queues.lock_head(Q, lock_secs=10, client_key="me")

    clock.now += 9_999
    assert names(queues.head(Q).items) == []

    clock.now += 1
    assert names(queues.head(Q).items) == ["a"]
    assert not queues.lock_head(Q, lock_secs=10, limit=1).items[0]["lockExpiresAt"] < rules.iso(
        clock.now
    )


def test_a_clock_that_jumps_ahead_ends_locks_and_late_holders_are_refused(
    queues: Queues, clock: Clock
) -> None:
    queues.add(Q, [page("a")])
    queues.lock_head(Q, lock_secs=60, client_key="first")

    clock.now += 3_600_000
    (request,) = queues.lock_head(Q, lock_secs=60, client_key="second").items

    with pytest.raises(InvalidInput):
        queues.prolong(Q, request["id"], lock_secs=60, client_key="first")
    with pytest.raises(InvalidInput):
        queues.unlock(Q, request["id"], client_key="first")
    assert queues.unlock_all(Q, client_key="first") == 0
    assert queues.head(Q).items == []


def test_a_clock_that_jumps_back_gives_no_lock_away_and_holders_still_have_theirs(
    queues: Queues, clock: Clock
) -> None:
    """A lock may last longer by the jump; nobody else gets it, and its holder ends it."""
    queues.add(Q, [page(name) for name in "abc"])
    queues.lock_head(Q, lock_secs=60, client_key="first")

    clock.now -= 3_600_000

    assert queues.lock_head(Q, lock_secs=60, client_key="second").items == []
    until = queues.prolong(Q, rules.request_id("a"), lock_secs=60, client_key="first")
    assert until == rules.iso(clock.now + 60_000)
    clock.now += 60_000
    assert names(queues.head(Q).items) == ["a"]
    queues.update_request(Q, page("b", handledAt=HANDLED_AT), client_key="first")
    assert queues.unlock_all(Q, client_key="first") == 1
    assert names(queues.head(Q).items) == ["c", "a"]  # a prolonged one goes to the end


def test_many_locks_that_are_over_are_free_again_in_order(queues: Queues, clock: Clock) -> None:
    everything = [f"{n:04}" for n in range(1000)]
    queues.add(Q, [page(name) for name in everything])
    for _ in range(40):
        queues.lock_head(Q, lock_secs=10)
    assert queues.head(Q).items == []

    clock.now += 10_000

    assert names(queues.head(Q, limit=1000).items) == everything
    assert names(queues.lock_head(Q, lock_secs=10).items) == everything[:25]


def test_a_poll_of_an_empty_queue_writes_nothing(queues: Queues) -> None:
    queues.add(Q, [page("a")], client_key="me")
    queues.lock_head(Q, lock_secs=10, client_key="me")
    before = changes(queues)

    for _ in range(3):
        queues.lock_head(Q, lock_secs=10, client_key="me")
        queues.head(Q, client_key="me")
        queues.requests(Q, RequestsQuery(), client_key="me")
        queues.add(Q, [page("a")], client_key="me")

    assert changes(queues) == before


def changes(queues: Queues) -> int:
    """Commits that have written something, as other connections notice them."""
    row = queues.db.one("PRAGMA data_version")
    assert row is not None
    return int(row[0])


class ReadOnlyDb(SqliteDb):
    """A database on a disk that takes no writes."""

    def write(self, work: object) -> NoReturn:
        raise Local("The disk is read-only")


def test_a_queue_can_be_read_where_it_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = open_store(str(folder))
    store.queues.create("crawl")
    store.queues.add(Q, [page("a")], client_key="me")
    whole = store.queues.request(Q, rules.request_id("a"))

    db = ReadOnlyDb(folder)
    queues = Queues(db, store.tokens.me(), Reads())

    assert names(queues.head(Q).items) == ["a"]
    assert queues.head(Q, client_key="you").had_multiple_clients
    assert queues.requests(Q, RequestsQuery(), client_key="me").items == [whole]
    db.close()
    store.close()


def test_eight_consumers_of_two_stores_hold_no_request_twice(tmp_path: Path) -> None:
    """Two stores on one folder are as two processes: each has its own writer."""
    total = 2000
    stores = [open_store(str(tmp_path)) for _ in range(2)]
    stores[0].queues.create("crawl")
    stores[0].queues.add(Q, [page(str(n)) for n in range(total)])
    taken: list[str] = []
    mutex = threading.Lock()

    def consume(n: int) -> None:
        queues = stores[n % 2].queues
        while items := queues.lock_head(Q, lock_secs=60, client_key=str(n)).items:
            with mutex:
                taken.extend(names(items))
            done = [page(item["uniqueKey"], handledAt=HANDLED_AT) for item in items]
            queues.update_requests(Q, done, client_key=str(n))

    threads = [threading.Thread(target=consume, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(taken, key=int) == [str(n) for n in range(total)]
    assert stores[1].queues.get(Q).handled_request_count == total
    for store in stores:
        store.close()
