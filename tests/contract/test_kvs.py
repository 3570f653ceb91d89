"""What key-value stores promise, whatever keeps them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
from collections.abc import Iterator

import brotli
import pytest

from storectl.errors import InvalidInput, NotFound, TooLarge, UnsupportedEncoding
from storectl.model import rules
from storectl.model.kvs import KeysQuery, KeyValueStores, Record
from storectl.model.store import Store

EVERY_BYTE = bytes(range(256))
SIZES = [0, 1, 4096, 128 * 1024, 128 * 1024 + 1, 5 * 1024 * 1024 + 3]


@pytest.fixture
def kvs(store: Store) -> KeyValueStores:
    store.kvs.create("box")
    return store.kvs


def put(
    kvs: KeyValueStores,
    key: str,
    body: bytes = b"value",
    type: str = "text/plain",
    *,
    ref: str = "~box",
    encoding: str | None = None,
) -> None:
    record = Record(key=key, content_type=type, content_encoding=encoding, body=(body,))
    kvs.put(ref, record)


def value(kvs: KeyValueStores, key: str, ref: str = "~box") -> bytes:
    return b"".join(kvs.record(ref, key).body)


def keys(kvs: KeyValueStores, **query: object) -> list[str]:
    return [item.key for item in kvs.keys("~box", KeysQuery(**query)).items]


def stats(kvs: KeyValueStores, ref: str = "~box") -> dict[str, int]:
    return kvs.get(ref).stats or {}


@pytest.mark.parametrize("size", SIZES)
def test_a_record_comes_back_byte_for_byte(kvs: KeyValueStores, size: int) -> None:
    body = (EVERY_BYTE * (size // 256 + 1))[:size]

    put(kvs, "bytes", body, "application/octet-stream")

    found = kvs.record("~box", "bytes")
    assert (found.key, found.content_type) == ("bytes", "application/octet-stream")
    assert found.content_encoding is None
    assert found.size == size
    assert b"".join(found.body) == body


def test_a_body_is_taken_in_blocks_of_any_size(kvs: KeyValueStores) -> None:
    blocks = [b"", b"a", b"b" * 70_000, b"", b"c" * 1_000_000, b"d"]

    kvs.put("~box", Record(key="blocks", content_type="text/plain", body=iter(blocks)))

    assert value(kvs, "blocks") == b"".join(blocks)


def test_memory_does_not_grow_with_a_body(kvs: KeyValueStores) -> None:
    """Blocks are made as they are asked for, and most are gone before the last is made."""
    alive, most = 0, 0

    class Block(bytes):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def body() -> Iterator[bytes]:
        nonlocal alive, most
        for _ in range(200):
            alive += 1
            most = max(most, alive)
            yield Block(100_000)

    kvs.put("~box", Record(key="large", content_type="a/b", body=body()))

    assert most < 20
    assert kvs.record("~box", "large", body=False).size == 200 * 100_000


@pytest.mark.parametrize(
    "type",
    ["application/json; charset=utf-8", "TEXT/Html", 'application/vnd.x+json;a="b c"', "a/b"],
)
def test_a_content_type_is_kept_as_it_was_given(kvs: KeyValueStores, type: str) -> None:
    put(kvs, "typed", type=type)

    assert kvs.record("~box", "typed").content_type == type


@pytest.mark.parametrize(
    "type", ["", "text", "text/", "/plain", "a b/c", "a/b\r\nX: y", "a/b;\x00"]
)
def test_what_is_no_content_type_is_refused(kvs: KeyValueStores, type: str) -> None:
    with pytest.raises(InvalidInput) as failure:
        put(kvs, "typed", type=type)

    assert failure.value.type == "invalid-content-type-header"
    assert keys(kvs) == []


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
@pytest.mark.parametrize("size", [2_000, 2_000_000])
def test_an_encoded_body_is_kept_with_its_encoding(
    kvs: KeyValueStores, encoding: str, size: int
) -> None:
    """The keeper does not look inside: the body need not even be what it says."""
    body = os.urandom(size)

    put(kvs, "packed", body, encoding=encoding)

    found = kvs.record("~box", "packed")
    assert (found.content_encoding, found.size) == (encoding, size)
    assert b"".join(found.body) == body


@pytest.mark.parametrize(("given", "kept"), [("GZIP", "gzip"), ("identity", None)])
def test_names_of_encodings_are_made_one(kvs: KeyValueStores, given: str, kept: str | None) -> None:
    put(kvs, "packed", encoding=given)

    assert kvs.record("~box", "packed").content_encoding == kept


@pytest.mark.parametrize("encoding", ["bla", "zstd", "gzip, br", "compress"])
def test_an_unknown_encoding_is_refused(kvs: KeyValueStores, encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding, match="is not supported"):
        put(kvs, "packed", encoding=encoding)

    assert keys(kvs) == []


def test_a_record_can_be_asked_for_without_its_body(kvs: KeyValueStores) -> None:
    put(kvs, "page", gzip.compress(b"x" * 9000), "text/html", encoding="gzip")

    found = kvs.record("~box", "page", body=False)

    assert (found.content_type, found.content_encoding) == ("text/html", "gzip")
    assert found.size == len(gzip.compress(b"x" * 9000))
    assert list(found.body) == []


@pytest.mark.parametrize("key", ["a", "it's(1)!_-.key", "x" * 256, "...", "CON", "A.b", "-"])
def test_every_character_of_a_key_is_kept(kvs: KeyValueStores, key: str) -> None:
    put(kvs, key, key.encode())

    assert value(kvs, key) == key.encode()
    assert keys(kvs) == [key]
    kvs.remove("~box", key)
    assert keys(kvs) == []
    assert kvs.get("~box").name == "box"


@pytest.mark.parametrize("key", ["", "a/b", "a b", "a?b", "a#b", "a%20b", "ä", "x" * 257, "a\n"])
def test_what_is_no_key_is_refused(kvs: KeyValueStores, key: str) -> None:
    for call in (
        lambda: put(kvs, key),
        lambda: kvs.record("~box", key),
        lambda: kvs.remove("~box", key),
    ):
        with pytest.raises(InvalidInput) as failure:
            call()
        assert failure.value.type == "invalid-record-key"


def test_keys_that_differ_in_case_are_two(kvs: KeyValueStores) -> None:
    put(kvs, "Key", b"upper")
    put(kvs, "key", b"lower")

    assert (value(kvs, "Key"), value(kvs, "key")) == (b"upper", b"lower")


def test_a_missing_record_is_not_found_by_name(kvs: KeyValueStores) -> None:
    for body in (True, False):
        with pytest.raises(NotFound, match="has no record 'nothing'") as failure:
            kvs.record("~box", "nothing", body=body)
        assert failure.value.type == "record-not-found"


@pytest.mark.parametrize("ref", ["box", "~nothing", "A" * 17, "nobody~box"])
def test_a_store_that_is_not_there_is_not_found(kvs: KeyValueStores, ref: str) -> None:
    for call in (
        lambda: kvs.keys(ref, KeysQuery()),
        lambda: kvs.record(ref, "a"),
        lambda: kvs.record(ref, "a", body=False),
        lambda: put(kvs, "a", ref=ref),
        lambda: put(kvs, "a", bytes(300_000), ref=ref),
        lambda: kvs.remove(ref, "a"),
    ):
        with pytest.raises(NotFound, match=r"Key-value store '.*' was not found"):
            call()


def test_records_are_reached_by_every_form_of_reference(kvs: KeyValueStores) -> None:
    made = kvs.get("~box")

    for at, ref in enumerate([made.id, "~box", "~BOX", f"{made.username}~box"]):
        put(kvs, f"key{at}", b"x", ref=ref)
        assert value(kvs, f"key{at}", ref) == b"x"
        assert kvs.keys(ref, KeysQuery()).count == at + 1


def test_a_deleted_store_is_gone_with_its_records(kvs: KeyValueStores) -> None:
    put(kvs, "small")
    put(kvs, "large", bytes(300_000))
    id = kvs.get("~box").id

    kvs.delete("~box")
    kvs.create("box")

    assert keys(kvs) == []
    with pytest.raises(NotFound):
        kvs.record(id, "small")


@pytest.mark.parametrize("old", [10, 300_000])
@pytest.mark.parametrize("new", [0, 20, 400_000])
def test_a_record_replaces_the_one_before_it(kvs: KeyValueStores, old: int, new: int) -> None:
    put(kvs, "one", b"o" * old, "text/old", encoding="gzip")

    put(kvs, "one", b"n" * new, "text/new")

    found = kvs.record("~box", "one")
    assert (found.content_type, found.content_encoding, found.size) == ("text/new", None, new)
    assert b"".join(found.body) == b"n" * new
    assert keys(kvs) == ["one"]
    assert stats(kvs)["storageBytes"] == new


def test_whoever_reads_while_it_is_replaced_reads_one_of_both(kvs: KeyValueStores) -> None:
    """A body that was begun is read to its end, whatever happens to the record."""
    old, new = b"o" * 3_000_000, b"n" * 3_000_000
    put(kvs, "one", old)

    found = kvs.record("~box", "one")
    blocks = iter(found.body)
    begun = next(blocks)
    put(kvs, "one", new)
    kvs.remove("~box", "one")

    assert begun + b"".join(blocks) == old


def test_of_concurrent_puts_to_one_key_one_wins_whole(kvs: KeyValueStores) -> None:
    bodies = [bytes([at]) * (200_000 if at % 2 else 2_000) for at in range(12)]

    def write(at: int) -> None:
        for _ in range(3):
            put(kvs, "one", bodies[at], f"text/{at}")

    threads = [threading.Thread(target=write, args=(at,)) for at in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = kvs.record("~box", "one")
    winner = int(found.content_type.removeprefix("text/"))
    assert b"".join(found.body) == bodies[winner]
    assert stats(kvs)["storageBytes"] == len(bodies[winner])
    assert stats(kvs)["writeCount"] == 36


class Broken(Exception):
    """The sender's own failure."""


