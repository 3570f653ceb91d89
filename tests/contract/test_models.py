"""Queues and datasets against plain models of them, whatever is asked in whatever order.

On the engine, and with fewer examples on a server. Time passes when the test says so.
MODEL_TIMES multiplies the examples; `make crash` does that.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from storectl import client, engine
from storectl.engine.store import EngineStore
from storectl.errors import InvalidInput, NotFound
from storectl.model import rules
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.queue import RequestsQuery
from storectl.model.request import Request
from storectl.model.store import Store

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import served

MORE = int(os.environ.get("MODEL_TIMES", "1"))
HANDLED_AT = "2026-01-02T03:04:05.678Z"


class Clock:
    """Milliseconds that pass when the test says so; in a file, for another process too."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        self.path = path
        self.now = rules.now_ms()

    def __call__(self) -> int:
        return self._now

    @property
    def now(self) -> int:
        return self._now

    @now.setter
    def now(self, now: int) -> None:
        self._now = now
        os.pwrite(self._file, f"{now:020}".encode(), 0)  # never empty, for who reads it now


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
    """Whatever is asked in whatever order, a queue answers as the model does."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__()
        self.queues, self.clock = store.queues, clock
        self.queue = self.queues.create()[0].id
        self.model = Model()

    @rule(some=st.lists(NAMES, max_size=4), forefront=FRONT, handled=HANDLED)
    def add(self, some: list[str], forefront: bool, handled: bool) -> None:
        requests = [page(name, handledAt=HANDLED_AT if handled else None) for name in some]

        answers = self.queues.add(self.queue, requests, forefront=forefront).processed_requests

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

        answer = self.queues.update_request(self.queue, request, forefront=forefront)

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
        self.queues.delete_requests(self.queue, [{"uniqueKey": name} for name in some])

        for name in some:
            self.model.forget(name)

    @rule(client=CLIENTS, secs=SECS, limit=st.integers(1, 4))
    def lock(self, client: str | None, secs: int, limit: int) -> None:
        now = self.clock.now

        head = self.queues.lock_head(self.queue, lock_secs=secs, limit=limit, client_key=client)

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
                self.queue,
                rules.request_id(name),
                lock_secs=secs,
                forefront=forefront,
                client_key=client,
            )
            assert expires == rules.iso(self.clock.now + secs * 1000)

        if self._touches(name, client, ask):
            self.model.locks[name] = (client, self.clock.now + secs * 1000)
            self.model.place(name, forefront)

    @rule(name=NAMES, client=CLIENTS, forefront=FRONT)
    def unlock(self, name: str, client: str | None, forefront: bool) -> None:
        name, client = self._rather_locked(name, client)

        def ask() -> None:
            self.queues.unlock(
                self.queue, rules.request_id(name), forefront=forefront, client_key=client
            )

        if self._touches(name, client, ask):
            del self.model.locks[name]
            self.model.place(name, forefront)

    @rule(client=CLIENTS)
    def unlock_all(self, client: str | None) -> None:
        locks, now = self.model.locks, self.clock.now
        mine = [name for name in locks if locks[name][0] == client and locks[name][1] > now]

        assert self.queues.unlock_all(self.queue, client_key=client) == len(mine)

        for name in mine:
            del locks[name]

    @rule(secs=st.integers(1, 15))
    def wait(self, secs: int) -> None:
        self.clock.now += secs * 1000

    @invariant()
    def the_head_is_that_of_the_model(self) -> None:
        assert names(self.queues.head(self.queue).items) == self.model.head(self.clock.now)

    @invariant()
    def the_counts_are_those_of_the_model(self) -> None:
        queue = self.queues.get(self.queue)
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
            found = self.queues.requests(self.queue, RequestsQuery(filter=states)).items
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


PUSHES = st.lists(st.sampled_from([0, 1, 50, 3000, 20_000]), min_size=1, max_size=5)
"""Items of a push by their length: some go to the tail of a dataset, some past it."""


class DatasetMachine(RuleBasedStateMachine):
    """A dataset is a list: each push is in it once, in one piece, at a place that stays."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__()
        self.datasets = store.datasets
        self.dataset = self.datasets.create()[0].id
        self.model: list[dict[str, Any]] = []
        self.number = 0

    def _made(self, sizes: list[int]) -> list[dict[str, Any]]:
        self.number += 1
        return [{"push": self.number, "n": n, "x": "x" * size} for n, size in enumerate(sizes)]

    def _read(self, **query: Any) -> list[Any]:
        found = self.datasets.items(self.dataset, ItemsQuery(**query))
        return [json.loads(line) for line in b"".join(found.lines).splitlines()]

    @rule(sizes=PUSHES)
    def push(self, sizes: list[int]) -> None:
        items = self._made(sizes)

        self.datasets.push(self.dataset, Items.of(items))

        self.model += items

    @rule(sizes=PUSHES, times=st.integers(1, 3))
    def push_again(self, sizes: list[int], times: int) -> None:
        items = self._made(sizes)

        for _ in range(times):
            key = f"{self.number}"
            self.datasets.push(self.dataset, Items.of(items), idempotency_key=key)

        self.model += items

    @rule(pushes=st.lists(PUSHES, min_size=2, max_size=4))
    def push_at_once(self, pushes: list[list[int]]) -> None:
        made = [self._made(sizes) for sizes in pushes]
        threads = [
            Thread(target=self.datasets.push, args=(self.dataset, Items.of(items)))
            for items in made
        ]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        rest = self._read(offset=len(self.model))
        order = list(dict.fromkeys(item["push"] for item in rest))
        made.sort(key=lambda items: order.index(items[0]["push"]))
        assert rest == [item for items in made for item in items]
        self.model += rest

    @rule(offset=st.integers(0, 40), limit=st.integers(0, 20) | st.none(), desc=st.booleans())
    def read(self, offset: int, limit: int | None, desc: bool) -> None:
        expected = self.model[::-1] if desc else self.model
        stop = None if limit is None else offset + limit

        assert self._read(offset=offset, limit=limit, desc=desc) == expected[offset:stop]

    @invariant()
    def the_items_are_those_of_the_model(self) -> None:
        assert self._read() == self.model

    @invariant()
    def the_count_is_that_of_the_model(self) -> None:
        assert self.datasets.get(self.dataset).item_count == len(self.model)


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    found = Clock(tmp_path / "clock")
    yield found
    os.close(found._file)


@pytest.fixture(params=["sqlite", "http"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    folder = tmp_path / "store"
    owner = engine.open_store(str(folder), clock=clock)
    if request.param == "sqlite":
        yield owner
    else:
        token = owner.tokens.create("test").secret
        with served(folder, clock=clock.path) as address:
            found = client.open_store(address, token, retries=0)
            yield found
            found.close()
    owner.close()


@pytest.mark.parametrize(
    ("machine", "examples", "far_examples"), [(QueueMachine, 40, 6), (DatasetMachine, 10, 4)]
)
def test_it_answers_as_its_model(
    store: Store,
    clock: Clock,
    machine: type[QueueMachine | DatasetMachine],
    examples: int,
    far_examples: int,
) -> None:
    near = isinstance(store, EngineStore)
    run_state_machine_as_test(
        partial(machine, store, clock),
        settings=settings(
            max_examples=MORE * (examples if near else far_examples),
            stateful_step_count=40 if near else 20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
