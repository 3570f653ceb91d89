"""Commands on a store in PostgreSQL: as on a folder, and no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Cli

SECRET = "open-sesame"


@pytest.fixture
def on_database(cli: Cli, database: str) -> Cli:
    """A command line whose store is a database, with a password in its address."""
    cli.env["STORECTL_STORE"] = with_password(database)
    return cli


def with_password(url: str) -> str:
    return url.replace("storectl@", f"storectl:{SECRET}@")


def test_a_store_is_used_as_one_in_a_folder(on_database: Cli) -> None:
    on_database("dataset", "push", "prices", "-", "--create", stdin='{"n":1}\n{"n":2}\n')
    on_database("kvs", "create", "files")
    on_database("kvs", "set", "files", "KEY", "--value", "x")

    assert on_database("dataset", "items", "prices").out == '{"n":1}\n{"n":2}\n'
    assert on_database("kvs", "get", "files", "KEY").out == "x"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["dataset", "ls"], 0),
        (["doctor"], 0),
        (["doctor", "--deep"], 9),
        (["backup", "copy"], 9),
        (["restore", "copy"], 9),
        (["dataset", "push", "nowhere", "-", "--debug"], 3),
    ],
)
def test_a_password_is_not_shown(on_database: Cli, words: list[str], code: int) -> None:
    done = on_database(*words)

    assert done.code == code, done.err
    assert SECRET not in done.out + done.err


def test_a_database_that_cannot_be_reached_is_named_without_its_password(cli: Cli) -> None:
    done = cli(
        "dataset", "ls", env={"STORECTL_STORE": f"postgresql://me:{SECRET}@127.0.0.1:1/data"}
    )

    assert done.code == 1
    assert "PostgreSQL at 127.0.0.1:1, database data cannot be reached" in done.err
    assert SECRET not in done.err


@pytest.mark.parametrize(
    "words", [["--store", "URL", "dataset", "ls"], ["serve", "--store", "URL"]]
)
@pytest.mark.parametrize(
    "url", ["postgresql://me:{}@127.0.0.1:1/data", "postgresql://127.0.0.1:1/data?password={}"]
)
def test_a_password_on_the_command_line_is_refused(cli: Cli, words: list[str], url: str) -> None:
    done = cli(*[url.format(SECRET) if word == "URL" else word for word in words])

    assert done.code == 2
    assert "PGPASSWORD" in done.err
    assert SECRET not in done.err


def test_a_profile_has_no_password(cli: Cli) -> None:
    url = f"postgresql://me:{SECRET}@127.0.0.1:1/data"

    done = cli("profile", "add", "there", "--store", url)

    assert done.code == 2
    assert SECRET not in done.err
    assert not (cli.config / "config.toml").exists()


def test_a_large_record_needs_a_place(on_database: Cli, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(300_000))
    on_database("kvs", "create", "files")

    done = on_database("kvs", "set", "files", "big", "big")

    assert done.code == 2
    assert "--blobs" in done.err
