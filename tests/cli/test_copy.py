"""dataset copy, kvs copy, queue copy: within a store, to a server, from it, and on it."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter
from typing import Any

import pytest

from .conftest import Done, Here, Served

EMPTY_IN_THE_MIDDLE = [
    b'{"n":%d}' % n if not 2000 <= n < 7000 else b"{}" for n in range(9000)
]  # fmt: skip
ODD = [
    b'{"f":1.0,"big":12345678901234567890,"e":1e-7,"z":0,"a":1}',
    '{"text":"é\\u00e9\\n\\u2028😀","#hidden":true}'.encode(),
    b'{"a":{"b":[1,{"c":null}]}, "spaced" : [ 1 , 2 ]}',
    b'{"":"","a.b":1,"a/b":2}',
]


@pytest.fixture(params=[("", "prod:"), ("prod:", "")], ids=["to a server", "from one"])
def ends(request: pytest.FixtureRequest, here: Here) -> tuple[str, str]:
    """A source and a target that are not there yet: in the store built in, or on a server."""
    served: Served = request.getfixturevalue("served")
    login = ("login", "--with-token", "--server", served.url, "--profile", "prod")
    assert here(*login, stdin=served.token + "\n").code == 0
    name = os.urandom(4).hex()
    return f"{request.param[0]}from-{name}", f"{request.param[1]}to-{name}"


def push(here: Here, ref: str, items: list[bytes]) -> None:
    done = here("dataset", "push", ref, "--create", stdin=b"\n".join(items))
    assert done.code == 0, done.err


def bytes_of(here: Here, *args: str) -> bytes:
    done = here(*args)
    assert done.code == 0, done.err
    return done.bytes


# Datasets


def test_items_are_copied_as_they_are_written(here: Here, ends: tuple[str, str]) -> None:
    source, target = ends
    push(here, source, [*ODD, *EMPTY_IN_THE_MIDDLE])

    done = here("dataset", "copy", source, target, "--create")

    assert done.code == 0, done.err
    assert done.out.strip() == here("dataset", "info", target, "--json").json()["id"]
    assert "9,004 items" in done.err
    assert f"'{target}' has 9,004" in done.err
    copied = bytes_of(here, "dataset", "items", target)
    assert copied == bytes_of(here, "dataset", "items", source)
    assert copied.startswith(ODD[0] + b"\n")


def test_the_same_command_again_adds_only_what_is_new(here: Here, ends: tuple[str, str]) -> None:
    source, target = ends
    push(here, source, EMPTY_IN_THE_MIDDLE)
    copy = ("dataset", "copy", source, target, "--create", "--json")

    first, second = here(*copy).json(), here(*copy).json()
    push(here, source, ODD)
    third = here(*copy).json()

    assert [one["copied"] for one in (first, second, third)] == [9000, 0, 4]
    assert bytes_of(here, "dataset", "items", target) == bytes_of(here, "dataset", "items", source)


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        (("--fields", "n"), '{"n":1}\n{"n":2}\n{}\n'),
        (("--omit", "n,#h"), '{"a":1}\n{"a":2}\n{"a":3}\n'),
    ],
)
def test_fields_are_picked_and_left_out_item_by_item(
    here: Here, ends: tuple[str, str], option: tuple[str, str], shown: str
) -> None:
    source, target = ends
    push(here, source, [b'{"a":1,"n":1,"#h":1}', b'{"a":2,"n":2}', b'{"a":3}'])
    copy = ("dataset", "copy", source, target, "--create", *option)

    assert here(*copy).code == 0
    assert here(*copy).code == 0

    assert here("dataset", "items", target).out == shown


def test_a_target_with_other_items_is_left_alone_unless_append(
    here: Here, ends: tuple[str, str]
) -> None:
    source, target = ends
    push(here, source, ODD)
    push(here, target, [b'{"mine":1}'])

    refused = here("dataset", "copy", source, target)
    taken = here("dataset", "copy", source, target, "--append")
    again = here("dataset", "copy", source, target, "--append")

    assert (refused.code, refused.out) == (6, "")
    assert "--append" in refused.err
    assert (taken.code, again.code) == (0, 0)
    expected = [b'{"mine":1}', *ODD, *ODD]
    found = bytes_of(here, "dataset", "items", target)
    assert found == b"".join(item + b"\n" for item in expected)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.3, 0.4, 0.5])
def test_after_kill_9_the_same_command_finishes_the_copy(
    here: Here, ends: tuple[str, str], delay: float
) -> None:
    source, target = ends
    text = "x" * 300
    push(here, source, [b'{"n":%d,"t":"%s"}' % (n, text.encode()) for n in range(60_000)])
    copy = ("dataset", "copy", source, target, "--create")

    process = here.start(*copy)
    time.sleep(delay)
    process.kill()
    process.communicate()
    done = here(*copy)

    assert done.code == 0, done.err
    assert bytes_of(here, "dataset", "items", target) == bytes_of(here, "dataset", "items", source)


# Key-value stores


def put(here: Here, ref: str, key: str, value: bytes, type: str) -> None:
    done = here(
        *("kvs", "set", ref, key, "-", "--type", type, "--allow-empty", "--create"), stdin=value
    )
    assert done.code == 0, done.err


RECORDS = {
    "INPUT": (b'{ "a": 1.0 }', "application/json; charset=utf-8"),
    "empty": (b"", "text/plain"),
    "latin": ("é".encode("latin-1"), "text/html; charset=iso-8859-1"),
    "a.b-c_(d)!'": (bytes(range(256)), "application/octet-stream"),
    "large": (os.urandom(5_000_000), "image/png"),
}


def test_records_are_copied_with_their_types(here: Here, ends: tuple[str, str]) -> None:
    source, target = ends
    for key, (value, type) in RECORDS.items():
        put(here, source, key, value, type)

    done = here("kvs", "copy", source, target, "--create")

    assert done.code == 0, done.err
    assert "5 records" in done.err
    listed = here("kvs", "keys", target, "--json").json()["items"]
    assert {one["key"]: one["contentType"] for one in listed} == {
        key: type for key, (_, type) in RECORDS.items()
    }
    for key, (value, _) in RECORDS.items():
        assert bytes_of(here, "kvs", "get", target, key) == value


def test_what_is_stored_packed_stays_packed(here: Here, ends: tuple[str, str]) -> None:
    source, target = ends
    packed = gzip.compress(b"a" * 10_000, mtime=0)
    made = here("kvs", "create", "prod:packed", "--exist-ok")
    assert made.code == 0
    put_packed(here, made.out.strip(), packed)

    first = here("kvs", "copy", f"prod:{made.out.strip()}", source, "--create")
    second = here("kvs", "copy", source, target, "--create")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    head = here("kvs", "get", target, "page", "--head", "--json").json()
    assert (head["contentEncoding"], head["size"]) == ("gzip", len(packed))
    assert bytes_of(here, "kvs", "get", target, "page", "--raw") == packed
    assert bytes_of(here, "kvs", "get", target, "page") == b"a" * 10_000


def put_packed(here: Here, store: str, packed: bytes) -> None:
    (here.folder / "packed").write_bytes(packed)
    done = here(
        *("api", "PUT", f"key-value-stores/{store}/records/page", "--input", "packed"),
        *("-H", "Content-Encoding: gzip", "-H", "Content-Type: text/html", "--profile", "prod"),
    )
    assert done.code == 0, done.err


def test_globs_say_which_records(here: Here, ends: tuple[str, str]) -> None:
    source, target = ends
    for key in ("a.png", "b.png", "tmp-c.png", "d.txt"):
        put(here, source, key, key.encode(), "text/plain")
    put(here, target, "a.png", b"old", "text/html")
    put(here, target, "mine", b"mine", "text/plain")

    done = here("kvs", "copy", source, target, "--include", "*.png", "--exclude", "tmp-*")

    assert done.code == 0, done.err
    assert here("kvs", "keys", target, "-q").lines() == ["a.png", "b.png", "mine"]
    assert here("kvs", "get", target, "a.png").out == "a.png"


# Request queues


def listed(here: Here, ref: str) -> dict[str, dict[str, Any]]:
    found = here("queue", "requests", ref, "--json").json()["items"]
    return {one["uniqueKey"]: one for one in found}


@pytest.fixture
def queues(here: Here, ends: tuple[str, str]) -> tuple[str, str]:
    """A queue of pending, locked, handled and failed requests; its head is not by ID."""
    source, target = ends
    urls = [f"https://example.com/{n}" for n in range(60)]
    ids = here("queue", "add", source, *urls, "--create").lines()
    extra = {"url": "https://example.com/x", "uniqueKey": "x", "userData": {"é": [1.5]}, "odd": 1}
    here("queue", "add", source, json.dumps(extra), "--forefront")
    here("queue", "handle", source, *ids[:5])
    here("queue", "handle", source, *ids[5:8], "--error", "HTTP 500")
    here("queue", "lock", source, "--limit", "2", "--secs", "600")
    return source, target


def test_requests_are_copied_whole_with_their_state_and_order(
    here: Here, queues: tuple[str, str]
) -> None:
    source, target = queues

    done: Done = here("queue", "copy", source, target, "--create", "--json")

    assert done.code == 0, done.err
    assert (done.json()["copied"], done.json()["targetCount"]) == (61, 61)
    there, copied = listed(here, source), listed(here, target)
    assert Counter(one["state"] for one in copied.values()) == {
        "pending": 53, "handled": 5, "failed": 3,
    }  # fmt: skip
    for key, request in there.items():
        mine = {name: request[name] for name in request if not name.startswith("lock")}
        assert copied[key] | {"state": ""} == mine | {"state": ""}
    order = here("queue", "head", source, "-q").lines()
    assert here("queue", "head", target, "-q").lines()[: len(order)] == order


def test_a_copy_of_requests_adds_none_twice_and_changes_none(
    here: Here, queues: tuple[str, str]
) -> None:
    source, target = queues
    here("queue", "add", target, "https://example.com/0", "--user-data", '{"mine":1}', "--create")

    first = here("queue", "copy", source, target, "--json").json()
    second = here("queue", "copy", source, target, "--json").json()

    assert (first["added"], first["alreadyPresent"]) == (60, 1)
    assert (second["added"], second["targetCount"]) == (0, 61)
    assert listed(here, target)["https://example.com/0"]["userData"] == {"mine": 1}


def test_failed_requests_are_copied_to_be_run_again(here: Here, queues: tuple[str, str]) -> None:
    source, target = queues

    here("queue", "copy", source, target, "--create", "--state", "failed", "--reset")

    copied = listed(here, target).values()
    assert len(copied) == 3
    assert {one["state"] for one in copied} == {"pending"}
    assert all(one["errorMessages"] == [] for one in copied)


# All of them


@pytest.mark.parametrize("noun", ["dataset", "kvs", "queue"])
def test_a_storage_is_not_copied_onto_itself(here: Here, noun: str) -> None:
    id = here(noun, "create", "one").out.strip()

    done = here(noun, "copy", "one", id)

    assert (done.code, done.out) == (2, "")
    assert "the same" in done.err


@pytest.mark.parametrize("noun", ["dataset", "kvs", "queue"])
def test_the_storage_that_is_missing_is_named(here: Here, noun: str) -> None:
    here(noun, "create", "one")

    no_source = here(noun, "copy", "none", "one")
    no_target = here(noun, "copy", "one", "none")

    assert (no_source.code, no_target.code) == (3, 3)
    assert "'none' not found" in no_source.err
    assert "'none' not found" in no_target.err
    assert "--create" in no_target.err


@pytest.mark.parametrize("noun", ["dataset", "kvs", "queue"])
def test_an_empty_storage_is_copied(here: Here, noun: str) -> None:
    here(noun, "create", "one")

    assert here(noun, "copy", "one", "two", "--create").code == 0
    assert here(noun, "info", "two").code == 0
