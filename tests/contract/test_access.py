"""What rights, scopes and links promise, whatever keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from storectl import client
from storectl.engine.store import EngineStore
from storectl.errors import Forbidden, InvalidInput, NotFound
from storectl.model import rules
from storectl.model.items import Items
from storectl.model.storage import NOUNS, Change, ListQuery
from storectl.model.store import Store

_numbers = count()

Opened = Callable[..., Store]


@pytest.fixture
def opened(shared_server: tuple[str, EngineStore]) -> Iterator[Opened]:
    """opened(user, scope=…): the server, seen through a new token of the user."""
    address, owner = shared_server
    stores = []

    def made(username: str, **more: object) -> Store:
        token = owner.tokens.create(f"opened-{next(_numbers)}", username=username, **more)
        stores.append(client.open_store(address, token.secret, retries=0))
        return stores[-1]

    yield made
    for store in stores:
        store.close()


@pytest.fixture
def bob(store: Store, shared_server: tuple[str, EngineStore]) -> str:
    """Another user of the same store."""
    name = f"bob{next(_numbers)}"
    owner = store if isinstance(store, EngineStore) else shared_server[1]
    owner.tokens.create("bob", username=name, email=f"{name}@example.com")
    return name


def keeper(store: Store, noun: str):  # one of three
    return {"dataset": store.datasets, "kvs": store.kvs, "queue": store.queues}[noun]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_new_storage_is_shared_with_nobody(store: Store, noun: str) -> None:
    made, _ = keeper(store, noun).create("mine")

    found = store.access.get(noun, "~mine")

    assert (found.id, found.name, found.noun) == (made.id, "mine", noun)
    assert found.username == store.tokens.me().username
    assert found.general_access == "FOLLOW_USER_SETTING"
    assert (found.grants, found.links) == ([], [])


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("right", ["read", "write", "manage"])
def test_a_right_is_given_and_taken(store: Store, bob: str, noun: str, right: str) -> None:
    made, _ = keeper(store, noun).create("mine")

    given = store.access.grant(noun, made.id, bob, right)
    listed = store.access.get(noun, made.id).grants
    taken = store.access.revoke(noun, made.id, bob)

    assert (given.username, given.right) == (bob, right)
    assert listed == [given] == [taken]
    assert store.access.get(noun, made.id).grants == []
    with pytest.raises(NotFound):
        store.access.revoke(noun, made.id, bob)


def test_a_user_is_meant_by_id_name_or_email(store: Store, bob: str) -> None:
    store.datasets.create("mine")
    id = store.access.grant("dataset", "~mine", bob, "read").user_id

    for text in (id, bob.upper(), f"{bob}@EXAMPLE.com"):
        assert store.access.grant("dataset", "~mine", text, "write").user_id == id

    assert [grant.right for grant in store.access.get("dataset", "~mine").grants] == ["write"]


def test_an_email_says_nothing_about_its_user_to_others(store: Store, bob: str) -> None:
    with pytest.raises(NotFound):
        store.tokens.user(f"{bob}@example.com")


@pytest.mark.parametrize("user", ["nobody-at-all", "nobody@example.com", "%", "a/b"])
def test_whom_nobody_knows_gets_no_right(store: Store, user: str) -> None:
    store.datasets.create("mine")

    for call in (
        lambda: store.access.grant("dataset", "~mine", user, "read"),
        lambda: store.access.revoke("dataset", "~mine", user),
        lambda: store.access.held("dataset", "~mine", user),
    ):
        with pytest.raises(NotFound, match=f"'{user}'|no API endpoint"):  # of a path with a slash
            call()


def test_a_right_that_is_not_there_is_told_from_a_storage_that_is_not(
    store: Store, bob: str
) -> None:
    store.datasets.create("mine")

    with pytest.raises(NotFound, match=f"User '{bob}' has no right"):
        store.access.revoke("dataset", "~mine", bob)


@pytest.mark.parametrize("noun", NOUNS)
def test_what_one_user_has_can_be_asked_before_it_is_changed(
    store: Store, bob: str, noun: str
) -> None:
    made, _ = keeper(store, noun).create("mine")

    before = store.access.held(noun, "~mine", f"{bob}@EXAMPLE.com")
    store.access.grant(noun, made.id, bob, "write")
    after = store.access.held(noun, made.id, bob.upper())
    mine = store.access.held(noun, made.id, store.tokens.me().username)

    assert (before.username, before.right) == (bob, None)
    assert (after.username, after.right) == (bob, "write")
    assert mine.right == "own"


@pytest.mark.parametrize("right", ["", "own", "READ", "list", "admin"])
def test_there_are_three_rights(store: Store, bob: str, right: str) -> None:
    store.datasets.create("mine")

    with pytest.raises(InvalidInput):
        store.access.grant("dataset", "~mine", bob, right)


def test_an_owner_needs_no_right(store: Store) -> None:
    store.datasets.create("mine")

    with pytest.raises(InvalidInput):
        store.access.grant("dataset", "~mine", store.tokens.me().username, "read")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_storage_that_is_not_there_is_not_found(store: Store, bob: str, noun: str) -> None:
    for call in (
        lambda: store.access.get(noun, "~nothing"),
        lambda: store.access.grant(noun, "~nothing", bob, "read"),
        lambda: store.access.revoke(noun, "~nothing", bob),
        lambda: store.access.rotate(noun, "~nothing"),
    ):
        with pytest.raises(NotFound):
            call()


def test_rights_go_with_their_storage(store: Store, bob: str) -> None:
    store.tokens.update_me(default_access="RESTRICTED")
    made, _ = store.datasets.create("mine")
    store.access.grant("dataset", made.id, bob, "read")
    store.access.link("dataset", made.id, secs=None)

    store.datasets.delete(made.id)
    again, _ = store.datasets.create("mine")

    assert store.access.get("dataset", again.id).grants == []
    assert store.access.report() == []


@pytest.mark.parametrize(("secs", "lasts"), [(None, False), (3600, True)])
@pytest.mark.parametrize("noun", ["dataset", "kvs"])
def test_a_link_is_signed_and_remembered(
    store: Store, noun: str, secs: int | None, lasts: bool
) -> None:
    made, _ = keeper(store, noun).create("mine")

    link = store.access.link(noun, "~mine", secs=secs)

    secret = str(keeper(store, noun).get("~mine").url_signing_secret_key)
    assert rules.opens_content(link.signature or "", secret, made.id, rules.now_ms())
    far = rules.now_ms() + 7200 * 1000
    assert rules.opens_content(link.signature or "", secret, made.id, far) is not lasts
    (kept,) = store.access.get(noun, "~mine").links
    assert (kept.key, kept.expires_at, kept.signature) == (None, link.expires_at, None)


def test_a_link_to_a_record_never_expires(store: Store) -> None:
    store.kvs.create("mine")

    link = store.access.link("kvs", "~mine", key="OUTPUT", secs=None)

    secret = str(store.kvs.get("~mine").url_signing_secret_key)
    assert link.signature == rules.record_signature(secret, "OUTPUT")
    assert link.expires_at is None
    with pytest.raises(InvalidInput):
        store.access.link("kvs", "~mine", key="OUTPUT", secs=60)


@pytest.mark.parametrize(
    ("noun", "more"),
    [
        ("queue", {"secs": None}),
        ("dataset", {"secs": None, "key": "a"}),
        ("kvs", {"secs": None, "key": "a/b"}),
        ("kvs", {"secs": 0}),
        ("dataset", {"secs": 10**12}),
    ],
)
def test_a_link_that_nothing_would_open_is_refused(
    store: Store, noun: str, more: dict[str, object]
) -> None:
    keeper(store, noun).create("mine")

    with pytest.raises(InvalidInput):
        store.access.link(noun, "~mine", **more)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_new_signing_key_ends_every_link(store: Store, noun: str) -> None:
    keeper(store, noun).create("mine")
    before = keeper(store, noun).get("~mine").url_signing_secret_key
    if noun != "queue":
        store.access.link(noun, "~mine", secs=None)

    store.access.rotate(noun, "~mine")

    assert keeper(store, noun).get("~mine").url_signing_secret_key != before
    assert store.access.get(noun, "~mine").links == []


def test_the_report_has_what_others_may_see(store: Store, bob: str) -> None:
    store.tokens.update_me(default_access="RESTRICTED")
    store.datasets.create("private")
    shared, _ = store.datasets.create("shared")
    public, _ = store.kvs.create("public")
    linked, _ = store.kvs.create()
    store.access.grant("dataset", shared.id, bob, "read")
    store.kvs.update(public.id, Change(general_access="ANYONE_WITH_ID_CAN_READ"))
    store.access.link("kvs", linked.id, secs=60)

    found = store.access.report()

    assert [(one.noun, one.id) for one in found] == [
        ("dataset", shared.id),
        ("kvs", public.id),
        ("kvs", linked.id),
    ]
    assert [grant.username for grant in found[0].grants] == [bob]
    assert found[1].effective_access == "ANYONE_WITH_ID_CAN_READ"
    assert len(found[2].links) == 1


def test_a_storage_follows_its_account(store: Store) -> None:
    made, _ = store.datasets.create("mine")

    store.tokens.update_me(default_access="ANYONE_WITH_ID_CAN_READ")

    assert store.tokens.me().default_access == "ANYONE_WITH_ID_CAN_READ"
    assert store.access.get("dataset", made.id).effective_access == "ANYONE_WITH_ID_CAN_READ"
    assert _ids(store.access.report()) == [made.id]
    store.tokens.update_me(default_access="RESTRICTED")
    assert store.access.report() == []


@pytest.mark.parametrize("level", ["ANYONE_WITH_NAME_CAN_READ", "FOLLOW_USER_SETTING", "x", ""])
def test_an_account_has_two_levels(store: Store, level: str) -> None:
    with pytest.raises(InvalidInput):
        store.tokens.update_me(default_access=level)


def test_what_is_shared_is_listed_and_found_by_name(opened: Opened) -> None:
    alice, bob = opened("share-alice"), opened("share-bob")
    mine, _ = bob.datasets.create("mine")
    theirs, _ = alice.datasets.create("theirs")
    alice.datasets.push("~theirs", Items.of([{"n": 1}]))
    alice.access.grant("dataset", "~theirs", "share-bob", "read")

    def listed(ownership: str | None) -> list[tuple[str, str | None]]:
        found = bob.datasets.list(ListQuery(ownership=ownership))
        assert found.total == len(found.items)
        return [(item.id, item.username) for item in found.items]

    assert listed(None) == [(mine.id, "share-bob"), (theirs.id, "share-alice")]
    assert listed("ownedByMe") == [(mine.id, "share-bob")]
    assert listed("sharedWithMe") == [(theirs.id, "share-alice")]
    assert bob.datasets.get("share-alice~theirs").id == theirs.id
    with pytest.raises(Forbidden):
        bob.datasets.push(theirs.id, Items.of([{"n": 2}]))
    with pytest.raises(Forbidden):
        bob.access.get("dataset", theirs.id)


def test_a_right_that_is_taken_ends_at_once(opened: Opened) -> None:
    alice, bob = opened("once-alice"), opened("once-bob")
    theirs, _ = alice.datasets.create("theirs")
    alice.access.grant("dataset", theirs.id, "once-bob", "write")
    bob.datasets.push(theirs.id, Items.of([{"n": 1}]))

    alice.access.grant("dataset", theirs.id, "once-bob", "read")
    with pytest.raises(Forbidden):
        bob.datasets.push(theirs.id, Items.of([{"n": 2}]))
    assert bob.datasets.get(theirs.id).item_count == 1
    alice.access.revoke("dataset", theirs.id, "once-bob")

    with pytest.raises(Forbidden):
        bob.datasets.get(theirs.id)
    assert bob.datasets.list(ListQuery(ownership="sharedWithMe")).items == []


def test_who_may_manage_may_share_further(opened: Opened) -> None:
    alice, bob, carol = opened("mgr-alice"), opened("mgr-bob"), opened("mgr-carol")
    made, _ = alice.kvs.create("theirs")
    alice.access.grant("kvs", made.id, "mgr-bob", "manage")

    bob.access.grant("kvs", "mgr-alice~theirs", "mgr-carol", "read")

    assert carol.kvs.get("mgr-alice~theirs").id == made.id
    assert [grant.username for grant in alice.access.get("kvs", made.id).grants] == [
        "mgr-bob",
        "mgr-carol",
    ]


@pytest.mark.parametrize(
    ("scope", "names"), [(["dataset:list"], {"one", "two"}), (["kvs:list", "dataset:read"], None)]
)
def test_a_scope_lists_a_kind_or_not(
    opened: Opened, scope: list[str], names: set[str] | None
) -> None:
    user = f"lists{next(_numbers)}"
    all_of_them = opened(user)
    for name in ("one", "two"):
        all_of_them.datasets.create(name)

    scoped = opened(user, scope=scope)

    if names is None:
        with pytest.raises(Forbidden):
            scoped.datasets.list(ListQuery())
    else:
        assert {item.name for item in scoped.datasets.list(ListQuery()).items} == names


def _ids(found: list) -> list[str]:
    return [one.id for one in found]
