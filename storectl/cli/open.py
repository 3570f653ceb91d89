"""storectl open: a storage in a browser, in the console of whoever keeps it."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import typer

from storectl import config as conf
from storectl.cli import browser, serve
from storectl.cli.access import called
from storectl.cli.context import opener
from storectl.cli.frame import App, Context
from storectl.cli.output import Row
from storectl.cli.target import APIFY_CONSOLE, Target
from storectl.cli.values import visible
from storectl.cli.which import Which, one_storage
from storectl.errors import Unsupported
from storectl.model.ref import PAGES
from storectl.model.store import Store

app = App("The console.")

FIELDS = ("url", "noun", "id", "name")
_PAGE = {noun: page for page, noun in PAGES.items()}


@app.command("open")
def open_page(
    ctx: Context,
    ref: Annotated[
        str | None,
        typer.Argument(
            metavar="REF",
            help="ID, name, user/name or URL; dataset/, kvs/ or queue/ may stand before a name.",
            show_default=False,
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address, as -q does.")
    ] = False,
) -> None:
    """Show a storage, or all of them, in a browser.

    On a server of storectl's own that is its console, logged in with the token in use;
    on Apify it is the storage's page there. A store in this process gets a server of
    its own, at a free port that only this machine reaches, until Ctrl-C. The address
    on stdout is without the token.

    Examples:
      storectl open prices
      storectl open kvs/shots --profile prod
      storectl open prices --no-browser
    """
    which = None if ref is None else one_storage(ctx, ref)
    store = which.store if which else ctx.obj.store()
    target = ctx.obj.reached
    assert target is not None
    browse = not no_browser and ctx.obj.output.form != "quiet"
    if target.store is not None:
        _serve(ctx, str(target.store), which, browse)
        return
    url, token = _page(ctx, store, target, which)
    shown = browse and browser.is_there(ctx.obj.environ) and browser.show(url, token)
    if browse and not shown:
        ctx.obj.output.note("There is no browser here to show it.")
    _tell(ctx, url, which, [f"Opened {url}" if shown else url])


def _page(
    ctx: Context, store: Store, target: Target, which: Which | None
) -> tuple[str, str | None]:
    """The address of a page at a server, and the token it is for, if it is our own console."""
    server = str(target.server)
    if "console" in ctx.obj.extensions(store):
        return f"{server}/{_fragment(which)}", target.token
    if which is None:
        if conf.origin(server) == conf.APIFY:
            return f"{APIFY_CONSOLE}/storage", None
        raise Unsupported(f"{server} has no console that it tells of")
    told = which.storage.console_url
    if isinstance(told, str) and urlsplit(told).scheme in ("http", "https"):
        return told, None
    raise Unsupported(f"{server} tells no page of its {called(which.noun, which.storage)}")


def _fragment(which: Which | None) -> str:
    return f"#/{_PAGE[which.noun]}/{which.storage.id}" if which else ""


def _serve(ctx: Context, place: str, which: Which | None, browse: bool) -> None:
    """Serve a store to this machine, and show its console, until a signal comes."""
    from storectl.server import serve as run

    ctx.obj.close()  # it is opened again where it is served
    settings = serve.settings_of(ctx)
    with serve.visit(ctx, place, wanted=browse) as token:
        run(opener(place), settings, port=0, on_ready=partial(_ready, ctx, place, which, token))


def _ready(ctx: Context, place: str, which: Which | None, token: str | None, url: str) -> None:
    output = ctx.obj.output
    page = serve.console_of(url) + _fragment(which)
    try:
        told = [f"Serving {place}", f"Console:  {page}", "Ctrl-C ends it."]
        _tell(ctx, page, which, told)
        output.stdout.flush()
    except OSError as error:
        output.warn(f"cannot say that the server is ready: {error}")
    serve.show(ctx, place, page, token)


def _tell(ctx: Context, url: str, which: Which | None, told: list[str]) -> None:
    """The address to a pipe, lines with it to people."""
    noun, storage = (which.noun, which.storage) if which else (None, None)
    row: Row = {
        "url": url,
        "noun": noun,
        "id": storage and storage.id,
        "name": storage and storage.name,
    }
    output = ctx.obj.output
    if output.form in ("json", "jsonl"):
        output.record([], FIELDS, row)
    elif output.form in ("table", "flat"):
        output.lines(map(visible, told))
    else:
        output.lines([url])
