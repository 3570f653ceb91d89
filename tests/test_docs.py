"""The pages say what is so: commands run, and show what they show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import console
import generate

PAGES = generate.pages()


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_show_what_it_says(page: Path) -> None:
    with console.terminal() as screen:
        for block in console.blocks(page.read_text("utf-8")):
            for command, code, output in block:
                real, shown = screen.run(command)
                assert real == code, f"{command}\n{shown}"
                assert console.plain(shown) == console.plain(output), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_environment_variable_of_the_code_is_in_the_help() -> None:
    used = {
        name
        for path in (ROOT / "storectl").rglob("*.py")
        for name in re.findall(r"\bSTORECTL_[A-Z_]+\b", path.read_text("utf-8"))
    }
    internal = {"STORECTL_COMPLETE"}
    told = generate.said("help", "environment")

    assert {name for name in used - internal if name not in told} == set()


def test_the_repository_speaks_of_itself_alone() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    foreign = [b"../" + b"shared", b"/wo" + b"rk/", b"regis" + b"try.npm"]
    found = [
        name for name in files if any(words in (ROOT / name).read_bytes() for words in foreign)
    ]

    assert found == []


def test_the_changelog_has_the_version() -> None:
    from storectl import __version__

    text = (ROOT / "CHANGELOG.md").read_text("utf-8")

    assert "## [Unreleased]" in text or f"## [{__version__}]" in text
