"""storectl dataset: append items, read them back in any format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from storectl.cli import table
from storectl.cli.frame import App, Context
from storectl.cli.listing import Noun
from storectl.cli.options import OutputFile, Ref
from storectl.cli.output import Row
from storectl.cli.progress import summary
from storectl.cli.shaping import FORMATS, Shaping, format_of_file, option, shaped
from storectl.cli.storage import add_verbs
from storectl.cli.values import Column, plural
from storectl.errors import InvalidInput
from storectl.formats import BINARY, write
from storectl.formats.blocks import decoder, whole_lines
from storectl.model.dataset import Dataset, Datasets, ItemsQuery
from storectl.transfer.dataset import save
from storectl.transfer.windows import checked

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
    options = shaping.options(ref, wanted, query, csv_safe=out.settings.csv_safe)
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
    rows = (row for block in whole_lines(checked(page, query)) for row in decode(block))
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


app.later("push:add_push", "push", aliases={"push-items": "push"})
app.later("pull:add_pull", "pull", aliases={"export": "pull"})
app.later("verify:add_verify", "tail", "verify")
app.later("stats:add_stats", "stats")
app.later("diff:add_diff", "diff")
app.later("dedupe:add_dedupe", "dedupe")
app.later("sql:add_sql", "sql")
