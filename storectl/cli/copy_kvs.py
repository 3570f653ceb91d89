"""storectl kvs copy: records of one store into another."""

from __future__ import annotations

from typing import Annotated

import typer

from storectl.cli.copy import Create, From, To, open_ends, tell
from storectl.cli.frame import App, Context
from storectl.cli.values import plural
from storectl.errors import CheckFailed

Globs = list[str] | None


def add_copy(app: App) -> None:
    """Give the app its verb for copies."""
    app.command("copy", aliases=("cp",))(copy)


def copy(
    ctx: Context,
    source: From,
    target: To,
    create: Create = False,
    include: Annotated[
        Globs, typer.Option(metavar="GLOB", help="Only keys like this.", show_default=False)
    ] = None,
    exclude: Annotated[
        Globs, typer.Option(metavar="GLOB", help="No keys like this.", show_default=False)
    ] = None,
) -> None:
    """Copy the records of a key-value store to another, byte for byte.

    Types and encodings are kept: what is stored packed stays so. A record of DST with
    the same key is replaced, others stay. --include and --exclude may be repeated.

    Examples:
      storectl kvs copy shots shots-2 --create
      storectl kvs copy prod:shots local:shots --include '*.png' --exclude 'tmp-*'
    """
    from storectl.transfer import copy as transfer  # other verbs do without

    ends = open_ends(ctx, "kvs", source, target, create)
    settings = ctx.obj.settings
    asks = ctx.obj.server(ends.source) or ctx.obj.server(ends.target)
    work = transfer.RecordsCopy(
        ends.source.kvs,
        ends.source_id,
        ends.target.kvs,
        ends.target_id,
        tuple(include or ()),
        tuple(exclude or ()),
        jobs=settings.jobs if asks else settings.writers,
    )
    followed = ctx.obj.output.follow(transfer.copy_records(work), "record")
    missing = transfer.missing_keys(work) - followed[0].refused
    tell(ctx, ends, followed, "record", f"to '{target}' of {ends.target.label}")
    if missing > 0:
        raise CheckFailed(
            f"{plural(missing, 'record')} of '{source}' not in '{target}' after the copy",
            hint="the same command again",
        )
