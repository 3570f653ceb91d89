"""storectl queue lock, unlock, handle: requests in the hands of scripts."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
import typer

from storectl.cli import request as shown
from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun, Ref
from storectl.cli.request import ClientKey, Ids, SomeIds, by_id, selected
from storectl.cli.values import plural
from storectl.errors import Conflict, InvalidInput, Partial
from storectl.model import rules
from storectl.model.queue import LockedHead, Queues
from storectl.model.request import Request, as_handled, state_of


def add_lock_verbs(app: App) -> None:
    """Give the app of queues its verbs for workers."""
    app.command("lock")(lock)
    app.command("unlock")(unlock)
    app.command("handle")(handle)


def lock(
    ctx: Context,
    ref: Ref,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most N.")] = 25,
    secs: Annotated[
        int, typer.Option(metavar="N", min=1, max=rules.MAX_LOCK_SECS, help="For so many seconds.")
    ] = 60,
    client_key: ClientKey = None,
) -> None:
    """Lock the next requests and show them; in a pipe as JSON lines.

    Nobody else gets them until the time is over, or `queue unlock` gives them back.
    Without --client-key a new one is made; stderr tells it.

    Examples:
      storectl queue lock crawl --limit 1 --secs 300
      storectl queue lock crawl -q | xargs storectl queue handle crawl
    """
    rules.check_client_key(client_key)
    key = client_key or rules.new_id()
    store, opened = ctx.obj.open(ref, "queue")
    items, last = _locked(store.queues, opened, limit, secs, key)
    out = ctx.obj.output
    if out.form == "tsv" and out.settings.form == "auto":
        out.lines(msgspec.json.encode(item).decode() for item in items)
    else:
        out.listing(shown.LOCKED_COLUMNS, shown.LOCKED_FIELDS, items, empty="nothing was locked")
    if items:
        out.summary(
            f"Locked {plural(len(items), 'request')} of '{ref}' for {secs} s; to give back:"
        )
        out.summary(f"  storectl queue unlock {ref} --client-key {key}")
    elif last.queue_has_locked_requests:
        out.summary(f"All requests of '{ref}' that are left are locked")
    else:
        out.summary(f"No requests are left in '{ref}'")


def _locked(
    queues: Queues, ref: str, limit: int, secs: int, key: str
) -> tuple[list[Request], LockedHead]:
    """Lock in calls of at most 25, until there are enough or none are left."""
    items: list[Request] = []
    while True:
        wanted = min(limit - len(items), rules.MAX_LOCKED_HEAD)
        head = queues.lock_head(ref, lock_secs=secs, limit=wanted, client_key=key)
        items += [{**item, "lockByClient": key} for item in head.items]
        if len(head.items) < wanted or len(items) >= limit:
            return items, head


def unlock(
    ctx: Context,
    ref: Ref,
    ids: SomeIds = None,
    client_key: ClientKey = None,
    all_mine: Annotated[
        bool,
        typer.Option("--mine", help="All of --client-key; without one, all without a client."),
    ] = False,
    all: Annotated[
        bool, typer.Option("--all", "-a", help="All, whoever holds them; needs --yes in a pipe.")
    ] = False,
    forefront: Annotated[
        bool, typer.Option("--forefront", help="IDs become first in the queue, not last.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Give locked requests back to the queue before their time is over.

    Single ones become last in the queue, and only who holds a lock can end it:
    --client-key says who that is. All of a client at once go back where they were.

    Examples:
      storectl queue unlock crawl --client-key JmgNdbyYOTnnNK18p
      storectl queue unlock crawl 8OamqXBCpPHxyH9 --client-key me
      storectl queue unlock crawl --all --yes
    """
    rules.check_client_key(client_key)
    all_mine = all_mine or (client_key is not None and not ids and not all)
    if [bool(ids), all_mine, all].count(True) != 1:
        raise InvalidInput("name either requests, --client-key, --mine or --all")
    if all and client_key is not None:
        raise InvalidInput("--all is whoever holds them; leave --client-key away")
    store, opened = ctx.obj.open(ref, "queue")
    mine = Held(store.queues, opened, ref, client_key)
    if ids:
        _unlock(ctx, mine, ids, forefront, dry_run)
        return
    locked = selected(store.queues, opened, ("locked",))
    found = [one for one in locked if all or mine.holds(one)]
    names = [one["id"] for one in found]
    what = f"{plural(len(names), 'request')} of '{ref}' of {store.label}"
    if dry_run:
        ctx.obj.output.did(f"Would unlock {what}", names, {"unlocked": 0, "ids": names})
        return
    holders = dict.fromkeys(one.get("lockByClient") for one in found)
    if all and found:
        ctx.obj.output.confirm(f"unlock {what}, held by {plural(len(holders), 'client')}")
    for holder in holders:
        store.queues.unlock_all(opened, client_key=holder)
    ctx.obj.output.did(f"Unlocked {what}", names, {"unlocked": len(names), "ids": names})


