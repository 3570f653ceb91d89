"""Request queues: URLs to visit, each once, with locks for those who visit them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert

from storectl.errors import InvalidInput
from storectl.model import rules
from storectl.model.endpoint import Endpoint
from storectl.model.storage import Storage, Storages

Request = dict[str, Any]
"""A request as its sender wrote it, unknown fields included, with its `id`.

`uniqueKey` and `url` are always there; `handledAt` is set once it is handled;
`lockExpiresAt` and `lockByClient` only while it is locked.
"""

METHODS = frozenset(
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
)


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
    """Which requests to list, by id. states: any of locked, pending; none means all."""

    limit: int = 1000
    cursor: str | None = None
    exclusive_start_id: str | None = None
    filter: tuple[str, ...] = ()


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


class Fields(Struct, rename="camel"):
    """The fields of a request that the API knows, and the types that its clients insist on."""

    unique_key: Annotated[str, Meta(min_length=1)]
    url: Annotated[str, Meta(min_length=1)]
    method: str | None = None
    retry_count: int | None = None
    loaded_url: str | None = None
    payload: str | dict[str, Any] | None = None
    headers: dict[str, Any] | None = None
    user_data: dict[str, Any] | None = None
    no_retry: bool | None = None
    error_messages: list[str] | None = None
    handled_at: Annotated[datetime, Meta(tz=True)] | None = None


_WANTED = {
    "uniqueKey": "a text that is not empty",
    "url": "a text that is not empty",
    "method": "an HTTP method",
    "retryCount": "a whole number",
    "loadedUrl": "a text",
    "payload": "a text or an object",
    "headers": "an object",
    "userData": "an object",
    "noRetry": "true or false",
    "errorMessages": "an array of texts",
    "handledAt": "an ISO 8601 time with a zone",
}


def check_request(request: object, at: int | None = None) -> Request:
    """A request that may be written: an object with uniqueKey and url, its fields as in Fields.

    at: its position in a batch, for the message. Raises InvalidInput. A field of
    another type is refused since every client that reads it later would fail.
    """
    where = "Request" if at is None else f"Request {at}"
    if not isinstance(request, dict):
        raise InvalidInput(f"{where} is not a JSON object", type="invalid-request")
    try:
        known = convert(request, Fields)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {_wrong(str(error))}") from None
    if known.method is not None and known.method.upper() not in METHODS:
        raise InvalidInput(f"{where}: method {known.method!r:.80} is not an HTTP method")
    id = request.get("id")
    if id is not None and id != rules.request_id(known.unique_key):
        raise _wrong_id()
    return request


def _wrong(failure: str) -> str:
    """What msgspec says of a field, in our words."""
    missing = re.search(r"missing required field `(\w+)`", failure)
    if missing:
        return f"{missing[1]} is missing"
    found = re.search(r"`\$\.(\w+)", failure)
    field = found[1] if found else ""
    return f"{field} must be {_WANTED[field]}" if field in _WANTED else failure


def check_key(key: object, at: int) -> dict[str, str]:
    """What names a request to be deleted: an object with id or uniqueKey; the id is filled in.

    at: its position in a batch. Raises InvalidInput.
    """
    if isinstance(key, dict):
        id, unique_key = key.get("id"), key.get("uniqueKey")
        if isinstance(unique_key, str) and unique_key:
            own = rules.request_id(unique_key)
            if id not in (None, own):
                raise _wrong_id()
            return {"id": own, "uniqueKey": unique_key}
        if isinstance(id, str) and id:
            return {"id": id}
    raise InvalidInput(f"Request {at} has neither an id nor a uniqueKey", type="invalid-value")


def _wrong_id() -> InvalidInput:
    return InvalidInput("Request ID does not correspond to uniqueKey", type="request-id-invalid")


def check_lock_secs(secs: int) -> int:
    """Seconds to hold a lock: 1 up to 30 days."""
    if 1 <= secs <= rules.MAX_LOCK_SECS:
        return secs
    raise InvalidInput(
        f"lockSecs must be from 1 to {rules.MAX_LOCK_SECS}, not {secs}", type="invalid-parameter"
    )


LIST = Endpoint("GET", "/v2/request-queues", "queue", "own")
CREATE = Endpoint("POST", "/v2/request-queues", "queue", "own")
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
