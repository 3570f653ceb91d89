"""Requests between lines of text and a queue, in constant memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import msgspec

from storectl.errors import InvalidInput, NotFound, StorectlError
from storectl.model import rules
from storectl.model.items import check_utf8, not_json, too_large
from storectl.model.queue import Added, AddedBatch, Queue, Queues, every_request
from storectl.model.request import (
    Request,
    State,
    as_new,
    check_request,
    check_url,
    key_of,
    state_of,
)
from storectl.transfer.dataset import Input, Source, whole_file
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

READ_BYTES = 1024 * 1024
BATCH = 1000
"""Requests of one call: few enough for their answer to be at hand, and one commit."""

BATCH_BYTES = 4 * 1024 * 1024


SHARE = rules.MAX_BATCH_REQUESTS
"""The fewest requests of a call where several are made at once."""


class Line(NamedTuple):
    """One request to be, and where it was read."""

    where: str
    text: bytes


Part = list[tuple[Line, Request]]


def lines(sources: Iterable[Source]) -> Iterator[list[Line]]:
    """The lines of files and pipes, in blocks that end where a producer pauses."""
    for source in sources:
        with source.open() as opened:
            stream = Input(opened)
            rest, at = b"", 0
            while block := stream.read(READ_BYTES):
                *whole, rest = (rest + block).split(b"\n")
                if len(rest) > rules.MAX_PAYLOAD_BYTES:
                    raise InvalidInput(f"{source.name}:{at + len(whole) + 1}: the line has no end")
                yield _numbered(source.name, at, whole)
                at += len(whole)
            yield _numbered(source.name, at, [rest])


def add(
    queues: Queues,
    ref: str,
    blocks: Iterable[list[Line]],
    *,
    total_bytes: int | None = None,
    make: Callable[[bytes], Request] | None = None,
    forefront: bool = False,
    jobs: int = 1,
    on_added: Callable[[list[Added]], None],
) -> Iterator[Event]:
    """Add a request for each line, in order.

    make: of a line its request; to_request if not given. jobs: parts on their way at once;
    with more than one of them the order of the queue is any. on_added gets the answers
    of each part. A line that makes no request is Refused, and the rest goes on; a
    failure of the store ends it, and what was added stays.
    """
    begin = time.monotonic()
    make = make or to_request
    yield Started(total_bytes)
    moved = moved_bytes = refused = 0

    def send(part: Part) -> AddedBatch:
        requests = [request for _, request in part]
        return queues.add(ref, requests, forefront=forefront, idempotency_key=rules.new_id())

    with closing(_Calls(send, jobs)) as calls:
        for block in chain(blocks, [None]):
            good: Part = []
            for line in block or ():
                if not line.text.strip():
                    continue
                try:
                    good.append((line, make(line.text)))
                except StorectlError as error:
                    refused += 1
                    yield Refused(line.where, error.message)
            for part, answer in calls.made(_parts(good, jobs), last=block is None):
                on_added(answer.processed_requests)
                left = {request["uniqueKey"] for request in answer.unprocessed_requests}
                for line, request in part:
                    if request["uniqueKey"] in left:
                        refused += 1
                        yield Refused(line.where, "the server did not take it")
                    else:
                        moved += 1
                        moved_bytes += len(line.text) + 1
                yield Advanced(moved, moved_bytes)
    yield Finished(moved, moved_bytes, time.monotonic() - begin, refused)


def _pool(jobs: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # 8 ms, and a help or a list has no calls

    return ThreadPoolExecutor(jobs)


class _Calls:
    """Sends parts, `jobs` at once and not many ahead; what came of them, in their order."""

    def __init__(self, send: Callable[[Part], AddedBatch], jobs: int) -> None:
        self._send, self._jobs = send, jobs
        self._running: deque[tuple[Part, Future[AddedBatch]]] = deque()
        self._pool = _pool(jobs) if jobs > 1 else None

    def made(self, parts: Iterable[Part], *, last: bool) -> Iterator[tuple[Part, AddedBatch]]:
        """Begin to send parts; those that are over by now, or all if none will follow."""
        if self._pool is None:
            yield from ((part, self._send(part)) for part in parts)
            return
        running = self._running
        for part in parts:
            running.append((part, self._pool.submit(self._send, part)))
            while len(running) > 2 * self._jobs or running[0][1].done():
                yield running[0][0], running.popleft()[1].result()
        while running and (last or running[0][1].done()):
            yield running[0][0], running.popleft()[1].result()

    def close(self) -> None:
        """Begin nothing more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def to_request(text: bytes, defaults: Request | None = None) -> Request:
    """A request of a line: a URL, or a JSON object with `url`. Raises InvalidInput, TooLarge.

    defaults: fields for requests that do not have them.
    """
    if len(text) > rules.MAX_PAYLOAD_BYTES:
        raise too_large(len(text))
    line = check_utf8(text).strip().removeprefix("\ufeff")
    if line[:1] == "[":
        raise InvalidInput("an array; give one request a line")
    if line[:1] != "{":
        request = {"url": line, **(defaults or {})}
        if "uniqueKey" in request:
            check_url(line)
    else:
        request = {**(defaults or {}), **_object(line)}
    return _whole(request)


