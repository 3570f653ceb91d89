"""Requests as rows: how they are written and shown, and one transaction that changes some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from zlib import crc32

import msgspec
from msgspec import Struct

from storectl.engine.db import Tx
from storectl.errors import InvalidInput, NotFound
from storectl.model import rules
from storectl.model.items import too_large
from storectl.model.queue import Added, AddedBatch
from storectl.model.request import Request, check_request, no_request

_OURS = frozenset(("id", "lockExpiresAt", "lockByClient"))
_NO_CHANGE = dict.fromkeys(
    ("requests", "handled", "bytes", "writes", "deletes", "before", "behind"), 0
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Written(NamedTuple):
    """A request that is to be written."""

    id: str
    unique_key: str
    handled: bool
    body: bytes


class There(NamedTuple):
    """A request that is there. ord: its place, None once it is handled."""

    no: int
    ord: int | None
    locked: bool
    bytes: int

    @property
    def handled(self) -> bool:
        return self.ord is None


class Overtaken(Exception):
    """Somebody added a request that was not there: what was begun has to begin anew."""


class HeadItem(Struct, rename="camel"):
    """What the head shows of a request's body."""

    unique_key: str
    url: str
    method: str | None = None
    retry_count: int | None = None


class Writes:
    """One transaction that changes requests of one queue, and counts that on the queue's row.

    no: of the queue. now: the time of the transaction, for locks and for the queue.
    """

    def __init__(
        self, tx: Tx, sql: dict[str, str], ref: str, no: int, client_key: str | None, now: int
    ) -> None:
        self.tx, self.sql, self.ref, self.no = tx, sql, ref, no
        self.client_key, self.now = client_key, now

    def hold(self, ids: Iterable[str]) -> None:
        """Let nobody else write to these requests and the queue until this transaction ends."""
        self.tx.one(self.sql["hold"], no=self.no, ids=ids_json(ids))

    def book(self, **changes: int) -> tuple[int, int, bool]:
        """Count changes; the outermost places given away, and whether many clients came."""
        row = self.tx.one(
            self.sql["book"],
            no=self.no,
            client_key=self.client_key,
            now=self.now,
            **{**_NO_CHANGE, **changes},
        )
        if row is None:
            raise NotFound.of("queue", self.ref)
        return row[0], row[1], bool(row[2])

    def places(self, count: int, forefront: bool, **changes: int) -> Iterator[int]:
        """New places at one end, in the order to give them out; the changes are counted too.

        At the front the last one given out is the first of the queue.
        """
        end = "before" if forefront else "behind"
        first, last, _ = self.book(**{end: count}, **changes)
        if forefront:
            return iter(range(first + count - 1, first - 1, -1))
        return iter(range(last - count + 1, last + 1))

    def known(self, written: list[Written]) -> dict[str, bool]:
        """Which of them are there already, and whether those are handled."""
        ids = ids_json(each.id for each in written)
        rows = self.tx.all(self.sql["known"], no=self.no, ids=ids)
        return {id: bool(handled) for id, handled in rows}

    def insert(self, fresh: list[Written], forefront: bool) -> None:
        """Add requests whose IDs are not there, in their order."""
        handled = sum(each.handled for each in fresh)
        places = self.places(
            len(fresh) - handled,
            forefront,
            requests=len(fresh),
            handled=handled,
            bytes=sum(len(each.body) for each in fresh),
            writes=len(fresh),
        )
        no = self.no
        self.tx.many(
            self.sql["insert"],
            [
                {
                    "no": no,
                    "id": id,
                    "ord": None if is_handled else next(places),
                    "crc": crc32(body),
                    "body": body,
                }
                for id, _, is_handled, body in fresh
            ],
        )

    def update(self, written: list[Written], forefront: bool) -> list[Added]:
        """Write requests with distinct IDs; unknown ones are inserted. Raises Overtaken."""
        ids = ids_json(each.id for each in written)
        rows = self.tx.all(self.sql["there"], no=self.no, ids=ids, now=self.now)
        there = {id: There(no, ord, bool(locked), size) for id, no, ord, locked, size in rows}
        fresh = [each for each in written if each.id not in there]
        if fresh and "hold_queue" in self.sql:  # others may add them until the queue is held
            self.hold(())
            if self.known(fresh):
                raise Overtaken
        if fresh:
            self.insert(fresh, forefront)
        if there:
            self._replace([(e, there[e.id]) for e in written if e.id in there], forefront)
        return [
            to_added(each, there[each.id].handled if each.id in there else None) for each in written
        ]

    def _replace(self, pairs: list[tuple[Written, There]], forefront: bool) -> None:
        """Write requests anew. Who was handled or locked gets a new place; no lock is left."""
        moves = [
            not each.handled and (forefront or was.handled or was.locked) for each, was in pairs
        ]
        places = self.places(
            sum(moves),
            forefront,
            handled=sum(each.handled - was.handled for each, was in pairs),
            bytes=sum(len(each.body) - was.bytes for each, was in pairs),
            writes=len(pairs),
        )
        self.tx.many(
            self.sql["update"],
            [
                {
                    "no": self.no,
                    "id": each.id,
                    "request_no": was.no,
                    "ord": None if each.handled else next(places) if move else was.ord,
                    "crc": crc32(each.body),
                    "body": each.body,
                }
                for (each, was), move in zip(pairs, moves, strict=True)
            ],
        )

    def on_lock(self, name: str, id: str, until: int, forefront: bool) -> None:
        """Prolong or end (name) a lock of this client; the request gets a new place."""
        self.hold((id,))
        place = next(self.places(1, forefront, writes=1))
        which = {"no": self.no, "id": id, "now": self.now, "client_key": self.client_key}
        if self.tx.one(self.sql[name], until=until, ord=place, **which) is None:
            raise self._refused(id)

    def _refused(self, id: str) -> NotFound | InvalidInput:
        """Why a lock could not be touched."""
        found = self.tx.one(self.sql["state"], no=self.no, id=id, now=self.now)
        if found is None:
            return no_request(self.ref, id)
        handled, locked = found
        state = "handled" if handled else "locked by another client" if locked else "not locked"
        return InvalidInput(f"Request '{id}' is {state}", type="request-handled-or-locked")


