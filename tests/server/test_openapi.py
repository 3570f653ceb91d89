"""Our own OpenAPI page: valid, complete, and true of every answer, whatever is sent.

`make fuzz` sends many times more, seeded by chance; FUZZ_EXAMPLES says how many.
"""

from __future__ import annotations

import os
import subprocess
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import hypothesis
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as some
from msgspec import structs
from openapi_spec_validator import validate
from schemathesis import Case, GenerationMode, checks
from schemathesis.schemas import APIOperation

from storectl import engine
from storectl.errors import StorectlError
from storectl.model import rules
from storectl.model.endpoint import Endpoint
from storectl.model.items import Items
from storectl.model.kvs import Record
from storectl.model.ref import KINDS
from storectl.server.app import HANDLERS, App, Routes
from storectl.server.guard import admit, locate
from storectl.server.openapi import page
from storectl.server.settings import Settings
from storectl.server.token import EXTENSIONS
from storectl.server.wire import Call

from .conftest import Connect
from .direct import wsgi

LONG = "FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
METHODS = ("get", "head", "post", "put", "delete")

PAGE: dict[str, Any] = msgspec.json.decode(page())
OPERATIONS = {
    (method.upper(), path): operation
    for path, place in PAGE["paths"].items()
    for method, operation in place.items()
    if method in METHODS
}


def test_the_page_is_served_to_anyone(connect: Connect) -> None:
    answer = connect(None).get("/v2/openapi.json")

    assert (answer.status_code, answer.json()) == (200, PAGE)


def test_the_page_names_the_address_that_clients_know(connect: Connect) -> None:
    answer = connect(None, public_url="https://data.example.com/api").get("/v2/openapi.json")

    assert answer.json()["servers"] == [{"url": "https://data.example.com/api"}]


def test_no_server_loads_the_page_before_it_is_asked_for() -> None:
    told = (
        "import sys, storectl.server.app; print([name for name in sys.modules if 'open' in name])"
    )
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert "storectl.server.openapi" not in found.stdout


def test_the_page_is_valid() -> None:
    validate(PAGE)


def test_every_served_route_is_on_the_page_and_nothing_else() -> None:
    routes = Routes(HANDLERS)
    served = {
        (method, path)
        for path in {endpoint.path for endpoint in HANDLERS}
        for method in routes.find(path)[0]
    }

    assert served == set(OPERATIONS)


def test_every_operation_has_a_summary_and_a_name_of_its_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(set(names)) == len(names)
    assert [name for name, one in OPERATIONS.items() if not 5 < len(one["summary"]) < 100] == []


def test_extensions_go_by_the_names_that_are_announced() -> None:
    found = set(_values(PAGE, "x-extension"))

    assert found - {"server"} == set(EXTENSIONS) - {"console", "token-scopes"}
    assert "x-extension" not in OPERATIONS["GET", "/v2/datasets/{ref}/items"]
    assert OPERATIONS["POST", "/v2/datasets/{ref}/links"]["x-extension"] == "links"


def _values(part: Any, name: str) -> Iterator[Any]:
    if isinstance(part, dict):
        if name in part:
            yield part[name]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _values(inner, name)


class World:
    """alice's storages, with something in each, and the application that serves them."""

    def __init__(self, home: str) -> None:
        self.store = engine.open_store(home)
        self.settings = Settings(rate_limit=None)
        self.app = wsgi(App(self.store, self.settings))
        self.token = self.store.tokens.create("fuzz", username="alice").secret or ""
        caller = self.store.caller(self.token)
        assert caller is not None
        self.caller = caller
        mine = self.mine = self.store.acting(caller)
        self.ids = {
            "dataset": mine.datasets.create("things", schema=SCHEMA)[0].id,
            "kvs": mine.kvs.create("things", schema=STORE_SCHEMA)[0].id,
            "queue": mine.queues.create("things")[0].id,
        }
        mine.datasets.push(self.ids["dataset"], Items.of([{"n": 1, "a": [{"b": None}]}, {}]))
        for key, body in (("k", b"{}"), ("a-1", b"\x00\xff")):
            mine.kvs.put(self.ids["kvs"], Record(key=key, content_type="x/y", body=[body]))
        urls = [{"url": f"https://example.com/{n}", "uniqueKey": str(n)} for n in range(3)]
        mine.queues.add(self.ids["queue"], urls)
        held = mine.queues.lock_head(self.ids["queue"], lock_secs=60, limit=1, client_key="c")
        self.request_id = held.items[0]["id"]
        self.store.tokens.create("other", username="bob")
        for noun, id in self.ids.items():
            mine.access.grant(noun, id, "bob", "read")
            mine.access.link(noun, id, secs=None) if noun != "queue" else None

    def parts(self, path: str) -> dict[str, str]:
        """What fills the placeholders of a path so that there is something."""
        noun = KINDS.get(path.split("/")[2], "") if path.count("/") > 1 else ""
        found = {"ref": self.ids.get(noun, ""), "key": "k", "user": "bob"}
        found["id"] = self.request_id if noun else "alice" if "/users/" in path else "fuzz"
        return {name: part for name, part in found.items() if f"{{{name}}}" in path}

    def call(
        self, endpoint: Endpoint, environ: Any, query: dict[str, Any], parts: dict[str, str]
    ) -> Call:
        """What the endpoint's handler is called with."""
        ref = self.ids.get(endpoint.noun, "") if "{ref}" in endpoint.path else ""
        place = admit(self.store, endpoint, ref, self.caller, {}, parts, self.settings)
        again = partial(locate, self.store, endpoint.noun, self.caller)
        seen = self.store if place or endpoint.noun == "server" else self.mine
        return Call(environ, query, parts, seen, self.settings, self.caller, place, again)


