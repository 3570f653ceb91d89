"""One request: the default uniqueKey, and the state it is in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storectl.errors import InvalidInput
from storectl.model.request import (
    _PLAIN,
    Request,
    _normalized,
    as_handled,
    as_new,
    as_retried,
    check_url,
    key_of,
    state_of,
    unique_key,
)
from storectl.model.rules import request_id

REQUEST = {"uniqueKey": "a", "url": "https://example.com/"}

NORMALIZED = [
    ("https://Example.COM/Path/?b=2&a=1&utm_source=x#frag", "https://example.com/Path?a=1&b=2"),
    ("HTTP://example.com:80/", "http://example.com"),
    ("https://example.com:8443/a/b//", "https://example.com:8443/a/b/"),
    ("https://example.com/?q=a b&c=%20x+y", "https://example.com?c=+x+y&q=a+b"),
    (
        "https://example.com/ěšč?ž=ý&~=*'()",
        "https://example.com/%C4%9B%C5%A1%C4%8D?%7E=*%27%28%29&%C5%BE=%C3%BD",
    ),
    ("https://user:pw@example.com/x", "https://example.com/x"),
    ("https://example.com/a%20b/ c", "https://example.com/a%20b/%20c"),
    ("https://example.com/?a=&b&a=2", "https://example.com?a=&a=2&b="),
    ("https://example.com/p?z=1&a=3&z=0&A=1", "https://example.com/p?A=1&a=3&z=1&z=0"),
    ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
    ("https://example.com/a/../b/./c", "https://example.com/b/c"),
    ("https://example.com/?UTM_x=1&xutm_=2", "https://example.com?UTM_x=1&xutm_=2"),
    ("https://example.com/x?", "https://example.com/x"),
    ("https://example.com/x?a=1%262", "https://example.com/x?a=1%262"),
    ('https://example.com/[x]^|"<>`{}', "https://example.com/[x]^|%22%3C%3E%60%7B%7D"),
    ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]/x"),
]
"""What `normalizeUrl` of @apify/utilities 2.35.11 answered."""


@pytest.mark.parametrize(("url", "key"), NORMALIZED)
def test_the_default_unique_key_is_that_of_the_javascript_client(url: str, key: str) -> None:
    assert unique_key(url) == key


IDS = [
    ("http://example.com", "8OamqXBCpPHxyH9"),
    ("https://apify.com/a", "QP9pio7eQh4w1jN"),
    ("https://apify.com/b", "fMPsh4qCRNEghya"),
    ("test-key-1", "ElVVjfWGrieQB6J"),
    ("https://example.com/ěšč", "CUn8xeIfoLIK3Yx"),
    ("a" * 300, "mDX6aTiCpueqBJQ"),
    ("ÄÖ", "3nJU32lFm2lyIfk"),
    ("", "47DEQpj8HBSaTIm"),
]
"""What the official clients make of them."""


@pytest.mark.parametrize(("key", "id"), IDS)
def test_an_id_is_made_of_the_unique_key(key: str, id: str) -> None:
    assert request_id(key) == id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "/path",
        "https://",
        "mailto:a@b.c",
        "https://a b.c",
        "https://a/\x1b[2J",
        "https://a:99999/",
        "https://[::1",
        "https://a/\u202e",
    ],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(text)


DONE = "2026-01-02T03:04:05Z"
ERROR_HANDLER, REQUEST_HANDLER, ERROR, SUCCESS = 5, 3, 6, 4

STATES: list[tuple[dict[str, Any], str]] = [
    ({}, "pending"),
    ({"handledAt": None, "errorMessages": ["x"]}, "pending"),
    ({"lockExpiresAt": DONE}, "locked"),
    ({"handledAt": DONE}, "handled"),
    ({"handledAt": DONE, "errorMessages": []}, "handled"),
    ({"handledAt": DONE, "errorMessages": ["x"]}, "failed"),
    ({"handledAt": DONE, "userData": {"__crawlee": {"state": ERROR_HANDLER}}}, "failed"),
    ({"handledAt": DONE, "userData": {"__crawlee": {"state": ERROR}}}, "failed"),
    (
        {
            "handledAt": DONE,
            "errorMessages": ["at first"],
            "userData": {"__crawlee": {"state": REQUEST_HANDLER}},
        },
        "handled",
    ),
    ({"handledAt": DONE, "userData": {"__crawlee": {"state": SUCCESS}}}, "handled"),
    ({"handledAt": DONE, "errorMessages": ["x"], "userData": {"__crawlee": None}}, "failed"),
]


@pytest.mark.parametrize(("fields", "state"), STATES)
def test_a_request_is_in_one_of_four_states(fields: Request, state: str) -> None:
    assert state_of({"uniqueKey": "a", "url": "u", **fields}) == state


def test_a_request_as_new_is_pending_and_keeps_what_is_the_users() -> None:
    request = {
        "uniqueKey": "a",
        "url": "u",
        "handledAt": DONE,
        "retryCount": 3,
        "errorMessages": ["x"],
        "userData": {"label": "L", "__crawlee": {"state": ERROR, "maxRetries": 2}},
    }

    fresh = as_new(request)

    assert state_of(fresh) == "pending"
    assert (fresh["retryCount"], fresh["errorMessages"], fresh["handledAt"]) == (0, [], None)
    assert fresh["userData"] == {"label": "L", "__crawlee": {"maxRetries": 2}}
    assert request["retryCount"] == 3


@settings(deadline=None)
@given(st.from_regex(_PLAIN, fullmatch=True))
def test_the_short_way_to_a_unique_key_leads_to_the_same(url: str) -> None:
    assert unique_key(url) == _normalized(url)
    assert key_of(url) == _normalized(url)


def test_a_request_that_failed_before_it_succeeded_counts_as_handled() -> None:
    retried = as_retried({**REQUEST, "lockExpiresAt": "…", "lockByClient": "me"}, "oh")

    assert state_of(retried) == "pending"
    assert (retried["retryCount"], retried["errorMessages"]) == (1, ["oh"])
    assert state_of(as_handled(retried)) == "handled"
    assert as_handled(retried)["errorMessages"] == ["oh"]
    assert state_of(as_handled(retried, error="no")) == "failed"


@pytest.mark.parametrize("state", range(8))
def test_a_mark_of_crawlee_follows_what_became_of_a_request(state: int) -> None:
    marked = {**REQUEST, "userData": {"a": 1, "__crawlee": {"state": state, "b": 2}}}

    assert state_of(as_handled(marked)) == "handled"
    assert state_of(as_handled(marked, error="no")) == "failed"
    assert as_handled(marked)["userData"] == {"a": 1, "__crawlee": {"state": 4, "b": 2}}


def test_a_request_without_a_story_is_only_given_its_time() -> None:
    done = as_handled(REQUEST)

    assert {name: done[name] for name in done if name != "handledAt"} == REQUEST
