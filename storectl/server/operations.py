"""What each endpoint takes and gives, beyond what its Endpoint says. Read by openapi.py alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from storectl.formats import FORMATS, Options
from storectl.model import access, dataset, kvs, queue, rules, token
from storectl.model.access import ON_KIND, RIGHTS
from storectl.model.dataset import Dataset, ItemsQuery
from storectl.model.endpoint import Endpoint
from storectl.model.kvs import KeysQuery, KeyValueStore
from storectl.model.queue import Queue, RequestsQuery
from storectl.model.request import Fields
from storectl.model.storage import NOUNS, Change, ListQuery, Storage
from storectl.server.access import Wanted, WantedLink
from storectl.server.dataset import SERVED
from storectl.server.token import FEATURES, Account, NewToken, Rotation

Schema = dict[str, Any]
Shape = type[Struct] | Schema | None

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
OBJECT: Schema = {"type": "object"}
BYTES: Schema = {}


class Operation(NamedTuple):
    """An endpoint as its callers see it.

    answer: what is in `data` of the answer with `status`, or None for no body. body: what
    is sent. query, headers: names in PARAMETERS; Structs stand for all their fields.
    plain: the media types of an answer that is not JSON with `data` in it. extension:
    what GET /v2/capabilities calls what is not in the Apify API.
    """

    answer: Shape = None
    status: int = 200
    query: tuple[str | type[Struct], ...] = ()
    headers: tuple[str, ...] = ()
    body: Shape = None
    needs_body: bool = True
    plain: tuple[str, ...] = ()
    conflicts: bool = False
    extension: str | None = None


def several(of: type[Struct], **more: Schema) -> Schema:
    """A list and its count. The page puts the schema in the place of the Struct."""
    found = {"total": COUNT, "count": COUNT, **more, "items": {"type": "array", "items": of}}
    return OBJECT | {"properties": found, "required": [*found]}


def objects(**properties: Schema) -> Schema:
    """An object with exactly these properties, all of them there."""
    return OBJECT | {"properties": properties, "required": [*properties]}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def text(pattern: str) -> Schema:
    return TEXT | {"pattern": f"^(?:{pattern})$"}


PARAMETERS: dict[str, tuple[Schema, str]] = {
    "attachment": (FLAG, "Have browsers save the answer rather than show it."),
    "bom": (FLAG, "Whether a byte order mark leads. By default only in csv."),
    "clean": (FLAG, "Both skipHidden and skipEmpty."),
    "clientKey": (
        TEXT | {"minLength": 1, "maxLength": 32},
        "Who asks: locks belong to it. Without one each call is a new client.",
    ),
    "collection": (TEXT, "Only keys of this collection of the store's schema."),
    "cursor": (TEXT, "nextCursor of the page before."),
    "delimiter": (TEXT | {"minLength": 1, "maxLength": 1}, "Between the columns of csv."),
    "desc": (FLAG, "Newest first."),
    "exclusiveStartId": (TEXT, "Requests after this ID; cursor is the newer way."),
    "exclusiveStartKey": (TEXT, "Keys after this one in UTF-8 order. It need not exist."),
    "feedDescription": (TEXT, "Description of an rss feed."),
    "feedTitle": (TEXT, "Title of an rss feed."),
    "fields": ({}, "Only these fields, in this order; `a.b` is one inside another."),
    "filter": (
        {"type": "array", "items": TEXT | {"enum": ["locked", "pending"]}},
        "Only requests in one of these states.",
    ),
    "flatten": ({}, "Fields whose inner ones get names of their own: `a.b`, `a.0`."),
    "forefront": (FLAG, "At the front of the queue rather than at its end."),
    "format": (TEXT | {"enum": [*SERVED], "default": "json"}, "Of the answer."),
    "inOrder": (FLAG, "In the order of the queue, and what is not handled only."),
    "large": (FLAG, f"Up to {rules.MAX_LARGE_BATCH_REQUESTS:,} requests in one batch."),
    "limit": (COUNT, "At most so many; one over the endpoint's maximum counts as that."),
    "lockSecs": (whole(1, rules.MAX_LOCK_SECS), "How long the lock holds, from now."),
    "name": (TEXT, "1 to 63 letters, digits and hyphens inside. Without one always a new one."),
    "observe": (FLAG, "Without counting as a client, which hadMultipleClients is about."),
    "offset": (COUNT, "How many to pass over."),
    "omit": ({}, "Fields to leave out; goes before fields."),
    "outputFields": ({}, "New names for `fields`, as many as those."),
    "ownership": (
        TEXT | {"enum": ["ownedByMe", "sharedWithMe"]},
        "Mine only, or only what others gave me a right on.",
    ),
    "prefix": (TEXT, "Only keys that start so."),
    "simplified": (FLAG, "Old: fields=url,pageFunctionResult,errorInfo, unwound."),
    "skipEmpty": (FLAG, "Leave out items without a field; a page may be shorter then."),
    "skipFailedPages": (FLAG, "Old: leave out items with errorInfo."),
    "skipHidden": (FLAG, "Leave out fields whose name starts with `#`."),
    "skipHeaderRow": (FLAG, "csv without the row of column names."),
    "unnamed": (FLAG, "Also those without a name."),
    "unwind": ({}, "Fields to unwind: an item for each element of an array."),
    "view": (TEXT, "A view of the dataset's schema, for whatever the query leaves open."),
    "xmlRoot": (TEXT, "Name of the outermost element of xml."),
    "xmlRow": (TEXT, "Name of the element of an item in xml."),
}
"""Query parameters by name: their schema, where no Struct has one, and what they mean."""

HEADERS: dict[str, tuple[Schema, str, str | None]] = {
    "Idempotency-Key": (
        text(rules.IDEMPOTENCY_KEY),
        "A repeated key changes nothing and is answered as before, for 24 hours.",
        "idempotency-key",
    ),
    "Content-Encoding": (
        TEXT | {"enum": [*rules.ENCODINGS, "identity"]},
        "How the body is packed.",
        None,
    ),
}

PATH: dict[str, tuple[Schema, str]] = {
    "ref": (TEXT | {"minLength": 1}, "An ID, or `~name` of the caller's, or `user~name`."),
    "key": (text(rules.KEY), "1 to 256 of letters, digits and !-_.'(); neither . nor .."),
    "id": (TEXT | {"minLength": 1}, "Its ID; for tokens also the name, for users the username."),
    "user": (TEXT | {"minLength": 1}, "A user, by ID, username or e-mail address."),
}

VALUES: dict[str, tuple[str, ...]] = {
    "generalAccess": rules.GENERAL_ACCESS,
    "effectiveAccess": rules.GENERAL_ACCESS[1:],
    "right": RIGHTS,
    "noun": NOUNS,
}
"""The only values of properties that have these names."""

FORMAT_OF = {"At": "date-time", "Until": "date-time", "Url": "uri"}
"""What texts are whose names end so, in what this server writes."""

SCOPE = text(
    f"(?:{'|'.join(NOUNS)})(?::(?:{'|'.join((*RIGHTS, *ON_KIND))})"
    f"|/{rules.ID}:(?:{'|'.join(RIGHTS)}))"
)

EXTENDING = {
    "inOrder": "queue-order",
    "observe": "queue-observers",
    "large": "large-batches",
    dataset.PACKED: "packed-items",
}
"""Parameters and media types beyond the API, and the extensions that they belong to."""

REQUEST: Schema = {"$ref": "#/components/schemas/Request"}
BATCH: Schema = {"type": "array", "minItems": 1, "maxItems": rules.MAX_BATCH_REQUESTS}
TO_DELETE: Schema = {
    "anyOf": [
        objects(id=TEXT | {"minLength": 1}),
        objects(uniqueKey=TEXT | {"minLength": 1}),
    ]
}
ITEM: Schema = OBJECT | {"title": "Item"}
ITEM_TEXT: Schema = TEXT | {"contentMediaType": "application/json"}
PUSHED: Schema = {
    "anyOf": [ITEM, {"type": "array", "items": {"anyOf": [ITEM, ITEM_TEXT]}}],
    "description": "An item or an array of items; elements may be texts that hold one as JSON.",
}
PUBLIC_USER = objects(
    username=TEXT,
    profile=objects(
        **dict.fromkeys(
            ("bio", "name", "pictureUrl", "githubUsername", "websiteUrl", "twitterUsername"),
            nullable(TEXT),
        )
    ),
)
PRIVATE_USER: Schema = {
    "allOf": [
        PUBLIC_USER,
        objects(
            id=TEXT,
            proxy=OBJECT,
            plan=OBJECT,
            effectivePlatformFeatures=objects(**dict.fromkeys(FEATURES, OBJECT)),
            isPaying=FLAG,
            createdAt=nullable(TEXT),
            defaultAccess=nullable(TEXT | {"enum": [*rules.ACCOUNT_ACCESS]}),
        ),
    ]
}
OPTIONS = tuple(
    name
    for name in Options.__struct_encode_fields__
    if name not in ("feed_link", "columns", "csv_safe")  # they follow from the query, or are ours
)


def camel(name: str) -> str:
    """feed_title as feedTitle."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


