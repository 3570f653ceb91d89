"""Pages of a queue's requests: what a cursor says, and the statement with the least work."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from storectl.engine.storage import StorageRow
from storectl.errors import InvalidInput
from storectl.model.queue import RequestsQuery

Said = TypeVar("Said")

FRONT = -(2**63)
"""Before every place in a queue."""


class Cursor(Struct, rename="camel"):
    """What a cursor says, in base64url."""

    request_id: str


class Place(Struct):
    """What a cursor of a list in order says: 64 bits, as the database has."""

    place: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


def cursor_after(id: str) -> str:
    """The cursor of the page that starts after a request."""
    return _encoded(Cursor(id))


def cursor_behind(place: int) -> str:
    """The cursor of the page that starts after a place, of a list in order."""
    return _encoded(Place(place))


def _encoded(cursor: Cursor | Place) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def place_of(query: RequestsQuery) -> int:
    """The place after which a page in order starts."""
    if query.exclusive_start_id is not None or query.filter:
        raise InvalidInput(
            "inOrder cannot be combined with exclusiveStartId or filter", type="invalid-parameter"
        )
    return _decoded(query.cursor, Place).place if query.cursor is not None else FRONT


def start_of(query: RequestsQuery) -> str:
    """The ID after which a page starts."""
    start = query.exclusive_start_id
    if start is not None and (query.cursor is not None or query.filter):
        raise InvalidInput(
            "exclusiveStartId cannot be combined with cursor or filter", type="invalid-parameter"
        )
    return (start or "") if query.cursor is None else _decoded(query.cursor, Cursor).request_id


def _decoded(cursor: str, shape: type[Said]) -> Said:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(text, type=shape)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidInput(
            f"cursor '{cursor:.80}' is none that a list of requests gave out",
            type="invalid-parameter",
        ) from None


def page_name(states: tuple[str, ...], limit: int, row: StorageRow) -> str:
    """The statement that lists requests in these states with the least work.

    By ID, a page of unhandled requests passes over limit * total / unhandled rows;
    by the head, it sorts all that are unhandled.
    """
    for state in states:
        if state not in ("locked", "pending"):
            raise InvalidInput(
                f"filter must be any of locked, pending, not '{state:.80}'",
                type="invalid-parameter",
            )
    if not states:
        return "page"
    if "pending" not in states:
        return "page_locked"
    unhandled = row.request_count - row.handled_count
    few = unhandled * unhandled < limit * row.request_count
    return "page_few" if few else "page_unhandled"
