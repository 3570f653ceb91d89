"""A storage's page: its details, its name, its end."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from .conftest import refresh

KINDS = {
    "datasets": ("/v2/datasets", "dataset"),
    "kvs": ("/v2/key-value-stores", "key-value store"),
    "queues": ("/v2/request-queues", "request queue"),
}


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of storage, as the address has it; each of them where a test says so."""
    return str(getattr(request, "param", "datasets"))


@pytest.fixture
def made(api: httpx.Client, kind: str) -> str:
    """The ID of a new storage without a name."""
    return str(api.post(KINDS[kind][0]).json()["data"]["id"])


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_the_details_of_a_storage(
    page: Page, kind: str, made: str, shot: Callable, axe: Callable
) -> None:
    page.goto(f"/#/{kind}/{made}/details")

    expect(page.get_by_role("heading", name=f"Unnamed {KINDS[kind][1]}", level=1)).to_be_visible()
    expect(page.get_by_text("expires in 7 days unless named")).to_be_visible()
    expect(page.get_by_role("term").filter(has_text="Owner")).to_be_visible()
    expect(page).to_have_title(f"{made} · storectl")
    axe(page)
    shot(f"storage-{kind}")


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_the_address_that_the_api_gives_for_a_storage_leads_here(
    page: Page, api: httpx.Client, kind: str, made: str
) -> None:
    console = api.get(f"{KINDS[kind][0]}/{made}").json()["data"]["consoleUrl"]

    page.goto(console)

    expect(page.get_by_role("heading", name=f"Unnamed {KINDS[kind][1]}", level=1)).to_be_visible()
    expect(page.get_by_role("code").first).to_have_text(made)


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_a_name_is_given_in_place_and_keeps_the_storage(
    page: Page, api: httpx.Client, kind: str, made: str, allowed: list[str], shot: Callable
) -> None:
    allowed.append("status of 400")
    page.goto(f"/#/{kind}/{made}/details")
    page.get_by_role("button", name="Name it").click()
    field = page.get_by_label("Name of this")
    expect(field).to_be_focused()

    field.fill("no spaces here")
    field.press("Enter")
    expect(page.get_by_role("alert").first).to_be_visible()
    shot(f"storage-{kind}-rename")
    field.fill("kept-one")
    field.press("Enter")

    expect(page.get_by_role("heading", name="kept-one", level=1)).to_be_visible()
    expect(page.get_by_text("until deleted")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_be_focused()
    assert api.get(f"{KINDS[kind][0]}/{made}").json()["data"]["name"] == "kept-one"


def test_escape_leaves_the_name_as_it_was(page: Page, kind: str, made: str) -> None:
    page.goto(f"/#/{kind}/{made}/details")
    page.get_by_role("button", name="Name it").click()

    page.get_by_label("Name of this").fill("other")
    page.keyboard.press("Escape")

    expect(page.get_by_role("heading", name=f"Unnamed {KINDS[kind][1]}", level=1)).to_be_visible()


def test_a_title_is_what_people_read(page: Page, api: httpx.Client, kind: str, made: str) -> None:
    page.goto(f"/#/{kind}/{made}/details")
    page.get_by_role("button", name="Give it a title").click()

    page.get_by_role("dialog").get_by_role("textbox").fill("All of November")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="All of November", level=1)).to_be_visible()
    assert api.get(f"{KINDS[kind][0]}/{made}").json()["data"]["title"] == "All of November"


def test_a_storage_goes_once_its_name_is_typed(
    page: Page, api: httpx.Client, kind: str, made: str, shot: Callable, axe: Callable
) -> None:
    api.put(f"{KINDS[kind][0]}/{made}", json={"name": "old-crawl"})
    page.goto(f"/#/{kind}/{made}/details")
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    word = dialog.get_by_label("Type old-crawl to confirm")
    expect(word).to_be_focused()

    word.fill("old-craw")
    word.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("Type old-crawl to go on.")
    axe(page)
    shot(f"storage-{kind}-delete")
    assert api.get(f"{KINDS[kind][0]}/{made}").status_code == 200
    word.fill("old-crawl")
    dialog.get_by_role("button", name="Delete").click()

    expect(page.get_by_text("old-crawl is deleted")).to_be_visible()
    assert api.get(f"{KINDS[kind][0]}/{made}").status_code == 404


def test_a_dialog_gives_the_focus_back(page: Page, made: str, kind: str) -> None:
    page.goto(f"/#/{kind}/{made}/details")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_be_focused()


def test_the_id_is_copied(page: Page, made: str, kind: str) -> None:
    page.goto(f"/#/{kind}/{made}/details")

    page.get_by_role("button", name="Copy the ID").first.click()

    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == made


def test_counts_change_while_a_crawl_runs(page: Page, api: httpx.Client) -> None:
    id = api.post("/v2/request-queues").json()["data"]["id"]
    page.goto(f"/#/queues/{id}/details")
    facts = page.locator(".page-facts")
    expect(facts).to_contain_text("0pending")

    request = {"url": "https://example.com", "uniqueKey": "one"}
    api.post(f"/v2/request-queues/{id}/requests", json=request)
    refresh(page)

    expect(facts).to_contain_text("1pending")
