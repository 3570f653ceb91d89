"""Who may read a storage and not write to it sees all of it, and nothing that would be refused."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from .conftest import refresh

WRITES = ("Rename", "Delete", "Upload", "New record", "Add request", "Edit", "Retry", "Unlock")


@pytest.fixture
def reader(visitor: Page, api: httpx.Client) -> Callable[[str], Page]:
    """reader(PATH): the screen, for a token that may only read."""
    scope = [f"{noun}:read" for noun in ("dataset", "kvs", "queue")]
    secret = api.post("/v2/tokens", json={"name": "reader", "scope": scope}).json()["data"][
        "secret"
    ]

    def show(path: str) -> Page:
        visitor.goto(f"/#token={secret}&to=/{path}")
        expect(visitor.get_by_text("read only")).to_be_visible()
        return visitor

    return show


def buttons(page: Page) -> set[str]:
    """What can be clicked that would write."""
    found = page.get_by_role("button").all()
    names = [one.get_attribute("aria-label") or one.inner_text() for one in found]
    return {name for name in names if name.startswith(WRITES)}


LISTS = {
    "dataset": ("datasets", "datasets"), "kvs": ("kvs", "key-value stores"),
    "queue": ("queues", "request queues"),
}  # fmt: skip


@pytest.mark.parametrize("noun", LISTS)
def test_a_list_offers_a_new_one_to_who_may_create_it(
    visitor: Page, api: httpx.Client, noun: str
) -> None:
    scope = {"scope": [f"{noun}:create", "dataset:list", "kvs:list", "queue:list"]}
    secret = api.post("/v2/tokens", json={"name": noun, **scope}).json()["data"]["secret"]

    offered = {}
    for one, (route, title) in LISTS.items():
        visitor.goto(f"/#token={secret}&to=/{route}")
        expect(visitor.get_by_role("heading", name=f"No {title} yet", level=2)).to_be_visible()
        offered[one] = visitor.get_by_role("button", name="New ").count()
        assert visitor.get_by_text("no new ones").count() == (0 if one == noun else 1)

    assert offered == dict.fromkeys(offered, 0) | {noun: 2}


def test_records(reader: Callable[[str], Page], api: httpx.Client, shot: Callable) -> None:
    path = api.post("/v2/key-value-stores?name=records").json()["data"]["id"]
    api.put(f"/v2/key-value-stores/{path}/records/a", json={})
    page = reader(f"kvs/{path}")

    page.get_by_role("button", name="a", exact=True).click()
    expect(
        page.get_by_role("dialog").get_by_role("button", name="Copy", exact=True)
    ).to_be_visible()

    assert buttons(page) == set()
    assert page.get_by_role("checkbox").count() == 0
    page.keyboard.press("Escape")
    shot("records-reader")


def test_requests(reader: Callable[[str], Page], api: httpx.Client, shot: Callable) -> None:
    path = api.post("/v2/request-queues?name=crawl&clientKey=me").json()["data"]["id"]
    request = {"url": "https://a.example", "uniqueKey": "a", "handledAt": "2026-03-01T10:00:00Z"}
    api.post(f"/v2/request-queues/{path}/requests?clientKey=me", json=request)
    page = reader(f"queues/{path}")

    page.get_by_role("button", name="https://a.example").click()
    expect(page.get_by_role("dialog").get_by_text("handled", exact=True)).to_be_visible()

    assert buttons(page) == set()
    assert page.get_by_role("checkbox").count() == 0
    page.keyboard.press("Escape")
    shot("requests-reader")


def test_details(reader: Callable[[str], Page], api: httpx.Client) -> None:
    path = api.post("/v2/datasets?name=prices").json()["data"]["id"]

    page = reader(f"datasets/{path}/details")
    expect(page.get_by_role("heading", name="About")).to_be_visible()

    assert buttons(page) == set()
    assert page.get_by_role("button", name="title").count() == 0


def test_to_look_at_a_queue_is_not_to_be_a_client_of_it(page: Page, api: httpx.Client) -> None:
    path = api.post("/v2/request-queues").json()["data"]["id"]
    for key in ("a", "b"):
        request = {"url": "https://a.example", "uniqueKey": key}
        api.post(f"/v2/request-queues/{path}/requests?clientKey=crawler", json=request)
    page.goto(f"/#/queues/{path}")

    for view in ("In order", "Failed", "Pending"):
        page.get_by_role("radio", name=view).check(force=True)
        expect(page.get_by_role("row")).to_have_count(0 if view == "Failed" else 3)
        refresh(page)

    found = api.get(f"/v2/request-queues/{path}").json()["data"]
    assert found["hadMultipleClients"] is False
