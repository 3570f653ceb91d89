"""storectl backup and restore: a whole store into a folder, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from storectl.cli.context import Session
from storectl.cli.frame import App, Context
from storectl.cli.upkeep import follow
from storectl.cli.values import human_bytes, human_secs, plural
from storectl.errors import Unsupported
from storectl.model.upkeep import Copied, Finding, Scope, Step, Upkeep

app = App("Copies of a store.")


@app.command("backup")
def backup(
    ctx: Context,
    to: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Must not be there yet.", show_default=False),
    ],
) -> None:
    """Copy a store into a folder, while others use it.

    All that was acknowledged before is in it. The copy is read back and held against
    its checksums; the folder appears when it is whole. Storages, users and the hashes
    of tokens are in it: keep it as private as the store. Exit code 8 if the store is
    damaged.

    Example: storectl --store ./data backup backups/monday
    """
    session = ctx.obj
    _copy(session, lambda keeper: keeper.back_up(to), to)
    session.output.note("It holds all data and the hashes of tokens: keep it private")


@app.command("restore")
def restore(
    ctx: Context,
    source: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="What backup has made.", show_default=False),
    ],
) -> None:
    """Put a backup where --store says, and where no store is yet.

    The backup is checked first, with all its data: one that was cut off or has changed
    is refused with exit code 8, and nothing appears. Tokens work as they did then, also
    those that were revoked since.

    Example: storectl --store ./data-2 restore backups/monday
    """
    _copy(ctx.obj, lambda keeper: keeper.restore(source))


def _copy(
    session: Session,
    begin: Callable[[Upkeep], Iterable[Scope | Step | Copied]],
    to: Path | None = None,
) -> None:
    """Make a copy at `to`, or where the store is to be, and say so."""
    target = session.chooser.choose()
    if target.store is None:
        raise Unsupported(
            f"{target.place} is a server; its store is copied on its own machine",
            hint="name the folder with --store",
        )
    folder = str(to or target.store)
    copies: list[Copied] = []

    def take(each: Finding | Copied) -> None:
        if isinstance(each, Copied):
            copies.append(each)

    done = follow(session.output, begin(session.upkeep(target)), take)
    (copied,) = copies
    output = session.output
    if output.form in ("json", "jsonl"):
        told = {"folder": folder, **copied._asdict(), "secs": round(done.secs, 3)}
        output.value(told)
    elif output.form not in ("table", "flat"):
        output.lines([folder])
    output.summary(
        f"{plural(copied.storages, 'storage')}, {human_bytes(copied.bytes)} in "
        f"{human_secs(done.secs)} to {folder}, read back and found good; "
        f"sha256 of its database {copied.sha256}"
    )
