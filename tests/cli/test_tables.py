"""storectl dataset stats, diff, dedupe and sql, and parquet files: as commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from .conftest import Here, Served

MONDAY = [{"id": n, "shop": {"name": f"shop {n % 2}"}, "price": n / 2} for n in range(30)]
TUESDAY = [{**item, "price": 99} if item["id"] == 3 else item for item in MONDAY[1:]]


@pytest.fixture
def days(here: Here, tmp_path: Path) -> None:
    """The datasets `mon` and `tue`: one item went, one changed."""
    for name, items in (("mon", MONDAY), ("tue", TUESDAY)):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(f"{json.dumps(item)}\n" for item in items))
        here("dataset", "push", name, str(file), "--create")
        file.unlink()


def test_stats_are_a_row_for_each_field(here: Here, days: None) -> None:
    done = here("dataset", "stats", "mon")

    assert done.lines() == [
        "id\tinteger\t0\t0\t30\ttrue\t0\t29",
        "shop\tobject\t0\t0\t0\ttrue\t\t",
        "shop.name\tstring\t0\t0\t2\ttrue\tshop 0\tshop 1",
        "price\tnumber\t0\t0\t30\ttrue\t0.0\t14.5",
    ]
    assert done.err == "30 items, 4 fields\n"


def test_stats_in_json_tell_repeated_keys(here: Here, days: None) -> None:
    told = here("dataset", "stats", "mon", "--key", "shop.name", "--json").json()

    assert (told["items"], told["looked"]) == (30, 30)
    assert told["key"] == {"items": 30, "keys": 2, "repeats": 28, "keyless": 0}
    assert told["fields"][0]["types"] == {"integer": 30}


def test_stats_fit_a_terminal(here: Here) -> None:
    here("dataset", "push", "a", "--create", stdin=f'{{"text":"{"long " * 99}","esc":"\\u001b"}}\n')

    done = here.on_terminal("dataset", "stats", "a", columns=60)

    assert all(len(line) <= 60 for line in done.out.splitlines() if "\x1b[1m" not in line)
    assert "\\x1b" in done.out


def test_differences_are_json_lines_in_a_pipe_and_exit_8(here: Here, days: None) -> None:
    done = here("dataset", "diff", "mon", "tue", "--key", "id")

    assert done.code == 8
    changes = [json.loads(line) for line in done.lines()]
    assert changes == [
        {"op": "removed", "key": {"id": 0}, "before": MONDAY[0], "after": None},
        {
            "op": "changed",
            "key": {"id": 3},
            "before": MONDAY[3],
            "after": {**MONDAY[3], "price": 99},
        },
    ]
    assert done.err == (
        "error: 'mon' and 'tue' differ: 0 added, 1 removed, 1 changed, 28 the same\n"
    )


def test_no_difference_is_told_and_exits_0(here: Here, days: None) -> None:
    done = here("dataset", "diff", "mon", "mon", "--key", "id")

    assert (done.code, done.out) == (0, "")
    assert done.err == "'mon' and 'mon' are the same: 30 items\n"


def test_differences_of_some_fields_and_their_counts(here: Here, days: None) -> None:
    fields = here("dataset", "diff", "mon", "tue", "--key", "id", "--fields", "shop.name", "--json")
    counts = here("dataset", "diff", "mon", "tue", "--key", "id", "--summary")

    assert [row["op"] for row in fields.json()["items"]] == ["removed"]
    assert fields.json()["items"][0]["before"] == {"id": 0, "shop.name": "shop 0"}
    assert counts.lines() == ["added\t0", "removed\t1", "changed\t1", "same\t28"]
    assert (fields.code, counts.code) == (8, 8)


def test_keys_that_repeat_are_named(here: Here, days: None) -> None:
    done = here("dataset", "diff", "mon", "mon", "--key", "shop.name")

    assert "28 items of 'mon' repeat the key of another, such as {\"shop.name\":" in done.err


def test_a_terminal_shows_what_changed(here: Here) -> None:
    for name, price in (("mon", 1), ("tue", 2)):
        lines = "".join(f'{{"id":{n},"price":{price}}}\n' for n in range(25))
        here("dataset", "push", name, "--create", stdin=lines)

    done = here.on_terminal("dataset", "diff", "mon", "tue", "--key", "id", columns=100)

    assert "price: 1 → 2" in done.out
    assert "and 5 more; in a pipe all of them" in done.out
    assert done.code == 8


def test_repeated_items_are_left_out_of_a_new_dataset(here: Here, days: None) -> None:
    counted = here("dataset", "dedupe", "mon", "--key", "shop.name", "-n")
    done = here("dataset", "dedupe", "mon", "--key", "shop.name", "--write-to", "once")
    again = here("dataset", "dedupe", "mon", "--key", "shop.name", "--write-to", "once")

    assert (counted.out, counted.code) == ("28\n", 0)
    assert "nothing was written" in counted.err
    assert here("dataset", "info", "once", "--json").json()["id"] == done.out.strip()
    kept = here("dataset", "items", "once", "--fields", "id").lines()
    assert kept == ['{"id":0}', '{"id":1}']
    assert (again.code, again.out) == (6, "")
    assert "'once' has 2 items already" in again.err


def test_a_dataset_is_never_deduped_into_itself(here: Here) -> None:
    here("dataset", "create", "empty")

    done = here("dataset", "dedupe", "empty", "--key", "a", "--write-to", "empty")

    assert done.code == 6


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["dedupe", "mon", "--key", "id"], 2, "--write-to NEW is missing"),
        (["dedupe", "mon", "--key", ",", "-n"], 2, "a key needs fields"),
        (["stats", "mon", "--approx", "--key", "id"], 2, "--key needs all items"),
        (["sql", "select 1"], 2, "no dataset is named"),
        (["sql", "t2=mon", "tue", "select 1"], 2, "two tables are called t2"),
        (["sql", "mon", "-f", "no.sql"], 3, "no.sql: no such file"),
        (["sql", "mon", "attach 'x' as x"], 2, "may only read the tables"),
        (["sql", "mon", "select nope from t"], 2, "no such column: nope"),
    ],
)
def test_what_cannot_be_done_is_said(
    here: Here, days: None, words: list[str], code: int, said: str
) -> None:
    done = here("dataset", *words)

    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_a_query_answers_as_every_listing_does(here: Here, days: None, tmp_path: Path) -> None:
    query = (
        "select json_extract(shop, '$.name') as name, count(*) as n from t group by 1 order by 1"
    )
    (tmp_path / "query.sql").write_text(query)

    assert here("dataset", "sql", "mon", query).lines() == ["shop 0\t15", "shop 1\t15"]
    assert here("dataset", "sql", "mon", "-f", "query.sql", "--csv").lines()[0] == "name,n"
    assert here("dataset", "sql", "mon", query, "--json=n").json()["items"] == [{"n": 15}] * 2


def test_a_query_over_several_datasets(here: Here, days: None) -> None:
    query = "select old.id from a old left join t2 using (id) where t2.id is null"

    assert here("dataset", "sql", "a=mon", "tue", query).lines() == ["0"]


def test_a_parquet_file_is_made_and_resumes_like_others(
    here: Here, days: None, tmp_path: Path
) -> None:
    here("dataset", "pull", "mon", "-o", "mon.parquet")
    here("dataset", "items", "mon", "-o", "items.parquet")

    assert pq.read_table(tmp_path / "mon.parquet").to_pylist() == MONDAY
    assert (tmp_path / "items.parquet").read_bytes() == (tmp_path / "mon.parquet").read_bytes()


def test_all_of_it_works_on_a_server_too(here: Here, served: Served) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}
    lines = "".join(f'{{"id":{n % 50},"n":{n}}}\n' for n in range(100))
    here("dataset", "push", "tables", "--create", stdin=lines, env=env)

    stats = here("dataset", "stats", "tables", "--json", env=env).json()
    once = here("dataset", "dedupe", "tables", "--key", "id", "--write-to", "tables-1", env=env)
    diff = here("dataset", "diff", "tables", "tables-1", "--key", "id", "--summary", env=env)
    total = here("dataset", "sql", "tables", "select sum(n) from t", env=env)

    assert stats["items"] == 100
    assert once.code == 0, once.err
    assert diff.lines() == ["added\t0", "removed\t50", "changed\t0", "same\t50"]
    assert total.out == "4950\n"


def test_nothing_temporary_is_left(here: Here, tmp_path: Path) -> None:
    here("dataset", "push", "a", "--create", stdin='{"id":1}\n{"id":1}\n')
    room = tmp_path / "room"
    room.mkdir()

    for words in (["stats", "--key", "id"], ["diff", "a", "--key", "id"], ["sql", "select 1"]):
        here("dataset", words[0], "a", *words[1:], env={"TMPDIR": str(room)})

    assert os.listdir(room) == []
