"""storectl api: any call of the API, for what no command offers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl

import typer

from storectl.cli.frame import App, Context
from storectl.errors import InvalidInput, NotFound, Unsupported

app = App("The API itself.")

INDENTED_BYTES = 4 * 1024 * 1024
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


@app.command("api")
def api(
    ctx: Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[METHOD] PATH",
            help="GET if absent; a path such as datasets/ID/items, with or without /v2.",
            show_default=False,
        ),
    ],
    field: Annotated[
        list[str] | None,
        typer.Option("--field", "-f", metavar="K=V", help="One of the query.", show_default=False),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="K:V", help="One of the head.", show_default=False),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The body; - is stdin.", show_default=False),
    ] = None,
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Print the head of the answer first.")
    ] = False,
) -> None:
    """Call the API of a server, with its token, and print the answer as it comes.

    A status of 400 or more is a failure, as in any command. A body is sent as
    JSON unless a header says otherwise.

    Examples:
      storectl api datasets -f limit=5 | jq .data.total
      storectl api PUT datasets/ID --input change.json
    """
    method, path, query = _call(words, field or [])
    target = ctx.obj.chooser.choose()
    if target.server is None:
        raise Unsupported(
            f"{target.place} is a store in this process and has no HTTP API",
            hint="storectl serve",
        )
    head, blocks = ctx.obj.call(
        target, method, path, query=query, headers=_headers(header or []), body=_body(input)
    )
    output = ctx.obj.output
    if include:
        output.lines([*(f"{name}: {value}" for name, value in head.items()), ""])
    if output.on_terminal and "json" in head.get("content-type", ""):
        blocks = _indented(blocks)
    output.raw(blocks)


def _indented(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """JSON as people read it; as it comes if it is large, or is no JSON after all."""
    text = b""
    for block in blocks:
        text += block
        if len(text) > INDENTED_BYTES:
            yield text
            yield from blocks
            return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    yield json.dumps(found, indent=2, ensure_ascii=False).encode()


def _call(words: list[str], fields: list[str]) -> tuple[str, str, dict[str, str]]:
    """Method, path below /v2 and query of what was typed."""
    method, path = ("GET", words[0]) if len(words) == 1 else (words[0].upper(), words[1])
    if len(words) > 2 or method not in METHODS:
        raise InvalidInput(
            f"give a method ({', '.join(METHODS)}) and a path", hint="storectl api --help"
        )
    if "://" in path:
        raise InvalidInput(
            "the path is one of the chosen server, not a URL", hint="storectl api --server URL PATH"
        )
    path, _, text = path.partition("?")
    query = dict(parse_qsl(text, keep_blank_values=True))
    for pair in fields:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"--field {pair!r} is not K=V")
        query[name] = value
    return method, "/v2/" + path.lstrip("/").removeprefix("v2/"), query


def _headers(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, colon, value = pair.partition(":")
        if not colon or not name.strip() or not pair.isprintable():
            raise InvalidInput(f"--header {pair!r} is not K:V")
        found[name.strip()] = value.strip()
    return found


def _body(input: str | None) -> bytes | None:
    if input is None:
        return None
    if input == "-":
        with open(0, "rb", closefd=False) as stdin:
            return stdin.read()
    path = Path(input)
    if not path.is_file():
        raise NotFound(f"{input}: no such file")
    return path.read_bytes()
