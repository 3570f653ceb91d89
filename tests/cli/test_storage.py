"""ls, create, info, rename, rm: the same for the three nouns."""

from __future__ import annotations

from pathlib import Path

import pytest

from storectl import engine
from storectl.model.items import Items

from .conftest import Here

NOUNS = ["dataset", "kvs", "queue"]

pytestmark = pytest.mark.parametrize("noun", NOUNS)


def test_create_prints_the_id_that_info_and_ls_know(here: Here, noun: str) -> None:
    id = here(noun, "create", "prices").out.strip()

    assert len(id) == 17
    assert here(noun, "info", id, "--json").json()["name"] == "prices"
    assert here(noun, "info", "prices", "-q").out == f"{id}\n"
    assert here(noun, "ls", "-q").lines() == [id]


def test_a_name_that_is_taken_is_a_conflict_unless_that_is_fine(here: Here, noun: str) -> None:
    id = here(noun, "create", "prices").out

    again = here(noun, "create", "prices")
    fine = here(noun, "create", "prices", "--exist-ok")

    assert (again.code, again.out) == (6, "")
    assert "already exists for local @ " in again.err
    assert f"try: storectl {noun} create prices --exist-ok" in again.err
    assert (fine.code, fine.out) == (0, id)


@pytest.mark.parametrize("name", ["a b", "a_b", "-a", "x" * 64, ""])
def test_a_name_is_checked_before_a_store_is_opened(here: Here, noun: str, name: str) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": "http://127.0.0.1:9"}

    done = here(noun, "create", "--", name, env=env)

    assert (done.code, done.out) == (2, "")
    assert "letters, digits and hyphens" in done.err


def test_ls_in_a_pipe_is_tab_separated_exact_and_without_a_head(here: Here, noun: str) -> None:
    id = here(noun, "create", "prices").out.strip()

    [line] = here(noun, "ls").lines()

    cells = line.split("\t")
    assert cells[:2] == [id, "prices"]
    assert cells[-1] == "FOLLOW_USER_SETTING"
    assert cells[-2].endswith("Z")


def test_ls_shows_named_ones_unless_told_otherwise(here: Here, noun: str) -> None:
    named = here(noun, "create", "prices").out.strip()
    unnamed = here(noun, "create").out.strip()

    assert here(noun, "ls", "-q").lines() == [named]
    assert here(noun, "ls", "--unnamed", "-q").lines() == [unnamed]
    assert set(here(noun, "ls", "--all", "-q").lines()) == {named, unnamed}


def test_ls_filters_sorts_and_limits(here: Here, noun: str) -> None:
    for name in ("prices", "Pages", "cars"):
        here(noun, "create", name)

    def names(*args: str) -> list[str]:
        found = here(noun, "ls", "--json=name", *args).json()
        return [one["name"] for one in found["items"]]

    assert names() == ["prices", "Pages", "cars"]
    assert names("--reverse") == ["cars", "Pages", "prices"]
    assert names("p*") == ["prices", "Pages"]
    assert names("--sort", "name") == ["Pages", "cars", "prices"]
    assert names("--sort", "name", "--reverse", "--limit", "1") == ["prices"]
    assert names("--older-than", "1d") == []
    assert names("--older-than", "0s") == ["prices", "Pages", "cars"]


def test_a_limit_that_cuts_is_told(here: Here, noun: str) -> None:
    for name in ("a", "b", "c"):
        here(noun, "create", name)

    cut = here(noun, "ls", "--json=name", "--limit", "2").json()
    whole = here(noun, "ls", "--json=name", "--limit", "3").json()

    assert (cut["total"], cut["truncated"], len(cut["items"])) == (None, True, 2)
    assert (whole["total"], whole["truncated"], len(whole["items"])) == (3, False, 3)


def test_ls_goes_through_all_pages(here: Here, noun: str, tmp_path: Path) -> None:
    here(noun, "create", "first")
    with_many = engine.open_store(str(tmp_path / "store"))
    keeper = {"dataset": with_many.datasets, "kvs": with_many.kvs, "queue": with_many.queues}[noun]
    for at in range(1001):
        keeper.create(f"n{at}")
    with_many.close()

    assert len(here(noun, "ls", "-q").lines()) == 1002


def test_an_empty_listing_is_empty(here: Here, noun: str) -> None:
    assert here(noun, "ls") == (0, "", "")
    assert here(noun, "ls", "--json").json() == {"items": [], "total": 0, "truncated": False}
    assert here(noun, "ls", "--csv").out.startswith("id,name,")


