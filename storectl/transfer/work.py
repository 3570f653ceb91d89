"""Running a program for every request of a queue, under locks that are held while it runs.

One thread takes requests, one prolongs their locks, and each child has one. The caller's
thread touches no store until all others have ended: a signal may break it off anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from tempfile import TemporaryFile
from threading import Condition, Thread
from typing import BinaryIO, Literal, NamedTuple, cast

import msgspec

from storectl.errors import Conflict, InvalidInput, NotFound, StorectlError, TooLarge
from storectl.formats import detect, read
from storectl.model.dataset import Datasets
from storectl.model.queue import Queues
from storectl.model.request import Request, as_handled, as_retried
from storectl.transfer.child import Child, Command, Unfit
from storectl.transfer.dataset import BATCH_BYTES
from storectl.transfer.doubt import Sender

LATER = 75
"""EX_TEMPFAIL of sysexits.h: the request is put back for later."""

POLL_SECS = 2.0
"""How often an empty head is asked again."""

LATER_SECS = 30.0
"""How long --forever leaves alone what was put back for later."""

TICK_SECS = 0.5
LOST = (Conflict, InvalidInput, NotFound)
"""What a store answers about a lock that is not held any more."""

Kind = Literal["handled", "retry", "later", "failed", "lost", "gone", "released"]


class Outcome(msgspec.Struct, rename="camel", omit_defaults=True):
    """What became of one request.

    retry: it failed and is in the queue again. lost: its lock was, so nothing was written.
    gone: it was deleted or handled by another meanwhile. released: the run was stopped.
    exit: of the child, negative for a signal. items: that were collected. sent_again:
    batches of these that may be in the dataset twice.
    """

    id: str
    outcome: Kind
    url: str
    unique_key: str
    retry_count: int = 0
    secs: float = 0.0
    exit: int | None = None
    items: int | None = None
    error: str | None = None
    sent_again: int = 0


class Said(NamedTuple):
    """Whole lines that a child said, without the last newline."""

    text: bytes


class Plan(NamedTuple):
    """How a queue is worked on. max_retries: repetitions of what fails, on top of the first."""

    command: Command
    client_key: str
    jobs: int = 1
    batch: int = 2
    lock_secs: int = 120
    max_retries: int = 3
    forever: bool = False


class Collection(NamedTuple):
    """The dataset that takes what children print. queue_id: of the queue, for its keys.

    retries: how often a batch in doubt is sent again where the store knows no keys.
    """

    datasets: Datasets
    ref: str
    queue_id: str
    retries: int = 8

    def push(self, request: Request, stdout: BinaryIO) -> tuple[int, int]:
        """Append the items of an output. InvalidInput if it is not JSON.

        How many there are, and how many batches of them may be there twice. Repeated for
        a request that was not marked as handled after it, this appends nothing where the
        store remembers keys.
        """
        stdout.seek(0)
        head = stdout.read(BATCH_BYTES).lstrip()
        if not head:
            return 0, 0
        if head[:1] not in (b"{", b"["):
            raise InvalidInput("its output is neither JSON nor JSON lines")
        form = detect("stdout", head)
        visit = f"{self.queue_id} {request['id']} {request.get('collected') or 0}"
        key = "work-" + sha256(visit.encode()).hexdigest()[:40]
        self._check(form, stdout)
        count = 0
        sender = Sender(self.datasets, self.ref, self.retries, alone=False)
        stdout.seek(0)
        for at, batch in enumerate(read(form, stdout, max_bytes=BATCH_BYTES)):
            sender.push(batch.items, f"{key}-{at}")
            count += len(batch.items)
        return count, sender.repeated

    def _check(self, form: str, stdout: BinaryIO) -> None:
        """Nothing is pushed of an output that breaks off somewhere."""
        stdout.seek(0)
        try:
            for _ in read(form, stdout, max_bytes=BATCH_BYTES):
                pass
        except (InvalidInput, TooLarge) as error:
            raise InvalidInput(f"its output is not JSON: {error.message}") from None


class Hold:
    """A request that is locked for us. due: when to prolong it, by the monotonic clock."""

    def __init__(self, item: Request, due: float) -> None:
        self.item, self.due = item, due
        self.child: Child | None = None
        self.is_settled = self.is_lost = False


class Shift:
    """One run: `run` yields what happens, `stop` has to be called after it in any case."""

    def __init__(
        self, queues: Queues, ref: str, plan: Plan, collection: Collection | None = None
    ) -> None:
        self.queues, self.ref, self.plan, self.collection = queues, ref, plan, collection
        self.others_hold = False
        self._events: queue.Queue[Outcome | Said | BaseException | None] = queue.Queue(1000)
        self._waiting: queue.SimpleQueue[Hold | None] = queue.SimpleQueue()
        self._holds: dict[str, Hold] = {}
        self._later: dict[str, float] = {}
        self._changed = Condition()
        self._let_go = 0
        self._over = False
        self._threads: list[Thread] = []

    @property
    def running(self) -> int:
        """How many children run."""
        return sum(hold.child is not None for hold in list(self._holds.values()))

    def run(self) -> Iterator[Outcome | Said | None]:
        """What happens, until the queue is drained; None now and then. Raises what went wrong."""
        tasks: list[Callable[[], None]] = [
            self._take,
            self._prolong,
            *[self._serve] * self.plan.jobs,
        ]
        self._threads = [Thread(target=self._guarded, args=[task], daemon=True) for task in tasks]
        for thread in self._threads:
            thread.start()
        while True:
            try:
                event = self._events.get(timeout=TICK_SECS)
            except queue.Empty:
                yield None
                continue
            if event is None:
                return
            if isinstance(event, BaseException):
                raise event
            yield event

    def stop(self) -> list[Outcome]:
        """End all children and give back all locks; outcomes that nobody has seen yet."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
            children = [hold.child for hold in self._holds.values() if hold.child is not None]
        for child in children:
            child.stop()
        for _ in range(self.plan.jobs):
            self._waiting.put(None)
        try:
            unseen = self._unseen()
        except BaseException:  # asked once more to stop
            for child in children:
                child.kill()
            raise
        if self._holds:
            with contextlib.suppress(StorectlError):  # they end by themselves
                self.queues.unlock_all(self.ref, client_key=self.plan.client_key)
        return unseen

    def _unseen(self) -> list[Outcome]:
        """Outcomes that come until the last thread has ended."""
        unseen: list[Outcome] = []
        while any(thread.is_alive() for thread in self._threads) or not self._events.empty():
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=0.02)
                unseen += [event] if isinstance(event, Outcome) else []
        return unseen

    def _guarded(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # it is raised where somebody sees it
            with self._changed:
                self._over = True
                self._changed.notify_all()
            self._events.put(error)

    def _take(self) -> None:
        """Lock requests as children become free, until none are left."""
        plan = self.plan
        while not self._over:
            with self._changed:
                self._changed.wait_for(lambda: self._over or len(self._holds) <= plan.jobs)
                was_idle, let_go = not self._holds, self._let_go
            due = time.monotonic() + plan.lock_secs / 2
            items = [] if self._over else self._lock()
            with self._changed:
                for item in items:
                    hold = self._holds[item["id"]] = Hold(item, due)
                    self._waiting.put(hold)
                if items:
                    self._changed.notify_all()
                elif was_idle and not plan.forever:
                    break
                elif not self._over:
                    self._rest(let_go)
        self._events.put(None)

    def _rest(self, let_go: int) -> None:
        """Wait until the head may have changed; let_go: what it was before the head was asked."""
        self._changed.wait_for(lambda: self._over or self._let_go != let_go, POLL_SECS)

    def _lock(self) -> list[Request]:
        """Lock some requests; what was put back for later is passed over, and put back again."""
        passed: list[Request] = []
        try:
            while True:
                head = self.queues.lock_head(
                    self.ref,
                    lock_secs=self.plan.lock_secs,
                    limit=self.plan.batch,
                    client_key=self.plan.client_key,
                )
                now = time.monotonic()
                fresh = [
                    one
                    for one in head.items
                    if self._later.get(one["id"], 0) <= now and one["id"] not in self._holds
                ]
                passed += [one for one in head.items if one not in fresh]
                self.others_hold = head.queue_has_locked_requests and not head.items and not passed
                if fresh or not head.items or self._over:
                    return fresh
        finally:
            for one in passed:
                self._put_back(one["id"])

    def _put_back(self, id: str) -> None:
        with contextlib.suppress(*LOST):
            self.queues.unlock(self.ref, id, client_key=self.plan.client_key)

    def _prolong(self) -> None:
        """Prolong every lock at half of its time."""
        while not self._over:
            now = time.monotonic()
            for hold in list(self._holds.values()):
                if hold.due <= now and not (hold.is_settled or hold.is_lost):
                    self._prolong_one(hold)
            with self._changed:
                dues = [hold.due for hold in self._holds.values() if not hold.is_lost]
                soonest = min(dues, default=now + POLL_SECS)
                self._changed.wait(min(max(soonest - time.monotonic(), 0.05), POLL_SECS))

    def _prolong_one(self, hold: Hold) -> None:
        due = time.monotonic() + self.plan.lock_secs / 2
        try:
            self.queues.prolong(
                self.ref,
                hold.item["id"],
                lock_secs=self.plan.lock_secs,
                client_key=self.plan.client_key,
            )
        except LOST:
            hold.is_lost = not hold.is_settled
            if hold.is_lost and hold.child is not None:
                hold.child.stop()
        hold.due = due

    def _serve(self) -> None:
        """Run children, one after another."""
        while (hold := self._waiting.get()) is not None and not self._over:
            begin = time.monotonic()
            outcome = self._outcome(hold)
            outcome.secs = round(time.monotonic() - begin, 3)
            self._events.put(outcome)
            with self._changed:
                if outcome.outcome != "released":
                    del self._holds[hold.item["id"]]
                self._let_go += 1
                self._changed.notify_all()

    def _outcome(self, hold: Hold) -> Outcome:
        if hold.is_lost:
            return told(hold.item, "lost")
        try:
            request = self.queues.request(self.ref, hold.item["id"])
        except NotFound:
            return told(hold.item, "gone")
        if request.get("handledAt") is not None:
            return told(request, "gone")
        try:
            arguments = self.plan.command.of(request)
            with TemporaryFile() if self.collection else contextlib.nullcontext() as stdout:
                output = cast("BinaryIO | None", stdout)
                return self._visit(hold, request, arguments, output)
        except Unfit as error:
            return self._failed(hold, request, str(error), for_good=True)
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            return self._failed(hold, request, "it is too long for an argument", for_good=True)

    def _visit(
        self, hold: Hold, request: Request, arguments: list[bytes], stdout: BinaryIO | None
    ) -> Outcome:
        """Run the child for a request and write down what came of it."""
        child = Child(arguments, request, stdout=stdout, say=self._say)
        with self._changed:
            if self._over or hold.is_lost:
                return told(request, "lost" if hold.is_lost else "released")
            hold.child = child
        ended = child.run()
        if hold.is_lost:
            return told(request, "lost", exit=ended.code)
        if child.stopped:
            return told(request, "released", exit=ended.code)
        if ended.code == LATER:
            self._later[request["id"]] = (
                time.monotonic() + LATER_SECS if self.plan.forever else float("inf")
            )
            hold.is_settled = True
            self._put_back(request["id"])
            return told(request, "later", exit=LATER)
        if ended.code != 0:
            return self._failed(hold, request, ended.reason, exit=ended.code)
        return self._handled(hold, request, stdout)

    def _handled(self, hold: Hold, request: Request, stdout: BinaryIO | None) -> Outcome:
        """Collect what the child printed, then mark its request."""
        count, again = None, 0
        done = as_handled(request)
        if self.collection is not None and stdout is not None:
            try:
                count, again = self.collection.push(request, stdout)
            except (InvalidInput, TooLarge) as error:
                return self._failed(hold, request, error.message, exit=0)
            done["collected"] = (request.get("collected") or 0) + 1
        if hold.is_lost:
            return told(request, "lost", exit=0)
        self._write(hold, done)
        outcome = told(done, "handled", exit=0, items=count)
        outcome.sent_again = again
        return outcome

    def _failed(
        self,
        hold: Hold,
        request: Request,
        error: str,
        *,
        exit: int | None = None,
        for_good: bool = False,
    ) -> Outcome:
        """Put a request back for another try, or mark it as failed after the last one."""
        tries = request.get("retryCount") or 0
        is_last = for_good or tries >= self.plan.max_retries or bool(request.get("noRetry"))
        done = as_handled(request, error=error) if is_last else as_retried(request, error)
        self._write(hold, done)
        return told(done, "failed" if is_last else "retry", exit=exit, error=error)

    def _write(self, hold: Hold, request: Request) -> None:
        hold.is_settled = True
        self.queues.update_request(self.ref, request, client_key=self.plan.client_key)

    def _say(self, text: bytes) -> None:
        self._events.put(Said(text))


def told(
    request: Request,
    kind: Kind,
    *,
    exit: int | None = None,
    items: int | None = None,
    error: str | None = None,
) -> Outcome:
    """The outcome of a request."""
    return Outcome(
        id=request["id"],
        outcome=kind,
        url=request["url"],
        unique_key=request["uniqueKey"],
        retry_count=request.get("retryCount") or 0,
        exit=exit,
        items=items,
        error=error,
    )
