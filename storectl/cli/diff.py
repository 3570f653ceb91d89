"""storectl dataset diff: what is different between two datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import comma
from storectl.cli.output import Output
from storectl.cli.reading import KeyFields, key_of, reading
from storectl.cli.shaping import option
from storectl.cli.values import Column, plural
from storectl.errors import CheckFailed
from storectl.model.dataset import ItemsQuery
from storectl.transfer.keys import distinct

if TYPE_CHECKING:
    from storectl.transfer.diff import Change, Diff, Side

SHOWN = 20
"""Changes on a terminal."""

FIELDS = ("op", "key", "before", "after")


def add_diff(app: App) -> None:
    """Give the app of datasets its verb for differences."""
    app.command("diff")(diff)


def diff(
    ctx: Context,
    before: Annotated[
        str, typer.Argument(metavar="A", help="A dataset, as it was.", show_default=False)
    ],
    after: Annotated[
        str, typer.Argument(metavar="B", help="A dataset, as it is.", show_default=False)
    ],
    key: KeyFields,
    fields: Annotated[
        list[str] | None, option("--fields", metavar="F,…", help="Compare only these.")
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Count the differences only.")] = False,
) -> None:
    """Compare two datasets whose items are known by a key.

    The exit code is 8 if they differ. In a pipe each difference is a line of JSON:
    op (added, removed, changed), key, before, after; on a terminal the first 20. The
    order of items does not count, nor does how values are spelled: 1 and 1.0 are
    equal, 1 and "1" are not, null and a missing field are not, but as part of a key
    they are the same. Where a key is there several times, its items are compared in
    turn, and the summary says so.

    A and B may be of different servers. Memory stays the same at any size; both are
    copied to a temporary file.

    Examples:
      storectl dataset diff prices-mon prices-tue --key url
      storectl dataset diff prod:prices local:prices --key shop,sku --fields price
    """
    from storectl.transfer.diff import Diff
    from storectl.transfer.scratch import scratch

    wanted = key_of(key)
    compared = comma(fields)
    query = ItemsQuery(fields=distinct((*wanted.fields, *compared)) if compared else ())
    sides = [reading(ctx, ref, query) for ref in (before, after)]
    out = ctx.obj.output
    with scratch() as database, closing(Diff(wanted, database)) as found:
        for side in sides:
            out.follow(found.read(side.rows, side.size), "item")
        found.settle()
        if summary:
            _figures(out, found)
        else:
            _changes(out, found)
    notes = "".join(
        _note(side, name, wanted.fields)
        for side, name in ((found.before, before), (found.after, after))
    )
    counts = found.found
    if counts.is_none:
        out.summary(f"'{before}' and '{after}' are the same: {plural(counts.same, 'item')}{notes}")
        return
    raise CheckFailed(
        f"'{before}' and '{after}' differ: {counts.added:,} added, {counts.removed:,} removed, "
        f"{counts.changed:,} changed, {counts.same:,} the same{notes}"
    )


def _figures(out: Output, found: Diff) -> None:
    told: dict[str, Any] = msgspec.to_builtins(found.found)
    told |= {"before": found.before, "after": found.after}
    if out.form in ("json", "jsonl"):
        out.value(told)
    elif out.form in ("tsv", "csv"):
        mark = "\t" if out.form == "tsv" else ","
        out.lines(f"{name}{mark}{told[name]}" for name in ("added", "removed", "changed", "same"))


def _changes(out: Output, found: Diff) -> None:
    changes = found.changes()
    if out.form in ("table", "flat"):
        columns = [Column("op", "OP"), Column("key", "KEY"), Column("what", "WHAT")]
        shown = ({"op": one.op, "key": _key(one), "what": _what(one)} for one in changes)
        out.listing(columns, FIELDS, islice(shown, SHOWN), empty="no differences")
        left = found.found.added + found.found.removed + found.found.changed - SHOWN
        if left > 0:
            out.note(f"and {left:,} more; in a pipe all of them, as JSON lines")
    elif out.settings.form in ("auto", "jsonl"):
        out.raw(_lines(changes))
    else:
        columns = [Column(name, name) for name in FIELDS]
        rows = ({name: getattr(one, name) for name in FIELDS} for one in changes)
        out.listing(columns, FIELDS, rows, ident="key")


def _lines(changes: Iterable[Change]) -> Iterator[bytes]:
    for one in changes:
        yield msgspec.json.encode(one) + b"\n"


def _key(change: Change) -> str:
    """`7`, or `shop=a sku=7`."""
    values = msgspec.json.decode(change.key, type=dict[str, msgspec.Raw])
    if len(values) == 1:
        return bytes(next(iter(values.values()))).decode()
    return " ".join(f"{name}={bytes(value).decode()}" for name, value in values.items())


def _what(change: Change) -> str:
    """The fields that changed, or the item that came or went."""
    if change.before is None or change.after is None:
        return bytes(change.before or change.after or b"").decode()
    from storectl.transfer.values import same

    before, after = (
        msgspec.json.decode(one, type=dict[str, msgspec.Raw])
        for one in (change.before, change.after)
    )
    parts = []
    for name in {**before, **after}:
        old, new = (bytes(side[name]) if name in side else b"" for side in (before, after))
        if not old or not new or not same(old, new):
            parts.append(f"{name}: {old.decode() or 'none'} → {new.decode() or 'none'}")
    return ", ".join(parts)


def _note(side: Side, name: str, fields: tuple[str, ...]) -> str:
    """What is odd about the keys of one side."""
    notes = ""
    what = " and ".join(fields)
    if side.repeats:
        example = bytes(side.repeat or b"").decode()
        notes += f"; {plural(side.repeats, 'item')} of '{name}' repeat the key of another, "
        notes += f"such as {example}"
    if side.keyless:
        notes += f"; {plural(side.keyless, 'item')} of '{name}' without {what}, "
        notes += f"the first at position {side.first_keyless:,}"
    return notes
