"""So many requests a second: what one window lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.model.limits import WINDOW_NS, Window

START = 5 * WINDOW_NS


def taken(window: Window, rate: int, at_ns: int, tries: int) -> tuple[Window, int]:
    """How many of some tries at one moment are let through."""
    count = 0
    for _ in range(tries):
        window, wait = window.take(rate, at_ns)
        count += not wait
    return window, count


@pytest.mark.parametrize("rate", [1, 2, 30, 200])
def test_a_full_second_may_come_at_once_and_no_more(rate: int) -> None:
    assert taken(Window(), rate, START, rate + 5)[1] == rate


def test_after_two_idle_seconds_a_full_second_may_come_again() -> None:
    window, _ = taken(Window(), 30, START, 30)

    assert taken(window, 30, START + 2 * WINDOW_NS, 40)[1] == 30


def test_a_clock_that_begins_anew_begins_a_window_anew() -> None:
    window, _ = taken(Window(), 30, START, 30)

    assert taken(window, 30, 7, 40)[1] == 30


@given(
    st.integers(1, 50),
    st.lists(st.integers(0, WINDOW_NS // 2), min_size=1, max_size=300),
)
def test_the_time_that_is_told_is_the_time_to_wait(rate: int, gaps: list[int]) -> None:
    window, at_ns = Window(), START

    for gap in gaps:
        at_ns += gap // rate
        following, wait = window.take(rate, at_ns)
        if wait:
            assert window.take(rate, at_ns + wait - 1)[1] > 0
            assert window.take(rate, at_ns + wait)[1] == 0
        window = following


@given(
    st.integers(1, 50),
    st.lists(st.integers(0, WINDOW_NS // 2), min_size=1, max_size=500),
)
def test_over_any_time_it_is_the_rate_and_one_second_more(rate: int, gaps: list[int]) -> None:
    window, at_ns = Window(), START
    through = []

    for gap in gaps:
        at_ns += gap // rate
        window, wait = window.take(rate, at_ns)
        if not wait:
            through.append(at_ns)

    for first, start in enumerate(through):
        for last in range(first, len(through)):
            assert last - first + 1 <= rate * (2 + (through[last] - start) / WINDOW_NS)


@pytest.mark.parametrize("rate", [30, 200])
def test_under_pressure_it_is_the_rate_and_at_most_three_in_a_hundred_more(rate: int) -> None:
    window, through = Window(), []

    for at_ns in range(START, START + 20 * WINDOW_NS, WINDOW_NS // 1000):
        window, wait = window.take(rate, at_ns)
        if not wait:
            through.append(at_ns)

    assert len(through) <= 20 * rate * 1.03
    assert len(through) >= 20 * rate * 0.999
    for at, start in enumerate(through):
        worst = sum(start <= other < start + WINDOW_NS for other in through[at : at + 2 * rate])
        assert worst <= rate * 1.05
