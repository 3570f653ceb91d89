"""Bodies pass no faster than a user allows. Time is simulated."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from storectl.client.band import PIECE_BYTES, Band
from storectl.client.http import Http, reading
from storectl.model import dataset


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, secs: float) -> None:
        self.now += secs


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def band(time: Time) -> Band:
    return Band(1000, time.clock, time.sleep)


def test_the_mean_is_that_of_the_limit(time: Time, band: Band) -> None:
    for size in [10, 5000, 100, 890, 4000]:
        band.take(size)
    band.take(1)

    assert time.now == pytest.approx(110)


def test_what_was_not_used_is_gone(time: Time, band: Band) -> None:
    time.now += 3600
    band.take(1000)

    assert band.take(1000) == pytest.approx(1)


def test_a_body_is_sent_in_pieces_and_stays_whole(time: Time, band: Band) -> None:
    body = bytes(range(256)) * 1024
    begin = time.now

    pieces = list(band.sent(body))

    assert b"".join(pieces) == body
    assert max(map(len, pieces)) == PIECE_BYTES
    assert time.now - begin == pytest.approx((len(body) - PIECE_BYTES) / 1000)


def test_both_directions_share_the_limit(time: Time, band: Band) -> None:
    begin = time.now

    list(band.sent(bytes(3000)))
    assert b"".join(band.received(iter([bytes(1000), bytes(1000)]))) == bytes(2000)

    assert time.now - begin == pytest.approx(4)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [10, 3 * PIECE_BYTES + 1])
def test_a_client_sends_and_receives_through_it(
    time: Time, monkeypatch: pytest.MonkeyPatch, stream: bool, size: int
) -> None:
    sent = []
    monkeypatch.setattr(
        "storectl.client.http.Band", lambda limit: Band(limit, time.clock, time.sleep)
    )
    body = bytes(size)

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.headers, request.read()))
        return httpx.Response(201, content=_blocks(bytes(500)))

    http = Http("https://example.com", bytes_a_sec=1000, transport=httpx.MockTransport(answer))
    begin = time.now

    got = http.send(dataset.PUSH, ref="a", content=body, stream=stream)

    assert b"".join(reading(got, http.host)) == bytes(500)
    http.close()
    ((headers, found),) = sent
    assert (headers["Content-Length"], found) == (str(size), body)
    assert "transfer-encoding" not in headers
    assert time.now - begin == pytest.approx(size / 1000)


def _blocks(body: bytes) -> Iterator[bytes]:
    yield body
