"""storectl kvs: key-value stores and their records."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.listing import Limited, Noun
from storectl.cli.options import DryRun, Limit, OutputFile, Ref
from storectl.cli.output import Row
from storectl.cli.storage import add_verbs
from storectl.cli.values import Column, human_bytes, plural
from storectl.errors import Conflict, InvalidInput, NotFound, Partial, StorectlError
from storectl.formats.encoding import decoded
from storectl.model import rules
from storectl.model.items import check_utf8, not_json
from storectl.model.kvs import Key, KeyValueStore, KeyValueStores, Record, every_key
from storectl.transfer.body import Body, is_json, is_text, media_type, save

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

app = App("Key-value stores: records of any type, by key.")

KVS = Noun("kvs", "key-value store", KeyValueStore)

add_verbs(app, KVS)
app.later("copy_kvs:add_copy", "copy", aliases={"cp": "copy"})

COLUMNS = [
    Column("key", "KEY", whole=True),
    Column("size", "SIZE", "bytes"),
    Column("contentType", "TYPE"),
]
LINES = [
    Column("key", "Key"),
    Column("contentType", "Type"),
    Column("contentEncoding", "Encoding"),
    Column("size", "Size", "bytes"),
]
KEY_FIELDS = ["key", "size", "contentType", "recordPublicUrl"]
REMOVE_BATCH = 256
HEAD_FIELDS = ["key", "contentType", "contentEncoding", "size"]

KeyName = Annotated[
    str,
    typer.Argument(
        metavar="KEY", help="1 to 256 of letters, digits and !-_.'().", show_default=False
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Only keys that start so.", show_default=False),
]
Glob = Annotated[
    str | None,
    typer.Option(metavar="GLOB", help="Only keys like this; quote it.", show_default=False),
]


@app.command("keys")
def keys(
    ctx: Context,
    ref: Ref,
    prefix: Prefix = None,
    glob: Glob = None,
    collection: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only keys of this collection of its schema.", show_default=False
        ),
    ] = None,
    limit: Limit = None,
) -> None:
    """List the keys of a store, in binary order, with size and type.

    All of them, read page by page. Sizes are of the bytes as stored, hence packed
    ones. A server that does not tell types leaves them empty.

    Examples:
      storectl kvs keys shots --glob '*.png'
      storectl kvs keys shots --prefix 2024- -q
    """
    store, opened = ctx.obj.open(ref, "kvs")
    found = _selected(store.kvs, opened, prefix, glob, collection)
    listed = Limited(map(msgspec.to_builtins, found), limit)
    ctx.obj.output.listing(
        COLUMNS,
        KEY_FIELDS,
        listed,
        ident="key",
        empty=f"no keys in '{ref}'",
        tail=lambda: (None if listed.truncated else listed.count, listed.truncated),
    )


def _start(prefix: str | None, glob: str | None) -> str | None:
    """What every key must start with, so that no others are read."""
    fixed = glob or ""
    for mark in "*?[":
        fixed = fixed.partition(mark)[0]
    return max(prefix or "", fixed, key=len) or None


def _selected(
    keeper: KeyValueStores,
    ref: str,
    prefix: str | None,
    glob: str | None,
    collection: str | None = None,
) -> Iterator[Key]:
    for key in every_key(keeper, ref, _start(prefix, glob), collection):
        if key.key.startswith(prefix or "") and fnmatchcase(key.key, glob or "*"):
            yield key


@app.command("get", aliases=("get-value",))
def get(
    ctx: Context,
    ref: Ref,
    key: KeyName,
    output: OutputFile = None,
    head: Annotated[
        bool, typer.Option("--head", help="Only type, encoding and size, without the value.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="The bytes as stored: packed, if they are.")
    ] = False,
) -> None:
    """Write the value of a record, byte for byte.

    What was stored packed (gzip, br, deflate) is unpacked, unless --raw. Bytes that
    are no text are not written to a terminal. --json makes one JSON value of it: of
    JSON itself, of text a string.

    Examples:
      storectl kvs get shots front.png -o front.png
      storectl kvs get default INPUT | jq .startUrls
    """
    rules.check_key(key)
    store, opened = ctx.obj.open(ref, "kvs")
    out = ctx.obj.output
    record = store.kvs.record(opened, key, body=not head)
    if head:
        out.record(LINES, HEAD_FIELDS, _row(record), ident="key")
        return
    blocks = record.body if raw else _plain(record)
    if output is not None and str(output) != "-":
        if output.is_dir():
            raise InvalidInput(f"{output} is a folder", hint=f"-o {output}/{key}")
        done, _ = out.follow(save(record, blocks, output), "record")
        if out.form in ("json", "jsonl"):
            told = {"key": key, "file": str(output), "bytes": done.bytes}
            out.value({**told, "contentType": record.content_type})
        out.summary(f"{human_bytes(done.bytes)} of {record.content_type} to {output}")
    elif out.form in ("json", "jsonl"):
        out.value(_as_json(b"".join(blocks), record, ref))
    else:
        out.raw(_shown(blocks, record, ref) if out.on_terminal else blocks)


def _row(record: Record) -> Row:
    values = (record.key, record.content_type, record.content_encoding, record.size)
    return dict(zip(HEAD_FIELDS, values, strict=True))


def _plain(record: Record) -> Iterator[bytes]:
    """The body without its encoding."""
    try:
        yield from decoded(record.body, record.content_encoding)
    except InvalidInput:
        raise InvalidInput(
            f"Record '{record.key}' says it is {record.content_encoding}, and is not",
            hint="--raw writes its bytes as they are",
        ) from None


def _as_json(data: bytes, record: Record, ref: str) -> object:
    """JSON for --json: the value itself, or its text."""
    try:
        text = check_utf8(data)
        return msgspec.json.decode(data) if is_json(record.content_type) else text
    except (msgspec.DecodeError, RecursionError) as error:
        raise not_json(error, text, f"Record '{record.key}'") from None
    except InvalidInput:
        raise _binary(record, ref, "JSON nor text") from None


def _shown(blocks: Iterable[bytes], record: Record, ref: str) -> Iterator[bytes]:
    """Text for a terminal, with a newline at its end. InvalidInput if it is none."""
    source = iter(blocks)
    first = last = next(source, b"")
    if not is_text(first):
        raise _binary(record, ref, "text")
    for block in chain((first,), source):
        yield block
        last = block
    if last and not last.endswith(b"\n"):
        yield b"\n"


def _binary(record: Record, ref: str, wanted: str) -> InvalidInput:
    either = "neither" if " nor " in wanted else "not"
    return InvalidInput(
        f"Record '{record.key}' is {record.content_type}, {either} {wanted}",
        hint=f"storectl kvs get {ref} {record.key} -o {record.key}",
    )


@app.command("set", aliases=("set-value", "put"))
def set_record(
    ctx: Context,
    ref: Ref,
    key: KeyName,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="- is stdin, and so is none in a pipe.", show_default=False
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The value itself.", show_default=False),
    ] = None,
    type: Annotated[
        str | None,
        typer.Option("--type", "-t", metavar="MIME", help="Its content type.", show_default=False),
    ] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Create the store if there is none of that name.")
    ] = False,
    no_clobber: Annotated[
        bool, typer.Option("--no-clobber", help="Keep a record that is there, and exit with 6.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="A value without bytes is no failure.")
    ] = False,
) -> None:
    """Store a file, stdin or a text under a key, byte for byte.

    Without --type the suffix of FILE or else of KEY decides; without a suffix an
    object or array of JSON is JSON, UTF-8 is text, all else is bytes. --value that
    is to be JSON is checked. What is stored appears at once and whole, or not at all.

    Examples:
      storectl kvs set shots front.png ./shot.png
      echo '{"maxPages": 3}' | storectl kvs set default INPUT
      storectl kvs set default note --value 'as agreed' --create
    """
    rules.check_key(key)
    body = _body(file, value, ref, key)
    if not body.head and not allow_empty:
        raise InvalidInput(
            f"{body.name} is empty; nothing was stored", hint="--allow-empty, if that is meant"
        )
    names = [file or "", key]
    content_type = rules.check_content_type(type) if type else media_type(body, names)
    if value is not None and is_json(content_type):
        body.check_json()
    store, opened = ctx.obj.open(ref, "kvs", remedy="the same with --create, if it is to be made")
    if create and opened.startswith("~"):
        opened = store.kvs.create(opened[1:])[0].id
    if no_clobber and _is_there(store.kvs, opened, key):
        raise Conflict(f"Record '{key}' is already there", type="record-exists")
    record = Record(key=key, content_type=content_type, size=body.size, body=body)
    store.kvs.put(opened, record)
    ctx.obj.output.did(
        f"Set '{key}' of '{ref}': {human_bytes(body.sent)}, {content_type}",
        key,
        {"key": key, "size": body.sent, "contentType": content_type},
    )


def _body(file: str | None, value: str | None, ref: str, key: str) -> Body:
    """What is to be stored. stdin is touched only if it is meant."""
    if value is not None:
        if file is not None:
            raise InvalidInput("--value and FILE exclude each other")
        return Body.of_text(value, "--value")
    if file is not None and file != "-":
        try:
            return Body.of_file(Path(file))
        except NotFound as error:
            told = f"storectl kvs set {ref} {key} --value TEXT, if it is the value itself"
            raise NotFound(error.message, hint=told) from None
    if file is None and sys.stdin.isatty():
        raise InvalidInput(
            "no value: name a FILE, give --value, or pipe it in", hint="storectl kvs set --help"
        )
    return Body.of_open(0, "stdin")


def _is_there(keeper: KeyValueStores, ref: str, key: str) -> bool:
    try:
        keeper.record(ref, key, body=False)
    except NotFound:
        keeper.get(ref)  # is it the store that is missing?
        return False
    return True


@app.command("unset", aliases=("delete-value",))
def unset(
    ctx: Context,
    ref: Ref,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY", help="Keys to delete.", show_default=False),
    ] = None,
    prefix: Prefix = None,
    glob: Glob = None,
    dry_run: DryRun = False,
) -> None:
    """Delete records: those of the keys, or all that --prefix and --glob select.

    A key that is not there is a failure, and then nothing is deleted. Elsewhere
    than on a terminal --yes is needed.

    Examples:
      storectl kvs unset default OUTPUT --yes
      storectl kvs unset shots --glob '2023-*.png' --dry-run
    """
    selecting = prefix is not None or glob is not None
    if bool(names) == selecting:
        raise InvalidInput("name either keys, or a --prefix or --glob of them")
    if prefix == "" or glob == "":
        raise InvalidInput("an empty selection means every key; write --glob '*' for that")
    store, opened = ctx.obj.open(ref, "kvs")
    out = ctx.obj.output
    if names:
        wanted: Iterable[str] = [rules.check_key(key) for key in dict.fromkeys(names)]
        sizes = [store.kvs.record(opened, key, body=False).size or 0 for key in wanted]
    else:
        sizes = [key.size for key in _selected(store.kvs, opened, prefix, glob)]
        wanted = (key.key for key in _selected(store.kvs, opened, prefix, glob))
    what = f"{plural(len(sizes), 'record')} ({human_bytes(sum(sizes))})"
    if not sizes:
        out.did(f"No record of '{ref}' is selected", [], {"keys": [], "deleted": 0})
        return
    if dry_run:
        would = list(wanted)
        out.did(f"Would delete {what} of '{ref}'", would, {"keys": would, "deleted": 0})
        return
    out.confirm(f"delete {what} of '{ref}' of {store.label}")
    from concurrent.futures import ThreadPoolExecutor  # 8 ms, for deletions only

    done: list[str] = []
    try:
        with ThreadPoolExecutor(ctx.obj.settings.jobs) as pool:
            for key in _removed(pool, store.kvs, opened, wanted):
                done.append(key)
    except StorectlError as error:
        if not done:
            raise
        raise Partial(
            f"{len(done):,} of {what} deleted, then: {error.message}", hint=error.hint
        ) from error
    deleted = plural(len(done), "record")
    out.did(f"Deleted {deleted} of '{ref}'", done, {"keys": done, "deleted": len(done)})


def _removed(
    pool: ThreadPoolExecutor, keeper: KeyValueStores, ref: str, keys: Iterable[str]
) -> Iterator[str]:
    """Delete records, several at a time; each key once it is gone. The first failure ends it."""
    source = iter(keys)
    while batch := list(islice(source, REMOVE_BATCH)):
        pending = [pool.submit(keeper.remove, ref, key) for key in batch]
        failure: StorectlError | None = None
        for key, removal in zip(batch, pending, strict=True):
            try:
                removal.result()
            except StorectlError as error:
                failure = failure or error
            else:
                yield key
        if failure is not None:
            raise failure


app.later("sync:add_sync_verbs", "pull", "push", "sync")
