"""storectl dataset copy: items of one dataset into another."""

from __future__ import annotations

from typing import Annotated

import typer

from storectl.cli.copy import Create, From, To, open_ends, tell
from storectl.cli.frame import App, Context
from storectl.cli.options import comma
from storectl.errors import CheckFailed
from storectl.model.dataset import ItemsQuery


def add_copy(app: App) -> None:
    """Give the app its verb for copies."""
    app.command("copy", aliases=("cp",))(copy)


def copy(
    ctx: Context,
    source: From,
    target: To,
    create: Create = False,
    fields: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="Only these fields, in this order.", show_default=False),
    ] = None,
    omit: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="All fields but these.", show_default=False),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add all items to what DST has already.")
    ] = False,
) -> None:
    """Copy the items of a dataset to another, in their order, as they are written.

    DST is empty, or has the first items of SRC: then the copy goes on after them. So
    the same command finishes a copy that was broken off, adds what SRC has got since,
    and copies nothing twice. --append takes a DST that has anything else, and each
    time all items.

    A server that knows no idempotency keys may lose an answer: then its count of items
    tells whether they are there, as long as nobody else writes; where it cannot, they
    are sent again, and the last line says "at least once".

    Examples:
      storectl dataset copy prices prices-2 --create
      storectl dataset copy prod:prices local:prices --create --omit '#debug'
    """
    from storectl.transfer import copy as transfer  # other verbs do without

    ends = open_ends(ctx, "dataset", source, target, create)
    work = transfer.DatasetCopy(
        ends.source.datasets,
        ends.source_id,
        ends.target.datasets,
        ends.target_id,
        ItemsQuery(fields=comma(fields), omit=comma(omit)),
        append=append,
        jobs=ctx.obj.jobs(ends.source),
        retries=ctx.obj.settings.retries,
    )
    before = transfer.items_there(work)
    done, progress = ctx.obj.output.follow(transfer.copy_items(work, before), "item")
    now = ends.target.datasets.get(ends.target_id).item_count
    there = f"'{target}' has {now:,}"
    where = f"to '{target}' of {ends.target.label}; {there}"
    again = {"sentAgain": done.repeated, "settledByCount": done.settled}
    tell(ctx, ends, (done, progress), "item", where, again)
    if now != before + done.moved and not done.repeated:
        raise CheckFailed(
            f"'{target}' had {before:,} items, {done.moved:,} were added, and now it has {now:,}",
            hint="somebody else writes to it, or the server counts late: storectl dataset info",
        )
