"""Request queues on a database: a row for each request, an index for the head.

A request has a place in the queue, `ord`, until it is handled. A lock leaves it
there and hides it from the index of the head; once the lock is over it counts as
free, whether or not its row says so yet.
"""

from __future__ import annotations

from typing import cast

import msgspec

from storectl.engine.db import Row, SharedDb, Tx
from storectl.engine.paging import cursor_after, cursor_behind, page_name, place_of, start_of
from storectl.engine.request import (
    Overtaken,
    Writes,
    ids_json,
    in_head,
    shown,
    sorted_out,
    to_written,
)
from storectl.engine.storage import Keeper, StorageRow, check_window, common
from storectl.engine.swift import Swift
from storectl.errors import Local
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
        if "add" in self.sql and written and idempotency_key is None:
            done = self._swift(ref, client_key).add(written, forefront)
            if done is not None:
                if not done[1]:
                    self._noted(self.find(ref), client_key)
                return done[0]
        row = self.find(ref)

        def work(tx: Tx) -> tuple[AddedBatch, bool]:
            earlier = self.answered(tx, row.no, idempotency_key)
            if earlier is not None:
                return msgspec.json.decode(earlier, type=AddedBatch), True
            writes = self._writes(tx, ref, row.no, client_key)
            writes.hold(())
            batch, fresh = sorted_out(written, writes.known(written))
            if fresh:
                writes.insert(fresh, forefront)
            if idempotency_key is not None:
                self.answer(tx, row.no, idempotency_key, msgspec.json.encode(batch))
            return batch, bool(fresh)

        batch, wrote = self.db.write(work)
        if not wrote:
            self._noted(row, client_key)
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
        if "rewrite" in self.sql and written:
            done = self._swift(ref, client_key).update(written, forefront)
            if done is not None:
                return done
        no = self.find(ref).no
        if len({each.id for each in written}) == len(written):
            groups = [written] if written else []
        else:  # what comes twice is written twice
            groups = [[each] for each in written]

        def work(tx: Tx) -> list[Added]:
            writes = self._writes(tx, ref, no, client_key)
            if len(groups) > 1:
                writes.hold(each.id for each in written)
            return [added for group in groups for added in writes.update(group, forefront)]

        while True:
            try:
                return self.db.write(work)
            except Overtaken:  # then it is there the next time
                continue

    def delete_requests(
        self, ref: str, keys: list[Request], *, client_key: str | None = None
    ) -> DeletedBatch:
        rules.check_client_key(client_key)
        named = [check_key(key, at) for at, key in enumerate(keys)]
        ids = [key["id"] for key in named]
        any_gone = self._swift(ref, client_key).delete(ids) if "drop" in self.sql else None
        if any_gone is None:
            any_gone = self._delete(ref, ids, client_key)
        if not any_gone:
            self._noted(self.find(ref), client_key)
        return DeletedBatch(processed_requests=named, unprocessed_requests=[])

    def _delete(self, ref: str, ids: list[str], client_key: str | None) -> bool:
        """Whether any of these requests was there until now."""
        no = self.find(ref).no

        def work(tx: Tx) -> bool:
            writes = self._writes(tx, ref, no, client_key)
            writes.hold(ids)
            gone = tx.all(self.sql["delete"], no=no, ids=ids_json(ids))
            if gone:
                writes.book(
                    requests=-len(gone),
                    handled=-sum(handled for handled, _ in gone),
                    bytes=-sum(size for _, size in gone),
                    deletes=len(gone),
                )
            return bool(gone)

        return self.db.write(work)

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
            next_cursor=cursor_behind(rows[-1][0]) if more else None,
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
        items: list[Request] = []
        if "take" in self.sql:
            swift = self._swift(ref, client_key)
            rows, modified_at = swift.take(lock_secs, limit)
            items = _locked(rows, modified_at, lock_secs)
            no, many = swift.no, bool(rows and rows[0][3])
        if not items:
            row = self.find(ref)
            self.touch(row)
            no, now = row.no, self.clock()
            modified_at, seen = row.modified_at, None
            # Who waits for requests asks again and again: while there are none, nothing is written.
            if self.db.one(self.sql["any_free"], no=no, now=now):
                items, modified_at, seen = self.db.write(
                    lambda tx: self._lock(self._writes(tx, ref, no, client_key), lock_secs, limit)
                )
            many = self._seen(row, client_key) if seen is None else seen
        self.reads.add(no, head_reads=len(items))
        return LockedHead(
            limit=limit,
            queue_modified_at=rules.iso(modified_at),
            had_multiple_clients=many,
            items=items,
            lock_secs=lock_secs,
            queue_has_locked_requests=bool(
                items or self.db.one(self.sql["any_locked"], no=no, now=self.clock())
            ),
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
            self._noted(row, client_key)
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

    def _swift(self, ref: str, client_key: str | None) -> Swift:
        """One statement, where there is one."""
        return Swift(cast(SharedDb, self.db), self.sql, self.number(ref), client_key, self.clock)

    def _writes(self, tx: Tx, ref: str, no: int, client_key: str | None) -> Writes:
        return Writes(tx, self.sql, ref, no, client_key, self.clock())

    def _lock(
        self, writes: Writes, lock_secs: int, limit: int
    ) -> tuple[list[Request], int, bool | None]:
        """Lock the head; its requests in order, the time, and whether many clients came.

        The last is None if another client was quicker and nothing was left.
        """
        tx, no, now = writes.tx, writes.no, writes.now
        tx.all(self.sql["free"], no=no, now=now)
        rows = tx.all(
            self.sql["lock"],
            no=no,
            until=now + lock_secs * 1000,
            client_key=writes.client_key,
            limit=limit,
        )
        many = writes.book(writes=len(rows))[2] if rows else None
        return _locked(rows, now, lock_secs), now, many

    def _noted(self, row: StorageRow, client_key: str | None) -> None:
        """Note a call that has changed no request."""
        self.touch(row)
        self._seen(row, client_key)

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


def _locked(rows: list[Row], now: int, lock_secs: int) -> list[Request]:
    """Rows of ord, id, body, … that were just locked as requests, in their order."""
    expires = {"lockExpiresAt": rules.iso(now + lock_secs * 1000)}
    return [in_head(row[1], row[2]) | expires for row in sorted(rows)]