Operations = dict[Endpoint, Operation]


def _storages(module: Any, kind: type[Storage], *, has_schema: bool) -> Operations:
    """The five that every noun has."""
    more = {"offset": COUNT, "limit": COUNT, "desc": FLAG, "unnamed": FLAG}
    schema: Schema = {"schema": nullable(OBJECT)} if has_schema else {}
    wanted = OBJECT | {"properties": schema}
    return {
        module.LIST: Operation(several(kind, **more), query=(ListQuery,)),
        module.CREATE: Operation(kind, 201, query=("name",), body=wanted, needs_body=False),
        module.GET: Operation(kind),
        module.UPDATE: Operation(kind, body=Change, conflicts=True),
        module.DELETE: Operation(status=204),
    }


def _sharing() -> Operations:
    found = {access.REPORT: Operation(several(access.Access), extension="access-rights")}
    rights, links = "access-rights", "links"
    for noun in NOUNS:
        found[access.GET[noun]] = Operation(access.Access, extension=rights)
        found[access.HELD[noun]] = Operation(access.Held, extension=rights)
        found[access.GRANT[noun]] = Operation(access.Grant, body=Wanted, extension=rights)
        found[access.REVOKE[noun]] = Operation(access.Grant, extension=rights)
        found[access.LINK[noun]] = Operation(
            access.Link, 201, body=WantedLink, needs_body=False, extension=links
        )
        found[access.ROTATE[noun]] = Operation(status=204, extension=links)
    return found


