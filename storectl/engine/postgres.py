"""A database in PostgreSQL, shared by many processes on many machines.

Each writer has a transaction and a commit of its own, and the database puts commits of
many into one flush. Rows keep writers apart: who changes a storage holds its row first.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from threading import get_ident, local
from typing import Any, NamedTuple

import psycopg
from psycopg import errors

from storectl.engine.connections import Connection, Connections, is_lost
from storectl.engine.db import (
    REMEMBER_SECS,
    Answer,
    Asked,
    Row,
    changes_rights,
    dated,
    migrations,
    statements,
)
from storectl.engine.gather import Gathering
from storectl.errors import Local, Unavailable
from storectl.model.store import TakesLong

TRIES = 8
PAUSE_SECS = 0.01
WRITERS = 8
"""Threads for works that are done together: each waits for a commit most of its time."""

_BIGINT = frozenset(
    """
    accessed_at after_expires_at after_first after_no after_ord after_storage_no at before
    behind bytes clean clean_count codec count crc created_at delete_count deletes expires_at
    first first_ord grown handled handled_count head_read_count head_reads item_count items last
    last_ord last_used_at latest limit list_count lists lock_gen locked_until many_clients
    modified_at no not_before now offset ord over previous_until pushes rate raw_bytes read_count
    reads request_count request_no requests revoked_at secs since size small stop storage_no
    tail_bytes tail_first tail_rows until value version write_count writes
    """.split()
)
_BOOLEAN = frozenset(
    """
    forefront is_handled locked named own set_name set_title shared unnamed
    """.split()
)
_BYTES = frozenset(("answer", "body", "ends", "hash", "previous_hash", "sha256"))


Cursor = psycopg.Cursor[tuple[Any, ...]]


class Statement(NamedTuple):
    """A text with $1, $2, …, and the names of their values."""

    text: str
    names: tuple[str, ...]
    changes_rights: bool


@cache
def prepared(sql: str) -> Statement:
    """What psycopg is given for a text with :names, each of which has one type everywhere.

    Types have to be told: PostgreSQL finds none for a null.
    """
    names: list[str] = []

    def placed(found: re.Match[str]) -> str:
        name, several = found[1], found[2]
        if name not in names:
            names.append(name)
        return f"CAST(${names.index(name) + 1} AS {_type(name)}{several or ''})"

    bare = re.sub(r"--.*", "", sql).strip().rstrip(";")
    text = re.sub(r"(?<![:\w]):(\w+)(\[\])?", placed, bare)
    return Statement(text, tuple(names), changes_rights(sql))


def _type(name: str) -> str:
    if name in _BIGINT:
        return "BIGINT"
    if name in _BOOLEAN or name.startswith("with_"):
        return "BOOLEAN"
    return "BYTEA" if name in _BYTES else "TEXT"


class PostgresTx:
    """Statements on one connection. changes_rights: whether one of them did."""

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.cursor(binary=True)
        self.changes_rights = False

    def send(self, sql: str, values: dict[str, Any]) -> Cursor:
        """The cursor with what it answers."""
        statement = prepared(sql)
        self.changes_rights |= statement.changes_rights
        given = [values[name] for name in statement.names]
        return self._cursor.execute(statement.text, given, prepare=True)

    def all(self, sql: str, **values: Any) -> list[Row]:
        cursor = self.send(sql, values)
        result = cursor.pgresult
        assert result is not None
        return cursor.fetchall() if result.nfields else []

    def one(self, sql: str, **values: Any) -> Row | None:
        rows = self.all(sql, **values)
        return rows[0] if rows else None

    def many(self, sql: str, rows: Iterable[dict[str, Any]]) -> None:
        """One statement, whose values are arrays: a column of the rows each."""
        found = list(rows)
        if found:
            names = prepared(sql).names
            self.all(sql, **{name: [row[name] for row in found] for name in names})


class PostgresDb:
    """See db.py for the promise. Raises Unavailable while the database is away.

    url: postgresql://USER@HOST:PORT/DATABASE. Makes the tables where there are none.
    """

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        self._sql = statements("postgres", self.dialect)
        self._connections = Connections(url)
        self.place = self._connections.place
        self.now_ms = self._connections.now_ms
        self._of_thread = local()
        self._hurried = 0
        self._changes = 0
        self._threads: ThreadPoolExecutor | None = None
        self._gathering = Gathering()
        self._migrate()

    def all(self, sql: str, **values: Any) -> list[Row]:
        inside: PostgresTx | None = getattr(self._of_thread, "tx", None)
        if inside is not None:
            return inside.all(sql, **values)  # with what this transaction has written
        return self._run(lambda connection: PostgresTx(connection).all(sql, **values))

    def one(self, sql: str, **values: Any) -> Row | None:
        rows = self.all(sql, **values)
        return rows[0] if rows else None

    def version(self) -> int | None:
        return None  # to ask for it would take as long as to read again

    def rights(self) -> int | None:
        return dated(self._changes)

    def write(self, work: Callable[[PostgresTx], Answer]) -> Answer:
        answer, changes_rights = self._run(partial(self._transact, work))
        if changes_rights:
            self._forget()
        return answer

    def commit(self, sql: str, **values: Any) -> list[Row]:
        def work(connection: Connection) -> list[Row]:
            try:
                return PostgresTx(connection).all(sql, **values)
            except psycopg.Error as error:
                if is_lost(error):
                    raise self._in_doubt() from None
                raise

        return self._run(work)

    def commit_held(self, hold: str, sql: str, **values: Any) -> list[Row]:
        """As commit(), after a statement that waits for a lock, in one turn to the database.

        So the second sees what was committed until the lock was there.
        """

        def work(connection: Connection) -> list[Row]:
            try:
                with connection.pipeline():
                    connection.execute("BEGIN", prepare=True)
                    PostgresTx(connection).send(hold, values)
                    cursor = PostgresTx(connection).send(sql, values)
                    connection.execute("COMMIT", prepare=True)
                return cursor.fetchall()
            except psycopg.Error as error:
                if is_lost(error):
                    raise self._in_doubt() from None
                with suppress(psycopg.Error):
                    connection.rollback()
                raise

        return self._run(work)

    def gather(
        self, about: Hashable, asked: Asked, make: Callable[[list[Asked]], Sequence[Answer]]
    ) -> Answer:
        """Ask something together with what other threads ask meanwhile; see gather.py."""
        if get_ident() == self._hurried:
            raise TakesLong
        return self._gathering.ask(about, asked, make)

    def together(self, works: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """All at once: what they write to one storage is gathered, the rest flushed together.

        One transaction for all would hold the rows of many storages, in any order.
        """
        if len(works) == 1:
            return [works[0]()]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(WRITERS, "write")
        return list(self._threads.map(lambda work: work(), works))

    def hurry(self) -> None:
        self._hurried = get_ident()

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()
        self._connections.close()

    def _run(self, work: Callable[[Connection], Answer]) -> Answer:
        """Have a connection do something, again if that failed for a reason that passes.

        A transaction that was refused, or whose connection broke before its commit, has
        left nothing. A unique index that refuses a row may do so for one that was not to
        be seen a moment ago.
        """
        if get_ident() == self._hurried:
            raise TakesLong
        tries, once_more = 0, True
        while True:
            try:
                with self._connections.taken() as connection:
                    return work(connection)
            except psycopg.Error as error:
                tries += 1
                passes = isinstance(error, errors.SerializationFailure | errors.DeadlockDetected)
                if is_lost(error):
                    self._connections.drop_idle()
                if is_lost(error) or isinstance(error, errors.UniqueViolation):
                    again, once_more = once_more, False
                else:
                    again = passes and tries < TRIES
                if not again:
                    raise self._connections.named(error) from None
            if passes:
                time.sleep(random.uniform(0, PAUSE_SECS * 2**tries))

    def _transact(
        self, work: Callable[[PostgresTx], Answer], connection: Connection
    ) -> tuple[Answer, bool]:
        tx = PostgresTx(connection)
        connection.execute("BEGIN")
        self._of_thread.tx = tx
        try:
            answer = work(tx)
        except BaseException:
            with suppress(psycopg.Error):  # of a broken one nothing is left anyway
                connection.rollback()
            raise
        finally:
            self._of_thread.tx = None
        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if is_lost(error):
                raise self._in_doubt() from None
            raise
        return answer, tx.changes_rights

    def _in_doubt(self) -> Unavailable:
        self._connections.drop_idle()
        doubt = f"{self.place} went away during a commit: it may have been made or not"
        return self._connections.away(Unavailable(doubt, retry_after_secs=1))

    def _forget(self) -> None:
        """Rights have changed: until this returns some process may go by the old ones.

        Nothing is allowed any more that an acknowledged change has ended.
        """
        self._changes += 1
        time.sleep(REMEMBER_SECS)

    def _migrate(self) -> None:
        """Bring the schema up to date, one process at a time, while older ones go on.

        Steps only add. A schema that is newer than this program is fine unless it says
        that it needs newer programs.
        """
        steps = migrations(self.dialect)

        def found(connection: Connection) -> Row | None:
            try:
                return connection.execute(self._sql["schema"]).fetchone()
            except errors.UndefinedTable:
                return None

        version, needs = self._run(found) or (0, 0)
        if needs > len(steps):
            raise Local(
                f"{self.place} was written by a newer storectl (it needs schema {needs}, "
                f"this one knows {len(steps)})",
                hint="pip install --upgrade storectl",
            )
        if version < len(steps):
            self._run(partial(self._step, steps))

    def _step(self, steps: list[Path], connection: Connection) -> None:
        """Take the steps that are missing. Of several processes one does; the others wait."""
        with connection.transaction():
            for name in ("patience", "begin_schema", "lock_schema", "first_schema"):
                connection.execute(self._sql[name])
            row = connection.execute(self._sql["schema"]).fetchone()
            assert row is not None
            try:
                for step in steps[row[0] :]:
                    connection.execute(step.read_text("utf-8"))
            except errors.DuplicateTable as error:
                raise Local(
                    f"{self.place} holds tables of another program: {error.diag.message_primary}",
                    hint="CREATE DATABASE storectl, and name that one",
                ) from None
            PostgresTx(connection).all(self._sql["set_schema"], version=max(row[0], len(steps)))
