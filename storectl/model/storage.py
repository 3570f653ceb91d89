"""What the three kinds of storage share: being listed, created, renamed, deleted."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType

NOUNS = ("dataset", "kvs", "queue")


class Storage(Struct, rename="camel", kw_only=True):
    """One storage of any kind, as the API describes it. Times are ISO 8601, UTC, with ms.

    name: None while unnamed, and then the storage expires. expire_at: when; None for
    never, UNSET where the server does not say. The URL fields are filled by whoever
    knows the address; url_signing_secret_key only for writers.
    """

    id: str
    user_id: str
    username: str | None = None
    name: str | None = None
    title: str | None = None
    created_at: str
    modified_at: str
    accessed_at: str
    expire_at: str | None | UnsetType = UNSET
    act_id: str | None = None
    act_run_id: str | None = None
    schema: dict[str, Any] | None | UnsetType = UNSET
    general_access: str = "FOLLOW_USER_SETTING"
    url_signing_secret_key: str | None | UnsetType = UNSET
    console_url: str | UnsetType = UNSET
    stats: dict[str, Any] | None = None


class ListQuery(Struct, rename="camel", frozen=True, kw_only=True):
    """Which storages to list: by creation time, named only unless unnamed."""

    offset: int = 0
    limit: int = 1000
    desc: bool = False
    unnamed: bool = False
    ownership: str | None = None


class Change(Struct, rename="camel", frozen=True, kw_only=True):
    """What an update sets; what is UNSET stays. name None makes a storage unnamed."""

    name: str | None | UnsetType = UNSET
    title: str | None | UnsetType = UNSET
    general_access: str | UnsetType = UNSET


Kind = TypeVar("Kind", bound=Storage)


class Listed(Struct, Generic[Kind], kw_only=True):
    """One window of a listing. total counts all that the query selects."""

    total: int
    offset: int
    limit: int
    items: list[Kind]


class Storages(Protocol[Kind]):
    """What a keeper can do with any kind of storage.

    A ref is `ID`, `~name` or `user~name`; anything else is NotFound. Proved by
    tests/contract/test_storage.py on every noun.
    """

    def list(self, query: ListQuery) -> Listed[Kind]: ...

    def create(
        self, name: str | None = None, *, schema: dict[str, Any] | None = None
    ) -> tuple[Kind, bool]:
        """Get by name or create; the second is whether it is new. No name: always new."""
        ...

    def get(self, ref: str) -> Kind: ...

    def update(self, ref: str, change: Change) -> Kind: ...

    def delete(self, ref: str) -> None:
        """Delete it with all it holds. NotFound if it is not there."""
        ...

    def delete_unused(self, id: str, since_ms: int, *, named: bool = False) -> bool:
        """Delete it if it was not accessed since then, and has no name or may have one.

        Whether it was deleted; one that is not there was not. since_ms: as rules.now_ms().
        """
        ...
