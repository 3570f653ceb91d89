"""The official Python client across accounts: rights, scopes, links without a token."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from apify_client import ApifyClient
from apify_client.errors import ForbiddenError
from running import Server

_names = count()


@pytest.fixture
def name() -> str:
    return f"shared-{next(_names)}"


@pytest.fixture
def share(server: Server, alice: ApifyClient) -> Callable[..., None]:
    """share(path, user, right or None): what `storectl access` does, in plain HTTP."""

    def shared(path: str, user: str, right: str | None) -> None:
        body = json.dumps({"right": right}).encode() if right else None
        asked = Request(
            f"{server.address}/v2/{path}/access/{user}",
            method="PUT" if right else "DELETE",
            data=body,
            headers={
                "Authorization": f"Bearer {alice.token}",
                "Content-Type": "application/json",
            },
        )
        with urlopen(asked) as answer:
            assert answer.status == 200

    return shared


def opened(url: str) -> tuple[int, bytes]:
    """What anyone gets there, without a token."""
    try:
        with urlopen(url) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_a_shared_dataset_is_read_by_name_then_written_then_closed(
    alice: ApifyClient, bob: ApifyClient, share: Callable[..., None], name: str
) -> None:
    made = alice.datasets().get_or_create(name=name)
    alice.dataset(made.id).push_items({"n": 1})
    theirs = bob.dataset(f"alice/{name}")

    share(f"datasets/{made.id}", "bob", "read")
    assert theirs.list_items().items == [{"n": 1}]
    with pytest.raises(ForbiddenError):
        theirs.push_items({"n": 2})

    share(f"datasets/{made.id}", "bob", "write")
    theirs.push_items({"n": 2})
    assert made.id in [item.id for item in bob.datasets().list(ownership="sharedWithMe").items]
    assert made.id in [item.id for item in bob.datasets().list().items]
    assert made.id not in [item.id for item in bob.datasets().list(ownership="ownedByMe").items]

    share(f"datasets/{made.id}", "bob", None)
    with pytest.raises(ForbiddenError):
        theirs.list_items()
    assert alice.dataset(made.id).list_items().items == [{"n": 1}, {"n": 2}]


def test_a_shared_queue_is_worked_on_by_two_accounts(
    alice: ApifyClient, bob: ApifyClient, share: Callable[..., None], name: str
) -> None:
    made = alice.request_queues().get_or_create(name=name)
    share(f"request-queues/{made.id}", "bob", "write")
    theirs = bob.request_queue(f"alice~{name}", client_key="bob")

    theirs.add_request({"url": "http://a.test/1", "unique_key": "1"})
    (locked,) = theirs.list_and_lock_head(lock_duration=_minute(), limit=5).items

    assert locked.unique_key == "1"
    assert alice.request_queue(made.id).list_head().items == []
    assert alice.request_queue(made.id).get().had_multiple_clients


@pytest.mark.parametrize("right", ["owner", "write"])
def test_links_of_a_restricted_store_open_for_anyone(
    alice: ApifyClient, bob: ApifyClient, share: Callable[..., None], name: str, right: str
) -> None:
    made = alice.key_value_stores().get_or_create(name=name)
    own = alice.key_value_store(made.id)
    own.update(general_access="RESTRICTED")
    own.set_record("it's(1)!_-.key", {"n": 1})
    if right == "write":
        share(f"key-value-stores/{made.id}", "bob", "write")
    store = own if right == "owner" else bob.key_value_store(made.id)

    record = store.get_record_public_url("it's(1)!_-.key")
    keys = store.create_keys_public_url()

    assert json.loads(opened(record)[1]) == {"n": 1}
    assert json.loads(opened(keys)[1])["data"]["items"][0]["key"] == "it's(1)!_-.key"
    assert opened(record.partition("?")[0])[0] == 401
    assert opened(record.replace("_-.key", "_-.other"))[0] == 401


def test_a_reader_cannot_make_links(
    alice: ApifyClient, bob: ApifyClient, share: Callable[..., None], name: str
) -> None:
    made = alice.datasets().get_or_create(name=name)
    share(f"datasets/{made.id}", "bob", "read")

    unsigned = bob.dataset(made.id).create_items_public_url()

    assert "signature" not in unsigned
    assert opened(unsigned)[0] == 401


def test_a_new_signing_key_closes_the_links_of_clients(
    server: Server, alice: ApifyClient, name: str
) -> None:
    made = alice.datasets().get_or_create(name=name)
    alice.dataset(made.id).push_items({"n": 1})
    before = alice.dataset(made.id).create_items_public_url()
    assert json.loads(opened(before)[1]) == [{"n": 1}]

    asked = Request(
        f"{server.address}/v2/datasets/{made.id}/links",
        method="DELETE",
        headers={"Authorization": f"Bearer {alice.token}"},
    )
    urlopen(asked).close()

    assert opened(before)[0] == 401
    after = alice.dataset(made.id).create_items_public_url()
    assert json.loads(opened(after)[1]) == [{"n": 1}]


def test_a_token_for_one_storage_opens_that_one_as_clients_do(
    server: Server, alice: ApifyClient, name: str
) -> None:
    made = alice.datasets().get_or_create(name=name)
    other = alice.datasets().get_or_create(name=f"{name}-other")
    limited = _limited(server, alice, f"dataset/{made.id}:write")

    found = limited.datasets().get_or_create(name=name)
    limited.dataset(found.id).push_items({"n": 1})

    assert found.id == made.id
    for refused in (
        lambda: limited.dataset(other.id).list_items(),
        lambda: limited.datasets().get_or_create(name=f"{name}-new"),
        lambda: limited.datasets().list(),
        lambda: limited.key_value_stores().get_or_create(),
    ):
        with pytest.raises(ForbiddenError, match="Insufficient permissions"):
            refused()
    assert limited.user().get().username == "alice"


def _limited(server: Server, alice: ApifyClient, *scope: str) -> ApifyClient:
    body = json.dumps({"name": f"limited-{next(_names)}", "scope": scope}).encode()
    asked = Request(
        f"{server.address}/v2/tokens",
        data=body,
        headers={"Authorization": f"Bearer {alice.token}", "Content-Type": "application/json"},
    )
    with urlopen(asked) as answer:
        secret = json.load(answer)["data"]["secret"]
    return ApifyClient(secret, api_url=server.address, max_retries=0)


def _minute() -> Any:
    from datetime import timedelta

    return timedelta(seconds=60)
