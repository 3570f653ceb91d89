"""The benchmark runs, and does not count what it has not seen to be right. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def test_a_small_run_checks_all_and_writes_one_table(tmp_path: Path) -> None:
    output = tmp_path / "table.json"
    words = [sys.executable, str(FOLDER / "run.py"), "--tiny", "--only", "tables", "queues"]

    done = subprocess.run([*words, "--output", str(output)], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert {row["job"].split(",")[0] for row in rows} == {
        "pull 500 items to csv",
        "pull 500 items to xlsx",
        "queue add 500 URLs",
    }
    for row in rows:
        assert row["ratio"] or row["failed"].startswith("not installed: pip install"), row
        assert row["job"] in done.stdout
    assert max(map(len, done.stdout.partition("\njob")[2].splitlines())) <= 120


def test_items_that_are_not_all_there_are_found(benchmarks: None, tmp_path: Path) -> None:
    from bench import same_items
    from processes import Wrong

    source, found = tmp_path / "source", tmp_path / "found"
    source.write_bytes(b'{"a":1,"b":"\xc3\xa9"}\n{"a":2}\n')
    found.write_bytes(b'{"b": "\\u00e9", "a": 1}\n{"a":2}\n')

    same_items(found, source)

    for wrong in (b'{"a":1,"b":"e"}\n{"a":2}\n', b'{"a":1,"b":"\xc3\xa9"}\n', b'{"a":2}\n' * 3):
        found.write_bytes(wrong)
        with pytest.raises(Wrong):
            same_items(found, source)


def test_batches_hold_all_items_in_order(benchmarks: None, tmp_path: Path) -> None:
    import data

    lines, folder = tmp_path / "lines", tmp_path / "batches"
    data.write_lines(lines, 100)

    made = data.write_batches(lines, folder, batch_bytes=5000)

    batches = [json.loads(file.read_bytes()) for file in sorted(folder.iterdir())]
    assert len(batches) == made > 5
    assert [item for batch in batches for item in batch] == list(data.items(100))


def test_a_goal_may_be_reached_by_the_row_below(benchmarks: None) -> None:
    from results import Goal, Row

    row, below = (Row("push", "/s", name, (Goal(least=5, of="ratio"),)) for name in ("a", "b"))
    row.saw(10, 2.0)
    below.saw(10, 6.0)

    assert not row.met

    row.either = below
    assert row.met


@pytest.mark.parametrize("job", ["push", "read", "add", "lock", "set", "get"])
def test_the_engine_does_what_its_peers_are_asked(
    benchmarks: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], job: str
) -> None:
    import data
    import peer_engine

    source = tmp_path / "source"
    write = {"push": data.write_lines, "read": data.write_lines,
             "set": data.write_records, "get": data.write_records}  # fmt: skip
    write.get(job, data.write_urls)(source, 60)

    peer_engine.main(job, str(tmp_path / "store"), str(source), "50")

    assert float(capsys.readouterr().out) > 0
