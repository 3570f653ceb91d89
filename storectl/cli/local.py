"""storectl local: Crawlee's folders of storages, into a store and out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from storectl.cli.context import keeper_of
from storectl.cli.failure import TITLES
from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun, comma
from storectl.cli.output import Row
from storectl.cli.progress import ending, summary
from storectl.cli.values import Column, plural
from storectl.errors import InvalidInput, NotFound, Partial
from storectl.model import rules
from storectl.model.page import walk
from storectl.model.storage import ListQuery, Storage, Storages
from storectl.transfer import local
from storectl.transfer.events import Finished
from storectl.transfer.local import Step
from storectl.transfer.local_export import Source, check_free, dump, folder_of
from storectl.transfer.local_import import Target, load
from storectl.transfer.local_layout import FOLDERS, Folder, Notes

app = App("Crawlee's local folders of storages: import and export.")

LISTED = [
    Column("noun", "KIND"),
    Column("name", "FOLDER", whole=True),
    Column("layout", "LAYOUT"),
    Column("items", "FILES", "count"),
    Column("size", "SIZE", "bytes"),
    Column("modifiedAt", "MODIFIED", "time"),
]
LISTED_FIELDS = ["noun", "name", "layout", "path", "items", "size", "modifiedAt"]
MOVED = [
    Column("noun", "KIND", whole=True),
    Column("name", "NAME", whole=True),
    Column("files", "FILES", "count"),
    Column("written", "WRITTEN", "count"),
    Column("id", "ID", whole=True),
    Column("folder", "FOLDER", whole=True),
]
PLANNED = [column for column in MOVED if column.field in ("noun", "name", "files", "folder")]
MOVED_FIELDS = [
    *("id", "noun", "name", "folder", "path", "layout"),
    *("files", "bytes", "written", "refused"),
]
MAX_TOLD = 20
"""Lines about files that were passed over."""

LayoutName = Literal["auto", "js", "python"]
Layout = Annotated[
    LayoutName, typer.Option("--layout", metavar="LAYOUT", help="auto, js or python.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND,…", help="Of dataset, kvs, queue.", show_default=False),
]
Dir = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        help="The folder; else $CRAWLEE_STORAGE_DIR, $APIFY_LOCAL_STORAGE_DIR, ./storage.",
        show_default=False,
    ),
]


@app.command("ls", aliases=("list",))
def ls(ctx: Context, dir: Dir = None, only: Only = None) -> None:
    """List the storages in a folder that Crawlee wrote, with their layout.

    Example: storectl local ls my-crawler/storage
    """
    notes = Notes()
    found = local.scan(_root(ctx, dir), "auto", _nouns(only), notes)
    ctx.obj.output.listing(
        LISTED, LISTED_FIELDS, map(_row, found), ident="path", empty="no storages"
    )
    _tell(ctx, notes)
    if notes.refused:
        raise Partial(f"{plural(len(notes.refused), 'folder')} cannot be read")


def _row(folder: Folder) -> Row:
    told = {"noun": folder.noun, "name": folder.path.name, "layout": folder.layout}
    return told | {"path": str(folder.path)} | local.describe(folder)


@app.command("import")
def import_(
    ctx: Context,
    dir: Dir = None,
    layout: Layout = "auto",
    only: Only = None,
    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER=REF",
            help="Where a folder goes, such as default=results or datasets/default=results.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Bring the storages of a Crawlee folder into the store, each under its folder's name.

    A storage that is not there is created. What is there already is not added again:
    a dataset takes the items behind those it has, a record replaces the one of its
    key, a request that the queue knows stays as it is. What is broken is named, the
    rest goes on, and the exit code is 7. Retry counts, the order of the queue and what
    is handled are kept; locks are not.

    Examples:
      storectl local import my-crawler/storage --dry-run
      storectl local import --only dataset --map default=results
    """
    notes = Notes()
    root = _root(ctx, dir)
    folders = local.scan(root, layout, _nouns(only), notes)
    targets = _targets(ctx, folders, _pairs(map), notes, dry_run)
    if dry_run:
        rows = [
            _moved(one.folder, None, one.name, {"files": local.describe(one.folder)["items"]})
            for one in targets
        ]
        ctx.obj.output.listing(PLANNED, MOVED_FIELDS, rows, ident="path", empty="no storages")
        _tell(ctx, notes)
        return
    rows = []
    jobs = max((ctx.obj.jobs(opened.store) for opened in ctx.obj.opened), default=0)

    def on_done(target: Target, step: Step, refused: int) -> None:
        told = {
            "files": step.files,
            "bytes": step.bytes,
            "written": step.written,
            "refused": refused,
        }
        rows.append(_moved(target.folder, target.ref, target.name, told))

    retries = ctx.obj.settings.retries
    events = load(targets, notes, jobs=jobs, retries=retries, on_done=on_done)
    done, _ = ctx.obj.output.follow(events, "file")
    _report(ctx, rows, done, notes, f"from {root}")


