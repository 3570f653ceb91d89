"""storectl queue copy: requests of one queue into another."""

from __future__ import annotations

from typing import Annotated

import typer

from storectl.cli.copy import Create, From, To, open_ends, tell
from storectl.cli.frame import App, Context
from storectl.cli.options import Ordered
from storectl.cli.request import States, Told, states_of
from storectl.errors import CheckFailed


def add_copy(app: App) -> None:
    """Give the app its verb for copies."""
    app.command("copy", aliases=("cp",))(copy)


def copy(
    ctx: Context,
    source: From,
    target: To,
    create: Create = False,
    state: States = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="What was handled is pending in DST.")
    ] = False,
    ordered: Ordered = True,
) -> None:
    """Copy the requests of a queue to another: all, or those in some states.

    A request that DST knows by its uniqueKey stays as it is there. Handled ones stay
    handled unless --reset; locks are not copied. The order of the queue is kept. A
    server without the extension of storectl serve tells that of the first 1,000
    alone: the others then come by ID, and a note says so. --unordered gives up the
    order for speed, see `queue add`.

    Examples:
      storectl queue copy crawl crawl-2 --create --reset
      storectl queue copy prod:crawl local:failed --create --state failed --reset
    """
    from storectl.transfer import copy as transfer  # other verbs do without
    from storectl.transfer.queue import lost_order

    states = states_of(state)
    ends = open_ends(ctx, "queue", source, target, create)
    work = transfer.RequestsCopy(
        ends.source.queues,
        ends.source_id,
        ends.target.queues,
        ends.target_id,
        states,
        reset,
        ctx.obj.settings.jobs,
        writers=1 if ordered else ctx.obj.jobs(ends.target) or 1,
    )
    told = Told(None)
    source_queue = ends.source.queues.get(ends.source_id)
    if lost := lost_order(ends.source.queues, source_queue):
        ctx.obj.output.note(lost)
    followed = ctx.obj.output.follow(transfer.copy_requests(work, told.take), "request")
    now = ends.target.queues.get(ends.target_id).total_request_count
    there = f"{told.present + told.handled:,} were there; '{target}' has {now:,}"
    more = told.counts() | {"targetCount": now}
    tell(ctx, ends, followed, "request", f"to '{target}' of {ends.target.label}; {there}", more)
    if now < told.added:
        raise CheckFailed(f"{told.added:,} requests were added, and '{target}' has {now:,}")
