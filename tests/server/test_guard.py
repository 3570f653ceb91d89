"""Who may do what, as one table."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model import rules
from storectl.model.storage import Change

from .conftest import Connect

CALLERS = ("owner", "other user", "no token", "bad token", "signature", "old signature")
LEVELS = ("RESTRICTED", "ANYONE_WITH_ID_CAN_READ", "ANYONE_WITH_NAME_CAN_READ")

# caller: level -> status of a read by ID, of a read by user~name
READS = {
    "owner": dict.fromkeys(LEVELS, (200, 200)),
    "other user": {
        "RESTRICTED": (403, 403),
        "ANYONE_WITH_ID_CAN_READ": (200, 403),
        "ANYONE_WITH_NAME_CAN_READ": (200, 200),
    },
    "no token": {
        "RESTRICTED": (401, 401),
        "ANYONE_WITH_ID_CAN_READ": (200, 401),
        "ANYONE_WITH_NAME_CAN_READ": (200, 200),
    },
    "bad token": dict.fromkeys(LEVELS, (401, 401)),
    "signature": dict.fromkeys(LEVELS, (200, 200)),
    "old signature": {
        "RESTRICTED": (401, 401),
        "ANYONE_WITH_ID_CAN_READ": (200, 401),
        "ANYONE_WITH_NAME_CAN_READ": (200, 200),
    },
}
WRITES = {
    "owner": 201,
    "other user": 403,
    "no token": 401,
    "bad token": 401,
    "signature": 401,
    "old signature": 401,
}


@pytest.fixture
def owner(connect: Connect) -> httpx.Client:
    return connect("alice")


def called(connect: Connect, caller: str, owner: httpx.Client, made: dict) -> tuple:
    """The client of a caller, and what it puts into the query."""
    if caller == "owner":
        return owner, {}
    if caller == "other user":
        return connect("bob"), {}
    if caller == "bad token":
        return connect(None), {"token": "storectl_" + "x" * 36}
    if caller in ("signature", "old signature"):
        until = 0 if caller == "signature" else rules.now_ms() - 1
        signature = rules.content_signature(made["urlSigningSecretKey"], made["id"], until)
        return connect(None), {"signature": signature}
    return connect(None), {}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("caller", CALLERS)
def test_items(connect: Connect, owner: httpx.Client, caller: str, level: str) -> None:
    made = owner.post("/v2/datasets?name=prices").json()["data"]
    owner.put(f"/v2/datasets/{made['id']}", json={"generalAccess": level})
    client, query = called(connect, caller, owner, made)

    by_id, by_name = (
        client.get(f"/v2/datasets/{ref}/items", params=query).status_code
        for ref in (made["id"], "alice~prices")
    )
    written = client.post(f"/v2/datasets/{made['id']}/items", params=query, json=[{"n": 1}])

    assert (by_id, by_name) == READS[caller][level]
    assert written.status_code == WRITES[caller]


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "owner"])
@pytest.mark.parametrize("level", LEVELS)
def test_nobody_else_changes_or_deletes(
    connect: Connect, owner: httpx.Client, caller: str, level: str
) -> None:
    made = owner.post("/v2/datasets?name=prices").json()["data"]
    owner.put(f"/v2/datasets/{made['id']}", json={"generalAccess": level})
    client, query = called(connect, caller, owner, made)

    statuses = {
        client.put(f"/v2/datasets/{made['id']}", params=query, json={"name": "x"}).status_code,
        client.delete(f"/v2/datasets/{made['id']}", params=query).status_code,
        client.delete("/v2/datasets/alice~prices", params=query).status_code,
    }

    assert statuses <= {401, 403}
    assert owner.get(f"/v2/datasets/{made['id']}").json()["data"]["name"] == "prices"


@pytest.mark.parametrize(
    ("default", "status"), [("RESTRICTED", 401), ("ANYONE_WITH_ID_CAN_READ", 200)]
)
def test_a_storage_follows_the_setting_of_the_server(
    connect: Connect, default: str, status: int
) -> None:
    owner = connect("alice", default_access=default)
    made = owner.post("/v2/datasets").json()["data"]

    anonymous = connect(None, default_access=default)

    assert made["generalAccess"] == "FOLLOW_USER_SETTING"
    assert anonymous.get(f"/v2/datasets/{made['id']}/items").status_code == status


def test_the_secret_of_signatures_is_for_writers(connect: Connect, owner: httpx.Client) -> None:
    made = owner.post("/v2/datasets").json()["data"]
    address = f"/v2/datasets/{made['id']}"
    owner.put(address, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})

    assert owner.get(address).json()["data"]["urlSigningSecretKey"]
    assert "urlSigningSecretKey" not in connect(None).get(address).json()["data"]
    assert "urlSigningSecretKey" not in connect("bob").get(address).json()["data"]


def test_a_public_link_opens_without_a_token(connect: Connect, owner: httpx.Client) -> None:
    made = owner.post("/v2/datasets?name=prices").json()["data"]
    owner.post(f"/v2/datasets/{made['id']}/items", json=[{"n": 1}])
    link = owner.get(f"/v2/datasets/{made['id']}").json()["data"]["itemsPublicUrl"]

    assert "signature=" in link
    assert connect(None).get(link).json() == [{"n": 1}]


def test_a_signature_opens_its_contents_and_nothing_else(
    connect: Connect, owner: httpx.Client
) -> None:
    made = owner.post("/v2/datasets").json()["data"]
    other = owner.post("/v2/datasets").json()["data"]
    query = {"signature": rules.content_signature(made["urlSigningSecretKey"], made["id"])}
    anonymous = connect(None)

    for path in (
        f"/v2/datasets/{made['id']}",
        f"/v2/datasets/{made['id']}/statistics",
        f"/v2/datasets/{other['id']}/items",
        "/v2/datasets",
    ):
        assert anonymous.get(path, params=query).status_code == 401


@pytest.mark.parametrize("signature", ["", "x", "MC4wLng", "é", "A" * 5000, "MC4wLg==", "...."])
def test_no_other_text_is_a_signature(
    connect: Connect, owner: httpx.Client, signature: str
) -> None:
    made = owner.post("/v2/datasets").json()["data"]

    answer = connect(None).get(f"/v2/datasets/{made['id']}/items", params={"signature": signature})

    assert answer.status_code == 401


def test_a_token_may_stand_in_the_query(connect: Connect, owner: httpx.Client) -> None:
    token = owner.headers["authorization"].removeprefix("Bearer ")

    assert connect(None).get("/v2/users/me", params={"token": token}).status_code == 200


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "storectl_x"])
def test_other_authorizations_are_refused(connect: Connect, header: str) -> None:
    anonymous = connect(None)

    answer = anonymous.get("/v2/users/me", headers={"Authorization": header.encode()})

    assert answer.status_code == 401


def test_another_users_names_are_not_ones_own(connect: Connect, owner: httpx.Client) -> None:
    owner.post("/v2/datasets?name=prices")

    bob = connect("bob")

    assert bob.get("/v2/datasets/~prices").status_code == 404
    assert bob.get("/v2/datasets").json()["data"]["total"] == 0
    assert connect(None).get("/v2/datasets/~prices").status_code == 401


def test_a_token_revoked_by_another_process_is_refused_at_once(
    connect: Connect, served: EngineStore
) -> None:
    alice = connect("alice")
    assert alice.get("/v2/users/me").status_code == 200

    name = served.tokens.list()[-1].name
    subprocess.run(
        [sys.executable, "-m", "storectl", "--store", served.folder, "token", "revoke", "-y", name],
        check=True,
    )

    assert alice.get("/v2/users/me").status_code == 401


def test_access_taken_away_by_another_process_is_refused_at_once(
    connect: Connect, owner: httpx.Client, served: EngineStore
) -> None:
    made = owner.post("/v2/datasets").json()["data"]
    path = f"/v2/datasets/{made['id']}"
    owner.put(path, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
    assert connect(None).get(path).status_code == 200

    other = open_store(str(served.folder), username="alice")
    other.datasets.update(made["id"], Change(general_access="RESTRICTED"))
    other.close()

    assert connect(None).get(path).status_code == 401