class Held(NamedTuple):
    """The locks of one client. text: the queue as it was typed."""

    queues: Queues
    ref: str
    text: str
    client_key: str | None

    def holds(self, request: Request) -> bool:
        """Whether the lock on a request is this client's."""
        return state_of(request) == "locked" and request.get("lockByClient") == self.client_key

    def lost(self, what: str) -> Conflict:
        """The failure of giving back what is held by another or by nobody."""
        return Conflict(what, hint=f"storectl queue requests {self.text} --state locked")


def _unlock(ctx: Context, held: Held, ids: list[str], forefront: bool, dry_run: bool) -> None:
    """Unlock single requests. Those that this client does not hold stay as they are."""
    found = by_id(ctx, held.queues, held.ref, ids)
    names = [one["id"] for one in found if held.holds(one)]
    who = "this client" if held.client_key else "a client without a key"
    if not names:
        raise held.lost(f"None of {plural(len(found), 'request')} is locked by {who}")
    for name in names if not dry_run else []:
        try:
            held.queues.unlock(held.ref, name, forefront=forefront, client_key=held.client_key)
        except InvalidInput as error:
            raise held.lost(error.message) from None
    verb = "Would unlock" if dry_run else "Unlocked"
    ctx.obj.output.did(
        f"{verb} {plural(len(names), 'request')} of '{held.text}'",
        names,
        {"unlocked": 0 if dry_run else len(names), "ids": names},
    )
    if len(names) < len(found):
        raise Partial(f"{len(found) - len(names):,} of {len(found):,} are not locked by {who}")


def handle(
    ctx: Context,
    ref: Ref,
    ids: Ids,
    client_key: ClientKey = None,
    error: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="It failed: keep this among its errorMessages.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Mark requests as handled. They leave the queue's head, and their locks end.

    What is handled already stays as it is. With --error they count as failed, and
    `queue retry --failed` finds them again.

    Examples:
      storectl queue handle crawl 8OamqXBCpPHxyH9
      storectl queue handle crawl 8OamqXBCpPHxyH9 --error 'HTTP 500'
    """
    rules.check_client_key(client_key)
    store, opened = ctx.obj.open(ref, "queue")
    found = by_id(ctx, store.queues, opened, ids)
    fresh = [one for one in found if one.get("handledAt") is None]
    changed = [as_handled(one, error=error) for one in fresh]
    if changed and not dry_run:
        store.queues.update_requests(opened, changed, client_key=client_key)
    names = [one["id"] for one in fresh]
    already = len(found) - len(fresh)
    more = f"; {already:,} {'was' if already == 1 else 'were'} handled already" if already else ""
    verb = "Would mark" if dry_run else "Marked"
    ctx.obj.output.did(
        f"{verb} {plural(len(names), 'request')} of '{ref}' as handled{more}",
        names,
        {"handled": 0 if dry_run else len(names), "alreadyHandled": already, "ids": names},
    )
