"""storectl login, logout, whoami: the credentials kept here."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from storectl import config as conf
from storectl.cli.frame import App, Context
from storectl.cli.target import SERVER_VARIABLES, Target
from storectl.cli.token import about_token
from storectl.cli.values import Column
from storectl.config import Credential, Profile
from storectl.errors import InvalidInput, NotFound, Unauthorized

app = App("Credentials kept here.")


@app.command("login")
def login(
    ctx: Context,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Read the token from stdin, one line.")
    ] = False,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Trust http:// to a host that is not this one.")
    ] = False,
) -> None:
    """Check a token and keep it for a profile.

    The server is --server, or that of --profile, or https://api.apify.com. The
    token is asked for without being shown, verified, and kept in credentials.toml,
    which only you can read. It is sent to that server alone.

    Examples:
      storectl login
      storectl login --server http://127.0.0.1:8010 --profile local
      storectl login --with-token < token.txt
    """
    session = ctx.obj
    name = session.flags.get("profile") or session.environ.get("STORECTL_PROFILE")
    server = _server(ctx, name)
    name = conf.check_profile_name(name or _profile_name(server))
    known = session.config.profiles.get(name)
    if server.startswith("http://") and not conf.is_loopback(server):
        allow_http = allow_http or bool(known and known.allow_http)
        if not allow_http:
            raise InvalidInput(
                f"{server} is not encrypted: the token could be read on its way",
                hint="storectl login --allow-http, if you trust the network",
            )
    credentials = dict(session.credentials)  # unreadable ones fail before anything is asked
    token = _token_from_stdin() if with_token else _token_from_person(ctx, server)
    source = "stdin" if with_token else "the keyboard"
    target = Target(server=server, token=token, token_source=source, chosen_by="login")
    user = session.store(target).tokens.me()

    credentials[name] = Credential(token=token, origin=conf.origin(server))
    path = conf.write_credentials(session.folder, credentials)
    config = session.config
    config.profiles[name] = Profile(server=server, allow_http=allow_http)
    first = config.default_profile is None
    if first:
        config.default_profile = name
    save_config(ctx)
    also = " and is the default" if first else ""
    session.output.note(
        f"Logged in to {server} as {user.username}. The token is in {path};\n"
        f"profile {name} uses it{also}."
    )
    if session.output.talks and (told := about_token(session.store(target).tokens)):
        session.output.note(told)


@app.command("logout")
def logout(
    ctx: Context,
    all: Annotated[bool, typer.Option("--all", "-a", help="Of every profile.")] = False,
) -> None:
    """Forget the stored token of a profile.

    The token itself stays valid at its server.

    Example: storectl logout --profile local
    """
    session = ctx.obj
    credentials = session.credentials
    names = list(credentials) if all else [_current(ctx)]
    forgotten = [name for name in names if name in credentials]
    if not forgotten and not all:
        raise NotFound(f"no token is stored for profile {names[0]!r}", hint="storectl profile ls")
    if forgotten:
        conf.write_credentials(
            session.folder, {n: c for n, c in credentials.items() if n not in forgotten}
        )
    session.output.note(
        f"Forgot the token of {', '.join(forgotten) or 'no profile'}. It is still valid;\n"
        "revoke it at its server if nobody else uses it."
    )


WHO = [
    Column("username", "User"),
    Column("place", "At"),
    Column("profile", "Profile"),
    Column("tokenSource", "Token from"),
    Column("chosenBy", "Because of"),
]


@app.command("whoami")
def whoami(ctx: Context) -> None:
    """Say whose storages the next command will see, where, and why.

    Example: storectl whoami --profile prod
    """
    session = ctx.obj
    target = session.chooser.choose()
    if target.server and not target.token:
        raise Unauthorized(f"no token for {target.server}")
    user = session.store(target).tokens.me()
    row = {
        "username": user.username,
        "id": user.id,
        "place": target.place,
        "server": target.server,
        "store": target.store,
        "profile": target.profile,
        "tokenSource": target.token_source,
        "chosenBy": target.chosen_by,
    }
    if session.output.form in ("tsv", "quiet"):
        session.output.lines([user.username])
    else:
        session.output.record(WHO, list(row), row)


def save_config(ctx: Context) -> None:
    """Write config.toml, and say so if that took away comments."""
    if conf.write_config(ctx.obj.folder, ctx.obj.config):
        ctx.obj.output.warn(f"the comments of {ctx.obj.folder / conf.CONFIG} are gone")


def _server(ctx: Context, name: str | None) -> str:
    if ctx.obj.flags.get("store"):
        raise InvalidInput("login is for servers; a store in this process needs no token")
    if given := ctx.obj.flags.get("server"):
        return conf.server_url(given)
    known = ctx.obj.config.profiles.get(name) if name else None
    if known and known.server:
        return conf.server_url(known.server)
    for variable in SERVER_VARIABLES:
        if ctx.obj.environ.get(variable):
            return conf.server_url(ctx.obj.environ[variable])
    return conf.APIFY


def _profile_name(server: str) -> str:
    if server == conf.APIFY:
        return "apify"
    if conf.is_loopback(server):
        return "local"
    return (urlsplit(server).hostname or "server").replace(".", "-").replace(":", "-")[:64]


def _current(ctx: Context) -> str:
    session = ctx.obj
    name = session.flags.get("profile") or session.environ.get("STORECTL_PROFILE")
    name = name or session.config.default_profile
    if not name:
        raise NotFound("no profile is chosen", hint="storectl logout --profile NAME")
    return str(name)


def _token_from_stdin() -> str:
    token = sys.stdin.readline().strip()
    if not token:
        raise InvalidInput("stdin holds no token")
    return conf.check_token(token, "stdin")


def _token_from_person(ctx: Context, server: str) -> str:
    if not (ctx.obj.settings.may_ask and sys.stdin.isatty()):
        raise InvalidInput(
            "nobody can be asked for a token here", hint="storectl login --with-token < FILE"
        )
    import getpass  # only where a person types

    typed = getpass.getpass(f"Token for {server} (hidden): ", sys.stderr)
    return conf.check_token(typed, "that")
