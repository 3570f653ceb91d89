"""The items of a dataset: as a table of any length, as JSON, and exported."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, Request, expect

from .conftest import refresh

VIEWS = {
    "actorSpecification": 1,
    "views": {
        "short": {
            "title": "Short",
            "transformation": {"fields": ["name", "price"]},
            "display": {
                "component": "table",
                "properties": {"name": {"label": "Product", "format": "text"}},
            },
        },
        "photos": {
            "title": "Photos",
            "transformation": {"fields": ["photos"], "unwind": ["photos"]},
            "display": {"component": "table", "properties": {}},
        },
    },
}


def item(number: int) -> dict[str, object]:
    return {
        "name": f"Lamp {number}",
        "price": number + 0.5,
        "url": f"https://example.com/{number}",
        "photos": [f"{number}a.jpg", f"{number}b.jpg"],
        "#seen": True,
    }


@pytest.fixture
def lamps(api: httpx.Client) -> str:
    """A dataset with 250 items and two views."""
    made = api.post("/v2/datasets", params={"name": "lamps"}, json={"schema": VIEWS}).json()
    id = str(made["data"]["id"])
    api.post(f"/v2/datasets/{id}/items", json=[item(number) for number in range(250)])
    return id


def cell(page: Page, row: int, column: int) -> Locator:
    """A cell of the grid by its row, counted from 1, and column, where 0 is the number."""
    return page.locator(f'[role=row][aria-rowindex="{row + 1}"] > *').nth(column)


def headings(page: Page) -> list[str]:
    return page.get_by_role("columnheader").all_inner_texts()


def test_items_are_a_table(page: Page, lamps: str, shot: Callable, axe: Callable) -> None:
    page.goto(f"/#/datasets/{lamps}")

    expect(cell(page, 1, 1)).to_have_text("Lamp 0")
    assert headings(page) == ["No.", "name", "price", "url", "photos", "#seen"]
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "251")
    expect(cell(page, 1, 3).get_by_role("link")).to_have_attribute("rel", "noopener noreferrer")
    axe(page)
    shot("dataset-table")


def test_only_rows_in_sight_are_drawn_and_the_keys_reach_them_all(page: Page, lamps: str) -> None:
    page.goto(f"/#/datasets/{lamps}")
    expect(cell(page, 1, 1)).to_have_text("Lamp 0")
    grid = page.get_by_role("grid")

    grid.focus()
    page.keyboard.press("End")
    expect(cell(page, 250, 1)).to_have_text("Lamp 249")
    assert page.get_by_role("row").count() < 60
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")

    expect(page.get_by_role("dialog")).to_contain_text('"name": "Lamp 248"')


def test_a_row_shows_the_whole_item_and_its_neighbours(
    page: Page, lamps: str, shot: Callable, axe: Callable
) -> None:
    page.goto(f"/#/datasets/{lamps}")
    cell(page, 3, 1).click()
    panel = page.get_by_role("dialog")
    expect(panel).to_contain_text('"name": "Lamp 2"')
    axe(page)
    shot("dataset-item")

    panel.get_by_role("button", name="Next item").click()
    expect(panel.get_by_role("heading", name="Item 4")).to_be_visible()
    page.keyboard.press("Escape")

    expect(panel).to_have_count(0)


def test_an_item_is_found_by_its_number_and_the_newest_come_first(page: Page, lamps: str) -> None:
    page.goto(f"/#/datasets/{lamps}")
    number = page.get_by_label("Go to item number")
    number.fill("200")
    number.press("Enter")
    expect(cell(page, 200, 1)).to_have_text("Lamp 199")
    expect(cell(page, 200, 1)).to_be_in_viewport()

    page.get_by_label("Newest first").check()

    expect(cell(page, 1, 1)).to_have_text("Lamp 249")
    expect(cell(page, 1, 0)).to_have_text("250")


def test_columns_are_chosen_and_stay_chosen(page: Page, lamps: str, shot: Callable) -> None:
    page.goto(f"/#/datasets/{lamps}")
    page.get_by_role("button", name="Columns").click()
    dialog = page.get_by_role("dialog")
    shot("dataset-columns")
    dialog.get_by_role("button", name="None").click()
    dialog.get_by_label("name").check()
    dialog.get_by_label("url").check()
    dialog.get_by_role("button", name="Show").click()
    expect(page.get_by_role("columnheader")).to_have_count(3)

    page.get_by_role("link", name="Details").click()
    page.get_by_role("link", name="Items").click()

    expect(cell(page, 1, 2)).to_have_text("https://example.com/0")
    assert headings(page) == ["No.", "name", "url"]


def test_clean_hides_fields_that_begin_with_a_hash(page: Page, lamps: str) -> None:
    page.goto(f"/#/datasets/{lamps}")
    expect(page.get_by_role("columnheader", name="#seen")).to_be_visible()

    page.get_by_label("Clean").check()

    expect(page.get_by_role("columnheader", name="#seen")).to_have_count(0)
    cell(page, 1, 1).click()
    expect(page.get_by_role("dialog")).to_contain_text('"name": "Lamp 0"')
    expect(page.get_by_role("dialog")).not_to_contain_text("#seen")


def test_views_of_the_schema(page: Page, lamps: str, shot: Callable, axe: Callable) -> None:
    page.goto(f"/#/datasets/{lamps}")
    page.get_by_label("View").select_option("Short")
    expect(page.get_by_role("columnheader", name="Product")).to_be_visible()
    assert headings(page) == ["No.", "Product", "price"]

    page.get_by_label("View").select_option("Photos")

    expect(page.get_by_role("cell", name="0b.jpg", exact=True)).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(101)
    expect(page.get_by_text("1–50 of 250 items")).to_be_visible()
    axe(page)
    shot("dataset-view")


def test_items_as_json_in_pages(page: Page, lamps: str, shot: Callable, axe: Callable) -> None:
    page.goto(f"/#/datasets/{lamps}")
    page.get_by_label("JSON", exact=True).check(force=True)
    expect(page.get_by_label("Item 25", exact=True)).to_contain_text('"name": "Lamp 24"')
    expect(page.get_by_text("1–25 of 250 items")).to_be_visible()
    axe(page)
    shot("dataset-json")

    page.get_by_role("button", name="Next page").click()

    expect(page.get_by_label("Item 26", exact=True)).to_contain_text('"name": "Lamp 25"')


def test_numbers_keep_their_digits(page: Page, api: httpx.Client) -> None:
    id = api.post("/v2/datasets").json()["data"]["id"]
    api.post(f"/v2/datasets/{id}/items", content=b'[{"n": 12345678901234567890, "f": 1.50}]')
    page.goto(f"/#/datasets/{id}")
    expect(cell(page, 1, 1)).to_have_text("12345678901234567890")

    cell(page, 1, 1).click()

    expect(page.get_by_role("dialog")).to_contain_text('"n": 12345678901234567890')
    expect(page.get_by_role("dialog")).to_contain_text('"f": 1.50')


def test_items_come_while_a_crawl_runs(page: Page, api: httpx.Client, shot: Callable) -> None:
    id = api.post("/v2/datasets").json()["data"]["id"]
    page.goto(f"/#/datasets/{id}")
    expect(page.get_by_role("heading", name="No items yet")).to_be_visible()
    shot("dataset-empty")

    api.post(f"/v2/datasets/{id}/items", json=[item(0)])
    refresh(page)
    expect(cell(page, 1, 1)).to_have_text("Lamp 0")
    api.post(f"/v2/datasets/{id}/items", json=[item(1)])
    refresh(page)

    expect(cell(page, 2, 1)).to_have_text("Lamp 1")


def test_a_million_items_scroll_and_jump(page: Page, api: httpx.Client) -> None:
    """Beyond what a browser has pixels for; small items, as one push of each 100,000."""
    id = api.post("/v2/datasets").json()["data"]["id"]
    for start in range(0, 1_000_000, 250_000):
        body = b"[" + b",".join(b'{"n":%d}' % n for n in range(start, start + 250_000)) + b"]"
        assert api.post(f"/v2/datasets/{id}/items", content=body).status_code == 201
    page.goto(f"/#/datasets/{id}")
    expect(cell(page, 1, 1)).to_have_text("0")
    grid = page.get_by_role("grid")

    grid.evaluate("node => node.scrollTo(0, node.scrollHeight)")
    expect(cell(page, 1_000_000, 1)).to_have_text("999999")
    number = page.get_by_label("Go to item number")
    number.fill("654321")
    number.press("Enter")
    expect(cell(page, 654_321, 1)).to_have_text("654320")
    grid.evaluate("node => node.scrollBy(0, 3 * 36)")

    expect(cell(page, 654_330, 1)).to_have_text("654329")
    assert page.get_by_role("row").count() < 60


def exported(page: Page, tmp_path: Path) -> tuple[str, bytes]:
    """The name and the bytes of what the export dialog downloads."""
    with page.expect_download() as started:
        page.get_by_role("dialog").get_by_role("button", name="Download").click()
    path = tmp_path / "download"
    started.value.save_as(path)
    return started.value.suggested_filename, path.read_bytes()


STARTS = {
    "JSON": (".json", b"["),
    "JSONL": (".jsonl", b"{"),
    "CSV": (".csv", b"\xef\xbb\xbf"),
    "Excel": (".xlsx", b"PK"),
    "XML": (".xml", b"<?xml"),
    "HTML": (".html", b"<!DOCTYPE html>"),
    "RSS": (".rss", b"<?xml"),
}


def test_export_in_every_format(page: Page, lamps: str, tmp_path: Path) -> None:
    page.goto(f"/#/datasets/{lamps}")

    for format, (suffix, start) in STARTS.items():
        page.get_by_role("button", name="Export").click()
        choice = page.get_by_role("dialog").get_by_role("radio", name=re.compile(f"^{format} "))
        choice.check(force=True)
        name, body = exported(page, tmp_path)

        assert name == f"lamps{suffix}"
        assert start in body[:200]


def test_export_of_some_fields_of_some_clean_items(
    page: Page, api: httpx.Client, tmp_path: Path, shot: Callable, axe: Callable
) -> None:
    id = api.post("/v2/datasets", params={"name": "mixed"}).json()["data"]["id"]
    items = [item(0), {"#only": 1}, item(1), item(2), item(3)]
    api.post(f"/v2/datasets/{id}/items", json=items)
    page.goto(f"/#/datasets/{id}")
    page.get_by_role("button", name="Export").click()
    dialog = page.get_by_role("dialog")
    axe(page)
    shot("dataset-export")

    dialog.get_by_role("radio", name="CSV").check(force=True)
    dialog.get_by_label("At most").fill("4")
    dialog.get_by_label("Clean").check()
    dialog.get_by_label("Newest first").check()
    dialog.get_by_text("Fields", exact=True).click()
    dialog.get_by_label("name", exact=True).check()
    dialog.get_by_label("price", exact=True).check()
    dialog.get_by_text("More options").click()
    dialog.get_by_label("Delimiter").fill(";")
    shot("dataset-export-more")
    _, body = exported(page, tmp_path)

    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), delimiter=";"))
    assert rows == [["name", "price"], ["Lamp 3", "3.5"], ["Lamp 2", "2.5"], ["Lamp 1", "1.5"]]


def test_an_export_of_a_hundred_megabytes_goes_past_the_page(
    page: Page, api: httpx.Client, tmp_path: Path
) -> None:
    """The browser writes it to the disk: no script asks for more than is looked at."""
    id = api.post("/v2/datasets").json()["data"]["id"]
    line = b'{"text":"%s"}' % (b"x" * 1_000_000)
    for _ in range(13):
        body = b"[" + b",".join([line] * 8) + b"]"
        api.post(f"/v2/datasets/{id}/items", content=body).raise_for_status()
    asked: list[int] = []

    def noted(request: Request) -> None:
        found = parse_qs(urlsplit(request.url).query)
        if request.resource_type in ("fetch", "xhr") and "/items" in request.url:
            asked.append(int(found.get("limit", ["100"])[0]))

    page.on("request", noted)
    page.goto(f"/#/datasets/{id}")
    page.get_by_role("button", name="Export").click()

    _, body = exported(page, tmp_path)

    page.remove_listener("request", noted)
    assert len(json.loads(body)) == 104
    assert max(asked) <= 2


def test_an_export_that_cannot_be_is_told_in_the_dialog(
    page: Page, lamps: str, allowed: list[str]
) -> None:
    allowed.append("status of 400")
    page.goto(f"/#/datasets/{lamps}")
    page.get_by_role("button", name="Export").click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_label("Start after").evaluate("node => { node.type = 'text'; node.value = 'x' }")
    dialog.get_by_role("button", name="Download").click()

    expect(dialog.get_by_role("alert")).to_contain_text("offset must be a whole number")


def test_a_reader_who_may_not_make_links_exports_too(
    visitor: Page, api: httpx.Client, store: object, lamps: str, tmp_path: Path, allowed: list[str]
) -> None:
    allowed.append("status of 403")
    scope = ["dataset:read", "dataset:list"]
    made = api.post("/v2/tokens", json={"name": "reader", "scope": scope}).json()["data"]
    visitor.goto(f"/#token={made['secret']}")
    visitor.get_by_role("link", name="lamps").click()
    visitor.get_by_role("button", name="Export").click()

    _, body = exported(visitor, tmp_path)

    assert len(json.loads(body)) == 250
