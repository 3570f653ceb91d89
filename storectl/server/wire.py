"""Between a request and the handlers: queries and bodies in, envelopes and errors out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from math import ceil
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote

import msgspec
from msgspec import Struct, structs

from storectl.errors import InvalidInput, StorectlError
from storectl.formats.encoding import decoded
from storectl.model import rules
from storectl.model.access import enough
from storectl.model.items import check_utf8, not_json, too_large
from storectl.model.rules import MAX_PAYLOAD_BYTES, check_idempotency_key
from storectl.model.store import Place, Store
from storectl.model.token import Caller
from storectl.server.settings import Settings

JSON = "application/json; charset=utf-8"
GATHER_BYTES = 1024 * 1024
MOST_FIELDS = 200
_FLAGS = {"1": True, "true": True, "0": False, "false": False, "": True}
_HOST = re.compile(r"(?:[a-zA-Z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{0,5})?")
_encode = msgspec.json.Encoder().encode

Shape = TypeVar("Shape")


class Gone(Exception):
    """The sender went away half-way: there is nothing to do and nobody to tell."""


class TooSlow(InvalidInput):
    """The sender did not send what it announced."""

    type, status = "request-timeout", 408


class Answer(NamedTuple):
    """A status, headers, and a body: all of it, or blocks to be streamed."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | Iterable[bytes] = b""


class Call(Struct):
    """One request, after the guard has let it in.

    environ: the request under the names of CGI, and its scheme as `URL_SCHEME`.
    ref: the ID of the storage, resolved; empty where the path has none.
    parts: the other placeholders of the path, decoded. store: seen by the caller, or
    where there is a storage by nobody: it is found by its ID. place: with the right
    of the caller; again: that of another ref of the noun, or as it is by now.
    now_ms: the clock of the store. body: in blocks as they come, still encoded; Gone if
    it does not come whole. hurried: others wait, so that what takes long raises TakesLong.
    """

    environ: Mapping[str, Any]
    query: dict[str, str]
    parts: dict[str, str]
    store: Store
    settings: Settings
    caller: Caller | None = None
    place: Place | None = None
    again: Callable[[str], Place] | None = None
    now_ms: Callable[[], int] = rules.now_ms
    body: Iterable[bytes] = ()
    hurried: bool = False

    @property
    def ref(self) -> str:
        return self.place.id if self.place else ""

    @property
    def writes(self) -> bool:
        """Whether the caller may write to the storage."""
        return self.place is not None and enough(self.place.right, "write")

    def about(self, id: str) -> Call:
        """The same call about a storage that it has made or changed."""
        assert self.again is not None
        return structs.replace(self, place=self.again(id))

    @property
    def base(self) -> str:
        """The address that clients know this server by."""
        if self.settings.public_url:
            return self.settings.public_url
        host = self.environ.get("HTTP_HOST") or "localhost"
        return f"{self.environ['URL_SCHEME']}://{host}"

    def text(self, name: str) -> str | None:
        """A query value, None where it is absent or empty."""
        return self.query.get(name) or None

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean: 1, 0, true or false."""
        value = self.query.get(name)
        if value is None:
            return default
        try:
            return _FLAGS[value.lower()]
        except KeyError:
            raise bad_parameter(name, "1, 0, true or false", value) from None

    def whole(
        self, name: str, default: int | None = None, *, low: int = 0, high: int | None = None
    ) -> int | None:
        """A whole number from low on; one over high counts as high."""
        value = self.query.get(name)
        if value is None or value == "":
            return default
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal()) or len(value) > 18:
            raise bad_parameter(name, "a whole number", value)
        number = int(value)
        if number < low:
            raise bad_parameter(name, f"{low} or more", value)
        return number if high is None else min(number, high)

    def listed(self, name: str) -> tuple[str, ...]:
        """A comma-joined list."""
        value = self.query.get(name)
        return tuple(part.strip() for part in value.split(",") if part.strip()) if value else ()

    @property
    def idempotency_key(self) -> str | None:
        return check_idempotency_key(self.environ.get("HTTP_IDEMPOTENCY_KEY"))

    @property
    def declared(self) -> int | None:
        """Bytes of the body, None where it comes in chunks."""
        return declared(self.environ)

    def payload(self) -> bytes:
        """The whole body of a JSON endpoint, unpacked, at most 9 MiB."""
        if self.declared is not None and self.declared > MAX_PAYLOAD_BYTES:
            raise too_large(self.declared)
        encoding = self.environ.get("HTTP_CONTENT_ENCODING")
        return b"".join(decoded(self.body, encoding, limit=MAX_PAYLOAD_BYTES, over=too_large))

    def json(self, shape: type[Shape] = object, *, empty: Any = None) -> Shape:  # type: ignore[assignment]
        """The body as JSON of some shape; `empty` where there is no body."""
        body = self.payload()
        if not body.strip():
            return empty  # type: ignore[no-any-return]
        text = check_utf8(body)
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"Body is not what it should be: {error}") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise not_json(error, text) from None

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; no body is an empty one."""
        found: Any = self.json(empty={})
        if not isinstance(found, dict):
            raise InvalidInput("POST data must be a JSON object", type="invalid-request")
        return found


