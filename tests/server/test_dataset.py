"""Items as they are kept, for who asks for them so, and for nobody else."""

from __future__ import annotations

import io

import httpx
import pytest
import zstandard

ITEMS = [{"n": n, "text": "some text " * 20} for n in range(2000)]
ASKING = {"Accept": "application/zstd, */*"}


@pytest.fixture
def items(api: httpx.Client) -> str:
    """The address of the items of a dataset."""
    made = api.post("/v2/datasets", params={"name": "packed"})
    address = f"/v2/datasets/{made.json()['data']['id']}/items"
    api.post(address, json=ITEMS)
    return address


def test_who_asks_for_zstd_gets_frames_that_any_reader_of_zstd_reads(
    api: httpx.Client, items: str
) -> None:
    plain = api.get(items, params={"format": "jsonl"})

    packed = api.get(items, params={"format": "jsonl", "attachment": "1"}, headers=ASKING)

    frames = io.BytesIO(packed.content)
    reader = zstandard.ZstdDecompressor().stream_reader(frames, read_across_frames=True)
    assert reader.read() == plain.content
    assert len(packed.content) < len(plain.content) / 4
    assert packed.headers["content-type"] == "application/zstd"
    assert packed.headers["content-disposition"].endswith('.jsonl.zst"')
    assert (packed.headers["vary"], "content-encoding" in packed.headers) == ("Accept", False)
    same = ("x-apify-pagination-total", "x-apify-pagination-count", "x-storectl-items")
    assert [packed.headers[name] for name in same] == [plain.headers[name] for name in same]


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "*/*"},
        {"Accept": "application/json, text/plain, */*", "Accept-Encoding": "gzip, br, zstd"},
        {"Accept": "application/*", "Accept-Encoding": "zstd"},
        {"Accept": "application/zstd;q=0"},
    ],
)
def test_who_does_not_gets_what_everybody_gets(
    api: httpx.Client, items: str, headers: dict[str, str]
) -> None:
    bare = api.get(items, params={"format": "jsonl"}, headers={"Accept": ""})

    answer = api.get(items, params={"format": "jsonl"}, headers=headers)

    assert answer.headers["content-type"].startswith("application/jsonl")
    assert (answer.headers, answer.content) == (bare.headers, bare.content)
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    "query",
    [
        {"format": "json"},
        {"format": "csv"},
        {"format": "jsonl", "bom": "1"},
        {"format": "jsonl", "desc": "1"},
        {"format": "jsonl", "fields": "n"},
        {"format": "jsonl", "offset": "2000"},
    ],
)
def test_what_is_not_kept_so_comes_as_ever(
    api: httpx.Client, items: str, query: dict[str, str]
) -> None:
    asked = api.get(items, params=query, headers=ASKING)

    plain = api.get(items, params=query)
    assert (asked.headers, asked.content) == (plain.headers, plain.content)
