"""The console in a real browser: Debian's Chromium, on a real server, one user for each test."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import axe_playwright_python
import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    expect,
    sync_playwright,
)

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


@pytest.fixture(scope="session")
def tab(browser: Browser, served: str) -> Iterator[Page]:
    """The tab that all tests of a worker use: to load the console anew takes most of a second."""
    context = new_context(browser, served)
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()


def new_context(browser: Browser, served: str) -> BrowserContext:
    context = browser.new_context(base_url=served, viewport=WIDE, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served)
    context.set_default_timeout(MOST_MS)
    expect.set_options(timeout=MOST_MS)
    return context


@contextmanager
def no_errors(page: Page, allowed: list[str]) -> Iterator[Page]:
    """Any error that the browser tells of, and no test expects, fails."""
    errors: list[str] = []

    def heard(said: ConsoleMessage) -> None:
        if said.type == "error":
            errors.append(said.text)

    def thrown(error: Error) -> None:
        errors.append(str(error))

    page.on("console", heard)
    page.on("pageerror", thrown)
    yield page
    page.remove_listener("console", heard)
    page.remove_listener("pageerror", thrown)
    assert [told for told in errors if not any(re.search(one, told) for one in allowed)] == []


@pytest.fixture
def visitor(tab: Page, allowed: list[str]) -> Iterator[Page]:
    """A page of someone who has given no token yet, as a session leaves it that was ended."""
    tab.unroute_all()
    tab.set_viewport_size(WIDE)
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    if not tab.url.startswith("http"):
        tab.goto("/")
    tab.evaluate("dispatchEvent(new CustomEvent('signedout', {detail: {message: ''}}))")
    tab.get_by_label("API token").wait_for()
    with no_errors(tab, allowed):
        yield tab


@pytest.fixture
def newcomer(browser: Browser, served: str, allowed: list[str]) -> Iterator[Page]:
    """A tab of a browser that knows nothing of the console, not opened yet."""
    context = new_context(browser, served)
    with no_errors(context.new_page(), allowed) as page:
        yield page
        context.close()


@pytest.fixture
def page(visitor: Page, token: str) -> Page:
    """A page of a user who is logged in, at the list of datasets."""
    visitor.goto(f"/#token={token}")
    visitor.get_by_role("heading", name="Datasets", level=1).wait_for()
    return visitor


def refresh(page: Page) -> None:
    """What the page asks for every few seconds, at once: as when its window is looked at again."""
    page.evaluate("dispatchEvent(new Event('focus'))")


@pytest.fixture
def shot(visitor: Page) -> Callable[[str], None]:
    """shot(name): pictures of the page as it is: wide and light, narrow and dark.

    STORECTL_SHOTS, a folder for them, has all four. At neither width may the page itself be
    wider than the window.
    """
    everything = "STORECTL_SHOTS" in os.environ

    def take(name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        for width, size, own in (("390", PHONE, "dark"), ("1440", WIDE, "light")):
            visitor.set_viewport_size(size)
            for scheme in ("dark", "light") if everything else (own,):
                visitor.emulate_media(color_scheme=scheme)
                visitor.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png")
            overflow = "document.documentElement.scrollWidth - window.innerWidth"
            assert visitor.evaluate(overflow) <= 0, f"{name} is wider than {width} px"

    return take


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], None]:
    """axe(page): no violation of accessibility that axe-core can see, in both themes."""
    source = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")

    def check(page: Page) -> None:
        if not page.evaluate("'axe' in window"):
            page.evaluate(source)
        for scheme, rules in (("light", ""), ("dark", ", runOnly: ['color-contrast']")):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate(f"axe.run(document, {{resultTypes: ['violations']{rules}}})")
            told = [
                f"{scheme}: {one['id']}: {node['html']} {node['failureSummary']}"
                for one in found["violations"]
                for node in one["nodes"]
            ]
            assert told == []
        page.emulate_media(color_scheme="light")

    return check