def declared(environ: Mapping[str, Any]) -> int | None:
    """Bytes that the body of a request has, None where it comes in chunks or not at all."""
    length = environ.get("CONTENT_LENGTH")
    return int(length) if length and "HTTP_TRANSFER_ENCODING" not in environ else None


def bad_parameter(name: str, wanted: str, value: str) -> InvalidInput:
    """The failure of a query value."""
    return InvalidInput(f"{name} must be {wanted}, not '{value[:80]}'", type="invalid-parameter")


def check_host(environ: Mapping[str, Any]) -> None:
    """Refuse a Host that is no address: links in answers begin with it."""
    host = environ.get("HTTP_HOST")
    if host and not _HOST.fullmatch(host):
        raise InvalidInput(
            f"Host {host[:80]!r} is not of the form name:port", type="invalid-header"
        )


def queried(environ: Mapping[str, Any]) -> dict[str, str]:
    """The query string, the first of repeated names."""
    text = environ.get("QUERY_STRING")
    if not text:
        return {}
    if text.count("&") >= MOST_FIELDS:
        raise InvalidInput(
            f"The query string has over {MOST_FIELDS} fields", type="invalid-parameter"
        )
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except ValueError:
        raise InvalidInput("The query string is not UTF-8", type="invalid-parameter") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def data(found: object, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """`{"data": …}`."""
    return Answer(status, [("Content-Type", JSON), *headers], b'{"data":' + _encode(found) + b"}")


def created(location: str) -> Answer:
    """201 with an empty object."""
    return Answer(201, [("Content-Type", JSON), ("Location", location)], b"{}")


def nothing() -> Answer:
    """204."""
    return Answer(204, [])


def failed(error: StorectlError) -> Answer:
    """`{"error": {"type", "message"}}`, with `data` where the failure has some."""
    told: dict[str, Any] = {"type": error.type, "message": error.message}
    if error.data is not None:
        told["data"] = error.data
    headers = [("Content-Type", JSON)]
    if error.retry_after_secs is not None:
        headers.append(("Retry-After", str(max(1, ceil(error.retry_after_secs)))))
        headers.append(("Retry-After-Ms", str(max(1, ceil(error.retry_after_secs * 1000)))))
    return Answer(error.status, headers, _encode({"error": told}))


def streamed(
    status: int,
    headers: list[tuple[str, str]],
    blocks: Iterable[bytes],
    *,
    length: int | None = None,
) -> Answer:
    """A body of unknown size: gathered while it is small, streamed when it is not.

    A failure before the first megabyte still becomes an error status. After that the
    connection is cut, which every client sees. length: bytes, where known beforehand.
    """
    source = iter(blocks)
    head: list[bytes] = []
    size = 0
    for block in source:
        head.append(block)
        size += len(block)
        if size > GATHER_BYTES:
            break
    else:
        return Answer(status, headers, b"".join(head))
    if length is not None:
        headers = [*headers, ("Content-Length", str(length))]
    return Answer(status, headers, chain(_given_away(head), source))


def _given_away(blocks: list[bytes]) -> Iterator[bytes]:
    """The blocks, none of which is kept."""
    blocks.reverse()
    while blocks:
        yield blocks.pop()


def path_text(environ: Mapping[str, Any]) -> str:
    """The path, percent-decoded once by the server, as text."""
    path: str = environ["PATH_INFO"]
    if path.isascii():
        return path
    try:
        return path.encode("latin-1").decode()
    except UnicodeError:
        raise InvalidInput("The path is not UTF-8", type="invalid-input") from None


def url(base: str, path: str, **query: str) -> str:
    """An absolute address, its query percent-encoded."""
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"{base}{path}?{pairs}" if pairs else f"{base}{path}"


Handler = Callable[[Call], Answer]
