"""A whole store into another database, row by row, with its bytes; either side of any dialect.

Each page of rows and how far it has come is one transaction there, so that a move that was
killed goes on where it was. Bytes come before the rows that name them. At the end all that
arrived is read again and held against what was read here: numbers of rows, and checksums
that do not depend on their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from storectl.engine import folder_of, is_postgres, postgres_db
from storectl.engine.db import Db, Row, Tx, statements
from storectl.engine.place import MARK, BlobPlace, Leaving
from storectl.engine.sqlite import SqliteDb
from storectl.engine.sweep import LEASE_MS
from storectl.errors import CheckFailed, Conflict, InvalidInput, NotFound
from storectl.model import rules
from storectl.model.upkeep import Copied, Scope, Step

BLOBS = 8
"""Carried at a time."""


class Table(NamedTuple):
    """What is moved at a time of one table, and by which columns its rows are told apart.

    last: what no two moves may differ in, since it is read once more at the end.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    rows: int
    last: bool = False


def _table(name: str, columns: str, keys: int, rows: int, last: bool = False) -> Table:
    names = tuple(columns.split())
    return Table(name, names, names[:keys], rows, last)


TABLES = (
    _table("setting", "key value place", 1, 500),
    _table("user", "id username email default_access created_at", 1, 500, last=True),
    _table(
        "token",
        "id user_id name hash last4 scope created_at last_used_at expires_at revoked_at "
        "previous_hash previous_until",
        1,
        500,
        last=True,
    ),
    _table(
        "storage",
        "no id noun user_id name title general_access secret token_id schema created_at "
        "modified_at accessed_at read_count write_count delete_count list_count head_read_count "
        "bytes item_count clean_count tail_first tail_rows tail_bytes request_count "
        "handled_count first_ord last_ord client_key many_clients",
        1,
        500,
        last=True,
    ),
    _table("granted", "storage_no user_id level created_at", 2, 500, last=True),
    _table("link", "storage_no key expires_at created_at", 3, 500, last=True),
    _table("chunk", "storage_no first count raw_bytes codec crc ends body", 2, 16),
    _table(
        "record",
        "storage_no key content_type content_encoding size sha256 modified_at blob body",
        2,
        100,
    ),
    _table("request", "storage_no id ord locked_until locked_by lock_gen crc body", 2, 1000),
    _table("answered", "storage_no key at answer", 2, 100),
)
"""In the order in which they are filled: what others refer to comes first."""

_NUMBERS = {"no", "storage_no", "first", "expires_at"}


class Progress(msgspec.Struct):
    """How far a move has come, as the target remembers it.

    id: of the move, known to its source too. table: how many are done. after: the key of the
    row that came last. sums: of each table rows and their checksum. size: bytes of rows that
    are there.
    """

    id: str
    table: int = 0
    after: list[Any] = msgspec.field(default_factory=list)
    sums: dict[str, tuple[int, str]] = msgspec.field(default_factory=dict)
    size: int = 0


class Side(NamedTuple):
    """A store that takes part. place: for people. now: milliseconds since 1970, by its clock."""

    db: Db
    blobs: BlobPlace
    place: str
    now: Callable[[], int]


def opened(url: str, blobs: str | None = None, *, make: bool) -> Side:
    """The side at a URL or in a folder, whoever else has it open. NotFound if it is not there."""
    if is_postgres(url):
        database = postgres_db(url)
        place = BlobPlace(database, blobs, None)
        return Side(database, place, database.place, database.now_ms)
    folder = folder_of(url).absolute()
    if not make and not (folder / "store.sqlite").is_file():
        raise NotFound(f"{folder} holds no store")
    db = SqliteDb(folder)
    return Side(db, BlobPlace(db, blobs, folder / "blobs"), str(folder), rules.now_ms)


def move(source: str, target: str, blobs: str | None) -> Iterator[Scope | Step | Copied]:
    """Move a store; see Move. blobs: where its large records go, as in place.py."""
    with ExitStack() as stack:
        here = opened(source, make=False)
        stack.callback(here.db.close)
        there = opened(target, blobs, make=True)
        stack.callback(there.db.close)
        yield from Move(here, there).run()


def release(url: str) -> bool:
    """Let a store be used again that a move has left or begun to leave; False if none has."""
    side = opened(url, make=False)
    sql = statements("move", side.db.dialect)
    try:
        found = _said(side.db, sql, "moving") is not None
        if found:
            side.db.write(lambda tx: tx.all(sql["strike_state"], key="moving"))
    finally:
        side.db.close()
    return found


