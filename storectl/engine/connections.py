"""Connections to PostgreSQL: few, checked, and made anew as soon as the database is back."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore, Lock
from typing import Any

import psycopg
from psycopg import RawCursor, errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

from storectl.engine.db import Taken, statements
from storectl.errors import Internal, InvalidInput, Local, Outage, Unavailable

MOST = 12
"""Connections of one process. A PostgreSQL allows 100 unless told otherwise."""

BUSY_SECS = 10.0
CONNECT_SECS = 5
AWAY_SECS = 0.2
"""How long nobody tries again after the database could not be reached."""

CLOCK_SECS = 30.0
OLDEST_POSTGRES = 130_000

Connection = psycopg.Connection[tuple[Any, ...]]


class Connections:
    """Those of one process. Raises Unavailable while the database is away, Local otherwise.

    url: postgresql://…; what it leaves out comes from the environment, as for psql.
    """

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:  # its text may quote the password
            raise InvalidInput(
                "The address of the PostgreSQL store cannot be read",
                hint="postgresql://USER@HOST:PORT/DATABASE",
            ) from None
        self._options: dict[str, Any] = {
            "application_name": "storectl",
            "connect_timeout": CONNECT_SECS,
            "tcp_user_timeout": 15_000,
            "keepalives_idle": 15,
            **given,
        }
        self.place = place_of(self._options)
        self._sql = statements("postgres", "postgres")
        self._idle: list[Connection] = []
        self._mutex = Lock()
        self._room = BoundedSemaphore(MOST)
        self._away_until = 0.0
        self._why: Unavailable | None = None
        self._outage: Outage | None = None
        self._ahead_us = 0
        self._set_at = float("-inf")

    @contextmanager
    def taken(self) -> Iterator[Connection]:
        """A connection for this thread alone. One that broke meanwhile is not kept."""
        if not self._room.acquire(timeout=BUSY_SECS):
            raise Unavailable(
                f"All {MOST} connections to {self.place} were busy for {BUSY_SECS:.0f} s",
                retry_after_secs=1,
            )
        outage = self._outage
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give(connection)
            if outage is not None:
                self._end(outage)
        finally:
            self._room.release()

    def drop_idle(self) -> None:
        """Close what is idle: where one connection broke, a restart has broken all."""
        with self._mutex:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def now_ms(self) -> int:
        """The time of the database, by this machine's clock that nobody sets."""
        return (_steady_us() + self._ahead_us) // 1000

    def close(self) -> None:
        self.drop_idle()

    def named(self, error: psycopg.Error) -> Exception:
        """The failure that an error of psycopg means."""
        failure = named(error, self.place)
        if isinstance(failure, Unavailable) and is_lost(error):
            return self.away(failure)
        return failure

    def away(self, failure: Unavailable) -> Unavailable:
        """A failure because the database is away, as all are until a connection works again."""
        with self._mutex:
            self._outage = self._outage or Outage(self.place)
            failure.outage = self._outage
        return failure

    def _end(self, outage: Outage) -> None:
        """What was away when a connection was asked for has answered on it."""
        outage.over = True
        with self._mutex:
            if self._outage is outage:
                self._outage = None

    def _take(self) -> Connection:
        while True:
            with self._mutex:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connected()
            elif _has_news(connection):
                connection.close()
                continue
            if time.monotonic() - self._set_at > CLOCK_SECS:
                try:
                    self._set_clock(connection)
                except BaseException:
                    connection.close()
                    raise
            return connection

    def _give(self, connection: Connection) -> None:
        idle = psycopg.pq.TransactionStatus.IDLE
        if connection.closed or connection.info.transaction_status != idle:
            connection.close()
            return
        with self._mutex:
            self._idle.append(connection)

    def _connected(self) -> Connection:
        if time.monotonic() < self._away_until and self._why is not None:
            why = Unavailable(self._why.message, hint=self._why.hint, retry_after_secs=1)
            raise self.away(why)
        try:
            connection: Connection = psycopg.connect(
                **self._options, autocommit=True, cursor_factory=RawCursor
            )
        except psycopg.Error as error:
            self._why = self.away(unreached(error, self.place))
            self._away_until = time.monotonic() + AWAY_SECS
            raise self._why from None
        try:
            self._settle(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, psycopg.Error):
                raise self.away(unreached(error, self.place)) from None
            raise
        self._why = None
        return connection

    def _settle(self, connection: Connection) -> None:
        """Bound every wait of the session, and refuse what would lose acknowledged writes."""
        for dumper in (Int8Dumper, Int8BinaryDumper):  # else small ones are int2, or in arrays all
            connection.adapters.register_dumper(int, dumper)
        row = connection.execute(self._sql["session"]).fetchone()
        assert row is not None
        version, encoding, fsync, commit, follows = row[3:]
        if int(version) < OLDEST_POSTGRES:
            raise Local(f"{self.place} is PostgreSQL before 13", hint="a newer one")
        if encoding != "UTF8":
            raise Local(
                f"{self.place} has the encoding {encoding}", hint="CREATE DATABASE … ENCODING UTF8"
            )
        if fsync == "off":
            raise Local(
                f"{self.place} runs with fsync off: a power cut would lose what was acknowledged",
                hint="ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()",
            )
        if commit == "off":
            raise Local(
                f"{self.place} runs with synchronous_commit off: a crash would lose what was "
                "acknowledged",
                hint="ALTER DATABASE … SET synchronous_commit = on",
            )
        if follows:
            raise Unavailable(
                f"{self.place} only follows another database: it cannot be written",
                hint="name all hosts, with target_session_attrs=read-write",
                retry_after_secs=1,
            )
        with suppress(psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.DataError):
            connection.execute(self._sql["watch"])

    def _set_clock(self, connection: Connection) -> None:
        """Learn how far the database's clock is ahead, to half of a round trip."""
        before = _steady_us()
        row = connection.execute(self._sql["clock"]).fetchone()
        assert row is not None
        self._ahead_us = row[0] - (before + _steady_us()) // 2
        self._set_at = time.monotonic()


