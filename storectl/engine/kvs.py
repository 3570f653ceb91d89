"""Key-value stores on a database: small bodies in the row, larger ones as blobs.

A blob is listed as garbage before its first byte is written, and struck off in the
transaction that names it: whenever a crash comes, each blob has a row or is listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from typing import Any, cast

import msgspec

from storectl.engine.blobs import Blobs, new_blob
from storectl.engine.db import Db, SharedDb, Taken, Tx, statements
from storectl.engine.reads import Reads
from storectl.engine.retention import TOUCH_MS
from storectl.engine.schema import Rule
from storectl.engine.storage import Keeper, StorageRow, check_window, common
from storectl.engine.upload import Upload
from storectl.errors import InvalidInput, Local, NotFound, StorectlError, Unavailable
from storectl.model import rules
from storectl.model.kvs import (
    Key,
    KeysPage,
    KeysQuery,
    KeyValueStore,
    Record,
    no_record,
)
from storectl.model.token import User

INLINE_BYTES = 128 * 1024
"""Where rows and files took the same time: rows write 1.6 times as fast at 128 KiB and
as fast at 256 KiB, and read as fast at 128 KiB and 0.7 times as fast at 256 KiB."""

UPLOAD_SECS = 24 * 3600
"""How long an upload may take before a sweep takes its blob for abandoned."""

GRACE_SECS = 3600
"""How long the blob of a replaced record stays for those who are reading it, unless the
store was told another time."""

COLLECT_SECS = 60.0
COLLECT_BLOBS = 1000

# Below and above every character that a key may have.
_BELOW, _ABOVE = " ", "\x7f"


class KeyValueStores(Keeper[KeyValueStore]):
    """The keeper of key-value stores. See model/kvs.py for the promise."""

    noun = "kvs"

    def __init__(
        self,
        db: Db,
        user: User | None,
        reads: Reads,
        blobs: Blobs,
        clock: Callable[[], int] = rules.now_ms,
        token_id: str | None = None,
    ) -> None:
        super().__init__(db, user, reads, clock, token_id)
        self.blobs = blobs
        self._collected = 0.0

    def create(
        self, name: str | None = None, *, schema: dict[str, Any] | None = None
    ) -> tuple[KeyValueStore, bool]:
        check_schema(schema)
        return super().create(name, schema=schema)

    def keys(self, ref: str, query: KeysQuery) -> KeysPage:
        limit = check_window(0, query.limit, rules.MAX_KEYS)
        row = self.find(ref)
        low, high = _key_range(query, row)
        self.touch(row)
        self.reads.add(row.no, lists=1)
        found = self.db.all(self.sql["keys"], no=row.no, low=low, high=high, limit=limit + 1)
        items = [
            Key(key=key, size=size, content_type=content_type, sha256=digest.hex())
            for key, size, content_type, digest in found[:limit]
        ]
        more = len(found) > limit
        return KeysPage(
            items=items,
            count=len(items),
            limit=limit,
            exclusive_start_key=query.exclusive_start_key,
            is_truncated=more,
            next_exclusive_start_key=items[-1].key if more else None,
        )

    def record(self, ref: str, key: str, *, body: bool = True) -> Record:
        rules.check_key(key)
        id = self.find(ref).id if "~" in ref else ref
        row = self.db.one(self.sql["record"], id=id, key=key, with_body=body)
        if row is None:
            raise NotFound.of("kvs", ref)
        no, accessed_at, content_type, content_encoding, size, digest, blob, inline = row
        if self.clock() - accessed_at >= TOUCH_MS:
            self.touch(self.find(id))  # NotFound if the store has expired
        if content_type is None:
            raise no_record(ref, key)
        found = Record(
            key=key, content_type=content_type, content_encoding=content_encoding, size=size
        )
        if not body:
            return found
        self.reads.add(no, reads=1)
        if blob is None:
            if sha256(inline).digest() != digest:
                raise _damaged(key)
            found.body = (inline,) if inline else ()
            return found
        found.body = _verified(self.blobs.open(blob, size), digest, key)
        return found

    def put(self, ref: str, record: Record) -> None:
        key = rules.check_key(record.key)
        encoding = rules.check_encoding(record.content_encoding)
        content_type = rules.check_content_type(record.content_type)
        id = self.find(ref).id if "~" in ref else ref
        upload = Upload(record)
        body, blob = upload.whole(INLINE_BYTES), None
        if body is None:
            blob = self._receive(id, upload, content_type, encoding)
        meta = {
            "key": key,
            "content_type": content_type,
            "content_encoding": encoding,
            "size": upload.size,
            "sha256": upload.digest,
        }
        if "keep" in self.sql and body is not None and self._keep(id, {**meta, "body": body}):
            return

        def keep(tx: Tx) -> None:
            now = self.clock()
            if blob is not None and tx.one(self.sql["strike"], blob=blob, now=now) is None:
                raise Unavailable(f"Upload of record '{key}' took over {UPLOAD_SECS // 3600} h")
            no, old_size, old_blob, wanted = self._place(tx, id, key, content_type)
            if body is not None:
                for rule in wanted:
                    rule.check(key, (body,), encoding)
            tx.all(self.sql["put"], no=no, now=now, blob=blob, body=body, **meta)
            tx.all(self.sql["count_put"], no=no, grown=upload.size - old_size, now=now)
            self._discard(tx, old_blob)

        self.db.write(keep)
        if blob is not None:
            self._collect()

    def remove(self, ref: str, key: str) -> None:
        rules.check_key(key)
        if "drop" in self.sql and "~" not in ref:
            which = {**self._now(), "id": ref, "key": key}
            if self.db.commit(self.sql["drop"], **which):
                return
        row = self.find(ref)
        self.touch(row)

        def work(tx: Tx) -> None:
            tx.one(self.sql["hold"], id=row.id)
            removed = tx.one(self.sql["remove"], no=row.no, key=key)
            if removed is None:
                return
            size, blob = removed
            tx.all(self.sql["count_remove"], no=row.no, size=size, now=self.clock())
            self._discard(tx, blob)

        self.db.write(work)

    def describe(self, row: StorageRow, username: str | None) -> KeyValueStore:
        reads, lists, _ = self.reads.pending(row.no)
        return KeyValueStore(
            **common(row, username),
            stats={
                "readCount": row.read_count + reads,
                "writeCount": row.write_count,
                "deleteCount": row.delete_count,
                "listCount": row.list_count + lists,
                "storageBytes": row.bytes,
            },
        )

    def erase(self, tx: Tx, no: int, limit: int) -> int:
        gone = tx.all(self.sql["erase"], no=no, limit=limit)
        self._discard(tx, *(blob for (blob,) in gone))
        return len(gone)

    def _keep(self, id: str, record: dict[str, Any]) -> bool:
        """Set a record in one statement; False, and nothing is done, where that cannot be."""
        db = cast(SharedDb, self.db)
        return db.gather(("keep", id), record, partial(self._keep_all, id))

    def _keep_all(self, id: str, records: list[dict[str, Any]]) -> list[bool]:
        """The same for the records of several threads, one after another if they share a key."""
        if len({record["key"] for record in records}) < len(records):
            return [self._keep_all(id, [record])[0] for record in records]
        columns = {name: [record[name] for record in records] for name in records[0]}
        sums = {"count": len(records), "grown": sum(columns["size"])}
        try:
            kept = self.db.commit(self.sql["keep"], id=id, **columns, **sums, **self._now())
        except Taken:  # by somebody who was quicker with a new key
            kept = []
        return [bool(kept)] * len(records)

    def _now(self) -> dict[str, int]:
        """The time, since when a store has to be used, and the grace for what is replaced."""
        now = self.clock()
        return {"now": now, "since": now - TOUCH_MS, "secs": GRACE_SECS}

    def _place(
        self, tx: Tx, id: str, key: str, content_type: str
    ) -> tuple[int, int, str | None, list[Rule]]:
        """The number of a storage, size and blob of what is under the key, and rules for more."""
        tx.one(self.sql["hold"], id=id)
        row = tx.one(self.sql["place"], id=id, key=key)
        if row is None:
            raise NotFound.of("kvs", id)
        no, schema, size, blob, name, accessed_at = row
        if self.retention.is_over(name, accessed_at):
            raise NotFound.of("kvs", id)
        return no, size or 0, blob, _rules(schema, key, content_type)

    def _receive(self, id: str, upload: Upload, content_type: str, encoding: str | None) -> str:
        """Take a body into a blob that is listed until a row names it."""
        blob = new_blob()

        def announce(tx: Tx) -> list[Rule]:
            found = self._place(tx, id, upload.key, content_type)[-1]
            due = self.clock() + UPLOAD_SECS * 1000
            tx.many(self.sql["list"], [{"blob": blob, "not_before": due}])
            return found

        found = self.db.write(announce)
        self.blobs.put(blob, upload)
        try:
            for rule in found:
                rule.check(upload.key, self.blobs.open(blob), encoding)
        except StorectlError:
            self.blobs.delete(blob)
            raise
        return blob

    def _discard(self, tx: Tx, *blobs: str | None) -> None:
        """List blobs that no row names any more as garbage, once the grace is over."""
        now = self.clock()
        gone = [{"blob": blob, "now": now, "secs": GRACE_SECS} for blob in blobs if blob]
        if gone:
            tx.many(self.sql["discard"], gone)

    def _collect(self) -> None:
        """Give disk space back now and then. The record is kept already, whatever happens."""
        if time.monotonic() - self._collected < COLLECT_SECS:
            return
        self._collected = time.monotonic()
        try:
            collect(self.db, self.blobs, now=self.clock())
        except (Local, Unavailable):
            return


def collect(db: Db, blobs: Blobs, *, now: int, limit: int = COLLECT_BLOBS) -> int:
    """Delete blobs that no row names and nobody reads any more; how many there were.

    now: milliseconds. At most `limit` a call. Blob first, listing second: two at once,
    or one that is cut off, do no harm.
    """
    sql = statements("kvs", db.dialect)
    due = db.all(sql["due"], now=now, limit=limit)
    if due:
        blobs.delete(*(blob for (blob,) in due))
        db.write(lambda tx: tx.many(sql["collected"], [{"blob": blob} for (blob,) in due]))
    return len(due)


def check_schema(schema: object) -> None:
    """Refuse collections that are not found by exactly one of key and keyPrefix.

    Source: Apify, "Key-value store schema specification".
    """
    if schema is None:
        return
    collections = schema.get("collections", {}) if isinstance(schema, dict) else None
    if not isinstance(collections, dict):
        raise _bad_schema("schema and its collections must be JSON objects")
    for name, collection in collections.items():
        if not isinstance(collection, dict):
            raise _bad_schema(f"Collection '{name}' must be a JSON object")
        which = [collection[at] for at in ("key", "keyPrefix") if at in collection]
        if len(which) != 1 or not isinstance(which[0], str):
            raise _bad_schema(f"Collection '{name}' must have either a key or a keyPrefix")
        types = collection.get("contentTypes", [])
        if not (isinstance(types, list) and all(isinstance(each, str) for each in types)):
            raise _bad_schema(f"contentTypes of collection '{name}' must be an array of texts")
        for rule in _rule(name, collection):
            rule.check_schema()


def _bad_schema(what: str) -> InvalidInput:
    return InvalidInput(what, type="store-schema-invalid")


def _collections(schema: str | None) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if schema is not None:
        found = msgspec.json.decode(schema).get("collections", found)
    return found


def _rules(schema: str | None, key: str, content_type: str) -> list[Rule]:
    """What a record with this key must fit. A type that its collection has not is refused."""
    if schema is None:
        return []
    kind = content_type.partition(";")[0].strip().lower()
    found: list[Rule] = []
    for name, collection in _collections(schema).items():
        prefix = collection.get("keyPrefix")
        mine = key.startswith(prefix) if prefix is not None else key == collection["key"]
        allowed = collection.get("contentTypes")
        if mine and allowed and kind not in allowed:
            raise InvalidInput(
                f"Collection '{name}' takes {', '.join(allowed)}, not {kind}",
                type="schema-validation-error",
            )
        if mine and kind == "application/json":
            found += _rule(name, collection)
    return found


def _rule(name: str, collection: dict[str, Any]) -> list[Rule]:
    wanted = collection.get("jsonSchema")
    return [] if wanted is None else [Rule(name, msgspec.json.encode(wanted))]


def _key_range(query: KeysQuery, row: StorageRow) -> tuple[str, str]:
    """Keys from the first, up to but without the second, that a query asks for."""
    low, high = query.prefix or "", (query.prefix or "") + _ABOVE
    if query.exclusive_start_key is not None:
        low = max(low, query.exclusive_start_key + _BELOW)
    if query.collection is not None:
        collection = _collections(row.schema).get(query.collection)
        if collection is None:
            raise InvalidInput(
                f"Key-value store has no collection '{query.collection}'",
                type="invalid-collection",
            )
        prefix = collection.get("keyPrefix")
        start = prefix if prefix is not None else collection["key"]
        low = max(low, start)
        high = min(high, start + (_ABOVE if prefix is not None else _BELOW))
    return low, high


def _verified(blocks: Iterable[bytes], digest: bytes, key: str) -> Iterator[bytes]:
    """The blocks, the last of them only if all together are what was kept."""
    actual, held = sha256(), b""
    for block in blocks:
        actual.update(block)
        if held:
            yield held
        held = block
    if actual.digest() != digest:
        raise _damaged(key)
    yield held


def _damaged(key: str) -> Local:
    return Local(f"Record '{key}' is damaged: its bytes are not those that were kept")
