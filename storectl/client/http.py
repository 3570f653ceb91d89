"""The wire: one place for address, token, retries and error bodies."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from storectl import __version__, errors
from storectl.client.answer import Answer, Whole
from storectl.client.band import PIECE_BYTES, Band, Slowed
from storectl.client.fast import CONNECTIONS, Fast
from storectl.client.head import bounded, head_within
from storectl.client.pace import Bucket, Pace
from storectl.errors import Network, RateLimited, StorectlError
from storectl.model import token as tokens
from storectl.model.endpoint import Endpoint

Shape = TypeVar("Shape")
Call = tuple[str, str, Mapping[str, str], Any]
"""Method, address, headers and body of a call."""

FIRST_WAIT_SECS = 0.5
LONGEST_WAIT_SECS = 30.0
LONGEST_RETRY_AFTER_SECS = 120.0
MOST_BYTES = 256 * 1024 * 1024
"""Of an answer that is read into memory. The largest are pages of requests."""

MOST_ERROR_BYTES = 16 * 1024 * 1024
SLOWEST_BYTES_A_SEC = 1000
JOBS = 8
REPEATABLE = ("GET", "HEAD", "PUT", "DELETE")
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_SECRETS = re.compile(r"(?i)((?:token|signature)=)[^&\s]+|(storectl_|apify_api_)[0-9A-Za-z]+")


class Http:
    """A server, spoken to by one user.

    server: address without /v2. retries: how often a call is tried again after
    429, 5xx or a broken connection; waits are random up to 0.5 s doubling
    ("full jitter"), and at least what Retry-After says. debug gets a line for
    each call, without secrets; waiting a line before each wait of a second or more.
    rate: requests a second, at most; part: of what the server allows; bytes_a_sec:
    of bodies, there and back. jobs: calls at once, where one question takes several.
    retried: how often a call was made again, of all calls.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        retries: int = 8,
        timeout_secs: float = 60.0,
        rate: float | None = None,
        part: float = 1.0,
        bytes_a_sec: float | None = None,
        jobs: int = JOBS,
        debug: Callable[[str], None] | None = None,
        waiting: Callable[[str], None] | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server.rstrip("/").removesuffix("/v2")
        self.host = urlsplit(self.server).netloc
        self.retried = 0
        self.jobs = jobs
        self._retries = retries
        self._debug = debug
        self._waiting = waiting
        self._sleep = sleep
        self._pace = Pace(rate, part)
        self._band = Band(bytes_a_sec) if bytes_a_sec else None
        self._secure = self.server.startswith("https:")
        headers = {"User-Agent": f"storectl/{__version__}", "Accept": "*/*"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS)
        self._timeout_secs = timeout_secs
        is_here = _is_here(self.server)
        self._fast = None
        if transport is None:
            self._fast = Fast(self.server, headers, timeout_secs, direct=is_here)
        # Reading the list of authorities takes 20 ms: not for plain http.
        if transport is None and is_here:  # never through HTTP_PROXY
            transport = httpx.HTTPTransport(verify=self._secure, limits=limits)
        client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout_secs, connect=min(timeout_secs, 20.0)),
            verify=self._secure,
            limits=limits,
            transport=transport,
        )
        self._client = bounded(client)

    def close(self) -> None:
        if self._fast is not None:
            self._fast.close()
        self._client.close()

    def data(self, endpoint: Endpoint, shape: type[Shape], **call: Any) -> Shape:
        """The `data` of a JSON answer. See `send` for the arguments."""
        return self.decode(self.whole(endpoint, **call).content, shape)

    def whole(self, endpoint: Endpoint, **call: Any) -> Whole:
        """The answer with its body. See `send` for the arguments."""
        answer = self.send(endpoint, **call)
        assert isinstance(answer, Whole)
        return answer

    def decode(self, content: bytes, shape: type[Shape]) -> Shape:
        """Take `{"data": …}` apart; a server is not trusted to send what it should."""
        try:
            found = msgspec.json.decode(content)["data"]
            return msgspec.convert(found, shape, strict=False)
        except (msgspec.MsgspecError, KeyError, TypeError, RecursionError) as error:
            raise self.strange(error) from None

    def strange(self, why: object) -> errors.Internal:
        """The failure of an answer that is not the API's."""
        return errors.Internal(
            f"{self.host} sent an answer that is not the API's: {why}",
            hint="check that --server is the address of a storage API",
        )

    def send(
        self,
        endpoint: Endpoint,
        *,
        query: object = None,
        json: object = None,
        content: bytes | Callable[[], Iterator[bytes] | None] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        repeatable: bool | None = None,
        stream: bool = False,
        **parts: str,
    ) -> Answer:
        """Send one call, again where that does no harm, and raise what went wrong.

        query: a Struct or a dict; absent, false and empty values are left out.
        content: bytes, or what makes a fresh stream of them for each attempt; None
        from it means that there is no other, and so no other attempt.
        repeatable: that a repetition is harmless, which is assumed of GET, HEAD, PUT
        and DELETE. stream: leave the body unread; close the response after use.
        parts: placeholders of the path.
        """
        method = endpoint.method
        address = self.server + endpoint.url(**parts)
        params = to_params(query)
        if params:
            address += "?" + urlencode(params)
        sent = dict(headers or {})
        body: Any = content if json is None else msgspec.json.encode(json)
        if body is not None and not headers:
            sent["Content-Type"] = "application/json"
        if idempotency_key is not None:
            sent["Idempotency-Key"] = idempotency_key
        if repeatable is None:
            repeatable = method in REPEATABLE
        bucket = (parts.get("ref", ""), endpoint.fast)
        attempt = 0
        fresh = body() if callable(body) else body
        while True:
            self._pace.wait(bucket)
            call = (method, address, sent, self._slowed(fresh, sent))
            failure, landed = self._attempt(call, stream, bucket)
            if not isinstance(failure, StorectlError):
                return failure
            if attempt >= self._retries or not _passing(failure):
                raise failure
            # What may have landed is only sent again where that changes nothing.
            if landed and not repeatable and not (idempotency_key and self.keeps_keys()):
                raise failure
            if callable(body):
                fresh = body()
                if fresh is None:
                    raise failure
            self.wait(attempt, failure)
            attempt += 1

    def _slowed(self, body: Any, headers: dict[str, str]) -> Any:
        """A body that is sent no faster than it may be."""
        if self._band is None or body is None:
            return body
        if isinstance(body, bytes):
            if len(body) <= PIECE_BYTES:
                self._band.take(len(body))
                return body
            headers["Content-Length"] = str(len(body))
        return self._band.sent(body)

    def _attempt(
        self, call: Call, stream: bool, bucket: Bucket
    ) -> tuple[Answer | StorectlError, bool]:
        """The answer, or the failure and whether the call may have taken effect."""
        method, address, _, _ = call
        started = time.monotonic()
        try:
            answer = self._answer(*call)
            if answer.status_code >= 300 or not stream:
                answer = self._read(answer, has_body=method != "HEAD")
        except httpx.HTTPError as error:
            self._log(f"{method} {address} {type(error).__name__}")
            return self._no_answer(error), not isinstance(error, _NOT_SENT)
        limit = answer.headers.get("x-ratelimit-limit")
        refused = answer.status_code == 429
        room_secs = _to_wait(answer.headers) if refused else None
        self._pace.answered(bucket, limit, refused=refused, room_secs=room_secs)
        took = (time.monotonic() - started) * 1000
        self._log(f"{method} {address} {answer.status_code} {took:.0f} ms")
        if answer.status_code < 300:
            return Slowed(answer, self._band) if stream and self._band else answer, True
        assert isinstance(answer, Whole)
        failure = self._refused(answer)
        return failure, not isinstance(failure, RateLimited)

    def _answer(self, method: str, address: str, headers: Mapping[str, str], body: Any) -> Answer:
        """The head of the answer, by the transport that the call is for."""
        if self._fast is not None and self._fast.takes(body):
            answer = self._fast.send(method, address, headers, body)
            if answer is not None:
                return answer
        request = self._client.build_request(method, address, content=body, headers=headers)
        with head_within(self._timeout_secs):
            return self._redirected(self._client.send(request, stream=True))

    def _redirected(self, response: httpx.Response) -> httpx.Response:
        """Follow a GET within the origin, or from https to https without the token."""
        for _ in range(5):
            following = response.next_request
            if following is None or following.method not in ("GET", "HEAD"):
                return response
            same = _origin(following.url) == _origin(httpx.URL(self.server))
            if not same and not (self._secure and following.url.scheme == "https"):
                return response
            if not same:
                following.headers.pop("Authorization", None)
            response.close()
            response = self._client.send(following, stream=True)
        if response.next_request is None:
            return response
        response.close()
        target = redacted(str(response.next_request.url))[:200]
        raise Network(
            f"{self.host} redirects without end, last to {target}", http=response.status_code
        )

    def _read(self, answer: Answer, *, has_body: bool) -> Whole:
        """The answer with its body, if that has a size and a speed that an answer may have.

        Counted unpacked: a server may send gigabytes, or a byte now and then for ever.
        has_body: False for the answer to a HEAD, which tells of a body that does not come.
        """
        most = MOST_BYTES if answer.status_code < 300 else MOST_ERROR_BYTES
        begin = time.monotonic()
        blocks: list[bytes] = []
        size = 0
        try:
            if not has_body and isinstance(answer, httpx.Response):
                answer.read()  # so that the connection is kept
            for block in answer.iter_bytes() if has_body else ():
                blocks.append(block)
                size += len(block)
                if self._band is not None:
                    begin += self._band.take(len(block))
                secs = time.monotonic() - begin
                if size > most:
                    if answer.status_code < 300:
                        raise self.strange(f"it is over {most:,} bytes")
                    break  # the status tells enough
                if secs > self._timeout_secs and size < secs * SLOWEST_BYTES_A_SEC:
                    raise httpx.ReadTimeout("the body comes too slowly")
        finally:
            answer.close()
            # It holds the response, which holds the request and its body: who sends megabytes
            # again and again would keep them all until garbage is searched for.
            if isinstance(answer, httpx.Response):
                answer.stream = httpx.ByteStream(b"")
        content = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return Whole(answer.status_code, answer.reason_phrase, answer.headers, content)

    def _refused(self, response: Whole) -> StorectlError:
        """The failure that a status and an error body mean."""
        status = response.status_code
        message, kind, more = f"{self.host} answered {status} {response.reason_phrase}", None, None
        try:
            told = msgspec.json.decode(response.content)["error"]
            message, kind, more = str(told["message"]), str(told["type"]), told.get("data")
        except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        if 300 <= status < 400:
            target = response.headers.get("location", "another address")
            return Network(
                f"{self.host} redirects to {redacted(target)[:200]}",
                hint="name it with --server",
                http=status,
            )
        failure = errors.from_status(status, redacted(message)[:500])
        if kind is not None:
            failure.type = kind
        failure.data = more
        failure.retry_after_secs = _to_wait(response.headers)
        return failure

    def _no_answer(self, error: httpx.HTTPError) -> Network:
        if isinstance(error, httpx.ConnectTimeout):
            return Network(f"No connection to {self.host}: it timed out")
        if isinstance(error, httpx.ConnectError):
            why = str(error).partition("] ")[2] or str(error) or "refused"
            return Network(
                f"No connection to {self.host}: {why}",
                hint="check the address (--server), or that the server runs",
            )
        if isinstance(error, httpx.TimeoutException):
            return Network(f"{self.host} did not answer in time", hint="give it more: --timeout")
        why = str(error).rstrip(".")[:200] or type(error).__name__
        return Network(f"The connection to {self.host} broke: {why[:1].lower()}{why[1:]}")

    def wait(self, attempt: int, failure: StorectlError) -> None:
        """Wait before what failed is tried again; attempt: how often it was, from 0 on."""
        self.retried += 1
        told = failure.retry_after_secs
        first = FIRST_WAIT_SECS
        if told and isinstance(failure, RateLimited):
            first = min(first, told)  # milliseconds may be all: the pace keeps calls apart
        wait = random.uniform(0, min(first * 2**attempt, LONGEST_WAIT_SECS)) + (told or 0.0)
        self._log(f"waiting {wait:.1f} s: {failure.message}")
        if self._waiting is not None and wait >= 1:
            self._waiting(redacted(f"{failure.message}; trying again in {wait:.0f} s"))
        self._sleep(wait)

    def keeps_keys(self) -> bool:
        """Whether the server takes idempotency keys; False also where it cannot be asked."""
        try:
            return "idempotency-key" in self.extensions
        except StorectlError:  # not to be had now: the push stays in doubt
            return False

    @cached_property
    def extensions(self) -> frozenset[str]:
        """What the server offers beyond the API; nothing if it does not say."""
        try:
            found = self.data(tokens.CAPABILITIES, dict[str, Any])
        except (errors.NotFound, errors.MethodNotAllowed):
            return frozenset()
        named = found.get("extensions")
        return frozenset(map(str, named)) if isinstance(named, list) else frozenset()

    def _log(self, line: str) -> None:
        if self._debug is not None:
            self._debug(redacted(line))


