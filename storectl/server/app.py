"""The application: route, admit, handle, answer."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from storectl.errors import (
    Internal,
    Local,
    MethodNotAllowed,
    NotFound,
    StorectlError,
    Unauthorized,
    Unavailable,
)
from storectl.model.dataset import CHECKED
from storectl.model.endpoint import Endpoint
from storectl.model.limits import Rates
from storectl.model.store import Served, TakesLong
from storectl.model.token import Caller
from storectl.server import access, dataset, kvs, pages, queue, token
from storectl.server.guard import admit, caller, locate, method_of
from storectl.server.limits import Limits, OwnRates
from storectl.server.log import Refusals, say
from storectl.server.settings import Settings
from storectl.server.wire import (
    Answer,
    Call,
    Gone,
    Handler,
    check_host,
    failed,
    path_text,
    queried,
)

CANNOT = "This server cannot read or write its store now; its log says why"
FAILURES = 10
"""Wrong tokens a second that are told so, from one address: then 429. Good ones still work."""

REMEMBERED, REMEMBERED_CHARS = 4096, 300
"""Requests whose way is known, and the longest of their addresses."""

Methods = dict[str, tuple[Endpoint, Handler]]
Routed = tuple[Endpoint, Handler, dict[str, str], dict[str, str]]
"""What to call, the placeholders of the path, the query. Others have the same: change nothing."""

HANDLERS: dict[Endpoint, Handler] = {
    **dataset.HANDLERS,
    **kvs.HANDLERS,
    **queue.HANDLERS,
    **token.HANDLERS,
    **access.HANDLERS,
}

_CORS = [
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "Location, Retry-After, Retry-After-Ms, X-RateLimit-Limit, X-Apify-Pagination-Offset, "
        "X-Apify-Pagination-Limit, X-Apify-Pagination-Count, X-Apify-Pagination-Total, "
        f"X-Apify-Pagination-Desc, {CHECKED[0]}",
    ),
    ("Referrer-Policy", "no-referrer"),
]
_CLOSE = ("Connection", "close")
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


class Admitted(NamedTuple):
    """A call that may be made, without its body."""

    endpoint: Endpoint
    handler: Handler
    call: Call


class App:
    """The API on a store, without a wire: admit a request, then answer it.

    A request is a mapping with the names of CGI, see `Call`. May be used by several threads.
    """

    def __init__(self, store: Served, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._routes = Routes(HANDLERS)
        self._known = lru_cache(REMEMBERED)(self._route)
        self._refusals = Refusals()
        rates = _shared_rates(store) if settings.rate_limit else None
        self._limits = Limits(settings.rate_limit, rates)
        tried = OwnRates(lambda: store.now_ms() * 1_000_000)
        self._failures = Limits((FAILURES, FAILURES) if settings.rate_limit else None, tried)
        self._always = {
            fast: [*_CORS, ("X-RateLimit-Limit", self._limits.header(fast))]
            for fast in (False, True)
        }

    def admit(self, environ: dict[str, Any]) -> Admitted | Answer:
        """Find who may do what the request asks for, or refuse it. Its body is not touched.

        `ENDPOINT` of the environ is then what it leads to, also if it is refused.

        A file of the console is the answer itself: it has no secrets and asks nobody.
        """
        found = pages.page(environ)
        if found is not None:
            return found
        fast = False
        try:
            endpoint, handler, parts, query = self._routed(environ)
            environ["ENDPOINT"] = endpoint
            fast = endpoint.fast
            return Admitted(endpoint, handler, self._let_in(environ, endpoint, parts, query))
        except TakesLong:
            raise
        except Exception as error:
            return self.refused(error, fast)

    def answer(
        self, admitted: Admitted, body: Iterable[bytes] = (), *, hurried: bool = False
    ) -> Answer:
        """Make the call. hurried: raises TakesLong if others would have to wait for it."""
        endpoint, handler, call = admitted
        try:
            call.body, call.hurried = body, hurried
            answer = handler(call)
        except (TakesLong, Gone):
            raise
        except Exception as error:
            return self.refused(error, endpoint.fast)
        if self._refusals.away:
            self._refusals.see_who_is_back()
        return Answer(answer.status, answer.headers + self._always[endpoint.fast], answer.body)

    def refused(self, error: Exception, fast: bool = False) -> Answer:
        """What is said of a failure."""
        if isinstance(error, Local | Unavailable | Internal):  # its paths are for the owner alone
            self._refusals.add(error)
            error = Unavailable(CANNOT, retry_after_secs=error.retry_after_secs)
        elif not isinstance(error, StorectlError):  # a bug: the caller learns no more than that
            say("".join(traceback.format_exception(error)))
            error = Internal("Internal server error")
        answer = failed(error)
        return answer._replace(headers=answer.headers + self._always[fast])

    def ending(self) -> Answer:
        """What is said to calls that come when the server is about to end."""
        answer = failed(Unavailable("This server is ending", retry_after_secs=1))
        return answer._replace(headers=[*answer.headers, *self._always[False], _CLOSE])

    def _routed(self, environ: dict[str, Any]) -> Routed:
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        seen = environ["REQUEST_METHOD"], path, query, environ.get("HTTP_HOST", "")
        # Short ones come again and again. Secrets are kept nowhere.
        if len(path) + len(query) > REMEMBERED_CHARS or "token" in query or "signature" in query:
            return self._route(*seen)
        return self._known(*seen)

    def _route(self, method: str, path: str, text: str, host: str) -> Routed:
        """Where a request goes: what follows from these alone."""
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": text,
            "HTTP_HOST": host,
        }
        check_host(environ)
        methods, parts = self._routes.find(path_text(environ))
        query = queried(environ)
        method = method_of(environ, query)
        if method == "OPTIONS":
            return _OPTIONS, _preflight, parts, query
        found = methods.get(method)
        if found is None:
            raise _not_allowed(methods)
        return *found, parts, query

    def _let_in(
        self,
        environ: dict[str, Any],
        endpoint: Endpoint,
        parts: dict[str, str],
        query: dict[str, str],
    ) -> Call:
        store, settings = self._store, self._settings
        if endpoint.noun == "server":
            return Call(environ, query, parts, store, settings)
        who = self._called_by(environ, query)
        place = admit(store, endpoint, parts.get("ref", ""), who, query, parts, settings)
        known = place.id if place else who.user.id if who else environ.get("REMOTE_ADDR", "")
        self._limits.check(known, endpoint.fast)
        # Whom the guard lets in finds the storage by its ID, whoever they are.
        seen = store.acting(None if place else who)
        again = partial(locate, store, endpoint.noun, who)
        return Call(environ, query, parts, seen, settings, who, place, again, store.now_ms)

    def _called_by(self, environ: dict[str, Any], query: dict[str, str]) -> Caller | None:
        try:
            return caller(self._store, environ, query)
        except Unauthorized:
            self._failures.check(environ.get("REMOTE_ADDR", ""), fast=False)
            raise


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
