"""Key-value stores on a remote API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO

import msgspec
from msgspec import structs

from storectl.client.fast import MOST_SENT_BYTES
from storectl.client.http import reading
from storectl.client.storage import Keeper, known_as
from storectl.errors import NotFound
from storectl.model import kvs, rules
from storectl.model.kvs import Key, KeysPage, KeysQuery, KeyValueStore, Record, counted, no_record

SPOOL_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 256 * 1024
AS_STORED = {"Accept-Encoding": ", ".join(rules.ENCODINGS)}
"""With it a server sends a record as it was uploaded, and unpacks nothing."""


class _Keys(msgspec.Struct, rename="camel"):
    """What a server must say of a page of keys, and what it may."""

    items: list[Key]
    next_exclusive_start_key: str | None = None
    limit: int | None = None


class KeyValueStores(Keeper[KeyValueStore]):
    """The keeper of key-value stores. See model/kvs.py for the promise."""

    noun = "kvs"
    made = KeyValueStore
    LIST, CREATE, GET, UPDATE, DELETE = kvs.LIST, kvs.CREATE, kvs.GET, kvs.UPDATE, kvs.DELETE

    def keys(self, ref: str, query: KeysQuery) -> KeysPage:
        with known_as(self.noun, ref):
            found = self.http.data(kvs.KEYS, _Keys, ref=ref, query=query)
        following = found.next_exclusive_start_key
        return KeysPage(
            items=found.items,
            count=len(found.items),
            limit=query.limit if found.limit is None else found.limit,
            exclusive_start_key=query.exclusive_start_key,
            is_truncated=following is not None,
            next_exclusive_start_key=following,
        )

    def record(self, ref: str, key: str, *, body: bool = True) -> Record:
        try:
            answer = self.http.send(
                kvs.RECORD if body else kvs.HEAD_RECORD,
                ref=ref,
                key=rules.check_key(key),
                # Without this a server may alter HTML.
                query={"attachment": True} if body else None,
                headers=AS_STORED,
                stream=body,
            )
        except NotFound:
            self.get(ref)  # the answer does not say which of the two is missing
            raise no_record(ref, key) from None
        head = answer.headers
        length = head.get("content-length", "")
        return Record(
            key=key,
            content_type=head.get("content-type", "application/octet-stream"),
            content_encoding=rules.check_encoding(head.get("content-encoding")),
            size=int(length) if length.isdecimal() else None,
            body=reading(answer, self.http.host, raw=True) if body else (),
        )

    def put(self, ref: str, record: Record) -> None:
        """Send a record as it is.

        A body of unknown size is spooled first: sent in chunks and cut off, some
        servers would take it for whole. What can be read only once is sent once.
        """
        headers = {"Content-Type": rules.check_content_type(record.content_type)}
        encoding = rules.check_encoding(record.content_encoding)
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        key = rules.check_key(record.key)
        with spooled(record) as whole, known_as(self.noun, ref):
            headers["Content-Length"] = str(whole.size)
            is_small = (whole.size or 0) <= MOST_SENT_BYTES
            body = b"".join(counted(whole)) if is_small else Attempts(whole)
            self.http.send(kvs.PUT_RECORD, ref=ref, key=key, content=body, headers=headers)

    def remove(self, ref: str, key: str) -> None:
        try:
            self.http.send(kvs.DELETE_RECORD, ref=ref, key=rules.check_key(key))
        except NotFound:
            self.get(ref)


@contextmanager
def spooled(record: Record) -> Iterator[Record]:
    """The record with its size; up to 8 MiB of unknown size in memory, more in a file."""
    if record.size:  # an empty one would be whole with its headers, before it is counted
        yield record
        return
    with SpooledTemporaryFile(SPOOL_BYTES, prefix="storectl-") as spool:
        for block in counted(record):
            spool.write(block)
        yield structs.replace(record, size=spool.tell(), body=Blocks(spool))


class Blocks:
    """What is in a file, from its start each time."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while block := self._file.read(BLOCK_BYTES):
            yield block


class Attempts:
    """The body of a record for each attempt to send it; None where it is used up."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._once = iter(record.body) is record.body
        self._used = False

    def __call__(self) -> Iterator[bytes] | None:
        if self._once and self._used:
            return None
        return self._blocks(counted(self._record))

    def _blocks(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        self._used = True
        yield from blocks
