"""What is counted, and who sees it."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from storectl.engine import open_store
from storectl.errors import Local
from storectl.model import dataset, kvs
from storectl.server.board import Board
from storectl.server.metrics import Figures, publish

from ..serving import served

Samples = dict[tuple[str, tuple[str, ...]], float]


def parsed(text: str) -> Samples:
    """Values by the name of the sample and those of its labels."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def shown(board: Board) -> Samples:
    registry = CollectorRegistry()
    registry.register(Figures(board))
    return parsed(generate_latest(registry).decode())


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts"
    path.touch()
    return path


def test_pages_of_several_processes_are_one_sum(counts: Path) -> None:
    board = Board(counts, 2)
    page, other = (board.page(at) for at in range(2))

    for each, secs in ((page, 0.0003), (page, 0.004), (other, 20.0)):
        each.begin()
        each.end(kvs.RECORD, 200, secs)
    page.begin()
    other.begin()
    other.end(kvs.RECORD, 404, 0.0001)
    other.begin()
    other.end(None, 418, 0.0001)
    other.add("expired", 3)

    name = "GET /v2/key-value-stores/{ref}/records/{key}"
    found = shown(board)
    assert found["storectl_requests_total", (name, "200")] == 3
    assert found["storectl_requests_total", (name, "404")] == 1
    assert found["storectl_requests_total", ("other", "other")] == 1
    assert found["storectl_requests_in_flight", ()] == 1
    assert found["storectl_expired_storages_total", ()] == 3
    bucket = "storectl_request_seconds_bucket"
    assert [found[bucket, (name, le)] for le in ("0.0005", "0.005", "10.0", "+Inf")] == [2, 3, 3, 4]
    assert found["storectl_request_seconds_count", (name,)] == 4
    assert found["storectl_request_seconds_sum", (name,)] == pytest.approx(20.0044)


def test_who_takes_a_page_over_goes_on_with_its_counts(counts: Path) -> None:
    page = Board(counts, 1).taken()
    assert not page.renew()
    page.begin()  # and is killed
    page.add("commits", 5)

    board = Board(counts, 1)
    replaced = board.taken().renew()

    assert replaced
    assert board.total("commits") == 5
    assert board.total("starts") == 2
    assert board.total("in_flight") == 0


def test_a_server_counts_what_all_its_processes_answer(home: str, free_port: int) -> None:
    store = open_store(home)
    id, token = store.datasets.create("list")[0].id, store.tokens.create("test").secret
    store.close()

    with served(home, workers=2, rate="30/4", metrics=free_port) as url:
        statuses = [status(f"{url}/v2/datasets/{id}/items", token, b'{"n":1}') for _ in range(20)]
        statuses += [status(f"{url}/v2/datasets/{id}", token) for _ in range(5)]
        statuses += [status(f"{url}/v2/datasets/{id}", "wrong"), status(f"{url}/metrics", token)]
        found = scraped(free_port, len(statuses))

    push, get = (f"{each.method} {each.path}" for each in (dataset.PUSH, dataset.GET))
    total = "storectl_requests_total"
    assert found[total, (push, "201")] == statuses.count(201) > 0
    assert found[total, (push, "429")] == statuses.count(429) > 0
    assert found[total, (get, "200")] == 5
    assert found[total, (get, "401")] == 1
    assert found[total, ("other", "404")] == statuses.count(404) == 1
    assert found["storectl_rate_limited_total", ()] == statuses.count(429)
    assert found["storectl_store_calls_total", ("writer",)] == statuses.count(201)
    assert 0 < found["storectl_shared_commits_total", ()] <= statuses.count(201)
    assert found["storectl_worker_starts_total", ()] == 2
    assert found["storectl_sweep_failures_total", ()] == 0


def test_without_the_library_it_is_named(counts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(Local) as told:
        publish(Board(counts, 1), "127.0.0.1", 0)

    assert told.value.hint == "pip install 'storectl[metrics]'"


def test_a_port_that_is_taken_is_named(counts: Path, taken_port: int) -> None:
    with pytest.raises(Local, match=f"Cannot listen on 127.0.0.1:{taken_port} for metrics"):
        publish(Board(counts, 1), "127.0.0.1", taken_port)


def status(url: str, token: str | None, body: bytes | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(url, body, headers), timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def scraped(port: int, answers: int) -> Samples:
    """What is shown once so many are counted: an answer is heard before it is."""
    end = time.monotonic() + 60
    while True:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            found = parsed(answer.read().decode())
        names = [key for key in found if key[0] == "storectl_requests_total"]
        others = sum(found[key] for key in names if key[1][0] != "GET /healthz")
        if others >= answers:
            return found
        assert time.monotonic() < end
