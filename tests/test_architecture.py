"""The law of the house: imports point down, and each library has its owners."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "storectl"
GROUND = {"errors", "model"}
MAY = {  # floor -> the floors below it that it may import
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "model": {"errors"},
    "config": {"errors"},
    "formats": GROUND,
    "engine": GROUND | {"formats"},  # a schema is checked on what is packed, too
    "client": GROUND | {"formats"},  # items may come packed
    "server": GROUND | {"formats"},
    "transfer": GROUND | {"formats"},
    "cli": GROUND | {"formats", "engine", "client", "server", "transfer", "config"},
}
OWNS = {
    "httpcore": {"client"},
    "httpx": {"client"},
    "apsw": {"engine"},
    "psycopg": {"engine"},
    "sqlite3": {"transfer"},
    "granian": {"server"},
    "prometheus_client": {"server"},
    "typer": {"cli"},
    "rich": {"cli"},
    "platformdirs": {"config"},
    "tomli_w": {"config"},
    "zstandard": {"engine", "formats"},
    "brotli": {"formats"},
}
KEEPERS = {"engine": {"cli/context.py"}, "client": {"cli/context.py"}}
"""Inside cli/, the only files that choose what keeps a store."""

NOUNS = ("dataset", "kvs", "queue", "token", "access", "storage")
FLOORS = ("model", "engine", "client", "server", "cli")

FILES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and dotted name of every import."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def wrongs(path: Path) -> list[str]:
    inside = path.relative_to(ROOT)
    floor = inside.parts[0].removesuffix(".py")
    found = []
    for line, name in imports(path):
        head, *rest = name.split(".")
        where = f"{inside}:{line}: {floor}/ may not import"
        below = rest[0] if rest else ""
        if head == "storectl" and ((ROOT / below).exists() or (ROOT / f"{below}.py").exists()):
            if below != floor and below not in MAY[floor]:
                found.append(f"{where} {below}/")
            elif below in KEEPERS and floor == "cli" and str(inside) not in KEEPERS[below]:
                found.append(f"{where} {below}/ here; ask context.py")
        elif head in OWNS and floor not in OWNS[head]:
            found.append(f"{where} {head}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    assert wrongs(path) == []


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_its_file_on_every_floor(floor: str, noun: str) -> None:
    assert (ROOT / floor / f"{noun}.py").is_file()


SCRATCH = {"transfer/dedupe.py", "transfer/diff.py", "transfer/sql.py"}
"""Tables that are gone when the command ends, with columns as the items have them."""


def test_sql_stands_in_sql_files() -> None:
    verbs = ("INSERT INTO", "DELETE FROM", "UPDATE storage", "CREATE TABLE")
    found = [
        f"{path.relative_to(ROOT)}: {verb}"
        for path in FILES
        for verb in verbs
        if str(path.relative_to(ROOT)) not in SCRATCH and verb in path.read_text("utf-8")
    ]

    assert found == []


def test_every_endpoint_has_a_handler() -> None:
    from storectl.model import access, dataset, kvs, queue, token
    from storectl.model.endpoint import Endpoint
    from storectl.server.app import HANDLERS

    named = set()
    for module in (access, dataset, kvs, queue, token):
        for value in vars(module).values():
            several = value.values() if isinstance(value, dict) else [value]
            named |= {one for one in several if isinstance(one, Endpoint)}

    assert named == set(HANDLERS)
