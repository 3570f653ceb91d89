"""storectl kvs pull, push, sync: records between a store and a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun, Ref
from storectl.cli.records import move
from storectl.errors import InvalidInput
from storectl.transfer import plan as plans
from storectl.transfer.plan import Way, Wishes

Dir = Annotated[str, typer.Argument(metavar="DIR", help="A folder.", show_default=False)]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Take keys like this; see above.", show_default=False),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Leave keys like this out.", show_default=False),
]
Checksum = Annotated[bool, typer.Option("--checksum", help="Compare all bytes.")]
SizeOnly = Annotated[bool, typer.Option("--size-only", help="Compare sizes alone.")]
NoClobber = Annotated[
    bool,
    typer.Option("--no-clobber", help="Keep what is there and differs, and exit with 6."),
]
Raw = Annotated[bool, typer.Option("--raw", help="The bytes as stored: packed, if they are.")]
Create = Annotated[
    bool, typer.Option("--create", help="Create the store if there is none of that name.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", metavar="N", min=1, max=256, help="Transfers at a time, 8 if not given.",
        show_default=False,
    ),
]  # fmt: skip
PushJobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", metavar="N", min=1, max=256, show_default=False,
        help="Transfers at a time; if not given 8, or 32 into a store on this machine.",
    ),
]  # fmt: skip


def add_sync_verbs(app: App) -> None:
    """Give the app of key-value stores its verbs for folders."""
    app.command("pull")(pull)
    app.command("push")(push)
    app.command("sync")(sync)


def pull(
    ctx: Context,
    ref: Ref,
    dir: Dir,
    include: Include = None,
    exclude: Exclude = None,
    checksum: Checksum = False,
    size_only: SizeOnly = False,
    no_clobber: NoClobber = False,
    raw: Raw = False,
    jobs: Jobs = None,
    dry_run: DryRun = False,
) -> None:
    """Save records as files of a folder, which is made if it is not there.

    Only what is new or changed is fetched: run it again, and it goes on where it
    stopped. A file appears when it is whole. What was stored packed (gzip, br,
    deflate) is unpacked, unless --raw. Types stand in DIR/.storectl.json.

    The key is the name of the file. What would be dangerous in a name is written as
    % and two hex digits, as in %2E for a dot at either end and %43ON for CON; and so
    are the capitals, or else all letters, of a key that differs from another only in
    its capitals. Backwards this gives the key. A name over 240 characters is cut and
    ends in %~ and a hash; its key stands in .storectl.json.

    --include and --exclude may be given several times; the first GLOB that fits a key
    decides. What none fits is taken, unless there is an --include.

    Examples:
      storectl kvs pull shots ./shots
      storectl kvs pull shots ./shots --exclude 'tmp-*' --include '*.png'
    """
    wishes = Wishes(
        globs=_globs(ctx, include, exclude),
        compare=_compare(checksum, size_only),
        no_clobber=no_clobber,
        raw=raw,
    )
    move(ctx, "pull", ref, dir, wishes, jobs=jobs, dry_run=dry_run)


def push(
    ctx: Context,
    dir: Dir,
    ref: Ref,
    include: Include = None,
    exclude: Exclude = None,
    checksum: Checksum = False,
    size_only: SizeOnly = False,
    no_clobber: NoClobber = False,
    create: Create = False,
    jobs: PushJobs = None,
    dry_run: DryRun = False,
) -> None:
    """Store the files of a folder as records.

    Only what is new or changed is sent: run it again, and it goes on where it stopped.
    Hidden files, folders and links are left out. The key is the name of the file, or
    what `kvs pull` made the name from; DIR/.storectl.json may give a file another key
    and its content type, which else follows from the suffix:
      {"files": {"my shot.png": {"key": "my-shot.png", "contentType": "image/png"}}}

    --include and --exclude may be given several times; the first GLOB that fits a key
    decides. What none fits is taken, unless there is an --include.

    Examples:
      storectl kvs push ./shots shots --create
      storectl kvs push ./shots shots --include '*.png' --dry-run
    """
    wishes = Wishes(
        globs=_globs(ctx, include, exclude),
        compare=_compare(checksum, size_only),
        no_clobber=no_clobber,
    )
    move(ctx, "push", ref, dir, wishes, jobs=jobs, dry_run=dry_run, create=create)


def sync(
    ctx: Context,
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="A folder or a REF.", show_default=False)
    ],
    destination: Annotated[
        str,
        typer.Argument(metavar="DST", help="The other of the two.", show_default=False),
    ],
    include: Include = None,
    exclude: Exclude = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete at DST what SRC does not have.")
    ] = False,
    max_delete: Annotated[
        str | None,
        typer.Option(
            metavar="N|N%",
            help="With more to delete do nothing, and exit with 10.",
            show_default=False,
        ),
    ] = None,
    checksum: Checksum = False,
    size_only: SizeOnly = False,
    existing: Annotated[
        bool, typer.Option("--existing", help="Only what is at DST already.")
    ] = False,
    ignore_existing: Annotated[
        bool, typer.Option("--ignore-existing", help="Only what is not at DST yet.")
    ] = False,
    no_clobber: NoClobber = False,
    raw: Raw = False,
    create: Create = False,
    jobs: PushJobs = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what is to be done to FILE, and do nothing.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Do what a --plan says, nothing else; or exit with 6.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Make DST like SRC: a folder like a store, or a store like a folder.

    As `kvs pull` or `kvs push`, whose help tells about names and globs. A side that
    begins with / or . or ends in / is a folder; ~NAME is a store; else a side is a
    folder if there is one of that name.

    A file is unchanged if it has the size and time, and its record the size, that
    DIR/.storectl.json remembers; what is not remembered is moved. A record that was
    set anew without another size is seen where the server lists checksums, as
    storectl serve does; elsewhere by --checksum alone. --delete deletes last, only
    if all went well, and never if SRC is empty; what --exclude leaves out stays.

    --dry-run prints what would be done as JSON lines. --plan keeps it in FILE;
    --apply does it, unless one of these files or records changed meanwhile.

    Examples:
      storectl kvs sync ./site website --delete --max-delete 10%
      storectl kvs sync website ./site --plan plan.jsonl
      storectl kvs sync website ./site --apply plan.jsonl
    """  # fmt: skip
    way, ref, dir = _sides(source, destination)
    if max_delete is not None:
        plans.most_deletes(max_delete, 0)
        if not delete:
            raise InvalidInput("--max-delete does nothing without --delete")
    wishes = Wishes(
        globs=_globs(ctx, include, exclude),
        compare=_compare(checksum, size_only),
        delete=delete,
        max_delete=max_delete,
        existing=existing,
        ignore_existing=ignore_existing,
        no_clobber=no_clobber,
        raw=raw,
    )
    move(
        ctx, way, ref, dir, wishes,
        jobs=jobs, dry_run=dry_run, create=create, plan_file=plan, apply_file=apply,
    )  # fmt: skip


