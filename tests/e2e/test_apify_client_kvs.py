"""The official Python client and key-value stores."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import brotli
import pytest
from apify_client import ApifyClient, ApifyClientAsync
from apify_client._resource_clients.key_value_store import KeyValueStoreClient
from apify_client.errors import InvalidRequestError, NotFoundError, UnauthorizedError

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
NOISE = os.urandom(300_000)
PAGE = "<html><body>" + "Žluťoučký kůň <script>1</script> " * 200 + "</body></html>"


@pytest.fixture
def store(alice: ApifyClient) -> KeyValueStoreClient:
    return alice.key_value_store(alice.key_value_stores().get_or_create().id)


@pytest.mark.parametrize(
    ("value", "given_type", "expected", "expected_type"),
    [
        pytest.param({"a": [1, None]}, None, {"a": [1, None]}, JSON, id="object"),
        pytest.param([{"a": "ščř"}] * 999, None, [{"a": "ščř"}] * 999, JSON, id="large JSON"),
        pytest.param(None, None, None, JSON, id="null"),
        pytest.param("ahoj 🙂", None, "ahoj 🙂", TEXT, id="text"),
        pytest.param("x" * 50_000, None, "x" * 50_000, TEXT, id="large text"),
        pytest.param(PAGE, "text/html; charset=utf-8", PAGE, "text/html; charset=utf-8", id="HTML"),
        pytest.param("<a/>", "application/xml", "<a/>", "application/xml", id="XML"),
        pytest.param(b"\x00\xff", None, b"\x00\xff", BYTES, id="bytes"),
        pytest.param(NOISE, None, NOISE, BYTES, id="large bytes"),
        pytest.param(NOISE, "image/png", NOISE, "image/png", id="image"),
        pytest.param(b"", None, b"", BYTES, id="nothing"),
        pytest.param(b"{}", "application/x-foo; a=b", b"{}", "application/x-foo; a=b", id="own"),
    ],
)
@pytest.mark.parametrize("compression", ["gzip", "brotli"])
def test_a_record_comes_back_as_it_was_set(
    store: KeyValueStoreClient,
    alice: ApifyClient,
    value: Any,
    given_type: str | None,
    expected: Any,
    expected_type: str,
    compression: Any,
) -> None:
    address = alice._base_url
    writer = ApifyClient(alice.token, api_url=address, max_retries=0, compression=compression)

    writer.key_value_store(str(store.resource_id)).set_record("K", value, content_type=given_type)
    found = store.get_record("K")
    raw = store.get_record_as_bytes("K")

    assert found is not None
    assert raw is not None
    assert found == {"key": "K", "value": expected, "content_type": expected_type}
    if isinstance(expected, bytes):
        assert raw["value"] == expected


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: io.BytesIO(NOISE), id="file"),
        pytest.param(
            lambda: (NOISE[at : at + 7_000] for at in range(0, len(NOISE), 7_000)), id="it"
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Streaming a request body is experimental")
def test_a_stream_is_uploaded_in_chunks(
    store: KeyValueStoreClient, body: Callable[[], Any]
) -> None:
    store.set_record("K", body(), content_type="application/x-noise")

    found = store.get_record("K")
    with store.stream_record("K") as streamed:
        assert streamed is not None
        read = b"".join(streamed["value"].iter_bytes())

    assert found == {"key": "K", "value": NOISE, "content_type": "application/x-noise"}
    assert read == NOISE


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b'{"a":1}')), ("br", brotli.compress(b'{"a":1}'))],
)
def test_what_is_uploaded_packed_is_served_unpacked(
    store: KeyValueStoreClient, encoding: str, packed: bytes
) -> None:
    store.set_record("K", packed, content_type="application/json", content_encoding=encoding)

    found = store.get_record("K")

    assert found is not None
    assert found["value"] == {"a": 1}


@pytest.mark.parametrize("key", ["INPUT", "it's(1)!_-.key", "a.b.json", "k" * 256])
def test_keys_may_have_any_of_their_characters(store: KeyValueStoreClient, key: str) -> None:
    store.set_record(key, {"key": key})

    assert store.record_exists(key)
    assert store.get_record(key) == {"key": key, "value": {"key": key}, "content_type": JSON}
    assert [item.key for item in store.list_keys().items] == [key]
    store.delete_record(key)
    assert not store.record_exists(key)


@pytest.mark.parametrize("key", ["a/b", "a b", "ščř", "%41", "k" * 257, "a?b", "a#b", "a\\b"])
def test_other_keys_are_refused(store: KeyValueStoreClient, key: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        store.set_record(key, 1)

    assert refused.value.type == "invalid-record-key"
    assert store.list_keys().items == []


def test_a_missing_record_is_none_and_deleting_it_is_no_failure(
    store: KeyValueStoreClient,
) -> None:
    assert store.get_record("K") is None
    assert store.get_record_as_bytes("K") is None
    with store.stream_record("K") as streamed:
        assert streamed is None
    assert not store.record_exists("K")
    store.delete_record("K")


def test_a_record_is_replaced_with_its_type(store: KeyValueStoreClient) -> None:
    store.set_record("K", "x" * 5_000)
    store.set_record("K", {"n": 1})

    assert store.get_record("K") == {"key": "K", "value": {"n": 1}, "content_type": JSON}
    assert store.list_keys().count == 1


def test_keys_are_listed_in_order_by_prefix_and_in_pages(store: KeyValueStoreClient) -> None:
    keys = sorted([f"a-{n}" for n in range(10)] + ["B", "a", "z", "a.", "_"])
    for key in reversed(keys):
        store.set_record(key, key)

    first = store.list_keys(limit=4)
    second = store.list_keys(limit=4, exclusive_start_key=first.next_exclusive_start_key)
    between = store.list_keys(exclusive_start_key="a-55")

    assert [item.key for item in store.iterate_keys()] == keys
    assert [item.key for item in store.iterate_keys(chunk_size=3)] == keys
    assert [item.key for item in store.iterate_keys(chunk_size=3, limit=7)] == keys[:7]
    assert [i.key for i in store.iterate_keys(prefix="a-", chunk_size=4)] == keys[3:13]
    assert [item.key for item in first.items] == keys[:4]
    assert (first.count, first.limit, first.is_truncated) == (4, 4, True)
    assert [item.key for item in second.items] == keys[4:8]
    assert second.exclusive_start_key == keys[3]
    assert [item.key for item in between.items] == [key for key in keys if key > "a-55"]
    assert (between.is_truncated, between.next_exclusive_start_key) == (False, None)
    assert [item.size for item in first.items] == [len(key) for key in keys[:4]]


def test_public_urls_open_a_restricted_store_without_a_token(store: KeyValueStoreClient) -> None:
    store.set_record("it's(1)!", {"n": 1})
    store.set_record("other", {"n": 2})

    record = store.get_record_public_url("it's(1)!")
    listed = store.create_keys_public_url(limit=1)
    brief = store.create_keys_public_url(expires_in=timedelta(seconds=0.2))
    shown = str(store.list_keys().items[0].record_public_url)

    with urlopen(record) as response:
        assert json.load(response) == {"n": 1}
    with urlopen(shown) as response:
        assert json.load(response) == {"n": 1}
    with urlopen(listed) as response:
        page = json.load(response)["data"]
    assert [item["key"] for item in page["items"]] == ["it's(1)!"]
    with urlopen(page["items"][0]["recordPublicUrl"]) as response:
        assert json.load(response) == {"n": 1}
    time.sleep(0.3)
    assert _refusal(brief) == (401, "token-not-provided")
    assert _refusal(record.partition("?")[0]) == (401, "token-not-provided")
    assert _refusal(record[:-3] + "AAA") == (401, "token-not-provided")
    other = record.replace("it%27s%281%29%21", "other")
    assert other != record
    assert _refusal(other) == (401, "token-not-provided")


def test_a_signature_opens_a_record_and_the_keys_for_a_client_without_a_token(
    nobody: ApifyClient, store: KeyValueStoreClient
) -> None:
    store.set_record("K", {"n": 1})
    seen = nobody.key_value_store(str(store.resource_id))
    of_record = store.get_record_public_url("K").partition("signature=")[2]
    of_keys = store.create_keys_public_url().partition("signature=")[2].replace("%3D", "=")

    found = seen.get_record("K", signature=of_record)
    keys = [item.key for item in seen.iterate_keys(signature=of_keys)]

    assert found == {"key": "K", "value": {"n": 1}, "content_type": JSON}
    assert keys == ["K"]
    with pytest.raises(UnauthorizedError):
        seen.get_record("K", signature=of_keys)
    with pytest.raises(UnauthorizedError):
        seen.list_keys(signature=of_record)


def test_the_public_url_in_the_store_itself_opens(store: KeyValueStoreClient) -> None:
    store.set_record("K", 1)
    found = store.get()

    assert found is not None
    with urlopen(str(found.keys_public_url)) as response:
        assert [item["key"] for item in json.load(response)["data"]["items"]] == ["K"]


def test_a_missing_store_is_none_or_an_error(alice: ApifyClient) -> None:
    gone = alice.key_value_store("WkzbQMuFYuamGv3YF")

    assert gone.get() is None
    assert gone.get_record("K") is None
    assert not gone.record_exists("K")
    with pytest.raises(NotFoundError):
        gone.set_record("K", 1)
    with pytest.raises(NotFoundError):
        gone.list_keys()


async def _round_trip(token: str | None, address: str) -> list[str]:
    client = ApifyClientAsync(token, api_url=address, api_public_url=address, max_retries=0)
    store = client.key_value_store((await client.key_value_stores().get_or_create()).id)
    keys = [f"k{n:02d}" for n in range(40)]
    await asyncio.gather(*(store.set_record(key, key * 999) for key in keys))
    values = await asyncio.gather(*(store.get_record(key) for key in keys))
    assert [value and value["value"] for value in values] == [key * 999 for key in keys]
    async with store.stream_record("k07") as streamed:
        assert streamed is not None
        assert await streamed["value"].aread() == b"k07" * 999
    return [item.key async for item in store.iterate_keys(chunk_size=7)]


def test_the_asynchronous_client_does_the_same_all_at_once(alice: ApifyClient) -> None:
    found = asyncio.run(_round_trip(alice.token, alice._base_url))

    assert found == [f"k{n:02d}" for n in range(40)]


def _refusal(url: str) -> tuple[int, str]:
    with pytest.raises(HTTPError) as refused:
        urlopen(url)
    with refused.value as answer:
        return answer.code, json.load(answer)["error"]["type"]
