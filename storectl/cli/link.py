"""storectl X link: URLs that open what is restricted, to whoever has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
import typer
from msgspec import Struct

from storectl import config as conf
from storectl.cli.access import PUBLIC, called
from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun, Ref
from storectl.cli.output import Row
from storectl.cli.settings import duration_secs
from storectl.cli.shaping import Shaping, option, shaped
from storectl.cli.values import plural
from storectl.errors import InvalidInput, NotFound, Unsupported
from storectl.model import dataset, kvs, rules
from storectl.model.dataset import ItemsQuery
from storectl.model.storage import Storage
from storectl.model.store import Store

LIFE = "7d"
"""How long a link opens where nothing says how long."""

FIELDS = ("url", "noun", "id", "name", "key", "signed", "expiresAt")
Format = Literal["json", "jsonl", "csv", "tsv", "xml", "rss", "html", "xlsx"]

Expires = Annotated[str | None, option("--expires", metavar="TIME", help="It opens so long: 7d.")]
Never = Annotated[bool, typer.Option("--never", help="It never expires.")]
RevokeAll = Annotated[
    bool, typer.Option("--revoke-all", help="End every link there is, by a new signing key.")
]
PublicUrl = Annotated[
    str | None,
    option("--public-url", metavar="URL", help="Where a server of this store is reached."),
]


class Asked(Struct, kw_only=True):
    """What a link is to be. life: seconds, None for never. timed: whether --expires said so.

    path: behind the address. opens: what, for people.
    """

    noun: str
    ref: str
    key: str | None = None
    life: int | None
    timed: bool
    path: str
    opens: str
    query: Mapping[str, str] = {}


def to_dataset(app: App) -> None:
    app.command("link")(dataset_link)


def to_kvs(app: App) -> None:
    app.command("link")(kvs_link)


def to_queue(app: App) -> None:
    """A verb that says why there is none, to whoever knows it of the other nouns."""
    loose = {"ignore_unknown_options": True}
    app.command("link", hidden=True, context_settings=loose)(queue_link)


@shaped
def dataset_link(
    ctx: Context,
    ref: Ref,
    expires: Expires = None,
    never: Never = False,
    format: Annotated[
        Format | None,
        option(
            "--format", "-f", metavar="FORMAT", help="json, jsonl, csv, tsv, xml, rss, html, xlsx."
        ),
    ] = None,
    revoke_all: RevokeAll = False,
    public_url: PublicUrl = None,
    dry_run: DryRun = False,
    *,
    shaping: Shaping,
) -> None:
    """Print a URL that opens the items of a dataset to whoever has it, for 7 days.

    --expires and --never say another time. The signature is of the dataset, not of
    the rest: who has the link may ask for other fields and formats too. A dataset
    that anyone may read needs no signature, and gets none.

    Examples:
      storectl dataset link prices --expires 30d --format csv
      storectl dataset link prices --revoke-all
    """
    if revoke_all:
        _revoke_all(ctx, "dataset", ref, dry_run)
        return
    store, storage = _found(ctx, "dataset", ref)
    asked = Asked(
        noun="dataset",
        ref=ref,
        life=_life(expires, never),
        timed=expires is not None,
        path=dataset.ITEMS.url(ref=storage.id),
        opens=f"the items of {called('dataset', storage)}",
        query=_query(shaping, format),
    )
    _link(ctx, store, storage, asked, public_url, dry_run)


def kvs_link(
    ctx: Context,
    ref: Ref,
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="A record; else the list of keys.", show_default=False),
    ] = None,
    expires: Expires = None,
    never: Never = False,
    revoke_all: RevokeAll = False,
    public_url: PublicUrl = None,
    dry_run: DryRun = False,
) -> None:
    """Print a URL that opens a record, or the keys of a store, to whoever has it.

    A link to the keys opens for 7 days; --expires and --never say another time. A
    link to a record never expires: its signature has no place for a time, and is the
    same each time. What anyone may read needs no signature, and gets none.

    Examples:
      storectl kvs link shots home.png --never
      storectl kvs link shots --expires 30d
      storectl kvs link shots --revoke-all
    """
    if revoke_all:
        if key is not None:
            raise InvalidInput("--revoke-all ends the links of all keys; leave KEY out")
        _revoke_all(ctx, "kvs", ref, dry_run)
        return
    if key is not None:
        rules.check_key(key)
    if key is not None and expires is not None:
        raise InvalidInput(
            "a link to a record cannot expire: its signature has no place for a time",
            hint=f"storectl kvs link {ref} {key} --never; --revoke-all ends it some day",
        )
    store, storage = _found(ctx, "kvs", ref)
    place = called("kvs", storage)
    asked = Asked(
        noun="kvs",
        ref=ref,
        key=key,
        life=None if key is not None else _life(expires, never),
        timed=expires is not None,
        path=kvs.KEYS.url(ref=storage.id) if key is None else kvs.RECORD.url(
            ref=storage.id, key=key
        ),
        opens=f"the keys of {place}" if key is None else f"record '{key}' of {place}",
    )  # fmt: skip
    if key is not None:
        _warn_if_missing(ctx, store, storage, key)
    _link(ctx, store, storage, asked, public_url, dry_run)


def _warn_if_missing(ctx: Context, store: Store, storage: Storage, key: str) -> None:
    """A link may be made before its record: say so, since it may be a slip too."""
    try:
        store.kvs.record(storage.id, key, body=False)
    except NotFound:
        ctx.obj.output.warn(f"{called('kvs', storage)} has no record '{key}' yet")


def queue_link(
    words: Annotated[list[str] | None, typer.Argument(help="Anything.")] = None,
) -> None:
    """Say that queues have no links."""
    name = (words or ["REF"])[0]
    raise Unsupported(
        "the API opens no request queue by a link",
        hint=f"storectl queue access grant {name} USER --read, or storectl queue export {name}",
    )


def _found(ctx: Context, noun: str, ref: str) -> tuple[Store, Storage]:
    store, opened = ctx.obj.open(ref, noun)
    keeper: Any = store.datasets if noun == "dataset" else store.kvs
    storage: Storage = keeper.get(opened)
    return store, storage


def _life(expires: str | None, never: bool) -> int | None:
    """Seconds that a link opens; None: for ever."""
    if never and expires is not None:
        raise InvalidInput("--expires and --never exclude each other")
    return None if never else max(1, round(duration_secs(expires or LIFE, "--expires")))


def _query(shaping: Shaping, format: str | None) -> dict[str, str]:
    """The rest of a URL of items, as the API spells it."""
    found = {"format": "csv" if format == "tsv" else format}
    found |= _given(shaping.query(), ItemsQuery())
    tabs = "\t" if format == "tsv" else None
    found |= {
        "delimiter": shaping.delimiter or tabs,
        "bom": "1" if shaping.bom else None,
        "skipHeaderRow": "1" if shaping.no_header else None,
        "xmlRoot": shaping.xml_root if shaping.xml_root != "items" else None,
        "xmlRow": shaping.xml_row if shaping.xml_row != "item" else None,
        "feedTitle": shaping.feed_title,
        "feedDescription": shaping.feed_description,
    }
    return {name: value for name, value in found.items() if value is not None}


def _given(query: ItemsQuery, nothing: ItemsQuery) -> dict[str, str | None]:
    """What a query says beyond the one that says nothing: 1 for true, lists comma-joined."""
    usual = msgspec.to_builtins(nothing)
    return {
        name: "1" if value is True else ",".join(value) if isinstance(value, list | tuple)
        else str(value)
        for name, value in msgspec.to_builtins(query).items()
        if value != usual[name]
    }  # fmt: skip


def _link(
    ctx: Context,
    store: Store,
    storage: Storage,
    asked: Asked,
    public_url: str | None,
    dry_run: bool,
) -> None:
    """Print the URL, and say beside it what it opens and until when."""
    output = ctx.obj.output
    base = _base(ctx, store, storage, asked, public_url)
    if _is_open(store, asked.noun, storage):
        signature, expires_at = None, None
        if asked.timed:
            output.warn(f"it does not expire: anyone may read {called(asked.noun, storage)}")
    elif dry_run:
        signature, expires_at = None, None
    else:
        made = store.access.link(asked.noun, storage.id, key=asked.key, secs=asked.life)
        signature, expires_at = made.signature, made.expires_at
    gone_at = storage.expire_at
    if isinstance(gone_at, str) and (expires_at is None or expires_at > gone_at):
        output.warn(
            f"{called(asked.noun, storage)} has no name and may be gone earlier, some days after "
            f"its last use; storectl {asked.noun} rename {asked.ref} NAME keeps it"
        )
    query = ({"signature": signature} if signature else {}) | dict(asked.query)
    row: Row = {
        "url": f"{base}{asked.path}" + (f"?{urlencode(query)}" if query else ""),
        "noun": asked.noun,
        "id": storage.id,
        "name": storage.name,
        "key": asked.key,
        "signed": signature is not None,
        "expiresAt": expires_at,
    }
    if dry_run:
        output.summary(f"Would open {asked.opens}")
        return
    if output.form in ("json", "jsonl"):
        output.record([], FIELDS, row)
    else:
        output.lines([row["url"]])
    output.summary(f"Opens {asked.opens} to whoever has it, {_until(asked, row)}")


def _until(asked: Asked, row: Row) -> str:
    if not row["signed"]:
        return "without a signature, as long as anyone may read it"
    if row["expiresAt"]:
        return f"until {row['expiresAt'][:16].replace('T', ' ')} UTC"
    never = "as links to records never do" if asked.key is not None else "as you said"
    return f"and does not expire, {never}; --revoke-all ends it"


def _is_open(store: Store, noun: str, storage: Storage) -> bool:
    """Whether anyone may read it, so that there is nothing to sign for."""
    try:
        level = store.access.get(noun, storage.id).effective_access
    except Unsupported:  # then its own setting is all that is known
        level = storage.general_access
    return level in PUBLIC


def _base(
    ctx: Context, store: Store, storage: Storage, asked: Asked, public_url: str | None
) -> str:
    """The address that links start with: told here, by the server, or the server's own."""
    if public_url is not None:
        return conf.server_url(public_url)
    told = getattr(storage, "items_public_url", None) or getattr(storage, "keys_public_url", None)
    if isinstance(told, str) and "/v2/" in told:
        return told.partition("/v2/")[0]
    server = ctx.obj.server(store)
    if server is None:
        raise InvalidInput(
            "a store in this process has no address that a link could lead to",
            hint=f"storectl serve, then --server URL; or --public-url URL, "
            f"where {called(asked.noun, storage)} is served",
        )
    return server


def _revoke_all(ctx: Context, noun: str, ref: str, dry_run: bool) -> None:
    store, storage = _found(ctx, noun, ref)
    place = called(noun, storage)
    row = {"noun": noun, "id": storage.id, "name": storage.name}
    if dry_run:
        known = len(store.access.get(noun, storage.id).links)
        sentence = f"Would end every link to {place}; {plural(known, 'link')} known of"
        ctx.obj.output.did(sentence, storage.id, {**row, "links": known})
        return
    ctx.obj.output.confirm(f"end every link to {place} of {store.label}")
    store.access.rotate(noun, storage.id)
    ctx.obj.output.did(f"Ended every link to {place}", storage.id, row)
