"""Facts of the wire that no keeper knows: envelopes, errors, encodings, bounds."""

from __future__ import annotations

import gzip
import json
import zlib

import brotli
import httpx
import pytest

from storectl.engine.store import EngineStore
from storectl.model.rules import MAX_PAYLOAD_BYTES

from .conftest import Connect


def error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    told = answer.json()
    assert set(told) == {"error"}
    assert set(told["error"]) >= {"type", "message"}
    return answer.status_code, told["error"]["type"]


@pytest.fixture
def dataset(api: httpx.Client) -> str:
    return api.post("/v2/datasets?name=prices").json()["data"]["id"]


@pytest.mark.parametrize(
    "path",
    "/v2 /v2/ /v3/datasets /v2/actors /v2/datasets/a/b/c /v2//datasets /x /v2/datasets/".split(),
)
def test_an_unknown_route_is_json(api: httpx.Client, path: str) -> None:
    assert error(api.get(path)) == (404, "page-not-found")


def test_a_known_route_tells_its_methods(api: httpx.Client, dataset: str) -> None:
    answer = api.patch(f"/v2/datasets/{dataset}")

    assert error(answer) == (405, "method-not-allowed")
    assert "OPTIONS,DELETE,GET,HEAD,PUT" in answer.json()["error"]["message"]


def test_health_needs_no_token_and_no_rate(connect: Connect) -> None:
    anonymous = connect(None, rate_limit=(1, 1))

    answers = [anonymous.get("/healthz") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert answers[0].json()["status"] == "ok"


def test_creating_answers_201_with_the_address_and_then_200(api: httpx.Client) -> None:
    first = api.post("/v2/datasets?name=prices")
    again = api.post("/v2/datasets", params={"name": "prices"})
    id = first.json()["data"]["id"]

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["location"] == f"http://api.test/v2/datasets/{id}"
    assert again.json()["data"]["id"] == id


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "0"},
        {},
        {"Content-Type": "application/json"},
    ],
)
def test_creating_needs_no_body(api: httpx.Client, headers: dict[str, str]) -> None:
    assert api.post("/v2/key-value-stores", headers=headers).status_code == 201


def test_a_bare_name_is_no_reference(api: httpx.Client, dataset: str) -> None:
    assert error(api.get("/v2/datasets/prices")) == (404, "record-not-found")
    for ref in ("~prices", "alice~prices", "%7Eprices", "alice%7Eprices", dataset):
        assert api.get(f"/v2/datasets/{ref}").json()["data"]["id"] == dataset


def test_an_object_has_what_the_official_clients_need(api: httpx.Client, dataset: str) -> None:
    found = api.get(f"/v2/datasets/{dataset}").json()["data"]

    needed = "id name userId createdAt modifiedAt accessedAt itemCount cleanItemCount consoleUrl"
    assert set(needed.split()) <= set(found)
    assert found["itemsPublicUrl"].startswith(f"http://api.test/v2/datasets/{dataset}/items")


def test_a_list_has_the_envelope_of_the_api(api: httpx.Client, dataset: str) -> None:
    api.post("/v2/datasets")

    named = api.get("/v2/datasets").json()["data"]
    everything = api.get("/v2/datasets?unnamed=1&desc=true&limit=1").json()["data"]

    assert {key: named[key] for key in ("total", "count", "offset", "limit", "desc")} == {
        "total": 1,
        "count": 1,
        "offset": 0,
        "limit": 1000,
        "desc": False,
    }
    assert (everything["total"], everything["count"], everything["desc"]) == (2, 1, True)
    unnamed = everything["items"][0]
    assert unnamed["name"] == unnamed["id"]  # clients in Python refuse null here
    assert "urlSigningSecretKey" not in unnamed


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "limit=1.5", "limit=٣", "offset=-1", "desc=2", "unnamed=no"],
)
def test_a_bad_query_value_names_itself(api: httpx.Client, query: str) -> None:
    answer = api.get(f"/v2/datasets?{query}")

    assert error(answer) == (400, "invalid-parameter")
    assert query.split("=")[0] in answer.json()["error"]["message"]


@pytest.mark.parametrize("limit", ["0", "999999999", "1000"])
def test_limits_over_the_most_are_cut(api: httpx.Client, limit: str) -> None:
    assert api.get(f"/v2/datasets?limit={limit}").json()["data"]["limit"] == 1000


def test_a_get_may_stand_for_another_method(api: httpx.Client, dataset: str) -> None:
    assert api.get(f"/v2/datasets/{dataset}?method=DELETE").status_code == 204
    assert api.get(f"/v2/datasets/{dataset}").status_code == 404
    assert error(api.get("/v2/datasets?method=FETCH")) == (400, "invalid-parameter")


