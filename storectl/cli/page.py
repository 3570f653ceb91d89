"""Help pages: plain sections of 80 columns. Nothing heavy is imported, so root help is quick."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable

from storectl.cli import COMMANDS
from storectl.cli.flags import GLOBAL, Flag

Rows = list[tuple[str, str]]

ROOT = """Datasets, key-value stores and request queues, from a shell.

Works at once on a store of its own, with --store on any folder, and with a
profile on any server that speaks the Apify storage API.
"""

EXAMPLES = """Examples:
  storectl dataset create results
  storectl dataset push results items.jsonl
  storectl dataset items results --format csv -o results.csv
  storectl serve
"""


def width() -> int:
    """Columns of help: those of the terminal up to 80, and 80 off a terminal."""
    if not sys.stdout.isatty():
        return 80
    return max(40, min(80, shutil.get_terminal_size().columns))


def root() -> str:
    """`storectl --help`, from the static tables alone."""
    commands = [(name, entry.summary) for name, entry in COMMANDS.items()]
    options = [(spelled(flag), described(flag)) for flag in GLOBAL]
    options += [("-V, --version", "Print the version."), ("-h, --help", "Print this.")]
    return page(
        "storectl [OPTIONS] COMMAND [ARGS]",
        ROOT + "\n" + EXAMPLES,
        [("Commands", commands), ("Global options, before or after the command", options)],
        "storectl COMMAND --help says more. No telemetry, no update checks.",
    )


def page(usage: str, doc: str, sections: list[tuple[str, Rows]], footer: str = "") -> str:
    """Lay out a help page: usage, text, and sections of two columns.

    Lines of the text that are indented stay as they are; others are wrapped.
    """
    parts = [_fill(f"Usage: {usage}", " " * 9), *_paragraphs(doc)]
    parts += [f"{title}:\n{_two_columns(rows)}" for title, rows in sections if rows]
    if footer:
        parts.append(_fill(footer))
    return "\n\n".join(parts) + "\n"


def spelled(flag: Flag) -> str:
    """`-p, --profile NAME`."""
    names = ", ".join(flag.opts)
    if flag.metavar is None:
        return names
    return names + ("" if flag.metavar.startswith("[") else " ") + flag.metavar


def described(flag: Flag) -> str:
    """The help of a flag, with the variable that sets it."""
    return f"{flag.help} [{flag.env[0]}]" if flag.env else flag.help


def global_names() -> str:
    """The global options in one paragraph, as the pages of commands have it."""
    names = "  ".join("/".join(flag.opts) + (flag.metavar or "" if flag.name == "json" else "")
                      for flag in GLOBAL if flag.name != "dry_run")  # fmt: skip
    return "Global options (storectl --help explains them):\n" + textwrap.fill(
        names, width(), initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


def _paragraphs(doc: str) -> Iterable[str]:
    for block in doc.strip("\n").split("\n\n"):
        if not block.strip():
            continue
        lines: list[str] = []
        text: list[str] = []
        for line in [*block.split("\n"), " "]:
            if line.startswith(" "):
                if text:
                    lines.append(_fill(" ".join(text)))
                    text = []
                lines.append(line.rstrip())
            else:
                text.append(line)
        yield "\n".join(lines[:-1])


def _fill(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _two_columns(rows: Rows) -> str:
    left = min(max(len(name) for name, _ in rows), 28)
    lines = []
    for name, text in rows:
        head = f"  {name:<{left}}  "
        if len(name) > left:
            lines.append(head.rstrip())
            head = " " * (left + 4)
        filled = textwrap.fill(
            text,
            width(),
            initial_indent=head,
            subsequent_indent=" " * (left + 4),
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines.append(filled.rstrip())
    return "\n".join(lines)