class Move:
    """One move.

    Raises Conflict if somebody serves the source, or if something else is in the target;
    CheckFailed if what arrived is not what was sent, or the source was written to.
    """

    def __init__(self, source: Side, target: Side) -> None:
        self.source, self.target = source, target
        self.reads = statements("move", source.db.dialect)
        self.writes = statements("move", target.db.dialect)
        self._again = False
        self._pool = ThreadPoolExecutor(BLOBS, "move")

    def run(self) -> Iterator[Scope | Step | Copied]:
        """Move, or go on with it."""
        if self.source.place == self.target.place:
            raise InvalidInput(f"{self.source.place} cannot be moved to itself")
        with self._pool:
            yield from self._run()

    def _run(self) -> Iterator[Scope | Step | Copied]:
        if self.source.db.one(self.reads["is_empty"]) in ((1,), (True,)):
            raise NotFound(f"{self.source.place} holds no store")
        self.target.blobs.has(MARK)  # before anything: it may be the wrong one, or away
        progress = self._begun()
        (sizes,) = self.source.db.all(self.reads["sizes"])
        storages, self.total, blobs = map(int, sizes)
        yield Scope(2 * self.total)
        while progress.table < len(TABLES):
            yield from self._fill(TABLES[progress.table], progress)
        yield from self._verify(progress)
        self._check_source(progress)
        self._end(progress)
        sums = msgspec.json.encode(sorted(progress.sums.items()))
        digest = sha256(sums).hexdigest()
        yield Copied(storages, blobs, self.total, digest)

    def _begun(self) -> Progress:
        """Mark both sides, or find the marks of this very move."""
        said = _said(self.target.db, self.writes, "move")
        if said is not None:
            known = msgspec.json.decode(said, type=Progress)
            self.source.db.write(lambda tx: self._leave(tx, known.id))
            self._again = True
            return known
        id = self.source.db.write(lambda tx: self._leave(tx, None))
        progress = Progress(id)
        try:
            self.target.db.write(lambda tx: self._arrive(tx, progress))
        except Conflict:
            self.source.db.write(lambda tx: tx.all(self.reads["strike_state"], key="moving"))
            raise
        return progress

    def _leave(self, tx: Tx, known: str | None) -> str:
        """Mark the source, which nobody may open from now on; the ID of the move."""
        now = self.source.now()
        served = tx.one(self.reads["is_served"], now=now, latest=now + LEASE_MS)
        if served is not None:
            secs = (served[0] - now) // 1000 + 1
            raise Conflict(
                f"A server is running on {self.source.place}",
                hint=f"end it; if it was killed, try again in {secs} s",
            )
        said = _said(tx, self.reads, "moving")
        if said is None:
            if known:
                raise self._occupied("another move has begun there")
            leaving = Leaving(rules.new_id(), self.target.place)
            said = msgspec.json.encode(leaving).decode()
            tx.all(self.reads["set_state"], key="moving", place=said)
            return leaving.id
        leaving = msgspec.json.decode(said, type=Leaving)
        if leaving.done and leaving.id != known:
            raise Conflict(
                f"{self.source.place} was moved to {leaving.to} already",
                hint="storectl store release lets it be used, and moved, again",
            )
        if known not in (None, leaving.id):
            raise self._occupied("another move has begun there")
        if known is None and leaving.to != self.target.place:
            raise Conflict(
                f"{self.source.place} is being moved to {leaving.to}",
                hint="run that move again, or give it up with storectl store release",
            )
        return leaving.id

    def _arrive(self, tx: Tx, progress: Progress) -> None:
        if tx.one(self.writes["is_empty"]) not in ((1,), (True,)):
            raise self._occupied("it has users and storages of its own")
        self._remember(tx, progress)

    def _occupied(self, why: str) -> Conflict:
        return Conflict(f"{self.target.place} is not empty: {why}", hint="name another place")

    def _remember(self, tx: Tx, progress: Progress) -> None:
        said = msgspec.json.encode(progress).decode()
        tx.all(self.writes["set_state"], key="move", place=said)

    def _fill(self, table: Table, progress: Progress) -> Iterator[Step]:
        """The rest of one table, page by page; the last page also says that it is done."""
        rows = self._page(self.source.db, self.reads, table, progress.after)
        self._blobs(self._carry, table, rows)
        self._again = False
        end = len(rows) < table.rows
        count, total = progress.sums.get(table.name, (0, "0"))
        progress.sums[table.name] = count + len(rows), _added(total, rows)
        progress.size += sum(_size(table, row) for row in rows)
        progress.table += end
        progress.after = [] if end else list(rows[-1][: len(table.key)])

        def work(tx: Tx) -> None:
            values = [dict(zip(table.columns, row, strict=True)) for row in rows]
            tx.many(self.writes[f"add_{table.name}"], values)
            if end and table.name == "storage":
                tx.all(self.writes["count_on"])
            self._remember(tx, progress)

        self.target.db.write(work)
        yield Step(0, min(progress.size, self.total))

    def _page(self, db: Db, sql: dict[str, str], table: Table, after: list[Any]) -> list[Row]:
        start = after or [-1 if name in _NUMBERS else "" for name in table.key]
        behind = {f"after_{name}": at for name, at in zip(table.key, start, strict=True)}
        return db.all(sql[table.name], limit=table.rows, **behind)

    def _blobs(
        self, work: Callable[[str, int, bytes], None], table: Table, rows: list[Row]
    ) -> None:
        """Do something with each blob that rows of records name, several at a time."""
        if table.name == "record":
            found = [(row[7], row[4], row[5]) for row in rows if row[7] is not None]
            for _ in self._pool.map(lambda each: work(*each), found):
                pass

    def _carry(self, blob: str, size: int, _: bytes) -> None:
        """Have a body in the target; what a killed move has left there may be cut off."""
        if self._again:
            self.target.blobs.delete(blob)
        self.target.blobs.put(blob, self.source.blobs.open(blob, size))

    def _verify(self, progress: Progress) -> Iterator[Step]:
        """Read all that has arrived."""
        size = 0
        for table in TABLES:
            count, total, after = 0, "0", list[Any]()
            while rows := self._page(self.target.db, self.writes, table, after):
                count, total = count + len(rows), _added(total, rows)
                after = list(rows[-1][: len(table.key)])
                self._blobs(self._read_again, table, rows)
                size += sum(_size(table, row) for row in rows)
                yield Step(0, self.total + min(size, self.total))
            if (count, total) != progress.sums[table.name]:
                raise CheckFailed(
                    f"What arrived in table {table.name} of {self.target.place} is not what was "
                    f"sent: {count:,} rows of {progress.sums[table.name][0]:,}",
                    hint="has something else written there? Name an empty place",
                )

    def _read_again(self, blob: str, size: int, digest: bytes) -> None:
        found = sha256()
        for block in self.target.blobs.open(blob, size):
            found.update(block)
        if found.digest() != digest:
            raise CheckFailed(
                f"Blob {blob} in {self.target.place} is damaged",
                hint="is it in the source? storectl doctor --deep --store SOURCE",
            )

    def _check_source(self, progress: Progress) -> None:
        """Find writes of a process that had the source open when the move began."""
        for table in TABLES:
            if not table.last:
                continue
            count, total, after = 0, "0", list[Any]()
            while rows := self._page(self.source.db, self.reads, table, after):
                count, total = count + len(rows), _added(total, rows)
                after = list(rows[-1][: len(table.key)])
            if (count, total) != progress.sums[table.name]:
                raise CheckFailed(
                    f"{self.source.place} was written to while it was moved",
                    hint="end what uses it, and move it to another place, which is empty",
                )

    def _end(self, progress: Progress) -> None:
        """The source first: nobody shall ever write to both."""
        said = msgspec.json.encode(Leaving(progress.id, self.target.place, done=True)).decode()
        self.source.db.write(lambda tx: tx.all(self.reads["set_state"], key="moving", place=said))
        self.target.db.write(lambda tx: tx.all(self.writes["strike_state"], key="move"))


def _said(db: Db | Tx, sql: dict[str, str], key: str) -> str | None:
    """What a side remembers of a move."""
    found: dict[str, str] = dict(db.all(sql["state"]))
    return found.get(key)


def _added(total: str, rows: list[Row]) -> str:
    """A checksum in hexadecimal with more rows in it, in any order."""
    number = int(total, 16)
    for row in rows:
        number += int.from_bytes(sha256(msgspec.msgpack.encode(row)).digest())
    return f"{number % 2**256:x}"


def _size(table: Table, row: Row) -> int:
    """What a row adds to the bytes of its storage, about."""
    if table.name == "record":
        return int(row[4])
    if table.name == "chunk":
        return int(row[3])
    return len(row[-1]) if table.name == "request" else 0
