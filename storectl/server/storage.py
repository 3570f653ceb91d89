"""The five endpoints that every kind of storage has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET, structs

from storectl.errors import InvalidInput
from storectl.model import rules
from storectl.model.ref import KINDS
from storectl.model.storage import Change, ListQuery, Storage, Storages
from storectl.server.guard import is_restricted, require
from storectl.server.wire import Answer, Call, Handler, data, nothing, url

SEGMENTS = {noun: segment for segment, noun in KINDS.items()}
PUBLIC_URL_SECS = 14 * 24 * 3600

Keeper = Callable[[Call], Storages[Any]]
Links = Callable[[Call, Storage], dict[str, str]]


def handlers(noun: str, keeper: Keeper, links: Links) -> dict[str, Handler]:
    """LIST, CREATE, GET, UPDATE, DELETE of a noun. links: its public URLs."""

    def shown(call: Call, storage: Storage) -> Storage:
        path = f"/v2/{SEGMENTS[noun]}/{storage.id}"
        more: dict[str, Any] = {"console_url": call.base + path.replace("/v2", "/storage", 1)}
        more.update(links(call, storage))
        if not call.writes:
            more["url_signing_secret_key"] = UNSET
        return structs.replace(storage, **more)

    def list_them(call: Call) -> Answer:
        """The caller's storages, by the time of their creation."""
        query = ListQuery(
            offset=call.whole("offset", 0) or 0,
            limit=call.whole("limit", rules.MAX_LIST, high=rules.MAX_LIST) or rules.MAX_LIST,
            desc=call.flag("desc"),
            unnamed=call.flag("unnamed"),
            ownership=call.text("ownership"),
        )
        found = keeper(call).list(query)
        items = [_listed(item, call, noun) for item in found.items]
        return data(
            {
                "total": found.total,
                "count": len(items),
                "offset": found.offset,
                "limit": found.limit,
                "desc": query.desc,
                "unnamed": query.unnamed,
                "items": items,
            }
        )

    def create(call: Call) -> Answer:
        """Get the storage with a name, or create one."""
        schema = call.object().get("schema")
        if call.place is not None:  # of a token with a scope: there is one, and it may be read
            return get(call)
        made, new = keeper(call).create(call.text("name"), schema=schema)
        call = call.about(made.id)
        if not new:
            require(call.place, noun, "read")
        location = url(call.base, f"/v2/{SEGMENTS[noun]}/{made.id}")
        found = shown(call, made)
        return data(found, 201 if new else 200, [("Location", location)] if new else [])

    def get(call: Call) -> Answer:
        """Describe a storage."""
        return data(shown(call, keeper(call).get(call.ref)))

    def update(call: Call) -> Answer:
        """Rename a storage, or set its title or its general access."""
        change = _change(call.object())
        if change.general_access is not UNSET:
            require(call.place, noun, "manage")
        changed = keeper(call).update(call.ref, change)
        return data(shown(call.about(changed.id), changed))

    def delete(call: Call) -> Answer:
        """Delete a storage with all it holds."""
        keeper(call).delete(call.ref)
        return nothing()

    return {"LIST": list_them, "CREATE": create, "GET": get, "UPDATE": update, "DELETE": delete}


def signed_query(call: Call, storage: Storage) -> dict[str, str]:
    """The signature that a public URL of contents needs, if it needs one."""
    if call.place is None or not is_restricted(call.place, call.settings):
        return {}
    until = call.now_ms() + PUBLIC_URL_SECS * 1000
    return {"signature": rules.content_signature(call.place.secret, storage.id, until)}


def _listed(item: Storage, call: Call, noun: str) -> Storage:
    # The API's schema has a text there, and the Python client refuses null:
    # an unnamed dataset or queue goes by its ID in lists.
    name = item.name if item.name is not None or noun == "kvs" else item.id
    console = f"{call.base}/storage/{SEGMENTS[noun]}/{item.id}"
    return structs.replace(
        item, name=name, console_url=console, url_signing_secret_key=UNSET, schema=UNSET
    )


def _change(body: dict[str, Any]) -> Change:
    found: dict[str, Any] = {}
    for field, attribute, nullable in (
        ("name", "name", True),
        ("title", "title", True),
        ("generalAccess", "general_access", False),
    ):
        if field not in body:
            continue
        value = body[field]
        if not (isinstance(value, str) or (value is None and nullable)):
            raise InvalidInput(f"{field} must be a text, not {value!r}"[:120])
        found[attribute] = value or None if field == "name" else value
    return Change(**found)
