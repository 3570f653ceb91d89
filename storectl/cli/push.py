"""storectl dataset push: items of files and pipes into a dataset."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import Ordered, Ref
from storectl.cli.output import Output
from storectl.cli.progress import Progress, ending, summary
from storectl.cli.resume import Resume, resumable
from storectl.cli.shaping import option
from storectl.cli.sources import sources_of
from storectl.cli.values import plural
from storectl.errors import Forbidden, InvalidInput, NotFound, Partial
from storectl.model.store import Store
from storectl.transfer.dataset import Source
from storectl.transfer.events import Finished

if TYPE_CHECKING:
    from storectl.transfer.push import Into

EMBEDDED_JOBS = 2
"""A store in this process takes one batch at a time; the other is checked and packed meanwhile."""


def add_push(app: App) -> None:
    """Give the app of datasets its verb for input."""
    app.command("push", aliases=("push-items",))(push)


def push(
    ctx: Context,
    ref: Ref,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="JSON lines, JSON or CSV; - is stdin, and so is none in a pipe.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Literal["auto", "json", "jsonl", "csv"],
        option("--format", "-f", metavar="FORMAT", help="auto, json, jsonl or csv."),
    ] = "auto",
    typed: Annotated[
        bool, typer.Option("--typed", help="Cells of csv that look like numbers are numbers.")
    ] = False,
    delimiter: Annotated[str | None, option(metavar="CHAR", help="Between cells of csv.")] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Create the dataset if there is none of that name.")
    ] = False,
    ordered: Ordered = True,
    resume: Resume = True,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="An input without items is no failure.")
    ] = False,
) -> None:
    """Append items to a dataset, in the order of the files.

    Sent in calls of a few MB; memory does not grow with the input, which may be
    packed with gzip or zstd. An item that cannot be stored is named by file and
    line, the rest goes on, and the exit code is 7. --create makes the dataset when
    the first items of it have been read.

    --unordered makes several calls at a time, which is faster where a server is far
    away; calls, and so the items of files, then come in any order.

    A push of files that was stopped, by whatever, goes on when the same command
    runs again. Nothing is doubled where the server knows idempotency keys, as
    storectl's does. Elsewhere the count of items decides about a call in doubt, as
    long as nobody else writes; where it cannot, the call is made again, and the
    last line says "at least once" and how many batches.

    Examples:
      storectl dataset push prices items.jsonl
      storectl dataset push prices 2026-*.jsonl.gz --unordered --jobs 4
      curl -s https://example.com/items.json | storectl dataset push prices --create
    """
    from storectl.transfer import push as transfer  # OpenSSL, for who pushes

    _check_order(ref, files or [])
    sources = [
        source._replace(format=format, typed=typed, delimiter=delimiter)
        for source in sources_of(files or [])
    ]
    remedy = "the same with --create, if it is to be made"
    store, opened = ctx.obj.open(ref, "dataset", remedy=remedy)
    out = ctx.obj.output
    jobs = 1 if ordered else ctx.obj.jobs(store) or min(ctx.obj.settings.jobs, EMBEDDED_JOBS)
    retries = ctx.obj.settings.retries
    with ExitStack() as held:
        into: Into | None = None

        def begin() -> Into:
            nonlocal into
            made = _get_or_create(store, opened) if create else opened
            into = _into(ctx, store, made, sources, held, resume=resume)
            return into

        if not create or _is_there(store, opened):
            begin()
        done, progress = out.follow(
            transfer.push(store.datasets, into or begin, sources, jobs=jobs, retries=retries),
            "item",
        )
        some = bool(done.moved or done.refused or allow_empty)
        if some:
            if allow_empty and not into:
                begin()
            _tell(out, done, progress, f"'{ref}' of {store.label}")
        if into and into.journal:
            into.journal.forget()
    names = ", ".join(source.name for source in sources[:3])
    if not some:
        raise InvalidInput(f"no items in {names}", hint="--allow-empty, if that is fine")
    if done.refused and done.moved:
        raise Partial(f"{plural(done.refused, 'item')} refused, {done.moved:,} pushed")
    if done.refused:
        raise InvalidInput(f"no item of {names} could be stored")


def _check_order(ref: str, files: list[str]) -> None:
    """Tell a FILE that came before its REF from one that is missing."""
    if len(files) != 1 or files == ["-"]:
        return
    if os.path.isfile(ref) and not os.path.exists(files[0]):  # Path raises at too long a name
        raise InvalidInput(
            f"{ref!r} is a file and {files[0]!r} is none: FILE and REF are swapped?",
            hint=f"storectl dataset push {shlex.quote(files[0])} {shlex.quote(ref)}",
        )


def _is_there(store: Store, ref: str) -> bool:
    """Whether a dataset need not be made, as far as one can see."""
    try:
        store.datasets.get(ref)
    except NotFound:
        return False
    except Forbidden:  # a token that may only write: let it try
        return True
    return True


def _get_or_create(store: Store, ref: str) -> str:
    if ref.startswith("~"):
        made, _ = store.datasets.create(ref[1:])
        return made.id
    return ref


def _into(
    ctx: Context, store: Store, ref: str, sources: list[Source], held: ExitStack, *, resume: bool
) -> Into:
    """A dataset, with the journal of a push of these files, held; none if they are read once."""
    from storectl.transfer.push import Into

    paths = [Path(source.name) for source in sources]
    try:
        dataset = store.datasets.get(ref)
    except Forbidden:  # a token that may only write
        return Into(ref)
    if not all(path.is_file() for path in paths):
        return Into(ref, dataset)
    files = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    how = [(source.format, source.typed, source.delimiter) for source in sources[:1]]
    journal = ctx.obj.journal("push", store, dataset=dataset.id, files=files, read=how)
    held.enter_context(resumable(ctx.obj, journal, resume=resume))
    return Into(ref, dataset, journal)


def _tell(out: Output, done: Finished, progress: Progress, where: str) -> None:
    """The end of a push: how many items in a pipe, what was refused in JSON, one line for all."""
    if out.form in ("json", "jsonl"):
        refused = [{"where": one.where, "why": one.why} for one in progress.refused]
        out.value(
            {
                "pushed": done.moved,
                "bytes": done.bytes,
                "secs": round(done.secs, 3),
                "sentAgain": done.repeated,
                "settledByCount": done.settled,
                "refused": refused,
            }
        )
    elif out.form not in ("table", "flat"):
        out.lines([str(done.moved)])
    out.summary(f"{summary(done, 'item')} to {where}{ending(done)}")
