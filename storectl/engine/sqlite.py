"""A database in one SQLite file: many readers, one writer at a time, durable commits.

Writers share a commit (group commit): the first one leads, and while it commits
others queue up for the next.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, Generic

import apsw

from storectl.engine.db import Answer, Row, Taken, changes_rights, dated, migrations
from storectl.engine.files import make_folder
from storectl.engine.turns import Turns
from storectl.errors import Internal, Local, StorectlError, Unavailable
from storectl.model.store import TakesLong

APPLICATION_ID = 0x73746F72
OLDEST_SQLITE = (3, 51, 3)
BATCH_JOBS = 256
BUSY_MS = 30_000


class _Job(Generic[Answer]):
    """One writer's work. Its lock is held until it is done, or until it shall lead."""

    __slots__ = ("answer", "done", "error", "turn", "work")

    def __init__(self, work: Callable[[SqliteTx], Answer]) -> None:
        self.work = work
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.done = False
        self.turn = Lock()


class SqliteTx:
    """Statements on one connection. changes_rights: whether one of them did."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = connection.execute
        self._executemany = connection.executemany
        self.changes_rights = False

    def all(self, sql: str, **values: Any) -> list[Row]:
        self.changes_rights |= changes_rights(sql)
        return self._execute(sql, values).fetchall()

    def one(self, sql: str, **values: Any) -> Row | None:
        self.changes_rights |= changes_rights(sql)
        return self._execute(sql, values).fetchone()

    def many(self, sql: str, rows: Iterable[dict[str, Any]]) -> None:
        self.changes_rights |= changes_rights(sql)
        self._executemany(sql, rows)


class SqliteDb:
    """Opens or makes `store.sqlite` in a folder. Raises Local if that cannot be."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
        if version < OLDEST_SQLITE:
            raise Local(
                f"SQLite {apsw.sqlite_lib_version()} can lose writes of several processes",
                hint="pip install --upgrade apsw",
            )
        self.path = folder / "store.sqlite"
        _make_private(folder, self.path)
        self._idle: list[apsw.Connection] = []
        self._queue: deque[_Job[Any]] = deque()
        self._mutex = Lock()
        self._leading = False
        self._closed = False
        self._inside = 0  # the thread that runs works together; 0 is none
        self._undone: BaseException | None = None
        self._hurried = 0
        self._turns = Turns(folder)
        try:
            self._writer = self._connect()
            try:
                self._migrate()
            except BaseException:
                with suppress(apsw.Error):
                    self._writer.close()
                raise
        except apsw.Error as error:
            raise named(error, self.path) from error
        self._tx = SqliteTx(self._writer)

    def all(self, sql: str, **values: Any) -> list[Row]:
        connection = None
        try:
            if self._inside == get_ident():
                return self._tx.all(sql, **values)  # with what this transaction has written
            connection = self._idle.pop() if self._idle else self._connect()
            return connection.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise named(error, self.path) from error
        finally:
            if connection is not None:
                self._idle.append(connection)

    def one(self, sql: str, **values: Any) -> Row | None:
        # All rows, of which there is one: a statement left half-read would keep
        # its snapshot, and with it the whole write-ahead log.
        rows = self.all(sql, **values)
        return rows[0] if rows else None

    def version(self) -> int | None:
        return None if self._inside == get_ident() else self._turns.count()

    def rights(self) -> int | None:
        changes = None if self._inside == get_ident() else self._turns.rights()
        return None if changes is None else dated(changes)  # a deletion is no change of rights

    def write(self, work: Callable[[SqliteTx], Answer]) -> Answer:
        thread = get_ident()
        if thread == self._inside:
            return self._nested(work)
        if thread == self._hurried:
            raise TakesLong
        job = _Job(work)
        with self._mutex:
            if self._closed:
                raise Unavailable(f"{self.path} is closed")
            self._queue.append(job)
            lead = not self._leading
            if lead:
                self._leading = True
            else:
                job.turn.acquire()
        if not lead:
            job.turn.acquire()  # until the leader is through
        if not job.done:
            self._lead()
        if job.error is not None:
            raise job.error
        return job.answer  # type: ignore[return-value]

    def commit(self, sql: str, **values: Any) -> list[Row]:
        return self.write(lambda tx: tx.all(sql, **values))

    def together(self, works: Sequence[Callable[[], Answer]]) -> list[Answer]:
        def all_of_them(_: SqliteTx) -> list[Answer]:
            self._undone, self._inside = None, get_ident()
            try:
                found = [work() for work in works]
            finally:
                self._inside = 0
            if self._undone is not None:  # whatever the works made of it
                raise self._undone
            return found

        return self.write(all_of_them)

    def hurry(self) -> None:
        self._hurried = get_ident()

    def compact(self) -> None:
        """Write the file anew, so that nothing in it is free; who writes waits meanwhile.

        It takes the room of what is left twice, in the folder and where temporary files
        go. To be called where nothing else is done here. Raises Local.
        """
        try:
            with self._turns.turn(), self._turns.commit(rights=True):
                for pragma in ("temp_store=FILE", "auto_vacuum=INCREMENTAL"):
                    self._writer.execute(f"PRAGMA {pragma}").fetchall()
                self._writer.execute("VACUUM").fetchall()
        except apsw.Error as error:
            raise named(error, self.path) from error

    def close(self) -> None:
        with self._mutex:
            self._closed = True
        while self._leading:  # a server that ends: its last writers still get their answers
            time.sleep(0.001)
        for connection in (*self._idle, self._writer):
            connection.close()
        self._idle.clear()
        self._turns.close()

    def _lead(self) -> None:
        """Commit what is queued as one transaction, then hand the lead on."""
        jobs: list[_Job[Any]] = []
        try:
            self._commit(jobs)
        except BaseException as error:
            self._take(jobs)
            for job in jobs:
                job.error = error
        with self._mutex:
            following = self._queue[0] if self._queue else None
            self._leading = following is not None
        for job in jobs:
            job.done = True
            if job.turn.locked():
                job.turn.release()
        if following is not None:
            following.turn.release()

    def _take(self, jobs: list[_Job[Any]]) -> None:
        """Add what is queued to the jobs of a transaction."""
        with self._mutex:
            while self._queue and len(jobs) < BATCH_JOBS:
                jobs.append(self._queue.popleft())

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        """Do what is queued, and what is queued meanwhile, in one transaction. jobs: none yet."""
        with self._turns.turn():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                self._tx.changes_rights = False
                self._take(jobs)
                for job in jobs:
                    self._attempt(job, alone=job is jobs[0])
                    if job is jobs[-1]:
                        self._take(jobs)
                with self._turns.commit(rights=self._tx.changes_rights):
                    self._writer.execute("COMMIT")
            except BaseException as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                if isinstance(error, apsw.Error):
                    raise named(error, self.path) from error
                raise

    def _attempt(self, job: _Job[Any], *, alone: bool) -> None:
        """Run one job so that its failure undoes nothing of others. alone: there are none yet."""
        if not alone:
            self._writer.execute("SAVEPOINT job")
        try:
            job.answer = job.work(self._tx)
        except (StorectlError, apsw.ConstraintError) as error:
            if not self._writer.in_transaction:  # a full disk has undone it all
                raise
            job.error = named(error, self.path) if isinstance(error, apsw.Error) else error
            if alone:
                self._writer.execute("ROLLBACK")
                self._writer.execute("BEGIN IMMEDIATE")
            else:
                self._writer.execute("ROLLBACK TO job")
        if not alone:
            self._writer.execute("RELEASE job")

    def _nested(self, work: Callable[[SqliteTx], Answer]) -> Answer:
        """Run one of the works that are done together; its failure undoes it alone.

        Where SQLite has undone everything (a full disk), there is nothing to go on with.
        """
        if self._undone is not None:
            raise self._undone
        self._writer.execute("SAVEPOINT nested")
        try:
            answer = work(self._tx)
        except BaseException as error:
            failure = named(error, self.path) if isinstance(error, apsw.Error) else error
            try:
                self._writer.execute("ROLLBACK TO nested")
                self._writer.execute("RELEASE nested")
            except apsw.Error:
                self._undone = failure
            raise failure from None
        self._writer.execute("RELEASE nested")
        return answer

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(
            str(self.path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX
        )
        connection.set_busy_timeout(BUSY_MS)
        # Plans do not depend on bound values: without this a join is planned anew each time.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for pragma in ("synchronous=FULL", "cache_size=-4096", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def _migrate(self) -> None:
        """Bring the schema up to date; refuse a file that is not ours or newer than we are."""
        one = self._writer.pragma
        found, version = one("application_id"), one("user_version")
        ((tables,),) = self._writer.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        if found != APPLICATION_ID and (tables or found):
            raise Local(
                f"{self.path} is a database of another program",
                hint="name another folder with --store",
            )
        steps = migrations("sqlite")
        if version > len(steps):
            raise Local(
                f"{self.path} was written by a newer storectl (schema {version}, "
                f"this one knows {len(steps)})",
                hint="pip install --upgrade storectl",
            )
        if version == len(steps):
            return
        if not tables:  # what is free can be given back; not to be had later without VACUUM
            self._writer.execute("PRAGMA auto_vacuum=INCREMENTAL").fetchall()
        if one("journal_mode", "wal") != "wal":
            raise Local(f"{self.path} is on a file system without write-ahead logging")
        with self._turns.turn(), self._turns.commit(rights=True):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for step in range(one("user_version"), len(steps)):
                    self._writer.execute(steps[step].read_text("utf-8")).fetchall()
                one("application_id", APPLICATION_ID)
                one("user_version", len(steps))
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise


def _make_private(folder: Path, path: Path) -> None:
    try:
        make_folder(folder)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Local(
            f"Store folder {folder} cannot be opened: {error.strerror}",
            hint="name another folder with --store or STORECTL_STORE",
        ) from None


def named(error: apsw.Error, path: Path) -> Exception:
    """The failure that an SQLite code means: which file, and what to do."""
    if isinstance(error, apsw.ConstraintError):
        unique = re.search("UNIQUE|PRIMARY KEY", str(error))
        return Taken(str(error)) if unique else Internal(f"{path}: {error}")
    if isinstance(error, apsw.NotADBError):
        return Local(f"{path} is not a storectl store: it is no SQLite file")
    if isinstance(error, apsw.FullError):
        return Local(
            f"Disk is full: nothing was written to {path}", hint="free some space and try again"
        )
    if isinstance(error, apsw.BusyError):
        return Unavailable(f"{path} was locked by another program for {BUSY_MS // 1000} s")
    if isinstance(error, apsw.CorruptError):
        return Local(f"{path} is damaged: {error}", hint="put back a copy of its folder")
    if isinstance(
        error, apsw.ReadOnlyError | apsw.CantOpenError | apsw.PermissionsError | apsw.AuthError
    ):
        return Local(
            f"{path} cannot be written: it or its folder is read-only",
            hint="check its permissions, or name another folder with --store",
        )
    if isinstance(error, apsw.IOError):
        return Local(
            f"{path} could not be read or written: {error}", hint="is there space on its disk?"
        )
    return Internal(f"{path}: {error}")
