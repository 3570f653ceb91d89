"""What all tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import homes, postgres
from .buckets import Server, server


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that are no text go by their name: packed ones hold the time, and workers compare."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of S3, one for the run."""
    with server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def s3(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """That server, with the environment that leads to it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """One PostgreSQL for all tests of this process."""
    with postgres.running() as found:
        yield found


@pytest.fixture(scope="session")
def template(cluster: postgres.Cluster) -> str:
    """A database with the tables of a store, to make others from."""
    from storectl.engine.postgres import PostgresDb

    url = cluster.database()
    PostgresDb(url).close()
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def new_database(cluster: postgres.Cluster, template: str) -> str:
    """The address of an empty store, for a server of the run."""
    return cluster.database(template)


@pytest.fixture(scope="session")
def shared_database(cluster: postgres.Cluster, template: str) -> str:
    return cluster.database(template)


@pytest.fixture
def database(cluster: postgres.Cluster, shared_database: str) -> str:
    """The address of an empty store, the same for all tests of a process, one after another."""
    cluster.empty(shared_database)
    return shared_database


@pytest.fixture(scope="session")
def shared_homes(request: pytest.FixtureRequest) -> Iterator[homes.Homes]:
    """What makes stores in PostgreSQL and a bucket, with the environment that leads to it."""
    names = ("cluster", "template", "s3_server")
    cluster, template, server = map(request.getfixturevalue, names)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield homes.Homes(cluster, template, server)


@pytest.fixture(scope="session")
def new_home(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Makes the place of a new store, of the kind that STORE says: new_home(FOLDER)."""
    if homes.STORE == homes.FOLDER:
        return str
    made: homes.Homes = request.getfixturevalue("shared_homes")
    return lambda _: made.new()


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The place of an empty store: a folder, or what else STORE says."""
    if homes.STORE == homes.FOLDER:
        return str(tmp_path / "store")
    made: homes.Homes = request.getfixturevalue("shared_homes")
    return made.settled(request.getfixturevalue("database"))
