"""Items of files into a dataset, a batch a call; goes on where it was killed.

The journal says before each batch that it is sent, and with the next one that it is
there. What a kill or a failure leaves in doubt is sent again with the same idempotency key
where the store knows keys; elsewhere the count of items decides, and where that cannot, the
batch is sent again and told of.

Batches are sent by threads while the next ones are read: by one, and so in order, or by
several. This thread alone keeps the books.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from storectl.errors import Conflict, InvalidInput, StorectlError, TooLarge
from storectl.formats.batch import Batch
from storectl.model import rules
from storectl.model.dataset import Dataset, Datasets
from storectl.model.items import Items
from storectl.model.memory import keep_freed
from storectl.transfer.dataset import BATCH_BYTES, Source, batches
from storectl.transfer.doubt import NOT_THERE, base_of, counted, holds, is_doubtful, landed
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started
from storectl.transfer.journal import Journal
from storectl.transfer.lanes import Lanes, Outcome, quick_turns
from storectl.transfer.ledger import Sent, State, There

AHEAD = 4
"""How many times more batches may be there behind one that is not yet than there are lanes."""

KEPT_BYTES = 16 * 1024 * 1024
"""What batches leave behind and the next one takes, at most."""

REMEMBERED_SECS = 23 * 3600
"""For so long a store surely knows a key: an hour less than it says."""


class Into(NamedTuple):
    """Where a push goes. dataset: what ref means, before; journal: held, or it cannot go on.

    A job is the dataset and the files, their sizes and times. The journal is kept to
    the end: whoever has told that all went well forgets it, or else a kill in between
    would look like a push that never began.
    """

    ref: str
    dataset: Dataset | None = None
    journal: Journal | None = None


def push(
    datasets: Datasets,
    into: Into | Callable[[], Into],
    sources: list[Source],
    *,
    jobs: int = 1,
    retries: int = 8,
) -> Iterator[Event]:
    """Append the items of all sources, a batch a call.

    An item that cannot be stored is Refused with file and line, and the rest
    goes on. A failure of the store ends it; what was acknowledged stays. Raises
    InvalidInput for a source that cannot be read further.

    into: or what makes it, called when there is a batch to be sent and so perhaps never.
    jobs: calls at once; with one of them the items keep their order. retries: how often
    a call in doubt is made again where the store knows no keys.
    """
    begin = time.monotonic()
    keep_freed(KEPT_BYTES, KEPT_BYTES)
    sizes = [source.size for source in sources]
    sending = _Sending(datasets, into, jobs, retries)
    total = sum(size or 0 for size in sizes) if None not in sizes else None
    resumed = sending.state.total
    yield Started(total, resumed=resumed.items)
    refused = resumed.refused
    with closing(sending), quick_turns():
        for event in sending.run(sources):
            refused += isinstance(event, Refused)
            yield event
    done = sending.state.total
    secs = time.monotonic() - begin
    yield Finished(
        done.items,
        done.bytes,
        secs,
        refused,
        resumed.items,
        sending.retried,
        sending.state.repeated,
        sending.state.settled,
    )


class _Call(Struct):
    """One batch on its way. refused: items of it that the store would not take.

    crc: of its lines as they were read; None until it is made, where the call is. tries: how
    often it was sent again; is_repeated: that it may be there twice.
    """

    number: int
    batch: Batch
    name: str
    key: str
    refused: int = 0
    crc: int | None = None
    tries: int = 0
    is_repeated: bool = False


class _Sending:
    """One run of a push. state: what is known to be there. retried: calls made again."""

    def __init__(
        self, datasets: Datasets, into: Into | Callable[[], Into], jobs: int, retries: int
    ) -> None:
        self.datasets, self.retries = datasets, retries
        self.retried = 0
        self.journal: Journal | None = None
        self.state = State(key=rules.new_id(), base=None, batch_bytes=BATCH_BYTES)
        self._begin = None if isinstance(into, Into) else into
        if isinstance(into, Into):
            self._open(into)
        self._lanes = Lanes(self._push, jobs)
        self._bad: list[Refused] = []
        self._doubtful: list[_Call] = []
        self._resumed = self.state
        self._number = 0
        self._passed = There()
        self._there: dict[int, Sent] = {}

    def _open(self, into: Into) -> None:
        self.ref, self.journal = into.ref, into.journal
        base = base_of(into.dataset) if into.dataset else None
        kept = into.journal.read(State) if into.journal else None
        if kept and self._begin:
            raise Conflict(
                "another process has begun the same push", hint="the same command again goes on"
            )
        self.state = kept or replace(self.state, base=base)

    def close(self) -> None:
        self._lanes.close()

    def run(self, sources: list[Source]) -> Iterator[Event]:
        """Send what the sources hold."""
        self._settle_doubt()
        for source in sources:
            reading = batches(source, self._bad, self.state.batch_bytes)
            while True:
                try:
                    batch = next(reading)
                except (InvalidInput, TooLarge):
                    yield from self._collect(self._lanes.most)
                    if self.journal:  # what cannot be read now is no reason to go on later
                        self.journal.forget()
                    raise
                if batch is None:
                    break
                yield from self._send(batch, source.name)
            yield from self._news()
        yield from self._collect(self._lanes.most)
        if self._number < self._resumed.last:
            raise self._cut_otherwise()

    def _settle_doubt(self) -> None:
        """Find out what became of batches in doubt, where they cannot just be sent again."""
        pending = self.state.pending
        if not pending:
            return
        times = [sent.secs for sent in pending.values()]
        now = time.time()
        if now - min(times) < REMEMBERED_SECS and self.datasets.keeps_keys():
            return  # sent again they change nothing
        found = self._found({number: sent.items for number, sent in pending.items()}, max(times))
        self._there = {number: pending[number] for number in found or ()}
        if found is None:
            self.state = replace(self.state, repeated=self.state.repeated + len(pending))
        self.state = replace(self.state, pending={})

    def _found(self, doubtful: dict[int, int], since: float) -> set[int] | None:
        """Which of these batches the count of items shows to be there; None if it cannot.

        Then it is what others are counted from. doubtful: the items of each. since: when
        the last of them was sent.
        """
        state = self.state
        count = counted(self.datasets, self.ref, since)
        known = None if state.base is None else state.base + state.total.items
        more = None if count is None or known is None else count - known
        found = landed(more, doubtful)
        if found is None:
            base = None if count is None else count - state.total.items
            self.state = replace(state, base=base)
        else:
            self.state = replace(state, settled=state.settled + len(doubtful))
        return found

    def _send(self, batch: Batch, name: str) -> Iterator[Event]:
        """Begin to send one batch, unless an earlier run did."""
        if self._begin is not None:
            self._open(self._begin())
            self._begin = None
        self._number += 1
        number = self._number
        if self._was_there(number, batch.items):
            return
        # What is sent next is looked at while the last is on its way.
        crc = crc32(batch.items.lines) if self._lanes.most == 1 else None
        yield from self._collect(1)
        while number > self.state.batches + AHEAD * self._lanes.most:
            yield from self._collect(self._lanes.most - self._lanes.busy + 1)
        self._start(_Call(number, batch, name, f"{self.state.key}-{number}", crc=crc))
        if len(batch.items.lines) < self.state.batch_bytes // 2:
            # Whatever it comes from may pause; what became of it is told before.
            yield from self._collect(self._lanes.most)

    def _was_there(self, number: int, items: Items) -> bool:
        """Whether an earlier run sent a batch, which then must be the same."""
        was = self._resumed
        if sent := self._there.pop(number, None):
            if not self._is_held(items, sent.items):
                self._repeats()
                return False
            refused = len(items) - sent.items
            there = There(sent.items, len(items.lines), refused, crc32(items.lines))
            self.state = self.state.acknowledged(number, there)
            return True
        if number > was.batches and number not in was.ahead:
            return False
        crc = crc32(items.lines)
        if number > was.batches:
            same = crc == was.ahead[number].crc
        else:
            self._passed = self._passed.then(There(crc=crc))
            same = number < was.batches or self._passed.crc == was.there.crc
        if not same:
            raise self._cut_otherwise()
        return True

    def _is_held(self, items: Items, size: int) -> bool:
        """Whether the dataset has at its end what the count says, as far as one can look."""
        if self._lanes.most > 1 or size != len(items) or self.state.base is None:
            return True
        return holds(self.datasets, self.ref, self.state.base + self.state.total.items, items)

    def _repeats(self) -> None:
        """One batch more is sent that may be there already; from now on the count is another's."""
        state = self.state
        self.state = replace(
            state, base=None, repeated=state.repeated + 1, settled=max(state.settled - 1, 0)
        )

    def _cut_otherwise(self) -> Conflict:
        return Conflict(
            f"the files are not cut as they were: {self._resumed.total.items:,} items of them "
            "are there already",
            hint="--restart pushes all of them again",
        )

    def _start(self, call: _Call) -> None:
        self._write(self.state.sent(call.number, len(call.batch.items)))
        self._lanes.start(call)

    def _push(self, call: _Call) -> None:
        """In a thread of its own."""
        if call.crc is None:
            call.crc = crc32(call.batch.items.lines)
        self.datasets.push(self.ref, call.batch.items, idempotency_key=call.key)

    def _collect(self, free: int) -> Iterator[Event]:
        """Note what has come to its end, until so many lanes are free; then raise what failed."""
        before = self.state
        failures = [self._settle(outcome) for outcome in self._lanes.over(free)]
        while self._doubtful and not any(failures):
            failures += [self._settle(outcome) for outcome in self._lanes.over(self._lanes.most)]
            failures.append(self._decide())
            failures += [self._settle(outcome) for outcome in self._lanes.over(free)]
        failed = next(filter(None, failures), None)
        if failed:
            for outcome in self._lanes.over(self._lanes.most):
                self._settle(outcome)
            self._write(self.state)
            if self.journal and not self.state.last:
                self.journal.forget()
        yield from self._news()
        if self.state is not before:
            done = self.state.total
            yield Advanced(done.items, done.bytes)
        if failed:
            raise failed

    def _decide(self) -> BaseException | None:
        """Send again what is in doubt, but for what is there; the failure if nobody tells."""
        calls, self._doubtful = self._doubtful, []
        sizes = {call.number: len(call.batch.items) for call in calls}
        try:
            found = self._found(sizes, time.time())
        except StorectlError as error:
            return error
        for call in calls:
            items = call.batch.items
            if found and call.number in found:
                if self._is_held(items, len(items)):
                    self._note(call, items)
                    continue
                self._repeats()
                call.is_repeated = True
            elif found is None and not call.is_repeated:
                call.is_repeated = True
                self.state = replace(self.state, repeated=self.state.repeated + 1)
            call.tries += 1
            self.retried += 1
            self._start(call)
        return None

    def _settle(self, outcome: Outcome[_Call]) -> BaseException | None:
        """Note what became of a call; the failure that ends the push, if it is one."""
        call, error = outcome
        if isinstance(error, InvalidInput) and (wrong := _breaking_schema(error)):
            self._send_rest(call, wrong)
            return None
        if error is None:
            self._note(call, call.batch.items)
        elif isinstance(error, NOT_THERE):
            self.state = self.state.dropped(call.number)
        elif is_doubtful(error) and call.tries < self.retries and not self.datasets.keeps_keys():
            self._doubtful.append(call)
            return None
        return error

    def _note(self, call: _Call, items: Items) -> None:
        there = There(len(items), len(items.lines), call.refused, call.crc or 0)
        self.state = self.state.acknowledged(call.number, there)

    def _send_rest(self, call: _Call, wrong: dict[int, str]) -> None:
        """Send a batch again without the items that break the schema."""
        batch = call.batch
        self._bad += [Refused(f"{call.name}:{batch.lines[at]}", why) for at, why in wrong.items()]
        kept = [at for at in range(len(batch.lines)) if at not in wrong]
        lines = batch.items.lines.splitlines()
        items = Items.from_lines([lines[at] for at in kept])
        rest = Batch(items, [batch.lines[at] for at in kept])
        refused = call.refused + len(wrong)
        again = _Call(call.number, rest, call.name, f"{call.key}-valid", refused, call.crc)
        if kept:
            self._start(again)
        else:
            self._note(again, items)

    def _news(self) -> Iterator[Event]:
        """Items that were refused since it was last asked."""
        yield from self._bad
        self._bad.clear()

    def _write(self, state: State) -> None:
        self.state = state
        if self.journal:
            self.journal.write(state, durable=True)


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
