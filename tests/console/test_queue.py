"""Requests in the console: listed by state, opened, added, retried, unlocked, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from storectl.model import rules
from storectl.model.request import unique_key

from .conftest import refresh

SHOP = "https://shop.example.com"
HANDLED_AT = "2026-03-01T10:00:00.000Z"
STATES = ("pending", "locked", "handled", "failed")


class Requests:
    """One queue: what a test puts there, and what it finds."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self.id = api.post("/v2/request-queues?name=crawl").json()["data"]["id"]
        self.path = f"/v2/request-queues/{self.id}"

    def add(self, *names: str, **fields: object) -> None:
        """Requests whose URLs and uniqueKeys end with the names."""
        urls = [f"{SHOP}/{name}" for name in names]
        for at in range(0, len(urls), 25):
            batch = [{"url": url, "uniqueKey": url} | fields for url in urls[at : at + 25]]
            sent = self.api.post(f"{self.path}/requests/batch", json=batch)
            assert sent.json()["data"]["unprocessedRequests"] == []

    def lock(self, client: str) -> None:
        """Lock all that can be locked."""
        query = f"lockSecs=600&clientKey={client}"
        assert self.api.post(f"{self.path}/head/lock?{query}").status_code == 201

    def get(self, name: str) -> dict[str, Any]:
        id = rules.request_id(f"{SHOP}/{name}")
        found: dict[str, Any] = self.api.get(f"{self.path}/requests/{id}").json()["data"]
        return found

    def urls(self, **query: str) -> list[str]:
        found = self.api.get(f"{self.path}/requests", params=query).json()["data"]["items"]
        return [one["url"].removeprefix(f"{SHOP}/") for one in found]

    def show(self, page: Page) -> None:
        page.goto(f"/#/queues/{self.id}/requests")
        expect(page.get_by_role("button", name="Add request")).to_be_visible()

    def open(self, page: Page, name: str) -> Locator:
        """The panel of a request."""
        self.show(page)
        row(page, name).get_by_role("button").click()
        return page.get_by_role("dialog", name="Request", exact=True)


@pytest.fixture
def requests(api: httpx.Client) -> Requests:
    return Requests(api)


@pytest.fixture
def crawl(requests: Requests) -> Requests:
    """A queue with a request in each state, named by it."""
    requests.add("locked")
    requests.lock("worker-1")
    requests.add("pending")
    requests.add("handled", handledAt=HANDLED_AT)
    requests.add("failed", handledAt=HANDLED_AT, retryCount=3, errorMessages=["Timed out", "Gone"])
    return requests


def row(page: Page, name: str) -> Locator:
    link = page.get_by_role("button", name=f"{SHOP}/{name}", exact=True)
    return page.get_by_role("row").filter(has=link)


def see(page: Page, view: str) -> None:
    page.get_by_role("radio", name=view).check(force=True)


