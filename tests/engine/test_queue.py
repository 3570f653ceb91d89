"""Queues on a database against a plain model of them, with a clock that the test moves."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from storectl.engine import open_store
from storectl.engine.queue import Queues
from storectl.engine.sqlite import SqliteDb
from storectl.engine.storage import Reads
from storectl.engine.token import make_user
from storectl.errors import InvalidInput, Local, NotFound
from storectl.model import rules
from storectl.model.queue import RequestsQuery
from storectl.model.request import Request

HANDLED_AT = "2026-01-02T03:04:05.678Z"
Q = "~crawl"


class Clock:
    """Milliseconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = rules.now_ms()

    def __call__(self) -> int:
        return self.now


def page(name: str, **fields: object) -> Request:
    return {"uniqueKey": name, "url": f"https://example.com/{name}", **fields}


def names(requests: list[Request]) -> list[str]:
    return [request["uniqueKey"] for request in requests]


class Model:
    """A queue as a list of names, the first to be handled first, and who holds which."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.handled: set[str] = set()
        self.locks: dict[str, tuple[str | None, int]] = {}

    def place(self, name: str, forefront: bool) -> None:
        if name in self.order:
            self.order.remove(name)
        self.order.insert(0 if forefront else len(self.order), name)

    def known(self, name: str) -> tuple[bool, bool]:
        return name in self.order or name in self.handled, name in self.handled

    def is_locked(self, name: str, now: int) -> bool:
        return name in self.locks and self.locks[name][1] > now

    def head(self, now: int) -> list[str]:
        return [name for name in self.order if not self.is_locked(name, now)]

    def forget(self, name: str) -> None:
        self.handled.discard(name)
        self.locks.pop(name, None)
        if name in self.order:
            self.order.remove(name)


NAMES = st.sampled_from("abcd")
CLIENTS = st.sampled_from(["me", None])
HANDLED = st.sampled_from([False, False, False, True])
FRONT = st.booleans()
SECS = st.integers(5, 30)


class QueueMachine(RuleBasedStateMachine):
    """Whatever is asked in whatever order, the engine answers as the model does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.db = SqliteDb(self.folder)
        self.queues = Queues(self.db, make_user(self.db, "local"), Reads(), self.clock)
        self.queues.create("crawl")
        self.model = Model()

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.folder)

    @rule(some=st.lists(NAMES, max_size=4), forefront=FRONT, handled=HANDLED)
    def add(self, some: list[str], forefront: bool, handled: bool) -> None:
        requests = [page(name, handledAt=HANDLED_AT if handled else None) for name in some]

        answers = self.queues.add(Q, requests, forefront=forefront).processed_requests

        for name, answer in zip(some, answers, strict=True):
            present, was_handled = self.model.known(name)
            assert (answer.was_already_present, answer.was_already_handled) == (
                present,
                was_handled,
            )
            if not present and handled:
                self.model.handled.add(name)
            elif not present:
                self.model.place(name, forefront)

    @rule(name=NAMES, forefront=FRONT, handled=HANDLED)
    def update(self, name: str, forefront: bool, handled: bool) -> None:
        now, model = self.clock.now, self.model
        request = page(name, handledAt=HANDLED_AT if handled else None)

        answer = self.queues.update_request(Q, request, forefront=forefront)

        present, was_handled = model.known(name)
        assert (answer.was_already_present, answer.was_already_handled) == (present, was_handled)
        stays = name in model.order and not model.is_locked(name, now) and not forefront
        model.locks.pop(name, None)
        if handled:
            model.forget(name)
            model.handled.add(name)
        elif not stays:
            model.handled.discard(name)
            model.place(name, forefront)

    @rule(some=st.lists(NAMES, min_size=1, max_size=2))
    def delete(self, some: list[str]) -> None:
        self.queues.delete_requests(Q, [{"uniqueKey": name} for name in some])

        for name in some:
            self.model.forget(name)

    @rule(client=CLIENTS, secs=SECS, limit=st.integers(1, 4))
    def lock(self, client: str | None, secs: int, limit: int) -> None:
        now = self.clock.now

        head = self.queues.lock_head(Q, lock_secs=secs, limit=limit, client_key=client)

        expected = self.model.head(now)[:limit]
        assert names(head.items) == expected
        self.model.locks.update((name, (client, now + secs * 1000)) for name in expected)
        assert head.queue_has_locked_requests == any(
            self.model.is_locked(name, now) for name in self.model.locks
        )

    @rule(name=NAMES, client=CLIENTS, secs=SECS, forefront=FRONT)
    def prolong(self, name: str, client: str | None, secs: int, forefront: bool) -> None:
        name, client = self._rather_locked(name, client)

        def ask() -> None:
            expires = self.queues.prolong(
                Q, rules.request_id(name), lock_secs=secs, forefront=forefront, client_key=client
            )
            assert expires == rules.iso(self.clock.now + secs * 1000)

        if self._touches(name, client, ask):
            self.model.locks[name] = (client, self.clock.now + secs * 1000)
            self.model.place(name, forefront)

    @rule(name=NAMES, client=CLIENTS, forefront=FRONT)
    def unlock(self, name: str, client: str | None, forefront: bool) -> None:
        name, client = self._rather_locked(name, client)

        def ask() -> None:
            self.queues.unlock(Q, rules.request_id(name), forefront=forefront, client_key=client)

        if self._touches(name, client, ask):
            del self.model.locks[name]
            self.model.place(name, forefront)

    @rule(client=CLIENTS)
    def unlock_all(self, client: str | None) -> None:
        locks, now = self.model.locks, self.clock.now
        mine = [name for name in locks if locks[name][0] == client and locks[name][1] > now]

        assert self.queues.unlock_all(Q, client_key=client) == len(mine)

        for name in mine:
            del locks[name]

    @rule(secs=st.integers(1, 15))
    def wait(self, secs: int) -> None:
        self.clock.now += secs * 1000

    @invariant()
    def the_head_is_that_of_the_model(self) -> None:
        assert names(self.queues.head(Q).items) == self.model.head(self.clock.now)

    @invariant()
    def the_counts_are_those_of_the_model(self) -> None:
        queue = self.queues.get(Q)
        assert queue.handled_request_count == len(self.model.handled)
        assert queue.pending_request_count == len(self.model.order)

    @invariant()
    def the_lists_are_those_of_the_model(self) -> None:
        now = self.clock.now
        free = set(self.model.head(now))
        expected = {
            (): {*self.model.order, *self.model.handled},
            ("pending",): free,
            ("locked",): {*self.model.order} - free,
            ("pending", "locked"): {*self.model.order},
        }
        for states, some in expected.items():
            found = self.queues.requests(Q, RequestsQuery(filter=states)).items
            assert sorted(names(found)) == sorted(some)

    def _rather_locked(self, name: str, client: str | None) -> tuple[str, str | None]:
        """Another name and client, if for those there is a lock and for these there is none."""
        locks, now = self.model.locks, self.clock.now
        if client == "me" and not self.model.is_locked(name, now):
            for other in locks:
                if locks[other][1] > now:
                    return other, locks[other][0]
        return name, client

    def _touches(self, name: str, client: str | None, ask: object) -> bool:
        """Ask for something of a lock; whether the client holds it. Others are refused."""
        assert callable(ask)
        present, _ = self.model.known(name)
        if not present:
            with pytest.raises(NotFound):
                ask()
        elif not self.model.is_locked(name, self.clock.now) or self.model.locks[name][0] != client:
            with pytest.raises(InvalidInput):
                ask()
        else:
            ask()
            return True
        return False


QueueMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestQueueMachine = QueueMachine.TestCase


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