def _has_news(connection: Connection) -> bool:
    """Whether the database said something while nobody asked: that it ends, as a rule."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _steady_us() -> int:
    """Microseconds of a clock that goes on while a machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1000


def place_of(options: dict[str, Any]) -> str:
    """Which database, for people: never a password."""
    host = options.get("host") or options.get("hostaddr") or options.get("service")
    port = options.get("port")
    name = options.get("dbname") or options.get("user")
    where = "PostgreSQL"
    if host:
        where += f" at {host}{f':{port}' if port else ''}"
    return where + (f", database {name}" if name else "")


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone with it, and with that any transaction."""
    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown | errors.CannotConnectNow):
        return True
    if isinstance(error, errors.ReadOnlySqlTransaction | errors.IdleInTransactionSessionTimeout):
        return True
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        error.sqlstate is None or error.sqlstate.startswith("08")
    )


def gone(place: str) -> Unavailable:
    return Unavailable(f"{place} is away", retry_after_secs=1)


def unreached(error: psycopg.Error, place: str) -> Unavailable:
    """What libpq says of why there is no connection, in one line."""
    lines = [line for line in str(error).splitlines() if "FATAL" in line] or [str(error)]
    why = re.split(r"FATAL:\s+|failed: ", lines[-1].partition("\n")[0])[-1].strip()
    hint = None
    if "password" in why or "authentication" in why:
        hint = "set PGPASSWORD, or name a file that holds it with PGPASSFILE"
    return Unavailable(f"{place} cannot be reached: {why}", hint=hint, retry_after_secs=1)


def named(error: psycopg.Error, place: str) -> Exception:
    """The failure that an error of psycopg means."""
    if isinstance(error, errors.UniqueViolation):
        return Taken(str(error.diag.constraint_name))
    if is_lost(error):
        return gone(place)
    if isinstance(error, errors.DuplicatePreparedStatement | errors.InvalidSqlStatementName):
        return Local(
            f"{place} is behind a pooler that gives each transaction another session",
            hint="pool_mode = session, in pgbouncer's settings",
        )
    if isinstance(error, errors.DiskFull):
        return Local(f"The disk of {place} is full: nothing was written", hint="free some space")
    if isinstance(error, errors.QueryCanceled):
        return Unavailable(f"{place} did not answer in 30 s", retry_after_secs=1)
    if isinstance(error, errors.LockNotAvailable):
        return Unavailable(f"{place}: others held what this needs for 5 s", retry_after_secs=1)
    if isinstance(error, psycopg.OperationalError | errors.SerializationFailure):
        return Unavailable(f"{place}: {_first_line(error)}", retry_after_secs=1)
    if isinstance(error, errors.InsufficientPrivilege):
        return Local(f"{place}: {_first_line(error)}", hint="GRANT ALL ON SCHEMA public TO …")
    if isinstance(error, psycopg.DataError) and "NUL" in str(error):
        return InvalidInput("A text with a NUL character cannot be kept or found")
    return Internal(f"{place}: {_first_line(error)}")


def _first_line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).partition("\n")[0]
