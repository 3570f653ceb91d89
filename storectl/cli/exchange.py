"""storectl queue export, queue import: whole queues as JSON lines."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import CreateQueue, Ordered, OutputFile, Ref
from storectl.cli.progress import summary
from storectl.cli.request import States, Told, states_of
from storectl.cli.values import plural
from storectl.errors import InvalidInput, NotFound, Partial
from storectl.transfer import queue as transfer
from storectl.transfer.dataset import Source


def add_exchange(app: App) -> None:
    """Give the app of queues its verbs for files of requests."""
    app.command("export")(export_requests)
    app.command("import")(import_requests)


def export_requests(
    ctx: Context, ref: Ref, output: OutputFile = None, state: States = None
) -> None:
    """Write the requests of a queue as JSON lines, each whole and with its state.

    What is pending comes first, in the order of the queue. A server without the
    extension of storectl serve tells that of the first 1,000 alone: the others then
    come by ID, and a note says so. `queue import` reads what this writes.

    Examples:
      storectl queue export crawl -o crawl.jsonl
      storectl queue export crawl --state failed | jq -r .url
    """
    states = states_of(state)
    store, opened = ctx.obj.open(ref, "queue")
    queue = store.queues.get(opened)
    lines = transfer.exported(store.queues, queue.id, states, jobs=ctx.obj.settings.jobs)
    out = ctx.obj.output
    if lost := transfer.lost_order(store.queues, queue):
        out.note(lost)
    if output is None or str(output) == "-":
        out.raw(lines)
        return
    total = None if states else queue.total_request_count
    done, _ = out.follow(transfer.save(lines, output, total=total), "request")
    out.summary(f"{summary(done, 'request')} to {output}")


def import_requests(
    ctx: Context,
    ref: Ref,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="Requests as JSON lines; - is stdin, and so is none in a pipe.",
            show_default=False,
        ),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="What was handled is pending again.")
    ] = False,
    create: CreateQueue = False,
    ordered: Ordered = True,
) -> None:
    """Add the requests of a file that `queue export` wrote, in their order.

    Handled ones stay handled, unless --reset; locks are left behind. What the queue
    knows by its uniqueKey stays as and where it is, so that the same command again
    finishes an import that was broken off. A line that is no request is named, the
    rest goes on, and the exit code is 7. --unordered gives up the order for speed,
    see `queue add`.

    Examples:
      storectl queue import crawl-2 crawl.jsonl --create
      storectl queue export crawl | storectl queue import again --create --reset
    """
    if file is None:
        if sys.stdin.isatty():
            raise InvalidInput("no input: name a FILE", hint="storectl queue import --help")
        file = "-"
    source = source_of(file)
    store, opened = ctx.obj.open(ref, "queue", remedy="the same with --create, if it is to be made")
    if create and opened.startswith("~"):
        opened = store.queues.create(opened[1:])[0].id
    else:
        opened = store.queues.get(opened).id  # before the input is read
    told = Told(None)
    events = transfer.add(
        store.queues,
        opened,
        transfer.lines([source]),
        total_bytes=source.size,
        make=partial(transfer.imported, reset=reset),
        jobs=1 if ordered else ctx.obj.jobs(store) or 1,
        on_added=told.take,
    )
    out = ctx.obj.output
    done, progress = out.follow(events, "request")
    sentence = f"{told.sentence()} of '{ref}' of {store.label}"
    if out.form in ("json", "jsonl"):
        refused = [{"where": one.where, "why": one.why} for one in progress.refused]
        out.value(told.counts() | {"secs": round(done.secs, 3), "refused": refused})
    elif out.form not in ("table", "flat"):
        out.lines([str(told.added)])
    out.summary(f"{sentence}; {summary(done, 'request')}")
    if done.refused and done.moved:
        raise Partial(f"{plural(done.refused, 'request')} refused, {done.moved:,} taken")
    if done.refused:
        raise InvalidInput(f"no line of {source.name} is a request")


def source_of(name: str) -> Source:
    """A file, or stdin for -. NotFound if it is not there."""
    if name == "-":
        return Source("stdin", _stdin)
    path = Path(name)
    if not path.exists():
        raise NotFound(f"{name}: no such file")
    if path.is_dir():
        raise InvalidInput(f"{name} is a folder")
    return Source(name, partial(_open, path), size=path.stat().st_size if path.is_file() else None)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _stdin() -> BinaryIO:
    return open(0, "rb", closefd=False)
