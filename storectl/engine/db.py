"""What the keepers need of a database, and the SQL they ask it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

Row = tuple[Any, ...]
Answer = TypeVar("Answer")
Asked = TypeVar("Asked")

SQL_DIR = Path(__file__).parent / "sql"


REMEMBER_SECS = 0.1
"""How long a process may go by rights that it has read, where no count tells it of the change."""

_PART = re.compile(r"<(\w+)>")


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

    def rights(self) -> int | None:
        """A number that each change of rights of any process has changed when write() returns.

        Rights are users, tokens, grants, and who may see a storage by its ID.
        """
        ...

    def write(self, work: Callable[[Tx], Answer]) -> Answer:
        """Run the work in one transaction and return once it is durable.

        Work of several threads may share one commit, and may be run again after a
        failure: it must change nothing but the database.
        """
        ...

    def commit(self, sql: str, **values: Any) -> list[Row]:
        """One statement that writes, as a transaction of its own."""
        ...

    def together(self, works: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """Run pieces of work that call write(); see model/store.py `Served`."""
        ...

    def hurry(self) -> None:
        """From now on what would keep the calling thread waiting raises TakesLong in it."""
        ...

    def close(self) -> None: ...


class SharedDb(Db, Protocol):
    """One with statements that do all of a call, as it is a network away."""

    def commit_held(self, hold: str, sql: str, **values: Any) -> list[Row]:
        """As commit(), after a statement that waits for a lock: it sees what others did by then."""
        ...

    def gather(
        self, about: Hashable, asked: Asked, make: Callable[[list[Asked]], Sequence[Answer]]
    ) -> Answer:
        """Ask something together with what other threads ask about the same meanwhile."""
        ...


@cache
def statements(noun: str, dialect: str) -> dict[str, str]:
    """The queries of one noun by name, from sql/NOUN.sql.

    A query starts at `-- name --`; `-- name @postgres --` is the text for one
    dialect only and stands directly below the common one. `<name>` stands for the text
    of another part, which is then no query by itself. One that says `Changes rights.` may
    change who may do what. In a text for PostgreSQL `:name[]` is the values of all rows of
    many().
    """
    text = (SQL_DIR / f"{noun}.sql").read_text("utf-8")
    parts = re.split(r"^-- (\w+)(?: @(\w+))? --$", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for name, only, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if only in (None, dialect):
            found[name] = body.strip()
    pieces = set(_PART.findall(text))
    return {
        name: _PART.sub(lambda part: found[part[1]], body)
        for name, body in found.items()
        if name not in pieces
    }


def dated(changes: int) -> int:
    """A count of changes as another number every REMEMBER_SECS: nothing is remembered longer."""
    return changes << 40 | int(time.monotonic() / REMEMBER_SECS)


@cache
def changes_rights(sql: str) -> bool:
    """Whether a query may change who may do what: it says so."""
    return "-- Changes rights." in sql


def migrations(dialect: str) -> list[Path]:
    """The schema's numbered steps, in order, from the first."""
    return sorted((SQL_DIR / "schema").glob(f"[0-9][0-9][0-9][0-9].{dialect}.sql"))
