"""`storectl store move` and `release`: what they say, and to whom."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from ..buckets import Server
from .conftest import Cli, Here


def test_a_store_is_used_where_it_was_moved_to(here: Here, filled: Path, tmp_path: Path) -> None:
    moved = here("store", "move", "store", "new")

    assert (moved.code, moved.out) == (0, "")
    assert moved.err.startswith("2 storages, ")
    assert "read back and found good" in moved.err
    assert here("--store", "new", "dataset", "items", "prices").out == '{"n":1}\n'
    assert here("--store", "new", "kvs", "get", "files", "big").out == "x" * 300_000
    refused = here("dataset", "ls")
    assert refused.code == 6
    assert f"was moved to {tmp_path / 'new'}" in refused.err


def test_the_summary_in_json(here: Here, filled: Path) -> None:
    told = here("store", "move", "store", "new", "--json").json()

    assert (told["storages"], told["blobs"]) == (2, 1)
    assert told["bytes"] > 300_000
    assert len(told["sha256"]) == 64


def test_a_released_store_is_used_again(here: Here, filled: Path) -> None:
    here("store", "move", "store", "new")

    assert here("store", "release", "store").code == 0
    assert here("dataset", "items", "prices").out == '{"n":1}\n'


def test_a_store_that_is_served_stays_where_it_is(cli: Cli, filled: Path) -> None:
    server = cli.start("serve", "--port", "0")
    server.stdout.readline()
    try:
        while not _leads(cli.store):
            time.sleep(0.02)
        done = cli("store", "move", "store", "new")
    finally:
        server.terminate()
        server.communicate(timeout=60)

    assert done.code == 6
    assert f"A server is running on {cli.store}" in done.err
    assert cli("store", "move", "store", "new").code == 0


def _leads(folder: Path) -> bool:
    """Whether a server has come as far as to sweep."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as db:
        return db.execute("SELECT 1 FROM lease").fetchone() is not None


def test_a_password_among_the_arguments_is_refused_and_not_repeated(
    here: Here, filled: Path
) -> None:
    place = "postgresql://me:hush@127.0.0.1:9/x"

    for words in (["move", "store", place], ["move", place, "new"], ["release", place]):
        refused = here("store", *words)
        assert refused.code == 2
        assert "holds a password" in refused.err
        assert "hush" not in refused.err


def test_large_records_go_where_blobs_says(
    here: Here, filled: Path, s3: Server, tmp_path: Path
) -> None:
    url = s3.bucket()

    assert here("store", "move", "store", "new", env={"STORECTL_BLOBS": url}).code == 0

    assert not (tmp_path / "new/blobs").exists()
    assert here("--store", "new", "kvs", "get", "files", "big").out == "x" * 300_000
    assert len(s3.objects(url)) == 2


def test_a_server_takes_its_bucket_from_the_command_line(
    cli: Cli, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.env |= s3.environment
    url = s3.bucket()
    (cli.folder / "big").write_bytes(b"x" * 300_000)

    server = cli.start("serve", "--port", "0", "--blobs", url)
    server.stdout.readline()
    server.terminate()
    server.communicate(timeout=60)

    cli("kvs", "create", "files")
    assert cli("kvs", "set", "files", "big", "big").code == 0
    assert len(s3.objects(url)) == 2
    refused = cli("serve", "--port", "0", "--blobs", s3.bucket())
    assert refused.code == 6
    assert f"keeps large records in {url}" in refused.err
    wrong = cli("serve", "--port", "0", "--blobs", "s3://key:hush@box/x")
    assert wrong.code == 2
    assert "hush" not in wrong.err
