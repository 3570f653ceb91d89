"""Bodies in a bucket: every promise of blobs.py, and what happens when the bucket is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storectl.engine import look_after, open_store
from storectl.engine import s3 as s3_module
from storectl.engine.blobs import new_blob
from storectl.engine.kvs import GRACE_SECS, INLINE_BYTES, UPLOAD_SECS, collect
from storectl.engine.s3 import Bucket, cut, parts_of
from storectl.engine.store import EngineStore
from storectl.errors import Conflict, InvalidInput, Local, Unavailable
from storectl.model import rules
from storectl.model.kvs import Record
from storectl.model.store import TakesLong

from ..buckets import SECRET, Server
from ..faults import Asked, Proxy
from .keeping import look

PART = 64 * 1024
BODY = os.urandom(INLINE_BYTES + 1)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are small, and blocks that do not fit them."""
    monkeypatch.setattr(s3_module, "PART_BYTES", PART)
    monkeypatch.setattr(s3_module, "READ_BYTES", 10_000)


@pytest.fixture
def bucket(s3: Server) -> Bucket:
    return Bucket(s3.bucket())


def opened(folder: Path, blobs: str | None = None) -> closing[EngineStore]:
    return closing(open_store(str(folder), blobs=blobs))


def kept(bucket: Bucket, body: bytes) -> str:
    blob = new_blob()
    bucket.put(blob, [body])
    return blob


def put(store: EngineStore, key: str, body: bytes) -> None:
    store.kvs.put("~box", Record(key=key, content_type="a/b", body=(body,)))


def value(store: EngineStore, key: str) -> bytes:
    return b"".join(store.kvs.record("~box", key).body)


def collected(store: EngineStore, *, after_secs: int) -> int:
    return collect(store._db, store.blobs, now=rules.now_ms() + after_secs * 1000)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 5 * PART, 5 * PART + 17])
def test_a_body_of_any_number_of_parts_comes_back(bucket: Bucket, size: int) -> None:
    body = os.urandom(size)

    blob = kept(bucket, body)

    assert b"".join(bucket.open(blob, size)) == b"".join(bucket.open(blob)) == body
    assert bucket.size(blob) == size
    assert bucket.has(blob)
    assert list(bucket.there()) == [(blob, size)]


def test_parts_are_as_large_as_asked_however_blocks_come() -> None:
    blocks = [b"", b"ab", b"c" * 9, b"", b"defgh", b"i"]

    assert [bytes(part) for part in cut(blocks, 4)] == [b"abcc", b"cccc", b"cccd", b"efgh", b"i"]
    assert [bytes(part) for part in cut([b"abcd"], 4)] == [b"abcd"]
    assert [bytes(part) for part in cut([], 4)] == [b""]


@pytest.mark.usefixtures("parts")
def test_what_was_read_with_parts_of_another_size_still_reads(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = os.urandom(3 * PART + 5)
    blob = kept(bucket, body)

    monkeypatch.setattr(s3_module, "PART_BYTES", 10 * PART)

    assert b"".join(bucket.open(blob, len(body))) == body


@pytest.mark.usefixtures("parts")
def test_deleting_leaves_nothing_and_deletes_nothing_else(bucket: Bucket) -> None:
    blobs = [kept(bucket, os.urandom(2 * PART)) for _ in range(3)]

    bucket.delete(blobs[0], blobs[2], new_blob())
    bucket.delete(blobs[0])

    assert list(bucket.there()) == [(blobs[1], 2 * PART)]
    assert not bucket.has(blobs[0])


@pytest.mark.usefixtures("parts")
def test_a_body_that_breaks_off_leaves_nothing(bucket: Bucket) -> None:
    def body() -> Iterator[bytes]:
        yield os.urandom(3 * PART)
        raise ConnectionResetError("the sender is gone")

    with pytest.raises(ConnectionResetError):
        bucket.put(new_blob(), body())

    assert list(bucket.there()) == []


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("size", [PART - 1, 2 * PART + 1])
def test_what_is_not_as_large_as_it_should_be_is_found(bucket: Bucket, size: int) -> None:
    blob = kept(bucket, os.urandom(size))

    with pytest.raises(Local, match=r"is (damaged|missing)"):
        b"".join(bucket.open(blob, size + PART))
    with pytest.raises(Local, match="is missing"):
        bucket.open(new_blob(), size)
    with pytest.raises(Local, match="is missing"):
        bucket.size(new_blob())


def test_two_prefixes_of_a_bucket_have_nothing_in_common(s3: Server) -> None:
    url = s3.bucket()
    blob = kept(Bucket(f"{url}/a"), b"a")

    other = Bucket(f"{url}/b/c")

    assert not other.has(blob)
    assert list(other.there()) == []


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("s3://box", ("s3://box", "box", "")),
        ("s3://box/", ("s3://box", "box", "")),
        ("s3://my.box-1/a/b_c/", ("s3://my.box-1/a/b_c", "my.box-1", "a/b_c")),
    ],
)
def test_a_url_names_a_bucket_and_a_prefix(url: str, parts: tuple[str, str, str]) -> None:
    assert parts_of(url) == parts


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///x", "s3://a", "s3://box//x", "s3://box/../x", "s3://b ox", "gs://box"]
)
def test_what_names_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="names no bucket"):
        parts_of(url)


