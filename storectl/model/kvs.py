"""Key-value stores: records of any type, by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import UNSET, Struct, UnsetType

from storectl.errors import Internal, InvalidInput, NotFound, TooLarge
from storectl.model.endpoint import Endpoint
from storectl.model.rules import MAX_KEYS, MAX_RECORD_BYTES
from storectl.model.storage import Storage, Storages


class KeyValueStore(Storage, kw_only=True):
    """One key-value store. The API gives no number of records."""

    keys_public_url: str | UnsetType = UNSET
    records_public_url: str | UnsetType = UNSET


class Record(Struct, kw_only=True):
    """A record exactly as it was uploaded, its body readable once.

    content_encoding: br, gzip or deflate if the body is stored compressed.
    size: bytes as stored, hence compressed ones.
    """

    key: str
    content_type: str
    content_encoding: str | None = None
    size: int | None = None
    body: Iterable[bytes] = ()


class KeysQuery(Struct, rename="camel", frozen=True, kw_only=True):
    """Which keys, in UTF-8 binary order. exclusive_start_key need not exist."""

    exclusive_start_key: str | None = None
    limit: int = MAX_KEYS
    prefix: str | None = None
    collection: str | None = None


class Key(Struct, rename="camel", kw_only=True):
    """One key. size: bytes as stored. content_type and sha256 are extensions of storectl.

    sha256: of the bytes as stored, in hex.
    """

    key: str
    size: int
    content_type: str | None = None
    sha256: str | UnsetType = UNSET
    record_public_url: str | UnsetType = UNSET


class KeysPage(Struct, rename="camel", kw_only=True):
    """One page of keys. next_exclusive_start_key is None at the end, and always present."""

    items: list[Key]
    count: int
    limit: int
    exclusive_start_key: str | None
    is_truncated: bool
    next_exclusive_start_key: str | None


class KeyValueStores(Storages[KeyValueStore], Protocol):
    """What a store can do with records. Proved by tests/contract/test_kvs.py."""

    def keys(self, ref: str, query: KeysQuery) -> KeysPage: ...

    def record(self, ref: str, key: str, *, body: bool = True) -> Record:
        """The record under a key, without its body on request. NotFound if there is none."""
        ...

    def put(self, ref: str, record: Record) -> None:
        """Keep a record, in place of one with the same key. All or nothing."""
        ...

    def remove(self, ref: str, key: str) -> None:
        """Delete a record. A key that is not there is no failure."""
        ...


def every_key(
    keeper: KeyValueStores, ref: str, prefix: str | None = None, collection: str | None = None
) -> Iterator[Key]:
    """Walk the keys to their true end. What is removed on the way changes no place."""
    after: str | None = None
    while True:
        query = KeysQuery(exclusive_start_key=after, prefix=prefix, collection=collection)
        page = keeper.keys(ref, query)
        yield from page.items
        following = page.next_exclusive_start_key
        if following is None:
            return
        if after is not None and following <= after:
            raise Internal(f"The keys behind '{after}' are listed again and again")
        after = following


def counted(record: Record) -> Iterator[bytes]:
    """The body of a record that is put, held to the size it announces and to the limit.

    The last block comes only once the size is right: a sender that breaks off leaves
    no short record, whoever counts bytes on the way.
    """
    announced = record.size
    if announced is not None and announced > MAX_RECORD_BYTES:
        raise _too_large(record.key)
    size = 0
    held = b""
    for block in record.body:
        size += len(block)
        if size > MAX_RECORD_BYTES:
            raise _too_large(record.key)
        if announced is not None and size > announced:
            break
        if held:
            yield held
        held = block
    if announced is not None and size != announced:
        raise InvalidInput(
            f"Body of record '{record.key}' does not have the {announced} bytes it announced",
            type="invalid-input",
        )
    if held:
        yield held


def no_record(ref: str, key: str) -> NotFound:
    """The failure of a key that is not in a store."""
    name = ref.removeprefix("~")
    return NotFound(
        f"Key-value store '{name}' has no record '{key}'", hint=f"storectl kvs keys {name}"
    )


def _too_large(key: str) -> TooLarge:
    return TooLarge(
        f"Record '{key}' is larger than {MAX_RECORD_BYTES} bytes", type="record-too-large"
    )


LIST = Endpoint("GET", "/v2/key-value-stores", "kvs", "list")
CREATE = Endpoint("POST", "/v2/key-value-stores", "kvs", "create")
GET = Endpoint("GET", "/v2/key-value-stores/{ref}", "kvs")
UPDATE = Endpoint("PUT", "/v2/key-value-stores/{ref}", "kvs", "write")
DELETE = Endpoint("DELETE", "/v2/key-value-stores/{ref}", "kvs", "write")
KEYS = Endpoint("GET", "/v2/key-value-stores/{ref}/keys", "kvs", signed=True)
RECORDS = Endpoint("GET", "/v2/key-value-stores/{ref}/records", "kvs", signed=True)
RECORD = Endpoint("GET", "/v2/key-value-stores/{ref}/records/{key}", "kvs", signed=True, fast=True)
HEAD_RECORD = Endpoint("HEAD", "/v2/key-value-stores/{ref}/records/{key}", "kvs", fast=True)
PUT_RECORD = Endpoint("PUT", "/v2/key-value-stores/{ref}/records/{key}", "kvs", "write", fast=True)
POST_RECORD = Endpoint(
    "POST", "/v2/key-value-stores/{ref}/records/{key}", "kvs", "write", fast=True
)
DELETE_RECORD = Endpoint(
    "DELETE", "/v2/key-value-stores/{ref}/records/{key}", "kvs", "write", fast=True
)
