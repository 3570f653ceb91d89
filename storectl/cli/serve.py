"""storectl serve: the embedded store, opened to API clients."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
import typer

from storectl import config as conf
from storectl.cli import browser
from storectl.cli.context import opener
from storectl.cli.frame import App, Context
from storectl.cli.settings import duration_secs
from storectl.cli.target import store_place
from storectl.cli.values import visible
from storectl.errors import InvalidInput, Local, NotFound

if TYPE_CHECKING:
    from storectl.model.token import Token
    from storectl.server.settings import Settings

Done = TypeVar("Done")

app = App("The server.")


RATE_LIMIT = (30, 200)
MOST_WORKERS = 64
LEAST_GRACE_SECS = 60
VISIT_SECS = 24 * 3600
"""How long a browser that was opened stays logged in; no longer than the server runs."""

ACCESS = {"restricted": "RESTRICTED", "id": "ANYONE_WITH_ID_CAN_READ"}


@app.command("serve")
def serve(
    ctx: Context,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 8010,
    dir: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Folder of the store; as --store.", show_default=False
        ),
    ] = None,
    blobs: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where large records go: s3://BUCKET/PREFIX or a folder. The store remembers "
            "it. [default: what the store has; at first its own folder]",
            show_default=False,
        ),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            metavar="N/M|off",
            help="Requests a second for each storage: in general, and for pushes and single "
            "records and requests. [default: 30/200]",
            show_default=False,
        ),
    ] = None,
    retention: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|off",
            help="Storages without a name go so long after their last use, from now on, also "
            "without a server. [default: what the store has; at first 7d]",
            show_default=False,
        ),
    ] = None,
    garbage_grace: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Bytes of large records stay so long after they are replaced or deleted, from "
            "now on: longer than a backup takes. [default: what the store has; at first 1h]",
            show_default=False,
        ),
    ] = None,
    default_access: Annotated[
        Literal["restricted", "id"] | None,
        typer.Option(
            metavar="WHO",
            help="Who may read storages that do not say: restricted, or id for whoever "
            "knows the ID. [default: id]",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MOST_WORKERS,
            help="Processes that share the port; one a core is enough. [default: 1]",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Show what is counted, for Prometheus, at an address of its own; without a "
            "HOST on this machine alone.",
            show_default=False,
        ),
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Written when it answers.", show_default=False),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The address clients know, behind a proxy.", show_default=False
        ),
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open", help="Show its console in a browser, logged in.")
    ] = False,
) -> None:
    """Serve the embedded store to API clients, SDKs and Crawlee.

    It speaks the Apify storage API: set APIFY_API_BASE_URL (or baseUrl of the
    client) to its address, and a token of `storectl token create`. Off a terminal
    one line of JSON on stdout says when it answers. At its address is a console for
    a browser. Ctrl-C or SIGTERM end it.

    Examples:
      storectl serve --open
      storectl --store ./data serve --port 0 --rate-limit off
    """
    from storectl.server import serve as run

    place = _place(ctx, dir)
    configured = ctx.obj.config.serve
    processes = _workers(*_first("workers", workers, configured.workers))
    counted_at = _address(*_first("metrics", metrics, configured.metrics))
    settings = settings_of(ctx, rate_limit, default_access, public_url)
    kept = _retention(*_first("retention", retention, configured.retention))
    grace = _grace(*_first("garbage_grace", garbage_grace, configured.garbage_grace))
    _apart(_prepare, place, blobs or ctx.obj.environ.get("STORECTL_BLOBS"), host, kept, grace)
    if not _is_local(host) and not (settings.public_url or "").startswith("https:"):
        ctx.obj.output.warn(
            f"{host} is reached from other machines without TLS: tokens and data can be read on "
            "the way; put a proxy in front and name it with --public-url https://…"
        )
    with visit(ctx, place, wanted=open_it) as token:
        ready = partial(_ready, ctx, place, ready_file, open_it, token)
        run(
            opener(place),
            settings,
            host=host,
            port=port,
            on_ready=ready,
            workers=processes,
            metrics=counted_at,
        )


def settings_of(
    ctx: Context,
    rate_limit: str | None = None,
    default_access: str | None = None,
    public_url: str | None = None,
) -> Settings:
    """What options say, then [serve] of config.toml, then the defaults."""
    from storectl.server.settings import Settings

    configured = ctx.obj.config.serve
    access = default_access or configured.default_access or "id"
    if access not in ACCESS:
        raise InvalidInput(f"serve.default_access must be restricted or id, not {access!r}")
    return Settings(
        rate_limit=_rate_limit(*_first("rate_limit", rate_limit, configured.rate_limit)),
        default_access=ACCESS[access],
        public_url=conf.server_url(public_url) if public_url else None,
    )


@contextmanager
def visit(ctx: Context, place: str, *, wanted: bool) -> Iterator[str | None]:
    """A token for a browser, of whose storages commands see here; it ends with the server.

    None where none is wanted, as with -q, or no browser is there to have it.
    """
    wanted = wanted and ctx.obj.output.form != "quiet"
    if not (wanted and browser.is_there(ctx.obj.environ)):
        yield None
        return
    made = _apart(_token, place)
    ctx.obj.secrets.append(str(made.secret))
    try:
        yield made.secret
    finally:
        store = opener(place)()
        with suppress(NotFound):  # revoked in the console
            store.tokens.revoke(made.id)
        store.close()


def _token(place: str) -> Token:
    store = opener(place)()
    try:
        return store.tokens.create(f"console-{secrets.token_hex(4)}", secs=VISIT_SECS)
    finally:
        store.close()


def console_of(url: str) -> str:
    """Where a browser on this machine finds the console of a server that listens at url."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:") + "/"


