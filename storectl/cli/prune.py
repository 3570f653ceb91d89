"""prune: delete what nobody has used for a while."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from storectl.cli.context import keeper_of
from storectl.cli.frame import App, Context
from storectl.cli.listing import Noun, row_of
from storectl.cli.options import DryRun
from storectl.cli.output import Row
from storectl.cli.settings import duration_secs
from storectl.cli.values import Column, human_bytes, plural
from storectl.errors import Partial, StorectlError
from storectl.model import rules
from storectl.model.page import walk
from storectl.model.storage import ListQuery, Storages

OLDER_THAN = "7d"


def to_dataset(app: App) -> None:
    """Give the datasets their verb."""
    from storectl.cli.dataset import DATASET

    _add_prune(app, DATASET)


def to_kvs(app: App) -> None:
    """Give the key-value stores their verb."""
    from storectl.cli.kvs import KVS

    _add_prune(app, KVS)


def to_queue(app: App) -> None:
    """Give the request queues their verb."""
    from storectl.cli.queue import QUEUE

    _add_prune(app, QUEUE)


def _add_prune(app: App, noun: Noun) -> None:
    @app.command(
        "prune",
        help=f"""Delete {noun.title}s that nobody has used for a while. There is no way back.

        Yours without a name, unless --all. What is used or named while you are asked
        stays; the last use is known to the hour, and counts as late as it may have been.

        Examples:
          storectl {noun.key} prune --older-than 30d -n
          storectl {noun.key} prune --older-than 12h --yes
        """,
    )
    def prune(
        ctx: Context,
        older_than: Annotated[
            str, typer.Option(metavar="TIME", help="Not used for so long: 30d, 12h.")
        ] = OLDER_THAN,
        named: Annotated[
            bool,
            typer.Option(
                "--all/--unnamed", "-a/ ", help="Also those with a name, or only those without one."
            ),
        ] = False,
        dry_run: DryRun = False,
    ) -> None:
        secs = duration_secs(older_than, "--older-than") + rules.TOUCH_SECS
        since_ms = int((time.time() - secs) * 1000)
        store, output = ctx.obj.store(), ctx.obj.output
        keeper = keeper_of(store, noun.key)
        found = _unused(keeper, rules.iso(since_ms), named)
        what = _summed(noun, found)
        if not found:
            _tell(ctx, f"No {noun.title} is unused for that long, of {store.label}", [])
            return
        if output.form in ("table", "flat"):
            columns = [*noun.columns, Column("accessedAt", "ACCESSED", "time")]
            output.listing(columns, [], found)
        if dry_run:
            _tell(ctx, f"Would delete {what} of {store.label}", found)
            return
        output.confirm(f"delete {what} of {store.label}")
        gone: list[Row] = []
        try:
            for row in found:
                if keeper.delete_unused(row["id"], since_ms, named=named):
                    gone.append(row)
        except StorectlError as error:
            if not gone:
                raise
            _tell(ctx, f"Deleted {len(gone)} of {what} of {store.label}", gone)
            raise Partial(
                f"{len(gone)} of {len(found)} deleted, then: {error.message}", hint=error.hint
            ) from error
        used = len(found) - len(gone)
        kept = f"; {used:,} were used, named or deleted meanwhile" if used else ""
        _tell(ctx, f"Deleted {plural(len(gone), noun.title)} of {store.label}{kept}", gone)


def _unused(keeper: Storages[Any], before: str, named: bool) -> list[Row]:
    """Own storages whose last access was before an ISO time."""

    def fetch(offset: int) -> tuple[list[Row], int, int]:
        listed = keeper.list(ListQuery(offset=offset, unnamed=True, ownership="ownedByMe"))
        return [row_of(item) for item in listed.items], len(listed.items), listed.total

    return [
        row
        for row in walk(fetch)
        if row["accessedAt"] < before and (named or row.get("name") is None)
    ]


def _summed(noun: Noun, rows: list[Row]) -> str:
    """`3 datasets, 1 of them named, with 1.2 MB`."""
    named = sum(row.get("name") is not None for row in rows)
    size = sum(row["size"] or 0 for row in rows)
    text = plural(len(rows), noun.title)
    text += f", {named:,} of them named," if named else ""
    return f"{text} with {human_bytes(size)}" if size else text.rstrip(",")


def _tell(ctx: Context, sentence: str, rows: list[Row]) -> None:
    items = [{"id": row["id"], "name": row.get("name")} for row in rows]
    ctx.obj.output.did(
        sentence,
        [row["id"] for row in rows],
        {"items": items, "total": len(items), "truncated": False},
    )
