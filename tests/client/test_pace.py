"""The rate is used up and not overrun, whatever the number of workers. Time is simulated."""

from __future__ import annotations

import heapq
import random
from math import ceil

import pytest

from storectl.client.pace import MARGIN, Pace
from storectl.model.limits import Window

STORAGE = ("~prices", False)


class Server:
    """Ours: what came in the last second counts. tells: to the millisecond when there is room."""

    def __init__(self, rate: int, *, tells: bool = True) -> None:
        self.rate = rate
        self.tells = tells
        self.window = Window()
        self.admitted = self.refused = 0

    def ask(self, now: float) -> float:
        """0.0, or the seconds to wait."""
        self.window, wait_ns = self.window.take(self.rate, 5_000_000_000 + int(now * 1e9))
        self.refused += wait_ns > 0
        self.admitted += not wait_ns
        return ceil(wait_ns / 1e6) / 1e3


def simulate(
    server: Server, workers: int, calls: int, *, latency: tuple[float, float], paces: int = 1
) -> float:
    """Let workers make calls until all have been admitted; how long it took."""
    clock = [0.0]
    chance = random.Random(7)
    shared = [Pace(clock=lambda: clock[0]) for _ in range(paces)]
    # What happens next: (time, number, worker, what).
    events: list[tuple[float, int, int, str]] = []
    number = 0

    def later(secs: float, worker: int, what: str) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (clock[0] + max(secs, 0.0), number, worker, what))

    left = calls
    seen = [0.0] * workers
    for worker in range(workers):
        later(shared[worker % paces].reserve(STORAGE), worker, "send")
    while left > 0:
        clock[0], _, worker, what = heapq.heappop(events)
        pace = shared[worker % paces]
        if what == "send":
            put_off = pace.put_off(STORAGE) - seen[worker]
            seen[worker] += put_off
            if put_off > 0:
                later(put_off, worker, "send")
                continue
            later(chance.uniform(*latency), worker, "arrive")
            continue
        told = server.ask(clock[0])
        room_secs = told if told and server.tells else None
        pace.answered(STORAGE, str(server.rate), refused=told > 0, room_secs=room_secs)
        left -= not told
        least = told if server.tells else 1.0
        pause = least + chance.uniform(0, min(least, 0.5)) if told else 0.0
        later(max(pause, pace.reserve(STORAGE)), worker, "send")
        seen[worker] = pace.put_off(STORAGE)
    return clock[0]


@pytest.mark.parametrize("rate", [30, 60, 200, 400])
@pytest.mark.parametrize("workers", [1, 8, 32])
def test_the_limit_is_used_and_hardly_ever_hit(rate: int, workers: int) -> None:
    server = Server(rate)
    calls = rate * 100

    took = simulate(server, workers, calls, latency=(0.0005, 0.002))

    assert calls / (rate * took) >= 0.98
    assert server.refused <= 0.03 * calls


@pytest.mark.parametrize("rate", [30, 200])
@pytest.mark.parametrize("workers", [8, 32])
def test_a_server_that_another_run_has_just_used_up_is_no_hindrance(
    rate: int, workers: int
) -> None:
    server = Server(rate)
    for _ in range(rate):
        server.ask(-0.3)

    took = simulate(server, workers, rate * 20, latency=(0.0005, 0.02))

    assert took <= 25  # of 20.7 that there could be
    assert server.refused <= 0.1 * rate * 20


@pytest.mark.parametrize("workers", [1, 8, 32])
def test_a_server_that_only_refuses_costs_little_too(workers: int) -> None:
    server = Server(30, tells=False)

    took = simulate(server, workers, 3000, latency=(0.001, 0.01))

    assert 3000 / (30 * took) >= 0.9
    assert server.refused <= 90


@pytest.mark.parametrize("workers", [8, 32])
def test_a_slow_and_uneven_network_changes_little(workers: int) -> None:
    server = Server(30)

    took = simulate(server, workers, 3000, latency=(0.02, 0.25))

    assert 3000 / (30 * took) >= 0.9
    assert server.refused <= 180


def test_processes_that_share_a_budget_find_their_parts() -> None:
    server = Server(30)

    took = simulate(server, 16, 3000, latency=(0.001, 0.01), paces=4)

    assert 3000 / (30 * took) >= 0.95
    assert server.refused <= 0.2 * 3000


def test_before_the_first_answer_the_oldest_promise_holds() -> None:
    pace = Pace(clock=lambda: 0.0)

    waits = [pace.reserve(STORAGE) for _ in range(60)]

    assert sum(wait <= 0 for wait in waits) == 8
    assert waits[-1] == pytest.approx(59 / 30 / MARGIN - 0.25)


def test_a_server_without_a_limit_is_not_paced() -> None:
    pace = Pace(clock=lambda: 0.0)
    pace.reserve(STORAGE)
    pace.answered(STORAGE, "1000000", refused=False)

    assert [pace.reserve(STORAGE) for _ in range(1000)] == [0.0] * 1000


@pytest.mark.parametrize("header", [None, "", "x", "-3", "0", "nan", "inf"])
def test_a_header_that_is_none_changes_nothing(header: str | None) -> None:
    pace = Pace(clock=lambda: 0.0)
    pace.reserve(STORAGE)

    pace.answered(STORAGE, header, refused=False)

    assert pace.reserve(STORAGE) == pytest.approx(1 / 30 / MARGIN - 0.25)


def test_those_who_wait_already_are_put_off_by_a_refusal() -> None:
    clock = [0.0]
    slept: list[float] = []

    def sleep(secs: float) -> None:
        slept.append(secs)
        clock[0] += secs
        if len(slept) == 1:
            pace.answered(STORAGE, "30", refused=True, room_secs=0.2)

    pace = Pace(clock=lambda: clock[0], sleep=sleep)

    for _ in range(9):
        pace.wait(STORAGE)

    assert slept == [pytest.approx(8 / 30 / MARGIN - 0.25), pytest.approx(0.2)]


def test_storages_and_classes_do_not_wait_for_each_other() -> None:
    pace = Pace(clock=lambda: 0.0)
    for _ in range(100):
        pace.reserve(STORAGE)

    assert pace.reserve(("~other", False)) <= 0
    assert pace.reserve(("~prices", True)) <= 0


def test_waits_are_slept() -> None:
    slept: list[float] = []
    pace = Pace(clock=lambda: 0.0, sleep=slept.append)

    for _ in range(12):
        pace.wait(STORAGE)

    assert len(slept) == 4
    assert slept == sorted(slept)


@pytest.mark.parametrize("limit", ["30", "100000"])
def test_a_user_may_want_fewer_calls_a_second_in_all(limit: str) -> None:
    pace = Pace(10, clock=lambda: 0.0)
    buckets = [("~a", False), ("~b", True)] * 20
    for bucket in buckets[:2]:
        pace.reserve(bucket)
        pace.answered(bucket, limit, refused=False)

    waits = [pace.reserve(bucket) for bucket in buckets]

    assert waits[-1] == pytest.approx(41 / 10 - 0.25)


def test_a_user_may_want_a_part_of_what_the_server_allows() -> None:
    clock = [0.0]
    pace = Pace(part=0.5, clock=lambda: clock[0])
    pace.reserve(STORAGE)
    pace.answered(STORAGE, "40", refused=False)
    clock[0] = 10.0

    waits = [pace.reserve(STORAGE) for _ in range(21)]

    assert waits[-1] == pytest.approx(20 / 20 / MARGIN - 0.25)
