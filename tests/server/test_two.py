"""Two servers on one store: what one of them answers, the other knows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from storectl.engine import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import served

WRITERS = 50
TIMES = 4


class Two:
    """Calls to either of two servers. Which: any whole number."""

    def __init__(self, addresses: tuple[str, str], token: str) -> None:
        self.addresses, self.token = addresses, token

    def ask(self, which: int, method: str, path: str, body: object = None) -> object:
        """The data of the answer; None where nothing was found."""
        sent = Request(
            f"{self.addresses[which % 2]}/v2/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urlopen(sent, timeout=60) as answer:
                found = json.loads(answer.read() or b"null")
        except HTTPError as error:
            assert error.code == 404
            return None
        return found.get("data") if isinstance(found, dict) else found


@pytest.fixture(params=["sqlite", "postgres"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    place = str(tmp_path)
    if request.param == "postgres":
        place = request.getfixturevalue("database")
    store = open_store(place)
    token = store.tokens.create("test").secret
    store.close()
    with served(place) as one, served(place) as other:
        yield Two((one, other), token)


def test_fifty_writers_on_one_storage_of_each_kind_lose_and_double_nothing(two: Two) -> None:
    ids = {
        kind: two.ask(0, "POST", f"{kind}?name=busy")["id"]
        for kind in ("datasets", "key-value-stores", "request-queues")
    }
    numbers = [[f"{writer}-{n}" for n in range(TIMES)] for writer in range(WRITERS)]

    def write(writer: int) -> None:
        for n, name in enumerate(numbers[writer]):
            which = writer + n
            two.ask(which, "POST", f"datasets/{ids['datasets']}/items", [{"n": name}] * 3)
            path = f"key-value-stores/{ids['key-value-stores']}/records/{name}"
            two.ask(which, "PUT", path, name)
            url = f"https://example.com/{name}"
            path = f"request-queues/{ids['request-queues']}/requests"
            two.ask(which, "POST", path, {"url": url, "uniqueKey": name})

    writers = [Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)

    everything = sorted(name for names in numbers for name in names)
    for which in range(2):
        items = [item["n"] for item in two.ask(which, "GET", f"datasets/{ids['datasets']}/items")]
        assert items[::3] == items[1::3] == items[2::3]
        assert sorted(items[::3]) == everything
        path = f"key-value-stores/{ids['key-value-stores']}/keys?limit=1000"
        assert sorted(key["key"] for key in two.ask(which, "GET", path)["items"]) == everything
        path = f"request-queues/{ids['request-queues']}/requests?limit=1000"
        requests = two.ask(which, "GET", path)["items"]
        assert sorted(request["uniqueKey"] for request in requests) == everything


def test_what_one_server_has_answered_the_other_knows_at_once(two: Two) -> None:
    for n in range(20):
        id = two.ask(n, "POST", "datasets")["id"]
        assert two.ask(n + 1, "GET", f"datasets/{id}")["itemCount"] == 0
        two.ask(n, "POST", f"datasets/{id}/items", [{"n": n}])
        assert two.ask(n + 1, "GET", f"datasets/{id}/items") == [{"n": n}]
        two.ask(n + 1, "PUT", f"datasets/{id}", {"name": f"name-{n}"})
        assert two.ask(n, "GET", f"datasets/local~name-{n}")["id"] == id
        two.ask(n, "DELETE", f"datasets/{id}")
        assert two.ask(n + 1, "GET", f"datasets/{id}") is None
        assert two.ask(n + 1, "GET", f"datasets/{id}/items") is None


def test_a_lock_of_one_server_holds_at_the_other(two: Two) -> None:
    id = two.ask(0, "POST", "request-queues")["id"]
    names = [f"{n}" for n in range(40)]
    requests = [{"url": f"https://example.com/{name}", "uniqueKey": name} for name in names]
    for at in (0, 20):
        two.ask(0, "POST", f"request-queues/{id}/requests/batch", requests[at : at + 20])

    taken = []
    for n in range(10):
        path = f"request-queues/{id}/head/lock?lockSecs=600&limit=5&clientKey=client-{n}"
        taken += [item["uniqueKey"] for item in two.ask(n, "POST", path)["items"]]

    assert taken == names
