"""The OpenAPI page of this server, out of the endpoints it routes and the Structs it reads.

Loaded when somebody asks for the page, and by nobody else.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from storectl import __version__
from storectl.errors import BY_STATUS
from storectl.formats import Options
from storectl.model.dataset import CHECKED
from storectl.model.endpoint import Endpoint
from storectl.model.request import Fields
from storectl.model.rules import MAX_JSON_DEPTH, MAX_PAYLOAD_BYTES, MAX_RECORD_BYTES
from storectl.server.app import HANDLERS
from storectl.server.guard import NOUNS
from storectl.server.operations import (
    BYTES,
    COUNT,
    EXTENDING,
    FORMAT_OF,
    HEADERS,
    OBJECT,
    OPERATIONS,
    OPTIONS,
    PARAMETERS,
    PATH,
    REQUEST,
    SCOPE,
    TEXT,
    VALUES,
    Operation,
    Schema,
    Shape,
    camel,
    nullable,
    objects,
)
from storectl.server.token import EXTENSIONS

JSON = "application/json"
REFS = "#/components/schemas/{name}"
ABOUT = f"""\
Datasets, key-value stores and request queues, as the Apify API (v2) has them, and what this
server adds: every such operation, parameter, media type and property says `x-extension`, the
name that `GET /v2/capabilities` has for it, or `server` where every server of this kind has it.

- A boolean in a query may also be `1` or `0`; a list is joined by commas. An empty value counts
  as none, of a repeated name the first is taken, and unknown names are passed over.
- `?method=` on a GET stands for another method. Wherever GET is, HEAD is too.
- JSON bodies have at most {MAX_PAYLOAD_BYTES:,} bytes, also unpacked, and {MAX_JSON_DEPTH} levels;
  records {MAX_RECORD_BYTES:,} bytes.
- Times are ISO 8601 in UTC with milliseconds.
- Requests of one storage are counted in two classes (`x-rate-limit`); `X-RateLimit-Limit` of an
  answer says how many a second its class has.
