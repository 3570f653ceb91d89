"""Every endpoint, every caller, every level of general access: who is let in.

One row for each caller, one column for what an endpoint needs. `ok` is any answer but 401
and 403. `open` is ok where the general access opens the storage, and `link` also where
the endpoint takes signatures; else both are refused like the rest of the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from storectl import engine
from storectl.engine.store import EngineStore
from storectl.model import rules
from storectl.model.access import RIGHTS
from storectl.model.endpoint import Endpoint
from storectl.model.kvs import Record
from storectl.model.storage import NOUNS, Change
from storectl.server.app import HANDLERS, App
from storectl.server.settings import Settings

from ..clock import Clock
from .direct import asked

TABLE = """
caller              read  write  manage  list  create  self  account

no token            open  401    401     401   401     401   401
signature           link  401    401     401   401     401   401
expired signature   open  401    401     401   401     401   401
wrong signature     open  401    401     401   401     401   401

bad token           401   401    401     401   401     401   401
expired token       401   401    401     401   401     401   401
revoked token       401   401    401     401   401     401   401
rotated token       401   401    401     401   401     401   401

owner               ok    ok     ok      ok    ok      ok    ok
kept by rotation    ok    ok     ok      ok    ok      ok    ok
scope of nothing    open  403    403     403   403     ok    403
scope read          ok    403    403     403   403     ok    403
scope write         ok    ok     403     403   403     ok    403
scope manage        ok    ok     ok      403   403     ok    403
scope list          open  403    403     ok    403     ok    403
scope create        open  403    403     403   ok      ok    403

other user          open  403    403     ok    ok      ok    ok
other, signature    link  403    403     ok    ok      ok    ok
other, read         ok    403    403     ok    ok      ok    ok
other, write        ok    ok     403     ok    ok      ok    ok
other, manage       ok    ok     ok      ok    ok      ok    ok
read, scope manage  ok    403    403     403   403     ok    403
manage, scope read  ok    403    403     403   403     ok    403
"""

OPEN_BY = {  # level of general access -> the forms of a ref that it opens to anyone
    "FOLLOW_USER_SETTING": (),
    "RESTRICTED": (),
    "ANYONE_WITH_ID_CAN_READ": ("ID",),
    "ANYONE_WITH_NAME_CAN_READ": ("ID", "user~name"),
}

_HEAD, *_ROWS = (line for line in TABLE.splitlines() if line)
NEEDS = _HEAD[20:].split()
EXPECTED = {row[:20].strip(): dict(zip(NEEDS, row[20:].split(), strict=True)) for row in _ROWS}
PARTS = {"key": "k", "id": "aaaaaaaaaaaaaaa", "user": "carol"}
BODIES = {"right": b'{"right": "read"}', "account": b'{"defaultAccess": null}', "": b"{}"}


class World:
    """alice's storages, one of each noun and level, and everybody who may want to see them."""

    def __init__(self, store: EngineStore, clock: Clock) -> None:
        self.store = store
        self.ids: dict[tuple[str, str], str] = {}
        self.call = called(App(store, Settings(rate_limit=None, default_access="RESTRICTED")))
        self.tokens = self._tokens(clock)
        for noun in NOUNS:
            for level in OPEN_BY:
                self.make(noun, level)

    def _tokens(self, clock: Clock) -> dict[str, str]:
        create = self.store.tokens.create
        found = {"bad token": rules.new_token()}

        def add(caller: str, user: str, **more: Any) -> str:
            made = create(caller, username=user, **more)
            found[caller] = made.secret or ""
            return made.id

        add("expired token", "alice", secs=60)
        rotated = add("rotated token", "alice")
        self.store.tokens.rotate(rotated, keep_secs=60)
        clock.now += 60_000
        self.store.tokens.revoke(add("revoked token", "alice"))
        add("owner", "alice")
        self.store.tokens.rotate(add("kept by rotation", "alice"), keep_secs=60)
        add("scope of nothing", "alice", scope=[])
        for action in (*RIGHTS, "list", "create"):
            scope = [f"{noun}:{action}" for noun in NOUNS]
            add(f"scope {action}", "alice", scope=scope)
        add("other user", "bob")
        add("other, signature", "bob")
        for right in RIGHTS:
            add(f"other, {right}", f"with-{right}")
        add("read, scope manage", "with-read", scope=[f"{noun}:manage" for noun in NOUNS])
        add("manage, scope read", "with-manage", scope=[f"{noun}:read" for noun in NOUNS])
        return found

    def make(self, noun: str, level: str) -> None:
        keeper = self.store.keeper(noun)
        made, _ = keeper.create(name_of(level))
        keeper.update(made.id, Change(general_access=level))
        for right in RIGHTS:
            self.store.access.grant(noun, made.id, f"with-{right}", right)
        if noun == "kvs":
            self.store.kvs.put(made.id, Record(key="k", content_type="text/plain", body=[b"v"]))
        self.ids[noun, level] = made.id

    def status(self, caller: str, endpoint: Endpoint, ref: str, id: str) -> int:
        """What the server answers to a call for the storage with this ID, by this ref."""
        query = "lockSecs=60"
        if caller.endswith("signature"):
            place = self.store.locate(endpoint.noun, id, None) if id else None
            query = f"signature={signature(caller, endpoint, place)}"
        path = endpoint.url(**{"ref": ref, **PARTS})
        kind = {"access": "right"}.get(path.split("/")[-2], "")
        body = BODIES["account" if endpoint.path == "/v2/users/me" else kind]
        return self.call(endpoint.method, path, query, self.tokens.get(caller), body)


