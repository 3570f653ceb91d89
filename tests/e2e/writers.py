"""Clients that write at full load to a server that is killed, and remember what it promised.

Each asks again until it has an answer, as a good client does: pushes and additions with
their Idempotency-Key. What a call did that was never answered, nobody knows.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from http.client import HTTPConnection, HTTPException
from threading import Thread
from typing import Any, NamedTuple

ITEMS = 20
"""Items in one push: a torn push would show as a run that is not a multiple of this."""

REQUESTS = 25
LARGE_BYTES = 200_000
"""Of records that lie beside the database."""


class Target:
    """Where the server is at present, and the storages written to.

    may_refuse: whether it may say 503 while what it stands on is away.
    """

    def __init__(
        self, token: str, dataset: str, store: str, queue: str, *, may_refuse: bool = False
    ) -> None:
        self.port: int | None = None
        self.may_refuse = may_refuse
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.dataset = f"/v2/datasets/{dataset}"
        self.store = f"/v2/key-value-stores/{store}"
        self.queue = f"/v2/request-queues/{queue}"


class Stopped(Exception):
    pass


class Writer(Thread):
    """One client, step by step until it is stopped.

    done: steps; doubts: calls without answer; refused: answers of 503.
    """

    def __init__(self, number: int, target: Target) -> None:
        super().__init__(daemon=True)
        self.number, self.target = number, target
        self.chance = random.Random(number)
        self.done = self.doubts = self.refused = 0
        self.over = False
        self.failed: str | None = None
        self._connection: HTTPConnection | None = None
        self._port: int | None = None

    def run(self) -> None:
        try:
            while True:
                self.step()
                self.done += 1
        except Stopped:
            return
        except AssertionError as error:
            self.failed = repr(error)

    def step(self) -> None:
        raise NotImplementedError

    def ask(self, method: str, path: str, body: str = "", key: str | None = None) -> Any:
        """The data of a good answer, however often it takes."""
        headers = self.target.headers | ({"Idempotency-Key": key} if key else {})
        while True:
            try:
                connection = self._connected()
                connection.request(method, path, body.encode(), headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, HTTPException):
                self._connection = None
                self.doubts += 1
                time.sleep(0.005)
                continue
            if answer.status == 503 and self.target.may_refuse:
                assert int(answer.headers["Retry-After"]) >= 1
                self.refused += 1
                time.sleep(0.05)
                continue
            assert answer.status < 300, (answer.status, content[:1000])
            found = json.loads(content) if content else None
            return found.get("data") if isinstance(found, dict) else found

    def _connected(self) -> HTTPConnection:
        while self.target.port is None or self.over:
            if self.over:
                raise Stopped
            time.sleep(0.005)
        if self._connection is None or self._port != self.target.port:
            self._port = self.target.port
            self._connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        return self._connection


class Pusher(Writer):
    """Batches of numbered items, some of them small enough for the tail of a dataset."""

    def step(self) -> None:
        more = "x" * self.chance.choice([0, 0, 100, 2000])
        items = [{"w": self.number, "batch": self.done, "n": n, "x": more} for n in range(ITEMS)]
        path = f"{self.target.dataset}/items"
        self.ask("POST", path, json.dumps(items), key=f"{self.number}-{self.done}")


class Setter(Writer):
    """A few keys, set and read again and again; their values say which time it was."""

    def __init__(self, number: int, target: Target) -> None:
        super().__init__(number, target)
        self.known: dict[str, int | None] = {}
        """What each key was set to last with an answer; None: it was deleted."""

        self.tried: dict[str, int | None] = {}

    def step(self) -> None:
        key = f"{self.number}-{self.chance.randrange(6)}"
        path = f"{self.target.store}/records/{key}"
        what = self.chance.random()
        if what < 0.3 and self.known.get(key) is not None:
            found = self.ask("GET", path)
            assert int(found.split()[0]) == self.known[key], (key, found[:20], self.known[key])
            return
        if what < 0.4:
            self.tried[key] = None
            self.ask("DELETE", path)
        else:
            self.tried[key] = self.done
            self.ask("PUT", path, value_of(self.done))
        self.known[key] = self.tried[key]


def value_of(number: int) -> str:
    """Every second one is large."""
    size = LARGE_BYTES if number % 2 else 500
    return json.dumps(f"{number} ".ljust(size, "*"))


class Adder(Writer):
    """Batches of new requests, now and then at the front."""

    def step(self) -> None:
        names = [f"{self.number}-{self.done}-{n}" for n in range(REQUESTS)]
        requests = [{"uniqueKey": name, "url": f"https://example.com/{name}"} for name in names]
        front = str(self.chance.random() < 0.2).lower()
        path = f"{self.target.queue}/requests/batch?forefront={front}"
        added = self.ask("POST", path, json.dumps(requests), key=f"{self.number}-{self.done}")
        # Asked again it answers as it did, or would have done, the first time.
        fresh = [not each["wasAlreadyPresent"] for each in added["processedRequests"]]
        assert fresh == [True] * REQUESTS, added


class Grant(NamedTuple):
    """A lock as its holder was told of it. Milliseconds since 1970."""

    begins: float
    ends: float
    holder: int


class Holder(Writer):
    """Locks requests and handles them, but for some, of which the lock runs out."""

    def __init__(self, number: int, target: Target) -> None:
        super().__init__(number, target)
        self.grants: dict[str, list[Grant]] = defaultdict(list)
        self.handled: dict[str, float] = {}
        """When it was answered that a request is handled."""

    def step(self) -> None:
        me, secs = f"clientKey={self.number}", self.chance.choice([1, 1, 30])
        head = self.ask("POST", f"{self.target.queue}/head/lock?{me}&lockSecs={secs}&limit=5")
        for request in head["items"]:
            ends = milliseconds(request["lockExpiresAt"])
            self.grants[request["id"]].append(Grant(ends - secs * 1000, ends, self.number))
            if self.chance.random() < 0.8:
                self._handle(request, me)

    def _handle(self, request: dict[str, Any], me: str) -> None:
        kept = {name: request[name] for name in ("id", "uniqueKey", "url")}
        body = json.dumps(kept | {"handledAt": "2026-01-02T03:04:05.678Z"})
        self.ask("PUT", f"{self.target.queue}/requests/{request['id']}?{me}", body)
        self.handled[request["id"]] = time.time() * 1000


def milliseconds(text: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1000)


class Maker(Writer):
    """Storages that come and go, with something in them: work for a sweep."""

    def step(self) -> None:
        made = self.ask("POST", "/v2/key-value-stores")["id"]
        self.ask("PUT", f"/v2/key-value-stores/{made}/records/large", value_of(1))
        connection = self._connected()
        try:
            connection.request("DELETE", f"/v2/key-value-stores/{made}", b"", self.target.headers)
            status = connection.getresponse()
            status.read()
        except (OSError, HTTPException):  # gone or not: that is not what is looked at
            self._connection = None
