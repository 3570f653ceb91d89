"""storectl dataset stats: what the fields of a dataset hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import Ref
from storectl.cli.output import Output
from storectl.cli.reading import Reading, key_of, reading
from storectl.cli.shaping import option
from storectl.cli.values import Column, plural
from storectl.errors import InvalidInput

if TYPE_CHECKING:
    from storectl.transfer.dedupe import Repeats
    from storectl.transfer.stats import Field, Stats

COLUMNS = ("field", "types", "missing", "nulls", "distinct", "exact", "min", "max")


def add_stats(app: App) -> None:
    """Give the app of datasets its verb for statistics."""
    app.command("stats")(stats)


def stats(
    ctx: Context,
    ref: Ref,
    key: Annotated[
        list[str] | None,
        option("--key", metavar="F,…", help="Also count items that repeat these fields."),
    ] = None,
    approx: Annotated[
        bool, typer.Option("--approx", help="Look at 100,000 items all over the dataset only.")
    ] = False,
) -> None:
    """Say what the fields of a dataset hold: types, gaps, distinct values, min and max.

    Fields of objects inside have dotted names; lists are not looked into. Distinct
    values are counted up to 16,384 of a field and estimated beyond, with an error of
    about 1 %: there a terminal shows ~, and programs get "isExact": false. With more
    than 24 such fields it is less exact. 1 and 1.0 are one value. Min and max take
    numbers before text, and 200 characters of that.

    Examples:
      storectl dataset stats prices
      storectl dataset stats prices --key url --json
      storectl dataset stats prices | cut -f 1,2
    """
    from storectl.transfer.scan import scan
    from storectl.transfer.stats import SAMPLE_ROWS, SAMPLE_WINDOWS, Stats, sample

    if approx and key:
        raise InvalidInput("--key needs all items, and --approx looks at some")
    wanted = key_of(key) if key else None
    source = reading(ctx, ref)
    rows, found = source.rows, Stats()
    windows = rows.windows(0, source.size)
    if approx:
        windows = sample(rows.datasets, rows.ref, rows.total, rows.jobs)
    out = ctx.obj.output
    if wanted is None:
        total = min(len(rows), SAMPLE_WINDOWS * SAMPLE_ROWS) if approx else len(rows)
        out.follow(scan(total, windows, found.take), "item")
        repeats = None
    else:
        repeats = _with_keys(out, source, found, wanted)
    _tell(out, source, found, repeats)
    left_out = "; fields beyond the first 2,000 are not told" if found.left_out else ""
    looked = plural(found.items, "item")
    if found.items < len(rows):
        looked = f"a sample of {looked} of {len(rows):,}"
    told = f"{looked}, {plural(len(found.fields()), 'field')}{left_out}"
    if repeats is not None and wanted is not None:
        told += f"; {plural(repeats.repeats, 'item')} repeat the {' and '.join(wanted.fields)}"
        told += f" of another, {repeats.keyless:,} have none"
    out.summary(told)


def _with_keys(out: Output, source: Reading, found: Stats, key: Any) -> Repeats:
    """Statistics and repeated keys of one reading."""
    from storectl.transfer.dedupe import Seen
    from storectl.transfer.scan import scan
    from storectl.transfer.scratch import scratch

    with scratch() as database:
        seen = Seen(key, database)

        def take(block: bytes) -> None:
            found.take(block)
            seen.take(block)

        rows = source.rows
        out.follow(scan(len(rows), rows.windows(0, source.size), take), "item")
        seen.settle()
    return seen.found


def _tell(out: Output, source: Reading, found: Stats, repeats: Repeats | None) -> None:
    fields = found.fields()
    if out.form in ("json", "jsonl") and not out.settings.fields:
        told = {"items": len(source.rows), "looked": found.items, "fields": fields}
        if repeats is not None:
            told["key"] = msgspec.to_builtins(repeats)
        out.value(told)
        return
    on_terminal = out.form in ("table", "flat")
    columns = [
        Column(name, name.upper(), "count" if name in ("missing", "nulls") else "text")
        for name in COLUMNS
        if not (on_terminal and name == "exact")
    ]
    out.listing(columns, COLUMNS, _rows(fields, on_terminal), ident="field", empty="no fields")


def _rows(fields: Iterable[Field], on_terminal: bool) -> Iterable[dict[str, Any]]:
    for one in fields:
        distinct: Any = one.distinct
        if on_terminal:
            distinct = f"{'' if one.is_exact else '~'}{one.distinct:,}"
        yield {
            "field": one.field,
            "types": _types(one, on_terminal),
            "missing": one.missing,
            "nulls": one.nulls,
            "distinct": distinct,
            "exact": one.is_exact,
            "min": one.min,
            "max": one.max,
        }


def _types(field: Field, on_terminal: bool) -> str:
    """The types by how frequent they are; null has a column of its own."""
    names = [name for name in field.types if name != "null"] or ["null"]
    return (", " if on_terminal else ",").join(names)
