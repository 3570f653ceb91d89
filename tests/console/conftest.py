"""The console in a real browser: Debian's Chromium, on a real server, one user for each test."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import axe_playwright_python
import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from storectl import engine
from storectl.engine.store import EngineStore
from tests.serving import served as serving

CHROMIUM = Path(os.environ.get("STORECTL_CHROMIUM", "/usr/bin/chromium"))
QUIET = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-dev-shm-usage "
    "disable-background-networking disable-component-update disable-sync"
)
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SHOTS = Path(os.environ.get("STORECTL_SHOTS", Path(__file__).parents[2] / ".shots"))
MOST_MS = 20_000

_users = count(1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"there is no {CHROMIUM}: apt-get install chromium")
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_playwright() as started:
        found = started.chromium.launch(
            executable_path=str(CHROMIUM), args=[f"--{word}" for word in QUIET.split()]
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store of the server is."""
    return tmp_path_factory.mktemp("console") / "store"


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[str]:
    """The address of a server, shared by all tests: each is a user of its own."""
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="session")
def store(served: str, folder: Path) -> Iterator[EngineStore]:
    """The same store, opened beside the server."""
    opened = engine.open_store(str(folder))
    yield opened
    opened.close()


@pytest.fixture
def user() -> str:
    """The name of the user who is logged in."""
    return f"ada{os.getpid()}x{next(_users)}"


@pytest.fixture
def token(store: EngineStore, user: str) -> str:
    """The secret of a token of the user, without a scope."""
    secret = store.tokens.create("console", username=user).secret
    assert secret is not None
    return secret


@pytest.fixture
def api(served: str, token: str) -> Iterator[httpx.Client]:
    """The user's way to the API, to prepare data and to see what became of it."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=served, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def allowed() -> list[str]:
    """Patterns of console errors that a test provokes, as "status of 409"."""
    return []


@pytest.fixture
def visitor(browser: Browser, served: str, allowed: list[str]) -> Iterator[Page]:
    """A page without a token, not opened yet. Any error that the browser tells of fails."""
    context = browser.new_context(base_url=served, viewport=WIDE, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served)
    context.set_default_timeout(MOST_MS)
    expect.set_options(timeout=MOST_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    left = [told for told in errors if not any(re.search(one, told) for one in allowed)]
    assert left == []


@pytest.fixture
def page(visitor: Page, token: str) -> Page:
    """A page of a user who is logged in, at the list of datasets."""
    visitor.goto(f"/#token={token}")
    visitor.get_by_role("heading", name="Datasets", level=1).wait_for()
    return visitor


@pytest.fixture
def shot(visitor: Page) -> Callable[[str], None]:
    """shot(name): pictures of the page as it is: wide and light, narrow and dark.

    STORECTL_SHOTS, a folder for them, has all four. At neither width may the page itself be
    wider than the window.
    """
    everything = "STORECTL_SHOTS" in os.environ

    def take(name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        for width, size, own in (("1440", WIDE, "light"), ("390", PHONE, "dark")):
            visitor.set_viewport_size(size)
            for scheme in ("light", "dark") if everything else (own,):
                visitor.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                visitor.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png")
            overflow = "document.documentElement.scrollWidth - window.innerWidth"
            assert visitor.evaluate(overflow) <= 0, f"{name} is wider than {width} px"
        visitor.set_viewport_size(WIDE)
        visitor.emulate_media(color_scheme="light")

    return take


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], None]:
    """axe(page): no violation of accessibility that axe-core can see, in both themes."""
    source = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")

    def check(page: Page) -> None:
        page.evaluate(source)
        for scheme, rules in (("light", ""), ("dark", ", runOnly: ['color-contrast']")):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = page.evaluate(f"axe.run(document, {{resultTypes: ['violations']{rules}}})")
            told = [
                f"{scheme}: {one['id']}: {node['html']} {node['failureSummary']}"
                for one in found["violations"]
                for node in one["nodes"]
            ]
            assert told == []
        page.emulate_media(color_scheme="light")

    return check