@pytest.mark.parametrize("sent", [10, 3_000_000])
def test_a_body_that_breaks_off_changes_nothing(kvs: KeyValueStores, sent: int) -> None:
    put(kvs, "one", b"before")

    def body() -> Iterator[bytes]:
        yield b"x" * sent
        raise Broken

    with pytest.raises(Broken):
        kvs.put("~box", Record(key="one", content_type="a/b", size=2 * sent, body=body()))

    assert value(kvs, "one") == b"before"
    assert keys(kvs) == ["one"]


@pytest.mark.parametrize(("announced", "sent"), [(10, 9), (10, 11), (500_000, 400_000), (0, 1)])
def test_a_body_of_another_size_than_announced_is_refused(
    kvs: KeyValueStores, announced: int, sent: int
) -> None:
    with pytest.raises(InvalidInput, match=f"{announced} bytes it announced"):
        kvs.put("~box", Record(key="one", content_type="a/b", size=announced, body=(b"x" * sent,)))

    assert keys(kvs) == []


def test_a_body_over_the_limit_is_refused_before_it_is_read(kvs: KeyValueStores) -> None:
    def body() -> Iterator[bytes]:
        raise Broken
        yield b""

    with pytest.raises(TooLarge) as failure:
        kvs.put(
            "~box",
            Record(key="one", content_type="a/b", size=rules.MAX_RECORD_BYTES + 1, body=body()),
        )

    assert failure.value.exit_code == 10


