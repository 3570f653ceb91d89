"""A store's database, opened to be read and not to be changed, not even by opening it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from storectl.engine.db import Row, migrations, statements
from storectl.engine.sqlite import BUSY_MS, named
from storectl.errors import Local

DamagedError = apsw.Error
"""What SQLite raises where it cannot read."""


class Reading:
    """Reads outside of a snapshot see each what is there at that moment.

    still: nobody writes to the file, which may then be in a folder that cannot be
    written either. Raises Local, Unavailable.
    """

    def __init__(self, path: Path, *, still: bool = False) -> None:
        self.path = path
        try:
            self.connection = apsw.Connection(
                f"file:{quote(str(path))}{'?immutable=1' if still else ''}",
                flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
            )
            self.connection.set_busy_timeout(BUSY_MS)
            self.connection.execute("PRAGMA cache_size=-8192").fetchall()
        except apsw.Error as error:
            raise named(error, path) from error

    def all(self, sql: str, **values: Any) -> list[Row]:
        """Rows. Raises DamagedError."""
        return self.connection.execute(sql, values).fetchall()

    def one(self, sql: str, **values: Any) -> Row | None:
        rows = self.all(sql, **values)
        return rows[0] if rows else None

    def schema(self) -> frozenset[tuple[str, str]]:
        """Tables and indexes by name, and how each was made, without comments and spaces."""
        return _schema(self.connection)

    def many(self, sql: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows of a temporary table."""
        self.connection.executemany(sql, rows)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads within see the store at one moment. To be short: the log grows meanwhile."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def copy_to(self, path: Path, pages: int) -> Iterator[tuple[int, int]]:
        """Copy the database as it is at this moment; after each step pages left and in all.

        Within one snapshot: else a writer would make it start again and again.
        """
        self.connection.execute("BEGIN")
        target = apsw.Connection(str(path))
        try:
            self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            target.execute("PRAGMA synchronous=FULL").fetchall()
            with target.backup("main", self.connection, "main") as backup:
                while not backup.done:
                    backup.step(pages)
                    yield backup.remaining, backup.page_count
            target.execute(statements("backup", "sqlite")["forget_place"]).fetchall()
        except apsw.Error as error:
            if isinstance(error, apsw.CorruptError):
                raise named(error, self.path) from error
            raise Local(
                f"{self.path} could not be copied to {path}",
                hint="is there space on its disk?",
            ) from error
        finally:
            target.close()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def close(self) -> None:
        self.connection.close()


@cache
def schema_of_a_store(version: int) -> frozenset[tuple[str, str]]:
    """What Reading.schema() is where nothing is wrong."""
    fresh = apsw.Connection(":memory:")
    for step in migrations("sqlite")[:version]:
        fresh.execute(step.read_text("utf-8")).fetchall()
    found = _schema(fresh)
    fresh.close()
    return found


def _schema(connection: apsw.Connection) -> frozenset[tuple[str, str]]:
    rows = connection.execute(statements("check", "sqlite")["schema"]).fetchall()
    return frozenset(
        (str(name), "".join(re.sub(r"--.*", "", str(sql)).split())) for name, sql in rows
    )
