"""Keys and the names of their files: reversible, harmless, and never two on one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from storectl.transfer.folder import Found, Stamp, folded, key_of, names, opened

ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.'()"
DEVICES = ["CON", "con", "Con.txt", "NUL", "aux.", "LPT1.a.b", "com9"]

keys = (
    some.text(alphabet="aAbB.%1e", min_size=1, max_size=5)  # collide often
    | some.text(alphabet=ALLOWED, min_size=1, max_size=256)
    | some.text(min_size=1, max_size=10)  # what only a hostile server lists
    | some.sampled_from([*DEVICES, "..", ".", "../x", "/etc/passwd", "a\0b", "ſ", "\udcff"])
)


def chosen(folder: Path, all: Iterable[str], there: Iterable[str] = ()) -> dict[str, str]:
    """Names for keys in a folder with some files in it."""
    with opened(folder, create=True) as found:
        files = [Found(name, key_of(name), Stamp(0, 0), None) for name in there]
        return found.names_of(all, files)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder")


@given(key=keys)
@example(key="%41")
@example(key=".storectl.json")
def test_a_name_read_backwards_is_the_key(key: str) -> None:
    for name in names(key):
        assert key_of(name) == (None if "%~" in name else key)


@given(key=keys)
@example(key="A" * 256)
def test_a_name_is_harmless_on_every_system(key: str) -> None:
    for name in names(key):
        assert re.fullmatch(r"[A-Za-z0-9!\-_.'()%~]{1,240}", name)
        assert not name.startswith(".")
        assert not name.endswith(".")
        assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name)


@given(all=some.lists(keys, unique=True, max_size=12))
@example(all=["CON", "con", "Con", "cON"])
@example(all=["A", "a", "%61", "%41"])
@example(all=["a" * 255 + "b", "a" * 255 + "c", "A" * 255 + "c"])
def test_no_two_keys_share_a_name_in_whatever_capitals(folder: Path, all: list[str]) -> None:
    found = chosen(folder, all)

    assert len({folded(name) for name in found.values()}) == len(all)
    assert "" not in found.values()


@given(all=some.lists(keys, unique=True, max_size=8), more=some.lists(keys, max_size=8))
def test_a_file_that_is_there_keeps_its_name(folder: Path, all: list[str], more: list[str]) -> None:
    there = [name for name in chosen(folder, all).values() if "%~" not in name]

    found = chosen(folder, dict.fromkeys([*more, *all]), there)

    assert {found[str(key_of(name))] for name in there} == set(there)
    assert len({folded(name) for name in found.values()}) == len(found)


@pytest.mark.parametrize(
    ("key", "name"),
    {
        "INPUT": "INPUT",
        "shot-1_(a)!'.png": "shot-1_(a)!'.png",
        ".htaccess": "%2Ehtaccess",
        "..": "%2E%2E",
        "end.": "end%2E",
        "../up": "%2E.%2Fup",
        "a\0b": "a%00b",
        "ü": "%C3%BC",
        "con.txt": "%63on.txt",
        "Con": "%43on",
        "CON": "%43%4F%4E",
        "console": "console",
    }.items(),
)
def test_plain_names(key: str, name: str) -> None:
    assert next(names(key)) == name


@pytest.mark.parametrize(
    "name", ["my file.txt", "100%.txt", "%zz", "%C3", "ü.png", ".hidden", "a%~0123", "a/b", ""]
)
def test_what_is_the_name_of_no_key(name: str) -> None:
    assert key_of(name) is None
