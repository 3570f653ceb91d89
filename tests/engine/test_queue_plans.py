"""The hot statements of queues find their rows by the intended index, whatever SQLite knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storectl.engine.db import Db, statements
from storectl.engine.queue import Queues
from storectl.engine.reads import Reads
from storectl.engine.sqlite import SqliteDb
from storectl.engine.token import make_user
from storectl.model.request import Request

ROWID = "INTEGER PRIMARY KEY"
SORT = "TEMP B-TREE"

PLANS = {
    "book": [ROWID],
    "known": ["request_id (storage_no=? AND id=?)"],
    "there": ["request_id (storage_no=? AND id=?)"],
    "update": [ROWID],
    "delete": ["request_id (storage_no=? AND id=?)"],
    "request": ["request_id (storage_no=? AND id=?)"],
    "state": ["request_id (storage_no=? AND id=?)"],
    "prolong": ["request_id (storage_no=? AND id=?)"],
    "unlock": ["request_id (storage_no=? AND id=?)"],
    "any_free": ["request_head (storage_no=?", "request_locked (storage_no=? AND locked_until<?)"],
    "any_locked": ["request_locked (storage_no=? AND locked_until>?)"],
    "free": ["request_locked (storage_no=? AND locked_until<?)"],
    "lock": [ROWID, "request_head (storage_no=? AND ord>?)"],
    "unlock_all": ["request_locked (storage_no=? AND locked_until>?)"],
    "page": ["request_id (storage_no=? AND id>?)"],
    "page_unhandled": ["request_id (storage_no=? AND id>?)"],
}
"""By statement: what its searches go by. None of these sorts."""

SORTING = {
    "head": [
        "request_head (storage_no=? AND ord>?)",
        "request_locked (storage_no=? AND locked_until<?)",
    ],
    "page_few": ["request_head (storage_no=?", "request_locked (storage_no=?"],
    "page_in_order": [
        "request_head (storage_no=? AND ord>?)",
        "request_locked (storage_no=?",
    ],
    "page_locked": ["request_locked (storage_no=? AND locked_until>?)"],
}
"""These sort what is locked or, in page_few, what is unhandled: few in either case."""

VALUES: dict[str, Any] = {
    "after_ord": 0,
    "crc": 1,
    "no": 1, "request_no": 1, "ids": '["A"]', "id": "A", "after": "A", "limit": 25, "ord": 1,
    "now": 1, "until": 2, "locked": True, "client_key": "me", "body": b"{}",
    "requests": 1, "handled": 0, "bytes": 1, "writes": 1, "deletes": 0, "before": 0, "behind": 1,
}  # fmt: skip


@pytest.fixture(params=["empty", "filled", "analysed"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Db]:
    """A database without requests; with 3,000 of all states; and with statistics of them."""
    db = SqliteDb(tmp_path)
    queues = Queues(db, make_user(db, "local"), Reads())
    if request.param != "empty":
        for name in ("one", "two"):
            queues.create(name)
            queues.add(f"~{name}", [page(n, handled=n % 3 == 0) for n in range(1500)])
            for _ in range(8):
                queues.lock_head(f"~{name}", lock_secs=60, client_key="me")
    if request.param == "analysed":
        db.write(lambda tx: tx.all("ANALYZE"))
    yield db
    db.close()


def page(n: int, *, handled: bool) -> Request:
    request: Request = {"uniqueKey": str(n), "url": f"https://example.com/{n}"}
    return {**request, "handledAt": "2026-01-02T03:04:05Z"} if handled else request


def plan(db: Db, name: str) -> list[str]:
    return [
        row[3]
        for row in db.all("EXPLAIN QUERY PLAN " + statements("queue", "sqlite")[name], **VALUES)
    ]


@pytest.mark.parametrize("name", PLANS)
def test_a_hot_statement_searches_by_its_index_and_never_sorts(db: Db, name: str) -> None:
    steps = plan(db, name)

    assert not [step for step in steps if SORT in step]
    assert searches(steps, PLANS[name]) == PLANS[name]


@pytest.mark.parametrize("name", SORTING)
def test_a_statement_that_sorts_only_sorts_few(db: Db, name: str) -> None:
    assert searches(plan(db, name), SORTING[name]) == SORTING[name]


def test_the_head_takes_free_requests_in_the_order_of_the_index(db: Db) -> None:
    """Only what lies in the right arm, locks that are over, is sorted."""
    steps = plan(db, "head")

    left = steps[steps.index("LEFT") : steps.index("RIGHT")]
    assert not [step for step in left if SORT in step]


def searches(steps: list[str], wanted: list[str]) -> list[str]:
    """What the tables are searched by, shortened to what is wanted of each."""
    found = [step for step in steps if step.startswith(("SEARCH", "SCAN request", "SCAN storage"))]
    return [want if want in step else step for step, want in zip(found, wanted, strict=True)]