def test_rename_checks_the_new_name_first_and_prints_the_new_reference(
    here: Here, noun: str
) -> None:
    id = here(noun, "create", "old").out.strip()

    bad = here(noun, "rename", "old", "a b")
    good = here(noun, "rename", "old", "new")
    away = here(noun, "rename", "new", "--unname")

    assert bad.code == 2
    assert good.out == "new\n"
    assert away.out == f"{id}\n"
    assert here(noun, "info", id, "--json").json()["name"] is None


def test_rename_to_a_taken_name_is_a_conflict(here: Here, noun: str) -> None:
    here(noun, "create", "a")
    here(noun, "create", "b")

    done = here(noun, "rename", "a", "b")

    assert (done.code, done.out) == (6, "")


@pytest.mark.parametrize("args", [["old"], ["old", "new", "--unname"]])
def test_rename_needs_a_name_or_unname(here: Here, noun: str, args: list[str]) -> None:
    here(noun, "create", "old")

    assert here(noun, "rename", *args).code == 2


def test_rm_off_a_terminal_needs_yes_and_says_so(here: Here, noun: str) -> None:
    here(noun, "create", "prices")

    done = here(noun, "rm", "prices")

    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err
    assert here(noun, "info", "prices").code == 0


def test_rm_removes_all_that_are_named_or_none(here: Here, noun: str) -> None:
    ids = [here(noun, "create", name).out.strip() for name in ("a", "b")]

    wrong = here(noun, "rm", "a", "none", "--yes")
    right = here(noun, "rm", "a", "b", "a", "--yes")

    assert (wrong.code, wrong.out) == (3, "")
    assert right.lines() == ids
    assert here(noun, "ls", "-q").out == ""


def test_rm_if_exists_takes_what_is_there(here: Here, noun: str) -> None:
    id = here(noun, "create", "a").out.strip()

    done = here(noun, "rm", "a", "none", "--yes", "--if-exists", "--json")

    assert done.json()["items"] == [{"id": id, "name": "a"}]
    assert here(noun, "rm", "none", "--yes", "--if-exists").code == 0


def test_a_word_in_the_form_of_an_id_may_be_a_name(here: Here, noun: str) -> None:
    id = here(noun, "create", "abcdefghijklmnopq").out.strip()

    assert here(noun, "info", "abcdefghijklmnopq", "-q").out == f"{id}\n"


def test_the_noun_has_its_long_names_and_the_verbs_their_old_ones(here: Here, noun: str) -> None:
    long = {"dataset": "datasets", "kvs": "key-value-stores", "queue": "request-queues"}[noun]
    here(noun, "create", "a")

    assert here(long, "list", "-q").out == here(noun, "ls", "-q").out
    assert here(long, "delete", "a", "-y").code == 0


def test_access_is_set_on_creation(here: Here, noun: str) -> None:
    made = here(noun, "create", "a", "--access", "restricted", "--json").json()

    assert (made["generalAccess"], made["created"]) == ("RESTRICTED", True)


def test_info_off_a_terminal_is_pairs(here: Here, noun: str) -> None:
    id = here(noun, "create", "a").out.strip()

    pairs = dict(line.split("\t") for line in here(noun, "info", "a").lines())

    assert (pairs["id"], pairs["name"], pairs["username"]) == (id, "a", "local")


def test_what_is_not_there_is_named_with_its_place_and_what_is_similar(
    here: Here, noun: str
) -> None:
    here(noun, "create", "prices")

    done = here(noun, "info", "price")

    title = {"dataset": "dataset", "kvs": "key-value store", "queue": "request queue"}[noun]
    assert (done.code, done.out) == (3, "")
    assert f"error: {title} 'price' not found for local @ " in done.err
    assert "  similar: prices\n" in done.err
    assert f"  try: storectl {noun} ls" in done.err


def test_a_signing_key_is_never_shown(here: Here, noun: str) -> None:
    here(noun, "create", "a")

    for form in ("--json", "--tsv", "--csv"):
        assert "urlSigningSecretKey" not in here(noun, "info", "a", form).out
        assert "urlSigningSecretKey" not in here(noun, "ls", form).out


def test_sort_by_items_counts_where_the_noun_counts(here: Here, noun: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        here(noun, "create", name)
    if noun == "dataset":
        store = engine.open_store(str(tmp_path / "store"))
        store.datasets.push("~a", Items.of([{"n": 1}]))
        store.close()

    done = here(noun, "ls", "--sort", "items", "--reverse", "--json=name")

    if noun == "kvs":
        assert done.code == 2
    elif noun == "dataset":
        assert [one["name"] for one in done.json()["items"]] == ["a", "b"]
    else:
        assert done.code == 0