- General access of a storage may let anybody read it: then no token is needed.
"""
STATUSES = {
    404: "The thing asked for is not there.",
    500: "A mistake of the server's own.",
}
RATE: Schema = {
    "description": "Requests a second that this class of calls may have on one storage.",
    "schema": COUNT,
    "required": True,
}
RETRY: Schema = {"description": "Seconds to wait.", "schema": COUNT, "required": True}
LOCATION: Schema = {"description": "The address of what was made.", "schema": TEXT}
PAGINATION = {
    "X-Apify-Pagination-Offset": (COUNT, "Items passed over."),
    "X-Apify-Pagination-Limit": (COUNT, "Of the query; 999999999999 without one."),
    "X-Apify-Pagination-Count": (COUNT, "Stored items in the window, before any filter."),
    "X-Apify-Pagination-Total": (COUNT, "Items in the dataset."),
    "X-Apify-Pagination-Desc": (TEXT | {"enum": ["true", "false"]}, "Of the query."),
}
CHECKED_HEADER: Schema = {
    "description": "With jsonl: the items were held against the checksums of the store.",
    "schema": TEXT | {"enum": [CHECKED[1]]},
}
TAGS = {
    "dataset": "Datasets: items that are appended, and read by position.",
    "kvs": "Key-value stores: records of any type, by key.",
    "queue": "Request queues: URLs to visit, each once, under locks.",
    "user": "Accounts.",
    "token": "API tokens.",
    "access": "What others may see.",
    "server": "The server itself.",
}


@lru_cache(maxsize=4)
def page(address: str = "/") -> bytes:
    """The whole page as JSON. address: of the server, as its clients know it."""
    return msgspec.json.encode(_page(address))


def _page(address: str) -> Schema:
    paths: dict[str, Any] = {}
    for endpoint, handler in HANDLERS.items():
        doc = (inspect.getdoc(handler) or "").replace(
            "storage", NOUNS.get(endpoint.noun, "storage")
        )
        about = _operation(endpoint, OPERATIONS[endpoint], doc)
        place = paths.setdefault(endpoint.path, {"parameters": [*_path_parameters(endpoint.path)]})
        place[endpoint.method.lower()] = about
    for path, place in paths.items():
        if "get" in place and "head" not in place:
            place["head"] = _head(path, place["get"])
        if not place["parameters"]:
            del place["parameters"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "storectl",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": address}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {str(status): _failure(status) for status in _failures()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "token": {"type": "apiKey", "in": "query", "name": "token"},
                "signature": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "signature",
                    "description": "Of a signed link: it opens one record, or contents.",
                },
            },
        },
        "x-extensions": EXTENSIONS,
    }


def _operation(endpoint: Endpoint, operation: Operation, doc: str) -> Schema:
    summary, _, more = doc.partition("\n\n")
    found: Schema = {
        "operationId": _id(endpoint),
        "tags": [endpoint.noun],
        "summary": " ".join(summary.split()).removesuffix("."),
        "security": [*_security(endpoint)],
        "responses": {
            str(operation.status): _success(endpoint, operation),
            **{str(each): _told(each) for each in _statuses(endpoint, operation)},
        },
    }
    if more:
        found["description"] = more
    if operation.extension:
        found["x-extension"] = operation.extension
    if endpoint.noun != "server":
        found["x-rate-limit"] = "fast" if endpoint.fast else "default"
    if parameters := [*_query(operation.query), *_headers(operation.headers)]:
        found["parameters"] = parameters
    if operation.status == 201 and endpoint.needs == "create":
        found["responses"]["200"] = _success(endpoint, operation)
        found["responses"]["200"]["description"] = "There is one with that name"
    if operation.body is not None:
        found["requestBody"] = _body(operation)
    return found


def _id(endpoint: Endpoint) -> str:
    """get-dataset-items of GET /v2/datasets/{ref}/items."""
    words = [part for part in endpoint.path.removeprefix("/v2").split("/") if part]
    named = [f"by-{part[1:-1]}" if part.startswith("{") else part for part in words]
    return "-".join([endpoint.method.lower(), *named]).replace(".", "-")


def _head(path: str, get: Schema) -> Schema:
    """What HEAD answers wherever GET is served: the same without a body."""
    responses = {
        status: {name: part for name, part in answer.items() if name != "content"}
        for status, answer in get["responses"].items()
    }
    return get | {
        "operationId": _id(Endpoint("HEAD", path, "")),
        "summary": "The headers of GET",
        "responses": responses,
    }


def _security(endpoint: Endpoint) -> Iterator[Schema]:
    if endpoint.noun == "server":
        return
    yield {"bearer": []}
    yield {"token": []}
    if endpoint.signed:
        yield {"signature": []}
    if endpoint.needs in (None, "read"):
        yield {}


def _statuses(endpoint: Endpoint, operation: Operation) -> Iterator[int]:
    """The failures there may be."""
    yield 400
    if endpoint.noun != "server":
        yield 401
        if endpoint.needs is not None:
            yield 403
    if "{" in endpoint.path:
        yield 404
    if operation.conflicts:
        yield 409
    if operation.body is not None:
        yield from (413, 415)
    if endpoint.noun != "server":
        yield 429
    yield from (500, 503)


def _failures() -> set[int]:
    return {status for one, two in OPERATIONS.items() for status in _statuses(one, two)}


def _told(status: int) -> Schema:
    return {"$ref": f"#/components/responses/{status}"}


def _failure(status: int) -> Schema:
    about = BY_STATUS.get(status)
    headers = {"X-RateLimit-Limit": RATE}
    if status == 429:
        headers["Retry-After"] = RETRY
    return {
        "description": STATUSES.get(status) or inspect.getdoc(about) or HTTPStatus(status).phrase,
        "headers": headers,
        "content": {JSON: {"schema": {"$ref": REFS.format(name="Error")}}},
    }


def _success(endpoint: Endpoint, operation: Operation) -> Schema:
    headers = {"X-RateLimit-Limit": RATE}
    if operation.status == 201 and (endpoint.needs == "create" or operation.answer == {}):
        headers["Location"] = LOCATION
    if "*/*" not in operation.plain and len(operation.plain) > 1:
        for name, (schema, about) in PAGINATION.items():
            headers[name] = {"description": about, "schema": schema, "required": True}
        headers[CHECKED[0]] = CHECKED_HEADER
    found: Schema = {"description": HTTPStatus(operation.status).phrase, "headers": headers}
    if operation.answer is not None:
        found["content"] = _content(operation)
    return found


def _content(operation: Operation) -> Schema:
    answer = _schema(operation.answer)
    if not operation.plain:
        whole = OBJECT if operation.answer == {} else objects(data=answer)
        return {JSON: {"schema": whole}}
    # The schema is that of JSON; other formats are described by their names alone.
    return {
        kind: {"schema": answer if kind.startswith(JSON) else BYTES}
        | ({"x-extension": EXTENDING[kind]} if kind in EXTENDING else {})
        for kind in operation.plain
    }


def _body(operation: Operation) -> Schema:
    if operation.body == BYTES:
        about = f"Any bytes, at most {MAX_RECORD_BYTES:,}; kept with their type and encoding."
        return {"description": about, "content": {"*/*": {"schema": BYTES}}}
    return {
        "required": operation.needs_body,
        "description": f"At most {MAX_PAYLOAD_BYTES:,} bytes, also unpacked.",
        "content": {JSON: {"schema": _schema(operation.body)}},
    }


def _schema(shape: Shape | list[Any] | str | int) -> Any:
    """A schema, with references in the place of Structs."""
    if isinstance(shape, type):
        return REQUEST if shape is Fields else {"$ref": REFS.format(name=shape.__name__)}
    if isinstance(shape, dict):
        return {name: _schema(part) for name, part in shape.items()}
    if isinstance(shape, list):
        return [_schema(part) for part in shape]
    return shape


def _path_parameters(path: str) -> Iterator[Schema]:
    for name in re.findall(r"\{(\w+)\}", path):
        schema, about = PATH[name]
        yield _parameter(name, "path", schema, about) | {"required": True}


def _query(takes: tuple[str | type[Struct], ...]) -> Iterator[Schema]:
    options = _properties(Options)
    of_options = {camel(name): options[name] for name in OPTIONS}
    for each in takes:
        found = {each: of_options.get(each, {})} if isinstance(each, str) else _properties(each)
        for name, schema in found.items():
            own, about = PARAMETERS[name]
            parameter = _parameter(name, "query", _wanted(schema) | own, about)
            if name == "lockSecs":
                parameter["required"] = True
            if extension := EXTENDING.get(name):
                parameter["x-extension"] = extension
            yield parameter


def _headers(names: tuple[str, ...]) -> Iterator[Schema]:
    for name in names:
        schema, about, extension = HEADERS[name]
        found = _parameter(name, "header", schema, about)
        yield found | {"x-extension": extension} if extension else found


def _parameter(name: str, place: str, schema: Schema, about: str) -> Schema:
    found: Schema = {"name": name, "in": place, "description": about, "schema": schema}
    if schema.get("type") == "array":
        found |= {"style": "form", "explode": False}
    return found


def _properties(struct: type[Struct]) -> dict[str, Schema]:
    _, found = msgspec.json.schema_components([struct], ref_template=REFS)
    properties: dict[str, Schema] = found[struct.__name__]["properties"]
    return properties


def _wanted(schema: Schema) -> Schema:
    """The schema of a query value: nothing there is null, and no default stands for none."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    found = {**schema, **kinds[0]} if kinds else dict(schema)
    found.pop("anyOf", None)
    if found.get("default") in (None, [], ""):
        found.pop("default", None)
    return found


