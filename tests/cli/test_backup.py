"""`storectl backup` and `restore`: one command each, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Cli, Here, Served


def test_a_store_comes_back_from_its_backup(here: Here, filled: Path, tmp_path: Path) -> None:
    made = here("backup", "backups/monday")
    put = here("--store", "new", "restore", "backups/monday")

    assert (made.code, made.out) == (0, "backups/monday\n")
    assert (put.code, put.out) == (0, "new\n")
    assert "2 storages, " in made.err
    assert "read back and found good; sha256 of its database " in made.err
    assert here("--store", "new", "dataset", "items", "prices").out == '{"n":1}\n'
    copy = here("--store", "new", "kvs", "get", "files", "big", "-o", "copy")
    assert copy.code == 0
    assert (tmp_path / "copy").read_bytes() == b"x" * 300_000


def test_the_summary_in_json(here: Here, filled: Path) -> None:
    done = here("backup", "b", "--json").json()

    told = json.loads(Path("b/backup.json").read_bytes())
    assert done["folder"] == "b"
    assert (done["storages"], done["blobs"]) == (2, 1)
    assert done["bytes"] == told["databaseBytes"] + told["blobBytes"]
    assert done["sha256"] == told["databaseSha256"]
    assert done["secs"] >= 0


def test_a_person_hears_what_is_in_it(cli: Cli, filled: Path) -> None:
    shown = cli.on_terminal("backup", "b")

    assert shown.code == 0
    assert "hashes of tokens" in shown.out


def test_a_store_is_backed_up_while_it_is_served(here: Here, served: Served, file: Path) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}
    here("dataset", "push", "live", str(file), "--create", env=env)

    made = here("--store", str(served.store), "backup", "b")
    here("--store", "new", "restore", "b")

    assert made.code == 0
    found = here("--store", "new", "dataset", "items", "alice/live")
    assert found.out == '{"n":1}\n'


def test_neither_writes_over_anything(here: Here, filled: Path) -> None:
    here("backup", "b")

    again = here("backup", "b")
    over = here("restore", "b")

    for done in (again, over):
        assert (done.code, done.out) == (6, "")
        assert "is there already" in done.err


def test_half_a_backup_is_refused(here: Here, filled: Path) -> None:
    here("backup", "b")
    Path("b/backup.json").unlink()

    done = here("--store", "new", "restore", "b")

    assert (done.code, done.out) == (8, "")
    assert "not a whole backup" in done.err
    assert not Path("new").exists()


def test_a_damaged_store_is_told(here: Here, filled: Path) -> None:
    (blob,) = (path for path in (filled / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"y" * 300_000)

    done = here("backup", "b")

    assert (done.code, done.out) == (8, "")
    assert "kvs" in done.err
    assert "big" in done.err
    assert "storectl doctor --deep" in done.err
    assert not Path("b").exists()


def test_what_is_not_there_is_told(here: Here, tmp_path: Path) -> None:
    nothing = here("backup", "b")
    no_backup = here("restore", "b")

    assert (nothing.code, no_backup.code) == (3, 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_a_server_is_copied_on_its_own_machine(here: Here, verb: str) -> None:
    done = here(verb, "b", env={"STORECTL_STORE": "", "STORECTL_SERVER": "http://127.0.0.1:9"})

    assert (done.code, done.out) == (9, "")
    assert "--store" in done.err
