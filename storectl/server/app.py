"""The WSGI application: route, admit, handle, answer."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from storectl.errors import (
    Internal,
    Local,
    MethodNotAllowed,
    NotFound,
    StorectlError,
    Unauthorized,
    Unavailable,
)
from storectl.model.endpoint import Endpoint
from storectl.model.limits import Rates
from storectl.model.store import Served
from storectl.model.token import Caller
from storectl.server import access, dataset, kvs, queue, token
from storectl.server.guard import admit, caller, locate, method_of
from storectl.server.limits import Limits, OwnRates
from storectl.server.log import say
from storectl.server.settings import Settings
from storectl.server.wire import (
    Answer,
    Call,
    Handler,
    check_host,
    failed,
    path_text,
    queried,
    refused,
)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
CANNOT = "This server cannot read or write its store now; its log says why"
FAILURES = 10
"""Wrong tokens a second that are told so, from one address: then 429. Good ones still work."""

Methods = dict[str, tuple[Endpoint, Handler]]

HANDLERS: dict[Endpoint, Handler] = {
    **dataset.HANDLERS,
    **kvs.HANDLERS,
    **queue.HANDLERS,
    **token.HANDLERS,
    **access.HANDLERS,
}

_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_CORS = [
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "Location, Retry-After, Retry-After-Ms, X-RateLimit-Limit, X-Apify-Pagination-Offset, "
        "X-Apify-Pagination-Limit, X-Apify-Pagination-Count, X-Apify-Pagination-Total, "
        "X-Apify-Pagination-Desc",
    ),
    ("Referrer-Policy", "no-referrer"),
]
_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Content-Encoding, Idempotency-Key",
    ),
    ("Access-Control-Max-Age", "86400"),
]


class Routes:
    """Paths to methods, by the segments of the Endpoint constants.

    A literal segment goes before a placeholder; {key} takes all that is left, so
    that a key with a slash is told what is wrong with it.
    """

    def __init__(self, handlers: dict[Endpoint, Handler]) -> None:
        self._root = Node()
        for endpoint, handler in handlers.items():
            node = self._root
            for segment in endpoint.path.strip("/").split("/"):
                node = node.below(segment)
            node.methods[endpoint.method] = (endpoint, handler)
            if endpoint.method == "GET":
                node.methods.setdefault("HEAD", (endpoint, handler))

    def find(self, path: str) -> tuple[Methods, dict[str, str]]:
        """What the path leads to, and the values of its placeholders."""
        node = self._root
        parts: dict[str, str] = {}
        # A slash at the end leads nowhere: a proxy that resolves `records/..` leaves one.
        segments = path.removeprefix("/").split("/")
        for at, segment in enumerate(segments):
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
                continue
            if node.other is None or not segment:
                raise _no_page(path)
            name, node = node.name, node.other
            if name == "key":
                parts[name] = "/".join(segments[at:])
                break
            parts[name] = segment
        if not node.methods:
            raise _no_page(path)
        return node.methods, parts


class Node:
    """A place that paths lead to: what may follow, and what can be done there.

    name: of the placeholder that any other segment fills.
    """

    __slots__ = ("literals", "methods", "name", "other")

    def __init__(self) -> None:
        self.literals: dict[str, Node] = {}
        self.name = ""
        self.other: Node | None = None
        self.methods: Methods = {}

    def below(self, segment: str) -> Node:
        """Where a segment of an Endpoint leads, made if it is new."""
        if not segment.startswith("{"):
            return self.literals.setdefault(segment, Node())
        self.name = segment[1:-1]
        self.other = self.other or Node()
        return self.other


def app(store: Served, settings: Settings) -> Wsgi:
    """Speak the store over HTTP, in every thread that the server calls from."""
    routes = Routes(HANDLERS)
    limits = Limits(settings.rate_limit, _shared_rates(store) if settings.rate_limit else None)
    tried = OwnRates(lambda: store.now_ms() * 1_000_000)
    failures = Limits((FAILURES, FAILURES) if settings.rate_limit else None, tried)
    always = {fast: [*_CORS, ("X-RateLimit-Limit", limits.header(fast))] for fast in (False, True)}

    def routed(environ: dict[str, Any]) -> tuple[Endpoint, Handler, dict[str, str], dict[str, str]]:
        check_host(environ)
        methods, parts = routes.find(path_text(environ))
        query = queried(environ)
        method = method_of(environ, query)
        if method == "OPTIONS":
            return _OPTIONS, _preflight, parts, query
        found = methods.get(method)
        if found is None:
            raise _not_allowed(methods)
        return *found, parts, query

    def answered(
        environ: dict[str, Any],
        endpoint: Endpoint,
        handler: Handler,
        parts: dict[str, str],
        query: dict[str, str],
    ) -> Answer:
        if endpoint.noun == "server":
            return handler(Call(environ, query, parts, store, settings))
        who = called_by(environ, query)
        place = admit(store, endpoint, parts.pop("ref", ""), who, query, parts, settings)
        known = place.id if place else who.user.id if who else environ.get("REMOTE_ADDR", "")
        limits.check(known, endpoint.fast)
        # Whom the guard lets in finds the storage by its ID, whoever they are.
        seen = store.acting(None if place else who)
        again = partial(locate, store, endpoint.noun, who)
        return handler(Call(environ, query, parts, seen, settings, who, place, again, store.now_ms))

    def called_by(environ: dict[str, Any], query: dict[str, str]) -> Caller | None:
        try:
            return caller(store, environ, query)
        except Unauthorized:
            failures.check(environ.get("REMOTE_ADDR", ""), fast=False)
            raise

    def run(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        fast = False
        try:
            endpoint, handler, parts, query = routed(environ)
            fast = endpoint.fast
            answer = answered(environ, endpoint, handler, parts, query)
        except (Local, Unavailable, Internal) as error:  # its paths are for the owner alone
            say(f"error: {error.message}")
            wait = error.retry_after_secs
            answer = refused(Unavailable(CANNOT, retry_after_secs=wait), environ)
        except StorectlError as error:
            answer = refused(error, environ)
        except Exception:  # a bug: the caller learns no more than that
            say(traceback.format_exc())
            answer = failed(Internal("Internal server error"))
        start_response(_STATUS[answer.status], answer.headers + always[fast])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [answer.body] if isinstance(answer.body, bytes) else answer.body

    return run


def _shared_rates(store: Served) -> Rates | None:
    """Who counts requests for all servers of a store, or None if each has to for itself."""
    try:
        return store.rates()
    except Local as error:
        say(
            f"warning: {error.message}; several servers of one store would each allow the full "
            "rate limit"
        )
        return None


_OPTIONS = Endpoint("OPTIONS", "*", "server", None)


def _preflight(_: Call) -> Answer:
    return Answer(204, _PREFLIGHT)


def _no_page(path: str) -> NotFound:
    return NotFound(
        f"There is no API endpoint at {path[:200]}",
        type="page-not-found",
    )


def _not_allowed(methods: Methods) -> MethodNotAllowed:
    allowed = ",".join(["OPTIONS", *sorted(methods)])
    return MethodNotAllowed(
        "This API end-point can only be accessed using the following HTTP methods: " + allowed
    )
