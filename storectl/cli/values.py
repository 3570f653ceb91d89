"""Values as text: exact for programs, short for people."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

Kind = Literal["text", "count", "bytes", "time", "moment", "access", "scope"]


class Column(NamedTuple):
    """One column of a listing or one line of a description.

    field: where the value is in a row, with dots into objects. title: its head on
    a terminal. kind: how people read it; programs get the raw value. whole: it is
    copied by people, so it is not cut to fit.
    """

    field: str
    title: str
    kind: Kind = "text"
    whole: bool = False


_CONTROLS = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # change of direction
)
_NAMED = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
_ESCAPED = {
    code: _NAMED.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
    for code in _CONTROLS
}
_ESCAPED_IN_LINES = {code: text for code, text in _ESCAPED.items() if chr(code) not in "\t\n"}


def visible(text: str, *, lines: bool = False) -> str:
    """Escape what could steer a terminal: control characters and changes of direction.

    lines: leave newlines and tabs as they are.
    """
    return text.translate(_ESCAPED_IN_LINES if lines else _ESCAPED)


def pick(row: Any, field: str) -> Any:
    """The value at a dotted path, or None."""
    for part in field.split("."):
        if not isinstance(row, dict):
            return None
        row = row.get(part)
    return row


def exact(value: Any) -> str:
    """A value for programs: nothing is rounded; objects are JSON; None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(value).decode()


def tsv_cell(value: Any) -> str:
    """A value that keeps to its line and column: tab, newline and backslash are escaped."""
    text = exact(value)
    if not any(mark in text for mark in "\\\t\n\r"):
        return text
    for mark, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(mark, escape)
    return text


def short(value: Any, kind: Kind) -> str:
    """A value for people, safe on a terminal."""
    if kind == "scope":
        return visible(", ".join(value) if value is not None else "all that its user may")
    if value is None:
        return ""
    if kind == "bytes" and isinstance(value, int):
        return human_bytes(value)
    if kind == "count" and isinstance(value, int):
        return f"{value:,}"
    if kind == "time" and isinstance(value, str):
        return relative(value)
    if kind == "moment" and isinstance(value, str):
        return f"{visible(value[:19].replace('T', ' '))} UTC, {relative(value)}"
    if kind == "access":
        return visible(ACCESS_WORDS.get(value, str(value)))
    return visible(exact(value))


ACCESS_WORDS = {
    "FOLLOW_USER_SETTING": "inherit",
    "RESTRICTED": "restricted",
    "ANYONE_WITH_ID_CAN_READ": "id",
    "ANYONE_WITH_NAME_CAN_READ": "name",
}
"""General access as the command line spells it."""


def human_bytes(count: int) -> str:
    """1.2 MB, in powers of a thousand."""
    if count < 1000:
        return f"{count} B"
    size = float(count)
    units = ["PB", "TB", "GB", "MB", "kB"]
    size /= 1000
    while size >= 999.95 and len(units) > 1:
        size /= 1000
        units.pop()
    return f"{size:.1f} {units[-1]}" if size < 99.95 else f"{size:.0f} {units[-1]}"


def relative(moment: str, now: float | None = None) -> str:
    """`3 min ago` or `in 5 days` of an ISO 8601 time; the text itself if it is none."""
    try:
        then = datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return visible(moment)
    secs = (time.time() if now is None else now) - then
    for size, word in ((86_400 * 365, "year"), (86_400, "day"), (3600, "hour"), (60, "min")):
        if abs(secs) >= size:
            count = int(abs(secs) // size)
            many = word if count == 1 or word == "min" else f"{word}s"
            return f"{count} {many} ago" if secs > 0 else f"in {count} {many}"
    return "just now" if secs >= 0 else "in a moment"


def human_secs(secs: float) -> str:
    """4 ms, 1.4 s, 12 s, 3 min 5 s."""
    if secs < 0.1:
        return f"{secs * 1000:.0f} ms"
    if secs < 10:
        return f"{secs:.1f} s"
    if secs < 60:
        return f"{secs:.0f} s"
    return f"{int(secs // 60)} min {int(secs % 60)} s"


def plural(count: int, word: str) -> str:
    """`1 item`, `12,345 items`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")