def test_removing_twice_is_no_failure(kvs: KeyValueStores) -> None:
    put(kvs, "one")
    put(kvs, "large", bytes(300_000))

    for key in ("one", "one", "large", "never"):
        kvs.remove("~box", key)

    assert keys(kvs) == []
    assert stats(kvs)["storageBytes"] == 0


def test_keys_come_in_binary_order_with_their_sizes(kvs: KeyValueStores) -> None:
    names = ["b", "a", "B", "_", "-", "a.b", "a-b", "aa", "a!", "10", "9", "'", "(", "Z", "z"]
    for name in names:
        put(kvs, name, name.encode() * 2, "text/plain")

    page = kvs.keys("~box", KeysQuery())

    assert [item.key for item in page.items] == sorted(names, key=str.encode)
    assert [item.size for item in page.items] == [2 * len(item.key) for item in page.items]
    assert {item.content_type for item in page.items} == {"text/plain"}
    digests = [hashlib.sha256(item.key.encode() * 2).hexdigest() for item in page.items]
    assert [item.sha256 for item in page.items] == digests
    assert (page.count, page.limit, page.is_truncated) == (len(names), 1000, False)
    assert (page.exclusive_start_key, page.next_exclusive_start_key) == (None, None)


def test_keys_come_in_pages_that_meet(kvs: KeyValueStores) -> None:
    names = [f"k{number:02}" for number in range(7)]
    for name in names:
        put(kvs, name)

    pages, after = [], None
    while True:
        page = kvs.keys("~box", KeysQuery(limit=3, exclusive_start_key=after))
        pages.append([item.key for item in page.items])
        assert page.exclusive_start_key == after
        assert page.is_truncated == (page.next_exclusive_start_key is not None)
        after = page.next_exclusive_start_key
        if after is None:
            break

    assert pages == [names[:3], names[3:6], names[6:]]


def test_a_page_that_ends_with_the_last_key_is_the_last(kvs: KeyValueStores) -> None:
    for name in ("a", "b"):
        put(kvs, name)

    page = kvs.keys("~box", KeysQuery(limit=2))

    assert (page.is_truncated, page.next_exclusive_start_key) == (False, None)