@pytest.mark.parametrize("base", ["http://api.test", "https://data.example.com/api"])
def test_addresses_are_absolute_from_the_public_one(connect: Connect, base: str) -> None:
    api = connect(public_url=None if base == "http://api.test" else base)

    answer = api.post("/v2/datasets?name=prices")

    assert answer.headers["location"].startswith(f"{base}/v2/datasets/")
    assert answer.json()["data"]["consoleUrl"].startswith(f"{base}/")


ENCODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": lambda body: (c := zlib.compressobj(wbits=-15)).compress(body) + c.flush(),
    "br": brotli.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("name", ENCODERS)
def test_bodies_may_be_encoded(api: httpx.Client, dataset: str, name: str) -> None:
    body = ENCODERS[name](json.dumps([{"n": n} for n in range(1000)]).encode())

    answer = api.post(
        f"/v2/datasets/{dataset}/items",
        content=body,
        headers={"Content-Encoding": name.split()[-1], "Content-Type": "application/json"},
    )

    assert (answer.status_code, answer.json()) == (201, {})
    assert len(api.get(f"/v2/datasets/{dataset}/items").json()) == 1000


def test_an_unknown_encoding_is_refused_as_the_api_words_it(
    api: httpx.Client, dataset: str
) -> None:
    answer = api.post(
        f"/v2/datasets/{dataset}/items", content=b"{}", headers={"Content-Encoding": "bla"}
    )

    assert error(answer) == (415, "unsupported-content-encoding")
    assert answer.json()["error"]["message"] == 'Content-Encoding "bla" is not supported.'


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("cut", [1, 10, -1])
def test_a_broken_encoding_is_told_and_nothing_is_kept(
    api: httpx.Client, dataset: str, name: str, cut: int
) -> None:
    body = ENCODERS[name](b'[{"n":1}]')[:cut]

    answer = api.post(
        f"/v2/datasets/{dataset}/items", content=body, headers={"Content-Encoding": name}
    )

    assert error(answer) == (400, "invalid-input")
    assert api.get(f"/v2/datasets/{dataset}").json()["data"]["itemCount"] == 0


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
def test_a_bomb_is_refused_before_it_is_unpacked(
    api: httpx.Client, dataset: str, name: str
) -> None:
    bomb = ENCODERS[name](b" " * 300_000_000)
    assert len(bomb) < 400_000

    answer = api.post(
        f"/v2/datasets/{dataset}/items", content=bomb, headers={"Content-Encoding": name}
    )

    assert error(answer) == (413, "request-too-large")


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_9_mib_is_refused_as_the_api_words_it(
    api: httpx.Client, dataset: str, declared: bool
) -> None:
    body = b'[{"a":"' + b"x" * MAX_PAYLOAD_BYTES + b'"}]'
    content = body if declared else iter([body])

    answer = api.post(f"/v2/datasets/{dataset}/items", content=content)

    assert error(answer) == (413, "request-too-large")
    assert "limit: 9437184 bytes, actual length: 94" in answer.json()["error"]["message"]
    assert api.get(f"/v2/datasets/{dataset}").json()["data"]["itemCount"] == 0


def test_a_body_of_9_mib_is_taken(api: httpx.Client, dataset: str) -> None:
    body = b'[{"a":"' + b"x" * (MAX_PAYLOAD_BYTES - 10) + b'"}]'

    assert len(body) == MAX_PAYLOAD_BYTES
    assert api.post(f"/v2/datasets/{dataset}/items", content=body).status_code == 201


@pytest.mark.parametrize(
    ("body", "type", "words"),
    [
        (b'{"name": }', "invalid-input", "line 1, column 10"),
        (b"[]", "invalid-request", "POST data must be a JSON object"),
        (b"7", "invalid-request", "object"),
        (b'{"name": 7}', "invalid-value", "name must be a text"),
        (b'{"name": "a_b"}', "invalid-value", "underscore"),
        (b'{"generalAccess": "X"}', "invalid-value", "X"),
        (b'{"generalAccess": null}', "invalid-value", "generalAccess"),
        (b"\xff", "invalid-input", "UTF-8"),
    ],
)
def test_a_bad_body_is_told_where(
    api: httpx.Client, dataset: str, body: bytes, type: str, words: str
) -> None:
    answer = api.put(f"/v2/datasets/{dataset}", content=body)

    assert error(answer) == (400, type)
    assert words in answer.json()["error"]["message"]
    assert api.get(f"/v2/datasets/{dataset}").json()["data"]["name"] == "prices"


def test_an_update_knows_nothing_but_what_may_change(api: httpx.Client, dataset: str) -> None:
    before = api.get(f"/v2/datasets/{dataset}").json()["data"]

    wishes = {"id": "x", "userId": "y", "itemCount": 9, "title": "T"}
    api.put(f"/v2/datasets/{dataset}", json=wishes)

    after = api.get(f"/v2/datasets/{dataset}").json()["data"]
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {"title", "modifiedAt", "accessedAt", "itemsPublicUrl"}
    assert after["title"] == "T"


