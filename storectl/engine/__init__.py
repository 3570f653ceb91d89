"""Keepers on a database. Only cli/context.py and tests open one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from storectl.errors import InvalidInput
from storectl.model import rules

if TYPE_CHECKING:
    from storectl.engine.store import EngineStore
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
    """Open the store in a folder, made if it is not there.

    url: a path, or file:///PATH. blobs: s3://BUCKET/PREFIX or a folder for large bodies,
    which the store remembers; see place.py. username: who the store speaks for, made if
    needed. clock: another than the machine's. Raises Local if the folder cannot be used.
    """
    from storectl.engine.store import EngineStore  # --version and help open no store

    return EngineStore(folder_of(url), username or DEFAULT_USER, clock or rules.now_ms, blobs)


def look_after(url: str, *, clock: Callable[[], int] | None = None) -> Upkeep:
    """What looks after the store in a folder. It opens nothing yet, and makes nothing."""
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
