"""`storectl doctor` on a store: what is wrong with its data, how bad, and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli, Done, Here

OF_A_STORE = ("data", "counters", "items", "record", "orphans", "index", "database")


@pytest.fixture
def filled(here: Here, tmp_path: Path) -> Path:
    """A store with two datasets and a record."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(f'{{"n":{n}}}\n' for n in range(900)))
    for name in ("prices", "costs"):
        here("dataset", "push", name, str(items), "--create")
    here("kvs", "create", "files")
    here("kvs", "set", "files", "KEY", "--value", "x")
    return tmp_path / "store"


def change(store: Path, sql: str) -> None:
    connection = sqlite3.connect(store / "store.sqlite")
    connection.execute(sql)
    connection.commit()
    connection.close()


def told(done: Done) -> list[dict[str, Any]]:
    """What the doctor says of data; the rest of it is about the installation."""
    return [row for row in done.json()["items"] if row["check"] in OF_A_STORE]


@pytest.mark.parametrize(
    ("how", "detail"), [([], "counted; --deep reads all of it"), (["--deep"], "all of it was read")]
)
def test_a_sound_store_is_found_good(here: Here, filled: Path, how: list[str], detail: str) -> None:
    done = here("doctor", "--json", *how)

    (row,) = told(done)
    assert (done.code, row["state"]) == (0, "ok")
    assert row["detail"].startswith("3 storages, ")
    assert row["detail"].endswith(detail)


def test_a_store_that_is_not_there_is_not_made(here: Here, tmp_path: Path) -> None:
    done = here("doctor", "--deep", "--json")

    (row,) = told(done)
    assert (done.code, row["state"]) == (0, "ok")
    assert not (tmp_path / "store").exists()


def test_a_wrong_counter_has_a_place_a_harm_and_a_remedy(here: Here, filled: Path) -> None:
    id = here("dataset", "info", "prices", "--json").json()["id"]
    change(filled, "UPDATE storage SET bytes = 5 WHERE name = 'prices'")

    done = here("doctor", "--json")

    (row,) = told(done)
    assert done.code == 1
    assert row == {
        "state": "fail",
        "check": "counters",
        "detail": "says 900 items, 5 bytes; there are 900 items, 8,890 bytes",
        "fix": "the same command with --repair",
        "noun": "dataset",
        "storage": id,
        "place": None,
        "harm": "derivable",
    }


def test_a_pipe_gets_a_line_for_each_finding(here: Here, filled: Path) -> None:
    change(filled, "UPDATE storage SET bytes = 5 WHERE noun = 'dataset'")

    done = here("doctor")

    found = [line.split("\t") for line in done.lines() if "\tcounters\t" in line]
    assert done.code == 1
    assert [(line[0], line[4], line[7]) for line in found] == [("fail", "dataset", "derivable")] * 2


def test_repair_is_shown_before_it_is_done(here: Here, filled: Path) -> None:
    change(filled, "UPDATE storage SET bytes = 5 WHERE noun = 'dataset'")

    shown = here("doctor", "--repair", "-n", "--json")
    refused = here("doctor", "--repair")

    assert (shown.code, len(told(shown))) == (1, 2)
    assert "--repair would mend 2 findings" in shown.err
    assert (refused.code, refused.out) == (2, "")
    assert "will not mend 2 findings" in refused.err
    assert "--yes" in refused.err
    assert len(told(here("doctor", "--json"))) == 2


def test_repair_mends_and_says_what(here: Here, filled: Path) -> None:
    change(filled, "UPDATE storage SET bytes = 5, item_count = 3 WHERE name = 'prices'")

    done = here("doctor", "--repair", "--yes", "--json")

    assert done.code == 0
    assert [row["state"] for row in told(done)] == ["mended", "ok"]
    assert [row["state"] for row in told(here("doctor", "--deep", "--json"))] == ["ok"]
    assert here("dataset", "items", "prices").out.count("\n") == 900


def test_repair_leaves_what_is_lost_and_fails(here: Here, filled: Path) -> None:
    change(filled, "UPDATE record SET body = x'00'")
    change(filled, "UPDATE storage SET item_count = 3 WHERE name = 'prices'")

    done = here("doctor", "--deep", "--repair", "--yes", "--json")

    rows = [(row["state"], row["check"], row["place"], row["harm"]) for row in told(done)]
    assert done.code == 1
    assert rows == [("mended", "counters", None, "derivable"), ("fail", "record", "KEY", "lost")]
    assert "restore" in told(done)[1]["fix"]


def test_a_person_is_told_and_asked(cli: Cli, filled: Path) -> None:
    change(filled, "UPDATE storage SET bytes = 5 WHERE name = 'prices'")

    no = cli.on_terminal("doctor", "--repair", typed="n\n")
    yes = cli.on_terminal("doctor", "--repair", typed="y\n")

    assert "derivable; try: the same command with --repair" in no.out
    assert "nothing was changed" in no.out
    assert no.code == 1
    assert "mended" in yes.out
    assert yes.code == 0


def test_a_store_that_cannot_be_opened_is_told(here: Here, filled: Path) -> None:
    (filled / "store.sqlite").write_bytes(b"not a database at all" * 100)

    done = here("doctor", "--json")

    (row,) = told(done)
    assert (done.code, row["check"], row["harm"]) == (1, "database", "lost")


@pytest.mark.parametrize("how", ["--deep", "--repair"])
def test_a_server_is_looked_into_on_its_own_machine(here: Here, how: str) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": "http://127.0.0.1:9"}

    done = here("doctor", how, env=env)

    assert (done.code, done.out) == (2, "")
    assert "--store" in done.err
