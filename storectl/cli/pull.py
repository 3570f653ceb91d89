"""storectl dataset pull: items into files, going on where an earlier run was stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import Ref
from storectl.cli.progress import summary
from storectl.cli.resume import Resume, resumable
from storectl.cli.shaping import FORMATS, Shaping, format_of_file, option, shaped
from storectl.errors import Conflict, InvalidInput
from storectl.formats import FORMATS as KNOWN
from storectl.formats.encoding import PACKED
from storectl.model.dataset import Dataset
from storectl.transfer.dataset import is_open_already
from storectl.transfer.target import APPENDABLE, Target


def add_pull(app: App) -> None:
    """Give the app of datasets its verb for files."""
    app.command("pull", aliases=("export",))(shaped(pull))


def pull(
    ctx: Context,
    ref: Ref,
    format: Annotated[
        Literal["json", "jsonl", "csv", "tsv", "xml", "rss", "html", "xlsx", "parquet"] | None,
        option("--format", "-f", metavar="FORMAT", help=", ".join(FORMATS) + "."),
    ] = None,
    output: Annotated[
        Path | None,
        option("--output", "-o", metavar="FILE", help="Where to; its suffix says the format."),
    ] = None,
    resume: Resume = True,
    gzip: Annotated[bool, typer.Option("--gzip", help="Pack with gzip; so does a .gz.")] = False,
    zstd: Annotated[bool, typer.Option("--zstd", help="Pack with zstd; so does a .zst.")] = False,
    append: Annotated[
        bool, typer.Option("--append", help="Add to the end of FILE: jsonl, csv and tsv.")
    ] = False,
    no_clobber: Annotated[
        bool, typer.Option("--no-clobber", help="Fail if FILE is there already.")
    ] = False,
    split: Annotated[
        int | None,
        typer.Option(
            "--split",
            metavar="N",
            min=1,
            help="Files of N items each: FILE-00001 and so on.",
            show_default=False,
        ),
    ] = None,
    *,
    shaping: Shaping,
) -> None:
    """Write the items of a dataset to a file, which appears when it is whole.

    Without -o the file is named after the dataset. A run that was stopped, by
    whatever, leaves a part beside FILE, and the same command goes on from there;
    the file is then what one run would have made of it. Items that come in the
    meantime are not among them. A server is asked for several windows at once,
    and memory stays the same at any size.

    Examples:
      storectl dataset pull prices
      storectl dataset pull prices -o prices.csv.gz --fields url,price
      storectl dataset pull prices --clean --split 1000000
    """
    from storectl.transfer import pull as transfer  # threads and OpenSSL, for who pulls

    store, opened = ctx.obj.open(ref, "dataset")
    dataset = store.datasets.get(opened)
    wanted = format or (format_of_file(output) if output else None) or "jsonl"
    packing = _packing(output, gzip=gzip, zstd=zstd)
    query = shaping.query()
    name = output or Path(_name(dataset, wanted, packing))
    target = Target(
        file=_behind(name),
        format="csv" if wanted == "tsv" else wanted,
        options=shaping.options(ref, wanted, query, csv_safe=ctx.obj.settings.csv_safe),
        packing=packing,
        append=append,
        split=split,
    )
    _check(target, no_clobber=no_clobber)
    journal = ctx.obj.journal(
        "pull",
        store,
        dataset=dataset.id,
        query=msgspec.to_builtins(query),
        file=str(target.file.absolute()),
    )
    out = ctx.obj.output
    with resumable(ctx.obj, journal, resume=resume):
        events = transfer.pull(
            store.datasets,
            opened,
            dataset,
            query,
            target,
            journal,
            jobs=ctx.obj.jobs(store),
            retries=ctx.obj.settings.retries,
        )
        done, progress = out.follow(events, "item")
    files = [
        {"file": str(one.file), "items": one.items, "bytes": one.bytes, "sha256": one.sha256}
        for one in progress.saved
    ]
    if out.form in ("json", "jsonl"):
        out.value({"items": done.moved, "bytes": done.bytes, "files": files})
    elif out.form not in ("table", "flat"):
        out.lines(str(one.file) for one in progress.saved)
    where = (
        f"{files[0]['file']}, sha256 {files[0]['sha256']}"
        if split is None
        else f"{len(files):,} files, {files[0]['file']} and on"
    )
    out.summary(f"{summary(done, 'item')} to {where}")


def _behind(file: Path) -> Path:
    """The file that a link leads to: the link stays one. What is open already is left as it is."""
    return Path(os.path.realpath(file)) if file.is_symlink() and not is_open_already(file) else file


def _packing(output: Path | None, *, gzip: bool, zstd: bool) -> str | None:
    if gzip and zstd:
        raise InvalidInput("--gzip and --zstd exclude each other")
    if gzip or zstd:
        return "gzip" if gzip else "zstd"
    suffix = output.suffix.lower() if output else ""
    return next((name for name, end in PACKED.items() if end == suffix), None)


def _name(dataset: Dataset, wanted: str, packing: str | None) -> str:
    suffix = ".tsv" if wanted == "tsv" else KNOWN[wanted].suffix
    return f"{dataset.name or dataset.id}{suffix}{PACKED[packing] if packing else ''}"


def _check(target: Target, *, no_clobber: bool) -> None:
    """Refuse what cannot be written, before anything is fetched."""
    file = target.numbered(1) if target.split else target.file
    if str(target.file) == "-":
        raise InvalidInput(
            "pull writes files", hint="storectl dataset items REF writes to standard output"
        )
    if file.is_dir():
        raise InvalidInput(f"{file} is a folder", hint=f"-o {file}/items.jsonl")
    if is_open_already(file) or (file.exists() and not file.is_file()):
        raise InvalidInput(
            f"{file} is no file, and pull writes files", hint="storectl dataset items REF -o FILE"
        )
    if target.append and (target.split or no_clobber):
        raise InvalidInput(
            f"--append and --{'split' if target.split else 'no-clobber'} exclude each other"
        )
    if target.append and target.format not in APPENDABLE:
        raise InvalidInput(
            f"nothing can be added to the end of {target.format}; jsonl, csv and tsv can grow"
        )
    if target.append and target.packing and target.format != "jsonl":
        raise InvalidInput("only jsonl can be added to a packed file")
    if no_clobber and file.exists():
        raise Conflict(f"{file} is there already", hint="another -o FILE, or without --no-clobber")
