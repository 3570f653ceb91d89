"""Key-value stores over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import structs

from storectl.errors import InvalidInput, NotFound, TooLarge
from storectl.formats.encoding import decoded, most_unpacked
from storectl.model import kvs, rules
from storectl.model.kvs import KeysPage, KeysQuery, Record
from storectl.model.storage import Storage
from storectl.model.store import TakesLong
from storectl.server.archive import zipped
from storectl.server.guard import is_restricted
from storectl.server.storage import handlers, signed_query
from storectl.server.wire import GATHER_BYTES, Answer, Call, created, data, nothing, streamed, url

_NEEDS_NO_QUOTES = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]*")


def keys(call: Call) -> Answer:
    """One page of keys in UTF-8 binary order, each with an address that opens it."""
    limit = call.whole("limit", rules.MAX_KEYS, high=rules.MAX_KEYS) or rules.MAX_KEYS
    page = call.store.kvs.keys(
        call.ref,
        KeysQuery(
            exclusive_start_key=call.text("exclusiveStartKey"),
            limit=limit,
            prefix=call.text("prefix"),
            collection=call.text("collection"),
        ),
    )
    address = _addresses(call)
    for item in page.items:
        item.record_public_url = address(item.key)
    return data(page)


def records(call: Call) -> Answer:
    """All records, or those of a prefix or a collection, as a ZIP file of one file each."""
    query = KeysQuery(prefix=call.text("prefix"), collection=call.text("collection"))
    page = call.store.kvs.keys(call.ref, query)  # so that a failure still has a status
    headers = [
        ("Content-Type", "application/zip"),
        ("Content-Disposition", f'attachment; filename="{call.ref}.zip"'),
    ]
    return streamed(200, headers, zipped(_plain_records(call, query, page)))


def record(call: Call) -> Answer:
    """A record as it was uploaded, or unpacked for who does not take its encoding."""
    key = call.parts["key"]
    found = call.store.kvs.record(call.ref, key)
    if not accepts(call.environ.get("HTTP_ACCEPT_ENCODING"), found.content_encoding):
        if call.hurried:
            raise TakesLong
        found = _unpacked(call, found)
    headers = _headers(found)
    if call.flag("attachment"):
        headers.append(("Content-Disposition", "attachment"))
    whole = isinstance(found.body, tuple | list)
    return Answer(200, headers, b"".join(found.body) if whole else found.body)


def head(call: Call) -> Answer:
    """Whether there is a record, and its headers as it is stored."""
    found = call.store.kvs.record(call.ref, call.parts["key"], body=False)
    return Answer(200, _headers(found))


def put(call: Call) -> Answer:
    """Keep the body under its key, byte for byte, with its type and encoding.

    It goes to the store in blocks as it comes. A sender that hangs up leaves nothing.
    """
    key = call.parts["key"]
    call.store.kvs.put(
        call.ref,
        Record(
            key=key,
            content_type=call.environ.get("CONTENT_TYPE") or "application/octet-stream",
            content_encoding=call.environ.get("HTTP_CONTENT_ENCODING"),
            size=call.declared,
            body=call.body,
        ),
    )
    return created(url(call.base, kvs.RECORD.url(ref=call.ref, key=key)))


def remove(call: Call) -> Answer:
    """Delete a record. One that is not there is no failure: 204 all the same."""
    call.store.kvs.remove(call.ref, call.parts["key"])
    return nothing()


def accepts(header: str | None, encoding: str | None) -> bool:
    """Whether Accept-Encoding allows an encoding. Without the header only plain bytes.

    Source: RFC 9110, 12.5.3; but there no header means any encoding, and curl and
    wget, which send none, unpack nothing.
    """
    if encoding is None:
        return True
    allowed: dict[str, bool] = {}
    for part in (header or "").lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        allowed[name.removeprefix("x-")] = not any(map(_is_zero, parameters))
    return allowed.get(encoding, allowed.get("*", False))


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")


def _headers(found: Record) -> list[tuple[str, str]]:
    # Whoever can write a record can write a page with scripts: no browser shall
    # run it as a page of this server.
    headers = [
        ("Content-Type", found.content_type),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "sandbox"),
        ("Vary", "Accept-Encoding"),
    ]
    if found.size is not None:
        headers.append(("Content-Length", str(found.size)))
    if found.content_encoding:
        headers.append(("Content-Encoding", found.content_encoding))
    return headers


def _unpacked(call: Call, found: Record) -> Record:
    """A record without its encoding; with it after all, if unpacking fails or has no end.

    Unpacked once to learn the length, which shows a reader whether he has it all,
    and again to be sent if it is large: neither memory nor disk grows with it.
    """
    most = most_unpacked(found.size or 0)
    held: list[bytes] = []
    length = 0
    try:
        for block in decoded(found.body, found.content_encoding, limit=most, over=_over):
            length += len(block)
            if length <= GATHER_BYTES:
                held.append(block)
    except (InvalidInput, TooLarge):
        return call.store.kvs.record(call.ref, found.key)
    if length > GATHER_BYTES:
        found = call.store.kvs.record(call.ref, found.key)
    blocks = decoded(found.body, found.content_encoding, limit=length, over=_over)
    body = blocks if length > GATHER_BYTES else held
    return structs.replace(found, content_encoding=None, size=length, body=body)


def _over(seen: int) -> TooLarge:
    return TooLarge(f"Record unpacks to more than {seen} bytes")


def _plain_records(call: Call, query: KeysQuery, page: KeysPage) -> Iterator[Record]:
    """Every record that a query finds, unpacked where that can be."""
    store = call.store.kvs
    while True:
        for item in page.items:
            try:
                found = store.record(call.ref, item.key)
                yield _unpacked(call, found) if found.content_encoding else found
            except NotFound:  # deleted since the keys were read
                continue
        if page.next_exclusive_start_key is None:
            return
        following = structs.replace(query, exclusive_start_key=page.next_exclusive_start_key)
        page = store.keys(call.ref, following)


def _addresses(call: Call) -> Callable[[str], str]:
    """What makes of a key the address that opens it, signed if it needs that."""
    place = call.place
    signs = place is not None and is_restricted(place, call.settings)
    start = url(call.base, kvs.RECORD.url(ref=call.ref, key=""))

    def address(key: str) -> str:
        # Quoting a thousand keys takes longer than reading them; most need none.
        found = start + key if _NEEDS_NO_QUOTES.fullmatch(key) else url(call.base, path(key))
        if signs and place is not None:
            found += "?signature=" + rules.record_signature(place.secret, key)
        return found

    def path(key: str) -> str:
        return kvs.RECORD.url(ref=call.ref, key=key)

    return address


def _links(call: Call, storage: Storage) -> dict[str, str]:
    signed = signed_query(call, storage)
    return {
        "keys_public_url": url(call.base, kvs.KEYS.url(ref=storage.id), **signed),
        "records_public_url": url(call.base, kvs.RECORDS.url(ref=storage.id), **signed),
    }


_common = handlers("kvs", lambda call: call.store.kvs, _links)

HANDLERS = {
    kvs.LIST: _common["LIST"],
    kvs.CREATE: _common["CREATE"],
    kvs.GET: _common["GET"],
    kvs.UPDATE: _common["UPDATE"],
    kvs.DELETE: _common["DELETE"],
    kvs.KEYS: keys,
    kvs.RECORDS: records,
    kvs.RECORD: record,
    kvs.HEAD_RECORD: head,
    kvs.PUT_RECORD: put,
    kvs.POST_RECORD: put,
    kvs.DELETE_RECORD: remove,
}
