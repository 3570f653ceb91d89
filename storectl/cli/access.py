"""storectl X access: who may do what with one storage, for every noun."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
import typer

from storectl.cli.context import keeper_of
from storectl.cli.failure import TITLES
from storectl.cli.frame import App, Context
from storectl.cli.listing import row_of
from storectl.cli.options import DryRun, Ref
from storectl.cli.storage import LEVELS
from storectl.cli.storage import Access as Level
from storectl.cli.values import ACCESS_WORDS, Column, plural
from storectl.errors import Forbidden, InvalidInput, NotFound
from storectl.model.access import OWNED, RIGHTS, Access, Grant
from storectl.model.storage import Change, Storage
from storectl.model.store import Store

COLUMNS = [
    Column("username", "USER"),
    Column("right", "RIGHT"),
    Column("createdAt", "SINCE", "time"),
]
GRANT_FIELDS = [field.encode_name for field in msgspec.structs.fields(Grant)]
FIELDS = [field.encode_name for field in msgspec.structs.fields(Access)]

MEANING = {
    "read": "read {}",
    "write": "read, change, fill, empty and delete {}",
    "manage": "do all with {}, and share it",
}
"""What a right allows, behind `may`."""

PUBLIC = ("ANYONE_WITH_ID_CAN_READ", "ANYONE_WITH_NAME_CAN_READ")
"""The levels at which no right is needed to read."""

User = Annotated[
    str,
    typer.Argument(metavar="USER", help="Username, e-mail or ID of a user.", show_default=False),
]


def add_access(app: App, noun: str) -> None:
    """Give a noun's app `access` with its four verbs."""
    group = App(f"Who may do what with a {TITLES[noun]}.")
    _add_ls(group, noun)
    _add_set(group, noun)
    _add_grant(group, noun)
    _add_revoke(group, noun)
    app.nest("access", group)


to_dataset = partial(add_access, noun="dataset")
to_kvs = partial(add_access, noun="kvs")
to_queue = partial(add_access, noun="queue")


def _add_ls(app: App, noun: str) -> None:
    @app.command(
        "ls",
        aliases=("list", "show"),
        help=f"""List who may do what with a {TITLES[noun]} beside its owner.

        First come the users who were given a right, then what its general access
        means in effect. --json tells all of it, with the links that were made.

        Examples:
          storectl {noun} access ls prices
          storectl {noun} access ls prices --json=generalAccess,grants,links
        """,
    )
    def ls(ctx: Context, ref: Ref) -> None:
        store, opened = ctx.obj.open(ref, noun)
        access = store.access.get(noun, opened)
        output = ctx.obj.output
        if output.form == "json":
            output.record([], FIELDS, msgspec.to_builtins(access))
            return
        output.listing(
            COLUMNS,
            GRANT_FIELDS,
            map(msgspec.to_builtins, access.grants),
            ident="username",
            empty=f"no user but {access.username} has a right of their own",
        )
        output.note(in_effect(access))
        if access.links:
            output.note(_linked(access, ref))


def in_effect(access: Access) -> str:
    """A sentence on who may read it without a right of their own."""
    level = access.effective_access
    who = {
        "FOLLOW_USER_SETTING": "its server says who may read it (--default-access)",
        "RESTRICTED": "nobody else may read it",
        "ANYONE_WITH_ID_CAN_READ": f"anyone who knows its ID, {access.id}, may read it",
        "ANYONE_WITH_NAME_CAN_READ": "anyone may read it, by its ID or "
        f"as {access.username}/{access.name or 'its name'}",
    }.get(level, level)
    word = ACCESS_WORDS.get(access.general_access, access.general_access)
    if access.general_access != level:
        word += f", so as the account: {ACCESS_WORDS.get(level, level)}"
    return f"General access is {word}; {who}"


def _linked(access: Access, ref: str) -> str:
    return (
        f"{_links(len(access.links))} it to whoever has them; to end all:\n"
        f"  storectl {access.noun} link {ref} --revoke-all"
    )


def _links(count: int) -> str:
    return f"{plural(count, 'link')} {'opens' if count == 1 else 'open'}"


def _add_set(app: App, noun: str) -> None:
    @app.command(
        "set",
        help=f"""Say who may read a {TITLES[noun]} without a right of their own.

        restricted: nobody. id: anyone who knows its ID. name: anyone, also by
        user/name. inherit: as the account says, see storectl access default.
        Writing always needs a right.

        Example: storectl {noun} access set prices restricted
        """,
    )
    def set_level(
        ctx: Context,
        ref: Ref,
        level: Annotated[
            Level,
            typer.Argument(
                metavar="LEVEL", help="restricted, id, name or inherit.", show_default=False
            ),
        ],
        dry_run: DryRun = False,
    ) -> None:
        store, opened = ctx.obj.open(ref, noun)
        keeper = keeper_of(store, noun)
        if dry_run:
            storage = keeper.get(opened)
            now = ACCESS_WORDS.get(storage.general_access, storage.general_access)
            sentence = f"General access of {called(noun, storage)} would be {level}, it is {now}"
        else:
            storage = keeper.update(opened, Change(general_access=LEVELS[level]))
            sentence = f"General access of {called(noun, storage)} is now {level}: {OPEN[level]}"
        ctx.obj.output.did(sentence, storage.id, row_of(storage))


