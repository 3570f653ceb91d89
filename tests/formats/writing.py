"""Writing items in a format, in one go."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from storectl.formats import Options, write

GOLDEN = Path(__file__).parent / "golden"

FEW = settings(max_examples=25, deadline=None)
"""Each example writes whole files."""

NAMES = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ITEMS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=6)

Item = dict[str, Any]


def lines(items: Iterable[Item], *, ascii: bool = False) -> bytes:
    """The items as the JSON lines in which they are kept."""
    dump = json.JSONEncoder(ensure_ascii=ascii, separators=(",", ":")).encode
    return "".join(f"{dump(item)}\n" for item in items).encode()


def written(name: str, items: Iterable[Item] | bytes, **options: Any) -> bytes:
    """The whole output; bytes are JSON lines, and each of them comes as a block of its own."""
    body = items if isinstance(items, bytes) else lines(items)
    return b"".join(write(name, body.splitlines(keepends=True), Options(**options)))


def golden(suffix: str) -> bytes:
    """What the golden items must look like."""
    return (GOLDEN / f"items{suffix}").read_bytes()


def printable(value: Any) -> Any:
    """The value with only such texts and names as every format can hold and no reader changes."""
    if isinstance(value, str):
        return "".join(char for char in value if char.isprintable()).strip()
    if isinstance(value, list):
        return [printable(inner) for inner in value]
    if isinstance(value, dict):
        return {str(at): printable(inner) for at, inner in enumerate(value.values())}
    return value
