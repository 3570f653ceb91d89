"""Records over HTTP: headers, encodings, signatures, ZIP files."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tracemalloc
import zlib
from urllib.parse import urlsplit
from zipfile import ZipFile

import brotli
import httpx
import pytest

from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.model.kvs import KeysQuery
from storectl.server.app import App
from storectl.server.kvs import accepts
from storectl.server.settings import Settings

from ..homes import only_in_a_folder
from ..serving import served as serving
from .conftest import Connect
from .direct import asked

PAGE = b"<html><script>alert(1)</script>" + bytes(range(256)) * 20
PACK = {"gzip": gzip.compress, "br": brotli.compress, "deflate": zlib.compress}


@pytest.fixture
def box(api: httpx.Client) -> str:
    """The address of a new store."""
    made = api.post("/v2/key-value-stores?name=box").json()["data"]
    return f"/v2/key-value-stores/{made['id']}"


def put(
    api: httpx.Client, box: str, key: str, body: bytes, type: str | None = None, **headers: str
) -> httpx.Response:
    sent = {"Content-Type": type} if type else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return api.put(f"{box}/records/{key}", content=body, headers=sent)


def raw(
    client: httpx.Client, address: str, accept: str | None = None
) -> tuple[httpx.Response, bytes]:
    """An answer and its body as it came."""
    request = client.build_request("GET", address)
    del request.headers["Accept-Encoding"]
    if accept is not None:
        request.headers["Accept-Encoding"] = accept
    answer = client.send(request, stream=True)
    return answer, b"".join(answer.iter_raw())


def test_putting_answers_201_with_the_address_of_the_record(api: httpx.Client, box: str) -> None:
    answer = put(api, box, "a'b(1)!", b"x", "text/plain")

    assert (answer.status_code, answer.json()) == (201, {})
    assert answer.headers["location"] == f"http://api.test{box}/records/a%27b%281%29%21"
    assert api.get(answer.headers["location"]).content == b"x"


def test_post_is_put(api: httpx.Client, box: str) -> None:
    answer = api.post(f"{box}/records/k", content=b"x", headers={"Content-Type": "a/b"})

    assert answer.status_code == 201
    assert api.get(f"{box}/records/k").content == b"x"


@pytest.mark.parametrize("path", ["a'b(1)!", "a%27b%281%29%21", "%61'b(1)%21"])
def test_a_key_is_the_same_escaped_or_not(api: httpx.Client, box: str, path: str) -> None:
    put(api, box, "a'b(1)!", b"x", "text/plain")

    assert api.get(f"{box}/records/{path}").content == b"x"
    assert api.delete(f"{box}/records/{path}").status_code == 204
    assert api.head(f"{box}/records/{path}").status_code == 404


@pytest.mark.parametrize("path", ["a/b", "a%2Fb", "a%20b", "x" * 257, "a%2525"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_no_key_is_refused(api: httpx.Client, box: str, path: str, method: str) -> None:
    answer = api.request(method, f"{box}/records/{path}", headers={"Content-Type": "a/b"})

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid-record-key"


def test_without_a_type_it_is_bytes(api: httpx.Client, box: str) -> None:
    put(api, box, "k", b"x")

    assert api.get(f"{box}/records/k").headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("type", ["nonsense", "a/", ";", "text/html, a/b"])
def test_what_is_no_content_type_is_refused(api: httpx.Client, box: str, type: str) -> None:
    answer = put(api, box, "k", b"x", type)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid-content-type-header"


def test_an_unknown_encoding_is_415(api: httpx.Client, box: str) -> None:
    answer = put(api, box, "k", b"x", "text/plain", Content_Encoding="bla")

    assert answer.status_code == 415
    assert answer.json()["error"] == {
        "type": "unsupported-content-encoding",
        "message": 'Content-Encoding "bla" is not supported.',
    }


@pytest.mark.parametrize("type", ["text/html", "image/svg+xml", "application/json", "image/png"])
def test_no_browser_runs_a_record_as_a_page_of_this_server(
    api: httpx.Client, box: str, type: str
) -> None:
    put(api, box, "k", PAGE, type)

    answer = api.get(f"{box}/records/k")

    assert answer.content == PAGE
    assert answer.headers["content-type"] == type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "content-disposition" not in answer.headers


@pytest.mark.parametrize("flag", ["1", "true"])
def test_an_attachment_is_one(api: httpx.Client, box: str, flag: str) -> None:
    put(api, box, "k", PAGE, "text/html")

    answer = api.get(f"{box}/records/k?attachment={flag}")

    assert answer.headers["content-disposition"] == "attachment"
    assert answer.content == PAGE


ACCEPTS = [
    (None, False), ("", False), ("gzip", True), ("GZIP", True), ("x-gzip", True), ("br", False),
    ("deflate, gzip;q=1.0, *;q=0.5", True), ("*", True), ("*;q=0", False), ("br, *", True),
    ("gzip;q=0", False), ("gzip;q=0.000", False), ("gzip; q=0.001", True), ("*, gzip;q=0", False),
    ("identity", False), ("identity;q=0, gzip", True), ("gzip;level=9;q=0", False),
    ("zstd,gzip,deflate,br", True), (",,gzip,", True), ("gzipped", False),
]  # fmt: skip


@pytest.mark.parametrize(("header", "sent"), ACCEPTS)
def test_an_encoding_is_sent_to_who_takes_it(
    api: httpx.Client, box: str, header: str | None, sent: bool
) -> None:
    packed = gzip.compress(PAGE)
    put(api, box, "k", packed, "text/html", Content_Encoding="gzip")

    answer, body = raw(api, f"{box}/records/k", header)

    assert answer.headers.get("content-encoding") == ("gzip" if sent else None)
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["vary"] == "Accept-Encoding"
    assert body == (packed if sent else PAGE)


def test_what_is_not_encoded_is_for_everyone() -> None:
    assert accepts("gzip;q=0", None)


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("size", [0, 100, 1_048_576, 1_048_577, 30_000_000])
def test_a_packed_record_is_unpacked_with_its_length(
    api: httpx.Client, box: str, encoding: str, size: int
) -> None:
    body = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    put(api, box, "k", PACK[encoding](body), "text/plain", Content_Encoding=encoding)

    answer, plain = raw(api, f"{box}/records/k", "identity")

    assert answer.headers["content-length"] == str(size)
    assert "content-encoding" not in answer.headers
    assert plain == body


def test_both_kinds_of_deflate_are_unpacked(api: httpx.Client, box: str) -> None:
    packer = zlib.compressobj(wbits=-15)
    put(api, box, "k", packer.compress(PAGE) + packer.flush(), Content_Encoding="deflate")

    assert raw(api, f"{box}/records/k")[1] == PAGE


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", b"not gzip at all", id="not gzip"),
        pytest.param("gzip", gzip.compress(os.urandom(200_000))[:-5], id="cut gzip"),
        pytest.param("br", brotli.compress(bytes(300_000_000), quality=1), id="bomb"),
    ],
)
def test_what_cannot_be_unpacked_is_sent_as_it_is_stored(
    api: httpx.Client, box: str, encoding: str, body: bytes
) -> None:
    """Its encoding is named, so nobody is told a lie; and a bomb stays small."""
    put(api, box, "k", body, "text/plain", Content_Encoding=encoding)

    answer, found = raw(api, f"{box}/records/k", "identity")

    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == encoding
    assert found == body


def test_a_head_tells_what_is_stored(api: httpx.Client, box: str) -> None:
    packed = gzip.compress(PAGE)
    put(api, box, "k", packed, "text/html", Content_Encoding="gzip")

    there = api.head(f"{box}/records/k")
    missing = api.head(f"{box}/records/none")

    assert (there.status_code, there.content) == (200, b"")
    assert there.headers["content-length"] == str(len(packed))
    assert there.headers["content-encoding"] == "gzip"
    assert there.headers["content-type"] == "text/html"
    assert (missing.status_code, missing.content) == (404, b"")


def test_deleting_is_204_also_of_what_is_not_there(api: httpx.Client, box: str) -> None:
    put(api, box, "k", b"x")

    answers = [api.delete(f"{box}/records/k") for _ in range(2)]

    assert [(each.status_code, each.content) for each in answers] == [(204, b"")] * 2


def test_a_missing_record_is_told_from_a_missing_store(api: httpx.Client, box: str) -> None:
    record = api.get(f"{box}/records/none").json()["error"]
    store = api.get("/v2/key-value-stores/none/records/none").json()["error"]

    assert record["type"] == store["type"] == "record-not-found"
    assert "has no record 'none'" in record["message"]
    assert "Key-value store 'none' was not found" in store["message"]


def test_keys_end_with_a_null_that_is_there(api: httpx.Client, box: str) -> None:
    """Without it the JavaScript client reads the first page for ever."""
    for key in "abc":
        put(api, box, key, b"x", "text/plain")

    first = api.get(f"{box}/keys?limit=2").json()["data"]
    last = api.get(f"{box}/keys?exclusiveStartKey={first['nextExclusiveStartKey']}").json()["data"]

    assert {**first, "items": [item["key"] for item in first["items"]]} == {
        "items": ["a", "b"],
        "count": 2,
        "limit": 2,
        "exclusiveStartKey": None,
        "isTruncated": True,
        "nextExclusiveStartKey": "b",
    }
    assert {**last, "items": [item["key"] for item in last["items"]]} == {
        "items": ["c"],
        "count": 1,
        "limit": 1000,
        "exclusiveStartKey": "b",
        "isTruncated": False,
        "nextExclusiveStartKey": None,
    }


@pytest.mark.parametrize(("limit", "used"), [("", 1000), ("0", 1000), ("1", 1), ("99999", 1000)])
def test_a_limit_of_keys(api: httpx.Client, box: str, limit: str, used: int) -> None:
    assert api.get(f"{box}/keys?limit={limit}").json()["data"]["limit"] == used


@pytest.mark.parametrize("limit", ["-1", "x", "1.5"])
def test_what_is_no_limit_is_refused(api: httpx.Client, box: str, limit: str) -> None:
    answer = api.get(f"{box}/keys?limit={limit}")

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid-parameter"


def test_prefixes_may_have_any_character(api: httpx.Client, box: str) -> None:
    for key in ("a!b", "a'b", "axb"):
        put(api, box, key, b"x")

    found = api.get(f"{box}/keys", params={"prefix": "a!"}).json()["data"]["items"]
    none = api.get(f"{box}/keys", params={"prefix": "a%"}).json()["data"]["items"]

    assert [item["key"] for item in found] == ["a!b"]
    assert none == []


def test_the_address_of_a_key_opens_it_without_a_token(
    api: httpx.Client, connect: Connect, box: str
) -> None:
    put(api, box, "it's(1)", b"open", "text/plain")
    put(api, box, "other", b"closed", "text/plain")
    anyone = connect(None)

    address = api.get(f"{box}/keys").json()["data"]["items"][0]["recordPublicUrl"]

    assert address.startswith(f"http://api.test{box}/records/it%27s%281%29?signature=")
    assert anyone.get(address).content == b"open"
    assert anyone.get(address.replace("it%27s%281%29", "other")).status_code == 401
    assert anyone.put(address, content=b"x").status_code == 401
    assert anyone.delete(address).status_code == 401


def test_the_public_addresses_of_a_store_open_keys_and_records(
    api: httpx.Client, connect: Connect, box: str
) -> None:
    put(api, box, "k", b"x", "text/plain")
    anyone = connect(None)

    shown = api.get(box).json()["data"]

    assert anyone.get(shown["keysPublicUrl"]).json()["data"]["count"] == 1
    assert anyone.get(shown["recordsPublicUrl"]).headers["content-type"] == "application/zip"
    assert anyone.get(f"{box}/keys").status_code == 401


def test_what_anyone_may_read_needs_no_signature(api: httpx.Client, box: str) -> None:
    api.put(box, json={"generalAccess": "ANYONE_WITH_ID_CAN_READ"})
    put(api, box, "k", b"x")

    shown = api.get(box).json()["data"]
    key = api.get(f"{box}/keys").json()["data"]["items"][0]

    assert shown["keysPublicUrl"] == f"http://api.test{box}/keys"
    assert shown["recordsPublicUrl"] == f"http://api.test{box}/records"
    assert key["recordPublicUrl"] == f"http://api.test{box}/records/k"


def unzipped(answer: httpx.Response) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_all_records_come_as_a_zip_of_files_named_by_keys(api: httpx.Client, box: str) -> None:
    noise = os.urandom(3_000_000)
    put(api, box, "it's(1)!.html", PAGE, "text/html")
    put(api, box, "noise", noise, "image/png")
    put(api, box, "packed", gzip.compress(PAGE), "text/html", Content_Encoding="gzip")
    put(api, box, "liar", b"not brotli", "text/html", Content_Encoding="br")
    put(api, box, "empty", b"")

    answer = api.get(f"{box}/records")

    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert unzipped(answer) == {
        "empty": b"",
        "it's(1)!.html": PAGE,
        "liar.br": b"not brotli",
        "noise": noise,
        "packed": PAGE,
    }


def test_no_name_in_a_zip_leads_out_of_its_folder(
    api: httpx.Client, box: str, served: EngineStore
) -> None:
    for key in ("...", "..a"):
        put(api, box, key.replace(".", "%2E"), b"x")
    refused = [api.put(f"{box}/records/{key}", content=b"x") for key in ("%2E", "%2E%2E")]

    assert [answer.status_code for answer in refused] == [400, 400]
    assert set(unzipped(api.get(f"{box}/records"))) == {"...", "..a"}


def test_what_a_proxy_makes_of_a_step_back_deletes_nothing(api: httpx.Client, box: str) -> None:
    assert api.delete(f"{box}/").status_code == 404
    assert api.get(box).status_code == 200


def test_a_zip_of_more_keys_than_a_page_has_them_all(
    api: httpx.Client, box: str, served: EngineStore
) -> None:
    for number in range(1205):
        put(api, box, f"k{number}", b"x")

    assert len(unzipped(api.get(f"{box}/records"))) == 1205


def test_a_zip_can_be_of_a_prefix_or_a_collection(api: httpx.Client) -> None:
    schema = {"collections": {"shots": {"keyPrefix": "shot-"}}}
    made = api.post("/v2/key-value-stores?name=s", json={"schema": schema}).json()["data"]
    box = f"/v2/key-value-stores/{made['id']}"
    for key in ("shot-1", "shot-2", "other"):
        put(api, box, key, b"x")

    assert set(unzipped(api.get(f"{box}/records?collection=shots"))) == {"shot-1", "shot-2"}
    assert set(unzipped(api.get(f"{box}/records?prefix=o"))) == {"other"}
    unknown = api.get(f"{box}/records?collection=none")
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (400, "invalid-collection")


@pytest.mark.parametrize("schema", [[], "x", {"collections": {"a": {}}}])
def test_a_schema_that_is_none_is_refused(api: httpx.Client, schema: object) -> None:
    answer = api.post("/v2/key-value-stores", json={"schema": schema})

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "store-schema-invalid"


@only_in_a_folder("what moto keeps for a bucket is in this process")
def test_memory_does_not_grow_with_a_record(
    api: httpx.Client, box: str, served: EngineStore
) -> None:
    application = App(served, Settings(rate_limit=None))
    token = served.tokens.create("memory", username="alice").secret
    environ = {"PATH_INFO": f"{box}/records/large", "HTTP_AUTHORIZATION": f"Bearer {token}"}
    endless = (os.urandom(250_000) + bytes(750_000) for _ in range(100))

    tracemalloc.start()
    put = asked(application, {**environ, "REQUEST_METHOD": "PUT"}, endless)
    got = asked(application, {**environ, "REQUEST_METHOD": "GET"})
    sizes = [len(block) for block in got.body]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (put.status, got.status) == (201, 200)
    assert sum(sizes) == 100_000_000
    assert most < 15_000_000


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("Content-Length: 3000000\r\n\r\n", id="of known length"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n1e8480\r\n", id="chunked"),
    ],
)
def test_an_upload_that_is_cut_off_leaves_nothing(home: str, start: str) -> None:
    store = open_store(home)
    id = store.kvs.create("box")[0].id
    token = store.tokens.create("test").secret

    with serving(home) as address:
        place = urlsplit(address)
        with socket.create_connection((str(place.hostname), place.port or 80)) as connection:
            connection.sendall(
                f"PUT /v2/key-value-stores/{id}/records/k HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {token}\r\nContent-Type: a/b\r\n{start}".encode()
                + bytes(2_000_000)
            )
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):  # until the server is done with it
                pass

    assert store.kvs.keys(id, KeysQuery()).items == []
    assert list(store.blobs.there()) == []
    store.close()
