"""Is a store what it says it is? Looks while others write, and changes nothing.

Each storage is compared with its contents inside one snapshot, so that a push between
two looks is no damage. Blobs are looked for before the rows that name them, and rows
again after a blob that is missing: bytes come before their row and go after it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from storectl.engine.db import migrations, statements
from storectl.engine.deep import contents
from storectl.engine.files import UNFINISHED, Files
from storectl.engine.finding import BACKUP, derivable, lost
from storectl.engine.kvs import GRACE_SECS, UPLOAD_SECS
from storectl.engine.place import OWN, opened
from storectl.engine.snapshot import DamagedError, Reading, schema_of_a_store
from storectl.engine.sqlite import APPLICATION_ID
from storectl.engine.storage import StorageRow
from storectl.errors import Local, StorectlError
from storectl.model import rules
from storectl.model.storage import NOUNS
from storectl.model.upkeep import REPAIR, Finding, Scope, Step

ROWS = 500
MOST = 100
"""Findings of one kind in one storage; more of them say nothing new."""

MOST_FILES = 10_000
PLACES_SINCE = 2
"""The first schema in which a store remembers where its blobs are."""

UNREADABLE = (DamagedError, TypeError, ValueError)
"""Also what a column raises that holds another type than it may, or text that is none."""

_BLOB = re.compile(r"[0-9a-f]{32}")
_INDEX = re.compile(r"\bindex (\w+)$")
_TREE = re.compile(r"^Tree (\d+) ")


class Check:
    """One look at a store in a folder.

    still: a copy that nobody writes to. clock: milliseconds since 1970.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], int], *, deep: bool, still: bool = False
    ) -> None:
        self.folder, self.clock, self.deep = folder, clock, deep
        self.path = folder / "store.sqlite"
        self.still = still
        self.sql = statements("check", "sqlite")

    def run(self) -> Iterator[Finding | Scope | Step]:
        """What is wrong, and how far the look has come."""
        if not self.path.is_file():
            yield lost("database", f"{self.path} is missing", remedy=BACKUP)
            return
        yield from self._modes()
        try:
            self.db = Reading(self.path, still=self.still)
        except StorectlError as error:
            yield lost("database", error.message, remedy=error.hint or BACKUP)
            return
        try:
            self._settle()
            yield from self._database()
            yield from self._storages()
            yield from self._owners()
            yield from self._files()
        except UNREADABLE as error:
            yield lost("database", f"{self.path} cannot be read: {error}", remedy=BACKUP)
        finally:
            self.db.close()

    def _modes(self) -> Iterator[Finding]:
        """Files and folders that others on this machine can read."""
        if os.name != "posix":
            return
        blobs = self.folder / "blobs"
        places = [self.folder, *self.folder.iterdir()]
        places += blobs.iterdir() if blobs.is_dir() else []
        for place in places:
            try:
                mode = place.stat().st_mode & 0o777
            except FileNotFoundError:  # a log that its last user has closed
                continue
            if mode & 0o077:
                wanted = 0o700 if place.is_dir() else 0o600
                yield Finding(
                    check="modes",
                    detail=f"{place} is open to others (mode {mode:03o})",
                    harm="none",
                    remedy=f"chmod {wanted:03o} {place}",
                    place=str(place),
                    mend=("chmod", {"path": str(place), "mode": wanted}),
                )

    def _database(self) -> Iterator[Finding]:
        """Whose file it is, and what SQLite finds itself. Indexes follow from their tables."""
        mark, version = self._pragma("application_id"), self._pragma("user_version")
        if mark != APPLICATION_ID or not 0 < version <= len(migrations("sqlite")):
            detail = f"{self.path} is not marked as a store that this storectl knows"
            yield lost("database", detail, remedy=BACKUP)
        elif self.db.schema() != schema_of_a_store(version):
            detail = f"{self.path}: its tables or indexes are not those of a store"
            yield lost("database", detail, remedy=BACKUP)
        roots = {root: name for name, root in self.db.all(self.sql["indexes"])}
        for (text,) in self.db.all(f"PRAGMA integrity_check({MOST})"):
            if text == "ok" or text.startswith("*** in database"):
                continue
            tree, index = _TREE.match(text), _INDEX.search(text)
            name = index[1] if index else roots.get(int(tree[1])) if tree else None
            if name is None and "non-unique entry in index" not in text:
                yield lost("database", text, remedy=BACKUP)
            else:
                yield derivable("index", text, ("reindex", {}), place=name)
        for table, rowid, parent, _ in self.db.all("PRAGMA foreign_key_check"):
            detail = f"row {rowid} of {table} names a {parent} that is not there"
            yield lost("database", detail, remedy=BACKUP)
        for (free,) in self.db.all(self.sql["stuck"]):
            yield Finding(
                check="space",
                detail=f"{free:,} bytes of {self.path} are free and do not go back to the system",
                harm="none",
                remedy=REPAIR,
                mend=("compact", {}),
            )

    def _pragma(self, name: str) -> int:
        ((value,),) = self.db.all(f"PRAGMA {name}")
        return int(value)

    def _storages(self) -> Iterator[Finding | Scope | Step]:
        total = self.db.one(self.sql["total_bytes"])
        yield Scope(int(total[0]) if total else 0)
        after, storages, seen = 0, 0, 0
        while rows := self.db.all(self.sql["storages"], after=after, limit=ROWS):
            for after, *_ in rows:
                for found in self._storage(after):
                    if isinstance(found, int):
                        seen += found
                        yield Step(storages, seen)
                    else:
                        yield found
                storages += 1
                yield Step(storages, seen)

    def _storage(self, no: int) -> Iterator[Finding | int]:
        """One storage: its rows in one snapshot, then what they hold; bytes read are told."""
        row, found = None, []
        try:
            with self.db.snapshot():
                raw = self.db.one(self.sql["storage"], no=no)
                if raw is None:  # deleted since
                    return
                row = StorageRow(*raw)
                if row.noun not in NOUNS:
                    found = [lost("counters", f"{row.noun!r} is no kind of storage", row=row)]
                else:
                    found = list(getattr(self, f"_{row.noun}")(row))
        except UNREADABLE as error:
            found.append(lost("database", f"cannot be read: {error}", row=row, remedy=BACKUP))
        yield from found
        if row is None or row.noun not in NOUNS:
            return
        try:
            if row.noun == "kvs":
                yield from self._named_blobs(row)
            if self.deep:
                yield from contents(self.db, self.sql, self.blobs, row, trusted=not found)
            else:
                yield row.bytes
        except UNREADABLE as error:
            yield lost("database", f"cannot be read: {error}", row, remedy=BACKUP)

    def _dataset(self, row: StorageRow) -> Iterator[Finding]:
        gaps = self.db.all(self.sql["gaps"], no=row.no, limit=MOST)
        for stop, first in gaps:
            if first > stop:
                yield lost(
                    "items", f"{first - stop:,} items are missing", row, f"[{stop}, {first})"
                )
            else:
                yield lost("items", "two chunks hold the same items", row, f"[{first}, {stop})")
        count, size, end = self._one("dataset", row)
        recount = ("recount_dataset", {"no": row.no})
        if end < row.item_count and size < row.bytes:
            place = f"[{end}, {row.item_count})"
            yield lost(
                "items", f"{row.item_count - end:,} items at the end are missing", row, place
            )
        elif end != row.item_count or (size != row.bytes and not gaps):
            told = f"says {row.item_count:,} items, {row.bytes:,} bytes; there are "
            yield derivable("counters", f"{told}{count:,} items, {size:,} bytes", recount, row)
        if row.tail_rows or row.tail_bytes:
            tail = self.db.one(self.sql["tail"], no=row.no, first=row.tail_first)
            if tail != (row.tail_rows, row.tail_bytes):
                detail = f"says {row.tail_rows:,} small pushes, {row.tail_bytes:,} bytes at its end"
                yield derivable("counters", detail, ("close_tail", {"no": row.no}), row)

    def _kvs(self, row: StorageRow) -> Iterator[Finding]:
        _, size = self._one("kvs", row)
        if size != row.bytes:
            detail = f"says {row.bytes:,} bytes; there are {size:,}"
            yield derivable("counters", detail, ("recount_kvs", {"no": row.no}), row)
        for (key,) in self.db.all(self.sql["misshapen"], no=row.no, limit=MOST):
            yield lost("record", "row does not describe its bytes", row, key)

    def _queue(self, row: StorageRow) -> Iterator[Finding]:
        count, handled, size, first, last, shared, halves = self._one("queue", row)
        said = (row.request_count, row.handled_count, row.bytes)
        recount = ("recount_queue", {"no": row.no})
        if said != (count, handled, size):
            detail = (
                f"says {said[0]:,} requests, {said[1]:,} handled, {said[2]:,} bytes; "
                f"there are {count:,}, {handled:,}, {size:,}"
            )
            yield derivable("counters", detail, recount, row)
        if first < row.first_ord or last > row.last_ord:
            yield derivable("counters", "places are taken that were never given", recount, row)
        if shared:
            parts = ("part_places", {"no": row.no})
            yield derivable("requests", f"{shared:,} stand where others stand", parts, row)
        if halves:
            detail = f"{halves:,} are locked by half, or handled and locked"
            yield derivable("requests", detail, ("unlock", {"no": row.no}), row)

    def _one(self, name: str, row: StorageRow) -> tuple[Any, ...]:
        (found,) = self.db.all(self.sql[name], no=row.no)
        return found

    def _named_blobs(self, row: StorageRow) -> Iterator[Finding]:
        """Blobs that rows name and that are not there, or of another size."""
        after = ""
        while rows := self._rows("blobs", row, after):
            for after, size, _, blob in rows:
                actual = self._size(blob)
                if actual == size:
                    continue
                if self.db.one(self.sql["blob"], no=row.no, key=after) != (blob,):
                    continue  # set anew or deleted since
                detail = "is missing" if actual is None else f"has {actual:,} bytes, not {size:,}"
                yield lost("blob", f"{blob} {detail}", row, after)

    def _rows(self, name: str, row: StorageRow, after: str) -> list[tuple[Any, ...]]:
        return self.db.all(self.sql[name], no=row.no, after=after, limit=ROWS)

    def _owners(self) -> Iterator[Finding]:
        """Rows whose storage is gone, and storages that are there and are being deleted."""
        for noun, no in self.db.all(self.sql["lost_owners"]):
            adopted = {
                "no": no,
                "noun": noun,
                "id": rules.new_id(),
                "secret": rules.new_id() + rules.new_id(),
                "name": f"recovered-{no}",
                "now": self.clock(),
            }
            detail = f"contents without a storage, of {noun} number {no}"
            yield derivable("orphans", detail, ("adopt", adopted), noun=noun)
        for no, noun, id in self.db.all(self.sql["erased_alive"]):
            detail = "is listed as deleted: the next sweep would erase it"
            mend = ("strike_erased", {"no": no})
            yield derivable("orphans", detail, mend, noun=noun, storage=id)
        before = self.clock() - rules.IDEMPOTENCY_SECS * 1000 - GRACE_SECS * 1000
        for kind, no, count in self.db.all(self.sql["lost_rights"], before=before):
            detail = f"{count:,} {kind}s of storage number {no}, which is gone"
            yield derivable("orphans", detail, (f"forget_{kind}", {"no": no}))

    def _files(self) -> Iterator[Finding]:
        """Blobs that no row names and no list, and lists that nobody has worked off."""
        self.db.all(self.sql["remember_files"])
        self.db.all(self.sql["forget_files"])
        there = ({"blob": blob} for blob, _ in self.blobs.there() if _BLOB.fullmatch(blob))
        self.db.many(self.sql["remember_file"], there)
        due = self.clock() + GRACE_SECS * 1000
        for (blob,) in self.db.all(self.sql["unnamed_files"], limit=MOST_FILES):
            size = self._size(blob)
            if size is None and not self._is_unfinished(blob):
                continue  # collected since
            mend = ("list_blob", {"blob": blob, "not_before": due})
            detail = f"{blob} of {size or 0:,} bytes is named by no record"
            place = f"{self.where}/{blob[:2]}/{blob}"
            yield derivable("orphans", detail, mend, place=place)
        late = self.db.one(self.sql["late"], before=self.clock() - UPLOAD_SECS * 1000)
        if late and late[0]:
            yield Finding(
                check="sweep",
                detail=f"{late[0]:,} blobs should have gone over a day ago",
                harm="none",
                remedy="storectl serve, or any command on the store, sweeps",
            )

    def _settle(self) -> None:
        """Find where blobs are."""
        knows = self._pragma("user_version") >= PLACES_SINCE
        found = self.db.one(self.sql["blobs_place"]) if knows else None
        self.where = str(self.folder / "blobs") if found in (None, (OWN,)) else str(found[0])
        self.blobs = opened(self.where)
        self.sizes = None if isinstance(self.blobs, Files) else dict(self.blobs.there())

    def _size(self, blob: str) -> int | None:
        """Bytes of a blob, None if it is not there. A bucket is listed once, not asked for each."""
        if self.sizes is not None and blob in self.sizes:
            return self.sizes[blob]
        try:
            return self.blobs.size(blob) if self.blobs.has(blob) else None
        except Local:
            if self.blobs.has(blob):
                raise
            return None

    def _is_unfinished(self, blob: str) -> bool:
        return Path(f"{self.where}/{blob[:2]}/{blob}{UNFINISHED}").exists()
