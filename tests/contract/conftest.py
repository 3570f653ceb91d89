"""One contract, every keeper: the engine, and the client talking to a server on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from storectl import client, engine
from storectl.engine.store import EngineStore
from storectl.model.store import Store

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import served

_numbers = count()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, EngineStore]]:
    """One server for the run, and the store that it has open, opened a second time."""
    folder = tmp_path_factory.mktemp("served")
    with served(folder) as address:
        owner = engine.open_store(str(folder))
        yield address, owner
        owner.close()


@pytest.fixture(params=["sqlite", "postgres", "http"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with nothing in it: a new folder, a new database, or a new user of the server."""
    found: Store
    if request.param == "sqlite":
        found = engine.open_store(str(tmp_path / "store"))
    elif request.param == "postgres":
        database = request.getfixturevalue("database")
        found = engine.open_store(database, blobs=str(tmp_path / "blobs"))
    else:
        address, owner = request.getfixturevalue("shared_server")
        token = owner.tokens.create("test", username=f"user{next(_numbers)}")
        found = client.open_store(address, token.secret, retries=0)
    yield found
    found.close()