def test_a_name_taken_is_a_conflict(api: httpx.Client, dataset: str) -> None:
    other = api.post("/v2/datasets?name=other").json()["data"]["id"]

    assert error(api.put(f"/v2/datasets/{other}", json={"name": "prices"})) == (
        409,
        "name-not-unique",
    )


def test_pagination_is_told_in_headers(api: httpx.Client, dataset: str) -> None:
    api.post(f"/v2/datasets/{dataset}/items", json=[{"n": n} for n in range(5)])

    page = api.get(f"/v2/datasets/{dataset}/items?offset=3&limit=10&desc=1")
    whole = api.get(f"/v2/datasets/{dataset}/items?limit=0")
    head = api.head(f"/v2/datasets/{dataset}/items?format=csv")

    told = {name[19:]: value for name, value in page.headers.items() if "pagination" in name}
    assert told == {"offset": "3", "limit": "10", "count": "2", "total": "5", "desc": "true"}
    assert whole.headers["x-apify-pagination-limit"] == "999999999999"
    assert len(whole.json()) == 5
    assert head.headers["x-apify-pagination-desc"] == "false"
    assert (head.headers["content-type"], head.content) == ("text/csv; charset=utf-8", b"")


FORMATS = {
    "json": ("application/json", b'[{"n":1,"x":{"y":"\xc3\xa9"}},{"n":2}]'),
    "jsonl": ("application/jsonl", b'{"n":1,"x":{"y":"\xc3\xa9"}}\n{"n":2}\n'),
    "csv": ("text/csv", b"\xef\xbb\xbfn,x/y\r\n1,\xc3\xa9\r\n2,\r\n"),
    "xml": ("application/xml", b"<item><n>1</n><x><y>\xc3\xa9</y></x></item>"),
    "rss": ("application/rss+xml", b"<title>Dataset "),
    "html": ("text/html", b"<th>x/y</th>"),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
}


@pytest.mark.parametrize("format", FORMATS)
def test_items_come_in_seven_formats(api: httpx.Client, dataset: str, format: str) -> None:
    media_type, part = FORMATS[format]
    api.post(f"/v2/datasets/{dataset}/items", json=[{"n": 1, "x": {"y": "é"}}, {"n": 2}])

    answer = api.get(f"/v2/datasets/{dataset}/items?format={format}&attachment=true")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert part in answer.content


def test_options_of_formats_are_heard(api: httpx.Client, dataset: str) -> None:
    api.post(f"/v2/datasets/{dataset}/items", json=[{"a": 1, "b": "x;y"}])
    items = f"/v2/datasets/{dataset}/items"

    csv = api.get(f"{items}?format=csv&delimiter=%3B&bom=0&skipHeaderRow=1").content
    json_with_bom = api.get(f"{items}?format=json&bom=1").content
    xml = api.get(f"{items}?format=xml&xmlRoot=rows&xmlRow=row").text

    assert csv == b'1;"x;y"\r\n'
    assert json_with_bom.startswith(b"\xef\xbb\xbf[")
    assert "<rows>" in xml
    assert "<row>" in xml


@pytest.mark.parametrize("query", ["format=pdf", "format=csv&delimiter=ab", "format=parquet"])
def test_an_unknown_format_or_option_is_refused(
    api: httpx.Client, dataset: str, query: str
) -> None:
    assert error(api.get(f"/v2/datasets/{dataset}/items?{query}")) == (400, "invalid-parameter")


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "xml"])
def test_a_large_answer_is_whole(api: httpx.Client, dataset: str, format: str) -> None:
    items = [{"n": n, "text": "é" * 300} for n in range(5000)]
    api.post(f"/v2/datasets/{dataset}/items", json=items)

    answer = api.get(f"/v2/datasets/{dataset}/items?format={format}&offset=3&skipEmpty=1")

    assert len(answer.content) > 3_000_000
    assert answer.content.count("é".encode()) == 300 * 4997
    if format == "jsonl":
        assert [json.loads(line) for line in answer.text.splitlines()] == items[3:]


@pytest.mark.parametrize("fast", [False, True])
def test_over_the_limit_is_429_with_the_rate(connect: Connect, fast: bool) -> None:
    api = connect(rate_limit=(5, 9))
    id = api.post("/v2/datasets").json()["data"]["id"]
    rate = 9 if fast else 5

    def call() -> httpx.Response:
        if fast:
            return api.post(f"/v2/datasets/{id}/items", json=[])
        return api.get(f"/v2/datasets/{id}")

    answers = [call() for _ in range(rate + 3)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) in (2, 3)
    assert error(refused[-1]) == (429, "rate-limit-exceeded")
    assert (
        f"exceeded the rate limit of {rate} requests per second"
        in refused[-1].json()["error"]["message"]
    )
    assert int(refused[-1].headers["retry-after"]) >= 1
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {str(rate)}


