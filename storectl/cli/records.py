"""What kvs pull, push and sync do: plan, move, and tell of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from storectl.cli.frame import Context
from storectl.cli.interrupt import soon_over
from storectl.cli.progress import Progress, summary
from storectl.cli.values import human_bytes, plural
from storectl.errors import Conflict, InvalidInput, Partial
from storectl.transfer import folder as folders
from storectl.transfer import plan as plans
from storectl.transfer.events import Finished
from storectl.transfer.plan import Head, Plan, Step, Way, Wishes

if TYPE_CHECKING:
    from storectl.transfer.kvs import Sync

REMEDY = "the same with --create, if it is to be made"
DONE = {"pull": "pulled", "push": "pushed"}


def move(
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


def _check_order(dir: str, ref: str) -> None:
    """Tell a REF that came before its DIR from a folder that is missing."""
    if not os.path.exists(dir) and os.path.isdir(ref):  # Path raises at too long a name
        raise InvalidInput(
            f"{ref!r} is a folder and {dir!r} is none: REF and DIR are swapped?",
            hint=f"storectl kvs push {shlex.quote(ref)} {shlex.quote(dir)}",
        )


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
