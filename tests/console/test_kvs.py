"""Records in the console: listed, uploaded, shown, written, downloaded, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from struct import pack
from zipfile import ZipFile
from zlib import compress, crc32

import httpx
import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from .conftest import refresh

JSON = "application/json; charset=utf-8"
RUN = "document.title = 'it ran'"
TOO_MANY = 230
"""Records for three pages."""


class Records:
    """One key-value store: what a test puts there, and what it finds."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self.id = api.post("/v2/key-value-stores?name=records").json()["data"]["id"]
        self.path = f"/v2/key-value-stores/{self.id}"

    def put(self, key: str, body: str | bytes, type: str = JSON) -> None:
        content = body.encode() if isinstance(body, str) else body
        sent = self.api.put(
            f"{self.path}/records/{key}", content=content, headers={"Content-Type": type}
        )
        assert sent.status_code == 201

    def get(self, key: str) -> httpx.Response:
        return self.api.get(f"{self.path}/records/{key}")

    def listed(self) -> list[str]:
        return [one["key"] for one in self.api.get(f"{self.path}/keys").json()["data"]["items"]]

    def show(self, page: Page) -> None:
        page.goto(f"/#/kvs/{self.id}/records")
        expect(page.get_by_role("button", name="Upload", exact=True)).to_be_visible()

    def open(self, page: Page, key: str) -> Locator:
        """The panel of a record."""
        self.show(page)
        page.get_by_role("button", name=key, exact=True).click()
        return page.get_by_role("dialog", name="Record")


@pytest.fixture
def records(api: httpx.Client) -> Records:
    return Records(api)


