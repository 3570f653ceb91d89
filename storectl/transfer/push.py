"""Items of files into a dataset, a batch a call; goes on where it was killed.

The journal says before each batch that it is sent, and after it that it is there. What
a kill leaves in doubt is sent again with the same idempotency key where the store knows
keys; elsewhere the count of items decides, or nobody does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import BinaryIO, cast
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from storectl.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unsupported,
)
from storectl.formats import detect, read
from storectl.formats.batch import Batch
from storectl.formats.encoding import PACKED
from storectl.model import rules
from storectl.model.dataset import Dataset, Datasets
from storectl.model.items import Items
from storectl.transfer.dataset import BATCH_BYTES, Input, Source
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started
from storectl.transfer.journal import Journal

REMEMBERED_SECS = 23 * 3600
"""For so long a store surely knows a key: an hour less than it says."""

LAG_SECS = 10.0
"""For so long a count of items may be behind. Source: apify-client-python, issue 118."""

NOT_THERE = (
    InvalidInput, NotFound, Unauthorized, Forbidden, TooLarge, Unsupported, RateLimited,
)  # fmt: skip
"""Answers which say that a batch was not taken."""


class State(Struct, frozen=True, kw_only=True):
    """How far a push is. key: of the job; each batch adds its number. base: items before.

    batch_bytes: where batches are cut, in a later version too.
    batches, items, bytes, refused: acknowledged, and refused by the store among them.
    crc: of the lines of these batches. pending: items of the batch that was sent and
    not acknowledged, at pending_secs of the clock.
    """

    key: str
    base: int
    batch_bytes: int
    batches: int = 0
    items: int = 0
    bytes: int = 0
    refused: int = 0
    crc: int = 0
    pending: int | None = None
    pending_secs: float = 0.0


def push(
    datasets: Datasets,
    ref: str,
    sources: list[Source],
    *,
    dataset: Dataset | None = None,
    journal: Journal | None = None,
) -> Iterator[Event]:
    """Append the items of all sources, in order, a batch a call.

    An item that cannot be stored is Refused with file and line, and the rest
    goes on. A failure of the store ends it; what was acknowledged stays. Raises
    InvalidInput for a source that cannot be read further.

    dataset: what ref means, before. journal: held; a job is the dataset and the files,
    their sizes and times. Without one a push cannot go on. It is kept to the end:
    whoever has told that all went well forgets it, or else a kill in between would
    look like a push that never began.
    """
    begin = time.monotonic()
    sizes = [source.size for source in sources]
    sending = _Sending(datasets, ref, dataset, journal)
    resumed = sending.state
    total = sum(size or 0 for size in sizes) if None not in sizes else None
    yield Started(total, resumed=resumed.items)
    refused = resumed.refused
    for source in sources:
        for batch in sending.batches(source):
            if batch is not None:
                sending.send(batch, source.name)
            refused += len(sending.bad)
            yield from sending.bad
            sending.bad.clear()
            yield Advanced(sending.state.items, sending.state.bytes)
    sending.check_resumed()
    secs = time.monotonic() - begin
    yield Finished(sending.state.items, sending.state.bytes, secs, refused, resumed.items)


class _Sending:
    """One run of a push. bad: items that were refused since it was last cleared."""

    def __init__(
        self, datasets: Datasets, ref: str, dataset: Dataset | None, journal: Journal | None
    ) -> None:
        self.datasets, self.ref, self.journal = datasets, ref, journal
        base = dataset.item_count if dataset else 0
        kept = journal.read(State) if journal else None
        self.state = kept or State(key=rules.new_id(), base=base, batch_bytes=BATCH_BYTES)
        self.bad: list[Refused] = []
        self._resumed = self.state
        self._number = 0
        self._crc = 0

    def batches(self, source: Source) -> Iterator[Batch | None]:
        """Batches of one source. A source that cannot be read is no reason to go on later."""
        try:
            yield from batches(source, self.bad, self.state.batch_bytes)
        except (InvalidInput, TooLarge):
            if self.journal:
                self.journal.forget()
            raise

    def send(self, batch: Batch, name: str) -> None:
        """Send one batch, unless an earlier run did; items that break the schema stay behind."""
        self._number += 1
        self._crc = crc32(batch.items.lines, self._crc)
        if self._number <= self._resumed.batches:
            if self._number == self._resumed.batches:
                self.check_resumed()
            return
        items = batch.items
        key = f"{self.state.key}-{self._number}"
        if self.state.pending is not None and self._is_there(self.state.pending):
            self._note(items, self.state.pending)
            return
        try:
            self._push(items, key)
        except InvalidInput as error:
            wrong = _breaking_schema(error)
            if not wrong:
                raise
            self.bad += [Refused(f"{name}:{batch.lines[at]}", why) for at, why in wrong.items()]
            lines = items.lines.splitlines()
            items = Items.from_lines([line for at, line in enumerate(lines) if at not in wrong])
            if len(items):
                self._push(items, f"{key}-valid")
            self.state = replace(self.state, refused=self.state.refused + len(wrong))
        self._note(items, len(items))

    def check_resumed(self) -> None:
        """Raise Conflict unless the batches that were passed over are those of the earlier run."""
        was = self._resumed
        if self._number > was.batches or (self._number, self._crc) == (was.batches, was.crc):
            return
        raise Conflict(
            f"the files are not cut as they were: {was.items:,} items of them are there already",
            hint="--restart pushes all of them again",
        )

    def _push(self, items: Items, key: str) -> None:
        self._write(replace(self.state, pending=len(items), pending_secs=time.time()), True)
        try:
            self.datasets.push(self.ref, items, idempotency_key=key)
        except NOT_THERE as error:
            if not (isinstance(error, InvalidInput) and _breaking_schema(error)):
                self._give_up()
            raise

    def _note(self, items: Items, count: int) -> None:
        """The batch is there."""
        done = replace(
            self.state,
            batches=self._number,
            items=self.state.items + count,
            bytes=self.state.bytes + len(items.lines),
            crc=self._crc,
            pending=None,
        )
        self._write(done, False)

    def _give_up(self) -> None:
        """The store refused a batch: it is in no doubt, and what came before it stays told."""
        self._write(replace(self.state, pending=None), True)
        if self.journal and not self.state.batches:
            self.journal.forget()

    def _write(self, state: State, durable: bool) -> None:
        self.state = state
        if self.journal:
            self.journal.write(state, durable=durable)

    def _is_there(self, pending: int) -> bool:
        """Whether a batch in doubt was taken. Conflict if nobody knows."""
        age = time.time() - self.state.pending_secs
        if age < REMEMBERED_SECS and self.datasets.keeps_keys():
            return False  # sent again it changes nothing
        before = self.state.base + self.state.items
        if age < LAG_SECS:
            time.sleep(LAG_SECS - max(age, 0))
        count = self.datasets.get(self.ref).item_count
        if count in (before, before + pending):
            return count != before
        raise Conflict(
            f"{self.state.items:,} items are there; whether the next {pending:,} are cannot be "
            f"told: the dataset has {count:,} items, not {before:,} or {before + pending:,}",
            hint=f"storectl dataset items REF --offset {before} shows what came after them",
        )


def batches(
    source: Source, bad: list[Refused], max_bytes: int = BATCH_BYTES
) -> Iterator[Batch | None]:
    """Batches of one source; None at its end, when the last bad items are known."""

    def on_bad(line: int, why: str) -> None:
        bad.append(Refused(f"{source.name}:{line}", why))

    with source.open() as opened:
        name = source.format
        try:
            stream = Input(opened)
            if name == "auto":
                head = stream.head()
                name = detect(_unpacked_name(source.name), head) if head.strip() else "jsonl"
            yield from read(
                name,
                cast("BinaryIO", stream),
                max_bytes=max_bytes,
                on_bad=on_bad,
                typed=source.typed,
                delimiter=source.delimiter,
            )
        except (InvalidInput, TooLarge) as error:
            why = error.message.removeprefix("Body is ")
            where = source.name
            if numbered := re.match(r"line (\d+): ", why):
                where, why = f"{where}:{numbered[1]}", why[numbered.end() :]
            raise type(error)(f"{where}: {why}", hint=error.hint) from None
    yield None


def _unpacked_name(name: str) -> str:
    """The name of what a packed file holds."""
    end = next((end for end in PACKED.values() if name.lower().endswith(end)), "")
    return name[: len(name) - len(end)]


class _Complaint(msgspec.Struct, rename="camel"):
    item_position: int
    validation_errors: list[dict[str, object]] = []


class _Complaints(msgspec.Struct, rename="camel"):
    invalid_items: list[_Complaint]


def _breaking_schema(error: InvalidInput) -> dict[int, str]:
    """Positions of items that a schema refuses, and why.

    Source: Apify API v2, the answer to a push that breaks the dataset's schema.
    """
    if error.type != "schema-validation-error":
        return {}
    try:
        told = msgspec.convert(error.data, _Complaints)
    except msgspec.ValidationError:
        return {}
    return {
        one.item_position: "; ".join(
            f"{wrong.get('instancePath') or 'item'} {wrong.get('message')}"
            for wrong in one.validation_errors
        )
        or "breaks the schema of the dataset"
        for one in told.invalid_items
    }
