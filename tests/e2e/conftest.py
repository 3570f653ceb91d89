"""A server started as people start it, and the published clients that talk to it.

The clients come with the extra `e2e`. Without them these tests are left out on a
laptop; with CI=true that is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from running import JAVASCRIPT, Server, Start, serve

from tests import homes

if TYPE_CHECKING:
    from apify_client import ApifyClient

MISSING = [name for name in ("apify_client", "apify", "crawlee") if find_spec(name) is None]
if MISSING and os.environ.get("CI"):
    raise RuntimeError(f"{', '.join(MISSING)} not installed: pip install -e '.[e2e]'")
collect_ignore_glob = ["test_apify_client*.py", "test_crawl.py"] if MISSING else []

KINDS = ["sqlite", "postgres"] if homes.STORE == homes.FOLDER else [homes.STORE]

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if MISSING:
        terminalreporter.write_line(f"e2e: most was left out, there is no {', '.join(MISSING)}")


@pytest.fixture
def start(new_home: Callable[[Path], str]) -> Iterator[Start]:
    """Start more servers: start(FOLDER, *OPTIONS of `storectl serve`)."""
    with ExitStack() as running:
        yield lambda folder, *options: running.enter_context(
            serve(folder, *options, store=new_home(folder))
        )


@pytest.fixture(scope="session", params=KINDS)
def server(
    request: pytest.FixtureRequest,
    new_home: Callable[[Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """One server for the run. What it has to say on stderr is a bug, and fails the run."""
    folder = tmp_path_factory.mktemp("e2e") / "store"
    store = new_home(folder)
    options = ["--rate-limit", "off", "--default-access", "restricted"]
    if request.param == "postgres":
        store = request.getfixturevalue("new_database")
        options += ["--blobs", str(folder / "blobs")]
        folder.mkdir()
    with serve(folder, *options, store=store) as running:
        yield running
    assert running.log.read_text() == "", "the server failed at some time during the run"


@pytest.fixture(scope="session")
def client_of(server: Server) -> Callable[[str], ApifyClient]:
    """The official client as a user; no retries, so that none hides a failure."""
    from apify_client import ApifyClient

    def made(user: str) -> ApifyClient:
        address = server.address
        return ApifyClient(
            server.token(user), api_url=address, api_public_url=address, max_retries=0
        )

    return made


@pytest.fixture(scope="session")
def alice(client_of: Callable[[str], ApifyClient]) -> ApifyClient:
    return client_of("alice")


@pytest.fixture(scope="session")
def bob(client_of: Callable[[str], ApifyClient]) -> ApifyClient:
    return client_of("bob")


@pytest.fixture(scope="session")
def nobody(server: Server) -> ApifyClient:
    """The official client without a token."""
    from apify_client import ApifyClient

    return ApifyClient(api_url=server.address, api_public_url=server.address, max_retries=0)


@pytest.fixture(scope="session")
def node() -> str:
    """node, once the JavaScript clients are installed. A skip without node; with CI=true no."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        assert not os.environ.get("CI"), "node and npm are not installed"
        pytest.skip("node and npm are not installed")
    wanted = JAVASCRIPT / "package-lock.json"
    installed = JAVASCRIPT / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(
            [npm, *words], cwd=JAVASCRIPT, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr
    return program
