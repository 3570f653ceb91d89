"""The Share tab: general access, rights of users, signed links, each as the API has it after."""

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
def prices(api: httpx.Client) -> str:
    """The ID of a dataset with two items."""
    made = api.post("/v2/datasets", params={"name": "prices"}).json()["data"]
    api.post(f"/v2/datasets/{made['id']}/items", json=[{"n": 1}, {"n": 2}])
    return str(made["id"])


@pytest.fixture
def bob(store: EngineStore, user: str) -> str:
    """The name of another user."""
    name = f"bob-{user}"
    store.tokens.create("t", username=name, email=f"{name}@example.com")
    return name


def opened(page: Page, path: str) -> Page:
    page.goto(f"/#/{path}/share")
    page.get_by_role("heading", name="General access").wait_for()
    return page


def access(api: httpx.Client, id: str, path: str = "datasets") -> dict[str, object]:
    found: dict[str, object] = api.get(f"/v2/{path}/{id}/access").json()["data"]
    return found


def test_general_access_is_told_in_words_and_saved(
    page: Page, api: httpx.Client, prices: str, bob: str, shot: Shot, axe: Callable[[Page], None]
) -> None:
    api.put(f"/v2/datasets/{prices}/access/{bob}", json={"right": "write"})
    api.post(f"/v2/datasets/{prices}/links", json={"secs": 3600})
    api.post(f"/v2/datasets/{prices}/links", json={})
    opened(page, f"datasets/{prices}")
    shot("share")
    axe(page)

    expect(page.get_by_role("radio", name="As the account says")).to_be_checked()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.get_by_role("radio", name="Anyone with the ID").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Its general access lets others read it").wait_for()

    assert access(api, prices)["generalAccess"] == "ANYONE_WITH_ID_CAN_READ"
    assert httpx.get(f"{api.base_url}/v2/datasets/{prices}/items").json() == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("by", ["{}", "{}@example.com"])
def test_a_right_is_given_by_name_or_e_mail_changed_and_taken_away(
    page: Page, api: httpx.Client, prices: str, bob: str, by: str
) -> None:
    def rights() -> list[tuple[str, str]]:
        return [(one["username"], one["right"]) for one in access(api, prices)["grants"]]

    opened(page, f"datasets/{prices}")

    page.get_by_label("Username, e-mail or ID").fill(by.format(bob))
    page.get_by_role("combobox", name="May").select_option("write")
    page.get_by_role("button", name="Give the right").click()
    page.get_by_role("cell", name=bob, exact=True).wait_for()
    assert rights() == [(bob, "write")]

    page.get_by_role("button", name=f"Change the right of {bob}").click()
    page.get_by_role("dialog").get_by_role("radio", name="manage").check()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.get_by_role("cell", name="manage").wait_for()
    assert rights() == [(bob, "manage")]

    page.get_by_role("button", name=f"Take away the right of {bob}").click()
    page.get_by_role("dialog").get_by_role("button", name="Take away").click()
    expect(page.get_by_role("cell", name=bob, exact=True)).to_have_count(0)
    assert rights() == []


def test_a_user_who_is_not_there_is_told_beside_the_field(
    page: Page, prices: str, allowed: list[str]
) -> None:
    allowed.append("status of 404")
    opened(page, f"datasets/{prices}")

    page.get_by_label("Username, e-mail or ID").fill("../nobody")
    page.get_by_role("button", name="Give the right").click()

    expect(page.get_by_role("alert")).to_contain_text("nobody")


def test_a_link_is_made_copied_and_opens_until_the_key_is_rotated(
    page: Page, api: httpx.Client, prices: str, shot: Shot, axe: Callable[[Page], None]
) -> None:
    opened(page, f"datasets/{prices}")

    page.get_by_role("button", name="New link").click()
    page.get_by_label("Ends after").select_option(label="30 days")
    page.get_by_role("button", name="Make the link").click()
    url = page.get_by_label("The link", exact=True).inner_text()
    shot("share-link")
    axe(page)
    page.get_by_role("button", name="Close").last.click()
    page.get_by_role("button", name="Copy the link").click()

    wait_for_copy(page, url)
    assert httpx.get(url).json() == [{"n": 1}, {"n": 2}]
    assert len(access(api, prices)["links"]) == 1

    page.get_by_role("button", name="End all links").click()
    ask = page.get_by_role("dialog")
    ask.get_by_role("textbox").fill("prices")
    ask.get_by_role("button", name="End all links").click()
    page.get_by_text("No link opens it").wait_for()

    assert httpx.get(url).status_code == 401
    assert access(api, prices)["links"] == []


@pytest.mark.parametrize("life", ["never", "1 day"])
def test_a_listed_link_is_copied_as_it_was_made(
    page: Page, api: httpx.Client, prices: str, life: str
) -> None:
    secs = None if life == "never" else 86_400
    made = api.post(f"/v2/datasets/{prices}/links", json={"secs": secs}).json()["data"]
    opened(page, f"datasets/{prices}")

    page.get_by_role("button", name="Copy the link").click()

    signed = f"{api.base_url}/v2/datasets/{prices}/items?signature={made['signature']}"
    wait_for_copy(page, signed)


def test_a_link_to_a_record_says_that_it_does_not_end(page: Page, api: httpx.Client) -> None:
    id = api.post("/v2/key-value-stores").json()["data"]["id"]
    key = "it's_(a)_key!.txt"
    api.put(f"/v2/key-value-stores/{id}/records/{key}", content=b"found")
    opened(page, f"kvs/{id}")

    page.get_by_role("button", name="New link").click()
    page.get_by_label("Record").fill(key)
    expect(page.get_by_text("never ends by itself")).to_be_visible()
    expect(page.get_by_label("Ends after")).to_be_hidden()
    page.get_by_role("button", name="Make the link").click()
    url = page.get_by_label("The link", exact=True).inner_text()
    page.get_by_role("button", name="Close").last.click()
    page.get_by_role("button", name=f"Copy the link to {key}").click()

    assert httpx.get(url).content == b"found"
    wait_for_copy(page, url)


def test_a_queue_says_why_it_has_no_links(page: Page, api: httpx.Client) -> None:
    id = api.post("/v2/request-queues").json()["data"]["id"]

    opened(page, f"queues/{id}")

    expect(page.get_by_text("opens no request queue by a link")).to_be_visible()
    expect(page.get_by_role("button", name="New link")).to_have_count(0)


def test_who_may_only_read_is_told_who_may_share(
    visitor: Page, api: httpx.Client, store: EngineStore, prices: str, bob: str, user: str,
    allowed: list[str], shot: Shot, axe: Callable[[Page], None],
) -> None:  # fmt: skip
    allowed.append("status of 403")
    api.put(f"/v2/datasets/{prices}/access/{bob}", json={"right": "read"})
    token = store.tokens.create("second", username=bob).secret

    visitor.goto(f"/#token={token}&to=/datasets/{prices}/share")

    expect(visitor.get_by_text(f"This dataset is {user}'s")).to_be_visible()
    shot("share-refused")
    axe(visitor)


def test_a_token_with_a_scope_is_told_what_it_is_limited_to(
    visitor: Page, api: httpx.Client, store: EngineStore, prices: str, user: str, allowed: list[str]
) -> None:
    allowed.append("status of 403")
    token = store.tokens.create("reader", username=user, scope=["dataset:read"]).secret

    visitor.goto(f"/#token={token}&to=/datasets/{prices}/share")

    expect(visitor.get_by_text("limited to dataset:read")).to_be_visible()
