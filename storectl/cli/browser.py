"""A browser, shown a page of the console; its token goes by a private file, in no argument."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote

from storectl.errors import Local

WAIT_SECS = 5.0
"""How long a program that shows pages may take to say that it cannot."""

KEEP_SECS = 60.0
"""How long the file with the token is there: a browser that has to start reads it late."""

_SHOW = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
_REMOVE = (
    "import shutil, sys, time; time.sleep(float(sys.argv[2])); shutil.rmtree(sys.argv[1], True)"
)
_NOT_FOR_IT = ("STORECTL_TOKEN", "APIFY_TOKEN", "TERM")
"""Variables that a browser is not given. Without a terminal no text browser is tried."""


def is_there(environ: Mapping[str, str]) -> bool:
    """Whether a browser has something to be seen on."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def show(url: str, token: str | None = None, *, keep_secs: float = KEEP_SECS) -> bool:
    """Show a page, whether there was a browser for it. token: logs in at our own console.

    Arguments of a process can be read by everybody on the machine: the browser is given a
    file that only its owner can read, which leads to the page with the token, and is
    removed after keep_secs. Raises Local if it cannot be written.
    """
    if token is None:
        return _shown(url)
    page = _file(logged_in(url, token))
    _started(_REMOVE, str(page.parent), str(keep_secs)).returncode = 0  # nobody waits for it
    return _shown(page.as_uri())


def logged_in(url: str, token: str) -> str:
    """The address of a page of the console that brings its token: behind #, so never sent."""
    base, _, page = url.partition("#")
    return f"{base}#token={quote(token, safe='')}" + (f"&to={quote(page)}" if page else "")


def _file(address: str) -> Path:
    try:
        # Browsers in a snap see the home of their user, and another /tmp.
        folder = Path.home() if Path("/snap").is_dir() else None
        page = Path(tempfile.mkdtemp(prefix="storectl-", dir=folder)) / "console.html"
        number = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(_leading_to(address))
    except (OSError, RuntimeError) as error:
        raise Local(f"Cannot write the file that opens the console: {error}") from None
    return page


def _leading_to(address: str) -> str:
    """A page that is replaced by an address, in the history too."""
    script = json.dumps(address).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="referrer" content="no-referrer">\n<title>storectl</title>\n'
        f"<script>location.replace({script})</script>\n"
        f'<p><a href="{escape(address)}">To the console</a>\n'
    )


def _shown(url: str) -> bool:
    child = _started(_SHOW, url)
    try:
        return child.wait(WAIT_SECS) == 0
    except subprocess.TimeoutExpired:  # it shows the page itself, for as long as that is open
        child.returncode = 0
        return True


def _started(code: str, *words: str) -> subprocess.Popen[bytes]:
    """A Python of its own, without our streams, our terminal and our token."""
    quiet = subprocess.DEVNULL
    environ = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    return subprocess.Popen(
        [sys.executable, "-I", "-c", code, *words],
        stdin=quiet, stdout=quiet, stderr=quiet, env=environ, start_new_session=True,
    )  # fmt: skip
