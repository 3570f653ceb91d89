"""Options and arguments that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="ID, name, user/name or URL of a storage; PROFILE: may stand before it.",
        show_default=False,
    ),
]

Refs = Annotated[
    list[str],
    typer.Argument(
        metavar="REF",
        help="IDs, names, user/name or URLs of storages; PROFILE: may stand before each.",
        show_default=False,
    ),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Change nothing, say what would change.")
]

CreateQueue = Annotated[
    bool, typer.Option("--create", help="Create the queue if there is none of that name.")
]

OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE, which appears when it is whole; - is stdout.",
        show_default=False,
    ),
]

Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=0, help="At most N.", show_default=False)
]


Ordered = Annotated[
    bool,
    typer.Option(
        "--ordered/--unordered",
        help="One call after the other, or --jobs of them at a time.",
        show_default=False,
    ),
]


def comma(values: list[str] | None) -> tuple[str, ...]:
    """`--fields a,b --fields c` as (a, b, c)."""
    parts = (part.strip() for value in values or () for part in value.split(","))
    return tuple(part for part in parts if part)
