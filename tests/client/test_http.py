"""The wire as the client sees it when things go wrong."""

from __future__ import annotations

import httpx
import pytest
from pytest_httpx import HTTPXMock

from storectl import errors
from storectl.client.dataset import Datasets
from storectl.client.http import Http, redacted
from storectl.client.store import ClientStore
from storectl.errors import StorectlError
from storectl.model import dataset
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items

SERVER = "https://data.example.com"
ITEMS = f"{SERVER}/v2/datasets/~a/items"
CAPABILITIES = f"{SERVER}/v2/capabilities"
OFFERS = {"data": {"extensions": ["idempotency-key", "tokens"]}}
DATASET = {
    "data": {
        "id": "WkzbQMuFYuamGv3YF",
        "userId": "u",
        "createdAt": "2019-12-12T07:34:14.202Z",
        "modifiedAt": "2019-12-12T07:34:14.202Z",
        "accessedAt": "2019-12-12T07:34:14.202Z",
        "itemCount": 7,
        "cleanItemCount": 5,
        "somethingNew": {"of": "the server"},
    }
}

pytestmark = pytest.mark.httpx_mock(assert_all_responses_were_requested=False)


class Sleeps(list[float]):
    """Waits that take no time and are remembered."""

    def __call__(self, secs: float) -> None:
        self.append(secs)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def http(sleeps: Sleeps) -> Http:
    return Http(SERVER, "storectl_secret", retries=3, sleep=sleeps)


@pytest.fixture
def datasets(http: Http) -> Datasets:
    return Datasets(http)


@pytest.mark.parametrize(
    ("status", "type", "kind", "exit_code"),
    [
        (400, "invalid-value", errors.InvalidInput, 2),
        (401, "user-or-token-not-found", errors.Unauthorized, 4),
        (403, "insufficient-permissions", errors.Forbidden, 5),
        (404, "record-not-found", errors.NotFound, 3),
        (405, "method-not-allowed", errors.MethodNotAllowed, 9),
        (409, "name-not-unique", errors.Conflict, 6),
        (413, "request-too-large", errors.TooLarge, 10),
        (415, "unsupported-content-encoding", errors.UnsupportedEncoding, 2),
        (418, "teapot", errors.InvalidInput, 2),
        (429, "rate-limit-exceeded", errors.RateLimited, 10),
        (500, "internal-server-error", errors.Internal, 1),
        (503, "unavailable", errors.Unavailable, 1),
    ],
)
def test_a_status_is_a_failure_of_its_own(
    httpx_mock: HTTPXMock,
    datasets: Datasets,
    status: int,
    type: str,
    kind: type[StorectlError],
    exit_code: int,
) -> None:
    body = {"error": {"type": type, "message": "What went wrong."}}
    httpx_mock.add_response(status_code=status, json=body, is_reusable=True)

    with pytest.raises(kind) as failure:
        datasets.get("~a")

    assert failure.value.exit_code == exit_code
    assert failure.value.http == status or kind is errors.NotFound


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway", b"[]", b'{"error": "x"}', b"\xff"])
def test_a_failure_without_the_body_of_the_api_names_the_status(
    httpx_mock: HTTPXMock, datasets: Datasets, body: bytes
) -> None:
    httpx_mock.add_response(status_code=403, content=body)

    with pytest.raises(errors.Forbidden) as failure:
        datasets.get("~a")

    assert "data.example.com answered 403" in failure.value.message


@pytest.mark.parametrize("body", [b"", b"<html>Sign in", b"[]", b'{"data": 7}', b'{"data": {}}'])
def test_an_answer_that_is_not_the_apis_is_told(
    httpx_mock: HTTPXMock, datasets: Datasets, body: bytes
) -> None:
    httpx_mock.add_response(content=body)

    with pytest.raises(errors.Internal) as failure:
        datasets.get("~a")

    assert "data.example.com" in failure.value.message
    assert "--server" in str(failure.value.hint)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(
    httpx_mock: HTTPXMock, datasets: Datasets, sleeps: Sleeps, status: int
) -> None:
    for _ in range(2):
        httpx_mock.add_response(status_code=status)
    httpx_mock.add_response(json=DATASET)

    assert datasets.get("~a").item_count == 7
    assert len(sleeps) == 2


def test_waits_are_random_and_double(httpx_mock: HTTPXMock) -> None:
    sleeps = Sleeps()
    datasets = Datasets(Http(SERVER, retries=12, sleep=sleeps))
    httpx_mock.add_response(status_code=500, is_reusable=True)

    with pytest.raises(errors.Internal):
        datasets.get("~a")

    assert len(sleeps) == 12
    assert all(wait <= min(0.5 * 2**at, 30) for at, wait in enumerate(sleeps))
    assert len(set(sleeps)) == 12


def test_retry_after_is_waited_for(
    httpx_mock: HTTPXMock, datasets: Datasets, sleeps: Sleeps
) -> None:
    httpx_mock.add_response(status_code=429, headers={"Retry-After": "7"})
    httpx_mock.add_response(json=DATASET)

    datasets.get("~a")

    assert 7 <= sleeps[0] <= 7.5