def _schemas() -> dict[str, Schema]:
    """The Structs of all operations."""
    bodies = {one.__name__ for one in _structs([each.body for each in OPERATIONS.values()])}
    every = _structs([[each.answer, each.body] for each in OPERATIONS.values()])
    _, found = msgspec.json.schema_components(every, ref_template=REFS)
    for name, schema in found.items():
        schema["description"] = _in_words(schema.get("description", ""))
        if name not in bodies:
            _as_written(schema)
        for field, about in schema["properties"].items():
            if field in VALUES:
                about["enum"] = [*VALUES[field]]
    _fit(found)
    return {"Error": _error(), **found}


def _structs(shape: Any) -> list[type[Struct]]:
    if isinstance(shape, type):
        return [shape]
    parts = shape.values() if isinstance(shape, dict) else shape if isinstance(shape, list) else ()
    return [struct for part in parts for struct in _structs(part)]


def _as_written(schema: Schema) -> None:
    """Say of a Struct in answers that all its fields are there, but those that may be UNSET."""
    properties, needed = schema["properties"], schema.get("required", ())
    schema["required"] = [
        name for name, about in properties.items() if name in needed or "default" in about
    ]
    for name, about in properties.items():
        about.pop("default", None)
        for end, format in FORMAT_OF.items():
            if name.endswith(end):
                about["format"] = format


def _fit(found: dict[str, Schema]) -> None:
    """Say what the types of Python leave open."""
    request = found["Request"] = found.pop(Fields.__name__)
    request["title"] = "Request"
    request["properties"]["id"] = TEXT | {"description": "Derived from uniqueKey."}
    request["properties"]["lockExpiresAt"] = TEXT | {"format": "date-time", "readOnly": True}
    request["properties"]["lockByClient"] = nullable(TEXT) | {"readOnly": True}
    for name in ("Head", "LockedHead", "RequestsPage"):
        found[name]["properties"]["items"]["items"] = REQUEST
    found["Token"]["properties"]["scope"] = nullable({"type": "array", "items": SCOPE})
    found["NewToken"]["properties"]["scope"] = nullable({"type": "array", "items": SCOPE})
    found["Key"]["properties"]["sha256"]["x-extension"] = "server"
    found["Key"]["properties"]["contentType"]["x-extension"] = "server"


def _in_words(doc: str) -> str:
    """The docstring of a Struct for readers of JSON: fields by their names there, null, absent."""
    found = re.sub(r"\b[a-z]+(?:_[a-z0-9]+)+\b", lambda name: camel(name[0]), inspect.cleandoc(doc))
    return re.sub(r"\bNone\b", "null", found.replace("UNSET", "absent"))


def _error() -> Schema:
    about = objects(
        type=TEXT | {"description": "What kind of failure, for programs."},
        message=TEXT | {"description": "What is wrong, for people."},
    )
    about["properties"]["data"] = {"description": "Which items a schema refuses, and why."}
    return objects(error=about)
