"""The official Python client and datasets."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from xml.etree import ElementTree

import openpyxl
import pytest
from apify_client import ApifyClient, ApifyClientAsync
from apify_client._resource_clients.dataset import DatasetClient
from apify_client.errors import ApifyApiError, InvalidRequestError, NotFoundError

MAX_PAYLOAD_BYTES = 9 * 1024 * 1024

CATALOGUE = [
    {"n": 1, "name": "chair", "#run": "a", "size": {"w": 40, "h": 90}, "tags": ["wood", "red"]},
    {},
    {"n": 2, "name": "ščř 🪑", "#run": "b", "offers": [{"price": 5}, {"price": 7}]},
    {"#run": "c"},
    {"n": 3, "name": 'a "quoted", comma', "offers": {"price": 9}},
]


@pytest.fixture
def dataset(alice: ApifyClient) -> DatasetClient:
    return alice.dataset(alice.datasets().get_or_create().id)


@pytest.fixture
def catalogue(dataset: DatasetClient) -> DatasetClient:
    dataset.push_items(CATALOGUE)
    return dataset


@pytest.mark.parametrize(
    "pushed",
    [
        pytest.param({"n": 1}, id="an object"),
        pytest.param([{"n": 1}], id="a list"),
        pytest.param('{"n": 1}', id="JSON as text"),
        pytest.param('[{"n": 1}]', id="a JSON array as text"),
        pytest.param(['{"n": 1}'], id="a list of JSON texts"),
    ],
)
def test_every_form_of_push_appends(dataset: DatasetClient, pushed: Any) -> None:
    dataset.push_items({"n": 0})
    dataset.push_items(pushed)

    assert dataset.list_items().items == [{"n": 0}, {"n": 1}]


def test_items_come_back_as_they_were_pushed(dataset: DatasetClient) -> None:
    item = {"big": 2**63, "float": 1.5, "none": None, "text": "a\n\u2028\"'\\ 🙂", "deep": [[{}]]}

    dataset.push_items([item] * 500)  # compressed on the way

    assert dataset.list_items().items == [item] * 500


def test_counts_are_right_at_once(catalogue: DatasetClient) -> None:
    found = catalogue.get()

    assert found is not None
    assert (found.item_count, found.clean_item_count) == (5, 3)


def test_a_push_of_nine_mebibytes_is_taken_and_one_byte_more_is_not(
    dataset: DatasetClient,
) -> None:
    room = MAX_PAYLOAD_BYTES - len(json.dumps([{"text": ""}]))

    dataset.push_items([{"text": "x" * room}])
    with pytest.raises(ApifyApiError, match="payload is too large") as refused:
        dataset.push_items([{"text": "x" * (room + 1)}])

    assert refused.value.status_code == 413
    assert refused.value.type == "request-too-large"
    assert dataset.list_items().total == 1


@pytest.mark.parametrize("pushed", ["[1]", '["text"]', "[[{}]]", "null", "7", "{", ""])
def test_what_is_no_item_is_refused_and_nothing_is_kept(
    dataset: DatasetClient, pushed: str
) -> None:
    with pytest.raises(InvalidRequestError):
        dataset.push_items(pushed)

    assert dataset.list_items().total == 0


def test_a_page_says_where_it_lies(catalogue: DatasetClient) -> None:
    whole = catalogue.list_items()
    part = catalogue.list_items(offset=1, limit=2, desc=True)
    past = catalogue.list_items(offset=99)

    assert whole.items == CATALOGUE
    assert (whole.total, whole.offset, whole.count, whole.desc) == (5, 0, 5, False)
    assert whole.limit == 999_999_999_999
    assert part.items == CATALOGUE[3:1:-1]
    assert (part.total, part.offset, part.count, part.limit, part.desc) == (5, 1, 2, 2, True)
    assert (past.items, past.total, past.offset, past.count) == ([], 5, 99, 0)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"clean": True, "fields": ["n"]}, [{"n": 1}, {"n": 2}, {"n": 3}]),
        ({"skip_empty": True, "omit": ["offers", "size", "tags", "name", "n"]},
         [{"#run": "a"}, {"#run": "b"}, {"#run": "c"}]),
        ({"skip_hidden": True, "fields": ["n", "#run"]}, [{"n": 1}, {}, {"n": 2}, {}, {"n": 3}]),
        ({"fields": ["name", "n"], "limit": 1}, [{"name": "chair", "n": 1}]),
        ({"omit": ["offers", "#run", "name"], "offset": 2}, [{"n": 2}, {}, {"n": 3}]),
        ({"unwind": ["offers"], "fields": ["n", "price"], "offset": 2},
         [{"n": 2, "price": 5}, {"n": 2, "price": 7}, {}, {"n": 3, "price": 9}]),
        ({"flatten": ["size"], "fields": ["n", "size.w", "size.h"], "limit": 1},
         [{"n": 1, "size.w": 40, "size.h": 90}]),
        ({"limit": 0, "fields": ["n"], "skip_empty": True, "desc": True},
         [{"n": 3}, {"n": 2}, {"n": 1}]),
    ],
)  # fmt: skip
def test_items_are_shaped_as_asked(
    catalogue: DatasetClient, asked: dict[str, Any], expected: list[Any]
) -> None:
    found = catalogue.list_items(**asked).items

    assert found == expected
    assert [list(item) for item in found] == [list(item) for item in expected]


def test_iterating_crosses_pages_that_a_filter_has_emptied(dataset: DatasetClient) -> None:
    for first in range(0, 3_000, 1_000):
        dataset.push_items([{}] * 500 + [{"n": first, "#h": 1}] + [{"#h": 1}] * 499)

    clean = list(dataset.iterate_items(clean=True, chunk_size=100))
    window = list(dataset.iterate_items(offset=900, limit=200, skip_empty=True, chunk_size=70))
    newest = next(iter(dataset.iterate_items(desc=True, clean=True, chunk_size=600)))

    assert clean == [{"n": 0}, {"n": 1_000}, {"n": 2_000}]
    assert window == [{"#h": 1}] * 100
    assert newest == {"n": 2_000}


def test_iterating_counts_stored_items_not_unwound_ones(dataset: DatasetClient) -> None:
    dataset.push_items([{"n": n, "of": [{"i": 0}, {"i": 1}, {"i": 2}]} for n in range(50)])

    found = list(dataset.iterate_items(unwind=["of"], chunk_size=7))

    assert found == [{"n": n, "i": i} for n in range(50) for i in range(3)]


def _xlsx(body: bytes) -> list[tuple[object, ...]]:
    sheet = openpyxl.load_workbook(io.BytesIO(body), read_only=True).active
    assert sheet is not None
    return list(sheet.iter_rows(values_only=True))


@pytest.mark.parametrize(
    ("name", "read", "expected"),
    [
        ("json", json.loads, [{"n": 1, "name": "chair"}, {"n": 2, "name": "ščř 🪑"}]),
        ("jsonl", lambda body: [json.loads(line) for line in body.splitlines()],
         [{"n": 1, "name": "chair"}, {"n": 2, "name": "ščř 🪑"}]),
        ("csv", lambda body: list(csv.reader(io.StringIO(body.decode("utf-8-sig")))),
         [["n", "name"], ["1", "chair"], ["2", "ščř 🪑"]]),
        ("xlsx", _xlsx, [("n", "name"), (1, "chair"), (2, "ščř 🪑")]),
        ("xml", lambda body: [[e.text for e in row] for row in ElementTree.fromstring(body)],
         [["1", "chair"], ["2", "ščř 🪑"]]),
        ("rss", lambda body: [[e.text for e in row] for row in
                              ElementTree.fromstring(body).iter("item")],
         [["1", "chair"], ["2", "ščř 🪑"]]),
        ("html", lambda body: body.decode().count("<td>"), 4),
    ],
)  # fmt: skip
def test_every_format_can_be_read(
    catalogue: DatasetClient, name: str, read: Callable[[bytes], Any], expected: Any
) -> None:
    asked: dict[str, Any] = {"fields": ["n", "name"], "skip_empty": True, "limit": 3}

    whole = catalogue.get_items_as_bytes(item_format=name, **asked)
    with catalogue.stream_items(item_format=name, **asked) as response:
        streamed = b"".join(response.iter_bytes())

    assert read(whole) == expected
    assert read(streamed) == expected


def test_the_options_of_tables_and_documents_are_kept(catalogue: DatasetClient) -> None:
    table = catalogue.get_items_as_bytes(
        item_format="csv", fields=["n"], clean=True, bom=False, skip_header_row=True
    )
    tabs = catalogue.get_items_as_bytes(
        item_format="csv", fields=["n", "name"], limit=1, delimiter="\t", bom=True
    )
    document = catalogue.get_items_as_bytes(
        item_format="xml", fields=["n"], limit=1, xml_root="shop", xml_row="thing"
    )
    with catalogue.stream_items(item_format="jsonl", attachment=True) as response:
        disposition = response.headers["content-disposition"]

    assert table.split() == [b"1", b"2", b"3"]
    assert tabs.decode().splitlines() == ["\ufeffn\tname", "1\tchair"]
    assert b"<shop>" in document
    assert b"<thing>" in document
    assert disposition.startswith("attachment")


def test_an_unknown_format_is_refused(catalogue: DatasetClient) -> None:
    with pytest.raises(InvalidRequestError):
        catalogue.get_items_as_bytes(item_format="pdf")


def test_statistics_are_there_with_a_schema_and_absent_without(alice: ApifyClient) -> None:
    schema = {
        "actorSpecification": 1,
        "fields": {"properties": {"price": {"type": ["number", "null"]}}},
        "views": {},
    }
    plain = alice.dataset(alice.datasets().get_or_create().id)
    described = alice.dataset(alice.datasets().get_or_create(schema=schema).id)

    described.push_items([{"price": 59}, {"price": 89}, {"price": None}, {}])
    found = described.get_statistics().field_statistics

    assert not plain.get_statistics().field_statistics
    assert found == {"price": {"min": 59, "max": 89, "nullCount": 1, "emptyCount": 1}}


def test_items_against_the_schema_are_refused_and_told(alice: ApifyClient) -> None:
    fields = {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}
    schema = {"actorSpecification": 1, "fields": fields, "views": {}}
    dataset = alice.dataset(alice.datasets().get_or_create(schema=schema).id)

    with pytest.raises(InvalidRequestError, match="Schema validation failed") as refused:
        dataset.push_items([{"price": 1}, {"price": "dear"}, {}])

    assert refused.value.type == "schema-validation-error"
    wrong = refused.value.data["invalidItems"]
    assert [item["itemPosition"] for item in wrong] == [1, 2]
    first = wrong[0]["validationErrors"][0]
    assert (first["keyword"], first["instancePath"]) == ("type", "/price")
    assert wrong[1]["validationErrors"][0]["keyword"] == "required"
    assert dataset.list_items().total == 0


def test_a_view_of_the_schema_shapes_items(alice: ApifyClient) -> None:
    view = {
        "title": "Prices",
        "transformation": {"fields": ["price"], "unwind": ["offers"]},
        "display": {"component": "table"},
    }
    schema = {"actorSpecification": 1, "fields": {}, "views": {"prices": view}}
    dataset = alice.dataset(alice.datasets().get_or_create(schema=schema).id)
    dataset.push_items({"n": 1, "offers": [{"price": 5}, {"price": 7}]})

    assert dataset.list_items(view="prices").items == [{"price": 5}, {"price": 7}]
    with pytest.raises(InvalidRequestError) as refused:
        dataset.list_items(view="none")
    assert refused.value.type == "requested-dataset-view-does-not-exist"


def test_a_public_url_opens_the_items_without_a_token(catalogue: DatasetClient) -> None:
    signed = catalogue.create_items_public_url(limit=1, fields=["n"], item_format="csv")
    brief = catalogue.create_items_public_url(expires_in=timedelta(seconds=0.2))
    bare = signed.partition("signature=")[0].rstrip("?&")

    with urlopen(signed) as response:
        assert response.read().decode("utf-8-sig").split() == ["n", "1"]
    time.sleep(0.3)
    assert _refusal(brief) == (401, "token-not-provided")
    assert _refusal(bare) == (401, "token-not-provided")
    assert _refusal(signed[:-3] + "AAA") == (401, "token-not-provided")


def test_the_public_url_in_a_dataset_opens_it_however_it_was_come_by(alice: ApifyClient) -> None:
    made = alice.datasets().get_or_create()
    dataset = alice.dataset(made.id)
    dataset.push_items({"n": 1})

    opened = dataset.update(general_access="ANYONE_WITH_ID_CAN_READ")
    closed = dataset.update(general_access="RESTRICTED")
    found = dataset.get()

    assert found is not None
    assert "signature" not in str(opened.items_public_url)
    for seen in (made, closed, found):
        with urlopen(str(seen.items_public_url)) as response:
            assert json.load(response) == [{"n": 1}]


def test_a_signature_opens_items_for_a_client_without_a_token(
    nobody: ApifyClient, catalogue: DatasetClient
) -> None:
    signature = catalogue.create_items_public_url().partition("signature=")[2].partition("&")[0]
    signature = signature.replace("%3D", "=")

    found = nobody.dataset(str(catalogue.resource_id)).list_items(signature=signature)

    assert found.items == CATALOGUE


def test_a_missing_dataset_is_none_or_an_error(alice: ApifyClient) -> None:
    for ref in ("WkzbQMuFYuamGv3YF", "no-such-name", "~no-such-name"):
        gone = alice.dataset(ref)

        assert gone.get() is None
        assert gone.delete() is None
        with pytest.raises(NotFoundError) as refused:
            gone.push_items({})
        assert refused.value.type == "record-not-found"


async def _round_trip(token: str | None, address: str) -> list[dict[str, Any]]:
    client = ApifyClientAsync(token, api_url=address, api_public_url=address, max_retries=0)
    dataset = client.dataset((await client.datasets().get_or_create()).id)
    await dataset.push_items([{"n": n} for n in range(300)])
    found = [item async for item in dataset.iterate_items(chunk_size=100)]
    async with dataset.stream_items(item_format="jsonl") as response:
        streamed = [json.loads(line) for line in (await response.aread()).splitlines()]
    await dataset.delete()
    assert await dataset.get() is None
    assert streamed == found
    return found


def test_the_asynchronous_client_does_the_same(alice: ApifyClient) -> None:
    import asyncio

    address = alice._base_url.removesuffix("/v2")

    assert asyncio.run(_round_trip(alice.token, address)) == [{"n": n} for n in range(300)]


def _refusal(url: str) -> tuple[int, str]:
    with pytest.raises(HTTPError) as refused:
        urlopen(url)
    with refused.value as answer:
        return answer.code, json.load(answer)["error"]["type"]
