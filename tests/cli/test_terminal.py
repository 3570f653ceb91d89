"""On a real pseudo-terminal: tables that fit, questions that wait, colours that can be had."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from .conftest import Cli, Done


@pytest.fixture
def prices(cli: Cli) -> Cli:
    lines = "".join(
        f'{{"n":{at},"text":"{"long " * 40}","esc":"\\u001b[2J"}}\n' for at in range(30)
    )
    assert cli("dataset", "push", "prices", "--create", stdin=lines).code == 0
    return cli


def plain(done: Done) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", done.out).splitlines()


@pytest.mark.parametrize("columns", [40, 80, 132])
def test_tables_fit_the_terminal(prices: Cli, columns: int) -> None:
    listed = prices.on_terminal("dataset", "ls", columns=columns)
    items = prices.on_terminal("dataset", "items", "prices", columns=columns)

    for done in (listed, items):
        assert done.code == 0
        assert all(cell_len(line) <= columns for line in plain(done) if "--all" not in line)


def test_items_are_previewed_and_that_is_said(prices: Cli) -> None:
    lines = plain(prices.on_terminal("dataset", "items", "prices"))

    assert lines[0].split() == ["n", "text", "esc"]
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "20 of 30 items; --all shows every one, -o FILE keeps them"
    assert len(plain(prices.on_terminal("dataset", "items", "prices", "--all"))) == 31


def test_data_never_steers_the_terminal(prices: Cli) -> None:
    table = prices.on_terminal("dataset", "items", "prices", "--color", "never")
    text = prices.on_terminal("dataset", "items", "prices", "--format", "xml", "--limit", "1")

    assert "\x1b" not in table.out + text.out
    assert "\\x1b[2J" in table.out


def test_a_workbook_is_not_thrown_at_a_terminal(prices: Cli) -> None:
    done = prices.on_terminal("dataset", "items", "prices", "--format", "xlsx")

    assert done.code == 2
    assert "-o prices.xlsx" in done.out


@pytest.mark.parametrize(
    ("env", "args", "colored"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"TERM": "dumb"}, [], False),
        ({}, ["--color", "never"], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
    ],
)
def test_colour_is_for_those_who_want_it(
    prices: Cli, env: dict[str, str], args: list[str], colored: bool
) -> None:
    done = prices.on_terminal("dataset", "ls", *args, env=env)

    assert ("\x1b[1m" in done.out) is colored


def test_times_and_sizes_are_for_people(prices: Cli) -> None:
    [_, row] = plain(prices.on_terminal("dataset", "ls", columns=120))

    assert re.search(r" 30 .* (B|kB) .*(just now|min ago) +inherit$", row)


def test_deleting_a_named_storage_asks_for_its_name(prices: Cli) -> None:
    wrong = prices.on_terminal("dataset", "rm", "prices", typed="y\n")
    assert wrong.code == 1
    assert "Delete dataset 'prices' with 30 items of local @ " in " ".join(wrong.out.split())
    assert "nothing was changed" in wrong.out
    assert prices("dataset", "info", "prices").code == 0

    right = prices.on_terminal("dataset", "rm", "prices", typed="prices\n")
    assert right.code == 0
    assert "Removed dataset 'prices'" in right.out
    assert prices("dataset", "info", "prices").code == 3


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("\n", 1), ("n\n", 1)])
def test_deleting_an_unnamed_one_asks_yes_or_no_and_means_no(
    cli: Cli, typed: str, code: int
) -> None:
    id = cli("dataset", "create").out.strip()

    done = cli.on_terminal("dataset", "rm", id, typed=typed)

    assert done.code == code
    assert "[y/N]" in done.out


@pytest.mark.parametrize(
    ("args", "env"), [(["--no-input"], {}), ([], {"CI": "true"}), ([], {"STORECTL_NO_INPUT": "1"})]
)
def test_nothing_is_asked_where_that_was_forbidden(
    prices: Cli, args: list[str], env: dict[str, str]
) -> None:
    done = prices.on_terminal("dataset", "rm", "prices", *args, env=env)

    assert done.code == 2
    assert "--yes" in done.out


def test_yes_asks_nothing(prices: Cli) -> None:
    assert prices.on_terminal("dataset", "rm", "prices", "--yes").code == 0


def test_mutations_say_a_sentence(cli: Cli) -> None:
    created = cli.on_terminal("dataset", "create", "prices")
    renamed = cli.on_terminal("dataset", "rename", "prices", "costs")
    unnamed = cli.on_terminal("dataset", "rename", "costs", "--unname")

    assert re.match(r"Created dataset 'prices' \(\w{17}\) for local @ ", created.out)
    assert "is now kept indefinitely" in renamed.out
    assert "no longer exempt from expiry" in " ".join(unnamed.out.split())


def test_info_of_an_unnamed_storage_says_how_to_keep_it(cli: Cli) -> None:
    id = cli("dataset", "create").out.strip()

    done = cli.on_terminal("dataset", "info", id)

    assert f"storectl dataset rename {id} NAME" in done.out


def test_the_default_store_is_said_once(cli: Cli) -> None:
    env = {"STORECTL_STORE": "", "XDG_DATA_HOME": str(cli.folder / "data")}

    done = cli.on_terminal("dataset", "create", "a", env=env)
    piped = cli("dataset", "ls", "-q", env=env)

    assert done.out.count("using the store in") == 1
    assert (cli.folder / "data/storectl").is_dir()
    assert piped.err == ""


def test_push_without_input_says_what_it_wants(prices: Cli) -> None:
    done = prices.on_terminal("dataset", "push", "prices")

    assert done.code == 2
    assert "name a FILE" in done.out


def test_json_on_a_terminal_is_indented(cli: Cli) -> None:
    cli("dataset", "create", "a")

    assert '\n  "name": "a",' in cli.on_terminal("dataset", "info", "a", "--json").out


def test_help_is_plain_and_fits(cli: Cli) -> None:
    for args in (["--help"], ["dataset", "--help"], ["dataset", "items", "--help"]):
        done = cli.on_terminal(*args, columns=60)
        assert "\x1b" not in done.out
        assert all(len(line) <= 60 or "storectl" in line for line in done.out.splitlines())


def test_an_error_is_red_on_a_terminal(cli: Cli) -> None:
    assert "\x1b[31merror:\x1b[0m" in cli.on_terminal("dataset", "info", "a").out
