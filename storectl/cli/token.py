"""storectl token: the API tokens of a store."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun, comma
from storectl.cli.output import Row
from storectl.cli.settings import duration_secs
from storectl.cli.shaping import option
from storectl.cli.values import Column, short
from storectl.cli.which import one_storage
from storectl.errors import InvalidInput, NotFound, StorectlError, Unauthorized, Unsupported
from storectl.model.access import RIGHTS, Scope
from storectl.model.token import Token

app = App("API tokens of a store: create, list, rotate, revoke, check.")

STALE = "90d"
"""A token that was not used for so long is stale."""

NEVER = "never expires"

COLUMNS = [
    Column("id", "ID", whole=True),
    Column("name", "NAME"),
    Column("username", "USER"),
    Column("last4", "ENDS"),
    Column("lastUsedAt", "USED", "time"),
    Column("expiresAt", "EXPIRES", "time"),
    Column("state", "STATE"),
    Column("scope", "SCOPE", "scope"),
]
LINES = [
    Column("id", "ID"),
    Column("name", "Name"),
    Column("username", "User"),
    Column("last4", "Ends with"),
    Column("scope", "May do", "scope"),
    Column("state", "State"),
    Column("createdAt", "Created", "moment"),
    Column("lastUsedAt", "Used", "moment"),
    Column("expiresAt", "Expires", "moment"),
    Column("previousUntil", "Secret before", "moment"),
]
FIELDS = [field.encode_name for field in msgspec.structs.fields(Token) if field.name != "secret"]
FIELDS += ["state", "stale"]

Which = Annotated[str, typer.Argument(metavar="ID|NAME", help="Which one.", show_default=False)]


@app.command("create")
def create(
    ctx: Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="What it is for; made up if absent.", show_default=False
        ),
    ] = None,
    user: Annotated[
        str | None,
        option("--user", metavar="USER", help="Who it speaks for; made on a store of ours."),
    ] = None,
    email: Annotated[
        str | None, option("--email", metavar="EMAIL", help="The e-mail of a user that is made.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        option(
            "--scope",
            metavar="NOUN:ACTION",
            help="It may do this to all of a noun: read, write, manage, list or create. "
            "May be repeated.",
        ),
    ] = None,
    resource: Annotated[
        list[str] | None,
        option(
            "--resource",
            metavar="REF:RIGHT",
            help="It may do this to one storage: read, write or manage. May be repeated.",
        ),
    ] = None,
    expires: Annotated[
        str | None, option("--expires", metavar="TIME", help="It works so long: 90d.")
    ] = None,
    never: Annotated[bool, typer.Option("--never", help="It never expires.")] = False,
) -> None:
    """Create a token. It is shown this once: the store keeps only its hash.

    Without --scope and --resource it may do all that its user may; with them only
    that, and all to what it creates. Whoever can open a store is its administrator:
    --store FOLDER makes tokens for any user of it, and the user too if there is none.

    Examples:
      token=$(storectl --store ./data token create --user alice -q)
      storectl token create reader --scope dataset:read --expires 90d
      storectl token create ci --resource dataset/prices:write --expires 30d
    """
    if never and expires is not None:
        raise InvalidInput("--expires and --never exclude each other")
    secs = None if expires is None else _secs(expires, "--expires")
    allows = list(comma(scope))
    Scope.parse(allows)
    store = ctx.obj.store()
    allows += [_resource(ctx, given) for given in resource or ()]
    made = store.tokens.create(
        name or _made_up_name(), username=user, email=email, scope=allows or None, secs=secs
    )
    if secs is None and not never:
        ctx.obj.output.note("It never expires; --expires 90d makes one that does.")
    _reveal(ctx, made, f"Token '{made.name}' speaks for {made.username} at {store.label}.")


def _reveal(ctx: Context, made: Token, sentence: str) -> None:
    """Show a secret: alone on stdout, what it is beside it."""
    output = ctx.obj.output
    if output.form in ("json", "jsonl"):
        output.value(msgspec.to_builtins(made))
        return
    output.lines([made.secret or ""])
    may = "has the rights of its user" if made.scope is None else f"may: {', '.join(made.scope)}"
    output.note(f"{sentence}\nIt is not shown again, and whoever has it {may}.")


def _resource(ctx: Context, given: str) -> str:
    """`REF:read,write` as a text of a scope. The noun may stand before the reference."""
    ref, colon, rights = given.rpartition(":")
    if not colon or not ref or any(right not in RIGHTS for right in rights.split(",")):
        raise InvalidInput(
            f"--resource {given!r} is not of the form REF:RIGHT",
            hint="--resource dataset/prices:read, --resource WkzbQMuFYuamGv3YF:read,write",
        )
    found = one_storage(ctx, ref, "--resource {}:…")
    if found.store is not ctx.obj.store():
        raise InvalidInput(f"--resource {ref!r} is not at the server of the token")
    return f"{found.noun}/{found.storage.id}:{max(rights.split(','), key=RIGHTS.index)}"


@app.command("ls", aliases=("list",))
def ls(ctx: Context) -> None:
    """List tokens, without their secrets.

    A token that was not used for 90 days is marked as stale.

    Example: storectl token ls --json=name,lastUsedAt,stale
    """
    store = ctx.obj.store()
    ctx.obj.output.listing(
        COLUMNS,
        FIELDS,
        (_row(token) for token in store.tokens.list()),
        empty=f"no tokens at {store.label}",
    )


@app.command("info", aliases=("show",))
def info(ctx: Context, token: Which) -> None:
    """Describe a token, without its secret.

    Example: storectl token info ci
    """
    row = _row(ctx.obj.store().tokens.get(token))
    ctx.obj.output.record(LINES, FIELDS, row)


@app.command("rotate")
def rotate(
    ctx: Context,
    token: Which,
    keep_old: Annotated[
        str | None,
        option("--keep-old", metavar="TIME", help="The old secret works so long: 24h."),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Give a token a new secret, which is shown this once.

    Its name, scope and expiry stay. Without --keep-old the old secret ends at once.

    Examples:
      storectl token rotate ci --keep-old 24h
      token=$(storectl token rotate ci --yes -q)
    """
    keep_secs = 0 if keep_old is None else _secs(keep_old, "--keep-old")
    store = ctx.obj.store()
    if dry_run:
        found = store.tokens.get(token)
        ctx.obj.output.did(f"Would rotate token '{found.name}'", found.id, _row(found))
        return
    if not keep_secs:
        ctx.obj.output.confirm(f"end the secret of token '{token}' at {store.label} now")
    made = store.tokens.rotate(token, keep_secs=keep_secs)
    until = made.previous_until
    old = f"works until {short(until, 'moment')}" if until else "works no more"
    _reveal(ctx, made, f"Token '{made.name}' of {made.username} has a new secret; the old {old}.")


