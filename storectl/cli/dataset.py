"""storectl dataset: append items, read them back in any format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from storectl.cli import table
from storectl.cli.frame import App, Context
from storectl.cli.listing import Noun
from storectl.cli.options import OutputFile, Ref
from storectl.cli.output import Output, Row
from storectl.cli.progress import Progress, summary
from storectl.cli.resume import Resume, resumable
from storectl.cli.shaping import FORMATS, Shaping, format_of_file, option, shaped
from storectl.cli.sources import sources_of
from storectl.cli.storage import add_verbs
from storectl.cli.values import Column, plural
from storectl.errors import Forbidden, InvalidInput, Partial
from storectl.formats import BINARY, write
from storectl.formats.blocks import decoder
from storectl.model.dataset import Dataset, Datasets, ItemsQuery
from storectl.model.store import Store
from storectl.transfer.dataset import Source, save
from storectl.transfer.events import Finished
from storectl.transfer.windows import checked

if TYPE_CHECKING:
    from storectl.transfer.journal import Journal

app = App("Datasets: append items, read them back in any format.")

DATASET = Noun(
    "dataset",
    "dataset",
    Dataset,
    counted=[Column("itemCount", "ITEMS", "count")],
    described=[
        Column("itemCount", "Items", "count"),
        Column("cleanItemCount", "Clean items", "count"),
        Column("fields", "Fields"),
    ],
)

add_verbs(app, DATASET)
app.later("copy_dataset:add_copy", "copy", aliases={"cp": "copy"})

PREVIEW = 20
"""Rows on a terminal where nothing says how many."""

FormatName = Literal["json", "jsonl", "csv", "tsv", "xml", "rss", "html", "xlsx", "parquet"]


@app.command("items", aliases=("get-items", "get"))
@shaped
def items(
    ctx: Context,
    ref: Ref,
    format: Annotated[
        FormatName | None,
        option("--format", "-f", metavar="FORMAT", help=", ".join(FORMATS) + "."),
    ] = None,
    output: OutputFile = None,
    all: Annotated[
        bool, typer.Option("--all", "-a", help="Every row, also on a terminal.")
    ] = False,
    *,
    shaping: Shaping,
) -> None:
    """Read the items of a dataset.

    On a terminal a table of the first 20. In a pipe all of them as JSON lines,
    streamed, or in another --format; the name of -o FILE decides too. Offset and
    limit count stored items, before any of them is filtered or unwound. --json is
    one array here, as the API has it; --json=a,b picks fields.

    Examples:
      storectl dataset items prices --fields url,price --limit 5
      storectl dataset items prices -o prices.xlsx
      storectl dataset items prices | jq .price
    """
    wanted = _format(ctx, format, output)
    picked = tuple(filter(None, ctx.obj.settings.fields.split(","))) if wanted == "json" else ()
    query = shaping.query(picked)
    out = ctx.obj.output
    to_file = output if output is not None and str(output) != "-" else None
    if wanted in BINARY and to_file is None and out.on_terminal:
        raise InvalidInput(
            f"{wanted} is not for a terminal",
            hint=f"storectl dataset items {ref} -o {ref}.{wanted}",
        )
    store, opened = ctx.obj.open(ref, "dataset")
    if picked == ("?",):
        out.lines(store.datasets.get(opened).fields or [])
        return
    if wanted is None:
        _table(ctx, store.datasets, opened, query, all)
        return
    page = store.datasets.items(opened, query)
    options = shaping.options(ref, wanted, query)
    name = "csv" if wanted == "tsv" else wanted
    if to_file is None:
        out.raw(write(name, checked(page, query), options))
        return
    done, _ = out.follow(save(page, query, name, options, to_file), "item")
    out.summary(f"{summary(done, 'item')} to {to_file}")


def _format(ctx: Context, format: str | None, output: Path | None) -> str | None:
    """The format that was asked for, by flag or file name; None is a table."""
    form = ctx.obj.settings.form
    asked = form if form in ("json", "jsonl", "csv", "tsv") else None
    if format and asked and format != asked and ctx.obj.flags.get(asked) is not None:
        raise InvalidInput(f"--format {format} and --{asked} exclude each other")
    if format or asked:
        return format or asked
    if output is not None and str(output) != "-":
        return format_of_file(output) or "jsonl"
    if ctx.obj.output.on_terminal and output is None and form == "auto":
        return None
    return "jsonl"


def _table(ctx: Context, datasets: Datasets, ref: str, query: ItemsQuery, all: bool) -> None:
    """Rows for people. Columns are the fields of the first ones."""
    preview = query.limit is None and not all
    if preview:
        query = msgspec.structs.replace(query, limit=PREVIEW)
    page = datasets.items(ref, query)
    decode = decoder(float)
    rows = (row for block in checked(page, query) for row in decode(block))
    first: list[Row] = []
    for row in rows:
        first.append(row)
        if len(first) == table.SAMPLE:
            break
    names = list(dict.fromkeys(name for row in first for name in row))

    def every() -> Iterator[Row]:
        yield from first
        yield from rows

    columns = [Column(name, name) for name in names]
    ctx.obj.output.listing(columns, names, every(), empty="no items")
    left = page.total - page.offset - page.scanned
    if preview and left > 0:
        ctx.obj.output.note(
            f"{page.scanned:,} of {plural(page.total, 'item')}; "
            "--all shows every one, -o FILE keeps them"
        )


@app.command("push", aliases=("push-items",))
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
    resume: Resume = True,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="An input without items is no failure.")
    ] = False,
) -> None:
    """Append items to a dataset, in the order of the files.

    Sent in calls of a few MB; memory does not grow with the input, which may be
    packed with gzip or zstd. An item that cannot be stored is named by file and
    line, the rest goes on, and the exit code is 7.

    A push of files that was stopped, by whatever, goes on when the same command
    runs again. Nothing is doubled where the server knows idempotency keys, as
    storectl's does; elsewhere the count of items decides about the call that was
    in flight, or the command says that nobody knows.

    Examples:
      storectl dataset push prices items.jsonl
      curl -s https://example.com/items.json | storectl dataset push prices --create
    """
    from storectl.transfer import push as transfer  # OpenSSL, for who pushes

    sources = [
        source._replace(format=format, typed=typed, delimiter=delimiter)
        for source in sources_of(files or [])
    ]
    remedy = "the same with --create, if it is to be made"
    store, opened = ctx.obj.open(ref, "dataset", remedy=remedy)
    if create:
        opened = _get_or_create(store.datasets, opened)
    out = ctx.obj.output
    with ExitStack() as held:
        dataset, journal = _journal(ctx, store, opened, sources)
        if journal is not None:
            held.enter_context(resumable(ctx.obj, journal, resume=resume))
        events = transfer.push(store.datasets, opened, sources, dataset=dataset, journal=journal)
        done, progress = out.follow(events, "item")
        some = bool(done.moved or done.refused or allow_empty)
        if some:
            _tell_pushed(out, done, progress, f"'{ref}' of {store.label}")
        if journal is not None:
            journal.forget()
    names = ", ".join(source.name for source in sources[:3])
    if not some:
        raise InvalidInput(f"no items in {names}", hint="--allow-empty, if that is fine")
    if done.refused and done.moved:
        raise Partial(f"{plural(done.refused, 'item')} refused, {done.moved:,} pushed")
    if done.refused:
        raise InvalidInput(f"no item of {names} could be stored")


def _tell_pushed(out: Output, done: Finished, progress: Progress, where: str) -> None:
    """The end of a push: how many items in a pipe, what was refused in JSON, one line for all."""
    if out.form in ("json", "jsonl"):
        refused = [{"where": one.where, "why": one.why} for one in progress.refused]
        out.value(
            {
                "pushed": done.moved,
                "bytes": done.bytes,
                "secs": round(done.secs, 3),
                "refused": refused,
            }
        )
    elif out.form not in ("table", "flat"):
        out.lines([str(done.moved)])
    out.summary(f"{summary(done, 'item')} to {where}")


def _journal(
    ctx: Context, store: Store, ref: str, sources: list[Source]
) -> tuple[Dataset | None, Journal | None]:
    """The journal of a push of these files to this dataset; None if they can be read once only."""
    paths = [Path(source.name) for source in sources]
    if not all(path.is_file() for path in paths):
        return None, None
    try:
        dataset = store.datasets.get(ref)
    except Forbidden:  # a token that may only write
        return None, None
    files = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    how = [(source.format, source.typed, source.delimiter) for source in sources[:1]]
    return dataset, ctx.obj.journal("push", store, dataset=dataset.id, files=files, read=how)


def _get_or_create(datasets: Datasets, ref: str) -> str:
    if ref.startswith("~"):
        made, _ = datasets.create(ref[1:])
        return made.id
    return ref


app.later("pull:add_pull", "pull", aliases={"export": "pull"})
app.later("verify:add_verify", "tail", "verify")
app.later("stats:add_stats", "stats")
app.later("diff:add_diff", "diff")
app.later("dedupe:add_dedupe", "dedupe")
app.later("sql:add_sql", "sql")
