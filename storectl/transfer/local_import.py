"""Crawlee's local storage folders into a store: each thing once, however often it is done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from storectl.errors import Conflict, InvalidInput
from storectl.formats.batch import batches
from storectl.model import rules
from storectl.model.dataset import Datasets
from storectl.model.items import Items
from storectl.model.kvs import KeyValueStores, Record
from storectl.model.queue import Queues
from storectl.model.request import Request, check_request
from storectl.transfer.dataset import BATCH_BYTES
from storectl.transfer.doubt import Sender
from storectl.transfer.events import Advanced, Event, Finished, Started
from storectl.transfer.local import LAYOUTS, Step, stored, together
from storectl.transfer.local_layout import (
    Folder,
    FoundRecord,
    Notes,
    blocks,
    compact,
    plain_files,
    read_file,
)
from storectl.transfer.queue import BATCH


class How(NamedTuple):
    """What loaders share. jobs: records at once. retries: of what is in doubt, see doubt.Sender."""

    jobs: int
    retries: int
    senders: list[Sender]


class Target(NamedTuple):
    """Where a folder goes: the keeper of its noun, and a storage that is there.

    name: of the storage, for messages.
    """

    folder: Folder
    keeper: Any
    ref: str
    name: str


def load(
    targets: list[Target],
    notes: Notes,
    *,
    jobs: int = 1,
    retries: int = 8,
    on_done: Callable[[Target, Step, int], None] = lambda _target, _step, _refused: None,
) -> Iterator[Event]:
    """Bring folders into a store: what is there already is not added again.

    Items are appended behind those a dataset has, which must be the first of the
    folder. Records are put in place of those of the same key. Requests that a queue
    knows stay as they are. on_done gets the sum of each folder, and how many
    of its files were refused. What cannot be read is
    Refused, and the rest goes on; so is a dataset that holds other items, unless it
    is the only target: then Conflict is raised.
    """
    begin = time.monotonic()
    how = How(jobs, retries, [])
    yield Started()
    yield from notes.refused
    files = size = 0
    refused = len(notes.refused)
    for target in targets:
        whole = Step(0, 0, 0)
        try:
            for step in _LOADERS[target.folder.noun](target, notes, how):
                whole = Step(*map(sum, zip(whole, step, strict=True)))
                yield Advanced(files + whole.files, size + whole.bytes)
        except Conflict as error:
            if len(targets) == 1:
                raise
            notes.refuse(target.folder.path, error.message)
        on_done(target, whole, len(notes.refused) - refused)
        files, size = files + whole.files, size + whole.bytes
        yield from notes.refused[refused:]
        refused = len(notes.refused)
    yield Finished(
        files,
        size,
        time.monotonic() - begin,
        refused,
        retries=sum(sender.retried for sender in how.senders),
        repeated=sum(sender.repeated for sender in how.senders),
        settled=sum(sender.settled for sender in how.senders),
    )


def _load_dataset(target: Target, notes: Notes, how: How) -> Iterator[Step]:
    datasets: Datasets = target.keeper
    have_lines = stored(datasets, target.ref, how.jobs)
    sender = Sender(datasets, target.ref, how.retries)
    how.senders.append(sender)
    for items, numbers in item_batches(target.folder.path, notes):
        have = list(islice(have_lines, len(items)))
        _check_same(have, items, target)
        fresh = items.slice(len(have), len(items))
        if len(fresh):
            told = f"{target.folder.path.resolve()}\0{numbers[len(have)]}-{numbers[-1]}\0"
            key = sha256(told.encode() + fresh.lines).hexdigest()
            sender.push(fresh, key)
        yield Step(len(items), len(items.lines), len(fresh))


def _check_same(have: list[bytes], items: Items, target: Target) -> None:
    """A server may write an item in its own way: what differs in bytes is compared as values."""
    mine = items.lines.split(b"\n")[: len(have)]
    decode = msgspec.json.decode
    if have != mine and any(
        one != two and decode(one) != decode(two) for one, two in zip(have, mine, strict=True)
    ):
        raise Conflict(
            f"dataset '{target.name}' holds other items than {target.folder.path}",
            type="dataset-differs",
            hint=f"another name for it: --map {target.folder.key}=NAME",
        )


def item_batches(folder: Path, notes: Notes) -> Iterator[tuple[Items, list[int]]]:
    """The items of a dataset in order, and the numbers of their files. Broken ones are noted."""

    start = f"{folder}{os.sep}"

    def path_of(number: int) -> str:
        return f"{start}{number:09d}.json"

    lines: list[bytes] = []
    numbers: list[int] = []
    size = 0

    def cut() -> Iterator[tuple[Items, list[int]]]:
        refuse = lambda number, why: notes.refuse(path_of(number), why)  # noqa: E731
        for batch in batches(lines, numbers, refuse, BATCH_BYTES):
            yield batch.items, list(batch.lines)

    for number in _numbers(folder, notes):
        try:
            line = compact(read_file(path_of(number)))
        except FileNotFoundError:
            continue  # a gap
        except InvalidInput as error:
            notes.refuse(path_of(number), error.message)
            continue
        lines.append(line)
        numbers.append(number)
        size += len(line)
        if size >= BATCH_BYTES:
            yield from cut()
            lines, numbers, size = [], [], 0
    yield from cut()


def _numbers(folder: Path, notes: Notes) -> Iterable[int]:
    """Numbers of which there may be files, ascending; other files are noted.

    A range, so that a folder of millions needs no list; a list where most would be gaps.
    """
    count = last = 0
    for entry in plain_files(folder, notes):
        number = _number(entry.name)
        if number is None:
            notes.pass_over(entry.path, "not an item's file, such as 000000001.json")
        else:
            count, last = count + 1, max(last, number)
    if last <= 2 * count + 1000:
        return range(last + 1)
    found = map(_number, (entry.name for entry in plain_files(folder, Notes())))
    return sorted(number for number in found if number is not None)


def _number(name: str) -> int | None:
    digits = name.removesuffix(".json")
    number = int(digits) if digits.isascii() and digits.isdecimal() else -1
    return number if number >= 0 and name == f"{number:09d}.json" else None


def _load_records(target: Target, notes: Notes, how: How) -> Iterator[Step]:
    kvs: KeyValueStores = target.keeper

    def put(found: FoundRecord) -> int:
        key, size = rules.check_key(found.key), found.path.stat().st_size
        kind = rules.check_content_type(found.content_type)
        kvs.put(target.ref, Record(key=key, content_type=kind, size=size, body=blocks(found.path)))
        return size

    layout = LAYOUTS[target.folder.layout]
    for found, done in together(put, layout.records(target.folder, notes), how.jobs):
        if isinstance(done, int):
            yield Step(1, done, 1)
        else:
            notes.refuse(found.path, done.message)


def _load_queue(target: Target, notes: Notes, _how: How) -> Iterator[Step]:
    queues: Queues = target.keeper
    source = _good(LAYOUTS[target.folder.layout].requests(target.folder, notes), target, notes)
    part: list[Request] = []
    size = 0
    for request, length in source:
        part.append(request)
        size += length
        if len(part) == BATCH or size > BATCH_BYTES:
            yield _add(queues, target, part, size, notes)
            part, size = [], 0
    if part:
        yield _add(queues, target, part, size, notes)


def _good(
    requests: Iterable[Request], target: Target, notes: Notes
) -> Iterator[tuple[Request, int]]:
    for request in requests:
        try:
            length = len(msgspec.json.encode(check_request(request)))
        except (InvalidInput, msgspec.MsgspecError) as error:
            named = request.get("url") or request.get("uniqueKey")
            notes.refuse(f"{target.folder.path}: {named}", str(error))
            continue
        if length > rules.MAX_PAYLOAD_BYTES:
            notes.refuse(f"{target.folder.path}: {request['url']}", f"{length:,} bytes, too large")
            continue
        yield request, length


def _add(queues: Queues, target: Target, part: list[Request], size: int, notes: Notes) -> Step:
    answer = queues.add(target.ref, part, idempotency_key=rules.new_id())
    for left in answer.unprocessed_requests:
        notes.refuse(f"{target.folder.path}: {left.get('url')}", "the server did not take it")
    new = sum(not one.was_already_present for one in answer.processed_requests)
    return Step(len(answer.processed_requests), size, new)


_LOADERS = {"dataset": _load_dataset, "kvs": _load_records, "queue": _load_queue}
