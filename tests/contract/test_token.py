"""What tokens and users promise, whatever keeps them."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x1b[31m"])
def test_a_name_that_cannot_be_shown_is_refused(store: Store, name: str) -> None:
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
