"""Requests from lines of text into a queue, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from storectl.errors import InvalidInput, StorectlError
from storectl.model import rules
from storectl.model.items import check_utf8, not_json, too_large
from storectl.model.queue import Added, Queues
from storectl.model.request import Request, check_request, check_url, unique_key
from storectl.transfer.dataset import Input, Source
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started

READ_BYTES = 1024 * 1024
BATCH = 1000
"""Requests of one call: few enough for their answer to be at hand, and one commit."""

BATCH_BYTES = 4 * 1024 * 1024


class Line(NamedTuple):
    """One request to be, and where it was read."""

    where: str
    text: bytes


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
    defaults: Request | None = None,
    forefront: bool = False,
    on_added: Callable[[list[Added]], None],
) -> Iterator[Event]:
    """Add a request for each line, in order: a URL, or a request as JSON.

    defaults: fields for requests that do not have them. on_added gets the answers
    of each call. A line that makes no request is Refused, and the rest goes on; a
    failure of the store ends it, and what was added stays.
    """
    begin = time.monotonic()
    yield Started(total_bytes)
    moved = moved_bytes = refused = 0
    for block in blocks:
        good: list[tuple[Line, Request]] = []
        for line in block:
            if not line.text.strip():
                continue
            try:
                good.append((line, to_request(line.text, defaults or {})))
            except StorectlError as error:
                refused += 1
                yield Refused(line.where, error.message)
        for part in _parts(good):
            answer = queues.add(
                ref,
                [request for _, request in part],
                forefront=forefront,
                idempotency_key=rules.new_id(),
            )
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


def to_request(text: bytes, defaults: Request) -> Request:
    """A request of a line: a URL, or a JSON object with `url`. Raises InvalidInput, TooLarge."""
    if len(text) > rules.MAX_PAYLOAD_BYTES:
        raise too_large(len(text))
    line = check_utf8(text).strip().removeprefix("\ufeff")
    if line[:1] == "[":
        raise InvalidInput("an array; give one request a line")
    if line[:1] != "{":
        request = {"url": check_url(line), **defaults}
    else:
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise not_json(error, line, "the line") from None
        request = {**defaults, **found}
    url = request.get("url")
    if request.get("uniqueKey") is None and isinstance(url, str):
        request["uniqueKey"] = unique_key(check_url(url))
    return check_request(request)


def _numbered(name: str, at: int, texts: list[bytes]) -> list[Line]:
    return [Line(f"{name}:{number}", text) for number, text in enumerate(texts, at + 1)]


def _parts(good: list[tuple[Line, Request]]) -> Iterator[list[tuple[Line, Request]]]:
    """Parts for one call each."""
    part: list[tuple[Line, Request]] = []
    size = 0
    for each in good:
        if len(part) == BATCH or size > BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each[0].text)
    if part:
        yield part
