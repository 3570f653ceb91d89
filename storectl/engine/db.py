"""What the keepers need of a database, and the SQL they ask it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

Row = tuple[Any, ...]
Answer = TypeVar("Answer")

SQL_DIR = Path(__file__).parent / "sql"


class Taken(Exception):
    """A unique index refused a row."""


class Tx(Protocol):
    """One transaction. Statements are texts with :names."""

    def all(self, sql: str, **values: Any) -> list[Row]: ...
    def one(self, sql: str, **values: Any) -> Row | None: ...
    def many(self, sql: str, rows: Iterable[dict[str, Any]]) -> None: ...


class Db(Protocol):
    """A database that keeps what it has acknowledged."""

    dialect: str

    def all(self, sql: str, **values: Any) -> list[Row]:
        """Read, outside of any transaction."""
        ...

    def one(self, sql: str, **values: Any) -> Row | None: ...

    def version(self) -> int | None:
        """A number that each commit of any process changes; None while it is not known."""
        ...

    def write(self, work: Callable[[Tx], Answer]) -> Answer:
        """Run the work in one transaction and return once it is durable.

        Work of several threads may share one commit, and may be run again after
        another's failure: it must change nothing but the database.
        """
        ...

    def together(self, works: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """Run pieces of work that call write() in one transaction; see model/store.py `Served`."""
        ...

    def hurry(self) -> None:
        """From now on write() raises TakesLong in the thread that calls this."""
        ...

    def close(self) -> None: ...


@cache
def statements(noun: str, dialect: str) -> dict[str, str]:
    """The queries of one noun by name, from sql/NOUN.sql.

    A query starts at `-- name --`; `-- name @postgres --` is the text for one
    dialect only and stands directly below the common one.
    """
    text = (SQL_DIR / f"{noun}.sql").read_text("utf-8")
    parts = re.split(r"^-- (\w+)(?: @(\w+))? --$", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for name, only, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if only in (None, dialect):
            found[name] = body.strip()
    return found