def test_storages_do_not_share_their_limits(connect: Connect) -> None:
    api = connect(rate_limit=(4, 4))
    ids = [api.post("/v2/datasets").json()["data"]["id"] for _ in range(3)]

    answers = [api.get(f"/v2/datasets/{id}").status_code for id in ids for _ in range(4)]

    assert answers == [200] * 12


def test_the_account_is_told_in_the_fields_that_clients_insist_on(connect: Connect) -> None:
    me = connect("alice").get("/v2/users/me").json()["data"]
    public = connect(None).get("/v2/users/alice").json()["data"]

    assert me["username"] == "alice"
    assert me["effectivePlatformFeatures"]["STORAGE"]["isEnabled"] is True
    assert len(me["effectivePlatformFeatures"]) == 10
    assert "availableProxyGroups" in me["plan"]
    assert set(public) == {"username", "profile"}
    assert error(connect(None).get("/v2/users/me")) == (401, "token-not-provided")
    assert error(connect(None).get("/v2/users/nobody")) == (404, "record-not-found")


def test_extensions_are_announced(connect: Connect) -> None:
    found = connect(None).get("/v2/capabilities").json()["data"]

    assert {"idempotency-key", "tokens"} <= set(found["extensions"])


def test_tokens_are_made_listed_and_revoked_by_their_owner(connect: Connect) -> None:
    alice, bob = connect("alice"), connect("bob")

    made = alice.post("/v2/tokens", json={"name": "ci"}).json()["data"]
    secret = made["secret"]
    with_secret = {"Authorization": f"Bearer {secret}"}

    assert alice.get("/v2/users/me", headers=with_secret).json()["data"]["username"] == "alice"
    assert "ci" in [each["name"] for each in alice.get("/v2/tokens").json()["data"]["items"]]
    assert secret not in alice.get("/v2/tokens").text
    assert bob.delete(f"/v2/tokens/{made['id']}").status_code == 404
    assert alice.delete(f"/v2/tokens/{made['id']}").status_code == 200
    assert error(alice.get("/v2/users/me", headers=with_secret)) == (
        401,
        "user-or-token-not-found",
    )


def test_what_is_wrong_with_the_machine_is_for_its_owner_alone(
    api: httpx.Client, served: EngineStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store = api.post("/v2/key-value-stores").json()["data"]["id"]
    record = f"/v2/key-value-stores/{store}/records/large"
    api.put(record, content=bytes(1_000_000))
    served.blobs.delete(*(blob for blob, _ in served.blobs.there()))

    answer = api.get(record)

    assert error(answer) == (503, "service-unavailable")
    assert "blob" not in answer.text.lower()
    assert served.blobs.url in capsys.readouterr().err


@pytest.mark.parametrize("host", ["a b", "a.example/x", "a@b", "[::1", "a:b", "a,b", "x" * 300])
def test_a_host_that_is_no_address_stands_in_no_link(api: httpx.Client, host: str) -> None:
    answer = api.post("/v2/datasets?name=x", headers={"Host": host})

    assert error(answer) == (400, "invalid-header")
    assert api.get("/v2/datasets").json()["data"]["total"] == 0


@pytest.mark.parametrize("host", ["a.example", "localhost:8010", "[::1]:80", "my_service:80"])
def test_links_begin_with_the_host_that_was_asked(api: httpx.Client, host: str) -> None:
    answer = api.post("/v2/datasets", headers={"Host": host})

    assert answer.headers["location"].startswith(f"http://{host}/v2/datasets/")


@pytest.mark.parametrize("key", ["", "a b", "x" * 257, "x" * 20_000])
@pytest.mark.parametrize("path", ["datasets/~d/items", "request-queues/~q/requests"])
def test_an_idempotency_key_is_bounded(api: httpx.Client, path: str, key: str) -> None:
    api.post("/v2/datasets?name=d")
    api.post("/v2/request-queues?name=q")
    body = {"url": "https://example.com", "uniqueKey": "1"}
    headers = {"Idempotency-Key": key}

    answer = api.post(f"/v2/{path}", json=body, headers=headers)

    assert error(answer) == (400, "invalid-header")
    assert "1 to 256 printable" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "words"),
    [("&".join(["a=1"] * 201), "has over 200 fields"), ("a=%FF", "is not UTF-8")],
)
def test_a_query_that_is_refused_says_why(api: httpx.Client, query: str, words: str) -> None:
    answer = api.get(f"/v2/datasets?{query}")

    assert error(answer) == (400, "invalid-parameter")
    assert words in answer.json()["error"]["message"]
    assert api.get("/v2/datasets?" + "&".join(["a=1"] * 200)).status_code == 200