@pytest.mark.parametrize(
    ("start", "expected"),
    [("a", ["a!", "aa", "b"]), ("a0", ["aa", "b"]), ("", ["a", "a!", "aa", "b"]), ("c", []),
     ("aa", ["b"]), ("é", []), ("a b", ["a!", "aa", "b"])],
)  # fmt: skip
def test_the_start_key_is_left_out_and_need_not_exist(
    kvs: KeyValueStores, start: str, expected: list[str]
) -> None:
    for name in ("b", "aa", "a!", "a"):
        put(kvs, name)

    assert keys(kvs, exclusive_start_key=start) == expected


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("a", ["a", "a_b", "aab"]), ("a_", ["a_b"]), ("%", []), ("_", []), ("a%", []), ("A", ["A"]),
     ("é", []), ("", ["A", "a", "a_b", "aab", "b"]), ("aab", ["aab"]), ("aabc", []), ("*", [])],
)  # fmt: skip
def test_a_prefix_is_taken_letter_by_letter(
    kvs: KeyValueStores, prefix: str, expected: list[str]
) -> None:
    for name in ("a", "aab", "a_b", "b", "A"):
        put(kvs, name)

    assert keys(kvs, prefix=prefix) == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [("a1", ["a2", "a3"]), ("a", ["a1", "a2", "a3"]), ("b", []), ("0", ["a1", "a2", "a3"])],
)
def test_a_prefix_and_a_start_key_go_together(
    kvs: KeyValueStores, start: str, expected: list[str]
) -> None:
    for name in ("a1", "a2", "a3", "b1"):
        put(kvs, name)

    assert keys(kvs, prefix="a", exclusive_start_key=start) == expected


@pytest.mark.parametrize(("asked", "answered"), [(1, 1), (1000, 1000), (5000, 1000), (0, 1000)])
def test_a_limit_is_cut_to_what_is_allowed(kvs: KeyValueStores, asked: int, answered: int) -> None:
    assert kvs.keys("~box", KeysQuery(limit=asked)).limit == answered


def test_a_negative_limit_is_refused(kvs: KeyValueStores) -> None:
    with pytest.raises(InvalidInput) as failure:
        kvs.keys("~box", KeysQuery(limit=-1))

    assert failure.value.type == "invalid-parameter"


SCHEMA = {
    "actorKeyValueStoreSchemaVersion": 1,
    "title": "Shots",
    "collections": {
        "shots": {"title": "S", "keyPrefix": "shot-", "contentTypes": ["image/png", "image/jpeg"]},
        "report": {"title": "R", "key": "REPORT"},
    },
}


@pytest.mark.parametrize(
    ("collection", "prefix", "expected"),
    [("shots", None, ["shot-1", "shot-2"]), ("report", None, ["REPORT"]),
     ("shots", "shot-2", ["shot-2"]), ("shots", "s", ["shot-1", "shot-2"]), ("shots", "x", []),
     ("report", "REP", ["REPORT"]), ("report", "REPORT-", [])],
)  # fmt: skip
def test_a_collection_of_the_schema_selects_keys(
    store: Store, collection: str, prefix: str | None, expected: list[str]
) -> None:
    store.kvs.create("box", schema=SCHEMA)
    for name in ("shot-1", "shot-2", "REPORT", "REPORT-2", "other", "shot"):
        put(store.kvs, name, type="image/png")

    assert keys(store.kvs, collection=collection, prefix=prefix) == expected


def test_an_unknown_collection_is_refused(store: Store) -> None:
    store.kvs.create("box", schema=SCHEMA)
    store.kvs.create("plain")

    for ref in ("~box", "~plain"):
        with pytest.raises(InvalidInput) as failure:
            store.kvs.keys(ref, KeysQuery(collection="nothing"))
        assert failure.value.type == "invalid-collection"


@pytest.mark.parametrize("size", [3, 300_000])
def test_a_content_type_that_the_schema_does_not_have_is_refused(store: Store, size: int) -> None:
    store.kvs.create("box", schema=SCHEMA)

    put(store.kvs, "shot-1", bytes(size), "Image/PNG; q=1")
    put(store.kvs, "other", bytes(size), "text/plain")
    with pytest.raises(InvalidInput) as failure:
        put(store.kvs, "shot-2", bytes(size), "text/plain")

    assert failure.value.type == "schema-validation-error"
    assert keys(store.kvs) == ["other", "shot-1"]


