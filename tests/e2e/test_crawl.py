"""A crawl by Crawlee and the Apify SDK, its storages on our server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from apify_client import ApifyClient
from running import JAVASCRIPT

PAGES = 20
LATE, BROKEN = 7, 11
"""The page that fails at first, and the one that always does."""

PYTHON_ACTOR = [sys.executable, str(Path(__file__).with_name("crawler.py"))]


class Site(NamedTuple):
    """Twenty pages that link to each other. visits: how often each was asked for."""

    start: str
    visits: Counter[int]

    def urls(self) -> list[str]:
        """The pages that can be had."""
        return sorted(self.start.replace("/0", f"/{n}") for n in range(PAGES) if n != BROKEN)


@pytest.fixture
def site() -> Iterator[Site]:
    visits: Counter[int] = Counter()

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            n = int(self.path.strip("/")) if self.path.strip("/").isdecimal() else PAGES
            visits[n] += 1
            late = n == LATE and visits[n] == 1
            self.send_response(503 if late or n in (BROKEN, PAGES) else 200)
            links = [2 * n + 1, 2 * n + 2, n // 2, 0]
            anchors = "".join(f'<a href="/{m}">{m}</a>' for m in links if m < PAGES)
            body = f"<html><title>Page {n}</title>{anchors}</html>".encode()
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield Site(f"http://127.0.0.1:{http.server_port}/0", visits)
        http.shutdown()


class Run(NamedTuple):
    """The default storages of a run."""

    dataset: str
    store: str
    queue: str

    @classmethod
    def new(cls, client: ApifyClient) -> Run:
        return cls(
            client.datasets().get_or_create().id,
            client.key_value_stores().get_or_create().id,
            client.request_queues().get_or_create().id,
        )

    def start(self, client: ApifyClient, *actor: str, **more: str) -> subprocess.Popen[str]:
        """Start an Actor on these storages."""
        environment = {
            **os.environ,
            "APIFY_IS_AT_HOME": "1",
            "ACTOR_RUN_ID": self.store,
            # Without these two the SDK asks for the run itself, which a storage server has not.
            "APIFY_ACTOR_PRICING_INFO": '{"pricingModel": "FREE"}',
            "APIFY_CHARGED_ACTOR_EVENT_COUNTS": '{"none": 0}',
            "APIFY_TOKEN": str(client.token),
            "APIFY_API_BASE_URL": client._base_url.removesuffix("/v2"),
            "ACTOR_DEFAULT_DATASET_ID": self.dataset,
            "ACTOR_DEFAULT_KEY_VALUE_STORE_ID": self.store,
            "ACTOR_DEFAULT_REQUEST_QUEUE_ID": self.queue,
            **more,
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            actor, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_an_actor_at_home_crawls_into_our_storages(
    client_of: Callable[[str], ApifyClient],
    site: Site,
    language: str,
    request: pytest.FixtureRequest,
) -> None:
    words = PYTHON_ACTOR
    if language == "javascript":
        words = [request.getfixturevalue("node"), str(JAVASCRIPT / "crawler.mjs")]
    alice = client_of(f"crawler-in-{language}")
    run = Run.new(alice)
    store = alice.key_value_store(run.store)
    store.set_record("INPUT", {"start": site.start})

    actor = run.start(alice, *words, LARGE_BYTES="4000000")
    said, _ = actor.communicate(timeout=60)

    assert actor.returncode == 0, said
    items = alice.dataset(run.dataset).list_items(clean=True).items
    assert sorted(item["url"] for item in items) == site.urls()
    assert {item["title"] for item in items if item["url"] == site.start} == {"Page 0"}
    output = store.get_record("OUTPUT")
    assert output is not None
    assert output["value"]["seen"] == site.urls()
    assert any("CRAWLER_STATISTICS_0" in key.key for key in store.iterate_keys())
    assert site.visits[LATE] == 2
    assert site.visits[BROKEN] >= 3  # its HTTP client may ask again by itself; see _check_queue
    _check_queue(alice, run, site, many_clients=False)
    assert alice.dataset("~large").list_items(fields=["n"]).items == [{"n": n} for n in range(5)]


def test_two_processes_share_a_queue_and_visit_each_page_once(
    alice: ApifyClient, site: Site
) -> None:
    run = Run.new(alice)
    others = Run.new(alice)
    for place, output in ((run, "FIRST"), (others, "SECOND")):
        given = {"start": site.start, "pause": 0.4, "output": output}
        alice.key_value_store(place.store).set_record("INPUT", given)
    second = others._replace(dataset=run.dataset, queue=run.queue)

    actors = [
        run.start(alice, *PYTHON_ACTOR, SHARED="1"),
        second.start(alice, *PYTHON_ACTOR, SHARED="1"),
    ]
    said = [actor.communicate(timeout=60)[0] for actor in actors]

    assert [actor.returncode for actor in actors] == [0, 0], "\n".join(said)
    items = alice.dataset(run.dataset).list_items().items
    assert sorted(item["url"] for item in items) == site.urls()
    assert len({item["#by"] for item in items}) == 2
    assert {n: count for n, count in site.visits.items() if count > 1 and n != BROKEN} == {LATE: 2}
    _check_queue(alice, run, site, many_clients=True)


def _check_queue(client: ApifyClient, run: Run, site: Site, *, many_clients: bool) -> None:
    """Every page was added once, and all of them are handled."""
    queue = client.request_queue(run.queue)
    found = queue.get()
    assert found is not None
    counts = (found.total_request_count, found.handled_request_count, found.pending_request_count)
    assert counts == (PAGES, PAGES, 0)
    assert found.had_multiple_clients is many_clients
    requests = {request.url: request for request in queue.iterate_requests()}
    assert len(requests) == PAGES
    assert all(request.handled_at for request in requests.values())
    late, broken = (requests[site.start.replace("/0", f"/{n}")] for n in (LATE, BROKEN))
    assert (late.retry_count, broken.retry_count) == (1, 2)
    assert broken.user_data is not None
    assert broken.user_data.model_dump(by_alias=True)["label"] == "PAGE"
    assert queue.list_head().items == []