def to_written(requests: list[Request]) -> list[Written]:
    """Checked requests, each encoded once. Raises InvalidInput, TooLarge."""
    if len(requests) == 1:
        return [_to_written(requests[0], None)]
    return [_to_written(request, at) for at, request in enumerate(requests)]


def _to_written(request: object, at: int | None) -> Written:
    """One of them, without what the rows say of it themselves."""
    checked = check_request(request, at)
    if not _OURS.isdisjoint(checked):
        checked = {field: value for field, value in checked.items() if field not in _OURS}
    method = checked.get("method")
    if method is not None and not method.isupper():
        checked = {**checked, "method": method.upper()}
    key = checked["uniqueKey"]
    try:
        body, id = _encode(checked), rules.request_id(key)
    except UnicodeEncodeError:
        raise InvalidInput(f"Request {key!a:.80} has a text that is not Unicode") from None
    if len(body) > rules.MAX_PAYLOAD_BYTES:
        raise too_large(len(body))
    return Written(id, key, checked.get("handledAt") is not None, body)


def to_added(written: Written, was_handled: bool | None) -> Added:
    """What became of a request; was_handled is None if it was not there."""
    return Added(
        request_id=written.id,
        unique_key=written.unique_key,
        was_already_present=was_handled is not None,
        was_already_handled=bool(was_handled),
    )


def sorted_out(written: list[Written], known: dict[str, bool]) -> tuple[AddedBatch, list[Written]]:
    """The answer to an add, and what is new.

    known: by ID, whether it is handled. A request that comes twice is there
    already the second time.
    """
    processed, fresh = [], []
    for each in written:
        was_handled = known.get(each.id)
        processed.append(to_added(each, was_handled))
        if was_handled is None:
            known[each.id] = each.handled
            fresh.append(each)
    return AddedBatch(processed_requests=processed, unprocessed_requests=[]), fresh


def in_head(id: str, body: bytes) -> Request:
    """A request as the head shows it."""
    item = _head_item(body)
    return {
        "id": id,
        "uniqueKey": item.unique_key,
        "url": item.url,
        "method": item.method or "GET",
        "retryCount": item.retry_count or 0,
    }


_head_item = msgspec.json.Decoder(HeadItem).decode


def shown(row: tuple[str, int | None, str | None, bytes], now: int) -> Request:
    """A request as it is read: with its ID, and with its lock unless that is over."""
    id, locked_until, locked_by, body = row
    request = {"id": id, **_decode(body)}
    if locked_until is not None and locked_until > now:
        request["lockExpiresAt"] = rules.iso(locked_until)
        if locked_by is not None:
            request["lockByClient"] = locked_by
    return request


def ids_json(ids: Iterable[str]) -> str:
    """IDs as one value that a statement takes apart."""
    return _encode(list(ids)).decode()
