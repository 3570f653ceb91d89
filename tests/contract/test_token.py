"""What tokens and users promise, whatever keeps them."""

from __future__ import annotations

import msgspec
import pytest

from storectl import client
from storectl.client.store import ClientStore
from storectl.engine.store import EngineStore
from storectl.errors import Conflict, InvalidInput, NotFound, Unauthorized
from storectl.model import rules
from storectl.model.store import Store


def test_a_store_speaks_for_a_user(store: Store) -> None:
    me = store.tokens.me()

    assert me.id
    assert store.tokens.user(me.id).username == me.username
    assert store.tokens.user(me.username.upper()).username == me.username


def test_a_secret_is_shown_once_and_has_its_form(store: Store) -> None:
    made = store.tokens.create("ci")

    listed = {token.name: token for token in store.tokens.list()}["ci"]

    assert made.secret is not None
    assert rules.is_token(made.secret)
    assert made.last4 == made.secret[-4:] == listed.last4
    assert listed.secret is None
    assert listed.username == store.tokens.me().username


def test_two_tokens_of_a_user_have_two_names(store: Store) -> None:
    store.tokens.create("ci")

    with pytest.raises(Conflict):
        store.tokens.create("ci")


@pytest.mark.parametrize(
    "name", ["", "x" * 101, "a\nb", "\x1b[31m", "a/b", "/", ".", "..", "current"]
)
def test_a_name_that_cannot_be_shown_or_asked_for_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput):
        store.tokens.create(name)


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_revoked_token_is_gone(store: Store, by: str) -> None:
    made = store.tokens.create("ci")

    revoked = store.tokens.revoke(getattr(made, by))

    assert revoked.id == made.id
    assert "ci" not in [token.name for token in store.tokens.list()]
    with pytest.raises(NotFound):
        store.tokens.revoke(made.id)


def test_a_token_that_is_not_there_cannot_be_revoked(store: Store) -> None:
    with pytest.raises(NotFound):
        store.tokens.revoke("nothing")


def test_a_user_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.tokens.user("nobody-at-all")


def test_a_token_says_what_it_may_and_until_when(store: Store) -> None:
    made = store.tokens.create("ci", scope=["dataset:read", "kvs:list"], secs=3600)

    found = store.tokens.get("ci")

    assert found == msgspec.structs.replace(made, secret=None)
    assert found.scope == ["dataset:read", "kvs:list"]
    assert found.expires_at is not None
    assert found.expires_at > rules.iso(rules.now_ms() + 3_000_000)
    assert store.tokens.create("all").scope is None


@pytest.mark.parametrize(
    "scope",
    [
        ["all"],
        ["dataset"],
        ["dataset:"],
        ["dataset:admin"],
        ["datasets:read"],
        ["dataset/x:read"],
        ["dataset/WkzbQMuFYuamGv3YF:list"],
        ["dataset/WkzbQMuFYuamGv3YF:own"],
        ["dataset:read", ""],
    ],
)
def test_a_scope_that_means_nothing_is_refused(store: Store, scope: list[str]) -> None:
    with pytest.raises(InvalidInput):
        store.tokens.create("ci", scope=scope)

    assert "ci" not in [token.name for token in store.tokens.list()]


@pytest.mark.parametrize("secs", [0, -1, 10**12])
def test_a_life_is_at_least_a_second_and_has_an_end(store: Store, secs: int) -> None:
    with pytest.raises(InvalidInput):
        store.tokens.create("ci", secs=secs)


@pytest.mark.parametrize("keep_secs", [0, 3600])
def test_a_rotated_token_is_the_same_with_another_secret(store: Store, keep_secs: int) -> None:
    made = store.tokens.create("ci", scope=["dataset:read"], secs=7200)

    rotated = store.tokens.rotate("ci", keep_secs=keep_secs)

    assert rotated.secret not in (None, made.secret)
    assert (rotated.id, rotated.scope, rotated.expires_at) == (made.id, made.scope, made.expires_at)
    assert store.tokens.get(made.id).last4 == (rotated.secret or "")[-4:]
    assert (store.tokens.get(made.id).previous_until is not None) is bool(keep_secs)


@pytest.mark.parametrize("keep_secs", [-1, 10**12])
def test_an_old_secret_is_not_kept_for_ever(store: Store, keep_secs: int) -> None:
    store.tokens.create("ci")

    with pytest.raises(InvalidInput):
        store.tokens.rotate("ci", keep_secs=keep_secs)


@pytest.mark.parametrize("call", ["get", "rotate", "revoke"])
def test_a_token_that_is_not_there_is_not_found(store: Store, call: str) -> None:
    with pytest.raises(NotFound):
        getattr(store.tokens, call)("nothing")


def test_a_name_is_free_again_once_its_token_has_ended(store: Store) -> None:
    first = store.tokens.create("ci")
    store.tokens.revoke("ci")

    assert store.tokens.create("ci").id != first.id


def test_a_store_that_is_opened_itself_is_called_with_no_token(
    shared_server: tuple[str, EngineStore],
) -> None:
    address, owner = shared_server
    made = owner.tokens.create("this-one", username="current", scope=["dataset:read"])
    theirs = client.open_store(address, made.secret, retries=0)

    assert theirs.tokens.current().id == made.id
    assert theirs.tokens.current().last_used_at is not None
    with pytest.raises(NotFound):
        owner.tokens.current()


def test_a_user_is_made_on_the_store_with_an_email_of_their_own(
    shared_server: tuple[str, EngineStore],
) -> None:
    address, owner = shared_server
    made = owner.tokens.create("first", username="has-email", email="has@example.com")
    theirs = client.open_store(address, made.secret, retries=0)

    assert theirs.tokens.me().email == "has@example.com"
    with pytest.raises(Conflict):
        owner.tokens.create("first", username="wants-the-same", email="HAS@example.com")
    with pytest.raises(NotFound):
        owner.tokens.user("wants-the-same")
    with pytest.raises(InvalidInput):
        owner.tokens.create("second", username="has-email", email="me@localhost")
    with pytest.raises(InvalidInput):
        theirs.tokens.create("third", email="other@example.com")


def test_a_token_opens_the_server_until_it_is_revoked(
    shared_server: tuple[str, EngineStore],
) -> None:
    address, owner = shared_server
    made = owner.tokens.create("short", username="shorty")
    theirs: ClientStore = client.open_store(address, made.secret, retries=0)

    before = theirs.tokens.me().username
    owner.tokens.revoke(made.id)  # by another process than the one that serves

    assert before == "shorty"
    with pytest.raises(Unauthorized):
        theirs.tokens.me()


def test_users_see_their_own_tokens_and_the_owner_of_the_store_all(
    shared_server: tuple[str, EngineStore],
) -> None:
    address, owner = shared_server
    mine = owner.tokens.create("mine", username="sees-own")
    owner.tokens.create("theirs", username="sees-own-too")
    theirs = client.open_store(address, mine.secret, retries=0)

    assert [token.name for token in theirs.tokens.list()] == ["mine"]
    assert {"mine", "theirs"} <= {token.name for token in owner.tokens.list()}
    with pytest.raises(InvalidInput):
        theirs.tokens.create("more", username="sees-own-too")
