"""Tokens by the clock, and what the database keeps of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.errors import InvalidInput
from storectl.model import rules

from ..clock import Clock

HOUR_MS = 3_600_000


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000_000)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[EngineStore]:
    found = open_store(str(tmp_path / "store"), username="alice", clock=clock)
    yield found
    found.close()


def opens(store: EngineStore, secret: str | None) -> bool:
    return store.caller(secret or "") is not None


def test_a_token_works_until_the_moment_it_expires(store: EngineStore, clock: Clock) -> None:
    secret = store.tokens.create("ci", secs=60).secret
    start = clock.now

    lasts = {}
    for after_ms in (0, 59_999, 60_000, 10**9):
        clock.now = start + after_ms
        lasts[after_ms] = opens(store, secret)

    assert lasts == {0: True, 59_999: True, 60_000: False, 10**9: False}


@pytest.mark.parametrize("keep_secs", [0, 60])
def test_an_old_secret_works_as_long_as_it_is_kept(
    store: EngineStore, clock: Clock, keep_secs: int
) -> None:
    old = store.tokens.create("ci").secret
    before = store.caller(old or "")
    new = store.tokens.rotate("ci", keep_secs=keep_secs).secret

    at_once = opens(store, old)
    clock.now += keep_secs * 1000
    later = opens(store, old)

    assert (at_once, later) == (bool(keep_secs), False)
    assert store.caller(new or "") == before


def test_only_the_last_secret_before_is_kept(store: EngineStore) -> None:
    first = store.tokens.create("ci").secret
    second = store.tokens.rotate("ci", keep_secs=60).secret
    third = store.tokens.rotate("ci", keep_secs=60).secret

    assert [opens(store, secret) for secret in (first, second, third)] == [False, True, True]


def test_a_kept_secret_ends_with_its_token(store: EngineStore, clock: Clock) -> None:
    old = store.tokens.create("ci", secs=30).secret
    new = store.tokens.rotate("ci", keep_secs=60).secret
    clock.now += 30_000

    assert not opens(store, old)
    assert not opens(store, new)
    with pytest.raises(InvalidInput):
        store.tokens.rotate("ci")


@pytest.mark.parametrize("which", ["old", "new"])
def test_revoking_ends_both_secrets(store: EngineStore, which: str) -> None:
    secrets = {"old": store.tokens.create("ci").secret}
    secrets["new"] = store.tokens.rotate("ci", keep_secs=60).secret
    assert opens(store, secrets[which])

    store.tokens.revoke("ci")

    assert not opens(store, secrets[which])


def test_the_last_use_is_known_to_the_hour(store: EngineStore, clock: Clock) -> None:
    secret = store.tokens.create("ci").secret or ""

    used = []
    for after_ms in (0, HOUR_MS, 2 * HOUR_MS + 1):
        clock.now = 1_700_000_000_000 + after_ms
        store.caller(secret)
        used.append(store.tokens.get("ci").last_used_at)

    assert used == [
        rules.iso(1_700_000_000_000),
        rules.iso(1_700_000_000_000),
        rules.iso(1_700_000_000_000 + 2 * HOUR_MS + 1),
    ]


def test_no_secret_is_in_the_folder(store: EngineStore, tmp_path: Path) -> None:
    made = store.tokens.create("ci")
    kept = store.tokens.rotate("ci", keep_secs=60)
    store.caller(kept.secret or "")

    for file in (tmp_path / "store").rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            for secret in (made.secret, kept.secret):
                assert (secret or "").encode() not in held, file


def test_what_strangers_try_is_not_remembered(store: EngineStore) -> None:
    for _ in range(20):
        store.caller(rules.new_token())

    assert store.tokens._memory._kept[1] == {}


def test_a_user_who_is_there_is_not_made_again(store: EngineStore) -> None:
    first = store.tokens.create("a", username="bob", email="bob@example.com")
    second = store.tokens.create("b", username="BOB")

    assert (first.username, second.username) == ("bob", "bob")
    assert store.tokens.user("bob").email == "bob@example.com"


def test_a_link_leaves_the_list_when_it_expires(store: EngineStore, clock: Clock) -> None:
    store.datasets.create("a")
    store.access.link("dataset", "~a", secs=60)
    clock.now += 60_000

    assert store.access.get("dataset", "~a").links == []


def test_nothing_is_left_of_a_deleted_storage(store: EngineStore) -> None:
    store.tokens.create("bob", username="bob")
    made, _ = store.kvs.create("a")
    store.access.grant("kvs", made.id, "bob", "read")
    store.access.link("kvs", made.id, key="k", secs=None)

    store.kvs.delete(made.id)

    for table in ("granted", "link"):
        assert store._db.one(f"SELECT count(*) FROM {table}") == (0,)
