"""Lines of text into a queue: what is sent when, and what becomes of bad lines."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from storectl.client.http import Http
from storectl.client.store import ClientStore
from storectl.engine import open_store
from storectl.errors import InvalidInput
from storectl.model.queue import Added, AddedBatch, Queues
from storectl.model.request import Request
from storectl.transfer.dataset import Source
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started
from storectl.transfer.queue import BATCH, Line, add, lines, lost_order


def source(path: Path) -> Source:
    return Source(path.name, partial(path.open, "rb"), size=path.stat().st_size)


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    queues = open_store(str(tmp_path / "store")).queues
    queues.create("crawl")
    return queues


def run(queues: Queues, blocks: list[list[Line]]) -> list[Event]:
    return list(add(queues, "~crawl", blocks, on_added=lambda _: None))


def test_lines_are_numbered_over_blocks(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("".join(f"https://example.com/{n:09}\n" for n in range(100_000)) + "last")

    found = [line for block in lines([source(file)]) for line in block]

    assert len(found) == 100_001
    assert found[99_999] == Line("urls.txt:100000", b"https://example.com/000099999")
    assert found[-1] == Line("urls.txt:100001", b"last")


def test_a_line_without_an_end_is_not_gathered_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_bytes(b"https://example.com/\n" + b"x" * 12_000_000)

    with pytest.raises(InvalidInput, match=r"urls.txt:2: the line has no end"):
        list(lines([source(file)]))


def test_a_producer_that_pauses_has_its_requests_added(queues: Queues) -> None:
    reading, writing = os.pipe()
    blocks = lines([Source("pipe", partial(os.fdopen, reading, "rb"))])
    events = add(queues, "~crawl", blocks, on_added=lambda _: None)
    assert next(events) == Started(None)

    os.write(writing, b"https://example.com/1\nhttps://example.com/2\nhttps://exa")
    first = next(events)
    os.write(writing, b"mple.com/3\n")
    os.close(writing)

    assert first == Advanced(2, 44)
    assert next(event for event in events if isinstance(event, Finished)).moved == 3
    assert queues.get("~crawl").total_request_count == 3


def test_many_lines_are_added_in_calls_of_a_size(queues: Queues) -> None:
    block = [Line(f"x:{n}", b"https://example.com/%d" % n) for n in range(2 * BATCH + 1)]

    events = run(queues, [block])

    moved = [event.moved for event in events if isinstance(event, Advanced)]
    assert moved == [BATCH, 2 * BATCH, 2 * BATCH + 1]
    assert queues.head("~crawl", limit=1).items[0]["url"] == "https://example.com/0"


class Together:
    """A queue that takes a part only while so many are on their way."""

    def __init__(self, queues: Queues, count: int) -> None:
        self.queues, self.sizes = queues, list[int]()
        self.all_here = threading.Barrier(count, timeout=60)

    def add(self, ref: str, requests: list[Request], **how: Any) -> AddedBatch:
        self.sizes.append(len(requests))
        self.all_here.wait()
        return self.queues.add(ref, requests, **how)


def test_parts_are_on_their_way_together_where_the_order_may_be_any(queues: Queues) -> None:
    block = [Line(f"a:{n}", b"https://example.com/%d" % n) for n in range(160)]
    block[7] = Line("a:7", b"?")
    together: Any = Together(queues, 4)
    added: list[Added] = []

    *events, last = add(together, "~crawl", [block[:80], block[80:]], jobs=4, on_added=added.extend)

    assert sorted(together.sizes) == [4, 5, *[25] * 6]
    assert isinstance(last, Finished)
    assert (last.moved, last.refused) == (159, 1)
    assert [event.where for event in events if isinstance(event, Refused)] == ["a:7"]
    assert len({one.request_id for one in added}) == 159


def test_the_first_part_that_fails_ends_it(queues: Queues) -> None:
    block = [Line(f"a:{n}", b"https://example.com/%d" % n) for n in range(100)]
    together: Any = Together(queues, 2)
    together.all_here.abort()

    with pytest.raises(threading.BrokenBarrierError):
        list(add(together, "~crawl", [block], jobs=2, on_added=lambda _: None))


def test_a_bad_line_is_refused_where_it_stands(queues: Queues) -> None:
    texts = [b"https://example.com/", b"", b"example.com", b"[]", b"{", b"\xff", b'{"url": 1}']
    large = b'{"url": "https://example.com/", "payload": "%s"}' % (b"x" * 10_000_000)

    events = run(queues, [[Line(f"x:{n}", text) for n, text in enumerate([*texts, large], 1)]])

    refused = [event.where for event in events if isinstance(event, Refused)]
    assert refused == [f"x:{n}" for n in range(3, 9)]
    assert events[-1] == Finished(1, 21, events[-1].secs, 6)


class Reluctant:
    """A keeper that leaves some requests unprocessed, as a server may."""

    def __init__(self, queues: Queues, left: str) -> None:
        self.queues, self.left = queues, left

    def add(self, ref: str, requests: list[Request], **options: object) -> AddedBatch:
        good = [one for one in requests if not one["url"].endswith(self.left)]
        answer = self.queues.add(ref, good)
        answer.unprocessed_requests = [one for one in requests if one["url"].endswith(self.left)]
        return answer


def test_what_a_server_does_not_take_is_refused(queues: Queues) -> None:
    block = [Line(f"x:{n}", b"https://example.com/%d" % n) for n in range(3)]

    events = list(add(Reluctant(queues, "/1"), "~crawl", [block], on_added=lambda _: None))

    assert [event.where for event in events if isinstance(event, Refused)] == ["x:1"]
    assert (events[-1].moved, events[-1].refused) == (2, 1)


def test_two_that_add_the_same_lines_at_once_add_each_once(queues: Queues) -> None:
    block = [Line(f"x:{n}", b"https://example.com/%d" % n) for n in range(500)]
    threads = [threading.Thread(target=run, args=(queues, [block])) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert queues.get("~crawl").total_request_count == 500


def test_a_server_that_does_not_tell_the_order_is_told_of() -> None:
    """As any other than ours: it does not know the address, or answers something else."""
    times = dict.fromkeys(("createdAt", "modifiedAt", "accessedAt"), "2024-01-01T00:00:00Z")
    queue = {"id": "a", "userId": "u", "pendingRequestCount": 1234, **times}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/capabilities":
            return httpx.Response(403)
        return httpx.Response(200, json={"data": queue})

    http = Http("http://stub", retries=0, transport=httpx.MockTransport(answer))
    queues = ClientStore(http).queues

    lost = lost_order(queues, queues.get("a"))

    assert lost is not None
    assert "first 1,000 of 1,234 pending requests" in lost
