"""--csv-safe: no cell of csv or tsv that a spreadsheet takes for a formula."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Here


@pytest.fixture
def stored(here: Here, tmp_path: Path) -> Path:
    """A dataset with a formula in it, and a store one of whose keys begins as one."""
    (tmp_path / "a.jsonl").write_text('{"a":"=1+1,2","@b":"x","n":-5,"f":-1.50}\n')
    here("dataset", "push", "a", "a.jsonl", "--create")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/-key").write_text("body")
    here("kvs", "push", "in", "k", "--create")
    return tmp_path


@pytest.mark.parametrize("on", [(("--csv-safe",), {}), ((), {"STORECTL_CSV_SAFE": "1"})])
def test_texts_are_marked_and_numbers_stay(
    here: Here, stored: Path, on: tuple[tuple[str, ...], dict[str, str]]
) -> None:
    words, env = on

    shown = here("dataset", "items", "a", "--csv", *words, env=env)
    here("dataset", "pull", "a", "-o", "a.tsv", *words, env=env)
    keys = here("kvs", "keys", "k", "--csv", *words, env=env)

    assert shown.out.splitlines()[1:] == ['"\'=1+1,2",x,-5,-1.50']
    assert (stored / "a.tsv").read_bytes().removeprefix(b"\xef\xbb\xbf") == (
        b"a\t'@b\tn\tf\r\n'=1+1,2\tx\t-5\t-1.50\r\n"
    )
    assert keys.lines()[1].startswith("'-key,")


def test_without_it_all_is_as_it_was_stored(here: Here, stored: Path) -> None:
    assert '"=1+1,2",x,-5,-1.50' in here("dataset", "items", "a", "--csv").out
    assert here("kvs", "keys", "k", "--csv").lines()[1].startswith("-key,")
