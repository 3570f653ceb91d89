"""Storages from one store into another, whichever keeps them, in constant memory.

A copy that was broken off goes on where it was: a dataset after the items that are
there, records and requests by their keys.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from storectl.errors import (
    Conflict,
    InvalidInput,
    Network,
    NotFound,
    StorectlError,
    TooLarge,
    UnsupportedEncoding,
)
from storectl.formats.blocks import decoder
from storectl.model import rules
from storectl.model.dataset import Datasets, ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import Key, KeyValueStores, Record, every_key
from storectl.model.queue import Added, Queues
from storectl.transfer.dataset import BATCH_BYTES
from storectl.transfer.doubt import Sender
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started
from storectl.transfer.queue import BATCH, Line, add, exported, imported
from storectl.transfer.windows import Rows, rows_of_window

TRIES = 5
"""How often what broke off on its way is begun anew, without anything gained between."""

AHEAD = 2
"""Windows that are fetched while one is written: more would only fill memory."""

WHOLE_BYTES = 4 * 1024 * 1024
"""Records up to here are held in memory, so that they can be sent again."""


class DatasetCopy(NamedTuple):
    """A dataset and where its items go, by IDs. query: fields and omit, nothing that drops items.

    append: whatever is in the target; otherwise that has to be a beginning of the same.
    jobs: how many pages are fetched ahead; 0 of a store in this process. retries: how often
    a batch in doubt is sent again where the target knows no idempotency keys.
    """

    source: Datasets
    source_id: str
    target: Datasets
    target_id: str
    query: ItemsQuery
    append: bool = False
    jobs: int = 0
    retries: int = 8


def copy_items(copy: DatasetCopy, there: int) -> Iterator[Event]:
    """Append the items that the source has now, in order.

    there: what items_there told. A push is named by what it is made of: two copies at once,
    or one whose answer was lost, append it once where the store remembers keys. Elsewhere
    see doubt.Sender.
    """
    begin = time.monotonic()
    total = copy.source.get(copy.source_id).item_count
    start = 0 if copy.append else there
    sender = Sender(copy.target, copy.target_id, copy.retries)
    yield Started(total=total - start)
    run = rules.new_id() if copy.append else ""
    at, moved_bytes = start, 0
    jobs = min(copy.jobs, AHEAD)
    rows = Rows(copy.source, copy.source_id, copy.query, total=total, jobs=jobs)
    for lines in _cut(_lines(copy, rows, start)):
        items = Items.from_lines(lines.split(b"\n")[:-1])
        name = f"{run} {copy.source_id} {at} ".encode()
        key = "copy-" + sha256(name + lines).hexdigest()[:40]
        sender.push(items, key)
        at += len(items)
        moved_bytes += len(lines)
        yield Advanced(at - start, moved_bytes)
    secs = time.monotonic() - begin
    retries = rows.retried + sender.retried
    yield Finished(
        at - start,
        moved_bytes,
        secs,
        retries=retries,
        repeated=sender.repeated,
        settled=sender.settled,
    )


def items_there(copy: DatasetCopy) -> int:
    """How many items the target has. Raises Conflict unless the source begins with them.

    Compared: the first, middle and last; nothing if whatever is there may stay.
    """
    count = copy.target.get(copy.target_id).item_count
    if copy.append:
        return count
    total = copy.source.get(copy.source_id).item_count
    source = Rows(copy.source, copy.source_id, copy.query, total=total)
    target = Rows(copy.target, copy.target_id, ItemsQuery(), total=count)
    if count > total or any(
        _item(source, at) != _item(target, at)
        for at in sorted({0, count // 2, count - 1})
        if 0 <= at < count
    ):
        raise Conflict(
            f"The target has {count:,} items, which are not how the source begins",
            hint="the same with --append, to add all items to those",
        )
    return count


def _item(rows: Rows, at: int) -> Any:
    _, blocks = rows.answer(at, at + 1)
    return decoder(float)(b"".join(blocks))


def _lines(copy: DatasetCopy, rows: Rows, start: int) -> Iterator[bytes]:
    """Blocks of JSON lines of the items from a position on."""
    size = rows_of_window(copy.source.get(copy.source_id), rows.jobs)
    for scanned, blocks in rows.windows(start, size):
        count = 0
        for block in blocks:
            count += block.count(b"\n")
            yield block
        if count != scanned:
            raise Network(f"only {count:,} of {scanned:,} items came; the answer was cut off")


def _cut(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Parts of whole lines, at most BATCH_BYTES each or one line: the same of any blocks."""
    held = bytearray()
    for block in blocks:
        held += block
        while len(held) >= BATCH_BYTES:
            end = held.rfind(b"\n", 0, BATCH_BYTES) + 1 or held.find(b"\n") + 1
            if not end:
                break
            with memoryview(held) as view:
                part = bytes(view[:end])
            del held[:end]
            yield part
    if held:
        yield bytes(held)