def test_requests_are_listed_with_their_states(
    page: Page, crawl: Requests, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    crawl.show(page)

    for state in STATES:
        expect(row(page, state).get_by_text(state, exact=True)).to_be_visible()
    expect(row(page, "failed")).to_contain_text("Gone")
    expect(row(page, "locked")).to_contain_text("unlocks in 10 minutes")
    expect(page.get_by_text("2 of 4 handled (50 %)")).to_be_visible()
    shot("requests")
    axe(page)


def test_a_view_has_the_requests_of_a_state(page: Page, crawl: Requests) -> None:
    crawl.show(page)

    for state in STATES:
        see(page, state.capitalize())
        expect(page.get_by_text("1–1 request")).to_be_visible()
        expect(row(page, state)).to_be_visible()
        expect(page.get_by_role("row")).to_have_count(2)
    page.reload()
    expect(page.get_by_role("radio", name="Failed")).to_be_checked()
    expect(row(page, "failed")).to_be_visible()


def test_the_order_of_the_queue_is_a_view(page: Page, requests: Requests) -> None:
    requests.add("1", "2", "3")
    first = {"url": f"{SHOP}/0", "uniqueKey": f"{SHOP}/0"}
    requests.api.post(f"{requests.path}/requests?forefront=1", json=first).raise_for_status()
    requests.show(page)

    see(page, "In order")

    names = page.get_by_role("row").get_by_role("button")
    expect(names).to_have_text([f"{SHOP}/{at}" for at in range(4)])


def test_pages_lead_on_and_back(page: Page, requests: Requests) -> None:
    requests.add(*(f"page-{at}" for at in range(60)), handledAt=HANDLED_AT)
    listed = requests.urls()
    requests.show(page)

    for view in ("All", "Handled"):
        see(page, view)
        page.get_by_role("button", name="Next page").click()
        expect(page.get_by_text("51–60")).to_be_visible()
        expect(row(page, listed[59])).to_be_visible()
        page.get_by_role("button", name="Previous page").click()
        expect(page.get_by_text("1–50")).to_be_visible()
        expect(row(page, listed[0])).to_be_visible()


def test_a_queue_without_requests_says_so(
    page: Page, requests: Requests, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    requests.show(page)
    expect(page.get_by_role("heading", name="No requests yet")).to_be_visible()
    shot("requests-none")
    axe(page)

    see(page, "Locked")
    expect(page.get_by_role("heading", name="No request is locked")).to_be_visible()


def test_what_a_crawl_does_shows_while_it_runs(page: Page, requests: Requests) -> None:
    requests.add("a", "b")
    requests.show(page)
    expect(page.get_by_text("0 of 2 handled (0 %)")).to_be_visible()

    done = requests.get("a") | {"handledAt": HANDLED_AT}
    requests.api.put(f"{requests.path}/requests/{done['id']}", json=done).raise_for_status()
    refresh(page)

    expect(row(page, "a").get_by_text("handled", exact=True)).to_be_visible()
    expect(page.get_by_text("1 of 2 handled (50 %)")).to_be_visible()


def test_a_request_shows_all_it_holds(
    page: Page, requests: Requests, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    requests.add(
        "search",
        method="POST",
        headers={"Accept-Language": "de"},
        payload='{"query":"shoes"}',
        userData={"label": "SEARCH"},
        errorMessages=["Timed out\n    at goto"],
        retryCount=2,
        loadedUrl=f"{SHOP}/search/",
        handledAt=HANDLED_AT,
    )

    panel = requests.open(page, "search")

    expect(panel.get_by_text("POST", exact=True)).to_be_visible()
    expect(panel.get_by_role("link", name=f"{SHOP}/search")).to_be_visible()
    for fact in ("1 Mar 2026", requests.get("search")["id"], f"{SHOP}/search/", "at goto"):
        expect(panel.get_by_text(fact).first).to_be_visible()
    expect(panel.get_by_role("region", name="Headers")).to_contain_text('"Accept-Language": "de"')
    expect(panel.get_by_role("region", name="Payload")).to_contain_text('"query": "shoes"')
    expect(panel.get_by_role("region", name="User data")).to_contain_text('"label": "SEARCH"')
    shot("request")
    axe(page)


def test_a_url_that_is_a_script_is_no_link(page: Page, requests: Requests) -> None:
    evil = {"url": "javascript:document.title='it ran'", "uniqueKey": "<b>key</b>"}
    requests.api.post(f"{requests.path}/requests", json=evil).raise_for_status()
    requests.show(page)

    page.get_by_role("button", name=evil["url"]).click()
    panel = page.get_by_role("dialog", name="Request", exact=True)

    expect(panel.get_by_text("<b>key</b>", exact=True)).to_be_visible()
    assert panel.locator("a, b").count() == 0
    assert page.title() != "it ran"


def test_the_holder_of_a_lock_is_told_and_the_lock_can_be_taken(
    page: Page, crawl: Requests, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    panel = crawl.open(page, "locked")
    expect(panel.get_by_text("worker-1", exact=True)).to_be_visible()
    shot("request-locked")
    axe(page)

    panel.get_by_role("button", name="Unlock").click()

    expect(page.get_by_text("The request is unlocked")).to_be_visible()
    expect(panel.get_by_text("pending", exact=True)).to_be_visible()
    assert "lockExpiresAt" not in crawl.get("locked")


def test_a_failed_request_is_retried_as_if_nobody_had_visited_it(
    page: Page, requests: Requests
) -> None:
    data = '{"id": 12345678901234567890, "__crawlee": {"state": 5, "enqueueStrategy": "all"}}'
    body = f"""{{"url": "{SHOP}/failed", "uniqueKey": "{SHOP}/failed", "retryCount": 3,
        "errorMessages": ["Gone"], "handledAt": "{HANDLED_AT}", "userData": {data}}}"""
    requests.api.post(f"{requests.path}/requests", content=body).raise_for_status()
    panel = requests.open(page, "failed")

    panel.get_by_role("button", name="Retry").click()

    expect(page.get_by_text("The request is pending again")).to_be_visible()
    expect(panel.get_by_text("pending", exact=True)).to_be_visible()
    found = requests.get("failed")
    assert (found["handledAt"], found["retryCount"], found["errorMessages"]) == (None, 0, [])
    assert found["userData"] == {
        "id": 12345678901234567890,
        "__crawlee": {"enqueueStrategy": "all"},
    }


def test_all_failed_requests_are_retried_at_once(page: Page, crawl: Requests) -> None:
    crawl.add("failed-2", handledAt=HANDLED_AT, errorMessages=["Gone"])
    crawl.show(page)
    see(page, "Failed")

    page.get_by_role("button", name="Retry all failed").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry all failed").click()

    expect(page.get_by_text("2 requests retried")).to_be_visible()
    expect(page.get_by_role("heading", name="No request has failed")).to_be_visible()
    assert sorted(crawl.urls(filter="pending")) == ["failed", "failed-2", "pending"]
    assert crawl.get("handled")["handledAt"] == HANDLED_AT


def test_chosen_requests_are_unlocked_retried_and_deleted(
    page: Page, crawl: Requests, shot: Callable[[str], None]
) -> None:
    crawl.show(page)
    chosen = page.get_by_role("group", name="Chosen requests")
    everything = page.get_by_label("Choose all on this page")

    everything.check()
    expect(chosen.get_by_text("4 requests chosen")).to_be_visible()
    shot("requests-chosen")
    chosen.get_by_role("button", name="Unlock").click()
    expect(page.get_by_text("1 request is unlocked")).to_be_visible()
    everything.check()
    chosen.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("2 requests are pending again")).to_be_visible()
    assert sorted(crawl.urls(filter="pending")) == sorted(STATES)

    page.get_by_label(f"Choose {SHOP}/handled").check()
    page.get_by_label(f"Choose {SHOP}/failed").check()
    chosen.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 2 requests?")
    dialog.get_by_label("to confirm").fill("delete")
    dialog.get_by_role("button", name="Delete 2 requests").click()
    expect(page.get_by_text("2 requests deleted")).to_be_visible()
    assert sorted(crawl.urls()) == ["locked", "pending"]


def test_a_request_is_deleted_once_its_id_is_typed(page: Page, crawl: Requests) -> None:
    panel = crawl.open(page, "handled")
    panel.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete the request?")

    dialog.get_by_label("to confirm").fill(crawl.get("handled")["id"])
    dialog.get_by_role("button", name="Delete request").click()

    expect(page.get_by_text("The request is deleted")).to_be_visible()
    expect(row(page, "handled")).to_be_hidden()
    assert "handled" not in crawl.urls()


def test_a_request_is_added_under_the_key_that_crawlers_give_it(
    page: Page, requests: Requests, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    url = "https://Example.com:443/a b/?b=2&a=%20x&utm_source=mail#part"
    requests.show(page)
    page.get_by_role("button", name="Add request").click()
    dialog = page.get_by_role("dialog", name="Add a request")

    dialog.get_by_label("URL", exact=True).fill(url)
    dialog.get_by_text("Method, headers, payload, user data").click()
    dialog.get_by_label("Method").select_option("POST")
    dialog.get_by_label("User data").fill('{"label": "HOME",}')
    dialog.get_by_role("button", name="Add request").click()
    expect(dialog.get_by_role("alert")).to_contain_text("User data:")
    shot("request-new")
    axe(page)
    dialog.get_by_label("User data").fill('{"label": "HOME"}')
    dialog.get_by_role("button", name="Add request").click()

    expect(page.get_by_text("The request is added")).to_be_visible()
    id = rules.request_id(unique_key(url))
    found = requests.api.get(f"{requests.path}/requests/{id}").json()["data"]
    assert found["url"] == url
    assert (found["method"], found["userData"]) == ("POST", {"label": "HOME"})


def test_a_request_can_go_to_the_front_with_a_key_of_its_own(
    page: Page, requests: Requests
) -> None:
    requests.add("later")
    requests.show(page)
    page.get_by_role("button", name="Add request").click()
    dialog = page.get_by_role("dialog", name="Add a request")

    dialog.get_by_label("URL", exact=True).fill("example.com/no-scheme")
    dialog.get_by_role("button", name="Add request").click()
    expect(dialog.get_by_role("alert")).to_contain_text("a scheme and a host")
    dialog.get_by_label("URL", exact=True).fill(f"{SHOP}/now")
    dialog.get_by_label("Unique key").fill("mine")
    dialog.get_by_label("At the front").check()
    dialog.get_by_role("button", name="Add request").click()
    expect(page.get_by_text("The request is added")).to_be_visible()

    head = requests.api.get(f"{requests.path}/head").json()["data"]["items"]
    assert [one["uniqueKey"] for one in head] == ["mine", f"{SHOP}/later"]
