"""Requests on the command line: how they are shown, named and selected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Annotated, Any, TypeVar, get_args

import typer

from storectl.cli.frame import Context
from storectl.cli.options import comma
from storectl.cli.output import Row
from storectl.cli.values import Column, plural
from storectl.errors import InvalidInput
from storectl.model.queue import Added, Queues, every_request
from storectl.model.request import Request, State, state_of

COLUMNS = [
    Column("id", "ID", whole=True),
    Column("state", "STATE"),
    Column("method", "METHOD"),
    Column("url", "URL"),
    Column("retryCount", "RETRIES", "count"),
    Column("lockExpiresAt", "LOCKED UNTIL", "time"),
]
HEAD_COLUMNS = [column for column in COLUMNS if column.field not in ("state", "lockExpiresAt")]
HEAD_FIELDS = ["id", "uniqueKey", "url", "method", "retryCount"]
LOCKED_COLUMNS = [column for column in COLUMNS if column.field != "state"]
LOCKED_FIELDS = [*HEAD_FIELDS, "lockExpiresAt", "lockByClient"]
LINES = [
    Column("id", "ID"),
    Column("state", "State"),
    Column("uniqueKey", "Unique key"),
    Column("method", "Method"),
    Column("url", "URL"),
    Column("loadedUrl", "Loaded URL"),
    Column("headers", "Headers"),
    Column("payload", "Payload"),
    Column("userData", "User data"),
    Column("retryCount", "Retries", "count"),
    Column("noRetry", "No retry"),
    Column("errorMessages", "Errors"),
    Column("handledAt", "Handled", "time"),
    Column("lockExpiresAt", "Locked until", "time"),
    Column("lockByClient", "Locked by"),
]
FIELDS = [column.field for column in LINES]
STATES: tuple[State, ...] = get_args(State)
BATCH = 1000

Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID", help="IDs of requests.", show_default=False),
]
SomeIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="IDs of requests.", show_default=False),
]
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE,…",
        help="Any of pending, locked, handled, failed.",
        show_default=False,
    ),
]
ClientKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="Who holds the locks: 1 to 32 characters, as `queue lock` told.",
        show_default=False,
    ),
]

Thing = TypeVar("Thing")


def row_of(request: Request) -> Row:
    """A request with its state, and with what the API takes for granted."""
    return {
        "id": request["id"],
        "state": state_of(request),
        **request,
        "method": request.get("method") or "GET",
        "retryCount": request.get("retryCount") or 0,
    }


def states_of(asked: list[str] | None, allowed: Iterable[str] = STATES) -> tuple[str, ...]:
    """The states that --state names. InvalidInput for what is none."""
    states, known = comma(asked), list(allowed)
    for state in states:
        if state not in known:
            raise InvalidInput(f"--state must be any of {', '.join(known)}, not {state!r}")
    return states


def selected(
    keeper: Queues, ref: str, states: tuple[str, ...], glob: str | None = None
) -> Iterator[Request]:
    """Requests in any of these states, with a URL like this; none means all.

    Of handled ones a queue gives no list of their own: then every request is read.
    """
    listed = states if set(states) <= {"pending", "locked"} else ()
    for request in every_request(keeper, ref, listed):
        if states and state_of(request) not in states:
            continue
        if glob is None or fnmatchcase(request["url"], glob):
            yield request


def by_id(ctx: Context, keeper: Queues, ref: str, ids: Iterable[str]) -> list[Request]:
    """Read requests, several at a time. NotFound if one is not there."""
    from concurrent.futures import ThreadPoolExecutor  # 8 ms, and most commands read none so

    with ThreadPoolExecutor(ctx.obj.settings.jobs) as pool:
        return list(pool.map(lambda id: keeper.request(ref, id), dict.fromkeys(ids)))


def batched(things: Iterable[Thing], size: int = BATCH) -> Iterator[list[Thing]]:
    """Lists of at most so many."""
    source = iter(things)
    while batch := list(islice(source, size)):
        yield batch


class Told:
    """What became of requests that were added. show: writes their IDs as they come."""

    def __init__(self, show: Callable[[Iterator[str]], object] | None) -> None:
        self.show = show
        self.added = self.present = self.handled = 0

    def take(self, answers: list[Added]) -> None:
        """Count the answers of one call."""
        present = sum(one.was_already_present for one in answers)
        handled = sum(one.was_already_handled for one in answers)
        self.added += len(answers) - present
        self.present += present - handled
        self.handled += handled
        if self.show is not None:
            self.show(one.request_id for one in answers)

    def counts(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {"added": self.added, "alreadyPresent": self.present, "alreadyHandled": self.handled}

    def sentence(self) -> str:
        """`Added 3 requests (2 were there, 1 was handled)`."""
        there = [
            f"{count:,} {'was' if count == 1 else 'were'} {state}"
            for count, state in ((self.present, "there"), (self.handled, "handled already"))
            if count
        ]
        return f"Added {plural(self.added, 'request')}" + (
            f" ({', '.join(there)})" if there else ""
        )
