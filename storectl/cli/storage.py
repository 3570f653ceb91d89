"""What the three nouns have in common: ls, create, info, rename, rm."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import typer

from storectl.cli.context import keeper_of
from storectl.cli.frame import App, Context
from storectl.cli.listing import Listing, Noun, Sort, Wanted, before, row_of
from storectl.cli.options import DryRun, Limit, Ref, Refs
from storectl.cli.values import ACCESS_WORDS, plural, relative
from storectl.errors import Conflict, InvalidInput, NotFound, Partial, StorectlError
from storectl.model import rules
from storectl.model.storage import Change, Storage
from storectl.model.store import Store

Access = Literal["inherit", "restricted", "id", "name"]
LEVELS = {word: level for level, word in ACCESS_WORDS.items()}


def add_verbs(app: App, noun: Noun) -> None:
    """Give a noun's app the verbs that all nouns have."""
    _add_ls(app, noun)
    _add_create(app, noun)
    _add_info(app, noun)
    _add_rename(app, noun)
    _add_rm(app, noun)
    app.later(f"prune:to_{noun.key}", "prune")
    app.later(f"access:to_{noun.key}", "access")
    app.later(f"link:to_{noun.key}", "link")


def _add_ls(app: App, noun: Noun) -> None:
    @app.command(
        "ls",
        aliases=("list",),
        help=f"""List {noun.title}s, in the order they were created.

        Named ones only, unless --all or --unnamed, and your own, unless --owner says
        whose. Nothing is cut off: all pages are read, unless --limit says otherwise.

        Examples:
          storectl {noun.key} ls 'price*' --sort size --reverse
          storectl {noun.key} ls --unnamed --older-than 7d -q
          storectl {noun.key} ls --owner others
        """,
    )
    def ls(
        ctx: Context,
        glob: Annotated[
            str | None,
            typer.Argument(
                metavar="GLOB", help="Only names like this; quote it.", show_default=False
            ),
        ] = None,
        unnamed: Annotated[
            bool, typer.Option("--unnamed", help="Only those without a name.")
        ] = False,
        all: Annotated[bool, typer.Option("--all", "-a", help="With and without a name.")] = False,
        sort: Annotated[
            Sort | None, typer.Option(help="Order by this.", show_default=False)
        ] = None,
        reverse: Annotated[bool, typer.Option("--reverse", "-r", help="Last first.")] = False,
        limit: Limit = None,
        older_than: Annotated[
            str | None,
            typer.Option(
                metavar="TIME", help="Not modified for so long: 30d, 12h.", show_default=False
            ),
        ] = None,
        owner: Annotated[
            str,
            typer.Option(
                metavar="WHOSE",
                help="me, others (shared with me), all, or a username.",
            ),
        ] = "me",
    ) -> None:
        store = ctx.obj.store()
        old = before(older_than)
        wanted = Wanted(noun, glob, unnamed, all, sort, reverse, limit, old, owner)
        listing = Listing(keeper_of(store, noun.key), wanted)
        ctx.obj.output.listing(
            wanted.columns,
            noun.fields,
            listing.rows(),
            empty=_none(wanted, store),
            tail=lambda: (listing.total, listing.truncated),
        )


def _none(wanted: Wanted, store: Store) -> str:
    """What is said of a listing without rows."""
    title = wanted.noun.title
    if wanted.glob:
        return f"no {title} like '{wanted.glob}' for {store.label}"
    if wanted.before:
        return f"no {title} that old for {store.label}"
    if wanted.owner != "me":
        whose = "shared" if wanted.owner == "others" else f"of {wanted.owner}"
        return f"no named {title}s {whose} for {store.label}; --all shows others too"
    if wanted.unnamed or wanted.all:
        return f"no {title}s for {store.label}"
    return f"no named {title}s for {store.label}; --all shows others too"


def _add_create(app: App, noun: Noun) -> None:
    @app.command(
        "create",
        help=f"""Create a {noun.title}.

        Without a name it is temporary: it goes some days after its last use.
        A name has letters, digits and hyphens inside, at most 63.

        Examples:
          storectl {noun.key} create prices
          id=$(storectl {noun.key} create -q)
        """,
    )
    def create(
        ctx: Context,
        name: Annotated[
            str | None,
            typer.Argument(
                metavar="NAME",
                help="Its name; PROFILE: may stand before it.",
                show_default=False,
            ),
        ] = None,
        exist_ok: Annotated[
            bool, typer.Option("--exist-ok", help="Take the one of that name if there is one.")
        ] = False,
        access: Annotated[
            Access | None,
            typer.Option(help="Who may read it without rights of their own.", show_default=False),
        ] = None,
    ) -> None:
        store, name = ctx.obj.place(name)
        keeper = keeper_of(store, noun.key)
        made, new = keeper.create(name)
        if not new and not exist_ok:
            raise Conflict(
                f"{noun.title} '{name}' already exists for {store.label}",
                hint=f"storectl {noun.key} create {name} --exist-ok",
            )
        if access is not None:
            made = keeper.update(made.id, Change(general_access=LEVELS[access]))
        verb = "Created" if new else "Found"
        called = f"'{made.name}' ({made.id})" if made.name else made.id
        ctx.obj.output.did(
            f"{verb} {noun.title} {called} for {store.label}",
            made.id,
            {**row_of(made), "created": new},
        )


def _add_info(app: App, noun: Noun) -> None:
    @app.command(
        "info",
        aliases=("show",),
        help=f"""Describe one {noun.title}.

        Example: storectl {noun.key} info prices --json=id,modifiedAt
        """,
    )
    def info(ctx: Context, ref: Ref) -> None:
        store, opened = ctx.obj.open(ref, noun.key)
        storage = keeper_of(store, noun.key).get(opened)
        ctx.obj.output.record(noun.lines, noun.fields, row_of(storage))
        if storage.name is None:
            ctx.obj.output.note(_expiry(noun, storage))


