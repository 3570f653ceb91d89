"""storectl queue: request queues and their requests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Annotated, Any

import msgspec
import typer

from storectl.cli import request as shown
from storectl.cli.copy_queue import add_copy
from storectl.cli.exchange import add_exchange, source_of
from storectl.cli.frame import App, Context
from storectl.cli.listing import Limited, Noun
from storectl.cli.lock import add_lock_verbs
from storectl.cli.options import CreateQueue, DryRun, Limit, Ordered, Ref
from storectl.cli.progress import summary
from storectl.cli.request import SomeIds, States, Told, batched, by_id, selected, states_of
from storectl.cli.storage import add_verbs
from storectl.cli.values import Column, plural
from storectl.cli.work import add_work_verb
from storectl.errors import InvalidInput, Partial
from storectl.model import rules
from storectl.model.queue import Queue, Queues
from storectl.model.request import METHODS, Request, as_new, check_url, state_of, unique_key
from storectl.transfer import queue as transfer
from storectl.transfer.queue import Line

app = App("Request queues: URLs to visit, each once.")

QUEUE = Noun(
    "queue",
    "request queue",
    Queue,
    counted=[
        Column("totalRequestCount", "REQUESTS", "count"),
        Column("pendingRequestCount", "PENDING", "count"),
    ],
    described=[
        Column("totalRequestCount", "Requests", "count"),
        Column("handledRequestCount", "Handled", "count"),
        Column("pendingRequestCount", "Pending", "count"),
    ],
)

add_verbs(app, QUEUE)
add_copy(app)
add_exchange(app)
add_lock_verbs(app)
add_work_verb(app)


@app.command("add")
def add(
    ctx: Context,
    ref: Ref,
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="URLs, or requests as JSON.", show_default=False),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="A URL or a request as JSON in each line; - is stdin.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="HTTP method of the requests.", show_default=False),
    ] = None,
    user_data: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="userData of the requests.", show_default=False),
    ] = None,
    unique_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="What tells a single URL from others.", show_default=False
        ),
    ] = None,
    forefront: Annotated[
        bool, typer.Option("--forefront", help="Before all others; the last one first.")
    ] = False,
    create: CreateQueue = False,
    ordered: Ordered = True,
) -> None:
    """Add requests to a queue. What is there already stays as and where it is.

    A request is known by its uniqueKey. Where none is given it is the URL with
    scheme and host in lower case, its query sorted, without utm_ parameters,
    fragment and a slash at the end, as Crawlee has it. In a pipe the IDs come out,
    also of those that were there.

    A server other than storectl serve takes 25 in a call, one call after the other:
    --unordered makes --jobs of them at a time, and the queue has any order.

    Examples:
      storectl queue add crawl https://example.com --user-data '{"label": "HOME"}'
      storectl queue add crawl -i urls.txt --create
      storectl queue add crawl '{"url": "https://example.com", "method": "POST"}'
    """
    if unique_key is not None and (len(urls or []) != 1 or input is not None):
        raise InvalidInput("--unique-key is for a single URL")
    defaults = _defaults(method, user_data, unique_key)
    blocks, size = _blocks(urls or [], input)
    store, opened = ctx.obj.open(ref, "queue", remedy="the same with --create, if it is to be made")
    if create and opened.startswith("~"):
        opened = store.queues.create(opened[1:])[0].id
    out = ctx.obj.output
    told = Told(out.lines if out.form in ("tsv", "csv", "quiet") else None)
    events = transfer.add(
        store.queues,
        opened,
        blocks,
        total_bytes=size,
        make=partial(transfer.to_request, defaults=defaults),
        forefront=forefront,
        jobs=1 if ordered else ctx.obj.jobs(store) or 1,
        on_added=told.take,
    )
    done, progress = out.follow(events, "request")
    if not done.moved and not done.refused:
        raise InvalidInput("no requests in the input")
    sentence = f"{told.sentence()} of '{ref}' of {store.label}"
    refused = [{"where": one.where, "why": one.why} for one in progress.refused]
    if done.moved or out.form in ("json", "jsonl"):
        out.did(sentence, [], told.counts() | {"secs": round(done.secs, 3), "refused": refused})
    if done.moved and told.show is not None:
        out.summary(f"{sentence}; {summary(done, 'request')}")
    if done.refused and done.moved:
        raise Partial(f"{plural(done.refused, 'request')} refused, {done.moved:,} taken")
    if done.refused:
        raise InvalidInput("no request could be added")


def _defaults(method: str | None, user_data: str | None, unique_key: str | None) -> Request:
    """Fields for requests that do not say so themselves."""
    found: Request = {}
    if method is not None:
        if method.upper() not in METHODS:
            raise InvalidInput(f"--method {method!r} is not an HTTP method")
        found["method"] = method.upper()
    if user_data is not None:
        try:
            found["userData"] = msgspec.json.decode(user_data, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise InvalidInput(
                f"--user-data is no JSON object: {error}", hint="""--user-data '{"label": "A"}'"""
            ) from None
    if unique_key is not None:
        found["uniqueKey"] = unique_key
    return found


def _blocks(urls: list[str], input: str | None) -> tuple[Iterator[list[Line]], int | None]:
    """The lines of arguments, then of the input; and the bytes of a file."""
    given = [Line(f"URL {at}", os.fsencode(url)) for at, url in enumerate(urls, 1)]
    if input is None and not urls:
        if sys.stdin.isatty():
            raise InvalidInput(
                "no input: name URLs, or a file with -i", hint="storectl queue add --help"
            )
        input = "-"
    if input is None:
        return iter([given]), None
    source = source_of(input)
    return chain([given], transfer.lines([source])), source.size


@app.command("head")
def head(
    ctx: Context,
    ref: Ref,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=rules.MAX_HEAD, help="At most N.")
    ] = 100,
    client_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Who asks; without one the queue counts another client.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the requests that are next, in order: not handled and not locked.

    Example: storectl queue head crawl --limit 5
    """
    rules.check_client_key(client_key)
    store, opened = ctx.obj.open(ref, "queue")
    items = store.queues.head(opened, limit=limit, client_key=client_key).items
    ctx.obj.output.listing(
        shown.HEAD_COLUMNS, shown.HEAD_FIELDS, items, empty=f"no request is next in '{ref}'"
    )


