"""One request of a queue: what may be written, what it is named by, and which state it is in."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, quote_plus, urljoin, urlsplit

from msgspec import Meta, Struct, ValidationError, convert

from storectl.errors import InvalidInput, NotFound
from storectl.model import rules

Request = dict[str, Any]
"""A request as its sender wrote it, unknown fields included, with its `id`.

`uniqueKey` and `url` are always there; `handledAt` is set once it is handled;
`lockExpiresAt` and `lockByClient` only while it is locked.
"""

METHODS = frozenset(
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
)


class Fields(Struct, rename="camel"):
    """The fields of a request that the API knows, and the types that its clients insist on."""

    unique_key: Annotated[str, Meta(min_length=1)]
    url: Annotated[str, Meta(min_length=1)]
    method: str | None = None
    retry_count: int | None = None
    loaded_url: str | None = None
    payload: str | dict[str, Any] | None = None
    headers: dict[str, Any] | None = None
    user_data: dict[str, Any] | None = None
    no_retry: bool | None = None
    error_messages: list[str] | None = None
    handled_at: Annotated[datetime, Meta(tz=True)] | None = None


_WANTED = {
    "uniqueKey": "a text that is not empty",
    "url": "a text that is not empty",
    "method": "an HTTP method",
    "retryCount": "a whole number",
    "loadedUrl": "a text",
    "payload": "a text or an object",
    "headers": "an object",
    "userData": "an object",
    "noRetry": "true or false",
    "errorMessages": "an array of texts",
    "handledAt": "an ISO 8601 time with a zone",
}


def check_request(request: object, at: int | None = None) -> Request:
    """A request that may be written: an object with uniqueKey and url, its fields as in Fields.

    at: its position in a batch, for the message. Raises InvalidInput. A field of
    another type is refused since every client that reads it later would fail.
    """
    where = "Request" if at is None else f"Request {at}"
    if not isinstance(request, dict):
        raise InvalidInput(f"{where} is not a JSON object", type="invalid-request")
    try:
        known = convert(request, Fields)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {_wrong(str(error))}") from None
    if known.method is not None and known.method.upper() not in METHODS:
        raise InvalidInput(f"{where}: method {known.method!r:.80} is not an HTTP method")
    id = request.get("id")
    if id is not None and id != rules.request_id(known.unique_key):
        raise _wrong_id()
    return request


def _wrong(failure: str) -> str:
    """What msgspec says of a field, in our words."""
    missing = re.search(r"missing required field `(\w+)`", failure)
    if missing:
        return f"{missing[1]} is missing"
    found = re.search(r"`\$\.(\w+)", failure)
    field = found[1] if found else ""
    return f"{field} must be {_WANTED[field]}" if field in _WANTED else failure


def check_key(key: object, at: int) -> dict[str, str]:
    """What names a request to be deleted: an object with id or uniqueKey; the id is filled in.

    at: its position in a batch. Raises InvalidInput.
    """
    if isinstance(key, dict):
        id, unique_key = key.get("id"), key.get("uniqueKey")
        if isinstance(unique_key, str) and unique_key:
            own = rules.request_id(unique_key)
            if id not in (None, own):
                raise _wrong_id()
            return {"id": own, "uniqueKey": unique_key}
        if isinstance(id, str) and id:
            return {"id": id}
    raise InvalidInput(f"Request {at} has neither an id nor a uniqueKey", type="invalid-value")


def _wrong_id() -> InvalidInput:
    return InvalidInput("Request ID does not correspond to uniqueKey", type="request-id-invalid")


def no_request(ref: str, id: str) -> NotFound:
    """The failure of naming a request that is not in a queue."""
    name = ref.removeprefix("~")
    return NotFound(
        f"Request queue '{name}' has no request '{id:.80}'", hint=f"storectl queue requests {name}"
    )


State = Literal["pending", "locked", "handled", "failed"]

# How Crawlee leaves a request that it gave up: its JavaScript says ERROR_HANDLER (5), its
# Python ERROR (6). What it did in the end may have errorMessages too, of earlier attempts.
_FAILED = (5, 6)
_DONE, _GIVEN_UP = 4, 6


def state_of(request: Request) -> State:
    """Where a request stands: failed is handled without success.

    Who knows Crawlee's mark goes by it; otherwise errorMessages tell.
    Source: `RequestState` of crawlee-python and @crawlee/core, in userData.__crawlee.
    """
    if request.get("handledAt") is None:
        return "locked" if request.get("lockExpiresAt") is not None else "pending"
    mark = _crawlees(request).get("state")
    if isinstance(mark, int):
        return "failed" if mark in _FAILED else "handled"
    return "failed" if request.get("errorMessages") else "handled"


def as_handled(request: Request, *, error: str | None = None) -> Request:
    """The request as it is once somebody has visited it. error: why that failed.

    What has errorMessages of earlier attempts gets Crawlee's mark for success, since
    otherwise it would count as failed.
    """
    messages = list(request.get("errorMessages") or [])
    if error is not None:
        messages.append(error)
    done = {**_unlocked(request), "handledAt": rules.iso(rules.now_ms())}
    if messages:
        done["errorMessages"] = messages
    mark = _crawlees(request)
    if "state" in mark or (messages and error is None):
        state = _DONE if error is None else _GIVEN_UP
        done["userData"] = {
            **(request.get("userData") or {}),
            "__crawlee": {**mark, "state": state},
        }
    return done


def as_retried(request: Request, error: str) -> Request:
    """The request after a visit that failed and will be repeated."""
    return {
        **_unlocked(request),
        "retryCount": (request.get("retryCount") or 0) + 1,
        "errorMessages": [*(request.get("errorMessages") or []), error],
    }


def _unlocked(request: Request) -> Request:
    locks = ("lockExpiresAt", "lockByClient")
    return {name: value for name, value in request.items() if name not in locks}


def as_new(request: Request) -> Request:
    """The request as if nobody had visited it yet: pending, no retries, no errors."""
    fresh = {**request, "handledAt": None, "retryCount": 0, "errorMessages": []}
    mark = _crawlees(request)
    if mark:
        kept = {name: mark[name] for name in mark if name not in ("state", "sessionRotationCount")}
        fresh["userData"] = {**request["userData"], "__crawlee": kept}
    return fresh


def _crawlees(request: Request) -> dict[str, Any]:
    mark = (request.get("userData") or {}).get("__crawlee")
    return mark if isinstance(mark, dict) else {}


def unique_key(url: str) -> str:
    """What two URLs have in common that lead to the same page; the default uniqueKey.

    Scheme and host in lower case, no default port, user, fragment or slash at the
    end, no utm_ parameters, the others sorted by name.
    Source: `normalizeUrl` of @apify/utilities; crawlee-python lowers the path too.
    """
    plain = _PLAIN.fullmatch(url)
    if plain is None:
        return _normalized(url)
    page, query = plain.groups()
    if query is None:
        return page.removesuffix("/")
    pairs = [pair for pair in query.split("&") if not pair.startswith("utm_")]
    pairs.sort(key=_name)
    return f"{page.removesuffix('/')}{'?' if pairs else ''}{'&'.join(pairs)}"


# Most URLs are written so that only their parameters may have to be sorted.
_WORD = r"[a-zA-Z0-9_.*-]"
_PLAIN = re.compile(
    r"(https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/(?!\.)[\w~%!$&'()*+,;=:@.-]*)*)"
    rf"(?:\?({_WORD}+={_WORD}*(?:&{_WORD}+={_WORD}*)*))?",
    re.ASCII,
)


def _name(pair: str) -> str:
    return pair.partition("=")[0]


def _normalized(url: str) -> str:
    """The same of any URL."""
    parts = urlsplit(url.strip())
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode()
    if ":" in host:
        host = f"[{host}]"
    if parts.port not in (None, {"http": 80, "https": 443}.get(scheme)):
        host = f"{host}:{parts.port}"
    path = parts.path
    if "/." in path:  # . and .. lead elsewhere
        path = urlsplit(urljoin("http://host/", path)).path
    path = quote(path.removesuffix("/"), safe=_PATH)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = sorted((pair for pair in pairs if not pair[0].startswith("utm_")), key=lambda p: p[0])
    query = "&".join(f"{_form(name)}={_form(value)}" for name, value in kept)
    return f"{scheme}://{host}{path}{'?' if query else ''}{query}"


_PATH = "/%:@!$&'()*+,;=~|[]\\^"


def _form(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def check_url(url: str) -> str:
    """A URL that names a host. Raises InvalidInput for anything else."""
    key_of(url)
    return url


def key_of(url: str) -> str:
    """The uniqueKey of what check_url takes."""
    if _PLAIN.fullmatch(url):
        return unique_key(url)
    try:
        parts = urlsplit(url)
        if parts.scheme and parts.hostname and url.isprintable() and " " not in url:
            return unique_key(url)
    except (ValueError, UnicodeError):
        pass
    raise InvalidInput(
        f"'{url:.200}' is not a URL", hint="one with a host: https://example.com/page"
    )
