"""What others stored is shown and never run: markup in names, items, keys, URLs, types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Dialog, Page, expect

IMAGE = '<img src=x onerror="window.owned=1">'
SCRIPT = "<script>window.owned=1</script>"
CLOSING = '"></script></style></title></textarea><svg onload="window.owned=1">'
LINK = "javascript:window.owned=1"
DATA = "data:text/html,<script>opener.owned=1</script>"
TURNED = "\u202egnp.exe\u0000\u2028\ud7ff"
LONG = "W" * 3000
NASTY = (IMAGE, SCRIPT, CLOSING, LINK, DATA, TURNED, LONG, "__proto__", "constructor")


@pytest.fixture
def unharmed(visitor: Page) -> Iterator[Callable[[], None]]:
    """unharmed(): nothing of what is shown has run, or became an element."""
    asked: list[str] = []

    def dismissed(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    visitor.on("dialog", dismissed)

    def check() -> None:
        assert visitor.evaluate("'owned' in window || 'owned' in Object.prototype") is False
        assert visitor.locator("img[onerror], svg[onload], #app script, dialog script").count() == 0
        schemes = visitor.eval_on_selector_all("a[href]", "all => all.map(one => one.protocol)")
        assert set(schemes) <= {"http:", "https:", "blob:"}
        assert asked == []

    yield check
    visitor.remove_listener("dialog", dismissed)
    visitor.evaluate("delete window.owned")


@pytest.fixture
def dataset(api: httpx.Client) -> str:
    """The ID of one whose title, schema, fields and values are all hostile."""
    view = {
        "title": IMAGE,
        "transformation": {"fields": [IMAGE, LINK]},
        "display": {"component": "table", "properties": {LINK: {"label": SCRIPT}}},
    }
    schema = {"actorSpecification": 1, "views": {CLOSING: view}}
    id = str(api.post("/v2/datasets", json={"schema": schema}).json()["data"]["id"])
    api.put(f"/v2/datasets/{id}", json={"title": IMAGE})
    item = {text: text for text in NASTY} | {"": {"deep": [IMAGE, {SCRIPT: LINK}]}}
    api.post(f"/v2/datasets/{id}/items", json=[item, {"url": LINK, "image": DATA}, {}])
    return id


def test_items_fields_and_views(
    page: Page, dataset: str, unharmed: Callable, shot: Callable, axe: Callable
) -> None:
    page.goto("/#/datasets?unnamed=1")
    expect(page.get_by_role("link", name=IMAGE)).to_be_visible()
    unharmed()
    shot("hostile-list")

    page.get_by_role("link", name=IMAGE).click()
    expect(page.get_by_role("heading", name=IMAGE, level=1)).to_be_visible()
    expect(page.get_by_role("columnheader", name=SCRIPT, exact=True)).to_be_visible()
    expect(page.get_by_role("columnheader", name="\\u202egnp.exe\\u0000")).to_be_visible()
    unharmed()
    axe(page)
    shot("hostile-items")
    page.get_by_role("row").nth(1).click()
    expect(page.get_by_role("dialog")).to_contain_text('"__proto__": "__proto__"')
    unharmed()
    shot("hostile-item")
    page.keyboard.press("Escape")
    page.get_by_label("View").select_option(IMAGE)
    expect(page.get_by_role("columnheader", name=SCRIPT, exact=True)).to_be_visible()
    unharmed()


def test_every_part_of_a_dataset(
    page: Page, dataset: str, unharmed: Callable, shot: Callable
) -> None:
    page.goto(f"/#/datasets/{dataset}")
    expect(page.get_by_role("grid")).to_be_visible()
    dialog = page.get_by_role("dialog")
    places = {
        "Columns": dialog,
        "Export": dialog,
        "Delete": dialog,
        "JSON": page.get_by_label("Item 1", exact=True),
        "Details": page.get_by_role("heading", name="Schema"),
    }

    for place, seen in places.items():
        page.locator("label, .button, .tab").filter(has_text=place).first.click()
        expect(seen).to_be_visible()
        unharmed()
        shot(f"hostile-{place.lower()}")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_two_thousand_columns_and_an_item_of_megabytes(
    page: Page, api: httpx.Client, shot: Callable
) -> None:
    id = api.post("/v2/datasets").json()["data"]["id"]
    wide = {f"column {at}": at for at in range(2000)}
    deep: list[object] = []
    for _ in range(150):
        deep = [deep]
    api.post(f"/v2/datasets/{id}/items", json=[wide, {"deep": deep, "large": "x" * 3_000_000}])
    page.goto(f"/#/datasets/{id}")

    page.get_by_role("row").nth(2).click()
    expect(page.get_by_role("dialog")).to_contain_text('"deep": [')
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Columns").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All").click()
    dialog.get_by_role("button", name="Show").click()

    expect(dialog.get_by_role("alert")).to_contain_text("at most 200 columns")
    shot("hostile-many-columns")


def test_records(page: Page, api: httpx.Client, unharmed: Callable) -> None:
    id = api.post("/v2/key-value-stores").json()["data"]["id"]
    api.put(f"/v2/key-value-stores/{id}", json={"title": SCRIPT})
    bodies = {
        "page.html": ("text/html", f"<html><body>{SCRIPT}{IMAGE}</body></html>"),
        "picture.svg": ("image/svg+xml", f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>'),
        "value.json": ("application/json", f'{{"a": "{SCRIPT}"}}'),
        "type": (f"text/{'x' * 90}", IMAGE),
    }
    for key, (type, body) in bodies.items():
        path = f"/v2/key-value-stores/{id}/records/{quote(key)}"
        api.put(path, content=body.encode(), headers={"Content-Type": type})
    page.goto(f"/#/kvs/{id}")
    expect(page.get_by_text("picture.svg").first).to_be_visible()
    unharmed()

    for key in bodies:
        page.goto(f"/#/kvs/{id}/records")
        page.get_by_text(key, exact=True).first.click()
        expect(page.get_by_role("dialog")).to_contain_text(key)
        unharmed()
        page.keyboard.press("Escape")


def test_requests(page: Page, api: httpx.Client, unharmed: Callable) -> None:
    id = api.post("/v2/request-queues").json()["data"]["id"]
    requests = [
        {"url": text, "uniqueKey": f"{text} {place}", "userData": {text: text}, "method": "GET"}
        for place, text in enumerate((LINK, DATA, f"https://example.com/{IMAGE}"))
    ]
    answer = api.post(f"/v2/request-queues/{id}/requests/batch", json=requests)
    assert len(answer.json()["data"]["processedRequests"]) == 3
    page.goto(f"/#/queues/{id}")

    expect(page.get_by_text(LINK).first).to_be_visible()
    unharmed()
    page.get_by_text(LINK).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()

    unharmed()


@pytest.mark.parametrize("hash", ["#/kvs/<img src=x onerror=owned=1>", "#/%3Cscript%3E/%E0%A4"])
def test_addresses(page: Page, unharmed: Callable, allowed: list[str], hash: str) -> None:
    allowed.append("status of 40[04]")

    page.goto(f"/{hash}")

    expect(page.get_by_role("alert")).to_be_visible()
    unharmed()


def test_no_script_of_the_page_itself_may_come_from_a_text(
    newcomer: Page, allowed: list[str]
) -> None:
    allowed += ["Content Security Policy", "status of 401"]
    newcomer.goto("/")

    newcomer.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.owned = 1";
            const image = document.createElement("img");
            image.setAttribute("onerror", "window.owned = 1");
            image.src = "data:,";
            document.body.append(script, image);
        }"""
    )
    newcomer.wait_for_function("document.querySelector('img[onerror]').complete")

    assert newcomer.evaluate("'owned' in window") is False
