"""What dataset copy, kvs copy and queue copy share: two ends, and what is told of a copy."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import typer

from storectl.cli.context import keeper_of
from storectl.cli.frame import Context
from storectl.cli.progress import Progress, ending, summary
from storectl.cli.values import plural
from storectl.errors import InvalidInput, Partial
from storectl.model.store import Store
from storectl.transfer.events import Finished

From = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="ID, name, user/name or URL of a storage; PROFILE: may stand before it.",
        show_default=False,
    ),
]
To = Annotated[
    str,
    typer.Argument(metavar="DST", help="The same of the other one.", show_default=False),
]
Create = Annotated[bool, typer.Option("--create", help="Create DST if there is none of that name.")]


class Ends(NamedTuple):
    """The two storages of a copy, by their IDs."""

    source: Store
    source_id: str
    target: Store
    target_id: str


def open_ends(ctx: Context, noun: str, source: str, target: str, create: bool) -> Ends:
    """Both storages, the first of which is looked for before the second."""
    store, ref = ctx.obj.open(source, noun)
    found = keeper_of(store, noun).get(ref)
    other, to = ctx.obj.open(target, noun, remedy="the same with --create, if it is to be made")
    keeper = keeper_of(other, noun)
    made = keeper.create(to[1:])[0] if create and to.startswith("~") else keeper.get(to)
    if (found.id, store.label) == (made.id, other.label):
        raise InvalidInput(f"'{source}' and '{target}' are the same {noun}")
    return Ends(store, found.id, other, made.id)


def tell(
    ctx: Context,
    ends: Ends,
    followed: tuple[Finished, Progress],
    noun: str,
    where: str,
    more: dict[str, Any] | None = None,
) -> None:
    """The ID of the target to a pipe, figures as JSON, a sentence on stderr."""
    done, progress = followed
    out = ctx.obj.output
    refused = [{"where": one.where, "why": one.why} for one in progress.refused]
    if out.form in ("json", "jsonl"):
        figures = {"copied": done.moved, "bytes": done.bytes, "secs": round(done.secs, 3)}
        out.value({"id": ends.target_id} | figures | (more or {}) | {"refused": refused})
    elif out.form not in ("table", "flat"):
        out.lines([ends.target_id])
    out.summary(f"{summary(done, noun)} {where}{ending(done)}")
    if done.refused:
        raise Partial(f"{plural(done.refused, noun)} refused, {done.moved:,} copied")
