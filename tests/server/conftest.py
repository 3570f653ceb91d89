"""The application without a socket: what it answers to what it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from storectl import engine
from storectl.engine.store import EngineStore
from storectl.server.app import App
from storectl.server.settings import Settings

from .direct import Direct

Connect = Callable[..., httpx.Client]


@pytest.fixture
def served(home: str) -> Iterator[EngineStore]:
    store = engine.open_store(home)
    yield store
    store.close()


@pytest.fixture
def connect(served: EngineStore) -> Connect:
    """connect(username or None, **settings): a client of the application."""
    applications: dict[Settings, object] = {}

    def made(username: str | None = "alice", **chosen: object) -> httpx.Client:
        settings = Settings(**{"rate_limit": None, "default_access": "RESTRICTED", **chosen})
        application = applications.setdefault(settings, App(served, settings))
        headers = {}
        if username is not None:
            name = f"test-{len(served.tokens.list())}"
            secret = served.tokens.create(name, username=username).secret
            headers["Authorization"] = f"Bearer {secret}"
        return httpx.Client(
            transport=Direct(application),
            base_url="http://api.test",
            headers=headers,
        )

    return made


@pytest.fixture
def api(connect: Connect) -> httpx.Client:
    """alice's client."""
    return connect()
