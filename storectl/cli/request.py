"""Requests on the command line: how they are shown, named and selected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from itertools import islice
from typing import Annotated, TypeVar, get_args

import typer

from storectl.cli.frame import Context
from storectl.cli.options import comma
from storectl.cli.output import Row
from storectl.cli.values import Column
from storectl.errors import InvalidInput
from storectl.model.queue import Queues, every_request
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
    with ThreadPoolExecutor(ctx.obj.settings.jobs) as pool:
        return list(pool.map(lambda id: keeper.request(ref, id), dict.fromkeys(ids)))


def batched(things: Iterable[Thing], size: int = BATCH) -> Iterator[list[Thing]]:
    """Lists of at most so many."""
    source = iter(things)
    while batch := list(islice(source, size)):
        yield batch
