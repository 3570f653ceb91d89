"""storectl store: a store as a whole, into another place."""

from __future__ import annotations

from typing import Annotated

import typer

from storectl.cli.frame import App, Context
from storectl.cli.upkeep import follow
from storectl.cli.values import human_bytes, human_secs, plural
from storectl.model.upkeep import Copied, Finding

app = App("A store as a whole: move it into PostgreSQL, a bucket, and back.")

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A folder or postgresql://…", show_default=False),
]


@app.command("move")
def move(
    ctx: Context,
    source: Source,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A folder or postgresql://…, in which no store is yet.",
            show_default=False,
        ),
    ],
    blobs: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where its large records go: s3://BUCKET/PREFIX or a folder. "
            "[default: the folder of the store]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Move a store with all it holds: from a folder into PostgreSQL, into a bucket, and back.

    Users, tokens, rights, links, storages with their IDs, items, records, and requests
    with their state and order. End its servers first: one that runs is noticed and
    nothing is moved. From then on the source cannot be opened. A move that was cut off
    goes on when it is run again. At the end all that arrived is read and held against
    checksums; exit code 8 if it differs, or if somebody wrote to the source.

    Nothing is deleted: the source stays as it is, and opens again after `storectl store
    release`.

    Examples:
      storectl store move ./data postgresql://db/storectl --blobs s3://box/records
      storectl store move postgresql://db/storectl ./data
    """
    session = ctx.obj
    copies: list[Copied] = []

    def take(each: Finding | Copied) -> None:
        if isinstance(each, Copied):
            copies.append(each)

    place = blobs or session.environ.get("STORECTL_BLOBS")
    done = follow(session.output, session.move(source, target, place), take)
    (copied,) = copies
    output = session.output
    if output.form in ("json", "jsonl"):
        output.value(copied._asdict() | {"secs": round(done.secs, 3)})
    output.summary(
        f"{plural(copied.storages, 'storage')}, {human_bytes(copied.bytes)} in "
        f"{human_secs(done.secs)}, read back and found good"
    )


@app.command("release")
def release(ctx: Context, source: Source) -> None:
    """Let a store be used again that was moved, or whose move was given up.

    Both stores can then be written to and will differ. What a move that was given up has
    left in its target is no store: delete it.

    Example: storectl store release ./data
    """
    released = ctx.obj.release(source)
    ctx.obj.output.note("It can be used again" if released else "No move has begun from it")
