"""storectl token: the API tokens of a store."""

from __future__ import annotations

import secrets
import time
from typing import Annotated

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun
from storectl.cli.output import Row
from storectl.cli.values import Column
from storectl.errors import NotFound
from storectl.model.token import Token

app = App("API tokens of a store: create, list, revoke.")

COLUMNS = [
    Column("id", "ID", whole=True),
    Column("name", "NAME"),
    Column("username", "USER"),
    Column("last4", "ENDS"),
    Column("createdAt", "CREATED", "time"),
    Column("lastUsedAt", "USED", "time"),
    Column("expiresAt", "EXPIRES", "time"),
]
FIELDS = [field.encode_name for field in msgspec.structs.fields(Token) if field.name != "secret"]


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
        typer.Option(
            metavar="USER", help="Who it speaks for; made on a store of ours.", show_default=False
        ),
    ] = None,
) -> None:
    """Create a token. It is shown this once: the store keeps only its hash.

    Whoever can open a store is its administrator: --store FOLDER makes tokens
    for any user of it, and the user too if there is none.

    Example: token=$(storectl --store ./data token create --user alice -q)
    """
    store = ctx.obj.store()
    made = store.tokens.create(name or _made_up_name(), username=user)
    secret = made.secret or ""
    output = ctx.obj.output
    if output.form in ("json", "jsonl"):
        output.value(msgspec.to_builtins(made))
        return
    output.lines([secret])
    output.note(
        f"Token '{made.name}' speaks for {made.username} at {store.label}.\n"
        "It is not shown again, and whoever has it has the rights of its user."
    )


@app.command("ls", aliases=("list",))
def ls(ctx: Context) -> None:
    """List tokens, without their secrets.

    Example: storectl token ls --json=name,lastUsedAt
    """
    store = ctx.obj.store()
    ctx.obj.output.listing(
        COLUMNS,
        FIELDS,
        (_row(token) for token in store.tokens.list()),
        empty=f"no tokens at {store.label}",
    )


@app.command("revoke", aliases=("rm", "delete"))
def revoke(
    ctx: Context,
    token: Annotated[str, typer.Argument(metavar="ID|NAME", help="Which one.", show_default=False)],
    dry_run: DryRun = False,
) -> None:
    """End a token at once. Whoever uses it gets 401 from then on.

    Example: storectl token revoke ci --yes
    """
    store = ctx.obj.store()
    if dry_run:
        found = [one for one in store.tokens.list() if token in (one.id, one.name)]
        if not found:
            raise NotFound(f"Token '{token}' was not found", hint="storectl token ls")
        ctx.obj.output.did(f"Would revoke token '{found[0].name}'", found[0].id, _row(found[0]))
        return
    ctx.obj.output.confirm(f"revoke token '{token}' at {store.label}")
    ended = store.tokens.revoke(token)
    ctx.obj.output.did(f"Revoked token '{ended.name}' of {ended.username}", ended.id, _row(ended))


def _row(token: Token) -> Row:
    row: Row = msgspec.to_builtins(token)
    row.pop("secret", None)
    return row


def _made_up_name() -> str:
    return f"storectl-{time.strftime('%Y%m%d')}-{secrets.token_hex(3)}"
