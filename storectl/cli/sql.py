"""storectl dataset sql: queries over datasets."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import comma
from storectl.cli.reading import reading
from storectl.cli.shaping import option
from storectl.cli.values import Column
from storectl.errors import InvalidInput, NotFound
from storectl.model.dataset import ItemsQuery

if TYPE_CHECKING:
    from storectl.transfer.sql import Answer, Table

_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.+)", re.DOTALL)


def add_sql(app: App) -> None:
    """Give the app of datasets its verb for queries."""
    app.command("sql")(sql)


def sql(
    ctx: Context,
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REF", help="Datasets: the tables t, t2, …, or NAME=REF.", show_default=False
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Argument(metavar="QUERY", help="SELECT …, in SQLite's SQL.", show_default=False),
    ] = None,
    file: Annotated[
        str | None, option("--file", "-f", metavar="FILE", help="Read QUERY there; - is stdin.")
    ] = None,
    fields: Annotated[
        list[str] | None, option("--fields", metavar="A,B", help="Load only these.")
    ] = None,
) -> None:
    """Ask a question about datasets in SQL.

    Each dataset is a table whose columns are the fields of its items, read anew for
    every run into a temporary file that nobody else sees. Values keep their types:
    true and false are 1 and 0, objects and lists are JSON text, for ->> and
    json_each; a missing field is null. Integers of more than 64 bits are text. Of
    fields that differ in case only, the second has _2 behind its name.

    A query can read these tables and nothing else: no files, no network, no writing.

    Examples:
      storectl dataset sql prices 'select shop, avg(price) from t group by shop'
      storectl dataset sql prices "select seller ->> 'name' as name from t" --csv
      storectl dataset sql a=mon b=tue 'select url from a except select url from b'
    """
    from storectl.transfer import sql as transfer
    from storectl.transfer.scan import scan
    from storectl.transfer.scratch import scratch

    words = [*(refs or ()), *([query] if query is not None else ())]
    query = _text(file) if file is not None else words.pop() if words else ""
    if not words:
        raise InvalidInput("no dataset is named", hint="storectl dataset sql REF 'SELECT …'")
    names = _names(words)
    wanted = ItemsQuery(fields=comma(fields))
    sources = {name: reading(ctx, ref, wanted) for name, ref in names.items()}
    out = ctx.obj.output
    with scratch() as database:
        tables: list[Table] = []
        for name, source in sources.items():
            table = transfer.Table(database, name)
            tables.append(table)
            rows = source.rows
            out.follow(scan(len(rows), rows.windows(0, source.size), table.take), "item")
        _tell(ctx, transfer.ask(database, query, tables))


def _tell(ctx: Context, answer: Answer) -> None:
    rows = (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
    columns = [Column(name, name) for name in answer.columns]
    ctx.obj.output.listing(columns, answer.columns, rows, ident=answer.columns[0], empty="no rows")


def _names(words: list[str]) -> dict[str, str]:
    """References by the names of their tables. InvalidInput if two have one name."""
    names: dict[str, str] = {}
    for number, word in enumerate(words, 1):
        found = _NAMED.fullmatch(word)
        name, ref = found.groups() if found else (f"t{number}" if number > 1 else "t", word)
        if name.lower() in map(str.lower, names):
            raise InvalidInput(f"two tables are called {name}", hint="NAME=REF names them")
        names[name] = ref
    return names


def _text(file: str) -> str:
    """A query from a file."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"{file}: no such file") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8: {error.reason} at {error.start}") from None