def show(ctx: Context, place: str, page: str, token: str | None) -> None:
    """Show a page of a server's console; where there is no browser say how to log in."""
    try:
        if token is not None and browser.show(page, token):
            return
    except Local as error:
        ctx.obj.output.warn(error.message)
    ctx.obj.output.note(
        f"No browser was opened. A token to log in with:\n"
        f"  storectl --store {shlex.quote(place)} token create --expires 1d"
    )


def _place(ctx: Context, dir: Path | None) -> str:
    """--dir, --store, STORECTL_STORE, [serve] dir, or the store that commands use by default."""
    flag = ctx.obj.flags.get("store")
    if dir is not None and flag:
        raise InvalidInput("--dir and --store exclude each other")
    if ctx.obj.flags.get("server") or ctx.obj.flags.get("profile"):
        raise InvalidInput(
            "serve opens a store in this process; --server and --profile do not apply"
        )
    named = {
        "--dir": str(dir) if dir is not None else None,
        "--store": flag,
        "STORECTL_STORE": ctx.obj.environ.get("STORECTL_STORE"),
        f"serve.dir in {conf.CONFIG}": ctx.obj.config.serve.dir,
    }
    source, place = next(
        ((source, place) for source, place in named.items() if place), ("", conf.default_store())
    )
    return store_place(str(place), source, os.environ)


def _workers(source: str, given: int | None) -> int:
    if given is not None and not 1 <= given <= MOST_WORKERS:
        raise InvalidInput(f"{source} must be from 1 to {MOST_WORKERS}, not {given}")
    return given or 1


def _address(source: str, given: str | int | None) -> tuple[str, int] | None:
    """Host and port to show metrics at; None where nothing is said."""
    if given is None:
        return None
    host, _, port = str(given).rpartition(":")
    if not re.fullmatch(r"[1-9]\d{0,4}", port) or int(port) > 65535:
        raise InvalidInput(f"{source} must be such as 9178 or 127.0.0.1:9178, not {given!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _first(name: str, flag: Any, configured: Any) -> tuple[str, Any]:
    """Where a setting comes from, and what it is there."""
    if flag is not None:
        return f"--{name.replace('_', '-')}", flag
    return f"serve.{name} in {conf.CONFIG}", configured


def _rate_limit(source: str, given: str | tuple[int, int] | None) -> tuple[int, int] | None:
    """Requests a second in general and for single items; None: as many as there are."""
    if given is None:
        return RATE_LIMIT
    if given == "off":
        return None
    text = given if isinstance(given, str) else f"{given[0]}/{given[1]}"
    found = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
    if not found:
        raise InvalidInput(f"{source} must be such as 30/200, or off, not {text!r}")
    return int(found[1]), int(found[2])


def _retention(source: str, text: str | None) -> int | Literal["off"] | None:
    """Seconds; None where nothing is said."""
    if text is None:
        return None
    if text == "off":
        return "off"
    secs = int(duration_secs(text, source))
    if secs < 1:
        raise InvalidInput(f"{source} must be at least 1s, or off, not {text!r}")
    return secs


def _grace(source: str, text: str | None) -> int | None:
    """Seconds; None where nothing is said."""
    if text is None:
        return None
    secs = int(duration_secs(text, source))
    if secs < LEAST_GRACE_SECS:
        raise InvalidInput(f"{source} must be at least 1m, for those who still read, not {text!r}")
    return secs


def _apart(work: Callable[..., Done], *given: Any) -> Done:
    """Do something with the store in a process of its own, before the workers are forked.

    The library of buckets has threads that wait on one epoll. A fork shares it, and what
    comes for a worker would be taken for our own, which ends this process. Signals wait
    meanwhile: one that raises while the other process is being made would leave it for ever.
    """
    if find_spec("obstore") is None or not hasattr(os, "fork"):
        return work(*given)
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        with ProcessPoolExecutor(1, get_context("fork")) as process:
            return process.submit(work, *given).result()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(
    place: str,
    blobs: str | None,
    host: str,
    retention: int | Literal["off"] | None,
    grace: int | None,
) -> None:
    """Open the store once before serving; beyond this machine it must have a token."""
    store = opener(place, blobs)()
    try:
        store.prepare()
        if retention is not None:
            store.retain(None if retention == "off" else retention)
        if grace is not None:
            store.keep_garbage(grace)
        if not _is_local(host) and not store.tokens.list():
            raise InvalidInput(
                f"{host} is reached from other machines, and the store has no token yet",
                hint=f"storectl --store {place} token create --user NAME",
            )
    finally:
        store.close()


def _is_local(host: str) -> bool:
    return conf.is_loopback(f"http://{f'[{host}]' if ':' in host else host}")


def _ready(
    ctx: Context,
    place: str,
    ready_file: Path | None,
    open_it: bool,
    token: str | None,
    url: str,
) -> None:
    output = ctx.obj.output
    line = msgspec.json.encode({"url": url, "store": place})
    try:
        if ready_file is not None:
            conf.replace_file(ready_file, line + b"\n", mode=0o644)
        if output.on_terminal and output.settings.form == "auto":
            output.lines(
                [
                    f"Serving {visible(place)} at {url}",
                    f"Console:  {console_of(url)}",
                    f"A token:  storectl --store {visible(place)} token create --user NAME",
                    f"Clients:  APIFY_API_BASE_URL={url} APIFY_TOKEN=TOKEN",
                    "Ctrl-C ends it.",
                ]
            )
        else:
            output.lines([line.decode()])
        output.stdout.flush()
    except OSError as error:
        output.warn(f"cannot say that the server is ready: {error}")
    if open_it:
        show(ctx, place, console_of(url), token)
