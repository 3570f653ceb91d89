"""Rights and links against a server that has only what the API has."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from storectl.client.http import Http
from storectl.client.store import ClientStore
from storectl.errors import Forbidden, InvalidInput, NotFound, Unsupported
from storectl.model import rules

ID = "WkzbQMuFYuamGv3YF"
SECRET = "s3cr3t"
Serve = Callable[..., ClientStore]


@pytest.fixture
def server() -> Serve:
    """server(**fields): the API, with one storage of each kind that has these fields."""

    def made(**fields: object) -> ClientStore:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and request.url.path.endswith(ID):
                return httpx.Response(200, json={"data": {"id": ID, **fields}})
            missing = {"error": {"type": "record-not-found", "message": "was not found"}}
            return httpx.Response(404, json=missing)

        return ClientStore(
            Http("https://api.test", "token", retries=0, transport=httpx.MockTransport(answer))
        )

    return made


def test_a_link_to_contents_is_signed_here(server: Serve) -> None:
    link = server(urlSigningSecretKey=SECRET).access.link("dataset", ID, secs=None)

    assert link.signature == "MC4wLjN0aU1pSzRYa0k1RnB4dVVDQmpR"  # the vector of the clients
    assert link.expires_at is None


def test_a_link_that_expires_is_signed_with_its_end(server: Serve) -> None:
    link = server(urlSigningSecretKey=SECRET).access.link("kvs", ID, secs=3600)

    now = rules.now_ms()
    assert link.expires_at is not None
    assert rules.iso(now + 3_000_000) < link.expires_at <= rules.iso(now + 3_600_000)
    assert rules.opens_content(link.signature or "", SECRET, ID, now)
    assert not rules.opens_content(link.signature or "", SECRET, ID, now + 3_600_001)


def test_a_link_to_a_record_is_signed_here(server: Serve) -> None:
    link = server(urlSigningSecretKey=SECRET).access.link("kvs", ID, key="OUTPUT", secs=None)

    assert link.signature == "1vQ2M6zRuHZm5paW4jzRj"  # the vector of the clients


@pytest.mark.parametrize("fields", [{}, {"urlSigningSecretKey": None}, {"urlSigningSecretKey": 7}])
def test_without_the_key_there_is_no_link(server: Serve, fields: dict[str, object]) -> None:
    with pytest.raises(Forbidden, match="does not show this token the key"):
        server(**fields).access.link("dataset", ID, secs=None)


def test_a_link_to_nothing_is_not_found_and_one_that_cannot_be_is_not_asked(server: Serve) -> None:
    store = server(urlSigningSecretKey=SECRET)

    with pytest.raises(NotFound):
        store.access.link("dataset", "~nothing", secs=None)
    with pytest.raises(InvalidInput):
        store.access.link("queue", ID, secs=None)


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.access.get("dataset", ID),
        lambda store: store.access.grant("kvs", ID, "bob", "read"),
        lambda store: store.access.revoke("queue", ID, "bob"),
        lambda store: store.access.rotate("dataset", ID),
        lambda store: store.access.report(),
        lambda store: store.tokens.update_me(default_access=None),
        lambda store: store.tokens.current(),
        lambda store: store.tokens.create("ci"),
        lambda store: store.tokens.rotate("ci"),
        lambda store: store.tokens.list(),
    ],
    ids="get grant revoke rotate report update_me current create rotate_token list".split(),
)
def test_what_the_api_lacks_is_said_with_where_it_is(
    server: Serve, call: Callable[[ClientStore], object]
) -> None:
    with pytest.raises(Unsupported, match="api.test has no") as failure:
        call(server())

    assert "Console" in (failure.value.hint or "")
