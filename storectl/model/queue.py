"""Request queues: URLs to visit, each once, with locks for those who visit them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import UNSET, Struct, UnsetType

from storectl.errors import Internal, InvalidInput
from storectl.model import rules
from storectl.model.endpoint import Endpoint
from storectl.model.request import Request
from storectl.model.storage import Storage, Storages


class Queue(Storage, kw_only=True):
    """One request queue."""

    total_request_count: int = 0
    handled_request_count: int = 0
    pending_request_count: int = 0
    had_multiple_clients: bool = False


class Added(Struct, rename="camel", kw_only=True):
    """What became of one request that was added or updated."""

    request_id: str
    unique_key: str | UnsetType = UNSET
    was_already_present: bool
    was_already_handled: bool


class AddedBatch(Struct, rename="camel", kw_only=True):
    """What became of a batch. Unprocessed requests may be sent again."""

    processed_requests: list[Added]
    unprocessed_requests: list[Request]


class DeletedBatch(Struct, rename="camel", kw_only=True):
    """What a batch delete took away, by id and uniqueKey as far as known."""

    processed_requests: list[dict[str, str]]
    unprocessed_requests: list[Request]


class Head(Struct, rename="camel", kw_only=True):
    """The next requests, in order: unhandled and not locked.

    items: id, uniqueKey, url, method, retryCount of each.
    """

    limit: int
    queue_modified_at: str
    had_multiple_clients: bool
    items: list[Request]


class LockedHead(Head, rename="camel", kw_only=True):
    """The next requests, now locked for this client; items have `lockExpiresAt` too.

    queue_has_locked_requests: whether anyone holds a lock, the caller included.
    """

    lock_secs: int
    queue_has_locked_requests: bool
    client_key: str | None = None


class RequestsQuery(Struct, rename="camel", frozen=True, kw_only=True):
    """Which requests to list, by id. filter: any of locked, pending; none means all.

    in_order: instead what is not handled, from the front of the queue to its end; only
    where the keeper keeps_order. observe: who asks looks on, and is no client of the queue.
    """

    limit: int = 1000
    cursor: str | None = None
    exclusive_start_id: str | None = None
    filter: tuple[str, ...] = ()
    in_order: bool = False
    observe: bool = False


class RequestsPage(Struct, rename="camel", kw_only=True):
    """One page of requests; next_cursor is None at the end."""

    items: list[Request]
    limit: int
    next_cursor: str | None = None
    cursor: str | UnsetType | None = UNSET
    exclusive_start_id: str | UnsetType | None = UNSET


class Queues(Storages[Queue], Protocol):
    """What a store can do with requests. Proved by tests/contract/test_queue.py.

    client_key: who asks, 1 to 32 characters; without one each call is a new client,
    though what was locked without a key can be prolonged and unlocked without one.
    Locks are given to one client at a time until they expire; a request whose lock
    has expired is in the queue again where it was.
    """

    def add(
        self,
        ref: str,
        requests: list[Request],
        *,
        forefront: bool = False,
        client_key: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddedBatch:
        """Add requests whose uniqueKey is new; others stay as and where they are.

        The answers are in the order of the requests. With forefront the last one
        added is the first of the queue, as if they had been added one by one.
        """
        ...

    def request(self, ref: str, id: str) -> Request: ...

    def update_request(
        self, ref: str, request: Request, *, forefront: bool = False, client_key: str | None = None
    ) -> Added:
        """Write a request, known or not. handledAt takes it off the head; any lock ends.

        A pending request stays in its place unless it was locked, or forefront.
        """
        ...

    def update_requests(
        self,
        ref: str,
        requests: list[Request],
        *,
        forefront: bool = False,
        client_key: str | None = None,
    ) -> list[Added]:
        """Write many requests as update_request does, the answers in their order."""
        ...

    def delete_requests(
        self, ref: str, keys: list[Request], *, client_key: str | None = None
    ) -> DeletedBatch:
        """Delete requests, each named by `id` or `uniqueKey`."""
        ...

    def requests(
        self, ref: str, query: RequestsQuery, *, client_key: str | None = None
    ) -> RequestsPage: ...

    def keeps_order(self) -> bool:
        """Whether requests can be listed in order, however many; a head ends at 1,000."""
        ...

    def head(self, ref: str, *, limit: int = 100, client_key: str | None = None) -> Head: ...

    def lock_head(
        self, ref: str, *, lock_secs: int, limit: int = 25, client_key: str | None = None
    ) -> LockedHead: ...

    def prolong(
        self,
        ref: str,
        id: str,
        *,
        lock_secs: int,
        forefront: bool = False,
        client_key: str | None = None,
    ) -> str:
        """Hold a lock lock_secs from now; the new expiry. Only for who holds it.

        Once it ends the request is last in the queue, or first with forefront.
        """
        ...

    def unlock(
        self, ref: str, id: str, *, forefront: bool = False, client_key: str | None = None
    ) -> None:
        """Give a lock back. Only for who holds it.

        The request is then last in the queue, or first with forefront.
        """
        ...

    def unlock_all(self, ref: str, *, client_key: str | None = None) -> int:
        """Give back all locks of this client; how many there were. Places stay as they were."""
        ...


def every_request(
    keeper: Queues,
    ref: str,
    states: tuple[str, ...] = (),
    *,
    in_order: bool = False,
    client_key: str | None = None,
) -> Iterator[Request]:
    """Walk the requests, or those locked or pending, or all in order, to their true end."""
    cursor: str | None = None
    while True:
        query = RequestsQuery(cursor=cursor, filter=states, in_order=in_order)
        page = keeper.requests(ref, query, client_key=client_key)
        yield from page.items
        if page.next_cursor is None:
            return
        if page.next_cursor == cursor:
            raise Internal(f"The requests behind cursor '{cursor}' are listed again and again")
        cursor = page.next_cursor


def check_lock_secs(secs: int) -> int:
    """Seconds to hold a lock: 1 up to 30 days."""
    if 1 <= secs <= rules.MAX_LOCK_SECS:
        return secs
    raise InvalidInput(
        f"lockSecs must be from 1 to {rules.MAX_LOCK_SECS}, not {secs}", type="invalid-parameter"
    )


LIST = Endpoint("GET", "/v2/request-queues", "queue", "list")
CREATE = Endpoint("POST", "/v2/request-queues", "queue", "create")
GET = Endpoint("GET", "/v2/request-queues/{ref}", "queue")
UPDATE = Endpoint("PUT", "/v2/request-queues/{ref}", "queue", "write")
DELETE = Endpoint("DELETE", "/v2/request-queues/{ref}", "queue", "write")
REQUESTS = Endpoint("GET", "/v2/request-queues/{ref}/requests", "queue")
ADD = Endpoint("POST", "/v2/request-queues/{ref}/requests", "queue", "write", fast=True)
REQUEST = Endpoint("GET", "/v2/request-queues/{ref}/requests/{id}", "queue", fast=True)
UPDATE_REQUEST = Endpoint(
    "PUT", "/v2/request-queues/{ref}/requests/{id}", "queue", "write", fast=True
)
DELETE_REQUEST = Endpoint(
    "DELETE", "/v2/request-queues/{ref}/requests/{id}", "queue", "write", fast=True
)
ADD_BATCH = Endpoint("POST", "/v2/request-queues/{ref}/requests/batch", "queue", "write")
DELETE_BATCH = Endpoint("DELETE", "/v2/request-queues/{ref}/requests/batch", "queue", "write")
UNLOCK_ALL = Endpoint("POST", "/v2/request-queues/{ref}/requests/unlock", "queue", "write")
HEAD = Endpoint("GET", "/v2/request-queues/{ref}/head", "queue")
LOCK_HEAD = Endpoint("POST", "/v2/request-queues/{ref}/head/lock", "queue", "write")
PROLONG = Endpoint(
    "PUT", "/v2/request-queues/{ref}/requests/{id}/lock", "queue", "write", fast=True
)
UNLOCK = Endpoint(
    "DELETE", "/v2/request-queues/{ref}/requests/{id}/lock", "queue", "write", fast=True
)
