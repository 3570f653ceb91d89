"""What the three keepers on a remote API share."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from storectl.client.http import Http
from storectl.errors import NotFound
from storectl.model import rules
from storectl.model.endpoint import Endpoint
from storectl.model.storage import Change, Listed, ListQuery, Storage

Kind = TypeVar("Kind", bound=Storage)


class _Listed(msgspec.Struct, Generic[Kind]):
    """A listing as it is sent: some servers leave out what the caller knows."""

    items: list[Kind]
    total: int | None = None
    offset: int | None = None
    limit: int | None = None


class Keeper(Generic[Kind]):
    """Storages of one noun. A subclass names the noun, its model and its endpoints."""

    noun: str
    made: type[Kind]
    LIST: Endpoint
    CREATE: Endpoint
    GET: Endpoint
    UPDATE: Endpoint
    DELETE: Endpoint

    def __init__(self, http: Http) -> None:
        self.http = http

    def list(self, query: ListQuery) -> Listed[Kind]:
        found = self.http.data(self.LIST, _Listed[self.made], query=query)  # type: ignore[name-defined]
        items: list[Kind] = found.items
        for item in items:
            if item.name == item.id:  # how lists show what has no name
                item.name = None
        return Listed(
            total=len(items) if found.total is None else found.total,
            offset=query.offset if found.offset is None else found.offset,
            limit=query.limit if found.limit is None else found.limit,
            items=items,
        )

    def create(
        self, name: str | None = None, *, schema: dict[str, Any] | None = None
    ) -> tuple[Kind, bool]:
        answer = self.http.whole(
            self.CREATE,
            query={"name": name},
            json={"schema": schema} if schema else {},
            repeatable=name is not None,  # a second unnamed one would be another
        )
        return self.http.decode(answer.content, self.made), answer.status_code == 201

    def get(self, ref: str) -> Kind:
        with known_as(self.noun, ref):
            return self.http.data(self.GET, self.made, ref=ref)

    def update(self, ref: str, change: Change) -> Kind:
        with known_as(self.noun, ref):
            return self.http.data(self.UPDATE, self.made, ref=ref, json=change)

    def delete(self, ref: str) -> None:
        with known_as(self.noun, ref):
            self.http.send(self.DELETE, ref=ref)

    def delete_unused(self, id: str, since_ms: int, *, named: bool = False) -> bool:
        """Asks, then deletes: what comes between the two is not seen. See model/storage.py."""
        try:
            found = self.get(id)
            if found.accessed_at >= rules.iso(since_ms) or (found.name and not named):
                return False
            self.delete(id)
        except NotFound:
            return False
        return True


class known_as:
    """Names the storage in a 404 of the server, which does not: `with known_as(noun, ref)`."""

    def __init__(self, noun: str, ref: str) -> None:
        self.noun, self.ref = noun, ref

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if isinstance(failure, NotFound) and failure.type == "record-not-found":
            better = NotFound.of(self.noun, self.ref.removeprefix("~"))
            better.http = failure.http
            raise better from None
