"""storectl dataset verify and tail."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Here


@pytest.fixture
def file(here: Here, tmp_path: Path) -> Path:
    """What is in the dataset `cars`."""
    path = tmp_path / "cars.jsonl"
    path.write_text("".join(f'{{"n":{n}}}\n' for n in range(12)))
    here("dataset", "push", "cars", str(path), "--create")
    return path


def test_the_same_is_said_to_be(here: Here, file: Path) -> None:
    done = here("dataset", "verify", "cars", "cars.jsonl")

    assert done.code == 0
    assert "same\ttrue" in done.lines()
    assert done.err == (
        "'cars' is the same as cars.jsonl: 12 items of each compared, in order and in full\n"
    )


def test_a_difference_is_told_and_exits_8(here: Here, file: Path) -> None:
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], '{"n":"3"}', *lines[4:], '{"n":12}', "7"]))

    done = here("dataset", "verify", "cars", "cars.jsonl", "--json")

    assert done.code == 8
    assert done.json() == {
        "datasetItems": 12, "fileItems": 13, "different": 1, "first": 3, "firstLine": 4,
        "refused": 1, "same": False, "compared": 12,
    }  # fmt: skip
    assert (
        "12 items, in the file 13, 1 differ, the first at position 3 (cars.jsonl:4), "
        "1 lines of the file are no items; 12 items of each compared" in done.err
    )


@pytest.mark.parametrize(("typed", "code"), [(["--typed"], 0), ([], 8)])
def test_csv_is_compared_as_a_push_would_read_it(
    here: Here, file: Path, tmp_path: Path, typed: list[str], code: int
) -> None:
    (tmp_path / "cars.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(12)))

    assert here("dataset", "verify", "cars", "cars.csv", *typed).code == code


def test_the_end_of_a_dataset_is_shown(here: Here, file: Path) -> None:
    assert here("dataset", "tail", "cars", "--from-end", "2").lines() == ['{"n":10}', '{"n":11}']


@pytest.mark.slow
def test_what_is_appended_comes_at_once(here: Here, tmp_path: Path) -> None:
    """Into a pipe too, while the command goes on."""
    here("dataset", "create", "live")
    process = here.start("dataset", "tail", "live", "-f", "--max-items", "2")

    here("dataset", "push", "live", stdin='{"n":1}\n')
    first = process.stdout.readline()
    still_on = process.poll() is None
    here("dataset", "push", "live", stdin='{"n":2}\n')
    rest, _ = process.communicate(timeout=60)

    assert (first, still_on, rest) == (b'{"n":1}\n', True, b'{"n":2}\n')
    assert process.returncode == 0


def test_a_time_that_is_none_is_refused(here: Here, file: Path) -> None:
    done = here("dataset", "tail", "cars", "--until-idle", "soon")

    assert (done.code, done.out) == (2, "")
    assert "--until-idle must be a time" in done.err
