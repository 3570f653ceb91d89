"""The page of tokens: a secret is seen once, and the session survives its own rotation."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from storectl.engine.store import EngineStore

from .clipboard import wait_for_copy

playwright = pytest.importorskip("playwright.sync_api")
Page, expect = playwright.Page, playwright.expect

Shot = Callable[[str], None]


@pytest.fixture
def tokens(page: Page) -> Page:
    """The page of tokens."""
    page.get_by_role("link", name="Tokens").click()
    page.get_by_role("heading", name="Tokens", level=1).wait_for()
    page.get_by_role("cell", name="console", exact=False).first.wait_for()
    return page


def works(api: httpx.Client, secret: str) -> bool:
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.get(f"{api.base_url}/v2/users/me", headers=headers).status_code == 200


def listed(api: httpx.Client) -> dict[str, dict[str, object]]:
    return {one["name"]: one for one in api.get("/v2/tokens").json()["data"]["items"]}


def revealed(page: Page) -> str:
    secret = str(page.get_by_label("The secret").inner_text())
    page.get_by_role("button", name="Copy the token").click()
    wait_for_copy(page, secret)
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    return secret


def test_a_token_is_created_with_a_scope_and_an_end_and_its_secret_shown_once(
    tokens: Page, api: httpx.Client, shot: Shot, axe: Callable[[Page], None]
) -> None:
    api.post("/v2/tokens", json={"name": "old laptop", "secs": 3600})
    id = api.post("/v2/datasets", params={"name": "prices"}).json()["data"]["id"]

    tokens.get_by_role("button", name="New token").click()
    tokens.get_by_label("Name", exact=True).fill("nightly")
    tokens.get_by_label("Ends after").select_option(label="30 days")
    tokens.get_by_role("radio", name="Only what is chosen here").check()
    tokens.get_by_role("checkbox", name="list datasets").check()
    tokens.get_by_label("With all request queues").select_option(label="write all")
    tokens.get_by_label("Name or ID of one storage").fill("prices")
    tokens.get_by_label("Right on the storage").select_option("manage")
    tokens.get_by_role("button", name="Add", exact=True).click()
    tokens.get_by_text("manage dataset prices").wait_for()
    shot("token-new")
    axe(tokens)
    tokens.get_by_role("button", name="Create the token").click()
    secret = revealed(tokens)
    shot("tokens")
    axe(tokens)

    assert works(api, secret)
    assert secret not in tokens.content()
    made = listed(api)["nightly"]
    assert made["scope"] == ["dataset:list", "queue:write", f"dataset/{id}:manage"]
    assert made["expiresAt"] is not None


def test_a_token_without_a_name_or_a_right_is_not_made(tokens: Page, api: httpx.Client) -> None:
    tokens.get_by_role("button", name="New token").click()
    tokens.get_by_role("button", name="Create the token").click()
    expect(tokens.get_by_role("alert")).to_contain_text("Give the token a name")
    tokens.get_by_label("Name", exact=True).fill("nothing")
    tokens.get_by_role("radio", name="Only what is chosen here").check()
    tokens.get_by_role("button", name="Create the token").click()
    expect(tokens.get_by_role("alert")).to_contain_text("Choose what the token may do")

    assert list(listed(api)) == ["console"]


@pytest.mark.parametrize(("kept", "still"), [("at once", False), ("in an hour", True)])
def test_a_new_secret_takes_the_place_of_the_old_one(
    page: Page, api: httpx.Client, kept: str, still: bool
) -> None:
    old = api.post("/v2/tokens", json={"name": "ci"}).json()["data"]["secret"]
    page.get_by_role("link", name="Tokens").click()

    page.get_by_role("button", name="Rotate ci").click()
    page.get_by_label("The old secret ends").select_option(label=kept)
    page.get_by_role("button", name="Rotate", exact=True).click()
    new = revealed(page)

    assert works(api, new)
    assert works(api, old) == still


def test_a_session_goes_on_with_its_own_new_secret(tokens: Page, api: httpx.Client) -> None:
    tokens.get_by_role("button", name="Rotate console").click()
    tokens.get_by_role("button", name="Rotate", exact=True).click()
    new = revealed(tokens)
    tokens.get_by_role("link", name="Datasets").click()
    tokens.get_by_role("heading", name="Datasets", level=1).wait_for()

    assert works(api, new)
    assert api.get("/v2/users/me").status_code == 401


def test_a_revoked_token_ends_at_once(page: Page, api: httpx.Client) -> None:
    secret = api.post("/v2/tokens", json={"name": "ci"}).json()["data"]["secret"]
    page.get_by_role("link", name="Tokens").click()

    page.get_by_role("button", name="Revoke ci").click()
    ask = page.get_by_role("dialog")
    ask.get_by_role("textbox").fill("ci")
    ask.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name="Revoke ci")).to_have_count(0)

    assert not works(api, secret)


def test_revoking_the_token_of_the_session_ends_it(tokens: Page, allowed: list[str]) -> None:
    allowed.append("status of 401")

    tokens.get_by_role("button", name="Revoke console").click()
    ask = tokens.get_by_role("dialog")
    expect(ask).to_contain_text("This session uses it")
    ask.get_by_role("textbox").fill("console")
    ask.get_by_role("button", name="Revoke").click()

    expect(tokens.get_by_label("API token")).to_be_visible()


def test_a_token_with_a_scope_sees_itself_alone(
    visitor: Page, store: EngineStore, user: str, shot: Shot
) -> None:
    store.tokens.create("other", username=user)
    token = store.tokens.create("reader", username=user, scope=["dataset:list"]).secret

    visitor.goto(f"/#token={token}&to=/tokens")

    expect(visitor.get_by_text("This session may not see tokens")).to_be_visible()
    expect(visitor.get_by_text("dataset:list")).to_be_visible()
    expect(visitor.get_by_text("other", exact=True)).to_have_count(0)
    shot("tokens-limited")