SCHEMA = {
    "actorSpecification": 1,
    "fields": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "views": {"all": {"title": "All", "transformation": {"unwind": ["a"]}, "display": {}}},
}
SOME = {"title": "Some", "keyPrefix": "k", "jsonSchema": {"type": "object"}}
STORE_SCHEMA = {"collections": {"some": SOME}}


@pytest.fixture
def world(home: str) -> Iterator[World]:
    made = World(home)
    yield made
    made.store.close()


@pytest.mark.parametrize("endpoint", HANDLERS, ids=lambda one: f"{one.method} {one.path}")
def test_the_page_has_the_parameters_that_are_read(world: World, endpoint: Endpoint) -> None:
    """Handlers are called with queries that note what is asked of them."""
    query = Read(lockSecs="1")
    parts = world.parts(endpoint.path)

    for body in (b"{}", b"[{}]"):
        environ = {"REQUEST_METHOD": endpoint.method, "URL_SCHEME": "http"}
        with suppress(StorectlError):  # of bodies that are not as they should be
            call = world.call(endpoint, environ, query, parts)
            HANDLERS[endpoint](structs.replace(call, body=[body]))

    operation = OPERATIONS[endpoint.method, endpoint.path]
    parameters = operation.get("parameters", [])
    assert query.names == {one["name"] for one in parameters if one["in"] == "query"}


class Read(dict[str, Any]):
    """A dictionary that notes which of its names are asked for."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


REQUEST = {"url": "https://example.com/0", "uniqueKey": "0"}
GOOD: dict[str, Any] = {  # where a call needs a body, or another than {}
    "POST /v2/datasets/{ref}/items": [{"n": 2}, '{"n": 3}'],
    "POST /v2/request-queues/{ref}/requests": {**REQUEST, "uniqueKey": "new"},
    "PUT /v2/request-queues/{ref}/requests/{id}": {**REQUEST, "handledAt": rules.iso(0)},
    "POST /v2/request-queues/{ref}/requests/batch": [REQUEST, {**REQUEST, "uniqueKey": "new"}],
    "DELETE /v2/request-queues/{ref}/requests/batch": [{"uniqueKey": "0"}, {"id": "unknown"}],
    "PUT /v2/users/me": {"defaultAccess": "RESTRICTED"},
    "POST /v2/tokens": {"name": "new", "scope": ["dataset:read"], "secs": 60},
    **{f"PUT /v2/{kind}/{{ref}}": {"name": "other", "title": "T"} for kind in KINDS},
    **{f"PUT /v2/{kind}/{{ref}}/access/{{user}}": {"right": "write"} for kind in KINDS},
}

NEVER = {("POST", "/v2/request-queues/{ref}/links")}  # no part of a queue opens by a link


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - NEVER), ids=" ".join)
def test_a_good_call_succeeds_as_the_page_says(world: World, name: tuple[str, str]) -> None:
    method, path = name
    operation = schemathesis.openapi.from_wsgi("/v2/openapi.json", world.app)[path][method]
    query = {"lockSecs": "60", "clientKey": "c"} if "lock" in path else {}
    body = {"body": GOOD.get(" ".join(name), {})} if "requestBody" in OPERATIONS[name] else {}
    case = operation.Case(path_parameters=world.parts(path), query=query, **body)

    answer = case.call(headers={"Authorization": f"Bearer {world.token}"})

    assert answer.status_code == int(next(iter(OPERATIONS[name]["responses"])))
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize("name", OPERATIONS, ids=" ".join)
def test_every_answer_is_on_the_page(world: World, name: tuple[str, str]) -> None:
    """Whoever calls, with whatever query, headers and body: no 5xx, no surprise."""
    served = schemathesis.openapi.from_wsgi("/v2/openapi.json", world.app)
    calls = calls_of(served[name[1]][name[0]], world)

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(calls)
    def answers(case: Case) -> None:
        answer = case.call()
        with_mark = answer.content.startswith(BOM_UTF8)  # as ?bom=1 asks, and JSON does not
        case.validate_response(answer, checks=CHECKS[:-1] if with_mark else CHECKS)

    answers()


@some.composite
def calls_of(draw: some.DrawFn, operation: APIOperation, world: World) -> Case:
    """A call that fits the page or, one in three, does not; of alice's storages mostly."""
    case = draw(operation.as_strategy(draw(some.sampled_from(MODES))))
    for name, known in world.parts(operation.path).items():
        if draw(some.integers(0, 9)):
            case.path_parameters[name] = known
    case.headers.update(draw(HOSTILE))
    if token := draw(some.sampled_from([world.token] * 6 + ["", "x"])):
        case.headers["Authorization"] = f"Bearer {token}"
    return case


MODES = [GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
NAMES = (
    "Accept-Encoding Authorization Content-Encoding Content-Type Cookie Expect Host "
    "Idempotency-Key If-None-Match Origin Range Transfer-Encoding X-Forwarded-Host"
)
WORDS = [
    "gzip", "br", "deflate", "identity", "gzip, br", "*;q=0", "bytes=0-0", "Bearer", "Bearer \\t",
    "application/json", "text/html", "chunked", "a.example", "[::1]:80", "a b", "a/../b", "\\xff",
    "x" * 20_000, "",
]  # fmt: skip
LATIN = some.characters(max_codepoint=255, categories=["L", "N", "P", "S", "Zs"])
HOSTILE = some.dictionaries(
    some.sampled_from(NAMES.split()),
    some.sampled_from(WORDS) | some.text(LATIN, max_size=40).map(str.strip),
    max_size=3,
)