def test_a_long_wait_is_told_in_one_calm_line(httpx_mock: HTTPXMock) -> None:
    lines: list[str] = []
    datasets = Datasets(Http(SERVER, waiting=lines.append, sleep=Sleeps()))
    told = {"error": {"type": "rate-limit-exceeded", "message": "Too many."}}
    httpx_mock.add_response(status_code=429, headers={"Retry-After": "7"}, json=told)
    httpx_mock.add_response(status_code=500)
    httpx_mock.add_response(json=DATASET)

    datasets.get("~a")

    assert lines in (["Too many.; trying again in 7 s"], ["Too many.; trying again in 8 s"])


def test_a_date_in_retry_after_does_no_harm(
    httpx_mock: HTTPXMock, datasets: Datasets, sleeps: Sleeps
) -> None:
    httpx_mock.add_response(
        status_code=429, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}
    )
    httpx_mock.add_response(json=DATASET)

    datasets.get("~a")

    assert sleeps[0] <= 0.5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413])
def test_what_will_not_pass_is_not_tried_again(
    httpx_mock: HTTPXMock, datasets: Datasets, sleeps: Sleeps, status: int
) -> None:
    httpx_mock.add_response(status_code=status)

    with pytest.raises(StorectlError):
        datasets.get("~a")

    assert sleeps == []


IN_DOUBT = [
    httpx.ReadTimeout("t"),
    httpx.ReadError("r"),
    httpx.WriteError("w"),
    httpx.RemoteProtocolError("p"),
]
NOT_SENT = [httpx.ConnectError("c"), httpx.ConnectTimeout("c")]


@pytest.mark.parametrize("broken", IN_DOUBT + NOT_SENT, ids=lambda each: type(each).__name__)
def test_a_read_is_repeated_after_a_broken_connection(
    httpx_mock: HTTPXMock, datasets: Datasets, broken: Exception
) -> None:
    httpx_mock.add_exception(broken)
    httpx_mock.add_response(json=DATASET)

    assert datasets.get("~a").item_count == 7


@pytest.mark.parametrize("broken", IN_DOUBT, ids=lambda each: type(each).__name__)
def test_a_push_in_doubt_is_not_repeated_where_it_could_double(
    httpx_mock: HTTPXMock, datasets: Datasets, broken: Exception
) -> None:
    httpx_mock.add_exception(broken, url=ITEMS)
    httpx_mock.add_response(url=CAPABILITIES, status_code=404)

    with pytest.raises(errors.Network):
        datasets.push("~a", Items.of([{"n": 1}]))

    assert len(httpx_mock.get_requests(url=ITEMS)) == 1


@pytest.mark.parametrize("broken", IN_DOUBT, ids=lambda each: type(each).__name__)
def test_a_push_in_doubt_is_repeated_with_its_key_where_the_server_takes_one(
    httpx_mock: HTTPXMock, datasets: Datasets, broken: Exception
) -> None:
    httpx_mock.add_exception(broken, url=ITEMS)
    httpx_mock.add_response(url=CAPABILITIES, json=OFFERS)
    httpx_mock.add_response(url=ITEMS, status_code=201, json={})

    datasets.push("~a", Items.of([{"n": 1}]))

    sent = httpx_mock.get_requests(url=ITEMS)
    assert len(sent) == 2
    assert sent[0].headers["idempotency-key"] == sent[1].headers["idempotency-key"]
    assert sent[0].content == sent[1].content == b'[{"n":1}]'


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), 429], ids=str)
def test_a_push_that_had_no_effect_is_repeated_anywhere(
    httpx_mock: HTTPXMock, datasets: Datasets, failure: Exception | int
) -> None:
    if isinstance(failure, int):
        httpx_mock.add_response(url=ITEMS, status_code=failure)
    else:
        httpx_mock.add_exception(failure, url=ITEMS)
    httpx_mock.add_response(url=ITEMS, status_code=201, json={})

    datasets.push("~a", Items.of([{"n": 1}]))

    assert len(httpx_mock.get_requests(url=ITEMS)) == 2
    assert httpx_mock.get_requests(url=CAPABILITIES) == []


def test_another_unnamed_storage_is_never_made_by_a_retry(
    httpx_mock: HTTPXMock, datasets: Datasets
) -> None:
    httpx_mock.add_exception(httpx.ReadTimeout("t"))

    with pytest.raises(errors.Network):
        datasets.create()

    assert len(httpx_mock.get_requests()) == 1


def test_a_name_and_a_storage_in_the_path_are_escaped(
    httpx_mock: HTTPXMock, datasets: Datasets
) -> None:
    httpx_mock.add_response(json=DATASET)

    datasets.get("jane~a/../b?c#d")

    assert httpx_mock.get_requests()[0].url.raw_path == b"/v2/datasets/jane~a%2F..%2Fb%3Fc%23d"


