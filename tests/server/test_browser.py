"""What browsers are told: who may ask, and that nothing stored here is a page of ours."""

from __future__ import annotations

import httpx
import pytest

from .conftest import Connect

CORS = "access-control-allow-"


@pytest.mark.parametrize("origin", ["https://app.example.com", "null", "http://localhost:3000"])
def test_any_origin_may_ask_and_none_with_cookies(connect: Connect, origin: str) -> None:
    answers = [
        connect(None).get("/v2/datasets", headers={"Origin": origin}),
        connect("alice").get("/v2/datasets", headers={"Origin": origin}),
        connect(None).get("/nowhere", headers={"Origin": origin}),
    ]

    assert [answer.status_code for answer in answers] == [401, 200, 404]
    for answer in answers:
        assert answer.headers[f"{CORS}origin"] == "*"
        assert f"{CORS}credentials" not in answer.headers
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/v2/datasets", "/v2/key-value-stores/x/records/y", "/v2/tokens"])
def test_a_preflight_needs_no_token_and_allows_what_clients_send(
    connect: Connect, path: str
) -> None:
    asked = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, content-type, content-encoding",
    }

    answer = connect(None).request("OPTIONS", path, headers=asked)

    assert answer.status_code == 204
    methods = answer.headers[f"{CORS}methods"].split(", ")
    assert {"GET", "HEAD", "POST", "PUT", "DELETE"} <= set(methods)
    allowed = answer.headers[f"{CORS}headers"].lower().split(", ")
    assert {"authorization", "content-type", "content-encoding", "idempotency-key"} <= set(allowed)


def test_scripts_may_read_the_headers_that_clients_need(api: httpx.Client) -> None:
    shown = api.get("/v2/datasets").headers["access-control-expose-headers"].lower().split(", ")

    wanted = "location retry-after x-ratelimit-limit x-apify-pagination-total x-storectl-items"
    assert set(wanted.split()) <= set(shown)


def test_no_page_learns_a_token_from_a_referrer(api: httpx.Client) -> None:
    assert api.get("/v2/datasets").headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "type", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml"]
)
def test_a_record_is_no_page_of_this_server(api: httpx.Client, type: str) -> None:
    box = api.post("/v2/key-value-stores").json()["data"]["id"]
    path = f"/v2/key-value-stores/{box}/records/page"
    api.put(path, content=b"<script>alert(1)</script>", headers={"Content-Type": type})

    for answer in (api.get(path), api.head(path), api.get(f"{path}?attachment=true")):
        assert answer.headers["content-type"].startswith(type)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox"
    assert api.get(f"{path}?attachment=true").headers["content-disposition"] == "attachment"


@pytest.mark.parametrize("format", ["html", "xml", "rss"])
def test_exported_items_are_no_page_of_this_server(api: httpx.Client, format: str) -> None:
    id = api.post("/v2/datasets").json()["data"]["id"]
    api.post(f"/v2/datasets/{id}/items", json=[{"<script>": "<script>alert(1)</script>"}])

    answer = api.get(f"/v2/datasets/{id}/items?format={format}")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "path", ["/v2/datasets/<script>", "/v2/datasets?limit=<script>", "/<script>", "/v2/users/<b>"]
)
def test_an_error_is_json_and_never_a_page(api: httpx.Client, path: str) -> None:
    answer = api.get(path)

    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"].startswith("application/json")
