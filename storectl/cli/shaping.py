"""The options that say which items come, in what shape and in what look."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from msgspec import Struct

from storectl.cli.options import Limit, comma
from storectl.formats import Options
from storectl.model.dataset import ItemsQuery

FORMATS = ("json", "jsonl", "csv", "tsv", "xml", "rss", "html", "xlsx", "parquet")
SUFFIXES = {
    ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv",
    ".xml": "xml", ".rss": "rss", ".html": "html", ".htm": "html", ".xlsx": "xlsx",
    ".parquet": "parquet",
}  # fmt: skip

Listed = list[str] | None


def option(*names: str, metavar: str, help: str) -> Any:
    """An option with a value and without a default worth telling."""
    return typer.Option(*names, metavar=metavar, help=help, show_default=False)


class Shaping(Struct, kw_only=True):
    """What these options were given."""

    limit: Limit = None
    offset: Annotated[int, option(metavar="N", help="Pass over so many first.")] = 0
    desc: Annotated[bool, typer.Option("--desc", help="Newest first.")] = False
    fields: Annotated[Listed, option(metavar="A,B", help="Only these, in this order.")] = None
    output_fields: Annotated[
        Listed, option(metavar="A,B", help="Names for --fields, one for each.")
    ] = None
    omit: Annotated[Listed, option(metavar="A,B", help="All but these.")] = None
    unwind: Annotated[
        Listed, option(metavar="A,B", help="A row for each element of these arrays.")
    ] = None
    flatten: Annotated[Listed, option(metavar="A,B", help="Nested values of these as a.b.")] = None
    clean: Annotated[bool, typer.Option("--clean", help="As --skip-hidden and --skip-empty.")] = (
        False
    )
    skip_hidden: Annotated[
        bool, typer.Option("--skip-hidden", help="Without fields that start with #.")
    ] = False
    skip_empty: Annotated[bool, typer.Option("--skip-empty", help="Without empty items.")] = False
    view: Annotated[str | None, option(metavar="NAME", help="A view of the schema.")] = None
    simplified: Annotated[
        bool, typer.Option("--simplified", help="The short form of old crawlers.")
    ] = False
    skip_failed_pages: Annotated[
        bool, typer.Option("--skip-failed-pages", help="Without items that have errorInfo.")
    ] = False
    delimiter: Annotated[str | None, option(metavar="CHAR", help="Between cells of csv.")] = None
    bom: Annotated[
        bool, typer.Option("--bom", help="A byte order mark first, for old spreadsheets.")
    ] = False
    no_header: Annotated[
        bool, typer.Option("--no-header", "--skip-header-row", help="csv without its head.")
    ] = False
    xml_root: Annotated[str, option(metavar="NAME", help="Outer element of xml.")] = "items"
    xml_row: Annotated[str, option(metavar="NAME", help="Element of an item in xml.")] = "item"
    feed_title: Annotated[str | None, option(metavar="TEXT", help="Title of rss.")] = None
    feed_description: Annotated[str | None, option(metavar="TEXT", help="Description of rss.")] = (
        None
    )

    def query(self, picked: tuple[str, ...] = ()) -> ItemsQuery:
        """Which items. picked: the fields where --fields names none."""
        return ItemsQuery(
            offset=self.offset,
            limit=self.limit,
            desc=self.desc,
            clean=self.clean,
            skip_hidden=self.skip_hidden,
            skip_empty=self.skip_empty,
            fields=comma(self.fields) or picked,
            output_fields=comma(self.output_fields),
            omit=comma(self.omit),
            unwind=comma(self.unwind),
            flatten=comma(self.flatten),
            view=self.view,
            simplified=self.simplified,
            skip_failed_pages=self.skip_failed_pages,
        )

    def options(
        self, ref: str, wanted: str, query: ItemsQuery, *, csv_safe: bool = False
    ) -> Options:
        """How they look. ref: names an untitled feed. wanted: one of FORMATS."""
        ref = ref.partition("?")[0]  # of a URL its signature is nobody's business
        return Options(
            delimiter=self.delimiter or ("\t" if wanted == "tsv" else ","),
            bom=self.bom,
            skip_header_row=self.no_header,
            xml_root=self.xml_root,
            xml_row=self.xml_row,
            feed_title=self.feed_title or f"Dataset {ref}",
            feed_description=self.feed_description or f"Items in dataset {ref}.",
            columns=query.columns,
            csv_safe=csv_safe,
        )


def shaped(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it takes them together, as `shaping`."""
    hints = get_type_hints(Shaping, include_extras=True)
    defaults = dict(zip(Shaping.__struct_fields__, Shaping.__struct_defaults__, strict=True))

    @wraps(command)
    def taking(**given: Any) -> None:
        values = {name: given.pop(name) for name in defaults}
        command(**given, shaping=Shaping(**values))

    own = signature(command, eval_str=True).parameters
    mine = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in own.values()]
    more = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in defaults.items()
    ]
    taken = [one for one in mine if one.name != "shaping"] + more
    taking.__signature__ = signature(command).replace(parameters=taken)  # type: ignore[attr-defined]
    taking.__annotations__ = {one.name: one.annotation for one in taken}
    return taking


def format_of_file(file: Path) -> str | None:
    """The format that the name of a file stands for, under a suffix of packing."""
    name = file.name.lower()
    for packed in (".gz", ".zst"):
        name = name.removesuffix(packed)
    return SUFFIXES.get(Path(name).suffix)