class RecordsCopy(NamedTuple):
    """A key-value store and where its records go, by IDs. include, exclude: globs of keys.

    jobs: how many records at a time.
    """

    source: KeyValueStores
    source_id: str
    target: KeyValueStores
    target_id: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    jobs: int = 8

    def wants(self, key: Key) -> bool:
        """Whether a record is to be copied."""
        name = key.key
        included = not self.include or any(fnmatchcase(name, glob) for glob in self.include)
        return included and not any(fnmatchcase(name, glob) for glob in self.exclude)


def copy_records(copy: RecordsCopy) -> Iterator[Event]:
    """Put every record as it is stored: its bytes, its type, its encoding.

    What cannot be copied is Refused by its key, and the rest goes on.
    """
    begin = time.monotonic()
    moved = moved_bytes = refused = 0
    again: Counter[str] = Counter()
    keys = filter(copy.wants, every_key(copy.source, copy.source_id))
    yield Started()
    with ThreadPoolExecutor(copy.jobs) as pool:
        for key, done in _side_by_side(pool, copy, keys, again):
            if isinstance(done, int):
                moved += 1
                moved_bytes += done
                yield Advanced(moved, moved_bytes)
            else:
                refused += 1
                yield Refused(key.key, done.message)
    secs = time.monotonic() - begin
    yield Finished(moved, moved_bytes, secs, refused, retries=again.total())


def _side_by_side(
    pool: ThreadPoolExecutor, copy: RecordsCopy, keys: Iterator[Key], again: Counter[str]
) -> Iterator[tuple[Key, int | StorectlError]]:
    """Copy records, a few at a time and not many ahead; each with its size or its failure."""
    running: deque[tuple[Key, Future[int | StorectlError]]] = deque()
    try:
        for key in keys:
            running.append((key, pool.submit(_copy_record, copy, key.key, again)))
            if len(running) >= 2 * copy.jobs:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
    finally:
        for _, future in running:
            future.cancel()


def _copy_record(copy: RecordsCopy, key: str, again: Counter[str]) -> int | StorectlError:
    """Copy one record, again if it broke off: its bytes, or why it cannot be copied.

    again: by key, how often it broke off.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            record = copy.source.record(copy.source_id, key)
            return _put(copy, record)
        except Network:
            if attempt == TRIES:
                raise
            again[key] += 1
        except NotFound as error:
            copy.target.get(copy.target_id)
            copy.source.get(copy.source_id)
            return error
        except (InvalidInput, TooLarge, UnsupportedEncoding) as error:
            return error


def _put(copy: RecordsCopy, record: Record) -> int:
    size = record.size
    if size is not None and size <= WHOLE_BYTES:
        body = b"".join(record.body)
        if len(body) != size:
            raise Network(f"only {len(body):,} of {size:,} bytes of '{record.key}' came")
        copy.target.put(copy.target_id, replace(record, body=(body,)))
        return size
    counted = Counted(record.body)
    copy.target.put(copy.target_id, replace(record, body=counted))
    return counted.bytes


class Counted:
    """Blocks that can be read once, and how many bytes they had."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.bytes = 0
        self._blocks = iter(blocks)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = next(self._blocks)
        self.bytes += len(block)
        return block


def missing_keys(copy: RecordsCopy) -> int:
    """How many keys of the source the target does not have."""
    there = every_key(copy.target, copy.target_id)
    missing, current = 0, next(there, None)
    for key in filter(copy.wants, every_key(copy.source, copy.source_id)):
        while current is not None and current.key < key.key:
            current = next(there, None)
        missing += current is None or current.key != key.key
    return missing


class RequestsCopy(NamedTuple):
    """A request queue and where its requests go, by IDs. states: only these; none means all.

    reset: what was handled is pending in the target. jobs: calls at once to the source;
    writers: to the target, whose order is any if there are several.
    """

    source: Queues
    source_id: str
    target: Queues
    target_id: str
    states: tuple[str, ...] = ()
    reset: bool = False
    jobs: int = 8
    writers: int = 1


def copy_requests(copy: RequestsCopy, on_added: Callable[[list[Added]], None]) -> Iterator[Event]:
    """Add the requests of a queue to another. What is there already stays as it is."""
    lines = exported(copy.source, copy.source_id, copy.states, jobs=copy.jobs)
    return add(
        copy.target,
        copy.target_id,
        _blocks(lines),
        make=partial(imported, reset=copy.reset),
        jobs=copy.writers,
        on_added=on_added,
    )


def _blocks(lines: Iterable[bytes]) -> Iterator[list[Line]]:
    """Lines that are sent together."""
    block: list[Line] = []
    size = 0
    for line in lines:
        block.append(Line(f"request {msgspec.json.decode(line, type=_Named).id}", line))
        size += len(line)
        if len(block) == BATCH or size >= BATCH_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


class _Named(msgspec.Struct):
    id: str
