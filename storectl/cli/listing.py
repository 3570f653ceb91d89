"""What a kind of storage looks like on the command line, and how storages are listed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import msgspec

from storectl.cli.output import Row
from storectl.cli.settings import duration_secs
from storectl.cli.values import Column
from storectl.errors import InvalidInput
from storectl.model import rules
from storectl.model.page import walk
from storectl.model.storage import ListQuery, Storage, Storages


class Noun(NamedTuple):
    """One kind of storage, as the command line speaks of it.

    key: dataset, kvs or queue. model: its Struct. counted: columns between name
    and size, the first of which `--sort items` goes by. described: lines of
    `info` about what it holds.
    """

    key: str
    title: str
    model: type[Storage]
    counted: list[Column] = []  # noqa: RUF012  # never changed
    described: list[Column] = []  # noqa: RUF012

    @property
    def columns(self) -> list[Column]:
        """What `ls` shows."""
        return [
            Column("id", "ID", whole=True),
            Column("name", "NAME"),
            *self.counted,
            Column("size", "SIZE", "bytes"),
            Column("modifiedAt", "MODIFIED", "time"),
            Column("generalAccess", "ACCESS", "access"),
        ]

    @property
    def lines(self) -> list[Column]:
        """What `info` shows."""
        return [
            Column("id", "ID"),
            Column("name", "Name"),
            Column("title", "Title"),
            Column("username", "Owner"),
            *(self.described or self.counted),
            Column("size", "Size", "bytes"),
            Column("createdAt", "Created", "moment"),
            Column("modifiedAt", "Modified", "moment"),
            Column("accessedAt", "Accessed", "moment"),
            Column("expireAt", "Expires", "moment"),
            Column("generalAccess", "Access", "access"),
            Column("consoleUrl", "Console"),
        ]

    @property
    def fields(self) -> list[str]:
        """Names of the fields in JSON."""
        names = [field.encode_name for field in msgspec.structs.fields(self.model)]
        return [name for name in names if name != SECRET] + ["size"]


SECRET = "urlSigningSecretKey"  # noqa: S105  # its name; the key itself is never shown
SIZES = ("storageBytes", "inflatedBytes", "s3StorageBytes")

Sort = Literal["name", "created", "modified", "size", "items"]


def row_of(storage: Storage) -> Row:
    """A storage as the API spells it, with `size` and without its signing key."""
    row: Row = msgspec.to_builtins(storage)
    row.pop(SECRET, None)
    stats = row.get("stats") or {}
    row["size"] = next((stats[name] for name in SIZES if name in stats), None)
    return row


class Wanted(NamedTuple):
    """Which storages a listing is for.

    before: ISO time of the last change, at most. owner: me, others, all, or a username.
    """

    noun: Noun
    glob: str | None
    unnamed: bool
    all: bool
    sort: str | None
    reverse: bool
    limit: int | None
    before: str | None
    owner: str = "me"

    @property
    def columns(self) -> list[Column]:
        """What is shown: whose it is, where it may not be mine."""
        columns = self.noun.columns
        if self.owner != "me":
            columns.insert(2, Column("username", "OWNER"))
        if self.unnamed or self.all:
            columns.append(Column("expireAt", "EXPIRES", "time"))
        return columns


OWNERSHIP = {"me": "ownedByMe", "others": "sharedWithMe"}
"""How the API calls it; of all others it lists both."""


class Listing:
    """Walks a listing. total and truncated are known at its end."""

    def __init__(self, keeper: Storages[Any], wanted: Wanted) -> None:
        self.keeper, self.wanted = keeper, wanted
        self.total: int | None = None
        self.truncated = False

    def rows(self) -> Iterator[Row]:
        """The rows in order, up to the limit."""
        matching = filter(self._matches, self._all())
        rows = self._sorted(matching) if self.wanted.sort else matching
        count = 0
        for row in rows:
            if self.wanted.limit is not None and count >= self.wanted.limit:
                self.truncated = True
                return
            count += 1
            yield row
        self.total = count

    def _all(self) -> Iterator[Row]:
        wanted = self.wanted

        def fetch(offset: int) -> tuple[list[Row], int, int]:
            listed = self.keeper.list(
                ListQuery(
                    offset=offset,
                    desc=wanted.reverse and not wanted.sort,
                    unnamed=wanted.unnamed or wanted.all,
                    ownership=OWNERSHIP.get(wanted.owner),
                )
            )
            return [row_of(item) for item in listed.items], len(listed.items), listed.total

        yield from walk(fetch)

    def _matches(self, row: Row) -> bool:
        wanted = self.wanted
        name = row.get("name")
        if wanted.owner not in ("all", *OWNERSHIP):
            owner = row.get("username") or ""
            if owner.lower() != wanted.owner.lower():
                return False
        if wanted.unnamed and not wanted.all and name:
            return False
        if wanted.before and row["modifiedAt"] > wanted.before:
            return False
        return not wanted.glob or fnmatchcase((name or row["id"]).lower(), wanted.glob.lower())

    def _sorted(self, rows: Iterator[Row]) -> list[Row]:
        counted = self.wanted.noun.counted
        field = {
            "name": "name",
            "created": "createdAt",
            "modified": "modifiedAt",
            "size": "size",
            "items": counted[0].field if counted else "",
        }[str(self.wanted.sort)]
        if not field:
            raise InvalidInput(f"a {self.wanted.noun.title} does not count its items")

        def key(row: Row) -> tuple[bool, Any]:
            value = row.get(field)
            return (value is None, value)

        return sorted(rows, key=key, reverse=self.wanted.reverse)


def before(older_than: str | None) -> str | None:
    """The ISO time that `--older-than 30d` means."""
    if older_than is None:
        return None
    secs = duration_secs(older_than, "--older-than")
    return rules.iso(int((time.time() - secs) * 1000))


class Limited:
    """The first rows, at most so many. count and truncated are known at the end."""

    def __init__(self, rows: Iterator[Row], limit: int | None) -> None:
        self.count = 0
        self.truncated = False
        self._rows, self._limit = rows, limit

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            if self.count == self._limit:
                self.truncated = True
                return
            self.count += 1
            yield row
