"""storectl help: topics that belong to no single command."""

from __future__ import annotations

from typing import Annotated

import typer

from storectl.cli import page
from storectl.cli.flags import GLOBAL
from storectl.cli.frame import App, Context, run
from storectl.errors import EXIT_CODES, InvalidInput

app = App("Explanations.")

OTHER_VARIABLES = [
    ("STORECTL_CONFIG_DIR", "Folder of config.toml and credentials.toml."),
    ("STORECTL_BLOBS", "Where a new store keeps large records: --blobs of serve, store move."),
    ("STORECTL_STATE_DIR", "Folder of the journals that transfers go on from."),
    ("STORECTL_TOKEN", "Token for the server; wins over a stored one."),
    ("STORECTL_TOKEN_FILE", "File that holds the token, such as a mounted secret."),
    ("APIFY_TOKEN", "Token, if neither of these is set."),
    ("TERM=dumb", "No colours."),
    ("STORECTL_REQUEST_URL", "Set by `queue work` for its children; also _ID and more."),
]

OTHER_WORDS = {
    "STORECTL_FORMAT": "json, jsonl, csv, tsv or quiet.",
    "NO_COLOR": "If set, no colours.",
    "CLICOLOR_FORCE": "If set, colours also off a terminal.",
    "FORCE_COLOR": "If set, colours also off a terminal.",
}
"""What a variable says where it is not what its flag says."""

REFERENCES = """A storage is named by

  WkzbQMuFYuamGv3YF        its ID: 17 letters and digits
  prices                   its name, among your own
  janedoe/prices           a name of another user; also janedoe~prices
  https://…/datasets/ID    a URL of the API or of the web console
  prod:prices              any of these, on the server of profile prod

The API also writes an own name as ~prices. Shells take a leading ~ for a home
directory, so leave it out or quote it: '~prices'.

A word is tried as an ID only if it has the form of one, then as a name. Names
have letters, digits and hyphens inside, at most 63; without a name a storage
is temporary.
"""

ORDER = """Flags come first, then variables, then the profile and config.toml,
then what is built in. A stored token is sent to its own origin only; a profile
that is named on the command line uses its own token before that of a variable.
"""


@app.command("help")
def help(
    ctx: Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            help="exit-codes, environment, references, formats, or a command.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Explain exit codes, variables, references, formats.

    Examples:
      storectl help exit-codes
      storectl help dataset push
    """
    words = topic or []
    texts = {
        "exit-codes": _exit_codes,
        "environment": _environment,
        "references": lambda: page.page("storectl COMMAND REF", REFERENCES, []),
        "formats": _formats,
    }
    if len(words) == 1 and words[0] in texts:
        ctx.obj.output.lines([texts[words[0]]().rstrip("\n")])
    elif not words:
        ctx.obj.output.lines([page.root().rstrip("\n")])
    elif words[0] == "help" or words[0].startswith("-"):
        raise InvalidInput(f"there is no topic {words[0]!r}", hint="storectl help")
    else:
        run([*words, "--help"], ctx.obj)


def _exit_codes() -> str:
    rows = [(str(code), meaning) for code, meaning in EXIT_CODES.items()]
    return page.page("storectl COMMAND; echo $?", "What the exit code says.", [("Codes", rows)])


def _environment() -> str:
    rows = [(name, OTHER_WORDS.get(name, flag.help)) for flag in GLOBAL for name in flag.env]
    return page.page(
        "VARIABLE=VALUE storectl COMMAND", ORDER, [("Variables", rows + OTHER_VARIABLES)]
    )


def _formats() -> str:
    from storectl.formats import FORMATS  # only this topic asks

    rows = [
        (one.name, f"{one.media_type.partition(';')[0]}, {one.suffix}") for one in FORMATS.values()
    ]
    rows.append(("tsv", "as csv, with tabs and without a byte order mark"))
    text = """Formats of `dataset items --format`, as the API has them; and parquet, made here.

In csv, tsv, html and xlsx a column is the path to a leaf: seller/name, tags/0. In
parquet objects are structs and lists are lists; fields of several types, maps of
more than 500 names and integers over 64 bits are JSON text. Missing is null there.
`dataset push` reads json, jsonl and csv.
"""
    return page.page("storectl dataset items REF --format FORMAT", text, [("Formats", rows)])
