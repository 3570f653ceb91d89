"""Request queues on a remote API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, structs

from storectl.client.answer import Whole
from storectl.client.http import to_params
from storectl.client.storage import Keeper, known_as
from storectl.errors import InvalidInput, NotFound, StorectlError, Unavailable
from storectl.model import queue, rules
from storectl.model.endpoint import Endpoint
from storectl.model.items import too_large
from storectl.model.queue import (
    Added,
    AddedBatch,
    DeletedBatch,
    Head,
    LockedHead,
    Queue,
    RequestsPage,
    RequestsQuery,
    check_lock_secs,
)
from storectl.model.request import Request, check_key, check_request, no_request

MAX_BATCH_BYTES = rules.MAX_PAYLOAD_BYTES - 1024
TRIES = 4
"""How often a batch is sent at most, until the server leaves nothing of it unprocessed."""


class Sent(NamedTuple):
    """A request that is to be sent, encoded once."""

    id: str
    request: Request
    body: bytes

    @property
    def handled(self) -> bool:
        return self.request.get("handledAt") is not None


class Prolonged(Struct, rename="camel"):
    """The answer to a lock that was prolonged."""

    lock_expires_at: str


class Unlocked(Struct, rename="camel"):
    """The answer to unlocking all."""

    unlocked_count: int


class Queues(Keeper[Queue]):
    """The keeper of request queues. See model/queue.py for the promise."""

    noun = "queue"
    made = Queue
    LIST, CREATE, GET = queue.LIST, queue.CREATE, queue.GET
    UPDATE, DELETE = queue.UPDATE, queue.DELETE

    def add(
        self,
        ref: str,
        requests: list[Request],
        *,
        forefront: bool = False,
        client_key: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddedBatch:
        """Send the requests, in as many calls as the limits of 25 and of 9 MiB need.

        One after the other, which keeps their order. A server that offers large batches
        gets up to 1,000 in a call.

        What a server leaves unprocessed is sent again a few times.
        """
        query: dict[str, object] = {
            "forefront": forefront,
            "clientKey": rules.check_client_key(client_key),
        }
        key = idempotency_key or rules.new_id()
        sent = to_sent(requests)
        once = {each.id: each for each in reversed(sent)}  # of several, the first
        first = [each for each in sent if once[each.id] is each]
        added: dict[str, Added] = {}
        most = rules.MAX_BATCH_REQUESTS
        if len(first) > most and self._offers("large-batches"):
            query["large"], most = True, rules.MAX_LARGE_BATCH_REQUESTS
        with known_as(self.noun, ref):
            for at, batch in enumerate(batches(first, most)):
                added |= self._add(ref, batch, query, f"{key}-{at}" if at else key)
        answer = AddedBatch(processed_requests=[], unprocessed_requests=[])
        for each in sent:
            found = added.get(each.id)
            if found is None:
                answer.unprocessed_requests.append(each.request)
            elif each is once[each.id]:
                answer.processed_requests.append(found)
            else:
                answer.processed_requests.append(_again(found, once[each.id]))
        return answer

    def request(self, ref: str, id: str) -> Request:
        found = self._of_request(queue.REQUEST, ref, id)
        return self.http.decode(found.content, Request)

    def update_request(
        self, ref: str, request: Request, *, forefront: bool = False, client_key: str | None = None
    ) -> Added:
        return self.update_requests(ref, [request], forefront=forefront, client_key=client_key)[0]

    def update_requests(
        self,
        ref: str,
        requests: list[Request],
        *,
        forefront: bool = False,
        client_key: str | None = None,
    ) -> list[Added]:
        """Send the requests one by one, since the API takes no batch; several at once."""
        query = {"forefront": forefront, "clientKey": rules.check_client_key(client_key)}
        sent = to_sent(requests)

        def put(each: Sent) -> Added:
            with known_as(self.noun, ref):
                answer = self.http.whole(
                    queue.UPDATE_REQUEST, ref=ref, id=each.id, query=query, content=each.body
                )
            return _named(self.http.decode(answer.content, Added), each)

        if len({each.id for each in sent}) < len(sent) or len(sent) == 1:
            return [put(each) for each in sent]
        with ThreadPoolExecutor(self.http.jobs) as pool:
            return list(pool.map(put, sent))

    def delete_requests(
        self, ref: str, keys: list[Request], *, client_key: str | None = None
    ) -> DeletedBatch:
        query = {"clientKey": rules.check_client_key(client_key)}
        named = {key["id"]: key for key in [check_key(key, at) for at, key in enumerate(keys)]}
        answer = DeletedBatch(processed_requests=[], unprocessed_requests=[])
        with known_as(self.noun, ref):
            for ids in _parts(list(named), rules.MAX_BATCH_REQUESTS):
                left = self.http.data(
                    queue.DELETE_BATCH,
                    DeletedBatch,
                    ref=ref,
                    query=query,
                    json=[{"id": id} for id in ids],
                ).unprocessed_requests
                undone = {check_key(key, at)["id"] for at, key in enumerate(left)}
                answer.unprocessed_requests += [named[id] for id in ids if id in undone]
                answer.processed_requests += [named[id] for id in ids if id not in undone]
        return answer

    def requests(
        self, ref: str, query: RequestsQuery, *, client_key: str | None = None
    ) -> RequestsPage:
        params = {**to_params(query), "clientKey": rules.check_client_key(client_key)}
        with known_as(self.noun, ref):
            return self.http.data(queue.REQUESTS, RequestsPage, ref=ref, query=params)

    def keeps_order(self) -> bool:
        return self._offers("queue-order")

    def head(self, ref: str, *, limit: int = 100, client_key: str | None = None) -> Head:
        query = {"limit": limit, "clientKey": rules.check_client_key(client_key)}
        with known_as(self.noun, ref):
            return self.http.data(queue.HEAD, Head, ref=ref, query=query)

    def lock_head(
        self, ref: str, *, lock_secs: int, limit: int = 25, client_key: str | None = None
    ) -> LockedHead:
        query = {
            "lockSecs": check_lock_secs(lock_secs),
            "limit": limit,
            "clientKey": rules.check_client_key(client_key),
        }
        with known_as(self.noun, ref):
            return self.http.data(queue.LOCK_HEAD, LockedHead, ref=ref, query=query)

    def prolong(
        self,
        ref: str,
        id: str,
        *,
        lock_secs: int,
        forefront: bool = False,
        client_key: str | None = None,
    ) -> str:
        query = {
            "lockSecs": check_lock_secs(lock_secs),
            "forefront": forefront,
            "clientKey": rules.check_client_key(client_key),
        }
        answer = self._of_request(queue.PROLONG, ref, id, query=query)
        return self.http.decode(answer.content, Prolonged).lock_expires_at

    def unlock(
        self, ref: str, id: str, *, forefront: bool = False, client_key: str | None = None
    ) -> None:
        query = {"forefront": forefront, "clientKey": rules.check_client_key(client_key)}
        self._of_request(queue.UNLOCK, ref, id, query=query)

    def unlock_all(self, ref: str, *, client_key: str | None = None) -> int:
        query = {"clientKey": rules.check_client_key(client_key)}
        with known_as(self.noun, ref):
            return self.http.data(queue.UNLOCK_ALL, Unlocked, ref=ref, query=query).unlocked_count

    def _add(
        self, ref: str, batch: list[Sent], query: dict[str, Any], key: str
    ) -> dict[str, Added]:
        """Send one batch until all of it is processed; what became of each, by ID.

        Repeating is harmless: what is there already stays as it is.
        """
        added: dict[str, Added] = {}
        for attempt in range(TRIES):
            left = [each for each in batch if each.id not in added]
            if not left:
                break
            if attempt:
                self.http.wait(attempt - 1, Unavailable(f"{len(left)} requests were left"))
            answer = self.http.whole(
                queue.ADD_BATCH if len(left) > 1 else queue.ADD,
                ref=ref,
                query=query,
                content=array(left) if len(left) > 1 else left[0].body,
                idempotency_key=f"{key}-{attempt}" if attempt else key,
                repeatable=True,
            )
            if len(left) > 1:
                found = self.http.decode(answer.content, AddedBatch).processed_requests
            else:
                found = [self.http.decode(answer.content, Added)]
            by_id = {each.id: each for each in left}
            for one in found:
                if one.request_id in by_id:
                    added[one.request_id] = _named(one, by_id[one.request_id])
        return added

    def _offers(self, extension: str) -> bool:
        try:
            return extension in self.http.extensions
        except StorectlError:  # who does not say what it offers offers nothing
            return False

    def _of_request(self, endpoint: Endpoint, ref: str, id: str, *, query: object = None) -> Whole:
        """Ask something of one request. A 404 does not say whether it or the queue is missing."""
        missing = no_request(ref, id)
        if not id.isalnum():
            raise missing
        try:
            return self.http.whole(endpoint, ref=ref, id=id, query=query)
        except NotFound as failure:
            if failure.type == "page-not-found":
                raise
            self.get(ref)
            missing.http = failure.http
            raise missing from None


def to_sent(requests: list[Request]) -> list[Sent]:
    """Checked requests, each encoded once. Raises InvalidInput, TooLarge."""
    sent = []
    for at, request in enumerate(requests):
        check_request(request, at if len(requests) > 1 else None)
        key = request["uniqueKey"]
        try:
            one = Sent(rules.request_id(key), request, msgspec.json.encode(request))
        except UnicodeEncodeError:
            raise InvalidInput(f"Request {key!a:.80} has a text that is not Unicode") from None
        if len(one.body) > MAX_BATCH_BYTES:
            raise too_large(len(one.body))
        sent.append(one)
    return sent


def batches(sent: list[Sent], most: int) -> Iterator[list[Sent]]:
    """Parts that the limits allow for one call, in order. most: requests of a call."""
    part: list[Sent] = []
    size = 0
    for each in sent:
        if len(part) == most or size + len(each.body) > MAX_BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each.body) + 1
    if part:
        yield part


def array(sent: Iterable[Sent]) -> bytes:
    """The requests as a JSON array."""
    return b"[" + b",".join(each.body for each in sent) + b"]"


def _named(added: Added, sent: Sent) -> Added:
    """The answer with the uniqueKey, which the API leaves out for single requests."""
    return structs.replace(added, unique_key=sent.request["uniqueKey"])


def _again(added: Added, first: Sent) -> Added:
    """The answer for a request that was in the same list before."""
    handled = added.was_already_handled or (not added.was_already_present and first.handled)
    return structs.replace(added, was_already_present=True, was_already_handled=handled)


def _parts(ids: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