def test_records_are_listed_with_types_and_sizes(
    page: Page, records: Records, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    records.put("OUTPUT", b"1" * 2500)
    records.put("photo.png", _picture(), "image/png")

    records.show(page)

    row = page.get_by_role("row").filter(has_text="OUTPUT")
    expect(row).to_contain_text("application/json")
    expect(row).to_contain_text("2.5 kB")
    expect(page.get_by_text("1–2 records")).to_be_visible()
    shot("records")
    axe(page)


def test_a_store_without_records_says_how_to_fill_it(
    page: Page, records: Records, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    records.show(page)

    expect(page.get_by_role("heading", name="No records yet")).to_be_visible()
    expect(page.get_by_role("link", name="Download all")).to_be_hidden()
    shot("records-none")
    axe(page)


def test_pages_lead_on_and_back(page: Page, records: Records) -> None:
    for at in range(TOO_MANY):
        records.put(f"key-{at:03}", "1")
    on, back = (page.get_by_role("button", name=f"{one} page") for one in ("Next", "Previous"))

    records.show(page)
    on.click()
    on.click()
    expect(page.get_by_text("201–230")).to_be_visible()
    expect(page.get_by_role("button", name="key-229", exact=True)).to_be_visible()
    expect(on).to_be_disabled()

    back.click()
    expect(page.get_by_text("101–200")).to_be_visible()
    expect(page.get_by_role("button", name="key-100", exact=True)).to_be_visible()


def test_a_prefix_leaves_the_keys_that_start_with_it(page: Page, records: Records) -> None:
    for key in ("INPUT", "page-1", "page-2"):
        records.put(key, "1")
    prefix = page.get_by_role("searchbox", name="Keys that start with")
    records.show(page)
    expect(page.get_by_role("button", name="INPUT")).to_be_visible()

    prefix.fill("page-")
    expect(page.get_by_role("button", name="INPUT")).to_be_hidden()
    expect(page.get_by_role("button", name="page-2", exact=True)).to_be_visible()

    page.reload()
    expect(prefix).to_have_value("page-")
    expect(page.get_by_text("1–2 records")).to_be_visible()

    prefix.fill("nothing")
    expect(page.get_by_text("No key starts with nothing.")).to_be_visible()


def test_a_record_that_is_written_elsewhere_appears_by_itself(page: Page, records: Records) -> None:
    records.show(page)
    expect(page.get_by_role("heading", name="No records yet")).to_be_visible()

    records.put("LATE", "1")
    refresh(page)

    expect(page.get_by_role("button", name="LATE", exact=True)).to_be_visible()


def test_files_that_are_dropped_become_records_of_their_types(
    page: Page, records: Records, shot: Callable[[str], None]
) -> None:
    records.show(page)
    drop = """() => {
        const all = new DataTransfer();
        all.items.add(new File(['{"a": 1}'], "data.json", {type: "application/json"}));
        all.items.add(new File(["# Title"], "Read me, žluť.md"));
        all.items.add(new File(["\\0"], "blob"));
        return all;
    }"""

    page.dispatch_event(".records", "drop", {"dataTransfer": page.evaluate_handle(drop)})

    expect(page.get_by_text("3 files uploaded")).to_be_visible()
    shot("records-uploaded")
    assert records.listed() == ["Read-me-zlut.md", "blob", "data.json"]
    types = [records.get(key).headers["Content-Type"] for key in records.listed()]
    assert types == ["text/markdown", "application/octet-stream", "application/json"]
    assert records.get("data.json").text == '{"a": 1}'


def test_of_a_key_that_is_taken_the_upload_asks_what_to_do(page: Page, records: Records) -> None:
    records.put("a.txt", "old", "text/plain")
    records.show(page)
    answers = {
        "Cancel": {"a.txt": "old"},
        "Skip it": {"a.txt": "old", "Skip.txt": "new"},
        "Keep both": {"a-2.txt": "new", "a.txt": "old", "Keep.txt": "new", "Skip.txt": "new"},
        "Replace it": {
            "a-2.txt": "new",
            "a.txt": "new",
            "Keep.txt": "new",
            "Replace.txt": "new",
            "Skip.txt": "new",
        },
    }

    for answer, found in answers.items():
        other = f"{answer.split()[0]}.txt"
        page.locator("input[type=file]").set_input_files(
            [_file("a.txt", b"new"), _file(other, b"new")]
        )
        question = page.get_by_role("dialog", name="A record has this key already")
        question.get_by_role("button", name=answer).click()
        panel = page.get_by_role("region", name="Upload")
        if answer != "Cancel":
            expect(panel.get_by_text("uploaded")).to_be_visible()
            panel.get_by_role("button", name="Dismiss").click()
        expect(panel).to_be_hidden()
        assert {key: records.get(key).text for key in records.listed()} == found


def test_an_upload_goes_on_while_another_tab_is_looked_at(page: Page, records: Records) -> None:
    held: list[Route] = []
    page.route("**/records/a.txt", lambda route: held.append(route))
    records.show(page)
    page.locator("input[type=file]").set_input_files([_file("a.txt", b"a")])
    expect(page.get_by_text("Uploading 1 file: 0 done")).to_be_visible()

    page.get_by_role("link", name="Details").click()
    expect(page.get_by_text("Uploading")).to_be_hidden()
    page.get_by_role("link", name="Records").click()
    expect(page.get_by_text("Uploading 1 file: 0 done")).to_be_visible()
    held[0].continue_()

    expect(page.get_by_text("1 file uploaded")).to_be_visible()
    assert records.get("a.txt").text == "a"


def test_an_upload_tells_what_failed_and_why(
    page: Page, records: Records, allowed: list[str]
) -> None:
    allowed.append("ERR_FAILED")
    page.route("**/records/b.txt", lambda route: route.abort())
    records.show(page)

    page.locator("input[type=file]").set_input_files([_file("a.txt", b"a"), _file("b.txt", b"b")])

    expect(page.get_by_text("1 file uploaded, 1 failed")).to_be_visible()
    expect(page.get_by_text("b.txt: The connection broke off.")).to_be_visible()
    assert records.listed() == ["a.txt"]


def test_json_is_laid_out_and_its_numbers_keep_their_digits(
    page: Page, records: Records, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    records.put("OUTPUT", '{"id":12345678901234567890,"list":[],"more":{"text":"a\\"}"}}')

    panel = records.open(page, "OUTPUT")

    expect(panel.get_by_role("region", name="Record OUTPUT")).to_have_text(
        '{\n  "id": 12345678901234567890,\n  "list": [],\n  "more": {\n    "text": "a\\"}"\n  }\n}',
        use_inner_text=True,
    )
    shot("record-json")
    axe(page)


def test_of_a_large_json_the_start_is_laid_out_and_the_cut_is_told(
    page: Page, records: Records
) -> None:
    records.put("LARGE", json.dumps([{"at": at} for at in range(40_000)]))

    panel = records.open(page, "LARGE")

    expect(panel.get_by_text("These are its first 256 kB")).to_be_visible()
    expect(panel.get_by_role("region")).to_contain_text('[\n  {\n    "at": 0\n  },')
    expect(panel.get_by_role("button", name="Edit")).to_be_hidden()


def test_an_image_is_shown(
    page: Page, records: Records, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    records.put("photo.png", _picture(), "image/png")

    panel = records.open(page, "photo.png")

    expect(panel.get_by_role("img", name="Record photo.png")).to_be_visible()
    expect(panel.get_by_text("96 × 64 pixels")).to_be_visible()
    shot("record-image")
    axe(page)


def test_what_is_no_image_for_all_its_type_is_told_so(page: Page, records: Records) -> None:
    records.put("broken.png", b"no image", "image/png")

    panel = records.open(page, "broken.png")

    expect(panel.get_by_role("alert")).to_have_text("This is no image that the browser can show.")


def test_an_svg_is_shown_as_an_image_whose_script_does_not_run(
    page: Page, records: Records
) -> None:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>{RUN}</script>'
    records.put("logo.svg", f"{svg}</svg>", "image/svg+xml")

    panel = records.open(page, "logo.svg")

    expect(panel.get_by_text("9 × 9 pixels")).to_be_visible()
    assert page.locator("svg:not(.icon)").count() == 0
    assert page.title() != "it ran"


def test_html_is_shown_as_its_source(page: Page, records: Records) -> None:
    source = f'<h1>Title</h1><script>{RUN}</script><img src=x onerror="{RUN}">'
    records.put("page.html", source, "text/html")

    panel = records.open(page, "page.html")

    expect(panel.get_by_role("region", name="Record page.html")).to_have_text(source)
    assert page.locator("iframe, object, embed, .record-image").count() == 0
    assert page.title() != "it ran"


def test_of_a_type_without_a_preview_the_text_can_be_had(page: Page, records: Records) -> None:
    records.put("data.bin", "Žluť".encode("windows-1250"), "application/x; charset=windows-1250")

    panel = records.open(page, "data.bin")
    expect(panel.get_by_text("There is no preview of this type.")).to_be_visible()
    panel.get_by_role("button", name="Show it as text").click()

    expect(panel.get_by_role("region")).to_have_text("Žluť")
    expect(panel.get_by_role("button", name="Edit")).to_be_hidden()


def test_a_record_leads_to_the_next_one_and_escape_back_to_its_row(
    page: Page, records: Records
) -> None:
    for key in ("a", "b"):
        records.put(key, f'"{key}"')

    panel = records.open(page, "a")
    page.keyboard.press("j")
    expect(panel.get_by_role("heading", name="b", exact=True)).to_be_visible()
    expect(panel.get_by_role("button", name="The next one")).to_be_disabled()
    page.keyboard.press("k")
    expect(panel.get_by_role("heading", name="a", exact=True)).to_be_visible()
    page.keyboard.press("Escape")

    expect(panel).to_be_hidden()
    expect(page.get_by_role("button", name="a", exact=True)).to_be_focused()


def test_a_record_is_copied(page: Page, records: Records) -> None:
    records.put("notes.txt", "line 1\nline 2", "text/plain")

    records.open(page, "notes.txt").get_by_role("button", name="Copy", exact=True).click()

    expect(page.get_by_text("Copied").first).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "line 1\nline 2"


def test_the_public_address_opens_the_record_without_a_token(page: Page, records: Records) -> None:
    records.put("notes.txt", "for all", "text/plain")

    panel = records.open(page, "notes.txt")
    panel.get_by_role("button", name="Copy address").click()
    expect(page.get_by_text("Copied").first).to_be_visible()

    found = httpx.get(page.evaluate("navigator.clipboard.readText()"))
    assert (found.status_code, found.text) == (200, "for all")


def test_one_record_is_downloaded_under_its_key(page: Page, records: Records) -> None:
    records.put("it's (1).html".replace(" ", "-"), "<p>", "text/html")
    records.show(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download it's-(1).html").click()

    assert download.value.suggested_filename == "it's-(1).html"
    assert Path(download.value.path()).read_text() == "<p>"
    assert "token" not in download.value.url


@pytest.mark.parametrize(("prefix", "names"), [("", ["INPUT", "page-1"]), ("page", ["page-1"])])
def test_all_records_are_downloaded_as_a_zip_file(
    page: Page, records: Records, prefix: str, names: list[str]
) -> None:
    for key in ("INPUT", "page-1"):
        records.put(key, "1")
    records.show(page)
    page.get_by_role("searchbox").fill(prefix)
    link = page.get_by_role("link", name="Download these" if prefix else "Download all")

    with page.expect_download() as download:
        link.click()

    packed = ZipFile(BytesIO(Path(download.value.path()).read_bytes()))
    assert [one.partition(".")[0] for one in packed.namelist()] == names


def test_a_record_is_written_by_hand_once_its_key_and_its_json_are_right(
    page: Page, records: Records, shot: Callable[[str], None], axe: Callable[[Page], None]
) -> None:
    records.show(page)
    page.get_by_role("button", name="New record").click()
    dialog = page.get_by_role("dialog", name="New record")

    dialog.get_by_label("Key").fill("a/b")
    dialog.get_by_label("Content", exact=True).fill('{"a": }')
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("1 to 256 of the letters")
    dialog.get_by_label("Key").fill("INPUT")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The text is not JSON")
    shot("record-new")
    axe(page)

    dialog.get_by_label("Content", exact=True).fill('{"a": 1.0}')
    expect(dialog.get_by_text("This is JSON")).to_be_visible()
    dialog.get_by_role("button", name="Save").click()

    expect(page.get_by_role("button", name="INPUT", exact=True)).to_be_visible()
    assert records.get("INPUT").text == '{"a": 1.0}'
    assert records.get("INPUT").headers["Content-Type"] == JSON


def test_a_key_that_is_taken_is_replaced_only_on_request(page: Page, records: Records) -> None:
    records.put("INPUT", "1")
    records.show(page)
    page.get_by_role("button", name="New record").click()
    dialog = page.get_by_role("dialog", name="New record")
    dialog.get_by_label("Key").fill("INPUT")
    dialog.get_by_label("Content", exact=True).fill("2")
    question = page.get_by_role("dialog", name="Replace the record?")

    dialog.get_by_role("button", name="Save").click()
    question.get_by_role("button", name="Cancel").click()
    assert records.get("INPUT").text == "1"
    dialog.get_by_role("button", name="Save").click()
    question.get_by_role("button", name="Replace it").click()

    expect(page.get_by_text("Record INPUT is saved")).to_be_visible()
    assert records.get("INPUT").text == "2"


def test_a_text_is_edited_and_keeps_its_type_and_line_ends(page: Page, records: Records) -> None:
    records.put("notes.txt", "old\r\nlines", "text/x-notes; charset=utf-8")

    panel = records.open(page, "notes.txt")
    panel.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit the record")
    dialog.get_by_label("Content", exact=True).fill("new\nlines")
    dialog.get_by_role("button", name="Save").click()

    expect(panel.get_by_role("region")).to_have_text("new lines")
    assert records.get("notes.txt").content == b"new\r\nlines"
    assert records.get("notes.txt").headers["Content-Type"] == "text/x-notes; charset=utf-8"


def test_a_record_is_deleted_once_its_key_is_typed(
    page: Page, records: Records, shot: Callable[[str], None]
) -> None:
    records.put("OUTPUT", "1")
    panel = records.open(page, "OUTPUT")
    panel.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete the record?")

    dialog.get_by_label("to confirm").fill("output")
    dialog.get_by_role("button", name="Delete record").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert records.listed() == ["OUTPUT"]
    shot("record-delete")
    dialog.get_by_label("to confirm").fill("OUTPUT")
    dialog.get_by_role("button", name="Delete record").click()

    expect(page.get_by_role("heading", name="No records yet")).to_be_visible()
    assert records.listed() == []


def test_records_that_are_chosen_on_several_pages_are_deleted_at_once(
    page: Page, records: Records, shot: Callable[[str], None]
) -> None:
    for at in range(103):
        records.put(f"key-{at:03}", "1")
    records.show(page)

    page.get_by_label("Choose key-001").check()
    page.get_by_role("button", name="Next page").click()
    page.get_by_label("Choose all on this page").check()
    expect(page.get_by_text("4 records chosen")).to_be_visible()
    shot("records-chosen")
    page.get_by_role("group", name="Chosen records").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 4 records?")
    dialog.get_by_label("to confirm").fill("delete")
    dialog.get_by_role("button", name="Delete 4 records").click()

    expect(page.get_by_text("4 records deleted")).to_be_visible()
    expect(page.get_by_text("1–99 records")).to_be_visible()
    assert len(records.listed()) == 99
    assert "key-001" not in records.listed()


def _file(name: str, body: bytes) -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": body}


def _picture() -> bytes:
    """A PNG image of 96 x 64 pixels."""
    rows = b"".join(b"\0" + bytes(96 * [2 * y, 120, 255 - 2 * y]) for y in range(64))
    head = pack(">IIBBBBB", 96, 64, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(">I", len(body)) + name + body + pack(">I", crc32(name + body))
        for name, body in chunks
    )