def test_a_query_is_spelled_as_the_api_does(httpx_mock: HTTPXMock, datasets: Datasets) -> None:
    headers = {"X-Apify-Pagination-Total": "0", "X-Apify-Pagination-Count": "0"}
    httpx_mock.add_response(headers=headers)
    query = ItemsQuery(offset=5, limit=10, desc=True, skip_hidden=True, fields=("a", "b c"))

    list(datasets.items("~a", query).lines)

    assert dict(httpx_mock.get_requests()[0].url.params) == {
        "offset": "5",
        "limit": "10",
        "desc": "1",
        "skipHidden": "1",
        "fields": "a,b c",
        "format": "jsonl",
    }


def test_items_that_break_off_are_a_failure(http: Http) -> None:
    def broken() -> object:
        yield b'{"n":1}\n{"n":'
        raise httpx.ReadError("reset")

    class Stream(httpx.SyncByteStream):
        def __iter__(self) -> object:
            return broken()

    headers = {"X-Apify-Pagination-Total": "2", "X-Apify-Pagination-Count": "2"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=Stream()))
    datasets = Datasets(Http(SERVER, transport=transport))

    lines = iter(datasets.items("~a", ItemsQuery()).lines)

    assert next(lines) == b'{"n":1}\n{"n":'
    with pytest.raises(errors.Network):
        next(lines)


def test_items_that_end_inside_of_one_are_a_failure(
    httpx_mock: HTTPXMock, datasets: Datasets
) -> None:
    headers = {"X-Apify-Pagination-Total": "2", "X-Apify-Pagination-Count": "2"}
    httpx_mock.add_response(headers=headers, content=b'{"n":1}\n{"n":')

    with pytest.raises(errors.Internal):
        list(datasets.items("~a", ItemsQuery()).lines)


def test_the_token_stays_with_its_origin(httpx_mock: HTTPXMock, datasets: Datasets) -> None:
    elsewhere = "https://elsewhere.example.com/x"
    httpx_mock.add_response(status_code=302, headers={"Location": elsewhere})
    httpx_mock.add_response(url=elsewhere, json=DATASET)

    datasets.get("~a")

    first, second = httpx_mock.get_requests()
    assert first.headers["authorization"] == "Bearer storectl_secret"
    assert "authorization" not in second.headers


@pytest.mark.parametrize("target", ["http://data.example.com/x", "http://10.0.0.1/x"])
def test_a_redirect_to_plain_http_is_not_followed(
    httpx_mock: HTTPXMock, datasets: Datasets, target: str
) -> None:
    httpx_mock.add_response(status_code=302, headers={"Location": target})

    with pytest.raises(errors.Network, match="redirects"):
        datasets.get("~a")

    assert len(httpx_mock.get_requests()) == 1


def test_a_write_is_never_redirected(httpx_mock: HTTPXMock, datasets: Datasets) -> None:
    httpx_mock.add_response(status_code=307, headers={"Location": f"{SERVER}/elsewhere"})

    with pytest.raises(errors.Network, match="redirects"):
        datasets.push("~a", Items.of([{}]))


def test_debug_lines_and_failures_hold_no_secret(httpx_mock: HTTPXMock) -> None:
    lines: list[str] = []
    http = Http(SERVER, "storectl_canary", retries=0, debug=lines.append)
    told = {"error": {"type": "x", "message": "bad token=storectl_canary&x"}}
    httpx_mock.add_response(status_code=401, json=told)

    with pytest.raises(errors.Unauthorized) as failure:
        http.send(dataset.LIST, query={"token": "storectl_canary"})

    assert "canary" not in "".join(lines)
    assert "canary" not in failure.value.message
    assert lines[0].startswith("GET https://data.example.com/v2/datasets")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("?token=abc&x=1", "?token=…&x=1"),
        ("signature=abc", "signature=…"),
        ("Bearer apify_api_AbC123", "Bearer apify_api_…"),
        ("storectl_AbC123.", "storectl_…."),
        ("nothing here", "nothing here"),
    ],
)
def test_secrets_are_taken_out(text: str, clean: str) -> None:
    assert redacted(text) == clean


def test_a_server_without_tokens_says_so(httpx_mock: HTTPXMock, http: Http) -> None:
    httpx_mock.add_response(url=CAPABILITIES, status_code=404, is_reusable=True)
    tokens = ClientStore(http).tokens

    for call in (tokens.list, lambda: tokens.create("x"), lambda: tokens.revoke("x")):
        with pytest.raises(errors.Unsupported) as failure:
            call()
        assert failure.value.exit_code == 9


def test_an_unnamed_storage_in_a_list_has_no_name(
    httpx_mock: HTTPXMock, datasets: Datasets
) -> None:
    from storectl.model.storage import ListQuery

    item = {**DATASET["data"], "name": DATASET["data"]["id"]}
    httpx_mock.add_response(json={"data": {"total": 1, "offset": 0, "limit": 9, "items": [item]}})

    assert datasets.list(ListQuery()).items[0].name is None


@pytest.mark.parametrize("server", [SERVER, f"{SERVER}/", f"{SERVER}/v2", f"{SERVER}/v2/"])
def test_the_address_may_end_with_v2(httpx_mock: HTTPXMock, server: str) -> None:
    httpx_mock.add_response(url=f"{SERVER}/v2/datasets/~a", json=DATASET)

    assert Datasets(Http(server)).get("~a").item_count == 7