def imported(text: bytes, *, reset: bool = False) -> Request:
    """A request of a line that `exported` wrote, as it is to be added.

    It stays handled, unless reset; a lock it had is not taken over.
    """
    found = _object(check_utf8(text).strip().removeprefix("\ufeff"))
    kept = {name: value for name, value in found.items() if name not in _TOLD}
    if found.get("state") not in STATES:
        kept |= {name: found[name] for name in ("state",) if name in found}
    return _whole(as_new(kept) if reset and kept.get("handledAt") is not None else kept)


_TOLD = frozenset(("id", "lockExpiresAt", "lockByClient", "state"))
"""What an export tells about a request, and an import does not take."""

STATES: tuple[str, ...] = get_args(State)


def exported(
    queues: Queues, ref: str, states: tuple[str, ...] = (), *, jobs: int = 8
) -> Iterator[bytes]:
    """Requests as JSON lines, each whole and with its `state`; none of states means all.

    What is pending comes first, in the order of the queue. Where the keeper does not
    keep order, that is true of the first 1,000 alone, and the others come by ID. What is
    handled while this runs may come again with its new state. jobs: calls at once.
    """
    encode = msgspec.json.encode
    if queues.keeps_order():
        for request in _unhandled_first(queues, ref, states):
            if not states or state_of(request) in states:
                yield encode({**request, "state": state_of(request)}) + b"\n"
        return
    seen: set[str] = set()
    if not states or "pending" in states:
        for request in _in_order(queues, ref, jobs):
            seen.add(request["id"])
            if not states or state_of(request) in states:
                yield encode({**request, "state": state_of(request)}) + b"\n"
    listed = states if set(states) <= {"pending", "locked"} else ()
    for request in every_request(queues, ref, listed):
        if request["id"] not in seen and (not states or state_of(request) in states):
            yield encode({**request, "state": state_of(request)}) + b"\n"


def _unhandled_first(queues: Queues, ref: str, states: tuple[str, ...]) -> Iterator[Request]:
    """All requests, or at least those in these states.

    Those pending and then those locked, in order; then those handled, by ID.
    """
    if not states or set(states) & {"pending", "locked"}:
        locked = []  # they are few; asked for later, some would be locked no more
        for request in every_request(queues, ref, in_order=True):
            if state_of(request) == "locked":
                locked.append(request)
            else:
                yield request
        yield from locked
    if not states or set(states) - {"pending", "locked"}:
        for request in every_request(queues, ref):
            if request.get("handledAt") is not None:
                yield request


def lost_order(queues: Queues, queue: Queue) -> str | None:
    """What to tell of a queue whose order its server does not tell whole."""
    pending = queue.pending_request_count
    if pending <= rules.MAX_HEAD or queues.keeps_order():
        return None
    return (
        f"only the first {rules.MAX_HEAD:,} of {pending:,} pending requests keep their order: "
        "the server does not tell that of the others"
    )


def save(lines: Iterable[bytes], file: Path, *, total: int | None) -> Iterator[Event]:
    """Write lines to a file, which appears when it is whole. Yields its progress.

    total: how many there will be, if known.
    """
    begin = time.monotonic()
    moved = written = 0
    yield Started(total=total)
    with whole_file(file) as out:
        for line in lines:
            out.write(line)
            moved += 1
            written += len(line)
            if moved % BATCH == 0:
                yield Advanced(moved, written)
    yield Finished(moved, written, time.monotonic() - begin)


def _in_order(queues: Queues, ref: str, jobs: int) -> Iterator[Request]:
    """The requests of the head. What is deleted meanwhile is left out."""

    def whole(item: Request) -> Request | None:
        try:
            return queues.request(ref, item["id"])
        except NotFound:
            return None

    items = queues.head(ref, limit=rules.MAX_HEAD).items
    with _pool(jobs) as pool:
        yield from filter(None, pool.map(whole, items))


def _object(line: str) -> Request:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise not_json(error, line, "the line") from None
    if not isinstance(found, dict):
        raise InvalidInput("the line is not a JSON object")
    return found


def _whole(request: Request) -> Request:
    """The request with its uniqueKey, checked."""
    url = request.get("url")
    if request.get("uniqueKey") is None and isinstance(url, str):
        request["uniqueKey"] = key_of(url)
    return check_request(request)


def _numbered(name: str, at: int, texts: list[bytes]) -> list[Line]:
    return [Line(f"{name}:{number}", text) for number, text in enumerate(texts, at + 1)]


def _parts(good: Part, jobs: int) -> Iterator[Part]:
    """Parts for one call each; where few requests are to go at once, each has its share."""
    most = BATCH if jobs == 1 else min(BATCH, max(-(-len(good) // jobs), SHARE))
    part: Part = []
    size = 0
    for each in good:
        if len(part) == most or size > BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each[0].text)
    if part:
        yield part