@app.command("revoke", aliases=("rm", "delete"))
def revoke(ctx: Context, token: Which, dry_run: DryRun = False) -> None:
    """End a token at once. Whoever uses it gets 401 from then on.

    Example: storectl token revoke ci --yes
    """
    store = ctx.obj.store()
    if dry_run:
        found = store.tokens.get(token)
        ctx.obj.output.did(f"Would revoke token '{found.name}'", found.id, _row(found))
        return
    ctx.obj.output.confirm(f"revoke token '{token}' at {store.label}")
    ended = store.tokens.revoke(token)
    ctx.obj.output.did(f"Revoked token '{ended.name}' of {ended.username}", ended.id, _row(ended))


CHECKED = [
    Column("username", "User"),
    Column("place", "At"),
    Column("tokenSource", "Token from"),
    *(line for line in LINES if line.field not in ("id", "username", "last4", "createdAt")),
]
CHECKED_FIELDS = [column.field for column in CHECKED]


@app.command("check")
def check(ctx: Context) -> None:
    """Ask the server of the next command whether it takes the token, and what it may do.

    Says whose it is and where it came from, and, if the server tells, its scope and
    expiry. It is never printed. Exit code 4 if there is none or it is refused.

    Example: storectl token check --profile prod
    """
    target = ctx.obj.chooser.choose()
    if target.server and not target.token:
        raise Unauthorized(f"no token for {target.server}")
    store = ctx.obj.store(target)
    user = store.tokens.me()
    row: Row = {"username": user.username, "place": target.place}
    row |= {"tokenSource": target.token_source}
    try:
        row |= {name: value for name, value in _row(store.tokens.current()).items()
                if name in CHECKED_FIELDS}  # fmt: skip
    except Unsupported:
        ctx.obj.output.note("Its server does not tell its scope and expiry.")
    except NotFound:
        ctx.obj.output.note("A store in this process is opened without a token.")
    known = [column for column in CHECKED if column.field in row]
    ctx.obj.output.record(known, CHECKED_FIELDS, row, ident="username")


def about_token(tokens: Any) -> str | None:
    """What the token in use may do and until when, in a few words, if its server tells."""
    try:
        token: Token = tokens.current()
    except StorectlError:  # the login itself went well
        return None
    until = f"expires {short(token.expires_at, 'moment')}" if token.expires_at else "never expires"
    return f"It may do: {short(token.scope, 'scope')}; it {until}."


def staleness(token: Token, secs: float) -> list[str]:
    """Why a token should go: it never expires, or was not used for so long. Not if it ended."""
    now = time.time()
    if token.expires_at is None:
        why = [NEVER]
    elif _time(token.expires_at) <= now:
        return []
    else:
        why = []
    if now - _time(token.last_used_at or token.created_at) >= secs:
        why.append("not used for long" if token.last_used_at else "never used")
    return why


def _time(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _row(token: Token) -> Row:
    row: Row = msgspec.to_builtins(token)
    row.pop("secret", None)
    row["stale"] = staleness(token, duration_secs(STALE, "--stale"))
    ended = token.expires_at is not None and _time(token.expires_at) <= time.time()
    unused = any(why != NEVER for why in row["stale"])
    row["state"] = "expired" if ended else "stale" if unused else "good"
    return row


def _secs(text: str, source: str) -> int:
    return max(1, round(duration_secs(text, source)))


def _made_up_name() -> str:
    return f"storectl-{time.strftime('%Y%m%d')}-{secrets.token_hex(3)}"
