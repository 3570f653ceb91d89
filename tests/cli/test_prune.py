"""prune: what nobody has used for a while goes, and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.model.storage import ListQuery

from .conftest import Cli, Here, Served

HOUR = 3600
DAY = 24 * HOUR
KEEPERS = {"dataset": "datasets", "kvs": "kvs", "queue": "queues"}


def made(folder: Path, noun: str, days: float, name: str | None = None, **whose: str) -> str:
    """A storage that was last used so many days ago."""
    at_ms = int((time.time() - days * DAY) * 1000)
    store = open_store(str(folder), clock=lambda: at_ms, **whose)
    store.retain(None)
    id = store.keeper(noun).create(name)[0].id
    store.close()
    return id


@pytest.mark.parametrize("noun", KEEPERS)
def test_what_is_unused_goes_and_what_is_used_or_named_stays(
    here: Here, tmp_path: Path, noun: str
) -> None:
    folder = tmp_path / "store"
    old = [made(folder, noun, days) for days in (20, 9)]
    made(folder, noun, 9, "kept")
    made(folder, noun, 3)
    made(folder, noun, 7 + 0.5 / 24)  # by what the store knows: it may have been half an hour less

    assert here(noun, "prune", "-n").lines() == old
    assert here(noun, "prune", "--yes").lines() == old
    assert here(noun, "prune", "--yes").out == ""
    assert len(here(noun, "ls", "--all", "-q").lines()) == 3


def test_all_takes_what_has_a_name_too(here: Here, tmp_path: Path) -> None:
    named = made(tmp_path / "store", "dataset", 3, "kept")

    assert here("dataset", "prune", "--older-than", "2d", "-n", "--unnamed").lines() == []
    assert here("dataset", "prune", "--older-than", "2d", "--all", "-y").lines() == [named]


def test_without_yes_and_without_a_terminal_nothing_goes(here: Here, tmp_path: Path) -> None:
    made(tmp_path / "store", "kvs", 9)

    done = here("kvs", "prune")

    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err
    assert len(here("kvs", "ls", "--all", "-q").lines()) == 1


def test_a_person_sees_what_would_go_and_is_asked(cli: Cli) -> None:
    id = made(cli.store, "dataset", 9)
    named = made(cli.store, "dataset", 9, "kept")

    no = cli.on_terminal("dataset", "prune", "--all", typed="n\n")
    yes = cli.on_terminal("dataset", "prune", "--all", typed="y\n")

    assert no.code == 1
    for each in (no, yes):
        assert id in each.out
        assert named in each.out
        assert "9 days ago" in each.out
        assert "Delete 2 datasets, 1 of them named of local @" in each.out
    assert "Deleted 2 datasets of local @" in yes.out


def test_as_json_it_is_a_list(here: Here, tmp_path: Path) -> None:
    id = made(tmp_path / "store", "queue", 9)

    assert here("queue", "prune", "-y", "--json").json() == {
        "items": [{"id": id, "name": None}],
        "total": 1,
        "truncated": False,
    }


def test_of_a_server_it_prunes_too(here: Here, served: Served) -> None:
    old = made(served.store, "dataset", 9, username="alice")
    of_bob = made(served.store, "dataset", 9, username="bob")
    where = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}

    assert here("dataset", "prune", "-n", env=where).lines() == [old]
    assert here("dataset", "prune", "--yes", env=where).lines() == [old]

    bob = open_store(str(served.store), username="bob")
    left = [each.id for each in bob.datasets.list(ListQuery(unnamed=True)).items]
    assert of_bob in left
    assert old not in left
    bob.retain(7 * DAY)
    bob.close()


@pytest.mark.parametrize("text", ["soon", "-1d", ""])
def test_a_time_that_is_none_is_refused(here: Here, text: str) -> None:
    assert here("dataset", "prune", "--older-than", text, "-y").code == 2


# When storages go by themselves


def test_people_see_when_it_goes_and_how_to_keep_it(cli: Cli) -> None:
    id = cli("dataset", "create", "-q").out.strip()

    listed = cli.on_terminal("dataset", "ls", "--all").out
    shown = cli.on_terminal("dataset", "info", id).out

    assert "EXPIRES" in listed
    assert "in 7 days" in listed
    assert "EXPIRES" not in cli.on_terminal("dataset", "ls").out
    assert "It has no name and goes in 7 days" in shown
    assert f"storectl dataset rename {id} NAME" in shown


def test_a_store_that_keeps_them_for_ever_says_so(cli: Cli) -> None:
    id = made(cli.store, "dataset", 9)

    assert "kept here until it is deleted" in cli.on_terminal("dataset", "info", id).out


def test_a_server_sets_how_long_and_the_store_remembers_it(cli: Cli) -> None:
    id = cli("kvs", "create", "-q").out.strip()

    for words, hours in ((["--retention", "2d"], 49), ([], 49), (["--retention", "1h"], 2)):
        process = cli.start("serve", "--port", "0", "--rate-limit", "off", *words)
        try:
            assert json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.communicate(timeout=60)
        shown = cli("kvs", "info", id, "--json").json()
        told = {name: shown[name][:13] for name in ("accessedAt", "expireAt")}
        assert told["expireAt"] == later(told["accessedAt"], hours)


def later(hour: str, hours: int) -> str:
    """`2026-11-23T19` so many hours on."""
    seconds = time.mktime(time.strptime(hour, "%Y-%m-%dT%H")) + hours * HOUR
    return time.strftime("%Y-%m-%dT%H", time.localtime(seconds))
