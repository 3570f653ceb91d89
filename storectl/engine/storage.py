"""What the three keepers on a database share: finding, listing, naming, deleting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct

from storectl.engine.db import Db, Row, Taken, Tx, statements
from storectl.engine.memory import Memory
from storectl.engine.reads import Reads
from storectl.engine.retention import Retention, expire_at
from storectl.errors import Conflict, InvalidInput, Local, NotFound, Unavailable
from storectl.model import rules
from storectl.model.ref import Ref
from storectl.model.storage import Change, Listed, ListQuery, Storage
from storectl.model.token import User

Kind = TypeVar("Kind", bound=Storage)

ERASE_ROWS = 500
"""Rows of a deleted storage that go in one transaction."""

ROWS = 100
"""Storages whose row a keeper remembers: writers that wait for one commit ask for it once."""

NUMBERS = 10_000
"""Storages whose number a keeper remembers, where one statement does all of a call."""


class StorageRow(Struct, frozen=True):
    """A row of table `storage`, its columns in their order."""

    no: int
    id: str
    noun: str
    user_id: str
    name: str | None
    title: str | None
    general_access: str
    secret: str
    token_id: str | None
    schema: str | None
    created_at: int
    modified_at: int
    accessed_at: int
    read_count: int
    write_count: int
    delete_count: int
    list_count: int
    head_read_count: int
    bytes: int
    item_count: int
    clean_count: int
    tail_first: int
    tail_rows: int
    tail_bytes: int
    request_count: int
    handled_count: int
    first_ord: int
    last_ord: int
    client_key: str | None
    many_clients: int


class Keeper(Generic[Kind]):
    """Storages of one noun, seen by one user.

    clock: milliseconds since 1970. token_id: of the token with a scope that the user
    calls with; what is created will be known as its.
    """

    noun: str
    made: type[Kind]

    def __init__(
        self,
        db: Db,
        user: User | None,
        reads: Reads,
        clock: Callable[[], int] = rules.now_ms,
        token_id: str | None = None,
    ) -> None:
        self.db = db
        self.user = user
        self.reads = reads
        self.clock = clock
        self.token_id = token_id
        self.retention = Retention(db, clock)
        self._memory = Memory(db, most=ROWS)
        self._numbers: dict[str, int] = {}
        self.sql = statements(self.noun, db.dialect)
        self.shared = statements("storage", db.dialect)
        self.access = statements("access", db.dialect)

    def list(self, query: ListQuery) -> Listed[Kind]:
        """What the user owns and what is shared with them, or one of both."""
        limit = check_window(query.offset, query.limit)
        if query.ownership not in (None, "ownedByMe", "sharedWithMe"):
            raise InvalidInput(
                f"ownership must be ownedByMe or sharedWithMe, not {query.ownership!r}",
                type="invalid-parameter",
            )
        if self.user is None:
            return Listed(total=0, offset=query.offset, limit=limit, items=[])
        which = {
            "user_id": self.user.id,
            "noun": self.noun,
            "unnamed": query.unnamed,
            "over": self.retention.over() if query.unnamed else 0,
            "own": query.ownership != "sharedWithMe",
            "shared": query.ownership != "ownedByMe",
        }
        total = self.db.one(self.shared["total"], **which)
        rows = self.db.all(
            self.shared["list_desc" if query.desc else "list"],
            limit=limit,
            offset=query.offset,
            **which,
        )
        return Listed(
            total=total[0] if total else 0,
            offset=query.offset,
            limit=limit,
            items=[*self._shown([StorageRow(*row) for row in rows])],
        )

    def create(
        self, name: str | None = None, *, schema: dict[str, Any] | None = None
    ) -> tuple[Kind, bool]:
        if self.user is None:
            raise NotFound.of(self.noun, f"~{name}")
        user = self.user
        if name is not None:
            rules.check_name(name)
        if schema is not None:
            self.check_schema(schema)
        row: dict[str, Any] = {
            "id": rules.new_id(),
            "noun": self.noun,
            "user_id": user.id,
            "name": name,
            "secret": rules.new_id() + rules.new_id(),
            "token_id": self.token_id,
            "schema": msgspec.json.encode(schema).decode() if schema else None,
            "now": self.clock(),
        }

        def work(tx: Tx) -> tuple[StorageRow, bool]:
            if name is not None:
                there = tx.one(self.shared["find_own"], user_id=user.id, noun=self.noun, name=name)
                if there is not None:
                    return StorageRow(*there), False
            made = tx.one(self.shared["create"], **row)
            assert made is not None
            return StorageRow(*made), True

        found = self._own(name) if name is not None else None
        made, new = (found, False) if found else self.db.write(work)
        return self._shown([made])[0], new

    def get(self, ref: str) -> Kind:
        return self._shown([self.find(ref)])[0]

    def update(self, ref: str, change: Change) -> Kind:
        row = self.find(ref)
        if isinstance(change.name, str):
            rules.check_name(change.name)
        if change.general_access is not UNSET:
            rules.check_access(change.general_access)
        values = {
            "no": row.no,
            "set_name": change.name is not UNSET,
            "name": None if change.name is UNSET else change.name,
            "set_title": change.title is not UNSET,
            "title": None if change.title is UNSET else change.title,
            "general_access": None if change.general_access is UNSET else change.general_access,
            "now": self.clock(),
        }
        try:
            now = self.db.write(lambda tx: tx.one(self.shared["update"], **values))
        except Taken:
            raise Conflict(
                f"Name '{change.name}' is taken by another {self.noun}",
                hint=f"storectl {self.noun} info {change.name}",
            ) from None
        if now is None:
            raise NotFound.of(self.noun, ref)
        return self._shown([StorageRow(*now)])[0]

    def delete(self, ref: str) -> None:
        """Delete the row, then what it held: in slices, so that no other writer waits long."""
        row = self.find(ref)

        def work(tx: Tx) -> bool:
            if tx.one(self.shared["delete"], no=row.no) is None:
                return False
            tx.many(self.shared["list_erased"], [{"no": row.no, "noun": self.noun}])
            return True

        if not self.db.write(work):
            raise NotFound.of(self.noun, ref)
        self._erase_rest()

    def delete_unused(self, id: str, since_ms: int, *, named: bool = False) -> bool:
        which = {"since": since_ms, "named": named}

        def work(tx: Tx) -> bool:
            row = tx.one(self.shared["find_id"], id=id, noun=self.noun)
            if row is None:
                return False
            no = StorageRow(*row).no
            if tx.one(self.retention.sql["delete_unused"], no=no, **which) is None:
                return False
            tx.many(self.shared["list_erased"], [{"no": no, "noun": self.noun}])
            return True

        gone = self.db.write(work)
        if gone:
            self._erase_rest()
        return gone

    def erase_more(self) -> bool:
        """Erase some of what deleted storages held; False if there was nothing left."""
        rest = self.db.one(self.shared["next_erased"], noun=self.noun)
        if rest is None:
            return False
        self._erase_some(rest[0])
        return True

    def _erase_rest(self) -> None:
        """Also what an earlier process was killed at. What cannot be erased now, a sweep will."""
        with suppress(Local, Unavailable):  # the storage is gone already
            while self.erase_more():
                pass

    def _erase_some(self, no: int) -> None:
        def work(tx: Tx) -> None:
            if tx.one(self.shared["hold_erased"], no=no) is None:
                return
            if self.erase(tx, no, ERASE_ROWS) < ERASE_ROWS:
                tx.all(self.shared["forget_answers"], no=no)
                tx.all(self.access["forget_grants"], no=no)
                tx.all(self.access["forget_links"], no=no)
                tx.all(self.shared["strike_erased"], no=no)

        self.db.write(work)

    def find(self, ref: str) -> StorageRow:
        """The row that a ref leads to. NotFound if there is none, or if it has expired."""
        parsed = Ref.parse(ref)
        if parsed.id is not None:
            row = self._memory.recall(parsed.id, partial(self._by_id, parsed.id))
        elif parsed.user is not None:
            row = self.db.one(
                self.shared["find_other"],
                username=parsed.user,
                noun=self.noun,
                name=parsed.name,
            )
        else:
            own = self._own(parsed.name or "")
            if own is None:
                raise NotFound.of(self.noun, parsed.name or "")
            return own
        if row is None:
            raise NotFound.of(self.noun, ref)
        found = StorageRow(*row)
        if self.retention.is_over(found.name, found.accessed_at):
            raise NotFound.of(self.noun, ref)
        return found

    def number(self, ref: str) -> int:
        """The number of a storage, of which nothing else is known: it may have expired since."""
        no = self._numbers.get(ref)
        if no is None:
            row = self.find(ref)
            no = row.no
            if ref == row.id and len(self._numbers) < NUMBERS:
                self._numbers[ref] = no
        return no

    def touch(self, row: StorageRow) -> None:
        """Move the last access, at most once an hour. Reading works on a read-only store."""
        now = self.clock()
        if now - row.accessed_at < rules.TOUCH_SECS * 1000:
            return
        try:
            self.db.write(lambda tx: tx.all(self.shared["touch"], no=row.no, now=now))
        except Local:
            return

    def answered(self, tx: Tx, no: int, key: str | None) -> bytes | None:
        """The answer to an earlier write with this key, if it is under 24 hours old."""
        if key is None:
            return None
        tx.one(self.shared["hold"], no=no)  # of two with one key the second sees the first
        since = self.clock() - rules.IDEMPOTENCY_SECS * 1000
        row = tx.one(self.shared["answered"], no=no, key=key, since=since)
        return row[0] if row else None

    def answer(self, tx: Tx, no: int, key: str | None, answer: bytes) -> None:
        """Remember the answer to a write, until a sweep finds that it is too old."""
        if key is not None:
            tx.all(self.shared["answer"], no=no, key=key, now=self.clock(), answer=answer)

    def describe(self, row: StorageRow, username: str | None) -> Kind:
        """The row as the API shows it. Nouns add their own fields."""
        raise NotImplementedError

    def check_schema(self, schema: object) -> None:
        """Refuse a schema that a storage of this noun cannot have."""
        if not isinstance(schema, dict):
            raise InvalidInput("schema must be a JSON object", type="store-schema-invalid")

    def erase(self, tx: Tx, no: int, limit: int) -> int:
        """Delete up to `limit` rows of what a storage held; how many there were."""
        raise NotImplementedError

    def _shown(self, rows: Sequence[StorageRow]) -> Sequence[Kind]:
        """Rows as the API shows them; those without a name with the time when they expire."""
        found = [self.describe(row, self._username(row.user_id)) for row in rows]
        if any(row.name is None for row in rows):
            secs = self.retention.secs()
            for row, storage in zip(rows, found, strict=True):
                if row.name is None:
                    storage.expire_at = expire_at(secs, row.accessed_at)
        return found

    def _by_id(self, id: str) -> Row | None:
        return self.db.one(self.shared["find_id"], id=id, noun=self.noun)

    def _own(self, name: str) -> StorageRow | None:
        if self.user is None:
            return None
        row = self.db.one(self.shared["find_own"], user_id=self.user.id, noun=self.noun, name=name)
        return StorageRow(*row) if row else None

    def _username(self, user_id: str) -> str | None:
        if self.user is not None and self.user.id == user_id:
            return self.user.username
        row = self.db.one(self.shared["username"], id=user_id)
        return row[0] if row else None


def common(row: StorageRow, username: str | None) -> dict[str, Any]:
    """The fields that every kind of storage shows."""
    return {
        "id": row.id,
        "user_id": row.user_id,
        "username": username,
        "name": row.name,
        "title": row.title,
        "created_at": rules.iso(row.created_at),
        "modified_at": rules.iso(row.modified_at),
        "accessed_at": rules.iso(row.accessed_at),
        "schema": msgspec.json.decode(row.schema) if row.schema else None,
        "general_access": row.general_access,
        "url_signing_secret_key": row.secret,
    }


def check_window(offset: int, limit: int, most: int = rules.MAX_LIST) -> int:
    """The limit to use: given ones are cut to the most that is allowed, 0 means that too."""
    for name, value in (("offset", offset), ("limit", limit)):
        if value < 0:
            raise InvalidInput(f"{name} must be 0 or more, not {value}", type="invalid-parameter")
    return min(limit or most, most)