@pytest.mark.parametrize("url", ["s3://key:secret@box/x", "s3://box/x?secret=secret"])
def test_a_url_with_credentials_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parts_of(url)

    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_a_bucket_that_is_not_there_is_named(s3: Server) -> None:
    bucket = Bucket("s3://nobody-made-it/x")

    for call in (lambda: kept(bucket, b"a"), lambda: bucket.has(new_blob())):
        with pytest.raises(Local, match="^Bucket of s3://nobody-made-it/x is not there$"):
            call()


def test_refused_credentials_are_told_without_them(
    s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    url = s3.bucket()

    with s3.strict(), pytest.raises(Local, match="refused the credentials") as refused:
        kept(Bucket(url), b"a")

    told = f"{refused.value} {refused.value.hint}"
    assert SECRET not in told
    assert "AWS_SECRET_ACCESS_KEY" in told


def test_a_server_that_is_away_is_told_in_one_line(
    s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(Unavailable) as away:
        kept(Bucket("s3://box/x"), b"a")

    assert str(away.value) == "s3://box/x does not answer: connection refused"
    assert "AWS_ENDPOINT_URL is http://127.0.0.1:9" in str(away.value.hint)
    assert away.value.retry_after_secs


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("fault", ["reset before", "reset after", "503", "503 after", "502 html"])
def test_calls_that_fail_are_made_again(
    s3: Server, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, body = s3.bucket(), os.urandom(2 * PART + 1)

    def plan(asked: Asked) -> str | None:
        return fault if asked.time == 1 else None

    with Proxy(s3.url, plan) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        bucket = Bucket(url)
        blob = kept(bucket, body)

        assert b"".join(bucket.open(blob, len(body))) == body
        bucket.delete(blob)
        assert list(bucket.there()) == []


@pytest.mark.usefixtures("parts")
def test_an_upload_that_a_dead_server_cut_off_is_garbage_that_the_sweep_removes(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3.bucket()
    calls = 0

    def plan(asked: Asked) -> str | None:
        nonlocal calls
        calls += asked.method == "PUT"
        return "reset before" if calls > 4 else None

    with Proxy(s3.url, plan) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with opened(tmp_path, blobs=url) as store:
            store.kvs.create("box")
            put(store, "before", b"small")
            with pytest.raises(Unavailable):
                put(store, "large", os.urandom(6 * PART))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    with opened(tmp_path) as store:
        left = [blob for blob, _ in store.blobs.there()]
        assert left
        assert collected(store, after_secs=0) == 0
        assert collected(store, after_secs=UPLOAD_SECS + 1) == 1
        assert list(store.blobs.there()) == []
        assert value(store, "before") == b"small"


def test_replaced_and_deleted_records_go_after_their_grace(s3: Server, tmp_path: Path) -> None:
    with opened(tmp_path, blobs=s3.bucket()) as store:
        store.kvs.create("box")
        for body in (BODY, BODY[::-1]):
            put(store, "a", body)
        put(store, "b", BODY)
        store.kvs.remove("~box", "b")

        assert len(list(store.blobs.there())) == 3
        assert collected(store, after_secs=GRACE_SECS - 60) == 0
        assert collected(store, after_secs=GRACE_SECS + 60) == 2
        assert value(store, "a") == BODY[::-1]


def test_a_store_remembers_its_bucket(s3: Server, tmp_path: Path) -> None:
    with opened(tmp_path, blobs=s3.bucket()) as store:
        store.kvs.create("box")
        put(store, "large", BODY)

    with opened(tmp_path) as store:
        assert value(store, "large") == BODY
    assert not (tmp_path / "blobs").exists()


def test_another_place_than_its_own_is_refused(s3: Server, tmp_path: Path) -> None:
    own, other = s3.bucket(), s3.bucket()
    with opened(tmp_path / "a", blobs=own) as store:
        store.kvs.create("box")
        put(store, "large", BODY)
    with opened(tmp_path / "b", blobs=other) as store:
        store.prepare()

    for url, why in [
        (s3.bucket(), "holds none of them"),
        (str(tmp_path / "folder"), "holds none of them"),
        (other, "of another store"),
    ]:
        with (
            opened(tmp_path / "a", blobs=url) as store,
            pytest.raises(Conflict, match=why),
        ):
            value(store, "large")


def test_a_bucket_of_the_same_name_elsewhere_is_noticed(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3.bucket()
    with opened(tmp_path, blobs=url) as store:
        store.kvs.create("box")
        put(store, "large", BODY)

    with (
        s3.emptied(url),
        opened(tmp_path) as store,
        pytest.raises(Local, match="another place of the same name"),
    ):
        put(store, "next", BODY)


def test_a_bucket_that_was_copied_is_known_by_its_mark(s3: Server, tmp_path: Path) -> None:
    old, new = s3.bucket(), s3.bucket()
    with opened(tmp_path, blobs=old) as store:
        store.kvs.create("box")
        put(store, "large", BODY)
    s3.write(new, s3.objects(old))

    with opened(tmp_path, blobs=new) as store:
        assert value(store, "large") == BODY
    with s3.emptied(old), opened(tmp_path) as store:
        assert value(store, "large") == BODY


@pytest.mark.parametrize("age", ["new", "of a version that remembered nothing"])
def test_a_store_with_large_records_in_its_folder_gets_no_bucket(
    s3: Server, tmp_path: Path, age: str
) -> None:
    with opened(tmp_path) as store:
        store.kvs.create("box")
        put(store, "large", BODY)
        if age != "new":
            store._db.write(lambda tx: tx.all("DELETE FROM setting"))

    url = s3.bucket()
    with opened(tmp_path, blobs=url) as store, pytest.raises(Conflict, match=f"{tmp_path}/blobs"):
        value(store, "large")


def test_two_processes_that_give_a_new_store_two_places_share_one(
    s3: Server, tmp_path: Path
) -> None:
    with (
        opened(tmp_path) as late,
        opened(tmp_path, blobs=s3.bucket()) as first,
        opened(tmp_path, blobs=s3.bucket()) as second,
    ):
        late.kvs.create("box")
        late.prepare()
        put(first, "large", BODY)

        with pytest.raises(Conflict, match="another place"):
            put(late, "other", BODY)
        with pytest.raises(Conflict, match="holds none"):
            put(second, "other", BODY)
        assert not (tmp_path / "blobs").exists()


def test_who_is_in_a_hurry_waits_for_no_bucket(s3: Server, tmp_path: Path) -> None:
    with opened(tmp_path, blobs=s3.bucket()) as store:
        store.kvs.create("box")
        put(store, "large", BODY)
        put(store, "small", b"small")
        store.blobs.hurry()

        with pytest.raises(TakesLong):
            store.kvs.record("~box", "large")
        assert value(store, "small") == b"small"


def test_a_check_reads_what_is_in_the_bucket(s3: Server, tmp_path: Path) -> None:
    url, store_at = s3.bucket(), tmp_path / "store"
    with opened(store_at, blobs=url) as store:
        store.kvs.create("box")
        for key in ("sound", "cut", "gone", "flipped"):
            put(store, key, BODY)
        orphan = new_blob()
        store.blobs.put(orphan, [b"nobody's"])
        blobs = dict(store._db.all("SELECT key, blob FROM record"))
    assert {each.place for each in look(store_at)} == {f"{url}/{orphan[:2]}/{orphan}"}

    there = s3.objects(url)
    for path, body in there.items():
        if blobs["cut"] in path:
            s3.write(url, {path: body[:-1]})
        elif blobs["flipped"] in path:
            s3.write(url, {path: bytes([body[0] ^ 1]) + body[1:]})
    Bucket(url).delete(blobs["gone"])

    assert {each.place for each in look(store_at) if each.harm == "lost"} == {
        "cut", "gone", "flipped",
    }  # fmt: skip


def test_a_backup_holds_what_is_in_the_bucket_and_comes_back_without_it(
    s3: Server, tmp_path: Path
) -> None:
    url, store_at = s3.bucket(), tmp_path / "store"
    with opened(store_at, blobs=url) as store:
        store.kvs.create("box")
        put(store, "large", BODY)

    list(look_after(str(store_at)).back_up(tmp_path / "backup"))
    list(look_after(str(tmp_path / "again")).restore(tmp_path / "backup"))

    with s3.emptied(url), opened(tmp_path / "again") as again:
        assert value(again, "large") == BODY
        put(again, "next", BODY)
    assert len(s3.objects(url)) == 2
