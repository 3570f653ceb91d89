"""storectl kvs pull, push, sync: records between a store and a folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.interrupt import soon_over
from storectl.cli.options import DryRun, Ref
from storectl.cli.progress import Progress, summary
from storectl.cli.values import human_bytes, plural
from storectl.errors import Conflict, InvalidInput, Partial
from storectl.transfer import folder as folders
from storectl.transfer import plan as plans
from storectl.transfer.events import Finished
from storectl.transfer.plan import Head, Plan, Step, Way, Wishes

if TYPE_CHECKING:
    from storectl.transfer.kvs import Sync

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

REMEDY = "the same with --create, if it is to be made"
DONE = {"pull": "pulled", "push": "pushed"}


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
    _move(ctx, "pull", ref, dir, wishes, jobs=jobs, dry_run=dry_run)


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
    _move(ctx, "push", ref, dir, wishes, jobs=jobs, dry_run=dry_run, create=create)


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
    _move(
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


def _check_order(dir: str, ref: str) -> None:
    """Tell a REF that came before its DIR from a folder that is missing."""
    if not os.path.exists(dir) and os.path.isdir(ref):  # Path raises at too long a name
        raise InvalidInput(
            f"{ref!r} is a folder and {dir!r} is none: REF and DIR are swapped?",
            hint=f"storectl kvs push {shlex.quote(ref)} {shlex.quote(dir)}",
        )


def _move(
    ctx: Context,
    way: Way,
    ref: str,
    dir: str,
    wishes: Wishes,
    *,
    jobs: int | None,
    dry_run: bool,
    create: bool = False,
    plan_file: Path | None = None,
    apply_file: Path | None = None,
) -> None:
    """Plan, and do it or show it."""
    from storectl.transfer.kvs import Sync  # threads and OpenSSL, for who moves records

    path = Path(dir)
    steps: list[Step] | None = None
    if way == "push" and not path.is_dir():
        _check_order(dir, ref)
        with folders.opened(path, create=False):  # says why
            pass
    store, opened = ctx.obj.open(
        ref, "kvs", remedy=REMEDY if way == "push" and not create else None
    )
    looking = dry_run or plan_file is not None
    if create and opened.startswith("~") and not looking:
        opened = store.kvs.create(opened[1:])[0].id
    id = store.kvs.get(opened).id
    if apply_file is not None:
        head, steps = plans.read(apply_file)
        wishes = _as_planned(head, way, id, path, wishes)
    with soon_over(), _folder(path, looking) as folder:
        folder.belongs_to(id)
        settings = ctx.obj.settings
        writes_here = way == "push" and ctx.obj.server(store) is None
        usual = settings.writers if writes_here else settings.jobs
        work = Sync(store.kvs, id, folder, way, wishes, jobs=jobs or usual)
        plan = work.plan()
        if steps is not None:
            plan.steps = plans.approved(plan, steps)
        if way == "push" and folder.left_out:
            ctx.obj.output.warn(_left_out(folder.left_out))
        if looking:
            head = Head(way=way, store=id, folder=str(path.resolve()), wishes=wishes)
            _show(ctx, head, plan, plan_file, dry_run)
            return
        with closing(work.run(plan)) as events:  # whatever comes, it ends before the folder closes
            done, progress = ctx.obj.output.follow(events, "record")
    ends = [str(path), f"'{ref}' of {store.label}"]
    _tell(ctx, work, plan, done, progress, ends if way == "push" else ends[::-1])


@contextmanager
def _folder(path: Path, looking: bool) -> Iterator[folders.Folder]:
    """The folder; for whoever only looks an empty one, if it is not there yet."""
    if looking and not path.exists():
        with (
            TemporaryDirectory(prefix="storectl-") as empty,
            folders.opened(Path(empty), create=False) as folder,
        ):
            yield folder
        return
    with folders.opened(path, create=not looking) as folder:
        folder.keeps = folder.keeps and not looking
        yield folder


def _as_planned(head: Head, way: Way, id: str, path: Path, wishes: Wishes) -> Wishes:
    """The wishes of a plan that was made for this store and this folder."""
    if wishes != Wishes():
        raise InvalidInput("--apply does what the plan says; it takes no other wishes")
    made_for = (head.way, head.store, head.folder)
    if made_for != (way, id, str(path.resolve())):
        ends = [f"store {head.store}", head.folder]
        raise InvalidInput(
            "the plan is for another sync: from {} to {}".format(
                *(ends if head.way == "pull" else ends[::-1])
            )
        )
    return head.wishes


def _left_out(names: list[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"left out what is hidden or no plain file: {', '.join(names[:3])}{more}"


def _show(ctx: Context, head: Head, plan: Plan, file: Path | None, dry_run: bool) -> None:
    """A plan instead of what it says."""
    out = ctx.obj.output
    for refused in (*plan.refused, *plan.kept):
        out.warn(f"{refused.where}: {refused.why}")
    if file is not None:
        plans.write(file, head, plan.steps)
    if dry_run and out.form == "json":
        items = [msgspec.to_builtins(step) for step in plan.steps]
        out.value({"items": items, "total": len(items), "truncated": False})
    elif dry_run:
        out.lines(plans.line(step).decode() for step in plan.steps)
    moves = plan.moves
    size = human_bytes(sum(step.bytes for step in moves))
    parts = [f"Would {head.way} {plural(len(moves), 'record')}, {size}"]
    if plan.deletes:
        parts.append(f"delete {len(plan.deletes):,}")
    parts.append(f"leave {len(plan.same) + plan.passed + len(plan.kept):,}")
    kept = f"; the plan is in {file}" if file is not None else ""
    out.summary(", ".join(parts) + kept)


def _tell(
    ctx: Context, work: Sync, plan: Plan, done: Finished, progress: Progress, ends: list[str]
) -> None:
    """What was done, and what was not."""
    out = ctx.obj.output
    if out.form in ("json", "jsonl"):
        out.value(
            {
                DONE[work.way]: done.moved,
                "deleted": work.deleted,
                "same": len(plan.same),
                "bytes": done.bytes,
                "secs": round(done.secs, 3),
                "refused": [{"where": one.where, "why": one.why} for one in progress.refused],
            }
        )
    elif out.form not in ("table", "flat"):
        out.lines(work.done)
    more = [f"{work.deleted:,} deleted"] if work.deleted else []
    more += [f"{len(plan.same):,} unchanged"] if plan.same else []
    more += [f"{plan.passed:,} left alone"] if plan.passed else []
    what = summary(done, "record") if done.moved else "No record moved"
    out.summary("; ".join([f"{what} from {ends[0]} to {ends[1]}", *more]))
    if done.refused == 0:
        return
    if done.refused == len(plan.kept):
        raise Conflict(
            f"{plural(done.refused, 'record')} kept, which differ; the rest is done",
            type="record-exists",
        )
    instead = "; nothing was deleted" if plan.deletes and not work.deleted else ""
    raise Partial(
        f"{plural(done.refused, 'record')} of {len(plan.steps) + len(plan.refused):,} failed"
        f"{instead}; the rest is done",
        hint="the same command again does what is left",
    )