def _expiry(noun: Noun, storage: Storage) -> str:
    """What becomes of a storage without a name."""
    when = "when your plan says"
    if storage.expire_at is None:
        return "It has no name, and is kept here until it is deleted"
    if isinstance(storage.expire_at, str):
        moment = datetime.fromisoformat(storage.expire_at).astimezone()
        when = f"{relative(storage.expire_at)}, on {moment:%Y-%m-%d %H:%M}, unless it is used"
    return (
        f"It has no name and goes {when}; to keep it:\n"
        f"  storectl {noun.key} rename {storage.id} NAME"
    )


def _add_rename(app: App, noun: Noun) -> None:
    @app.command(
        "rename",
        help=f"""Name a {noun.title}, so that it is kept; or take its name away.

        Examples:
          storectl {noun.key} rename WkzbQMuFYuamGv3YF prices
          storectl {noun.key} rename prices --unname
        """,
    )
    def rename(
        ctx: Context,
        ref: Ref,
        new: Annotated[
            str | None, typer.Argument(metavar="NEW", help="The new name.", show_default=False)
        ] = None,
        unname: Annotated[
            bool, typer.Option("--unname", help="Take the name away; it may then expire.")
        ] = False,
        dry_run: DryRun = False,
    ) -> None:
        if (new is None) != unname:
            raise InvalidInput(
                "give either a new name or --unname", hint=f"storectl {noun.key} rename {ref} NEW"
            )
        if new is not None:
            rules.check_name(new)
        store, opened = ctx.obj.open(ref, noun.key)
        keeper = keeper_of(store, noun.key)
        if dry_run:
            storage = keeper.get(opened)
            what = f"be named '{new}'" if new else "lose its name"
            ctx.obj.output.did(f"{called(noun, storage)} would {what}", storage.id, row_of(storage))
            return
        storage = keeper.update(opened, Change(name=new))
        sentence = (
            f"{called(noun, storage)} is now kept indefinitely"
            if new
            else f"{called(noun, storage)} is no longer exempt from expiry"
        )
        ctx.obj.output.did(sentence, storage.name or storage.id, row_of(storage))


def called(noun: Noun, storage: Storage) -> str:
    """`Dataset 'prices' (WkzbQMuFYuamGv3YF)`, for the start of a sentence."""
    title = noun.title[:1].upper() + noun.title[1:]
    return f"{title} '{storage.name}' ({storage.id})" if storage.name else f"{title} {storage.id}"


def _add_rm(app: App, noun: Noun) -> None:
    @app.command(
        "rm",
        aliases=("delete", "remove"),
        help=f"""Delete {noun.title}s with all they hold. There is no way back.

        On a terminal a named one asks to type its name. Elsewhere --yes is needed.

        Examples:
          storectl {noun.key} rm prices
          storectl {noun.key} ls --unnamed --older-than 30d -q |
            xargs storectl {noun.key} rm -y
        """,
    )
    def rm(
        ctx: Context,
        refs: Refs,
        dry_run: DryRun = False,
        if_exists: Annotated[
            bool, typer.Option("--if-exists", help="What is not there is no failure.")
        ] = False,
    ) -> None:
        found = _find(ctx, noun, refs, if_exists)
        if dry_run:
            _tell_removed(ctx, noun, [storage for _, storage in found], "Would remove")
            return
        for store, storage in found:
            _confirm(ctx, noun, store, storage)
        removed: list[Storage] = []
        try:
            for store, storage in found:
                _remove(store, noun, storage, if_exists)
                removed.append(storage)
        except StorectlError as error:
            if not removed:
                raise
            _tell_removed(ctx, noun, removed, "Removed")
            raise Partial(
                f"{len(removed)} of {len(found)} removed, then: {error.message}", hint=error.hint
            ) from error
        _tell_removed(ctx, noun, removed, "Removed")


def _find(
    ctx: Context, noun: Noun, refs: list[str], if_exists: bool
) -> list[tuple[Store, Storage]]:
    """Every storage that is meant, once, before anything is touched."""
    found: dict[tuple[int, str], tuple[Store, Storage]] = {}
    for text in refs:
        store, ref = ctx.obj.open(text, noun.key)
        try:
            storage = keeper_of(store, noun.key).get(ref)
        except NotFound:
            if not if_exists:
                raise
            ctx.obj.output.note(f"{noun.title} '{text}' is not there")
            continue
        found[id(store), storage.id] = store, storage
    return list(found.values())


def _confirm(ctx: Context, noun: Noun, store: Store, storage: Storage) -> None:
    row = row_of(storage)
    held = [plural(row[c.field], "item") for c in noun.counted[:1] if row.get(c.field)]
    holding = f" with {held[0]}" if held else ""
    name = f"'{storage.name}'" if storage.name else storage.id
    ctx.obj.output.confirm(
        f"delete {noun.title} {name}{holding} of {store.label}", name=storage.name
    )


def _remove(store: Store, noun: Noun, storage: Storage, if_exists: bool) -> None:
    try:
        keeper_of(store, noun.key).delete(storage.id)
    except NotFound:
        if not if_exists:
            raise


def _tell_removed(ctx: Context, noun: Noun, removed: list[Storage], verb: str) -> None:
    names = ", ".join(f"'{s.name}'" if s.name else s.id for s in removed) or "nothing"
    items = [{"id": storage.id, "name": storage.name} for storage in removed]
    ctx.obj.output.did(
        f"{verb} {noun.title} {names}" if removed else f"{verb} nothing",
        [storage.id for storage in removed],
        {"items": items, "total": len(items), "truncated": False},
    )
