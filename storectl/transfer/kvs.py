"""Records between a key-value store and a folder: what would have to be done, and doing it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Literal

from storectl.errors import (
    Conflict,
    Forbidden,
    Internal,
    InvalidInput,
    Network,
    NotFound,
    RateLimited,
    StorectlError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from storectl.model import rules
from storectl.model.kvs import KeyValueStores, Record, every_key
from storectl.transfer.body import Body, media_type
from storectl.transfer.equal import Comparison, Pair, closable, note_of, plain
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started
from storectl.transfer.folder import Folder, Found, Note, changed
from storectl.transfer.plan import Plan, Step, Way, Wishes, most_deletes

TICK_SECS = 0.2
TRIES = 4
FIRST_WAIT_SECS = 0.5
AT_ONCE = 1000
TROUBLE = (Network, Internal, Unavailable)
HOPELESS = (Unauthorized, Forbidden, RateLimited)
MOST_IN_A_ROW = 8
"""So many records in trouble, one after the other, are the trouble of the server."""


class Sync:
    """One folder and one store, and the way that records go.

    done: what the run moved so far, by the name that it has at its destination; deleted:
    how many it deleted.
    """

    def __init__(
        self,
        keeper: KeyValueStores,
        ref: str,
        folder: Folder,
        way: Way,
        wishes: Wishes,
        *,
        jobs: int = 8,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.keeper, self.ref, self.folder = keeper, ref, folder
        self.way, self.wishes, self.jobs, self._sleep = way, wishes, jobs, sleep
        self.done: list[str] = []
        self.deleted = 0
        self._bytes = 0
        self._again: Counter[str] = Counter()
        self._lock = Lock()
        self._stopped = False

    def plan(self) -> Plan:
        """Look at both sides. Raises what forbids to go on: see `_check_deletes`."""
        plan = Plan()
        pairs = self._pairs(plan)
        both = [pair for pair in pairs if pair.file is not None and pair.record is not None]
        comparison = Comparison(
            self.keeper, self.ref, self.folder, self.way, self.wishes, self.jobs
        )
        equal = {pair.key: note for pair, note in zip(both, comparison.notes(both), strict=True)}
        deletes = []
        for pair in pairs:
            source, target = self._ends(pair)
            if source is None:
                deletes.append(pair)
            elif target is None and self.wishes.existing:
                plan.passed += 1
            elif target is None:
                plan.steps.append(self._step(pair, "new"))
            elif note := equal[pair.key]:
                plan.same.add(pair.key)
                if pair.file is not None and note is not pair.file.note:
                    plan.learned.append((pair.file, note))
            elif self.wishes.ignore_existing:
                plan.passed += 1
            elif self.wishes.no_clobber:
                where = pair.name if self.way == "pull" else pair.key
                plan.kept.append(Refused(where, "is already there, and differs"))
            else:
                plan.steps.append(self._step(pair, "changed"))
        if self.wishes.delete:
            self._check_deletes(pairs, deletes)
            plan.steps += [self._step(pair, "extra") for pair in deletes]
        return plan

    def run(self, plan: Plan) -> Generator[Event, None, None]:
        """Do it, several steps at a time. Yields progress and what was refused.

        What is deleted is deleted last, and only if nothing went wrong before. A failure
        that is not that of one record ends the run; what was done stays done, and is not
        done again.
        """
        begin = time.monotonic()
        moves = plan.moves
        yield Started(sum(step.bytes for step in moves), len(moves))
        if self.folder.keeps:
            self.folder.tidy()
        for file, note in plan.learned:
            self.folder.remember(file.name, file.stamp, note)
        yield from plan.refused
        yield from plan.kept
        refused = len(plan.refused) + len(plan.kept)
        with closing(self._each(moves)) as steps:
            for step in steps:
                if isinstance(step, Refused):
                    refused += 1
                    yield step
                    continue
                if step is not None:
                    self.done.append(self._named(step))
                yield Advanced(len(self.done), self._bytes)
        with closing(self._each([] if refused else plan.deletes)) as steps:
            for step in steps:
                if isinstance(step, Refused):
                    refused += 1
                    yield step
                elif step is not None:
                    self.deleted += 1
        secs = time.monotonic() - begin
        yield Finished(len(self.done), self._bytes, secs, refused, retries=self._again.total())

    # Planning

    def _pairs(self, plan: Plan) -> list[Pair]:
        """Every key that is meant, on whichever side it is, in their order."""
        take = self.wishes.take
        records = {each.key: each for each in every_key(self.keeper, self.ref) if take(each.key)}
        found: dict[str, Found] = {}
        files = sorted(self.folder.files(), key=lambda file: (file.note is None, file.name))
        for file in files:
            if file.key is None:
                if self.way == "push" and take(file.name):
                    plan.refused.append(Refused(file.name, "the name is that of no key"))
            elif take(file.key):
                if file.key in found:
                    other = found[file.key].name
                    plan.refused.append(Refused(file.name, f"{other} has the same key"))
                else:
                    found[file.key] = file
        named = self.folder.names_of(sorted(records), files)
        return [
            Pair(key, named[key], found.get(key), records.get(key))
            for key in sorted(records.keys() | found.keys())
        ]

    def _ends(self, pair: Pair) -> tuple[object, object]:
        """Source and target of a pair."""
        ends = (pair.record, pair.file)
        return ends if self.way == "pull" else ends[::-1]

    def _step(self, pair: Pair, why: Literal["new", "changed", "extra"]) -> Step:
        stored = pair.record.size if pair.record else 0
        held = pair.file.stamp.size if pair.file else 0
        from_store = (self.way == "pull") != (why == "extra")
        return Step(
            op="delete" if why == "extra" else self.way,
            key=pair.key,
            file=pair.name,
            bytes=stored if from_store else held,
            why=why,
            file_was=pair.file.stamp if pair.file else None,
            record_was=pair.record.size if pair.record else None,
            record_sha256=(pair.record.sha256 or None) if pair.record else None,
        )

    def _check_deletes(self, pairs: list[Pair], deletes: list[Pair]) -> None:
        if not deletes:
            return
        if len(deletes) == len(pairs):
            raise InvalidInput(
                f"the source is empty: --delete would delete all {len(deletes):,} records "
                "of the destination",
                hint="storectl kvs unset deletes records" if self.way == "push" else None,
            )
        there = sum(self._ends(pair)[1] is not None for pair in pairs)
        most = most_deletes(self.wishes.max_delete, there)
        if most is not None and len(deletes) > most:
            raise TooLarge(
                f"--delete would delete {len(deletes):,} of {there:,} records, "
                f"and --max-delete is {self.wishes.max_delete}; nothing was changed",
                hint="the same with --dry-run shows which",
                type="max-delete",
            )

    # Doing

    def _named(self, step: Step) -> str:
        return str(self.folder.path / step.file) if self.way == "pull" else step.key

    def _each(self, steps: list[Step]) -> Generator[Step | Refused | None, None, None]:
        """Do steps, `jobs` at a time: each that is done, or why it is not; None now and then."""
        left = iter(steps)
        pending: dict[Future[None], Step] = {}
        over: SimpleQueue[Future[None]] = SimpleQueue()
        in_a_row = 0
        pool = ThreadPoolExecutor(self.jobs)
        try:
            while True:
                for step in islice(left, 2 * self.jobs - len(pending)):
                    future = pool.submit(self._do, step)
                    pending[future] = step
                    future.add_done_callback(over.put)
                if not pending:
                    return
                try:
                    future = over.get(timeout=TICK_SECS)
                except Empty:
                    yield None
                    continue
                step, error = pending.pop(future), future.exception()
                in_a_row = in_a_row + 1 if isinstance(error, TROUBLE) else 0
                if error is None:
                    yield step
                elif _is_of_one(error) and in_a_row < MOST_IN_A_ROW:
                    yield Refused(step.key if step.op == "pull" else step.file, str(error))
                else:
                    raise error
        finally:
            self._stopped = True
            pool.shutdown(wait=True, cancel_futures=True)
            self._stopped = False

    def _do(self, step: Step) -> None:
        if step.op == "pull":
            self._pull(step)
        elif step.op == "push":
            self._push(step)
        elif self.way == "pull":
            self.folder.remove(step.file, step.file_was)
        else:
            self.keeper.remove(self.ref, step.key)

    def _pull(self, step: Step) -> None:
        if not step.file:
            raise Conflict("no free name is left for its file")
        for attempt in range(TRIES):
            try:
                record = self.keeper.record(self.ref, step.key)
            except NotFound:
                raise changed("the record was deleted meanwhile") from None
            note = note_of(record, raw=self.wishes.raw, stored=step.record_was)
            note.sha256 = step.record_sha256
            try:
                with closing(closable(record.body)) as body:
                    blocks = body if self.wishes.raw else plain(record, body)
                    self.folder.write(step.file, self._counted(blocks), step.file_was, note)
                return
            except Network:  # the answer broke off; until it comes, the keeper tries again itself
                if attempt == TRIES - 1 or self._stopped:
                    raise
            self._again[step.key] += 1
            self._sleep(FIRST_WAIT_SECS * 2**attempt)

    def _push(self, step: Step) -> None:
        assert step.file_was is not None
        known = self.folder.memory.files.get(step.file)
        was, rest = step.file_was, known or Note(key=step.key)
        encoding = rules.check_encoding(rest.content_encoding)
        with self.folder.reading(step.file, was) as descriptor:
            body = Body.of_open(descriptor, step.file)
            content_type = rest.content_type or media_type(body, [step.file, step.key])
            blocks = Unchanged(self._counted, body, lambda: self.folder.check(descriptor, was))
            record = Record(
                key=step.key,
                content_type=content_type,
                content_encoding=encoding,
                size=was.size,
                body=blocks,
            )
            self.keeper.put(self.ref, record)
        note = Note(
            key=step.key,
            content_type=content_type,
            content_encoding=encoding,
            stored=was.size,
            sha256=blocks.sha256,
        )
        self.folder.remember(step.file, was, note)

    def _counted(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks, counted for as long as they are not in vain."""
        size = 0
        try:
            for block in blocks:
                if self._stopped:
                    raise changed("stopped")
                size += len(block)
                with self._lock:
                    self._bytes += len(block)
                yield block
        except BaseException:
            with self._lock:
                self._bytes -= size
            raise


class Unchanged:
    """The body of a file, which ends only if the file still is what it was.

    It can be read again, as a retry does. sha256: of what was read last, once it ended.
    """

    def __init__(
        self,
        counted: Callable[[Iterable[bytes]], Iterator[bytes]],
        body: Body,
        check: Callable[[], None],
    ) -> None:
        self._counted, self._body, self._check = counted, body, check
        self.sha256: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        held = b""
        actual = sha256()
        for block in self._counted(self._body):
            actual.update(block)
            if held:
                yield held
            held = block
        self._check()
        self.sha256 = actual.hexdigest()
        if held:
            yield held


def _is_of_one(error: BaseException) -> bool:
    """Whether a failure may be that of one record alone."""
    return isinstance(error, StorectlError) and not isinstance(error, HOPELESS)