OPEN = {
    "restricted": "who has no right may not read it",
    "id": "anyone who knows its ID may read it",
    "name": "anyone may read it, also by its name",
    "inherit": "as the account says (storectl access default)",
}


def called(noun: str, storage: Storage | Access) -> str:
    """`dataset 'prices'`, for the middle of a sentence."""
    return f"{TITLES[noun]} '{storage.name}'" if storage.name else f"{TITLES[noun]} {storage.id}"


def _add_grant(app: App, noun: str) -> None:
    @app.command(
        "grant",
        help=f"""Give a user a right on a {TITLES[noun]}, in the place of the one they had.

        --read: see it and all it holds. --write: also change, fill, empty and
        delete it. --manage: also share it.

        Examples:
          storectl {noun} access grant prices bob --read
          storectl {noun} access grant prices bob@example.com --write
        """,
    )
    def grant(
        ctx: Context,
        ref: Ref,
        user: User,
        read: Annotated[bool, typer.Option("--read", help="They may read.")] = False,
        write: Annotated[bool, typer.Option("--write", help="They may read and write.")] = False,
        manage: Annotated[
            bool, typer.Option("--manage", help="They may read, write and share.")
        ] = False,
        dry_run: DryRun = False,
    ) -> None:
        asked = [right for right, given in zip(RIGHTS, (read, write, manage), strict=True) if given]
        if not asked:
            raise InvalidInput(
                "give a right: --read, --write or --manage",
                hint=f"storectl {noun} access grant {ref} {user} --read",
            )
        right = asked[-1]  # each includes those before it
        store, opened = ctx.obj.open(ref, noun)
        if dry_run:
            access = store.access.get(noun, opened)
            _would(ctx, store, access, user, right)
            return
        granted = store.access.grant(noun, opened, user, right)
        what = MEANING[right].format(f"{TITLES[noun]} '{ref}'")
        ctx.obj.output.did(
            f"{granted.username} may now {what}",
            granted.username,
            msgspec.to_builtins(granted),
        )


def _would(ctx: Context, store: Store, access: Access, user: str, right: str) -> None:
    """Tell what a grant would do."""
    had = store.access.held(access.noun, access.id, user)
    if had.right == OWNED:
        raise InvalidInput(f"{called(access.noun, access)} is {had.username}'s")
    now = f" in the place of {had.right}" if had.right else ""
    ctx.obj.output.did(
        f"{had.username} would get {right} on {called(access.noun, access)}{now}",
        had.username,
        {"username": had.username, "right": right, "noun": access.noun, "id": access.id},
    )


def _to_end(store: Store, access: Access, user: str, ref: str) -> Grant:
    """The right that a revocation would end."""
    whom = store.access.held(access.noun, access.id, user)
    for one in access.grants:
        if one.user_id == whom.user_id:
            return one
    raise NotFound(
        f"User '{whom.username}' has no right on {called(access.noun, access)}",
        hint=f"storectl {access.noun} access ls {ref}",
    )


def _add_revoke(app: App, noun: str) -> None:
    @app.command(
        "revoke",
        aliases=("rm", "delete"),
        help=f"""Take away a user's right on a {TITLES[noun]}, at once.

        If it stays open to them all the same, by its general access or by a link,
        a warning says so.

        Example: storectl {noun} access revoke prices bob
        """,
    )
    def revoke(ctx: Context, ref: Ref, user: User, dry_run: DryRun = False) -> None:
        store, opened = ctx.obj.open(ref, noun)
        if dry_run:
            ended = _to_end(store, store.access.get(noun, opened), user, ref)
        else:
            ended = store.access.revoke(noun, opened, user)
        verb = "would lose" if dry_run else "has lost"
        ctx.obj.output.did(
            f"{ended.username} {verb} {ended.right} on {TITLES[noun]} '{ref}'",
            ended.username,
            msgspec.to_builtins(ended),
        )
        _warn_if_open(ctx, store, noun, ref, opened)


def _warn_if_open(ctx: Context, store: Store, noun: str, ref: str, opened: str) -> None:
    """Say what a revocation leaves: who took their own right away can see no more."""
    try:
        access = store.access.get(noun, opened)
    except (NotFound, Forbidden):
        return
    if access.effective_access in PUBLIC:
        word = ACCESS_WORDS[access.effective_access]
        ctx.obj.output.warn(
            f"its general access is {word}, so that they may read it all the same; "
            f"storectl {noun} access set {ref} restricted ends that"
        )
    if access.links:
        ctx.obj.output.warn(
            f"{_links(len(access.links))} it all the same; "
            f"storectl {noun} link {ref} --revoke-all ends that"
        )
