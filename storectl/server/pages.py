"""The console's files, as they lie in console/: a client of the API like any other."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from storectl.model.ref import KINDS
from storectl.server.wire import Answer

FOLDER = Path(__file__).parent / "console"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = [
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
SCREENS = {"datasets": "datasets", "key-value-stores": "kvs", "request-queues": "queues"}
"""What the console calls the kinds that `consoleUrl` of a storage names."""


class File(NamedTuple):
    """One file, ready to be sent."""

    type: str
    body: bytes
    packed: bytes
    tag: str


def page(environ: Mapping[str, Any]) -> Answer | None:
    """The answer to a GET of something of the console's; None for all that is not."""
    path: str = environ["PATH_INFO"]
    if path.startswith("/v2/") or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    if path.startswith("/storage/"):
        return _screen(path)
    name = "index.html" if path == "/" else path.removeprefix("/console/")
    file = files().get(name)
    if file is None or path == "/console/index.html":
        return None
    tag = environ.get("HTTP_IF_NONE_MATCH", "")
    always = [
        *SAFE,
        ("Cache-Control", "no-cache"),
        ("ETag", f"W/{file.tag}"),
        ("Vary", "Accept-Encoding"),
    ]
    if file.tag in (one.strip().removeprefix("W/") for one in tag.split(",")):
        return Answer(304, always)
    headers = [("Content-Type", file.type), *always]
    if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
        return Answer(200, [*headers, ("Content-Encoding", "gzip")], file.packed)
    return Answer(200, headers, file.body)


@cache
def files() -> dict[str, File]:
    """Every file there is, by its name: no other path can be asked for."""
    found = {}
    for path in FOLDER.iterdir():
        if path.suffix in TYPES:
            body = path.read_bytes()
            tag = f'"{sha256(body).hexdigest()[:20]}"'
            found[path.name] = File(TYPES[path.suffix], body, gzip.compress(body, mtime=0), tag)
    return found


def _screen(path: str) -> Answer | None:
    """Where `consoleUrl` of a storage leads: its screen."""
    segment, _, ref = path.removeprefix("/storage/").partition("/")
    if segment not in KINDS or not ref or not ref.isascii() or "/" in ref:
        return None
    return Answer(302, [*SAFE, ("Location", f"../../#/{SCREENS[segment]}/{quote(ref, safe='~')}")])
