"""The application without a socket: an httpx transport that calls it in this thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx

from storectl.server.app import App
from storectl.server.wire import Answer

NAMES = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


def asked(application: App, environ: dict[str, Any], body: Iterable[bytes] = ()) -> Answer:
    """The answer to a request."""
    found = application.admit({"URL_SCHEME": "http", "REMOTE_ADDR": "127.0.0.1", **environ})
    return found if isinstance(found, Answer) else application.answer(found, body)


class Body(httpx.SyncByteStream):
    """An answer's body as it comes."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.blocks


class Direct(httpx.BaseTransport):
    """Calls an application."""

    def __init__(self, application: App) -> None:
        self.application = application

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.partition(b"?")
        environ = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
        }
        for name, value in request.headers.items():
            name = name.upper()
            environ[NAMES.get(name, "HTTP_" + name.replace("-", "_"))] = value
        answer = asked(self.application, environ, iter([request.read()]))
        body = answer.body if not isinstance(answer.body, bytes) else [answer.body]
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=Body([] if request.method == "HEAD" else body),
        )


def wsgi(application: App) -> Callable[..., Iterable[bytes]]:
    """The application for what calls by WSGI."""

    def run(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = asked(application, {**environ, "URL_SCHEME": environ["wsgi.url_scheme"]}, [body])
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [answer.body] if isinstance(answer.body, bytes) else answer.body

    return run
