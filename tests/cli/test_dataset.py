"""dataset push and items: bytes in, bytes out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Cli, Here

ITEMS = [{"url": f"https://example.com/{at}", "price": {"eur": at / 2}} for at in range(30)]


@pytest.fixture
def prices(here: Here, tmp_path: Path) -> Path:
    """A dataset `prices` of 30 items, and the file they came from."""
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    assert here("dataset", "push", "prices", str(file), "--create").out == "30\n"
    return file


def test_a_pipe_gets_every_item_as_it_was_pushed(here: Here, prices: Path) -> None:
    assert here("dataset", "items", "prices").out == prices.read_text()


@pytest.mark.parametrize("name", ["items.json", "items.jsonl", "items.ndjson", "items"])
def test_json_and_json_lines_are_told_apart_by_name_or_by_content(
    here: Here, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    lines = [json.dumps(item) for item in ITEMS[:3]]
    file.write_text("[" + ",\n".join(lines) + "]" if name == "items.json" else "\n".join(lines))

    assert here("dataset", "push", "a", name, "--create").out == "3\n"
    assert here("dataset", "items", "a", "--json").json() == ITEMS[:3]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ('{\n "a": 1\n}\n', [{"a": 1}]),
        ('\ufeff{"a": 1}', [{"a": 1}]),
    ],
)
def test_stdin_is_read_in_whatever_form_it_comes(
    cli: Cli, text: str, items: list[dict[str, int]]
) -> None:
    done = cli("dataset", "push", "a", "--create", stdin=text)

    assert done.out == f"{len(items)}\n"
    assert cli("dataset", "items", "a", "--json").json() == items


def test_csv_is_read_by_its_head(here: Here, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("url,n\nx,1\ny,2\n")

    assert here("dataset", "push", "a", "a.csv", "--create").out == "2\n"
    assert [item["url"] for item in here("dataset", "items", "a", "--json").json()] == ["x", "y"]


def test_several_files_and_stdin_keep_their_order(cli: Cli) -> None:
    (cli.folder / "a.jsonl").write_text('{"n":1}\n')
    (cli.folder / "b.jsonl").write_text('{"n":3}\n')

    done = cli("dataset", "push", "x", "a.jsonl", "-", "b.jsonl", "--create", stdin='{"n":2}\n')

    assert done.code == 0
    assert cli("dataset", "items", "x").lines() == ['{"n":1}', '{"n":2}', '{"n":3}']


def test_a_bad_item_is_named_by_file_and_line_and_the_rest_goes_on(
    here: Here, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"n":1}\n[2]\n{"n":3\n{"n":4}\n')

    done = here("dataset", "push", "a", "a.jsonl", "--create")

    assert (done.code, done.out) == (7, "2\n")
    assert "error: a.jsonl:2: an array, not an object" in done.err
    assert "error: a.jsonl:3: not JSON" in done.err
    assert here("dataset", "items", "a").lines() == ['{"n":1}', '{"n":4}']


def test_an_item_over_the_limit_is_named_and_the_rest_goes_on(here: Here, tmp_path: Path) -> None:
    with (tmp_path / "a.jsonl").open("w") as file:
        file.write('{"n":1}\n{"n":"' + "x" * 9_500_000 + '"}\n{"n":3}\n')

    done = here("dataset", "push", "a", "a.jsonl", "--create", "--json")

    assert done.code == 7
    assert done.json()["pushed"] == 2
    assert [one["where"] for one in done.json()["refused"]] == ["a.jsonl:2"]


def test_if_no_item_is_good_nothing_is_partial(here: Here, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("[1]\n")

    assert here("dataset", "push", "a", "a.jsonl", "--create").code == 2


@pytest.mark.parametrize("text", ["", "\n\n", "[]"])
def test_an_empty_input_is_a_failure_unless_it_is_fine(cli: Cli, text: str) -> None:
    cli("dataset", "create", "a")

    refused = cli("dataset", "push", "a", stdin=text)
    allowed = cli("dataset", "push", "a", "--allow-empty", stdin=text)

    assert (refused.code, refused.out) == (2, "")
    assert "no items in stdin" in refused.err
    assert (allowed.code, allowed.out) == (0, "0\n")


def test_a_file_before_its_dataset_is_told_from_one_that_is_missing(
    here: Here, prices: Path
) -> None:
    swapped = here("dataset", "push", str(prices), "my-prices")
    missing = here("dataset", "push", "prices", "my-prices")

    assert (swapped.code, swapped.out) == (2, "")
    assert "FILE and REF are swapped?" in swapped.err
    assert f"storectl dataset push my-prices {prices}" in swapped.err
    assert (missing.code, missing.out) == (3, "")
    assert "swapped" not in missing.err


def test_files_are_looked_at_before_anything_is_sent(here: Here, prices: Path) -> None:
    done = here("dataset", "push", "prices", str(prices), "none.jsonl")

    assert (done.code, done.out) == (3, "")
    assert "none.jsonl: no such file" in done.err
    assert here("dataset", "info", "prices", "--json").json()["itemCount"] == 30


def test_json_as_an_argument_gets_a_hint(here: Here, prices: Path) -> None:
    done = here("dataset", "push", "prices", '{"a":1}')

    assert done.code == 3
    assert "pipe them" in done.err


def test_a_folder_is_no_input(here: Here, prices: Path) -> None:
    assert here("dataset", "push", "prices", ".").code == 2


def test_a_push_to_what_is_not_there_names_create(here: Here, prices: Path) -> None:
    done = here("dataset", "push", "other", str(prices))

    assert done.code == 3
    assert "dataset 'other' not found" in done.err
    assert "--create" in done.err


def test_the_end_is_summed_up_on_stderr_unless_quiet(here: Here, prices: Path) -> None:
    talking = here("dataset", "push", "prices", str(prices))
    quiet = here("dataset", "push", "prices", str(prices), "-q")

    assert talking.err.startswith("30 items, 1.7 kB in ")
    assert " to 'prices' of local @ " in talking.err
    assert (quiet.out, quiet.err) == ("30\n", "")


@pytest.mark.parametrize(
    ("args", "start"),
    [
        (["--format", "json"], '[{"url"'),
        (["--json"], '[{"url"'),
        (["--format", "jsonl"], '{"url"'),
        (["--csv"], "url,price/eur\r\n"),
        (["--csv", "--bom"], "\ufeffurl,price/eur\r\n"),
        (["--csv", "--no-header"], "https://example.com/0,0.0\r\n"),
        (["--format", "csv", "--delimiter", ";"], "url;price/eur\r\n"),
        (["--tsv"], "url\tprice/eur"),
    ],
)
def test_items_come_in_the_form_that_is_asked_for(
    here: Here, prices: Path, args: list[str], start: str
) -> None:
    assert here("dataset", "items", "prices", *args).out.startswith(start)


def test_json_picks_fields_as_fields_does(here: Here, prices: Path) -> None:
    expected = [{"url": item["url"]} for item in ITEMS[:2]]

    assert here("dataset", "items", "prices", "--json=url", "--limit", "2").json() == expected
    assert (
        here("dataset", "items", "prices", "--json", "--fields", "url", "--limit", "2").json()
        == expected
    )


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["--limit", "2", "--offset", "1"], [1, 2]),
        (["--desc", "--limit", "2"], [29, 28]),
        (["--limit", "0"], []),
        (["--offset", "99"], []),
    ],
)
def test_the_window_is_that_of_the_api(
    here: Here, prices: Path, args: list[str], found: list[int]
) -> None:
    items = here("dataset", "items", "prices", "--json", *args).json()

    assert [item["url"] for item in items] == [ITEMS[at]["url"] for at in found]


def test_a_file_appears_when_it_is_whole_and_its_name_says_the_format(
    here: Here, prices: Path, tmp_path: Path
) -> None:
    done = here("dataset", "items", "prices", "-o", "out.csv")

    assert done.out == ""
    assert done.err.startswith("30 items, ")
    assert (tmp_path / "out.csv").read_text().startswith("url,price/eur")
    assert not list(tmp_path.glob(".*tmp"))


def test_a_failure_leaves_the_old_file_and_nothing_else(
    here: Here, prices: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.csv").write_text("old")

    done = here("dataset", "items", "prices", "-o", "out.csv", "--delimiter", "xx")

    assert done.code == 2
    assert (tmp_path / "out.csv").read_text() == "old"
    assert not list(tmp_path.glob(".*tmp"))


def test_a_folder_that_is_not_there_is_named(here: Here, prices: Path) -> None:
    done = here("dataset", "items", "prices", "-o", "none/out.csv")

    assert done.code == 12
    assert "none is not a folder" in done.err


def test_two_formats_exclude_each_other(here: Here, prices: Path) -> None:
    assert here("dataset", "items", "prices", "--format", "csv", "--json").code == 2


def test_stdin_is_left_to_whoever_comes_after(cli: Cli) -> None:
    cli("dataset", "push", "a", "--create", stdin='{"n":1}\n')
    loop = "for i in 1 2; do read line; storectl dataset items a >/dev/null; echo $line; done"
    script = loop.replace("storectl", f"{os.sys.executable} -m storectl")

    import subprocess

    found = subprocess.run(
        ["bash", "-c", script], env=cli.env, input="x\ny\n", capture_output=True, text=True
    )

    assert found.stdout == "x\ny\n"
