"""Request queues over HTTP."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, structs

from storectl.errors import InvalidInput
from storectl.model import queue, rules
from storectl.model.queue import Added, RequestsQuery
from storectl.server.storage import handlers
from storectl.server.wire import Answer, Call, bad_parameter, data, nothing


def requests(call: Call) -> Answer:
    """A page of requests, by ID or, an extension, in the order of the queue."""
    query = RequestsQuery(
        limit=call.whole("limit", RequestsQuery().limit) or 0,
        cursor=call.text("cursor"),
        exclusive_start_id=call.text("exclusiveStartId"),
        filter=call.listed("filter"),
        in_order=call.flag("inOrder"),
        observe=call.flag("observe"),
    )
    return data(call.store.queues.requests(call.ref, query, client_key=_client_key(call)))


def add(call: Call) -> Answer:
    """Add the request of the body."""
    return data(_one(_add(call, [call.object()]).processed_requests[0]), 201)


def add_batch(call: Call) -> Answer:
    """Add the requests of the body, 1 to 25 with distinct uniqueKeys.

    With `large`, an extension, up to 1,000: one commit, and in their order.
    """
    large = call.flag("large")
    batch = _batch(call, rules.MAX_LARGE_BATCH_REQUESTS if large else rules.MAX_BATCH_REQUESTS)
    seen: set[str] = set()
    for each in batch:
        key = each.get("uniqueKey") if isinstance(each, dict) else None
        if not key or not isinstance(key, str):
            continue
        if key in seen:
            raise InvalidInput(
                f"uniqueKey {key!r:.200} is in the batch twice",
                type="request-queue-duplicate-requests",
            )
        seen.add(key)
    return data(_add(call, batch), 201)


def request(call: Call) -> Answer:
    """One request with all its fields."""
    return data(call.store.queues.request(call.ref, call.parts["id"]))


def update_request(call: Call) -> Answer:
    """Write the request of the body, whose ID is in the path."""
    body, id = call.object(), call.parts["id"]
    if body.get("id") not in (None, id):
        raise InvalidInput(
            "Request ID of the body is not that of the path", type="request-id-invalid"
        )
    added = call.store.queues.update_request(
        call.ref, {**body, "id": id}, forefront=call.flag("forefront"), client_key=_client_key(call)
    )
    return data(_one(added))


def delete_request(call: Call) -> Answer:
    """Delete a request. One that is not there is gone as well."""
    keys = [{"id": call.parts["id"]}]
    call.store.queues.delete_requests(call.ref, keys, client_key=_client_key(call))
    return nothing()


def delete_batch(call: Call) -> Answer:
    """Delete the requests that the body names by id or uniqueKey, 1 to 25."""
    keys = _batch(call)
    return data(call.store.queues.delete_requests(call.ref, keys, client_key=_client_key(call)))


def head(call: Call) -> Answer:
    """The next requests, in order: neither handled nor locked."""
    limit = call.whole("limit", 100) or 0
    return data(call.store.queues.head(call.ref, limit=limit, client_key=_client_key(call)))


def lock_head(call: Call) -> Answer:
    """Lock the next requests for a client, and answer them."""
    locked = call.store.queues.lock_head(
        call.ref,
        lock_secs=_lock_secs(call),
        limit=call.whole("limit", rules.MAX_LOCKED_HEAD) or 0,
        client_key=_client_key(call),
    )
    return data(locked, 201)


def prolong(call: Call) -> Answer:
    """Hold a lock lockSecs from now. Only for the client that has it."""
    expires = call.store.queues.prolong(
        call.ref,
        call.parts["id"],
        lock_secs=_lock_secs(call),
        forefront=call.flag("forefront"),
        client_key=_client_key(call),
    )
    return data({"lockExpiresAt": expires})


def unlock(call: Call) -> Answer:
    """Give a lock back. Only for the client that has it."""
    call.store.queues.unlock(
        call.ref,
        call.parts["id"],
        forefront=call.flag("forefront"),
        client_key=_client_key(call),
    )
    return nothing()


def unlock_all(call: Call) -> Answer:
    """Give back all locks of a client."""
    count = call.store.queues.unlock_all(call.ref, client_key=_client_key(call))
    return data({"unlockedCount": count})


def _add(call: Call, batch: list[Any]) -> queue.AddedBatch:
    return call.store.queues.add(
        call.ref,
        batch,
        forefront=call.flag("forefront"),
        client_key=_client_key(call),
        idempotency_key=call.idempotency_key,
    )


def _one(added: Added) -> Added:
    """The answer about a single request names it by its ID alone."""
    return structs.replace(added, unique_key=UNSET)


def _batch(call: Call, most: int = rules.MAX_BATCH_REQUESTS) -> list[Any]:
    """The array of the body."""
    found: object = call.json()
    if not isinstance(found, list):
        raise InvalidInput("POST data must be a JSON array of requests", type="invalid-request")
    if not 1 <= len(found) <= most:
        raise InvalidInput(
            f"A batch must have 1 to {most} requests, not {len(found)}",
            type="invalid-value",
        )
    return found


def _client_key(call: Call) -> str | None:
    return call.query.get("clientKey")


def _lock_secs(call: Call) -> int:
    """A whole number from 1 on; there is no default."""
    found = call.whole("lockSecs", low=1)
    if found is None:
        raise bad_parameter("lockSecs", "a whole number of seconds", "")
    return found


_common = handlers("queue", lambda call: call.store.queues, lambda *_: {})

HANDLERS = {
    queue.LIST: _common["LIST"],
    queue.CREATE: _common["CREATE"],
    queue.GET: _common["GET"],
    queue.UPDATE: _common["UPDATE"],
    queue.DELETE: _common["DELETE"],
    queue.REQUESTS: requests,
    queue.ADD: add,
    queue.REQUEST: request,
    queue.UPDATE_REQUEST: update_request,
    queue.DELETE_REQUEST: delete_request,
    queue.ADD_BATCH: add_batch,
    queue.DELETE_BATCH: delete_batch,
    queue.UNLOCK_ALL: unlock_all,
    queue.HEAD: head,
    queue.LOCK_HEAD: lock_head,
    queue.PROLONG: prolong,
    queue.UNLOCK: unlock,
}
