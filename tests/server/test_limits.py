"""Requests a second: classes, answers, and several servers on one store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from storectl.engine import open_store
from storectl.engine.rates import FILE, SharedRates
from storectl.engine.store import EngineStore
from storectl.errors import RateLimited
from storectl.model.storage import Change
from storectl.server.app import App
from storectl.server.limits import Limits, OwnRates
from storectl.server.settings import Settings

from ..clock import Clock
from ..homes import only_in_a_folder
from .direct import Direct

pytestmark = only_in_a_folder("engine/test_postgres.py counts calls by the database's clock")


@pytest.fixture
def clock() -> Clock:
    return Clock(5_000_000_000)


class Served:
    """A server on the folder, which counts by the test's clock, and a client of alice."""

    def __init__(self, folder: Path, clock: Clock, **chosen: object) -> None:
        self.store = open_store(str(folder), username="alice")
        self.store._rates = SharedRates(folder, clock)
        self.application = App(self.store, Settings(**{"rate_limit": (5, 9), **chosen}))
        secret = self.store.tokens.create(f"test-{len(self.store.tokens.list())}").secret
        self.client = httpx.Client(
            transport=Direct(self.application),
            base_url="http://api.test",
            headers={"Authorization": f"Bearer {secret}"},
        )

    def statuses(self, count: int, method: str, path: str) -> list[int]:
        return [self.client.request(method, path, json=[]).status_code for _ in range(count)]


@pytest.fixture
def served(tmp_path: Path, clock: Clock) -> Iterator[Served]:
    found = Served(tmp_path, clock)
    yield found
    found.store.close()


@pytest.fixture
def id(served: Served) -> str:
    return served.store.datasets.create()[0].id


@pytest.mark.parametrize(
    ("method", "path", "rate"),
    [("GET", "/v2/datasets/{id}", 5), ("POST", "/v2/datasets/{id}/items", 9)],
)
def test_each_class_has_its_rate_and_the_documented_refusal(
    served: Served, id: str, method: str, path: str, rate: int
) -> None:
    path = path.format(id=id)

    statuses = served.statuses(rate, method, path)
    refused = served.client.request(method, path, json=[])

    assert 429 not in statuses
    assert refused.status_code == 429
    assert refused.json() == {
        "error": {
            "type": "rate-limit-exceeded",
            "message": f"You have exceeded the rate limit of {rate} requests per second",
        }
    }
    assert refused.headers["x-ratelimit-limit"] == str(rate)
    assert refused.headers["retry-after"] == "2"  # 1.2 s are not over after one
    assert 1000 < int(refused.headers["retry-after-ms"]) <= 2000


def test_the_classes_of_a_storage_count_apart(served: Served, id: str) -> None:
    served.statuses(6, "GET", f"/v2/datasets/{id}")

    assert served.statuses(1, "POST", f"/v2/datasets/{id}/items") == [201]


def test_who_waits_as_long_as_is_told_is_let_through(served: Served, id: str, clock: Clock) -> None:
    served.statuses(5, "GET", f"/v2/datasets/{id}")
    refused = served.client.get(f"/v2/datasets/{id}")

    clock.now += int(refused.headers["retry-after"]) * 1_000_000_000

    assert served.client.get(f"/v2/datasets/{id}").status_code == 200


def test_two_servers_of_a_store_share_one_budget(served: Served, id: str, clock: Clock) -> None:
    other = Served(Path(served.store.place), clock)

    statuses = [
        each.client.get(f"/v2/datasets/{id}").status_code
        for _ in range(5)
        for each in (served, other)
    ]
    other.store.close()

    assert statuses == [200] * 5 + [429] * 5


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/nothing"),
        ("GET", "/v2/datasets/AAAAAAAAAAAAAAAAA"),
        ("PATCH", "/v2/datasets"),
        ("GET", "/healthz"),
        ("OPTIONS", "/v2/datasets"),
    ],
)
def test_every_answer_tells_the_rate(served: Served, method: str, path: str) -> None:
    assert served.client.request(method, path).headers["x-ratelimit-limit"] == "5"


def test_who_is_not_let_in_takes_nothing_of_the_budget(served: Served, id: str) -> None:
    stranger = httpx.Client(transport=Direct(served.application), base_url="http://api.test")
    served.store.datasets.update(id, Change(general_access="RESTRICTED"))

    assert {stranger.get(f"/v2/datasets/{id}").status_code for _ in range(20)} == {401}
    assert served.statuses(5, "GET", f"/v2/datasets/{id}") == [200] * 5


def test_without_limits_no_file_is_made(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    App(store, Settings(rate_limit=None))
    store.close()

    assert not (tmp_path / FILE).exists()


def test_where_the_file_cannot_be_used_each_server_counts_for_itself_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE).mkdir()
    store: EngineStore = open_store(str(tmp_path))
    id = store.datasets.create()[0].id
    secret = store.tokens.create("t").secret

    client = httpx.Client(
        transport=Direct(App(store, Settings(rate_limit=(1, 1)))),
        base_url="http://api.test",
        headers={"Authorization": f"Bearer {secret}"},
    )
    statuses = [client.get(f"/v2/datasets/{id}").status_code for _ in range(100)]

    assert 429 in statuses
    assert capsys.readouterr().err.count("rates.lock") == 1


def test_counting_for_oneself_is_exact_too() -> None:
    limits = Limits((3, 4), OwnRates(Clock(5_000_000_000)))

    for fast, rate in ((False, 3), (True, 4)):
        for _ in range(rate):
            limits.check("a", fast)
        with pytest.raises(RateLimited):
            limits.check("a", fast)
        limits.check("b", fast)
