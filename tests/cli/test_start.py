"""What starts with the program: little."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from storectl.cli import ALIASES, COMMANDS

from .conftest import Cli

HEAVY = {"rich", "httpx", "granian", "asyncio", "pydantic", "dataclasses", "tomllib", "click"}
NOT_FOR_A_LISTING = {"hashlib", "hmac", "secrets", "random", "json", "tempfile", "zstandard"}
NOT_FOR_A_LISTING |= {"concurrent.futures", "logging", "psycopg"}
WATCH = (
    "import sys; from storectl.cli import main; code = main(sys.argv[1:]); "
    "print(' '.join(sorted(sys.modules)), file=sys.stderr); sys.exit(code)"
)


def modules_of(cli: Cli, *args: str) -> set[str]:
    """The modules that are there at the end of a command."""
    run = subprocess.run(
        [sys.executable, "-c", WATCH, *args],
        env=cli.env,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stderr.split())


def modules_of_python(cli: Cli) -> set[str]:
    """The modules of an interpreter that does nothing."""
    code = "import sys; print(' '.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], env=cli.env, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_loads_the_package_and_nothing_of_the_library(cli: Cli, flag: str) -> None:
    loaded = modules_of(cli, flag)

    assert loaded - modules_of_python(cli) == {"__future__", "gc", "storectl", "storectl.cli"}


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["-h"], []])
def test_version_and_root_help_load_neither_typer_nor_anything_heavy(
    cli: Cli, args: list[str]
) -> None:
    loaded = modules_of(cli, *args)

    assert not loaded & (HEAVY | {"typer", "msgspec", "platformdirs"})


@pytest.mark.parametrize("noun", ["dataset", "kvs", "queue"])
def test_listing_an_embedded_store_loads_no_client_no_server_no_rich(cli: Cli, noun: str) -> None:
    loaded = modules_of(cli, noun, "ls")

    others = {"dataset", "kvs", "queue"} - {noun}
    checksums = {"hashlib"} if noun == "kvs" else set()  # of its records
    assert not loaded & ((HEAVY | NOT_FOR_A_LISTING) - checksums)
    assert not any(name.startswith(("storectl.client", "storectl.server")) for name in loaded)
    assert not loaded & {f"storectl.{part}.{each}" for part in ("engine", "cli") for each in others}


@pytest.mark.parametrize("noun", ["dataset", "kvs", "queue", "doctor"])
def test_the_help_of_a_noun_opens_no_store(cli: Cli, noun: str) -> None:
    loaded = modules_of(cli, noun, "--help")

    assert not loaded & (HEAVY | {"apsw", "zstandard", "concurrent.futures"})
    assert not any(name.startswith(("storectl.client", "storectl.server")) for name in loaded)


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    from storectl import __version__

    done = cli("--version")

    assert done == (0, f"storectl {__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_root_help_is_the_first_line_of_the_command_itself(name: str) -> None:
    entry = COMMANDS[name]
    group = getattr(import_module(f"storectl.cli.{entry.module}"), entry.app).group()

    found = group.help if entry.command is None else group.verb(entry.command).help

    assert entry.summary == found.strip().partition("\n")[0]


def test_aliases_lead_to_commands_that_exist() -> None:
    assert set(ALIASES.values()) <= set(COMMANDS)
