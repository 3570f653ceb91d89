"""Help: plain pages of 80 columns, and topics that say all there is."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from storectl.cli import COMMANDS
from storectl.cli.flags import GLOBAL
from storectl.cli.frame import Group
from storectl.errors import EXIT_CODES

from .conftest import Here


def command_lines() -> Iterator[list[str]]:
    """Every command, as it is called."""
    for name, entry in COMMANDS.items():
        yield [name]
        if entry.command is None:
            group = getattr(import_module(f"storectl.cli.{entry.module}"), entry.app).group()
            yield from ([name, *words] for words in below(group))


def below(group: Group) -> Iterator[list[str]]:
    """The commands of a group, also of groups in it."""
    for name, verb in group.verbs.items():
        yield [name]
        if isinstance(verb, Group):
            yield from ([name, *words] for words in below(verb))


LINES = list(command_lines())


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_page_is_plain_fits_80_columns_and_has_an_example(
    here: Here, line: list[str]
) -> None:
    done = here(*line, "--help")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: storectl {' '.join(line)}")
    assert all(len(row) <= 80 for row in done.out.splitlines()), done.out
    assert "\x1b" not in done.out
    assert "Global options" in done.out
    if "COMMAND [ARGS]" not in done.out:
        assert "Example" in done.out


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_option_and_argument_is_explained(line: list[str]) -> None:
    entry = COMMANDS[line[0]]
    group = getattr(import_module(f"storectl.cli.{entry.module}"), entry.app).group()
    verbs = [group.verb(entry.command)] if entry.command else list(group.verbs.values())
    verbs += [inner for verb in verbs if isinstance(verb, Group) for inner in verb.verbs.values()]

    for verb in verbs:
        assert all(param.help for param in verb.params), verb.name


def test_root_help_lists_every_command_and_global_option(here: Here) -> None:
    page = here("--help").out

    assert all(f"\n  {name} " in page for name in COMMANDS)
    assert all(opt in page for flag in GLOBAL for opt in flag.opts)


def test_help_of_a_command_is_its_page(here: Here) -> None:
    assert here("help", "dataset", "ls").out == here("dataset", "ls", "--help").out
    assert here("help").out == here("--help").out


def test_exit_codes_are_all_explained(here: Here) -> None:
    page = here("help", "exit-codes").out

    assert all(f"\n  {code} " in page for code in EXIT_CODES)


def test_variables_are_all_explained(here: Here) -> None:
    page = here("help", "environment").out

    assert all(name in page for flag in GLOBAL for name in flag.env)
    assert "STORECTL_TOKEN_FILE" in page


@pytest.mark.parametrize(("topic", "word"), [("references", "PROFILE"), ("formats", "xlsx")])
def test_topics_say_what_they_are_about(here: Here, topic: str, word: str) -> None:
    done = here("help", topic)

    assert done.code == 0
    assert word.lower() in done.out.lower()


def test_an_unknown_topic_is_a_usage_error(here: Here) -> None:
    assert here("help", "nothing").code == 2
