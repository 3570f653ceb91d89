"""Files and standard input that items are read from."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import BinaryIO

from storectl.errors import InvalidInput, NotFound
from storectl.formats.encoding import PACKED
from storectl.transfer.dataset import Source


def sources_of(files: list[str]) -> list[Source]:
    """What to read. Every file is looked at before anything is sent."""
    if not files:
        if sys.stdin.isatty():
            raise InvalidInput(
                "no input: name a FILE, or pipe items in", hint="storectl dataset push --help"
            )
        files = ["-"]
    sources = []
    for name in files:
        if name == "-":
            sources.append(Source("stdin", _stdin))
            continue
        if not name:
            raise InvalidInput("'' names no file")
        path = Path(name)
        if not path.exists():
            hint = (
                "items as text on the command line are not taken; pipe them"
                if name[:1] in "[{"
                else None
            )
            raise NotFound(f"{name}: no such file", hint=hint)
        if path.is_dir():
            raise InvalidInput(
                f"{name} is a folder", hint=f"storectl dataset push REF {name}/*.jsonl"
            )
        is_plain = path.is_file() and path.suffix.lower() not in PACKED.values()
        size = path.stat().st_size if is_plain else None
        sources.append(Source(name, partial(_open, path), size=size))
    return sources


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _stdin() -> BinaryIO:
    return open(0, "rb", closefd=False)