class Case(NamedTuple):
    """One endpoint, and where it leads: the form of the ref, and the storage's level."""

    endpoint: Endpoint
    form: str
    level: str


def name_of(level: str) -> str:
    return level.lower().replace("_", "-")


def signature(caller: str, endpoint: Endpoint, place: Any) -> str:
    if place is None:
        return "x"
    secret = place.secret if "wrong" not in caller else "another"
    if "{key}" in endpoint.path:
        key = "k" if "expired" not in caller else "another"  # those of records never expire
        return rules.record_signature(secret, key)
    until = 1 if "expired" in caller else 0
    return rules.content_signature(secret, place.id, until)


def called(application: App) -> Callable[..., int]:
    def call(method: str, path: str, query: str, token: str | None, body: bytes) -> int:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": unquote(path),
            "QUERY_STRING": query,
            "HTTP_HOST": "api.test",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": "application/json",
        }
        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return asked(application, environ, [body]).status

    return call


def expected(caller: str, case: Case) -> str:
    """`ok`, or the status that refuses."""
    endpoint = case.endpoint
    if endpoint.noun == "server":
        return "ok"
    row = EXPECTED[caller]
    refusal = "403" if row["self"] == "ok" else "401"
    if endpoint.needs is None:
        return "401" if row["read"] == "401" else "ok"
    found = row[endpoint.needs]
    if found not in ("open", "link"):
        return found
    opened = case.form in OPEN_BY[case.level] or (found == "link" and endpoint.signed)
    return "ok" if opened else refusal


@pytest.fixture(scope="module")
def world(
    new_home: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    clock = Clock()
    home = new_home(tmp_path_factory.mktemp("matrix"))
    store = engine.open_store(home, username="alice", clock=clock)
    store.tokens.create("of carol", username="carol")
    for right in RIGHTS:
        store.tokens.create("first", username=f"with-{right}")
    yield World(store, clock)
    store.close()


@pytest.mark.parametrize("level", OPEN_BY)
@pytest.mark.parametrize("caller", EXPECTED)
def test_who_is_let_in(world: World, caller: str, level: str) -> None:
    wrong = {}

    for endpoint in HANDLERS:
        about_one = "{ref}" in endpoint.path
        for form in ("ID", "user~name") if about_one else ("",):
            id = world.ids[endpoint.noun, level] if about_one else ""
            ref = {"ID": id, "user~name": f"alice~{name_of(level)}"}.get(form, "")
            status = world.status(caller, endpoint, ref, id)
            if status == 204 and endpoint.path.endswith("{ref}"):
                world.make(endpoint.noun, level)  # it was deleted
            answer = str(status) if status in (401, 403) or status >= 500 else "ok"
            if answer != expected(caller, Case(endpoint, form, level)):
                wrong[endpoint.method, endpoint.path, form] = status

    assert wrong == {}


def test_the_table_has_a_column_for_whatever_an_endpoint_needs() -> None:
    assert {endpoint.needs for endpoint in HANDLERS} <= {None, *NEEDS}


def test_only_reads_take_signatures() -> None:
    assert {endpoint.needs for endpoint in HANDLERS if endpoint.signed} == {"read"}
