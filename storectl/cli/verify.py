"""storectl dataset tail and verify: what comes last, and whether it is what it should be."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import Ref
from storectl.cli.settings import duration_secs
from storectl.cli.shaping import option
from storectl.cli.sources import sources_of
from storectl.cli.values import plural
from storectl.errors import CheckFailed, InvalidInput
from storectl.model.dataset import ItemsQuery


def add_verify(app: App) -> None:
    """Give the app of datasets its verbs for watching and checking."""
    app.command("tail")(tail)
    app.command("verify")(verify)


def tail(
    ctx: Context,
    ref: Ref,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is appended.")
    ] = False,
    from_end: Annotated[
        int, typer.Option("--from-end", metavar="N", min=0, help="Begin so many before the end.")
    ] = 10,
    until_idle: Annotated[
        str | None, option(metavar="TIME", help="Follow until nothing came for so long: 60s.")
    ] = None,
    max_items: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Stop after so many.", show_default=False),
    ] = None,
) -> None:
    """Write the last items of a dataset as JSON lines, and with -f those that come.

    A store is asked once a second.

    Examples:
      storectl dataset tail prices -f
      storectl dataset tail prices -f --from-end 0 --until-idle 60s | jq .price
    """
    from storectl.transfer.tail import tail as blocks

    idle = None if until_idle is None else duration_secs(until_idle, "--until-idle")
    store, opened = ctx.obj.open(ref, "dataset")
    for block in blocks(
        store.datasets,
        opened,
        from_end=from_end,
        follow=follow or idle is not None,
        until_idle_secs=idle,
        max_items=max_items,
    ):
        ctx.obj.output.raw([block])


def verify(
    ctx: Context,
    ref: Ref,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="JSON lines, JSON or CSV, as it was pushed.", show_default=False
        ),
    ],
    typed: Annotated[
        bool, typer.Option("--typed", help="Cells of csv that look like numbers are numbers.")
    ] = False,
    delimiter: Annotated[str | None, option(metavar="CHAR", help="Between cells of csv.")] = None,
) -> None:
    """Compare a dataset with a file, item by item and in order.

    Items are the same if their values are: the order of fields, space and the
    spelling of numbers do not count. A CSV file holds text, and its items are
    compared as a push with the same options would have made them. The exit code
    is 8 if there is a difference.

    Examples:
      storectl dataset verify prices prices.jsonl.gz
      storectl dataset verify airports airports.csv --typed
    """
    from storectl.transfer.verify import verify as compare
    from storectl.transfer.windows import Rows, rows_of_window

    if file == "-":
        raise InvalidInput("verify reads a file", hint="storectl dataset verify REF FILE")
    (source,) = sources_of([file])
    source = source._replace(typed=typed, delimiter=delimiter)
    store, opened = ctx.obj.open(ref, "dataset")
    jobs = ctx.obj.jobs(store)
    rows = Rows(store.datasets, opened, ItemsQuery(), jobs=jobs)
    size = rows_of_window(store.datasets.get(opened), rows.jobs)
    found = compare(rows, source, size=size)
    out = ctx.obj.output
    compared = min(found.dataset_items, found.file_items)
    told = msgspec.to_builtins(found) | {"same": found.is_same, "compared": compared}
    if out.form in ("json", "jsonl"):
        out.value(told)
    elif out.form not in ("table", "flat", "quiet"):
        out.lines(f"{name}\t{msgspec.json.encode(value).decode()}" for name, value in told.items())
    text = f"{plural(compared, 'item')} of each compared, in order and in full"
    if found.is_same:
        out.summary(f"'{ref}' is the same as {file}: {text}")
        return
    raise CheckFailed(f"'{ref}' is not the same as {file}: {_why(found, file)}; {text}")


def _why(found: msgspec.Struct, file: str) -> str:
    """What is different, in words."""
    told = msgspec.to_builtins(found)
    parts = []
    if told["datasetItems"] != told["fileItems"]:
        parts.append(f"{told['datasetItems']:,} items, in the file {told['fileItems']:,}")
    if told["different"]:
        parts.append(
            f"{told['different']:,} differ, the first at position {told['first']:,} "
            f"({file}:{told['firstLine']})"
        )
    if told["refused"]:
        parts.append(f"{told['refused']:,} lines of the file are no items")
    return ", ".join(parts)
