"""storectl profile and storectl config: what config.toml says."""

from __future__ import annotations

import os
from typing import Annotated, Any

import msgspec
import typer

from storectl import config as conf
from storectl.cli.frame import App, Context
from storectl.cli.login import save_config
from storectl.cli.output import Row
from storectl.cli.settings import settle
from storectl.cli.target import Chooser, store_place
from storectl.cli.values import Column, exact, pick
from storectl.config import Config, Profile
from storectl.errors import InvalidInput, NotFound

app = App("Profiles: servers and accounts, by name.")
config_app = App("Settings of config.toml: path, get, set.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the profile.", show_default=False)]

COLUMNS = [
    Column("current", " "),
    Column("name", "NAME"),
    Column("place", "SERVER OR STORE"),
    Column("token", "TOKEN"),
]
FIELDS = ["name", "current", "place", "server", "store", "allowHttp", "token"]


@app.command("ls", aliases=("list",))
def ls(ctx: Context) -> None:
    """List profiles; * is the default.

    Example: storectl profile ls
    """
    rows = (_row(ctx, name) for name in ctx.obj.config.profiles)
    ctx.obj.output.listing(
        COLUMNS, FIELDS, rows, ident="name", empty="no profiles; storectl login makes one"
    )


@app.command("add")
def add(
    ctx: Context,
    name: Name,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Trust http:// to a host that is not this one.")
    ] = False,
) -> None:
    """Add a profile, or change where it leads: --server URL or --store PLACE.

    Examples:
      storectl profile add prod --server https://api.apify.com
      storectl profile add here --store ./data
    """
    conf.check_profile_name(name)
    server, store = ctx.obj.flags.get("server"), ctx.obj.flags.get("store")
    if bool(server) == bool(store):
        raise InvalidInput(
            "a profile needs --server or --store, and only one of them",
            hint=f"storectl profile add {name} --server https://api.apify.com",
        )
    address = conf.server_url(server) if server else None
    if address:
        Chooser.check_http(address, allow_http)
    place = store_place(conf.absolute(store), "--store", os.environ) if store else None
    ctx.obj.config.profiles[name] = Profile(server=address, store=place, allow_http=allow_http)
    save_config(ctx)
    ctx.obj.output.did(f"Profile {name} leads to {address or place}", name, _row(ctx, name))


@app.command("use")
def use(ctx: Context, name: Name) -> None:
    """Make a profile the default.

    Example: storectl profile use prod
    """
    conf.profile(ctx.obj.config, name)
    ctx.obj.config.default_profile = name
    save_config(ctx)
    ctx.obj.output.did(f"Profile {name} is the default now", name, _row(ctx, name))


@app.command("show", aliases=("info",))
def show(ctx: Context, name: Name) -> None:
    """Describe a profile, without its token.

    Example: storectl profile show prod
    """
    conf.profile(ctx.obj.config, name)
    columns = [Column(field, field) for field in FIELDS]
    ctx.obj.output.record(columns, FIELDS, _row(ctx, name), ident="name")


@app.command("rm", aliases=("delete", "remove"))
def rm(ctx: Context, name: Name) -> None:
    """Remove a profile and the token stored for it.

    Example: storectl profile rm old --yes
    """
    session = ctx.obj
    conf.profile(session.config, name)
    session.output.confirm(f"remove profile {name} and its stored token")
    row = _row(ctx, name)
    if name in session.credentials:
        del session.credentials[name]
        conf.write_credentials(session.folder, session.credentials)
    del session.config.profiles[name]
    if session.config.default_profile == name:
        session.config.default_profile = None
    save_config(ctx)
    session.output.did(f"Removed profile {name}", name, row)


def _row(ctx: Context, name: str) -> Row:
    profile = ctx.obj.config.profiles[name]
    return {
        "name": name,
        "current": "*" if name == ctx.obj.config.default_profile else None,
        "place": profile.server or profile.store,
        "server": profile.server,
        "store": profile.store,
        "allowHttp": profile.allow_http,
        "token": "stored" if name in ctx.obj.credentials else None,
    }


@config_app.command("path")
def path(ctx: Context) -> None:
    """Print where config.toml is, or would be.

    Example: cat "$(storectl config path)"
    """
    file = ctx.obj.folder / conf.CONFIG
    ctx.obj.output.did(str(file), str(file), {"path": str(file), "exists": file.exists()})


@config_app.command("get")
def get(
    ctx: Context,
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="Such as ui.color; all if absent.", show_default=False),
    ] = None,
) -> None:
    """Print a setting, or all that are set.

    Example: storectl config get transfer.timeout
    """
    found: dict[str, Any] = msgspec.to_builtins(ctx.obj.config)
    output = ctx.obj.output
    if key is None:
        rows = ({"key": name, "value": exact(value)} for name, value in _leaves(found))
        columns = [Column("key", "KEY"), Column("value", "VALUE")]
        output.listing(columns, ["key", "value"], rows, ident="key", empty="nothing is set")
        return
    value = pick(found, key)
    if value is None:
        raise NotFound(f"{key} is not set", hint="storectl config get")
    output.did(exact(value), exact(value), value)


@config_app.command("set")
def set_(
    ctx: Context,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Such as ui.color.", show_default=False)
    ],
    value: Annotated[
        str,
        typer.Argument(metavar="VALUE", help="Its value; nothing unsets it.", show_default=False),
    ],
) -> None:
    """Change a setting. Comments in config.toml go by this.

    Settings are default_profile; ui.color, ui.progress, ui.accessible;
    transfer.jobs, .rate, .retries, .timeout, .bwlimit; serve.dir, serve.rate_limit,
    serve.retention, serve.garbage_grace, serve.default_access, serve.workers,
    serve.metrics; profiles.NAME.server; aliases.WORD.

    Examples:
      storectl config set ui.color never
      storectl config set aliases.prices "dataset items prices --format csv"
    """
    tree: dict[str, Any] = msgspec.to_builtins(ctx.obj.config)
    *parents, last = key.split(".")
    place = tree
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise InvalidInput(f"there is no setting {key!r}", hint="storectl config set --help")
    if value:
        place[last] = _typed(value)
    else:
        place.pop(last, None)
    ctx.obj.config = _checked(tree, key)
    save_config(ctx)
    ctx.obj.output.did(f"{key} is {value or 'not set'} now", value, {"key": key, "value": value})


def _typed(value: str) -> Any:
    """Numbers and truth values as such, `30/200` as two numbers, the rest as text."""
    if value in ("true", "false"):
        return value == "true"
    numbers = value.split("/")
    if len(numbers) <= 2 and len(value) <= 40 and all(each.isdecimal() for each in numbers):
        found = [int(each) for each in numbers]
        return found if len(found) == 2 else found[0]
    return value


def _checked(tree: dict[str, Any], key: str) -> Config:
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise InvalidInput(conf.plain(error)) from None
    kept = msgspec.to_builtins(config)
    if pick(tree, key) is not None and pick(kept, key) is None:
        raise InvalidInput(f"there is no setting {key!r}", hint="storectl config set --help")
    # What is kept must not make every later command fail.
    settle({}, {}, config)
    for profile in config.profiles.values():
        if profile.server is not None:
            conf.server_url(profile.server)
    for word, line in config.aliases.items():
        conf.words_of_alias(word, line)
    return config


def _leaves(tree: dict[str, Any], under: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{under}{name}.")
        elif value is not None:
            found.append((f"{under}{name}", value))
    return found
