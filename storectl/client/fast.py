"""The calls of worker threads, made by pyreqwest: many times as fast as httpx from threads.

Only what it is good at, and httpx does the rest:

- calls of other threads than the main one, where Ctrl-C would not end a wait and may
  abort the interpreter, and than daemons, which would crash it as it ends;
- bodies that are short, since its clock for the first byte of an answer runs while a
  body is still being sent;
- no proxies, no redirects, and no connection that it fails to make: httpx then tries,
  and tells why it failed.

Its exceptions are not taken at their word: an answer that does not come in time is a
ConnectTimeoutError, and a connection that closes without an answer a ConnectError. What
their causes do not prove to be unsent may have landed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from queue import SimpleQueue
from threading import Event, Lock, Thread, current_thread, main_thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from pyreqwest.client import SyncClient
    from pyreqwest.request import SyncStreamRequest
    from pyreqwest.response import SyncResponse

MOST_SENT_BYTES = 64 * 1024
"""Longer bodies go through httpx, whose time limit is that of each block that is sent."""

CONNECTIONS = 64
_NOT_SENT = "client error (Connect)"


class Fast:
    """One server. headers: of every call. direct: never through a proxy."""

    def __init__(
        self, server: str, headers: Mapping[str, str], timeout_secs: float, *, direct: bool
    ) -> None:
        self._server = server
        self._headers = dict(headers)
        self._timeout_secs = timeout_secs
        self._direct = direct
        self._mutex = Lock()
        self._clients: tuple[SyncClient, SyncClient] | None = None
        self._is_off = False
        self._over = Event()

    def takes(self, body: object) -> bool:
        """Whether a call of this thread, with this body, is for this transport."""
        thread = current_thread()
        if self._is_off or thread.daemon or thread is main_thread():
            return False
        if not (body is None or (isinstance(body, bytes) and len(body) <= MOST_SENT_BYTES)):
            return False
        if self._clients is None:
            with self._mutex:
                if self._clients is None and not self._is_off:
                    self._clients = self._kept()
                    self._is_off = self._clients is None
        return not self._is_off

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Coming | None:
        """The answer, its body unread; None for a call that httpx has to make, now.

        Raises what httpx raises. A body comes unpacked, unless an Accept-Encoding is
        among the headers: then it comes as it is.
        """
        from pyreqwest.exceptions import PyreqwestError

        assert self._clients is not None
        client = self._clients["Accept-Encoding" in headers]
        try:
            building = client.request(method, url).headers(headers)
            if body is not None:
                building = building.body_bytes(body)
            request = building.build_streamed()
        except (PyreqwestError, ValueError):  # an address that only httpx understands
            return None
        try:
            response = request.__enter__()
        except PyreqwestError as error:
            if _was_not_sent(error):
                return None
            raise _as_httpx(error) from None
        answer = Coming(request, response)
        again = method in ("GET", "HEAD")
        if again and (300 <= answer.status_code < 400 or not answer.is_readable):
            answer.close()
            self._is_off = self._is_off or answer.is_readable  # who redirects does so each time
            return None
        return answer

    def close(self) -> None:
        clients, self._clients, self._is_off = self._clients, None, True
        for client in clients or ():
            client.close()
        self._over.set()

    def _kept(self) -> tuple[SyncClient, SyncClient] | None:
        """The clients, made by a thread that lives as long as they do.

        Calls crash the interpreter once the thread has ended that made their client:
        threads of a pool end with the pool, and the next one would call all the same.
        """
        made: SimpleQueue[tuple[SyncClient, SyncClient] | None] = SimpleQueue()

        def keep() -> None:
            made.put(self._opened())
            self._over.wait()

        Thread(target=keep, name="keeper of clients", daemon=True).start()
        return made.get()

    def _opened(self) -> tuple[SyncClient, SyncClient] | None:
        """A client that unpacks bodies, and one that does not; None if httpx has to do."""
        if "@" in urlsplit(self._server).netloc or not (self._direct or _has_no_proxy()):
            return None
        try:
            from pyreqwest.client import SyncClientBuilder
            from pyreqwest.exceptions import PyreqwestError
        except ImportError:  # no wheel for this machine
            return None

        def client(unpacks: bool) -> SyncClient:
            building = SyncClientBuilder().default_headers(self._headers)
            for able in (building.gzip, building.brotli, building.zstd, building.deflate):
                building = able(unpacks)
            building = building.follow_redirects(False).referer(False).no_proxy()
            building = building.read_timeout(timedelta(seconds=self._timeout_secs))
            connect_secs = min(self._timeout_secs, 20.0)
            building = building.connect_timeout(timedelta(seconds=connect_secs))
            return building.pool_max_idle_per_host(CONNECTIONS).build()

        try:
            return client(True), client(False)
        except PyreqwestError:  # no authorities to be found on this machine
            return None


class Coming:
    """An Answer whose body is still to come. headers: by names in lower case.

    is_readable: False if a header is not ASCII, and so none is given.
    """

    __slots__ = ("_request", "_response", "headers", "is_readable", "status_code")

    def __init__(self, request: SyncStreamRequest, response: SyncResponse) -> None:
        self._request = request
        self._response = response
        self.status_code = response.status
        try:
            self.headers: dict[str, str] = dict(response.headers.items())
            self.is_readable = True
        except ValueError:
            self.headers, self.is_readable = {}, False

    @property
    def reason_phrase(self) -> str:
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    def iter_bytes(self) -> Iterator[bytes]:
        """The body in blocks as they come."""
        from pyreqwest.exceptions import PyreqwestError

        reader = self._response.body_reader
        try:
            while (block := reader.read_chunk()) is not None:
                yield bytes(block)
        except PyreqwestError as error:
            raise _as_httpx(error) from None

    iter_raw = iter_bytes

    def close(self) -> None:
        self._request.__exit__(None, None, None)


def _was_not_sent(error: Exception) -> bool:
    """Whether the causes prove that the call did not leave this machine."""
    return _NOT_SENT in _causes(error)


def _as_httpx(error: Exception) -> httpx.HTTPError:
    """The exception of httpx for a call that may have landed."""
    from pyreqwest import exceptions

    causes = _causes(error)
    if isinstance(error, exceptions.RequestTimeoutError) or "operation timed out" in causes:
        return httpx.ReadTimeout("the answer did not come in time")
    why = causes[-1] if causes else str(error)
    return httpx.RemoteProtocolError(why)


def _causes(error: Exception) -> list[str]:
    details = getattr(error, "details", None) or {}
    return [str(cause.get("message", "")) for cause in details.get("causes") or ()]


def _has_no_proxy() -> bool:
    """Whether the environment names no proxy, for whatever hosts."""
    from urllib.request import getproxies

    return not {"http", "https", "all"} & getproxies().keys()