@pytest.mark.parametrize(
    "collections",
    [[], {"a": 1}, {"a": {}}, {"a": {"key": "x", "keyPrefix": "y"}}, {"a": {"key": 1}},
     {"a": {"key": "x", "contentTypes": "image/png"}}, {"a": {"key": "x", "jsonSchema": 5}},
     {"a": {"key": "x", "jsonSchema": {"type": "thing"}}},
     {"a": {"key": "x", "jsonSchema": {"$ref": "https://schemas.example/s"}}}],
)  # fmt: skip
def test_a_schema_that_selects_nothing_is_refused(store: Store, collections: object) -> None:
    with pytest.raises(InvalidInput) as failure:
        store.kvs.create("box", schema={"collections": collections})

    assert failure.value.type == "store-schema-invalid"


PRICES = {
    "collections": {
        "prices": {
            "title": "P",
            "keyPrefix": "price-",
            "jsonSchema": {"type": "object", "required": ["price"]},
        }
    }
}
PACKERS = {None: bytes, "gzip": gzip.compress, "br": brotli.compress}
PADDING = " " * 300_000
PADDING_OF_CHANCE = hashlib.shake_256(b"").hexdigest(150_000)


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("more", ["", PADDING, PADDING_OF_CHANCE], ids=["small", "packs", "large"])
def test_json_that_does_not_fit_its_collection_is_refused(
    store: Store, encoding: str | None, more: str
) -> None:
    store.kvs.create("box", schema=PRICES)
    good, bad = (
        PACKERS[encoding](json.dumps({name: 1, "more": more}).encode()) for name in ("price", "x")
    )

    put(store.kvs, "price-1", good, "application/json; charset=utf-8", encoding=encoding)
    with pytest.raises(InvalidInput) as failure:
        put(store.kvs, "price-1", bad, "application/json", encoding=encoding)
    put(store.kvs, "price-2", bad, "text/plain", encoding=encoding)
    put(store.kvs, "other", bad, "application/json", encoding=encoding)

    assert failure.value.type == "schema-validation-error"
    assert "price-1" in failure.value.message
    assert "prices" in failure.value.message
    assert [one["keyword"] for one in failure.value.data["validationErrors"]] == ["required"]
    assert keys(store.kvs) == ["other", "price-1", "price-2"]
    assert value(store.kvs, "price-1") == good


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"{", None), (b"\xff", None), (b"", None), (b"{}", "gzip"), (b"[" * 100_000, None)],
)  # fmt: skip
def test_what_is_no_json_does_not_fit_a_schema(
    store: Store, body: bytes, encoding: str | None
) -> None:
    store.kvs.create("box", schema=PRICES)

    with pytest.raises(InvalidInput):
        put(store.kvs, "price-1", body, "application/json", encoding=encoding)

    assert keys(store.kvs) == []


def test_json_too_deep_for_a_schema_is_refused(store: Store) -> None:
    store.kvs.create("box", schema=PRICES)
    body = b'{"x":' * 400 + b"1" + b"}" * 400

    with pytest.raises(InvalidInput) as failure:
        put(store.kvs, "price-1", body, "application/json")

    assert "nested too deeply" in failure.value.message


def test_json_too_large_to_check_is_refused(store: Store) -> None:
    store.kvs.create("box", schema=PRICES)
    body = gzip.compress(b'{"price": 1}' + b" " * rules.MAX_PAYLOAD_BYTES)

    with pytest.raises(TooLarge):
        put(store.kvs, "price-1", body, "application/json", encoding="gzip")


def test_what_is_done_is_counted(kvs: KeyValueStores) -> None:
    put(kvs, "one", b"12345")
    put(kvs, "two", b"123")
    value(kvs, "one")
    value(kvs, "one")
    keys(kvs)
    kvs.remove("~box", "two")
    kvs.remove("~box", "two")

    assert stats(kvs) == {
        "readCount": 2,
        "writeCount": 2,
        "deleteCount": 1,
        "listCount": 1,
        "storageBytes": 5,
    }


def test_writing_moves_the_time_of_change(kvs: KeyValueStores) -> None:
    before = kvs.get("~box")

    put(kvs, "one")

    after = kvs.get("~box")
    assert after.modified_at >= before.modified_at
    assert after.created_at == before.created_at


def test_a_record_that_was_copied_is_the_same(kvs: KeyValueStores) -> None:
    """What record() gives, put() takes: the way of every copy between stores."""
    body = os.urandom(1_000_000)
    put(kvs, "one", body, "image/png", encoding="br")
    kvs.create("other")

    kvs.put("~other", kvs.record("~box", "one"))

    copy = kvs.record("~other", "one")
    assert (copy.content_type, copy.content_encoding, copy.size) == ("image/png", "br", len(body))
    assert hashlib.sha256(b"".join(copy.body)).digest() == hashlib.sha256(body).digest()
