"""storectl dataset dedupe: a dataset without the items that repeat a key."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun, Ref
from storectl.cli.progress import ending, summary
from storectl.cli.reading import KeyFields, Reading, key_of, reading
from storectl.cli.shaping import option
from storectl.cli.values import plural
from storectl.errors import Conflict, InvalidInput
from storectl.model.dataset import Dataset, Datasets


def add_dedupe(app: App) -> None:
    """Give the app of datasets its verb for repeated items."""
    app.command("dedupe")(dedupe)


def dedupe(
    ctx: Context,
    ref: Ref,
    key: KeyFields,
    write_to: Annotated[
        str | None,
        option("--write-to", metavar="NEW", help="Dataset to be made: a name, or PROFILE:name."),
    ] = None,
    keep: Annotated[
        Literal["first", "last"], option("--keep", metavar="WHICH", help="first or last.")
    ] = "first",
    dry_run: DryRun = False,
) -> None:
    """Write a dataset anew, with one item of each key.

    Items stay in their order, as they are spelled. 1 and 1.0 are the same key, 1 and
    "1" are not; an item that lacks a field of the key, or has null there, repeats
    nothing and stays. The dataset itself is not changed: datasets only grow. NEW is
    made, or is empty. It is read twice, in constant memory; keys go to a temporary
    file.

    Examples:
      storectl dataset dedupe prices --key url --write-to prices-once
      storectl dataset dedupe prices --key shop,sku --keep last -n
    """
    from storectl.transfer import dedupe as transfer
    from storectl.transfer.scratch import scratch

    wanted = key_of(key)
    if write_to is None and not dry_run:
        raise InvalidInput("--write-to NEW is missing", hint="-n counts the repeated items only")
    source = reading(ctx, ref)
    place, name = ctx.obj.place(write_to)
    out = ctx.obj.output
    with scratch() as database:
        seen = transfer.Seen(wanted, database)
        target = None if dry_run else _target(place.datasets, name, write_to, source)
        done, _ = out.follow(transfer.look(source.rows, source.size, seen, keep), "item")
        if target is not None:
            events = transfer.write(source.rows, source.size, seen, place.datasets, target.id)
            done, _ = out.follow(events, "item")
    found = seen.found
    told = plural(found.repeats, "item") + f" of {found.items:,} repeat the {_named(wanted.fields)}"
    if found.keyless:
        told += f"; {found.keyless:,} have none and stay"
    figures = msgspec.to_builtins(found) | {"kept": found.items - found.repeats}
    if target is None:
        if out.form in ("json", "jsonl"):
            out.value(figures)
        elif out.form not in ("table", "flat"):
            out.lines([str(found.repeats)])
        out.summary(f"{told}; nothing was written")
        return
    if out.form in ("json", "jsonl"):
        again = {"sentAgain": done.repeated, "settledByCount": done.settled}
        out.value({"id": target.id} | figures | again)
    elif out.form not in ("table", "flat"):
        out.lines([target.id])
    where = f"to '{write_to}' of {place.label}{ending(done)}"
    out.summary(f"{told}; {summary(done, 'item')} {where}")


def _target(datasets: Datasets, name: str | None, text: str | None, source: Reading) -> Dataset:
    """The dataset to write to, which is made or empty."""
    found, is_new = datasets.create(name)
    if found.item_count or (not is_new and found.id == source.dataset.id):
        raise Conflict(
            f"'{text}' has {plural(found.item_count, 'item')} already",
            hint="another --write-to NEW",
        )
    return found


def _named(fields: tuple[str, ...]) -> str:
    return " and ".join(fields) + " of another"
