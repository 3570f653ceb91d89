"""SECURITY.md names the tests that hold its promises: they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))

    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_of_the_ten_has_its_tests() -> None:
    rows = dict(re.findall(r"^\| API(\d+) .*? \|.*\|(.*)\|$", PAGE, re.MULTILINE))

    assert list(map(int, rows)) == [*range(1, 11)]
    assert all("::test_" in tests for tests in rows.values())