def _sides(source: str, destination: str) -> tuple[Way, str, str]:
    """Which way, the reference, and the folder."""
    kinds = [_kind(side) for side in (source, destination)]
    if kinds[0] == kinds[1]:
        kinds = [
            kind or ("folder" if Path(side).is_dir() else None)
            for kind, side in zip(kinds, (source, destination), strict=True)
        ]
    if kinds[0] == kinds[1]:
        raise InvalidInput(
            f"one of {source!r} and {destination!r} must be a folder, and the other a store",
            hint="write ./DIR for a folder and ~NAME for a store",
        )
    if kinds[0] == "folder" or kinds[1] == "store":
        return "push", destination, source
    return "pull", source, destination


def _kind(side: str) -> Literal["folder", "store"] | None:
    """What a side says that it is; None if it may be either."""
    if side.startswith(("/", ".")):
        return "folder"
    if side.startswith("~") or ":" in side:
        return "store"
    return "folder" if side.endswith("/") else None


def _globs(
    ctx: Context, include: list[str] | None, exclude: list[str] | None
) -> tuple[tuple[bool, str], ...]:
    """Both kinds in the order of the command line, which Typer does not keep."""
    left = {"--include": list(include or ()), "--exclude": list(exclude or ())}
    found = []
    for word in ctx.obj.args:
        name = word.partition("=")[0]
        if left.get(name):
            found.append((name == "--include", left[name].pop(0)))
    return tuple(found)


def _compare(checksum: bool, size_only: bool) -> Literal["memory", "size", "checksum"]:
    if checksum and size_only:
        raise InvalidInput("--checksum and --size-only exclude each other")
    return "checksum" if checksum else "size" if size_only else "memory"
