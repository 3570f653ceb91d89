"""The official Python client: accounts, storages of every kind, access and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import pytest
from apify_client import ApifyClient
from apify_client.errors import (
    ApifyApiError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    UnauthorizedError,
)
from running import Start

NOUNS = ["dataset", "key_value_store", "request_queue"]
ABSENT_ID = "WkzbQMuFYuamGv3YF"

noun = pytest.mark.parametrize("noun", NOUNS)


def _all(client: ApifyClient, noun: str) -> Any:
    return getattr(client, f"{noun}s")()


def _one(client: ApifyClient, noun: str, ref: str) -> Any:
    return getattr(client, noun)(ref)


def _made(client: ApifyClient, noun: str, name: str | None = None) -> Any:
    """The client of a storage that is there."""
    return _one(client, noun, _all(client, noun).get_or_create(name=name).id)


def _write(storage: Any, noun: str) -> None:
    if noun == "dataset":
        storage.push_items({"n": 1})
    elif noun == "key_value_store":
        storage.set_record("OUTPUT", {"n": 1})
    else:
        storage.add_request({"url": "http://a.test", "unique_key": "http://a.test"})


def _read(storage: Any, noun: str) -> Any:
    if noun == "dataset":
        return storage.list_items().items
    if noun == "key_value_store":
        return storage.list_keys().items
    return storage.list_requests().items


def test_the_own_account_is_a_private_one_and_others_are_public(
    alice: ApifyClient, nobody: ApifyClient
) -> None:
    own = alice.user().get()
    seen = nobody.user("alice").get()

    assert own.username == seen.username == "alice"
    assert own.id
    assert own.effective_platform_features.model_dump(by_alias=True)["STORAGE"]["isEnabled"]
    assert seen.model_dump(exclude_unset=True).keys() == {"username", "profile"}
    assert alice.user("no-such-user").get() is None


def test_what_a_storage_server_does_not_know_is_not_found(alice: ApifyClient) -> None:
    for ask in (alice.user().limits, alice.user().monthly_usage):
        with pytest.raises(NotFoundError):
            ask()
    assert alice.actor("apify/web-scraper").get() is None


@noun
def test_a_name_leads_to_one_storage(alice: ApifyClient, noun: str) -> None:
    made = _all(alice, noun).get_or_create(name="one-storage")
    again = _all(alice, noun).get_or_create(name="one-storage")
    by_name = _one(alice, noun, "~one-storage").get()
    by_user = _one(alice, noun, "alice/one-storage").get()

    assert made.id == again.id == by_name.id == by_user.id
    assert by_name.name == "one-storage"
    assert by_name.user_id == alice.user().get().id


@noun
def test_without_a_name_every_storage_is_new(alice: ApifyClient, noun: str) -> None:
    made = {_all(alice, noun).get_or_create().id for _ in range(3)}

    assert len(made) == 3
    assert all(_one(alice, noun, id).get().name is None for id in made)


@noun
def test_a_listing_has_named_storages_and_unnamed_ones_on_request(
    client_of: Callable[[str], ApifyClient], noun: str
) -> None:
    carol = client_of(f"carol-{noun}")
    names = ["a", "b", "c"]
    made = [_all(carol, noun).get_or_create(name=name).id for name in names]
    unnamed = _all(carol, noun).get_or_create().id

    named = _all(carol, noun).list()
    whole = _all(carol, noun).list(unnamed=True)
    part = _all(carol, noun).list(desc=True, offset=1, limit=1)
    past = _all(carol, noun).list(offset=10)

    assert [item.name for item in named.items] == names
    assert [item.id for item in whole.items] == [*made, unnamed]
    assert (named.total, named.count, named.offset, named.desc) == (3, 3, 0, False)
    assert ([item.name for item in part.items], part.total, part.limit) == (["b"], 3, 1)
    assert (past.items, past.total) == ([], 3)
    assert [item.id for item in _all(carol, noun).iterate(chunk_size=2)] == made
    assert _all(carol, noun).list(ownership="ownedByMe").total == 3
    assert _all(carol, noun).list(ownership="sharedWithMe").total == 0


@noun
def test_a_storage_is_renamed_and_deleted(alice: ApifyClient, noun: str) -> None:
    storage = _made(alice, noun)

    renamed = storage.update(name=f"renamed-{noun.replace('_', '-')}", title="A title")
    storage.delete()

    assert renamed.name == f"renamed-{noun.replace('_', '-')}"
    assert storage.get() is None
    assert storage.delete() is None


@noun
def test_a_taken_name_is_a_conflict_and_a_bad_one_invalid(alice: ApifyClient, noun: str) -> None:
    _all(alice, noun).get_or_create(name="taken")
    storage = _made(alice, noun)

    with pytest.raises(ConflictError):
        storage.update(name="taken")
    for bad in ("-a", "a_b", "a" * 64, "a b"):
        with pytest.raises(InvalidRequestError):
            _all(alice, noun).get_or_create(name=bad)
        with pytest.raises(InvalidRequestError):
            storage.update(name=bad)
    assert storage.get().name is None


@noun
def test_a_restricted_storage_is_closed_to_others(
    alice: ApifyClient, bob: ApifyClient, nobody: ApifyClient, noun: str
) -> None:
    owned = _made(alice, noun)
    of_bob, of_nobody = (_one(client, noun, owned.resource_id) for client in (bob, nobody))

    for forbidden in (of_bob.get, of_bob.delete, lambda: of_bob.update(name="mine")):
        with pytest.raises(ForbiddenError, match="Insufficient permissions"):
            forbidden()
    with pytest.raises(ForbiddenError):
        _read(of_bob, noun)
    with pytest.raises(ForbiddenError):
        _write(of_bob, noun)
    with pytest.raises(UnauthorizedError) as refused:
        of_nobody.get()
    assert refused.value.type == "token-not-provided"
    assert owned.get() is not None


@noun
def test_general_access_opens_reads_and_never_writes(
    alice: ApifyClient, bob: ApifyClient, nobody: ApifyClient, noun: str
) -> None:
    name = f"open-{noun.replace('_', '-')}"
    owned = _made(alice, noun, name)
    _write(owned, noun)
    by_id = [_one(client, noun, owned.resource_id) for client in (bob, nobody)]
    by_name = [_one(client, noun, f"alice~{name}") for client in (bob, nobody)]

    owned.update(general_access="ANYONE_WITH_ID_CAN_READ")
    for reader in by_id:
        assert len(_read(reader, noun)) == 1
        assert not getattr(reader.get(), "url_signing_secret_key", None)
    for stranger in by_name:
        with pytest.raises((ForbiddenError, UnauthorizedError)):
            _read(stranger, noun)

    owned.update(general_access="ANYONE_WITH_NAME_CAN_READ")
    for reader in by_id + by_name:
        assert len(_read(reader, noun)) == 1
        with pytest.raises((ForbiddenError, UnauthorizedError)):
            _write(reader, noun)
        with pytest.raises((ForbiddenError, UnauthorizedError)):
            reader.delete()

    owned.update(general_access="RESTRICTED")
    for stranger in by_id + by_name:
        with pytest.raises((ForbiddenError, UnauthorizedError)):
            _read(stranger, noun)


def test_a_wrong_token_is_unauthorized(alice: ApifyClient) -> None:
    address = alice._base_url
    for token in ("nonsense", f"{alice.token}x", "storectl_" + "0" * 36):
        liar = ApifyClient(token, api_url=address, max_retries=0)

        with pytest.raises(UnauthorizedError) as refused:
            liar.datasets().list()

        assert refused.value.type == "user-or-token-not-found"


@noun
def test_listing_and_creating_need_a_token(nobody: ApifyClient, noun: str) -> None:
    for ask in (_all(nobody, noun).list, _all(nobody, noun).get_or_create):
        with pytest.raises(UnauthorizedError) as refused:
            ask()
        assert refused.value.type == "token-not-provided"


@noun
def test_a_storage_of_another_kind_is_not_found(alice: ApifyClient, noun: str) -> None:
    storage = _made(alice, noun)
    for other in set(NOUNS) - {noun}:
        assert _one(alice, other, storage.resource_id).get() is None
    assert _one(alice, noun, ABSENT_ID).get() is None


def test_over_its_rate_a_storage_answers_429_and_the_client_waits_it_out(
    start: Start, tmp_path: Any
) -> None:
    server = start(tmp_path / "store", "--rate-limit", "5/5")
    token = server.token("alice")
    hasty = ApifyClient(token, api_url=server.address, max_retries=0)
    patient = ApifyClient(token, api_url=server.address)
    dataset = hasty.datasets().get_or_create()

    def push_twenty() -> None:
        for n in range(20):
            hasty.dataset(dataset.id).push_items({"n": n})

    with pytest.raises(RateLimitError) as refused:
        push_twenty()
    before = patient.dataset(dataset.id).get().item_count
    for n in range(8):
        patient.dataset(dataset.id).push_items({"n": n})

    assert refused.value.type == "rate-limit-exceeded"
    assert patient.dataset(dataset.id).list_items().total == before + 8


def test_without_a_choice_of_access_whoever_knows_the_id_reads(start: Start, tmp_path: Any) -> None:
    server = start(tmp_path / "store")
    alice = ApifyClient(
        server.token("alice"), api_url=server.address, api_public_url=server.address
    )
    dataset = alice.dataset(alice.datasets().get_or_create().id)
    dataset.push_items({"n": 1})

    with urlopen(f"{server.address}/v2/datasets/{dataset.resource_id}/items") as response:
        assert json.load(response) == [{"n": 1}]
    with pytest.raises(ApifyApiError):
        ApifyClient(api_url=server.address).dataset(str(dataset.resource_id)).push_items({})
