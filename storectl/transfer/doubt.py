"""Calls of which nobody knows whether they landed, where a server knows no idempotency keys.

Its count of items tells, if nobody else writes meanwhile. Where it cannot tell, a batch is
sent again: it is there at least once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import combinations
from random import uniform

from storectl.errors import (
    Forbidden,
    InvalidInput,
    Network,
    NotFound,
    RateLimited,
    StorectlError,
    TooLarge,
    Unauthorized,
    Unsupported,
)
from storectl.formats.blocks import decoder
from storectl.model.dataset import Dataset, Datasets, ItemsQuery
from storectl.model.items import Item, Items
from storectl.transfer.windows import Rows

LAG_SECS = 10.0
"""For so long a count of items may be behind. Source: apify-client-python, issue 118."""

MOST_SUMS = 10
"""Batches in doubt at once of which any may be there; of more, all or none."""

FIRST_WAIT_SECS, LONGEST_WAIT_SECS = 0.5, 30.0

LOOKS = 4
"""How often it is looked again at items whose answer breaks off."""

NOT_THERE = (
    InvalidInput, NotFound, Unauthorized, Forbidden, TooLarge, Unsupported, RateLimited,
)  # fmt: skip
"""Answers which say that a batch was not taken."""


def is_doubtful(error: BaseException | None) -> bool:
    """Whether a failed call may have landed, and may go through if it is made again."""
    if not isinstance(error, StorectlError) or isinstance(error, NOT_THERE):
        return False
    if isinstance(error, Network):
        return error.http is None
    return (error.http or 0) >= 500


def base_of(dataset: Dataset) -> int | None:
    """How many items a dataset has, for sure: None if its count may lag behind a push."""
    now = datetime.now(UTC)
    changed, made = map(_time, (dataset.modified_at, dataset.created_at))
    is_new = not dataset.item_count and changed == made
    age = abs((now - changed).total_seconds()) if changed else 0.0
    return dataset.item_count if is_new or age >= LAG_SECS else None


def counted(datasets: Datasets, ref: str, since: float) -> int | None:
    """The items of a dataset, when all that landed must be among them; None if nobody tells.

    since: the time of the clock when the last call in doubt was made.
    """
    age = max(time.time() - since, 0.0)
    time.sleep(max(LAG_SECS - age, 0.0))
    try:
        return datasets.get(ref).item_count
    except Forbidden:  # a token that may only write
        return None


def landed(more: int | None, doubtful: Mapping[int, int]) -> set[int] | None:
    """Which batches in doubt are there; None if it cannot be told.

    more: items beyond those that are surely there. doubtful: the items of each batch.
    """
    if more is None:
        return None
    sizes = range(len(doubtful) + 1) if len(doubtful) <= MOST_SUMS else (0, len(doubtful))
    found = [
        set(some)
        for size in sizes
        for some in combinations(doubtful, size)
        if sum(doubtful[number] for number in some) == more
    ]
    return found[0] if len(found) == 1 else None


def holds(datasets: Datasets, ref: str, at: int, items: Items) -> bool:
    """Whether the items from a position on begin and end as these do."""
    lines = items.lines.split(b"\n")[:-1]
    last = at + len(lines) - 1
    rows = Rows(datasets, ref, ItemsQuery(), total=last + 1, jobs=1, retries=LOOKS)
    try:
        return _item(rows, at) == decoder(float)(lines[0]) and _item(rows, last) == decoder(float)(
            lines[-1]
        )
    except StorectlError:
        return False  # then it is sent again


def _item(rows: Rows, at: int) -> list[Item]:
    _, blocks = rows.answer(at, at + 1)
    return decoder(float)(b"".join(blocks))


class Sender:
    """Appends one batch after the other, and decides itself about what is in doubt.

    retries: how often a batch is sent again, at most. alone: that nobody else appends as
    far as the caller knows; else the count of items says nothing. retried: how often any
    was sent again; repeated: batches that may be there twice; settled: those of which the
    count told.
    """

    def __init__(self, datasets: Datasets, ref: str, retries: int, *, alone: bool = True) -> None:
        self.datasets, self.ref, self.retries = datasets, ref, retries
        self.retried = self.repeated = self.settled = 0
        self._alone = alone
        self._there = base_of(datasets.get(ref)) if alone else None

    def push(self, items: Items, key: str) -> None:
        """Append a batch. Raises what the store raises, if it does so too often."""
        is_repeated = False
        for attempt in range(self.retries + 1):
            try:
                self.datasets.push(self.ref, items, idempotency_key=key)
                break
            except StorectlError as error:
                is_last = attempt == self.retries
                if is_last or not is_doubtful(error) or self.datasets.keeps_keys():
                    raise
            if self._alone:
                found = self._found(items)
            else:
                found = None
                pause(attempt)
            if found:
                break
            if found is None and not is_repeated:
                is_repeated = True
                self.repeated += 1
            self.retried += 1
        if self._there is not None:
            self._there += len(items)

    def _found(self, items: Items) -> bool | None:
        """Whether a batch is there; None if nobody can tell, and then what is there now counts."""
        before = self._there
        count = counted(self.datasets, self.ref, time.time())
        more = None if count is None or before is None else count - before
        found = landed(more, {1: len(items)})
        if found is None or (
            found and before is not None and not holds(self.datasets, self.ref, before, items)
        ):
            self._there = count
            return None
        self.settled += 1
        return bool(found)


def pause(attempt: int) -> None:
    """Wait before what failed is tried again. attempt: how often it was, from 0 on."""
    time.sleep(uniform(0, min(FIRST_WAIT_SECS * 2**attempt, LONGEST_WAIT_SECS)))


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
