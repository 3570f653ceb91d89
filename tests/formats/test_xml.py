"""XML and RSS: well-formed for any items, and as the API lays them out."""

from __future__ import annotations

import sys
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given

from storectl.formats.xml import name
from tests.formats.writing import FEW, ITEMS, Item, lines, written


def row(item: Item, **options: Any) -> str:
    """The element of one item, without what is around it."""
    text = written("xml", [item], **options).decode()
    return text.split("\n", 2)[2].rsplit("\n", 2)[0]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"a": "x", "b": {"c": 1.5}}, "<item><a>x</a><b><c>1.5</c></b></item>"),
        ({"a": [1, True, None]}, "<item><a>1</a><a>true</a><a/></item>"),
        ({"a": [[1, 2], [3]]}, "<item><a>1</a><a>2</a><a>3</a></item>"),
        ({"a": [], "b": {}, "c": ""}, "<item><b/><c></c></item>"),
        ({"street": None}, "<item><street/></item>"),
        ({}, "<item/>"),
        ({"a": "<&>\r\n\t\"'"}, "<item><a>&lt;&amp;&gt;&#13;\n\t\"'</a></item>"),
        ({"a": "x\x00\x08\x1f\ufffey"}, "<item><a>xy</a></item>"),
        (
            {"a b": 1, "1": 2, "": 3, "a:b": 4},
            "<item><a_b>1</a_b><_1>2</_1><_>3</_><a_b>4</a_b></item>",
        ),
        ({"příliš": 1, "価格": 2}, "<item><příliš>1</příliš><価格>2</価格></item>"),
    ],
)
def test_fields_are_elements(item: Item, expected: str) -> None:
    assert row(item) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"@": {"type": "home"}, "street": "21st"}, '<a type="home"><street>21st</street></a>'),
        ({"@": {"type": "office"}, "#": "unknown"}, '<a type="office">unknown</a>'),
        ({"@": {"n": 1, "b": True, "z": None}}, '<a n="1" b="true" z=""/>'),
        ({"@": {}, "b": 1}, "<a><b>1</b></a>"),
        ({"#": "text <"}, "<a>text &lt;</a>"),
        ({"#": None}, "<a></a>"),
        ({"#": 1, "b": 2}, "<a><_>1</_><b>2</b></a>"),
        ({"#": [1, 2]}, "<a><_>1</_><_>2</_></a>"),
        ({"@": "text"}, "<a><_>text</_></a>"),
        ({"@": {"x": '"<\n\t>"'}}, '<a x="&quot;&lt;&#10;&#9;&gt;&quot;"/>'),
        ({"@": {"x y": 1, "x_y": 2, "xmlns": 3}}, '<a x_y="1" _xmlns="3"/>'),
        ({"@": {"x": [1, {"y": "z"}]}}, '<a x="[1,{&quot;y&quot;:&quot;z&quot;}]"/>'),
    ],
)
def test_an_at_sign_is_attributes_and_a_hash_is_text(value: object, expected: str) -> None:
    assert row({"a": value}) == f"<item>{expected}</item>"


def test_the_root_and_the_rows_have_the_names_asked_for() -> None:
    text = written("xml", [{"@": {"id": 7}, "a": 1}], xml_root="shop", xml_row="product")

    assert text.decode().splitlines()[1:] == [
        "<shop>",
        '<product id="7"><a>1</a></product>',
        "</shop>",
    ]


def expected_text(value: Any) -> list[str]:
    """All texts of an item in order, as XML can hold them."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in expected_text(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in expected_text(inner)]
    return [value] if isinstance(value, str) else []


@FEW
@given(ITEMS)
def test_any_items_are_well_formed(items: list[Item]) -> None:
    items = [{**item, "#": "text", "@": item} for item in items]

    for format, root, rows in (("xml", "items", "item"), ("rss", "rss", "channel/item")):
        tree = ElementTree.fromstring(written(format, items))
        assert tree.tag == root
        assert len(tree.findall(rows)) == len(items)


@FEW
@given(ITEMS)
def test_a_text_comes_back_without_what_xml_cannot_hold(items: list[Item]) -> None:
    texts = [text for item in items for text in expected_text(item)]

    tree = ElementTree.fromstring(written("xml", [{"t": text} for text in texts]))

    legal = [
        "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
        for text in texts
    ]
    assert [element.text or "" for element in tree.iterfind("item/t")] == legal


def test_every_character_that_is_kept_in_a_name_is_one_for_an_old_parser() -> None:
    kept = [chr(code) for code in range(sys.maxunicode + 1) if name(f"a{chr(code)}") != "a_"]
    starts = [char for char in kept if name(char) == char]

    names = [f"a{''.join(kept)}", *(char for char in starts)]

    assert len(starts) > 30_000
    ElementTree.fromstring("<a>" + "".join(f"<{each}/>" for each in names) + "</a>")


def test_half_a_surrogate_pair_and_other_escapes() -> None:
    body = rb'{"a":"\ud83d \ud83d\ude00 \\ud83d \u003cb\u003E \u0026 \\u0026 \u000d\b\f"}' + b"\n"

    tree = ElementTree.fromstring(written("xml", body))

    assert tree.findtext("item/a") == "\ufffd 😀 \\ud83d <b> & \\u0026 \r"


def test_a_feed_has_what_rss_asks_for() -> None:
    feed = written(
        "rss", [{"a": 1}], feed_title="A & B", feed_description="<d>", feed_link="http://x/?a&b"
    )

    tree = ElementTree.fromstring(feed)

    assert tree.get("version") == "2.0"
    assert [each.tag for each in tree[0]] == ["title", "link", "description", "item"]
    assert tree.findtext("channel/title") == "A & B"
    assert tree.findtext("channel/link") == "http://x/?a&b"
    assert tree.findtext("channel/description") == "<d>"


def test_deep_items_are_written() -> None:
    deep: Any = 1
    for _ in range(199):
        deep = {"a": deep}

    assert written("xml", lines([deep])).count(b"<a>") == 199
