"""What one server takes away, another on the same store refuses at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from storectl import engine
from storectl.model import rules

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import served


class Two(NamedTuple):
    """Two processes that serve one store: alice calls one, all others the other."""

    alice: httpx.Client
    bob: httpx.Client
    anyone: httpx.Client


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    place = str(tmp_path_factory.mktemp("two"))
    if request.param == "postgres":
        cluster, template = map(request.getfixturevalue, ("cluster", "template"))
        place = cluster.database(template)
    store = engine.open_store(place, username="alice")
    alice = store.tokens.create("alice").secret
    bob = store.tokens.create("bob", username="bob").secret
    store.close()
    with served(place) as first, served(place) as second:

        def client(address: str, token: str | None) -> httpx.Client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return httpx.Client(base_url=address, headers=headers, trust_env=False)

        yield Two(client(first, alice), client(second, bob), client(second, None))


def test_a_right(two: Two) -> None:
    id = two.alice.post("/v2/datasets?name=right").json()["data"]["id"]
    statuses = []

    for _ in range(20):
        two.alice.put(f"/v2/datasets/{id}/access/bob", json={"right": "read"})
        statuses.append(two.bob.get("/v2/datasets/alice~right").status_code)
        two.alice.delete(f"/v2/datasets/{id}/access/bob")
        statuses.append(two.bob.get("/v2/datasets/alice~right").status_code)

    assert statuses == [200, 403] * 20


def test_general_access(two: Two) -> None:
    id = two.alice.post("/v2/datasets?name=open").json()["data"]["id"]
    statuses = []

    for level in ("ANYONE_WITH_ID_CAN_READ", "RESTRICTED") * 20:
        two.alice.put(f"/v2/datasets/{id}", json={"generalAccess": level})
        statuses.append(two.anyone.get(f"/v2/datasets/{id}/items").status_code)

    assert statuses == [200, 401] * 20


def test_an_accounts_access(two: Two) -> None:
    id = two.alice.post("/v2/datasets?name=follows").json()["data"]["id"]
    statuses = []

    for level in ("ANYONE_WITH_ID_CAN_READ", None) * 20:
        two.alice.put("/v2/users/me", json={"defaultAccess": level})
        statuses.append(two.anyone.get(f"/v2/datasets/{id}/items").status_code)

    assert statuses == [200, 401] * 20


def test_a_signing_key(two: Two) -> None:
    id = two.alice.post("/v2/datasets?name=signed").json()["data"]["id"]
    statuses = []

    for _ in range(20):
        secret = two.alice.get(f"/v2/datasets/{id}").json()["data"]["urlSigningSecretKey"]
        query = {"signature": rules.content_signature(secret, id)}
        statuses.append(two.anyone.get(f"/v2/datasets/{id}/items", params=query).status_code)
        two.alice.delete(f"/v2/datasets/{id}/links")
        statuses.append(two.anyone.get(f"/v2/datasets/{id}/items", params=query).status_code)

    assert statuses == [200, 401] * 20


def test_a_token(two: Two) -> None:
    statuses = []

    for n in range(20):
        made = two.alice.post("/v2/tokens", json={"name": f"short-{n}"}).json()["data"]
        query = {"token": made["secret"]}
        statuses.append(two.anyone.get("/v2/users/me", params=query).status_code)
        two.alice.delete(f"/v2/tokens/{made['id']}")
        statuses.append(two.anyone.get("/v2/users/me", params=query).status_code)

    assert statuses == [200, 401] * 20


def test_a_rotated_secret(two: Two) -> None:
    statuses = []
    secret = two.alice.post("/v2/tokens", json={"name": "turns"}).json()["data"]["secret"]

    for _ in range(20):
        statuses.append(two.anyone.get("/v2/users/me", params={"token": secret}).status_code)
        old, secret = secret, two.alice.post("/v2/tokens/turns/rotate").json()["data"]["secret"]
        statuses.append(two.anyone.get("/v2/users/me", params={"token": old}).status_code)

    assert statuses == [200, 401] * 20