_CLIENT = ("clientKey",)
_PLACED = ("clientKey", "forefront")
_PACKED = ("Content-Encoding",)
_ONCE = ("Content-Encoding", "Idempotency-Key")
_RECORD = Operation(BYTES, query=("attachment",), plain=("*/*",))
_PUT = Operation({}, 201, headers=_PACKED, body=BYTES, needs_body=False)

OPERATIONS: Operations = {
    **_storages(dataset, Dataset, has_schema=True),
    dataset.ITEMS: Operation(
        {"type": "array", "items": ITEM},
        query=(ItemsQuery, "format", "attachment", *map(camel, OPTIONS)),
        plain=(*(FORMATS[name].media_type for name in SERVED), dataset.PACKED),
    ),
    dataset.PUSH: Operation({}, 201, headers=_ONCE, body=PUSHED),
    dataset.STATISTICS: Operation(objects(fieldStatistics=nullable(OBJECT))),
    **_storages(kvs, KeyValueStore, has_schema=True),
    kvs.KEYS: Operation(kvs.KeysPage, query=(KeysQuery,)),
    kvs.RECORDS: Operation(BYTES, query=("prefix", "collection"), plain=("application/zip",)),
    kvs.RECORD: _RECORD,
    kvs.HEAD_RECORD: _RECORD._replace(query=()),
    kvs.PUT_RECORD: _PUT,
    kvs.POST_RECORD: _PUT,
    kvs.DELETE_RECORD: Operation(status=204),
    **_storages(queue, Queue, has_schema=False),
    queue.REQUESTS: Operation(queue.RequestsPage, query=(RequestsQuery, "clientKey")),
    queue.ADD: Operation(queue.Added, 201, query=_PLACED, headers=_ONCE, body=Fields),
    queue.REQUEST: Operation(REQUEST),
    queue.UPDATE_REQUEST: Operation(queue.Added, query=_PLACED, headers=_PACKED, body=Fields),
    queue.DELETE_REQUEST: Operation(status=204, query=_CLIENT),
    queue.ADD_BATCH: Operation(
        queue.AddedBatch,
        201,
        query=(*_PLACED, "large"),
        headers=_ONCE,
        body=BATCH | {"items": REQUEST},
    ),
    queue.DELETE_BATCH: Operation(
        queue.DeletedBatch, query=_CLIENT, headers=_PACKED, body=BATCH | {"items": TO_DELETE}
    ),
    queue.UNLOCK_ALL: Operation(objects(unlockedCount=COUNT), query=_CLIENT),
    queue.HEAD: Operation(queue.Head, query=("limit", "clientKey")),
    queue.LOCK_HEAD: Operation(queue.LockedHead, 201, query=("lockSecs", "limit", "clientKey")),
    queue.PROLONG: Operation(
        objects(lockExpiresAt=TEXT | {"format": "date-time"}), query=("lockSecs", *_PLACED)
    ),
    queue.UNLOCK: Operation(status=204, query=_PLACED),
    token.ME: Operation(PRIVATE_USER),
    token.UPDATE_ME: Operation(PRIVATE_USER, body=Account, extension="account-access"),
    token.USER: Operation(PUBLIC_USER),
    token.LIST: Operation(several(token.Token), extension="tokens"),
    token.CREATE: Operation(token.Token, 201, body=NewToken, conflicts=True, extension="tokens"),
    token.CURRENT: Operation(token.Token, extension="tokens"),
    token.GET: Operation(token.Token, extension="tokens"),
    token.ROTATE: Operation(token.Token, body=Rotation, needs_body=False, extension="tokens"),
    token.REVOKE: Operation(token.Token, extension="tokens"),
    token.CAPABILITIES: Operation(
        objects(server=TEXT, version=TEXT, extensions={"type": "array", "items": TEXT}),
        extension="server",
    ),
    token.HEALTH: Operation(
        objects(status=TEXT, version=TEXT), plain=("application/json",), extension="server"
    ),
    token.OPENAPI: Operation(OBJECT, plain=("application/json",), extension="server"),
    **_sharing(),
}