def to_params(query: object) -> dict[str, str]:
    """A query as the API spells it: 1 for true, lists comma-joined, the rest left out."""
    if query is None:
        return {}
    found = msgspec.to_builtins(query)
    params = {}
    for name, value in found.items():
        if value is None or value is False or value in ("", [], ()):
            continue
        if value is True:
            params[name] = "1"
        elif isinstance(value, list | tuple):
            params[name] = ",".join(map(str, value))
        else:
            params[name] = str(value)
    return params


def redacted(text: str) -> str:
    """The text without tokens and signatures."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2]}…", text)


def reading(response: Answer, host: str, *, raw: bool = False) -> Iterator[bytes]:
    """The body of a streamed answer, closed at its end. A cut body is Network."""
    try:
        # A chunk size would halve the speed: httpx would copy into new buffers.
        yield from response.iter_raw() if raw else response.iter_bytes()
    except httpx.HTTPError as error:
        raise Network(f"The answer of {host} broke off: {type(error).__name__}") from None
    finally:
        response.close()


def _passing(failure: StorectlError) -> bool:
    """Whether the failure may pass: 429, a 5xx, or no answer at all."""
    if isinstance(failure, Network):
        return failure.http is None
    return isinstance(failure, RateLimited) or (failure.http or 0) >= 500


def _to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until the next try, as precisely as an answer tells it; None if it does not."""
    ms = _seconds(headers.get("retry-after-ms"))
    told = _seconds(headers.get("retry-after")) if ms is None else ms / 1000
    return None if told is None else min(told, LONGEST_RETRY_AFTER_SECS)


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None  # a date: the wait then is only the jitter


def _is_here(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
