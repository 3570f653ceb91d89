"""Servers remove what is over by themselves."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from storectl.engine import open_store
from storectl.model import rules

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import served

WEEKS_MS = 3 * 7 * 24 * 3_600_000


def until(true: Callable[[], bool]) -> bool:
    """Whether it becomes true, however long that takes within reason."""
    end = time.monotonic() + 120
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_one_of_two_servers_sweeps_the_store_that_they_share(home: str) -> None:
    past = open_store(home, clock=lambda: rules.now_ms() - WEEKS_MS)
    past.datasets.create()
    past.kvs.create("kept")
    past.close()
    db = open_store(home)._db

    with served(home), served(home):
        assert until(lambda: db.all("SELECT name FROM storage") == [("kept",)])
        assert until(lambda: len(db.all("SELECT holder FROM lease")) == 1)