@app.command("requests")
def requests(
    ctx: Context,
    ref: Ref,
    state: States = None,
    url_glob: Annotated[
        str | None,
        typer.Option(metavar="GLOB", help="Only URLs like this; quote it.", show_default=False),
    ] = None,
    limit: Limit = None,
) -> None:
    """List requests, by ID: all, or those in some states.

    failed is handled without success: it has errorMessages, or Crawlee marked it
    so. --json and --jsonl show whole requests, with their state.

    Examples:
      storectl queue requests crawl --state failed
      storectl queue requests crawl --url-glob '*/detail/*' --limit 10
    """
    states = states_of(state)
    store, opened = ctx.obj.open(ref, "queue")
    found = Limited(map(shown.row_of, selected(store.queues, opened, states, url_glob)), limit)
    ctx.obj.output.listing(
        shown.COLUMNS,
        shown.FIELDS,
        found,
        empty=f"no requests like that in '{ref}'" if states or url_glob else f"'{ref}' is empty",
        tail=lambda: (None if found.truncated else found.count, found.truncated),
    )


@app.command("get")
def get(
    ctx: Context,
    ref: Ref,
    id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Its ID.", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Find it by its URL instead.", show_default=False),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--unique-key", metavar="KEY", help="Or by its uniqueKey.", show_default=False
        ),
    ] = None,
) -> None:
    """Show one request with all it holds; in a pipe as JSON.

    --url finds what was added with the uniqueKey that `queue add` gives it.

    Example: storectl queue get crawl --url https://example.com/about
    """
    if [id, url, key].count(None) != 2:
        raise InvalidInput("name the request by one of ID, --url and --unique-key")
    if url is not None:
        key = unique_key(check_url(url))
    wanted = rules.request_id(key) if key is not None else str(id)
    store, opened = ctx.obj.open(ref, "queue")
    found = store.queues.request(opened, wanted)
    out = ctx.obj.output
    if out.form == "tsv" and out.settings.form == "auto":
        out.value(found)
    else:
        out.record(shown.LINES, shown.FIELDS, shown.row_of(found))


