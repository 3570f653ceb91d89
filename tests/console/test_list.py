"""The way in, and the lists of storages."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from storectl.engine.store import EngineStore

from .conftest import refresh

KINDS = {
    "datasets": ("/v2/datasets", "Datasets", "dataset"),
    "kvs": ("/v2/key-value-stores", "Key-value stores", "key-value store"),
    "queues": ("/v2/request-queues", "Request queues", "request queue"),
}


def names(page: Page) -> list[str]:
    return page.locator("tbody .cell-main a").all_inner_texts()


def test_a_visitor_is_asked_for_a_token_and_a_wrong_one_is_told(
    visitor: Page, token: str, allowed: list[str], shot: Callable, axe: Callable
) -> None:
    allowed.append("status of 401")
    visitor.goto("/#/kvs")
    field = visitor.get_by_label("API token")
    expect(field).to_be_focused()

    field.fill("storectl_wrong")
    field.press("Enter")
    expect(visitor.get_by_role("alert")).to_have_text("The server does not know this token.")
    axe(visitor)
    shot("login")
    field.fill(token)
    field.press("Enter")

    expect(visitor.get_by_role("heading", name="Key-value stores", level=1)).to_be_visible()


def test_a_token_in_the_address_is_for_this_tab_alone(page: Page, token: str) -> None:
    assert token not in page.url
    assert page.evaluate("sessionStorage.getItem('storectl.token')") == token
    assert token not in page.evaluate("JSON.stringify(localStorage) + document.cookie")

    page.reload()
    expect(page.get_by_role("heading", name="Datasets", level=1)).to_be_visible()
    page.get_by_role("button", name="Log out").click()

    expect(page.get_by_label("API token")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('storectl.token')") is None


def test_a_token_that_ends_leads_to_the_login(
    page: Page, store: EngineStore, user: str, allowed: list[str]
) -> None:
    allowed.append("status of 401")
    mine = next(one for one in store.tokens.list() if one.username == user)
    store.tokens.revoke(mine.id)

    refresh(page)

    expect(page.get_by_label("API token")).to_be_visible()


def test_a_token_that_ends_in_the_midst_of_a_question_takes_it_away(
    page: Page, api: httpx.Client, store: EngineStore, user: str, allowed: list[str]
) -> None:
    allowed.append("status of 401")
    id = api.post("/v2/key-value-stores").json()["data"]["id"]
    api.put(f"/v2/key-value-stores/{id}/records/a", json={})
    page.goto(f"/#/kvs/{id}")
    page.get_by_role("button", name="a", exact=True).click()
    page.get_by_role("button", name="Delete").last.click()
    question = page.get_by_role("dialog", name="Delete the record?")
    question.get_by_role("textbox").fill("a")
    store.tokens.revoke(next(one for one in store.tokens.list() if one.username == user).id)

    question.get_by_role("button", name="Delete record").click()

    expect(page.get_by_label("API token")).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "a" not in page.get_by_role("heading").all_inner_texts()


def test_a_server_that_is_gone_is_told_and_asked_again(
    page: Page, allowed: list[str], shot: Callable
) -> None:
    allowed.append("ERR_FAILED")
    page.route("**/v2/**", lambda route: route.abort())

    for leave in (page.get_by_role("link", name="Request queues").click, page.reload):
        leave()
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    shot("server-gone")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_role("heading", name="Request queues", level=1)).to_be_visible()


def test_going_back_takes_a_question_away(page: Page, api: httpx.Client) -> None:
    id = api.post("/v2/datasets").json()["data"]["id"]
    page.goto(f"/#/datasets/{id}")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()

    page.go_back()

    expect(page.get_by_role("heading", name="Datasets", level=1)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_list_says_so_and_makes_the_first_one(
    page: Page, kind: str, axe: Callable, shot: Callable
) -> None:
    _, title, one = KINDS[kind]
    page.get_by_role("navigation").get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", name=f"No {title.lower()} yet")).to_be_visible()
    axe(page)
    shot(f"list-{kind}-empty")

    page.get_by_role("button", name=f"New {one}").first.click()
    axe(page)
    shot(f"list-{kind}-new")
    page.get_by_role("textbox", name="Name").fill("made-here")
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("heading", name="made-here", level=1)).to_be_visible()


@pytest.mark.parametrize("kind", KINDS)
def test_storages_are_named_ones_and_all_of_them_on_request(
    page: Page, api: httpx.Client, kind: str, axe: Callable, shot: Callable
) -> None:
    path, title, _ = KINDS[kind]
    for name in ("alpha", "beta"):
        api.post(path, params={"name": name})
    unnamed = api.post(path).json()["data"]["id"]
    page.get_by_role("navigation").get_by_role("link", name=title).click()
    expect(page.get_by_role("row")).to_have_count(3)
    assert names(page) == ["beta", "alpha"]

    page.get_by_label("Include unnamed").check()

    expect(page.get_by_role("row")).to_have_count(4)
    assert names(page) == [unnamed, "beta", "alpha"]
    expect(page.get_by_text("expires in 7 days unless named")).to_be_visible()
    axe(page)
    shot(f"list-{kind}")


def test_search_sort_and_whose_are_kept_in_the_address(page: Page, api: httpx.Client) -> None:
    for name, count in (("shop-a", 3), ("shop-b", 12), ("news", 1)):
        id = api.post("/v2/datasets", params={"name": name}).json()["data"]["id"]
        api.post(f"/v2/datasets/{id}/items", json=[{"n": n} for n in range(count)])
    refresh(page)

    page.get_by_label("Search datasets").fill("SHOP")
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="Items").click()
    expect(page.get_by_role("columnheader", name="Items")).to_have_attribute(
        "aria-sort", "descending"
    )
    assert names(page) == ["shop-b", "shop-a"]
    page.get_by_role("button", name="Items").click()
    expect(page.locator("tbody .cell-main a").first).to_have_text("shop-a")
    page.get_by_label("Whose").select_option("Mine")
    expect(page.get_by_role("row")).to_have_count(3)
    page.reload()

    expect(page.get_by_role("row")).to_have_count(3)
    expect(page.get_by_label("Search datasets")).to_have_value("SHOP")
    assert names(page) == ["shop-a", "shop-b"]


def test_many_storages_come_in_pages(page: Page, store: EngineStore, api: httpx.Client) -> None:
    for number in range(61):
        api.post("/v2/request-queues", params={"name": f"q-{number:02}"})
    page.goto("/#/queues")
    expect(page.get_by_text("1–50 of 61 request queues")).to_be_visible()

    page.get_by_role("button", name="Next page").click()

    expect(page.get_by_text("51–61 of 61 request queues")).to_be_visible()
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    assert names(page)[-1] == "q-00"
    assert "page=2" in page.url


def test_what_others_share_is_listed(page: Page, store: EngineStore, api: httpx.Client) -> None:
    me = api.get("/v2/users/me").json()["data"]["username"]
    other = store.tokens.create("x", username=f"{me}friend").secret
    theirs = httpx.Client(base_url=api.base_url, headers={"Authorization": f"Bearer {other}"})
    with theirs:
        id = theirs.post("/v2/datasets", params={"name": "theirs"}).json()["data"]["id"]
        theirs.put(f"/v2/datasets/{id}/access/{me}", json={"right": "read"})
    api.post("/v2/datasets", params={"name": "mine"})
    page.goto("/#/datasets?owner=sharedWithMe")

    expect(page.get_by_role("row")).to_have_count(2)

    assert names(page) == ["theirs"]


def test_the_theme_is_that_of_the_system_until_it_is_chosen(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark

    page.get_by_role("button", name="Theme: as the system").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(ground) == light
    page.reload()

    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Theme: dark").click()
    expect(page.get_by_role("button", name="Theme: as the system")).to_be_visible()


def test_an_address_that_leads_nowhere_says_so(page: Page, allowed: list[str]) -> None:
    allowed.append("status of 404")
    page.goto("/#/nowhere")
    expect(page.get_by_role("alert")).to_contain_text("There is nothing here")

    page.goto("/#/datasets/aaaaaaaaaaaaaaaaa")

    expect(page.get_by_role("alert")).to_contain_text("was not found")
