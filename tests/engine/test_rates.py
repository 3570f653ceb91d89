"""One count of requests for all processes on a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storectl.engine import rates
from storectl.engine.rates import SharedRates
from storectl.errors import Local

from ..clock import Clock

AT_NS = 5_000_000_000

ASK = """
import sys
from pathlib import Path
from storectl.engine.rates import SharedRates

rates = SharedRates(Path(sys.argv[1]), lambda: int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
print(sum(not rates.take("key", 200) for _ in range(500)))
"""


@pytest.fixture
def clock() -> Clock:
    return Clock(AT_NS)


@pytest.fixture
def shared(tmp_path: Path, clock: Clock) -> Iterator[SharedRates]:
    found = SharedRates(tmp_path, clock)
    yield found
    found.close()


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_one_budget_to_the_last_request(tmp_path: Path, processes: int) -> None:
    """All of them ask within one frozen moment, as fast as they can."""
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(tmp_path), str(AT_NS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for process in asking:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    for process in asking:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    through = [int(process.communicate()[0]) for process in asking]

    assert sum(through) == 200


def test_keys_count_apart(shared: SharedRates) -> None:
    assert [shared.take(key, 1) == 0 for key in ("a", "b", "a")] == [True, True, False]


def test_the_wait_is_told_in_seconds(shared: SharedRates, clock: Clock) -> None:
    for _ in range(10):
        assert shared.take("a", 10) == 0

    wait_secs = shared.take("a", 10)
    clock.now += int(wait_secs * 1e9)

    assert 1 < wait_secs < 1.2
    assert shared.take("a", 10) == 0


def test_a_second_that_opens_the_file_goes_on_with_its_counts(
    shared: SharedRates, tmp_path: Path, clock: Clock
) -> None:
    shared.take("a", 2)
    other = SharedRates(tmp_path, clock)

    assert [other.take("a", 2) == 0, shared.take("a", 2) == 0] == [True, False]


def test_counts_of_an_earlier_start_of_the_machine_are_none(
    shared: SharedRates, clock: Clock
) -> None:
    assert shared.take("a", 1) == 0
    clock.now = 12

    assert shared.take("a", 1) == 0
    assert shared.take("a", 1) > 0


def test_in_a_full_bucket_the_key_idle_longest_gives_way(shared: SharedRates, clock: Clock) -> None:
    bucket = rates.number_of("0") % rates.BUCKETS
    keys = (str(number) for number in range(10**6))
    of_bucket = [
        key for _, key in zip(range(60_000), keys, strict=False)
        if rates.number_of(key) % rates.BUCKETS == bucket
    ][: rates.SLOTS + 1]  # fmt: skip
    assert len(of_bucket) == rates.SLOTS + 1

    for key in of_bucket[:-1]:
        clock.now += 1
        assert shared.take(key, 1) == 0
    *known, first, new = [*of_bucket[1:-1], of_bucket[0], of_bucket[-1]]

    assert shared.take(new, 1) == 0
    assert all(shared.take(key, 1) > 0 for key in [*known, new])
    assert shared.take(first, 1) == 0


def test_the_file_is_for_its_owner_and_has_no_holes(shared: SharedRates, tmp_path: Path) -> None:
    found = (tmp_path / rates.FILE).stat()

    assert found.st_mode & 0o777 == 0o600
    assert found.st_size == rates.BYTES


@pytest.mark.parametrize("wrong", ["a folder", "too large", "no folder around it"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, wrong: str) -> None:
    folder = tmp_path / "store"
    if wrong != "no folder around it":
        folder.mkdir()
    if wrong == "a folder":
        (folder / rates.FILE).mkdir()
    elif wrong == "too large":
        (folder / rates.FILE).write_bytes(bytes(rates.BYTES + 1))

    with pytest.raises(Local, match=rates.FILE):
        SharedRates(folder)