@app.command("retry")
def retry(
    ctx: Context,
    ref: Ref,
    ids: SomeIds = None,
    id: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="The same as an argument.", show_default=False),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that were handled without success.")
    ] = False,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE,…", help="handled, failed.", show_default=False),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Make handled requests pending again, as if nobody had visited them.

    retryCount and errorMessages start anew, userData stays. They are last in the
    queue. To find them by state every request of the queue is read. What is pending
    or locked stays as it is.

    Examples:
      storectl queue retry crawl --failed --dry-run
      storectl queue retry crawl 8OamqXBCpPHxyH9
    """
    names = [*(ids or []), *(id or [])]
    states = states_of(["failed"] if failed else state, ("handled", "failed"))
    if bool(names) == bool(states) or (failed and state):
        raise InvalidInput(
            "name either requests, --failed or --state", hint=f"storectl queue retry {ref} --failed"
        )
    store, opened = ctx.obj.open(ref, "queue")
    queues = store.queues
    if names:
        found = by_id(ctx, queues, opened, names)
        left = [one for one in found if state_of(one) in ("pending", "locked")]
        wanted: Iterator[Request] = iter([one for one in found if one not in left])
    else:
        left = []
        wanted = selected(queues, opened, states)
    done: list[str] = []
    for batch in batched(wanted):
        if not dry_run:
            queues.update_requests(opened, [as_new(one) for one in batch])
        done += [one["id"] for one in batch]
    verb = "Would retry" if dry_run else "Retried"
    more = f"; {len(left):,} not handled yet" if left else ""
    ctx.obj.output.did(
        f"{verb} {plural(len(done), 'request')} of '{ref}' of {store.label}{more}",
        done,
        {"retried": 0 if dry_run else len(done), "ids": done},
    )


@app.command("rm-requests")
def rm_requests(
    ctx: Context,
    ref: Ref,
    ids: SomeIds = None,
    state: States = None,
    dry_run: DryRun = False,
) -> None:
    """Delete requests: those of the IDs, or all in some states. There is no way back.

    An ID that is not there is a failure, and then nothing is deleted. Elsewhere
    than on a terminal --yes is needed.

    Examples:
      storectl queue rm-requests crawl 8OamqXBCpPHxyH9
      storectl queue rm-requests crawl --state handled --dry-run
    """
    states = states_of(state)
    if bool(ids) == bool(states):
        raise InvalidInput("name either requests or a --state of them")
    store, opened = ctx.obj.open(ref, "queue")
    found = by_id(ctx, store.queues, opened, ids) if ids else selected(store.queues, opened, states)
    doomed = [one["id"] for one in found]
    what = f"{plural(len(doomed), 'request')} of '{ref}' of {store.label}"
    out = ctx.obj.output
    if dry_run or not doomed:
        out.did(f"Would delete {what}", doomed, {"deleted": 0, "ids": doomed})
        return
    out.confirm(f"delete {what}")
    left = _delete(store.queues, opened, doomed)
    gone = [id for id in doomed if id not in left]
    out.did(
        f"Deleted {plural(len(gone), 'request')} of '{ref}' of {store.label}",
        gone,
        {"deleted": len(gone), "ids": gone},
    )
    if left:
        raise Partial(f"{plural(len(left), 'request')} were left by the server")


def _delete(queues: Queues, ref: str, ids: list[str]) -> set[str]:
    """Delete requests; the IDs of those that the server left."""
    left: set[str] = set()
    for batch in batched(ids):
        answer = queues.delete_requests(ref, [{"id": id} for id in batch])
        left.update(key["id"] for key in answer.unprocessed_requests)
    return left
