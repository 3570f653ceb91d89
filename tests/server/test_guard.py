"""What the guard decides beyond the table of test_matrix.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import count

import httpx
import pytest

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model import rules
from storectl.model.storage import Change
from storectl.server.app import App
from storectl.server.settings import Settings

from .conftest import Connect
from .direct import Direct

Scoped = Callable[..., httpx.Client]


@pytest.fixture
def owner(connect: Connect) -> httpx.Client:
    return connect("alice")


@pytest.fixture
def scoped(connect: Connect, served: EngineStore) -> Scoped:
    """scoped(*what): a client of alice's whose token may do that and no more."""
    numbers = count()

    def made(*scope: str) -> httpx.Client:
        name = f"scoped-{next(numbers)}"
        secret = served.tokens.create(name, username="alice", scope=[*scope]).secret
        client = connect(None)
        client.headers["Authorization"] = f"Bearer {secret}"
        return client

    return made


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


def test_the_secret_of_signatures_is_for_writers(
    connect: Connect, owner: httpx.Client, served: EngineStore
) -> None:
    made = owner.post("/v2/datasets").json()["data"]
    address = f"/v2/datasets/{made['id']}"
    owner.put(address, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
    reader, writer, stranger = connect("reader"), connect("writer"), connect("bob")
    served.access.grant("dataset", made["id"], "reader", "read")
    served.access.grant("dataset", made["id"], "writer", "write")

    for client in (owner, writer):
        assert client.get(address).json()["data"]["urlSigningSecretKey"]
    for client in (reader, stranger, connect(None)):
        assert "urlSigningSecretKey" not in client.get(address).json()["data"]


@pytest.mark.parametrize(("right", "status"), [("write", 403), ("manage", 200)])
def test_general_access_is_changed_by_those_who_may_share(
    connect: Connect, owner: httpx.Client, served: EngineStore, right: str, status: int
) -> None:
    id = owner.post("/v2/datasets?name=prices").json()["data"]["id"]
    bob = connect("bob")
    served.access.grant("dataset", id, "bob", right)

    shared = bob.put(f"/v2/datasets/{id}", json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
    renamed = bob.put(f"/v2/datasets/{id}", json={"title": "Prices"})

    assert (shared.status_code, renamed.status_code) == (status, 200)
    told = owner.get(f"/v2/datasets/{id}").json()["data"]["generalAccess"]
    assert told == ("ANYONE_WITH_ID_CAN_READ" if status == 200 else "FOLLOW_USER_SETTING")


@pytest.mark.parametrize("scope", [[], ["dataset:list"], ["dataset:create"], ["kvs:manage"]])
def test_getting_by_name_needs_read_where_there_is_something(
    owner: httpx.Client, scoped: Scoped, scope: list[str]
) -> None:
    owner.post("/v2/datasets?name=prices")

    answer = scoped(*scope).post("/v2/datasets?name=prices")

    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "insufficient-permissions"


@pytest.mark.parametrize(("right", "shows"), [("read", False), ("write", True)])
def test_a_token_for_one_storage_opens_it_by_name_as_clients_do(
    owner: httpx.Client, scoped: Scoped, right: str, shows: bool
) -> None:
    id = owner.post("/v2/datasets?name=prices").json()["data"]["id"]
    other = owner.post("/v2/datasets?name=other").json()["data"]["id"]
    api = scoped(f"dataset/{id}:{right}")

    opened = api.post("/v2/datasets?name=prices")

    assert (opened.status_code, opened.json()["data"]["id"]) == (200, id)
    assert ("urlSigningSecretKey" in opened.json()["data"]) is shows
    assert api.post("/v2/datasets?name=new").status_code == 403
    assert api.post("/v2/datasets").status_code == 403
    assert api.get(f"/v2/datasets/{other}").status_code == 403
    assert api.get(f"/v2/key-value-stores/{id}").status_code == 404


@pytest.mark.parametrize("name", ["?name=mine", ""])
def test_what_a_token_created_it_may_manage(
    connect: Connect, owner: httpx.Client, scoped: Scoped, name: str
) -> None:
    api, same_scope = scoped("dataset:create"), scoped("dataset:create")

    made = api.post(f"/v2/datasets{name}").json()["data"]
    path = f"/v2/datasets/{made['id']}"

    assert made["urlSigningSecretKey"]
    assert api.post(f"{path}/items", json=[{"n": 1}]).status_code == 201
    if name:
        assert api.post("/v2/datasets?name=mine").status_code == 200
    assert api.put(path, json={"generalAccess": "RESTRICTED"}).status_code == 200
    assert same_scope.get(path).status_code == 403
    assert owner.get(f"{path}/items").json() == [{"n": 1}]
    assert api.delete(path).status_code == 204


def test_a_scope_takes_nothing_that_anybody_may_do(owner: httpx.Client, scoped: Scoped) -> None:
    id = owner.post("/v2/datasets").json()["data"]["id"]
    owner.put(f"/v2/datasets/{id}", json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})

    assert scoped().get(f"/v2/datasets/{id}/items").json() == []
    assert scoped().get("/v2/users/alice").status_code == 200


def test_a_token_cannot_make_one_that_may_more(scoped: Scoped) -> None:
    api = scoped("dataset:manage", "kvs:manage", "queue:manage")

    answers = [
        api.post("/v2/tokens", json={"name": "more"}),
        api.post(f"/v2/tokens/{api.get('/v2/tokens/current').json()['data']['id']}/rotate"),
        api.get("/v2/tokens"),
        api.put("/v2/users/me", json={"defaultAccess": None}),
        api.get("/v2/access"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5


def test_wrong_tokens_are_slowed_down_and_good_ones_of_the_same_address_not(
    home: str,
) -> None:
    clock = [1_700_000_000_000]
    store = open_store(home, username="alice", clock=lambda: clock[0])
    good = store.tokens.create("good").secret
    api = httpx.Client(
        transport=Direct(App(store, Settings(rate_limit=(1000, 1000)))),
        base_url="http://api.test",
    )

    def tried(token: str | None) -> int:
        return api.get("/v2/users/me", params={"token": token}).status_code

    at_once = [tried(rules.new_token()) for _ in range(12)]
    assert at_once == [401] * 10 + [429] * 2
    assert tried(good) == 200

    clock[0] += 2000
    assert tried(rules.new_token()) == 401


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
    connect: Connect, served: EngineStore, home: str
) -> None:
    alice = connect("alice")
    assert alice.get("/v2/users/me").status_code == 200

    name = served.tokens.list()[-1].name
    subprocess.run(
        [sys.executable, "-m", "storectl", "--store", home, "token", "revoke", "-y", name],
        check=True,
    )

    assert alice.get("/v2/users/me").status_code == 401


def test_access_taken_away_by_another_process_is_refused_at_once(
    connect: Connect, owner: httpx.Client, served: EngineStore, home: str
) -> None:
    made = owner.post("/v2/datasets").json()["data"]
    path = f"/v2/datasets/{made['id']}"
    owner.put(path, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
    assert connect(None).get(path).status_code == 200

    other = open_store(home, username="alice")
    other.datasets.update(made["id"], Change(general_access="RESTRICTED"))
    other.close()

    assert connect(None).get(path).status_code == 401


@pytest.mark.parametrize("noun", ["datasets", "key-value-stores"])
def test_a_public_link_opens_for_14_days(home: str, noun: str) -> None:
    clock = [1_700_000_000_000]
    store = open_store(home, username="alice", clock=lambda: clock[0])
    secret = store.tokens.create("all").secret
    server = App(store, Settings(rate_limit=None, default_access="RESTRICTED"))
    api = httpx.Client(transport=Direct(server), base_url="http://api.test")
    made = api.post(f"/v2/{noun}", params={"token": secret, "name": "kept"}).json()["data"]
    link = made["itemsPublicUrl" if noun == "datasets" else "keysPublicUrl"]

    opens = {}
    for secs in (0, 14 * 86_400, 14 * 86_400 + 1):
        clock[0] = 1_700_000_000_000 + secs * 1000
        opens[secs] = api.get(link).status_code

    assert opens == {0: 200, 14 * 86_400: 200, 14 * 86_400 + 1: 401}
