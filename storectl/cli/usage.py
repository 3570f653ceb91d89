"""A command line that Typer could not read, in our words."""

from __future__ import annotations

import re
from typing import Any

from typer._click import exceptions as wrong

from storectl.cli import ALIASES, COMMANDS
from storectl.cli.frame import Group, Root

CLOSE = 0.75
"""How like a word that exists another must be to be meant by it; 1 is the same."""


def told(error: Any, args: list[str]) -> tuple[str, str]:
    """One sentence, and what to try. args: the command line as it was typed."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "storectl"
    help = f"{path} --help"
    if isinstance(error, wrong.NoSuchOption):
        return _option(error), help
    if isinstance(error, wrong.MissingParameter) and error.param is not None:
        kind = error.param.param_type_name
        return f"missing {kind} {error.param.get_error_hint(error.ctx)}", help  # type: ignore[arg-type]
    if isinstance(error, wrong.BadParameter) and error.param is not None:
        return _value(error), help
    message = " ".join(error.format_message().split()).rstrip(".")
    extra = re.fullmatch(r"Got unexpected extra argument\(s\) \((.+)\)", message)
    if extra:
        return f"unexpected argument: {extra[1]}", help
    word = re.match(r"No such command '([\w-]+)'", message)
    if word and ctx is not None and isinstance(ctx.command, Root):
        return _command(word[1], args) or (_lower(message), help)
    return _lower(message), help


def _option(error: Any) -> str:
    from difflib import get_close_matches

    close = get_close_matches(error.option_name, error.possibilities or (), 1, CLOSE)
    meant = f". Did you mean '{close[0]}'?" if close else ""
    return f"no such option: {error.option_name}{meant}"


def _value(error: Any) -> str:
    """`--limit must be 0 or more, not -1`."""
    param, kind = error.param, error.param.type
    name = max(param.opts, key=len)
    if param.param_type_name == "argument":
        name = "argument"
    value = re.match(r"'?(.*?)'? is not (?:a valid|in the range|one of) ", error.message, re.DOTALL)
    if value is None:
        return f"{name}: {_lower(error.message.rstrip('.'))}"
    choices = getattr(kind, "choices", None)
    if choices:
        return f"{name} must be one of {', '.join(map(str, choices))}, not '{value[1]}'"
    if " valid int" in error.message:
        return f"{name} must be a whole number, not '{value[1]}'"
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is not None:
        wanted = f"{low} or more" if high is None else f"from {low} to {high}"
        return f"{name} must be {wanted}, not {value[1]}"
    return f"{name}: {_lower(error.message.rstrip('.'))}"


def _command(word: str, args: list[str]) -> tuple[str, str] | None:
    """What to try where a verb stands without its noun, or before it."""
    if word == "version":
        return f"no such command '{word}'", "storectl --version"
    root: Any = Root()
    groups = {name: root.get_command(None, name) for name in COMMANDS}
    nouns = [
        name
        for name, group in groups.items()
        if isinstance(group, Group) and group.aliases.get(word, word) in group.infos
    ]
    if not nouns:
        return None
    rest = args[args.index(word) + 1 :] if word in args else []
    if rest and ALIASES.get(rest[0], rest[0]) in nouns:
        return (
            f"no such command '{word}': the noun goes first",
            " ".join(["storectl", rest[0], word, *rest[1:]]),
        )
    verb = groups[nouns[0]].aliases.get(word, word)
    return (
        f"no such command '{word}'; it needs a noun before it: {', '.join(nouns)}",
        f"storectl {nouns[0]} {verb}",
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
