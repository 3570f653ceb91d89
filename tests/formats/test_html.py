"""HTML: one page, one table, nothing of the items is markup."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given

from tests.formats.test_csv import table
from tests.formats.writing import FEW, ITEMS, Item, printable, written


class Page(HTMLParser):
    """Collects the cells of the table, and the tags around."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_the_page_names_its_encoding_and_has_one_table() -> None:
    page = Page(written("html", [{"a": 1}, {"b": {"c": "x"}}]).decode())

    assert page.tags.count("table") == 1
    assert page.tags[:3] == ["html", "head", "meta"]
    assert [[cell.strip() for cell in row] for row in page.rows] == [
        ["a", "b/c"],
        ["1", ""],
        ["", "x"],
    ]


def test_markup_in_items_is_text() -> None:
    text = written("html", [{"<script>": "</td><script>alert('&amp;')</script>"}]).decode()

    page = Page(text)

    assert "script" not in page.tags
    assert page.rows[0] == ["<script>"] or page.rows[0][0].strip() == "<script>"
    assert page.rows[1][0].strip() == "</td><script>alert('&amp;')</script>"


@FEW
@given(ITEMS)
def test_the_cells_are_those_of_csv(items: list[Item]) -> None:
    clean = [{f"x{n}": printable(value) for n, value in enumerate(item.values())} for item in items]

    page = Page(written("html", clean).decode())

    found = [[cell.strip() for cell in row] for row in page.rows]
    assert found == (table(clean) or [[], *([""] for _ in items)])
