"""Keepers on a database. Only cli/context.py and tests open one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from storectl.errors import InvalidInput, Unsupported
from storectl.model import rules
from storectl.model.store import is_postgres as is_postgres

if TYPE_CHECKING:
    from storectl.engine.postgres import PostgresDb
    from storectl.engine.store import EngineStore
    from storectl.model.limits import Rates
    from storectl.model.upkeep import Upkeep

DEFAULT_USER = "local"
"""Who owns the storages of an embedded store unless another user is named."""


def open_store(
    url: str,
    *,
    blobs: str | None = None,
    username: str | None = None,
    clock: Callable[[], int] | None = None,
) -> EngineStore:
    """Open the store in a folder or a PostgreSQL, made if it is not there.

    url: a path, file:///PATH, or postgresql://…. blobs: s3://BUCKET/PREFIX or a folder for
    large bodies, which the store remembers; see place.py. username: who the store speaks
    for, made if needed. clock: another than the machine's or the database's. Raises Local
    if it cannot be used, Unavailable if the database is away.
    """
    if is_postgres(url):
        return _open_postgres(url, blobs, username or DEFAULT_USER, clock)
    from storectl.engine.place import BlobPlace  # --version and help open no store
    from storectl.engine.sqlite import SqliteDb
    from storectl.engine.store import EngineStore

    folder = folder_of(url)
    db = SqliteDb(folder)

    def rates() -> Rates:
        from storectl.engine.rates import SharedRates  # for servers

        return SharedRates(folder)

    return EngineStore(
        db,
        BlobPlace(db, blobs, folder / "blobs"),
        rates,
        place=str(folder),
        username=username or DEFAULT_USER,
        clock=clock or rules.now_ms,
    )


def postgres_db(url: str) -> PostgresDb:
    """The database of a store in PostgreSQL. Raises Unsupported without the library."""
    try:
        from storectl.engine.postgres import PostgresDb  # an extra, and 0.2 s
    except ModuleNotFoundError:
        raise Unsupported(
            "A store in PostgreSQL needs more than is installed",
            hint="pip install 'storectl[postgres]'",
        ) from None
    return PostgresDb(url)


def _open_postgres(
    url: str, blobs: str | None, username: str, clock: Callable[[], int] | None
) -> EngineStore:
    from storectl.engine.budget import SharedBudget
    from storectl.engine.place import BlobPlace
    from storectl.engine.store import EngineStore

    db = postgres_db(url)
    return EngineStore(
        db,
        BlobPlace(db, blobs, None),
        partial(SharedBudget, db),
        place=db.place,
        username=username,
        clock=clock or db.now_ms,
    )


def look_after(url: str, *, clock: Callable[[], int] | None = None) -> Upkeep:
    """What looks after the store in a folder. It opens nothing yet, and makes nothing.

    Raises Unsupported for a PostgreSQL, whose own tools do.
    """
    if is_postgres(url):
        raise Unsupported(
            "A store in PostgreSQL is checked and copied with its own tools",
            hint="pg_amcheck; pg_dump and pg_restore, then a copy of the bucket",
        )
    from storectl.engine.upkeep import FolderUpkeep

    return FolderUpkeep(folder_of(url), clock or rules.now_ms)


def folder_of(url: str) -> Path:
    """The folder that a path or file:///PATH names."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        url = unquote(parts.path)
    elif len(parts.scheme) > 1:
        raise InvalidInput(  # the rest may hold a password
            f"Store '{parts.scheme}:…' has an unknown scheme", hint="name a folder"
        )
    try:
        return Path(url).expanduser()
    except RuntimeError:
        raise InvalidInput(
            f"Store {url!r} is below the home of nobody", hint="name a folder"
        ) from None