def _targets(
    ctx: Context, folders: list[Folder], names: dict[str, str], notes: Notes, dry_run: bool
) -> list[Target]:
    """Where each folder goes; storages are created unless it is a dry run."""
    known = {name for folder in folders for name in (folder.key, folder.path.name)}
    for name in names:
        if name not in known:
            raise InvalidInput(f"--map {name}: there is no such folder")
    found: list[Target] = []
    for folder in folders:
        text = names.get(folder.key) or names.get(folder.path.name)
        if text is None:
            text = folder.path.name
            try:
                rules.check_name(text)
            except InvalidInput as error:
                notes.refuse(folder.path, f"{error.message} (--map {folder.key}=NAME)")
                continue
        store, ref = ctx.obj.open(text, folder.noun)
        keeper = keeper_of(store, folder.noun)
        if ref.startswith("~") and not dry_run:
            ref = keeper.create(ref[1:])[0].id
        if any(one.folder.noun == folder.noun and one.ref == ref for one in found):
            raise InvalidInput(f"two folders of {FOLDERS[folder.noun]} would go to '{text}'")
        found.append(Target(folder, keeper, ref, text))
    return found


@app.command("export")
def export(
    ctx: Context,
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REF",
            help="Storages, of each kind that has the name; the last word may be the folder.",
            show_default=False,
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", "-a", help="Every storage with a name.")] = False,
    layout: Layout = "auto",
    only: Only = None,
    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="The folder of a storage, such as results=default.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace folders that have contents.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Write storages as a folder that Crawlee opens: for JavaScript (v3) or for Python (v1).

    A storage gets a folder of its name, and one without a name of its ID; the folder
    `default` is what a crawler opens without a name. It appears when it is whole. The
    last word is where all that goes, if it starts with . or / or ends with /; else it
    is $CRAWLEE_STORAGE_DIR, $APIFY_LOCAL_STORAGE_DIR or ./storage. The layout is that of
    the storages which are there, if there are any.

    Examples:
      storectl local export results --layout js ./storage
      storectl local export results --map results=default --layout python
      storectl local export --all --layout js backup/
    """
    words = list(refs or [])
    dir = Path(words.pop()) if words and _is_dir(words[-1]) else None
    if bool(words) == all:
        raise InvalidInput("name either storages, or --all", hint="storectl local export --help")
    root, nouns = _root(ctx, dir), _nouns(only)
    chosen = _layout_for(root, layout)
    sources = list(_every(ctx, nouns) if all else _named(ctx, words, nouns))
    sources = _renamed(sources, _pairs(map))
    notes = Notes()
    rows: list[Row] = []
    if dry_run:
        check_free(sources, root, force)
        rows = [_written(source, root, chosen, {}) for source in sources]
        ctx.obj.output.listing(PLANNED, MOVED_FIELDS, rows, ident="path", empty="no storages")
        return

    def on_done(source: Source, step: Step, refused: int) -> None:
        told = {
            "files": step.files,
            "bytes": step.bytes,
            "written": step.written,
            "refused": refused,
        }
        rows.append(_written(source, root, chosen, told))

    jobs = max((ctx.obj.jobs(opened.store) for opened in ctx.obj.opened), default=0)
    events = dump(sources, root, chosen, notes, force=force, jobs=jobs, on_done=on_done)
    done, _ = ctx.obj.output.follow(events, "file")
    _report(ctx, rows, done, notes, f"to {root} for {chosen}")


def _written(source: Source, root: Path, layout: str, told: Row) -> Row:
    path = folder_of(source, root)
    return _moved(Folder(source.noun, path, layout), source.storage.id, source.storage.name, told)


def _is_dir(word: str) -> bool:
    """Whether a word is a folder and cannot be a reference."""
    return word.startswith((".", "/")) or word.endswith("/")


def _layout_for(root: Path, layout: str) -> str:
    """The layout to write: that of the storages which are there, where none is asked for."""
    if layout != "auto":
        return layout
    found = set()
    if root.is_dir() and any((root / kind).is_dir() for kind in FOLDERS.values()):
        found = {folder.layout for folder in local.scan(root, "auto", FOLDERS, Notes())}
    if len(found) != 1:
        why = "has both layouts" if found else "has no storages yet"
        raise InvalidInput(f"{root} {why}: which one?", hint="--layout js, or --layout python")
    return found.pop()


def _every(ctx: Context, nouns: tuple[str, ...]) -> Iterator[Source]:
    """All storages that have a name."""
    store = ctx.obj.store()
    for noun in nouns:
        keeper = keeper_of(store, noun)

        def fetch(offset: int, keeper: Storages[Any] = keeper) -> tuple[list[Storage], int, int]:
            listed = keeper.list(ListQuery(offset=offset))
            return listed.items, len(listed.items), listed.total

        for storage in walk(fetch):
            yield Source(noun, keeper, storage, storage.name or storage.id)


def _named(ctx: Context, words: list[str], nouns: tuple[str, ...]) -> Iterator[Source]:
    """The storages of each kind that the words lead to."""
    for word in words:
        found = 0
        failure: InvalidInput | None = None
        label = ""
        for noun in nouns:
            try:
                store, ref = ctx.obj.open(word, noun)
                label = store.label
                keeper = keeper_of(store, noun)
                storage = keeper.get(ref)
            except NotFound:
                continue
            except InvalidInput as error:
                if "://" not in word:  # a URL leads to one kind only
                    raise
                failure = error
                continue
            found += 1
            yield Source(noun, keeper, storage, storage.name or storage.id)
        if not found and failure and not label:
            raise failure
        if not found:
            ctx.obj.opened.clear()  # the failure is not of the kind that came last
            kinds = " or ".join(TITLES[noun] for noun in nouns)
            hint = f"storectl {nouns[0]} ls --all; a folder is written ./{word}"
            raise NotFound(f"{kinds} '{word}' not found for {label}", hint=hint)


def _renamed(sources: list[Source], names: dict[str, str]) -> list[Source]:
    known = {source.name for source in sources}
    for name in names:
        if name not in known:
            raise InvalidInput(f"--map {name}: no such storage is exported")
    return [source._replace(name=names.get(source.name, source.name)) for source in sources]


def _root(ctx: Context, dir: Path | None) -> Path:
    """The folder that is meant, as Crawlee's own libraries find it."""
    if dir is not None:
        return dir
    environ = ctx.obj.environ
    named = environ.get("CRAWLEE_STORAGE_DIR") or environ.get("APIFY_LOCAL_STORAGE_DIR")
    return Path(named or "storage")


def _nouns(only: list[str] | None) -> tuple[str, ...]:
    nouns = comma(only) or tuple(FOLDERS)
    for noun in nouns:
        if noun not in FOLDERS:
            raise InvalidInput(f"--only {noun}: kinds are {', '.join(FOLDERS)}")
    return tuple(noun for noun in FOLDERS if noun in nouns)


def _pairs(texts: list[str] | None) -> dict[str, str]:
    """`--map a=b` as {a: b}."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, other = text.partition("=")
        if not (name and equals and other):
            raise InvalidInput(f"--map {text}: not of the form A=B")
        pairs[name] = other
    return pairs


def _moved(folder: Folder, id: str | None, name: str | None, told: Row) -> Row:
    row = {"id": id, "noun": folder.noun, "name": name, "folder": folder.key}
    return row | {"path": str(folder.path), "layout": folder.layout} | told


def _report(ctx: Context, rows: list[Row], done: Finished, notes: Notes, where: str) -> None:
    """The storages that were moved, the sum of it, and what was not moved."""
    out = ctx.obj.output
    out.listing(MOVED, MOVED_FIELDS, rows, empty="no storages")
    _tell(ctx, notes)
    out.summary(f"{plural(len(rows), 'storage')}, {summary(done, 'file')} {where}{ending(done)}")
    if notes.refused:
        raise Partial(f"{plural(len(notes.refused), 'file')} refused, {done.moved:,} moved")


def _tell(ctx: Context, notes: Notes) -> None:
    """Name what is not quite what it was, and the files that were passed over."""
    out = ctx.obj.output
    told = [f"note: {one.where}: {one.why}" for one in notes.remarks]
    told += [f"passed over: {one.where}: {one.why}" for one in notes.passed]
    for line in told[:MAX_TOLD]:
        out.summary(line)
    if len(told) > MAX_TOLD:
        out.summary(f"{len(told) - MAX_TOLD:,} more like that")
