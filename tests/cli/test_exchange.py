"""queue export, queue import: whole queues as JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .conftest import Here

URLS = [f"https://example.com/{n}" for n in range(40)]


@pytest.fixture
def ids(here: Here) -> list[str]:
    """The IDs of a queue with requests of every state, one of which came to the front."""
    ids = here("queue", "add", "crawl", *URLS, "--create").lines()
    here("queue", "handle", "crawl", *ids[:4])
    here("queue", "handle", "crawl", *ids[4:7], "--error", "HTTP 500")
    odd = {"url": "https://example.com/x", "uniqueKey": "x", "userData": {"é": 1.5}, "odd": [None]}
    here("queue", "add", "crawl", json.dumps(odd), "--forefront")
    here("queue", "lock", "crawl", "--limit", "2", "--secs", "600")
    return ids


def export(here: Here, *args: str) -> list[dict[str, Any]]:
    done = here("queue", "export", *args)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.lines()]


def told(here: Here, ref: str) -> dict[str, dict[str, Any]]:
    found = here("queue", "requests", ref, "--json").json()["items"]
    return {one["uniqueKey"]: one for one in found}


def test_an_export_has_every_request_whole_with_its_state(here: Here, ids: list[str]) -> None:
    lines = export(here, "crawl")

    assert Counter(one["state"] for one in lines) == {
        "pending": 32, "locked": 2, "handled": 4, "failed": 3,
    }  # fmt: skip
    assert {one["id"] for one in lines} >= set(ids)
    odd = next(one for one in lines if one["uniqueKey"] == "x")
    assert (odd["userData"], odd["odd"]) == ({"é": 1.5}, [None])


def test_what_is_next_comes_first_in_its_order(here: Here, ids: list[str]) -> None:
    head = here("queue", "head", "crawl", "-q").lines()

    assert [one["id"] for one in export(here, "crawl")][: len(head)] == head


@pytest.mark.parametrize("state", ["pending", "locked", "handled", "failed", "pending,failed"])
def test_an_export_of_some_states(here: Here, ids: list[str], state: str) -> None:
    lines = export(here, "crawl", "--state", state)

    assert {one["state"] for one in lines} == set(state.split(","))
    assert len({one["id"] for one in lines}) == len(lines)


def test_an_import_gives_the_same_requests_in_the_same_order(here: Here, ids: list[str]) -> None:
    assert here("queue", "export", "crawl", "-o", "crawl.jsonl").out == ""

    done = here("queue", "import", "other", "crawl.jsonl", "--create")

    assert (done.code, done.out) == (0, "41\n")
    there, mine = told(here, "crawl"), told(here, "other")
    locked = {key for key, one in there.items() if one["state"] == "locked"}
    assert len(locked) == 2
    for key, one in there.items():
        assert mine[key]["state"] == ("pending" if key in locked else one["state"])
        assert mine[key].get("handledAt") == one.get("handledAt")
        assert mine[key].get("userData") == one.get("userData")
    head = here("queue", "head", "crawl", "-q").lines()
    assert here("queue", "head", "other", "-q").lines()[: len(head)] == head


def test_an_import_with_reset_makes_handled_ones_pending(here: Here, ids: list[str]) -> None:
    here("queue", "export", "crawl", "-o", "crawl.jsonl")

    here("queue", "import", "other", "crawl.jsonl", "--create", "--reset")

    assert {one["state"] for one in told(here, "other").values()} == {"pending"}


def test_an_import_adds_nothing_twice_and_changes_nothing(here: Here, ids: list[str]) -> None:
    here("queue", "export", "crawl", "-o", "crawl.jsonl")
    before = export(here, "crawl")

    done = here("queue", "import", "crawl", "crawl.jsonl", "--reset", "--json")

    assert (done.json()["added"], done.json()["alreadyHandled"]) == (0, 7)
    assert export(here, "crawl") == before


def test_bad_lines_are_named_and_the_rest_goes_on(here: Here) -> None:
    Path("in.jsonl").write_text(
        f'{{"url":"{URLS[0]}","uniqueKey":"a","state":"handled","handledAt":"2024-01-01T00:00:00Z"}}\n'
        '"text"\n{"uniqueKey":"b"}\n{"url":\n\n'
        f'{{"url":"{URLS[1]}"}}\n'
    )

    done = here("queue", "import", "crawl", "in.jsonl", "--create")

    assert (done.code, done.out) == (7, "2\n")
    assert all(f"in.jsonl:{line}: " in done.err for line in (2, 3, 4))
    found = told(here, "crawl")
    assert {key: one["state"] for key, one in found.items()} == {"a": "handled", URLS[1]: "pending"}


def test_a_field_of_ones_own_named_state_is_kept(here: Here) -> None:
    Path("in.jsonl").write_text(json.dumps({"url": URLS[0], "state": {"of": "Bohemia"}}))

    here("queue", "import", "crawl", "in.jsonl", "--create")

    assert told(here, "crawl")[URLS[0]]["state"] == {"of": "Bohemia"}


def test_an_export_pipes_into_an_import(here: Here) -> None:
    here("queue", "add", "crawl", *URLS, "--create")
    text = here("queue", "export", "crawl").out

    done = here("queue", "import", "other", "--create", stdin=text)

    assert (done.code, done.out) == (0, "40\n")
    assert (
        here("queue", "head", "other", "-q").lines() == here("queue", "head", "crawl", "-q").lines()
    )


@pytest.mark.slow
def test_thousands_of_requests_come_through_once(here: Here) -> None:
    """More than a page of them, and more than the head tells the order of."""
    Path("urls.txt").write_text("".join(f"https://example.com/{n}\n" for n in range(5_000)))
    here("queue", "add", "crawl", "-i", "urls.txt", "--create", "-q")

    here("queue", "export", "crawl", "-o", "crawl.jsonl")
    here("queue", "import", "other", "crawl.jsonl", "--create")

    urls = [json.loads(line)["url"] for line in Path("crawl.jsonl").read_text().splitlines()]
    assert urls == [f"https://example.com/{n}" for n in range(5_000)]
    assert len(told(here, "other")) == 5_000
