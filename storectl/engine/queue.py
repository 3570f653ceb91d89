"""Request queues on a database: a row for each request, an index for the head.

A request has a place in the queue, `ord`, until it is handled. A lock leaves it
there and hides it from the index of the head; once the lock is over it counts as
free, whether or not its row says so yet.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from storectl.engine.db import Tx
from storectl.engine.request import (
    Writes,
    ids_json,
    in_head,
    shown,
    sorted_out,
    to_written,
)
from storectl.engine.storage import Keeper, StorageRow, check_window, common
from storectl.errors import InvalidInput, Local
from storectl.model import rules
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
from storectl.model.request import Request, check_key, no_request

Said = TypeVar("Said")

FRONT = -(2**63)
"""Before every place in a queue."""


class Queues(Keeper[Queue]):
    """The keeper of request queues. See model/queue.py for the promise."""

    noun = "queue"

    def add(
        self,
        ref: str,
        requests: list[Request],
        *,
        forefront: bool = False,
        client_key: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddedBatch:
        rules.check_client_key(client_key)
        written = to_written(requests)
        row = self.find(ref)

        def work(tx: Tx) -> tuple[AddedBatch, bool]:
            earlier = self.answered(tx, row.no, idempotency_key)
            if earlier is not None:
                return msgspec.json.decode(earlier, type=AddedBatch), True
            writes = self._writes(tx, ref, row.no, client_key)
            batch, fresh = sorted_out(written, writes.known(written))
            if fresh:
                writes.insert(fresh, forefront)
            if idempotency_key is not None:
                self.answer(tx, row.no, idempotency_key, msgspec.json.encode(batch))
            return batch, bool(fresh)

        batch, wrote = self.db.write(work)
        if not wrote:
            self.touch(row)
            self._seen(row, client_key)
        return batch

    def request(self, ref: str, id: str) -> Request:
        row = self.find(ref)
        self.touch(row)
        found = self.db.one(self.sql["request"], no=row.no, id=id)
        if found is None:
            raise no_request(ref, id)
        self.reads.add(row.no, reads=1)
        return shown(found, self.clock())

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
        rules.check_client_key(client_key)
        written = to_written(requests)
        no = self.find(ref).no
        if len({each.id for each in written}) == len(written):
            groups = [written] if written else []
        else:  # what comes twice is written twice
            groups = [[each] for each in written]

        def work(tx: Tx) -> list[Added]:
            writes = self._free(tx, ref, no, client_key)
            return [added for group in groups for added in writes.update(group, forefront)]

        return self.db.write(work)

    def delete_requests(
        self, ref: str, keys: list[Request], *, client_key: str | None = None
    ) -> DeletedBatch:
        rules.check_client_key(client_key)
        named = [check_key(key, at) for at, key in enumerate(keys)]
        ids = ids_json(key["id"] for key in named)
        row = self.find(ref)

        def work(tx: Tx) -> bool:
            writes = self._writes(tx, ref, row.no, client_key)
            gone = tx.all(self.sql["delete"], no=row.no, ids=ids)
            if gone:
                writes.book(
                    requests=-len(gone),
                    handled=-sum(handled for handled, _ in gone),
                    bytes=-sum(size for _, size in gone),
                    deletes=len(gone),
                )
            return bool(gone)

        if not self.db.write(work):
            self.touch(row)
            self._seen(row, client_key)
        return DeletedBatch(processed_requests=named, unprocessed_requests=[])

    def requests(
        self, ref: str, query: RequestsQuery, *, client_key: str | None = None
    ) -> RequestsPage:
        rules.check_client_key(client_key)
        limit = check_window(0, query.limit, rules.MAX_REQUESTS)
        if query.in_order:
            return self._in_order(ref, query, limit, client_key)
        after = start_of(query)
        row = self.find(ref)
        statement = self.sql[page_name(query.filter, limit, row)]
        self.touch(row)
        if not query.observe:
            self._seen(row, client_key)
        now, locked = self.clock(), "locked" in query.filter
        rows = self.db.all(
            statement, no=row.no, after=after, now=now, locked=locked, limit=limit + 1
        )
        more = len(rows) > limit
        items = [shown(found, now) for found in rows[:limit]]
        self.reads.add(row.no, reads=len(items))
        return RequestsPage(
            items=items,
            limit=limit,
            next_cursor=cursor_after(items[-1]["id"]) if more else None,
            cursor=query.cursor,
            exclusive_start_id=query.exclusive_start_id,
        )

    def keeps_order(self) -> bool:
        return True

    def _in_order(
        self, ref: str, query: RequestsQuery, limit: int, client_key: str | None
    ) -> RequestsPage:
        """A page of what is unhandled, by its place in the queue."""
        place = place_of(query)
        row = self.find(ref)
        self.touch(row)
        if not query.observe:
            self._seen(row, client_key)
        rows = self.db.all(self.sql["page_in_order"], no=row.no, after_ord=place, limit=limit + 1)
        now, more = self.clock(), len(rows) > limit
        rows = rows[:limit]
        self.reads.add(row.no, reads=len(rows))
        return RequestsPage(
            items=[shown(found[1:], now) for found in rows],
            limit=limit,
            next_cursor=_encoded(Place(rows[-1][0])) if more else None,
            cursor=query.cursor,
        )

    def head(self, ref: str, *, limit: int = 100, client_key: str | None = None) -> Head:
        rules.check_client_key(client_key)
        limit = check_window(0, limit, rules.MAX_HEAD)
        row = self.find(ref)
        self.touch(row)
        many = self._seen(row, client_key)
        rows = self.db.all(self.sql["head"], no=row.no, now=self.clock(), limit=limit)
        self.reads.add(row.no, head_reads=len(rows))
        return Head(
            limit=limit,
            queue_modified_at=rules.iso(row.modified_at),
            had_multiple_clients=many,
            items=[in_head(id, body) for _, id, body in rows],
        )

    def lock_head(
        self, ref: str, *, lock_secs: int, limit: int = 25, client_key: str | None = None
    ) -> LockedHead:
        rules.check_client_key(client_key)
        check_lock_secs(lock_secs)
        limit = check_window(0, limit, rules.MAX_LOCKED_HEAD)
        row = self.find(ref)
        self.touch(row)
        which, modified_at = {"no": row.no, "now": self.clock()}, row.modified_at
        items: list[Request] = []
        many = None
        if "take" in self.sql:
            items, modified_at, many = self._take(row, lock_secs, limit, client_key)
        # Who waits for requests asks again and again: while there are none, nothing is written.
        elif self.db.one(self.sql["any_free"], **which):
            items, modified_at, many = self.db.write(
                lambda tx: self._lock(self._free(tx, ref, row.no, client_key), lock_secs, limit)
            )
        self.reads.add(row.no, head_reads=len(items))
        return LockedHead(
            limit=limit,
            queue_modified_at=rules.iso(modified_at),
            had_multiple_clients=self._seen(row, client_key) if many is None else many,
            items=items,
            lock_secs=lock_secs,
            queue_has_locked_requests=bool(items or self.db.one(self.sql["any_locked"], **which)),
            client_key=client_key,
        )

    def prolong(
        self,
        ref: str,
        id: str,
        *,
        lock_secs: int,
        forefront: bool = False,
        client_key: str | None = None,
    ) -> str:
        rules.check_client_key(client_key)
        check_lock_secs(lock_secs)
        no = self.find(ref).no

        def work(tx: Tx) -> int:
            writes = self._writes(tx, ref, no, client_key)
            until = writes.now + lock_secs * 1000
            writes.on_lock("prolong", id, until, forefront)
            return until

        return rules.iso(self.db.write(work))

    def unlock(
        self, ref: str, id: str, *, forefront: bool = False, client_key: str | None = None
    ) -> None:
        rules.check_client_key(client_key)
        no = self.find(ref).no
        self.db.write(
            lambda tx: self._writes(tx, ref, no, client_key).on_lock("unlock", id, 0, forefront)
        )

    def unlock_all(self, ref: str, *, client_key: str | None = None) -> int:
        rules.check_client_key(client_key)
        row = self.find(ref)

        def work(tx: Tx) -> int:
            writes = self._writes(tx, ref, row.no, client_key)
            which = {"no": row.no, "now": writes.now, "client_key": client_key}
            freed = len(tx.all(self.sql["unlock_all"], **which))
            if freed:
                writes.book(writes=freed)
            return freed

        freed = self.db.write(work)
        if not freed:
            self.touch(row)
            self._seen(row, client_key)
        return freed

    def describe(self, row: StorageRow, username: str | None) -> Queue:
        reads, _, head_reads = self.reads.pending(row.no)
        return Queue(
            **common(row, username),
            total_request_count=row.request_count,
            handled_request_count=row.handled_count,
            pending_request_count=row.request_count - row.handled_count,
            had_multiple_clients=bool(row.many_clients),
            stats={
                "readCount": row.read_count + reads,
                "writeCount": row.write_count,
                "deleteCount": row.delete_count,
                "headItemReadCount": row.head_read_count + head_reads,
                "storageBytes": row.bytes,
            },
        )

    def erase(self, tx: Tx, no: int, limit: int) -> int:
        return len(tx.all(self.sql["erase"], no=no, limit=limit))

    def _writes(self, tx: Tx, ref: str, no: int, client_key: str | None) -> Writes:
        """One transaction after another, for one queue."""
        tx.one(self.shared["hold"], no=no)
        return self._free(tx, ref, no, client_key)

    def _free(self, tx: Tx, ref: str, no: int, client_key: str | None) -> Writes:
        """Several at once, where rows are locked one by one."""
        return Writes(tx, self.sql, ref, no, client_key, self.clock())

    def _lock(
        self, writes: Writes, lock_secs: int, limit: int
    ) -> tuple[list[Request], int, bool | None]:
        """Lock the head; its requests in order, the time, and whether many clients came.

        The last is None if another client was quicker and nothing was left.
        """
        tx, no, now = writes.tx, writes.no, writes.now
        until = now + lock_secs * 1000
        tx.all(self.sql["free"], no=no, now=now)
        rows = tx.all(
            self.sql["lock"], no=no, until=until, client_key=writes.client_key, limit=limit
        )
        many = writes.book(writes=len(rows))[2] if rows else None
        expires = {"lockExpiresAt": rules.iso(until)}
        rows.sort()
        return [in_head(id, body) | expires for _, id, body in rows], now, many

    def _take(
        self, row: StorageRow, lock_secs: int, limit: int, client_key: str | None
    ) -> tuple[list[Request], int, bool | None]:
        """As _lock, in one statement; it writes nothing where there is nothing to lock."""
        now = self.clock()
        until = now + lock_secs * 1000
        which = {"no": row.no, "now": now, "until": until, "client_key": client_key}
        rows = self.db.commit(self.sql["take"], limit=limit, **which)
        if not rows:
            return [], row.modified_at, None
        expires = {"lockExpiresAt": rules.iso(until)}
        rows.sort()
        return [in_head(id, body) | expires for _, id, body, _ in rows], now, bool(rows[0][3])

    def _seen(self, row: StorageRow, client_key: str | None) -> bool:
        """Note who asked; whether there have been several. Most calls change nothing by that."""
        if row.many_clients or (client_key is not None and client_key == row.client_key):
            return bool(row.many_clients)
        try:
            found = self.db.write(
                lambda tx: tx.one(self.sql["seen"], no=row.no, client_key=client_key)
            )
        except Local:  # a store that can only be read
            return client_key is None or row.client_key is not None
        return bool(found and found[0])


class Cursor(Struct, rename="camel"):
    """What a cursor says, in base64url."""

    request_id: str


class Place(Struct):
    """What a cursor of a list in order says: 64 bits, as the database has."""

    place: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


def cursor_after(id: str) -> str:
    """The cursor of the page that starts after a request."""
    return _encoded(Cursor(id))


def _encoded(cursor: Cursor | Place) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def place_of(query: RequestsQuery) -> int:
    """The place after which a page in order starts."""
    if query.exclusive_start_id is not None or query.filter:
        raise InvalidInput(
            "inOrder cannot be combined with exclusiveStartId or filter", type="invalid-parameter"
        )
    return _decoded(query.cursor, Place).place if query.cursor is not None else FRONT


def start_of(query: RequestsQuery) -> str:
    """The ID after which a page starts."""
    start = query.exclusive_start_id
    if start is not None and (query.cursor is not None or query.filter):
        raise InvalidInput(
            "exclusiveStartId cannot be combined with cursor or filter", type="invalid-parameter"
        )
    return (start or "") if query.cursor is None else _decoded(query.cursor, Cursor).request_id


def _decoded(cursor: str, shape: type[Said]) -> Said:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(text, type=shape)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidInput(
            f"cursor '{cursor:.80}' is none that a list of requests gave out",
            type="invalid-parameter",
        ) from None


def page_name(states: tuple[str, ...], limit: int, row: StorageRow) -> str:
    """The statement that lists requests in these states with the least work.

    By ID, a page of unhandled requests passes over limit * total / unhandled rows;
    by the head, it sorts all that are unhandled.
    """
    for state in states:
        if state not in ("locked", "pending"):
            raise InvalidInput(
                f"filter must be any of locked, pending, not '{state:.80}'",
                type="invalid-parameter",
            )
    if not states:
        return "page"
    if "pending" not in states:
        return "page_locked"
    unhandled = row.request_count - row.handled_count
    few = unhandled * unhandled < limit * row.request_count
    return "page_few" if few else "page_unhandled"
