"""The server's loop: every connection is held here, and nothing that waits on a disk.

A call is admitted before its body is read, then made where it fits: a quick read at once,
a small write with the others that wait, anything else in a pool of threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from storectl.errors import InvalidInput
from storectl.formats.blocks import gather
from storectl.model import dataset, kvs, queue, rules, token
from storectl.model.items import too_large
from storectl.model.store import Served, TakesLong
from storectl.server.app import Admitted, App
from storectl.server.board import Page
from storectl.server.body import Body, Budget, Receive
from storectl.server.settings import Settings
from storectl.server.wire import Answer, Gone, declared
from storectl.server.writer import Writer

Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = dict[str, Any]
Done = TypeVar("Done")

QUICK = {
    dataset.GET,
    kvs.GET,
    kvs.RECORD,
    kvs.HEAD_RECORD,
    queue.GET,
    queue.REQUEST,
    queue.HEAD,
    token.ME,
    token.USER,
    token.CURRENT,
    token.CAPABILITIES,
    token.HEALTH,
}
"""Made on the loop: a thread would cost more than they do."""

SMALL_WRITES = {
    dataset.PUSH,
    kvs.PUT_RECORD,
    kvs.POST_RECORD,
    kvs.DELETE_RECORD,
    queue.ADD,
    queue.ADD_BATCH,
    queue.UPDATE_REQUEST,
    queue.DELETE_REQUEST,
    queue.DELETE_BATCH,
    queue.LOCK_HEAD,
    queue.PROLONG,
    queue.UNLOCK,
}
"""Made together, if the body is small: they write to the database and nowhere else."""

UPLOADS = {kvs.PUT_RECORD, kvs.POST_RECORD}
"""Whose bodies go to the store as they come."""

SMALL_BYTES = 64 * 1024
SENT_BYTES = 256 * 1024
WHOLE_BYTES = 1024 * 1024
"""More than that of an upload has to be there before it gets a thread."""

PACKED_BYTES = 64 * 1024
"""What an encoding may add to a body."""

ENDING_SECS = 5.0
"""For so long a server that ends goes on with the calls it has in hand."""

THREADS = 8
UPLOAD_THREADS = 32
MOST_NAMES = 1000

_names: dict[bytes, str] = {}


class Loop:
    """The application as ASGI 3 calls it."""

    def __init__(self, store: Served, settings: Settings, page: Page | None = None) -> None:
        self._store, self._page = store, page
        self._app = App(store, settings)
        self._threads = ThreadPoolExecutor(THREADS, "call")
        self._uploads = ThreadPoolExecutor(UPLOAD_THREADS, "upload")
        self._budget = Budget()
        self._calls = 0  # in hand
        self._is_ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._live(receive, send)
            return
        environ = environ_of(scope)
        self._calls += 1
        try:
            await self._counted(environ, receive, send)
        finally:
            self._calls -= 1

    async def _counted(self, environ: dict[str, Any], receive: Receive, send: Send) -> None:
        page = self._page
        if page is None:
            await self._serve(environ, receive, send)
            return
        begin = perf_counter()
        page.begin()
        try:
            await self._serve(environ, receive, send)
        finally:
            secs = perf_counter() - begin
            page.end(environ.get("ENDPOINT"), environ.get("STATUS", 0), secs)

    async def _serve(self, environ: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request. `STATUS` of the environ is then that of its answer."""
        size = declared(environ)
        has_body = size is not None or "HTTP_TRANSFER_ENCODING" in environ
        body = Body(receive, size, self._budget) if has_body else None
        try:
            try:
                answer = await self._answered(environ, body)
            except Gone:  # or no HTTP: then somebody may listen
                cut = InvalidInput("The body is cut off, or no HTTP", type="invalid-request")
                answer = self._app.refused(cut)
            environ["STATUS"] = answer.status
            headers = [encoded(pair) for pair in answer.headers]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            if environ["REQUEST_METHOD"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            elif not isinstance(answer.body, bytes):
                await self._stream(answer.body, receive, send)
            elif body is None or not body.is_worth_draining or "HTTP_EXPECT" in environ:
                await send({"type": "http.response.body", "body": answer.body})
            else:  # told at once; then a sender who is still busy is heard out
                await send({"type": "http.response.body", "body": answer.body, "more_body": True})
                await body.drain()
                await send({"type": "http.response.body", "body": b""})
        finally:
            if body is not None:
                body.taken()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._loop = asyncio.get_running_loop()
        self._writer = Writer(self._store, self._loop, self._count)
        self._store.hurry()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._is_ending = True
        until = self._loop.time() + ENDING_SECS
        while self._calls and self._loop.time() < until:
            await asyncio.sleep(0.01)
        await self._loop.run_in_executor(None, self._close)
        await send({"type": "lifespan.shutdown.complete"})

    def _close(self) -> None:
        self._writer.close()
        self._uploads.shutdown()
        self._threads.shutdown()
        self._store.close()

    async def _answered(self, environ: dict[str, Any], body: Body | None) -> Answer:
        if self._is_ending:
            return self._app.ending()
        try:
            found = self._app.admit(environ)
        except TakesLong:
            found = await self._apart(partial(self._app.admit, environ))
        if isinstance(found, Answer):
            return found
        if found.endpoint in QUICK and (body is None or body.ended):
            with suppress(TakesLong):
                answer = self._app.answer(found, hurried=True)
                self._count("by_loop")
                return answer
        try:
            return await self._called(found, body)
        except Gone:
            raise
        except Exception as error:
            return self._app.refused(error, found.endpoint.fast)

    async def _called(self, admitted: Admitted, body: Body | None) -> Answer:
        """Read the body, and make the call where it fits."""
        endpoint = admitted.endpoint
        if body is None:
            pass
        elif endpoint in UPLOADS:
            if admitted.call.declared is None or admitted.call.declared <= rules.MAX_RECORD_BYTES:
                await body.gather(WHOLE_BYTES)
            if not body.ended:
                work = partial(self._app.answer, admitted, body.for_thread(self._loop))
                self._count("by_upload")
                return await self._loop.run_in_executor(self._uploads, work)
        else:
            await self._payload(admitted, body)
        work = partial(self._app.answer, admitted, body.whole() if body else ())
        if endpoint in SMALL_WRITES and (body is None or body.size <= SMALL_BYTES):
            self._count("by_writer")
            return await self._writer.write(work)
        self._count("by_thread")
        return await self._apart(work)

    def _count(self, name: str) -> None:
        if self._page is not None:
            self._page.add(name)

    async def _payload(self, admitted: Admitted, body: Body) -> None:
        """Read the body of a JSON endpoint, of which there is a limit."""
        size = admitted.call.declared
        most = rules.MAX_PAYLOAD_BYTES
        if "HTTP_CONTENT_ENCODING" in admitted.call.environ:
            most += PACKED_BYTES
        if size is not None and size > most:
            raise too_large(size)
        await body.gather(most)
        if body.size > most:
            raise too_large(body.size)

    async def _stream(self, blocks: Iterable[bytes], receive: Receive, send: Send) -> None:
        """Send blocks as fast as they are read. A failure cuts the connection."""
        read = partial(next, gather(blocks, SENT_BYTES), b"")
        gone = asyncio.ensure_future(_until_gone(receive))
        coming = self._apart(read)
        try:
            while block := await coming:
                if gone.done():
                    return
                coming = self._apart(read)  # is read while this is sent
                await send({"type": "http.response.body", "body": block, "more_body": True})
        except Exception as error:
            self._app.refused(error)  # to the log
            raise
        finally:
            gone.cancel()
            coming.cancel()
        await send({"type": "http.response.body", "body": b""})

    def _apart(self, work: Callable[[], Done]) -> asyncio.Future[Done]:
        """Do something in a thread."""
        return self._loop.run_in_executor(self._threads, work)


@lru_cache(maxsize=1024)
def encoded(header: tuple[str, str]) -> tuple[bytes, bytes]:
    """A header in the bytes of the wire."""
    name, value = header
    return name.encode("latin-1"), value.encode("latin-1")


def environ_of(scope: Scope) -> dict[str, Any]:
    """A request under the names of CGI. A header that comes twice is one with a comma."""
    path: bytes = scope["raw_path"]
    found = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "URL_SCHEME": scope["scheme"],
    }
    for header, value in scope["headers"]:
        name = _names.get(header) or _named(header)
        if name in found:
            found[name] = f"{found[name]},{value.decode('latin-1')}"
        else:
            found[name] = value.decode("latin-1")
    return found


def _named(header: bytes) -> str:
    """The CGI name of a header. `_` and `-` are one there: what has `_` is nobody's."""
    text = header.decode("latin-1").upper()
    if "_" in text:
        return "OTHER"
    text = text.replace("-", "_")
    name = text if text in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{text}"
    if len(_names) < MOST_NAMES:
        _names[header] = name
    return name


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] == "http.request":
        pass
