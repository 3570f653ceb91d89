"""Tables, values and progress: exact for programs, short and safe for people."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from storectl.cli import table
from storectl.cli.output import Output
from storectl.cli.progress import Progress, summary
from storectl.cli.settings import Settings
from storectl.cli.values import (
    Column,
    human_bytes,
    human_secs,
    relative,
    short,
    tsv_cell,
    visible,
)
from storectl.errors import Network
from storectl.transfer.events import Advanced, Event, Finished, Refused, Started

COLUMNS = [Column("id", "ID", whole=True), Column("name", "NAME"), Column("n", "ITEMS", "count")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def shown(rows: list[dict[str, object]], width: int) -> list[str]:
    return list(table.lines(COLUMNS, rows, bold=False, width=width))


def test_a_table_has_a_head_and_numbers_to_the_right() -> None:
    rows: list[dict[str, object]] = [{"id": "a", "name": "x", "n": 12345}, {"id": "b", "n": 7}]

    assert shown(rows, 80) == ["ID  NAME   ITEMS", "a   x     12,345", "b              7"]


@pytest.mark.parametrize("width", [20, 30, 40, 79, 80, 200])
def test_a_table_fits_its_terminal_whatever_is_in_it(width: int) -> None:
    from rich.cells import cell_len

    rows: list[dict[str, object]] = [{"id": "i" * 17, "name": "名前" * 40, "n": 10**12}]

    lines = shown(rows, width)

    assert len(lines) == 2
    assert all(cell_len(line) <= width for line in lines)


def test_the_widest_column_gives_first_but_never_one_that_is_copied() -> None:
    rows: list[dict[str, object]] = [{"id": "i" * 17, "name": "n" * 60, "n": 5}]

    [_, line] = shown(rows, 40)

    assert line.startswith("i" * 17 + "  n")
    assert "…" in line
    assert line.endswith("5")


def test_rows_after_the_sample_are_cut_to_its_widths() -> None:
    rows: list[dict[str, object]] = [{"id": "a", "name": "x", "n": 1}] * table.SAMPLE
    rows.append({"id": "b", "name": "n" * 100, "n": 1})

    assert shown(rows, 80)[-1] == "b   nnn…      1"


def test_many_columns_are_dropped_from_the_end_and_never_wrap() -> None:
    columns = [Column(f"field{at}", f"field{at}") for at in range(30)]
    row = {column.field: "value" * 5 for column in columns}

    lines = list(table.lines(columns, [row], bold=False, width=80))

    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("field0")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("naïve 名前 🙂", "naïve 名前 🙂"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(text: str, safe: str) -> None:
    assert visible(text) == safe
    assert short(text, "text") == safe
    assert short([text], "text").count("\x1b") == 0


def test_whole_lines_keep_their_newlines_and_tabs() -> None:
    assert visible("a\tb\n\x1b[2J", lines=True) == "a\tb\n\\x1b[2J"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (12345, "12345"),
        (1.5, "1.5"),
        ("a\tb\nc\\d", "a\\tb\\nc\\\\d"),
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'),
    ],
)
def test_cells_for_programs_are_exact_and_keep_to_their_column(value: object, cell: str) -> None:
    assert tsv_cell(value) == cell


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_949, "1000 kB"),
        (1_234_567, "1.2 MB"),
        (10**9, "1.0 GB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-01-01T00:00:00.000Z", "just now"),
        ("2025-12-31T23:58:59.000Z", "1 min ago"),
        ("2025-12-31T20:00:00.000Z", "4 hours ago"),
        ("2025-12-30T23:00:00.000Z", "1 day ago"),
        ("2023-12-31T00:00:00.000Z", "2 years ago"),
        ("2026-01-08T00:00:00.000Z", "in 7 days"),
        ("never\x1b", "never\\x1b"),
    ],
)
def test_times_are_relative_for_people(moment: str, text: str) -> None:
    assert relative(moment, now=1_767_225_600) == text


@pytest.mark.parametrize(
    ("secs", "text"), [(0.004, "4 ms"), (0.4, "0.4 s"), (12.3, "12 s"), (185, "3 min 5 s")]
)
def test_durations_are_short(secs: float, text: str) -> None:
    assert human_secs(secs) == text


def test_progress_in_a_pipe_is_silent_and_the_end_is_a_sentence() -> None:
    talk = io.StringIO()
    output = Output(Settings(), io.StringIO(), talk)

    done, _ = output.follow([Started(), Advanced(5, 100), Finished(5, 100, 0.5)], "item")

    assert talk.getvalue() == ""
    assert summary(done, "item") == "5 items, 100 B in 0.5 s (10 items/s)"


def test_progress_on_a_terminal_is_one_line_that_is_wiped() -> None:
    talk = Terminal()
    progress = Progress(talk, "item", moving=True, plain=False)
    progress._next = 0

    progress.follow([Started(total_bytes=200), Advanced(5, 100), Finished(5, 100, 0.5)])

    drawn = "5 items  100 B  50 %"
    assert drawn in talk.getvalue()
    assert talk.getvalue().rsplit("\r", 2)[1].isspace()
    assert talk.getvalue().endswith("\r")
    assert "\x1b" not in talk.getvalue()


def test_progress_never_wraps_since_a_wrapped_line_cannot_be_written_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((20, 24)))
    talk = Terminal()
    progress = Progress(talk, "item", moving=True, plain=False)
    progress._next = 0

    progress.follow([Started(total_bytes=200), Advanced(5, 100), Finished(5, 100, 0.5)])

    assert max(map(len, talk.getvalue().split("\r"))) < 20


def test_refused_things_are_named_up_to_twenty() -> None:
    talk = io.StringIO()
    events: list[Event] = [Refused(f"a.jsonl:{at}", "bad\x1b") for at in range(25)]

    Progress(talk, "item", moving=False, plain=False).follow(events)

    lines = talk.getvalue().splitlines()
    assert lines[0] == "error: a.jsonl:0: bad\\x1b"
    assert lines[-1] == "error: 5 more refused"
    assert len(lines) == 21


def test_a_failure_carries_what_was_done_before() -> None:
    def events() -> Iterator[Event]:
        yield Advanced(40_500, 1)
        raise Network("the connection broke")

    with pytest.raises(Network) as failure:
        Progress(io.StringIO(), "item", moving=False, plain=False).follow(events())

    assert failure.value.__notes__ == ["40,500 items before that"]


def test_accessible_is_flat_lines_without_signs() -> None:
    out = Terminal()
    output = Output(Settings(accessible=True), out, Terminal())

    output.listing(COLUMNS, [], [{"id": "a", "name": "x", "n": 1}, {"id": "b", "n": 2}])

    assert out.getvalue() == "Id: a\nName: x\nItems: 1\n\nId: b\nItems: 2\n"


def test_bytes_of_a_store_are_exact_in_a_pipe_and_escaped_on_a_terminal() -> None:
    class Pipe(io.StringIO):
        buffer = io.BytesIO()

    pipe, terminal = Pipe(), Terminal()

    Output(Settings(), pipe, io.StringIO()).raw([b"a\x1b[2J\xc3", b"\xa9\n"])
    Output(Settings(), terminal, io.StringIO()).raw([b"a\x1b[2J\xc3", b"\xa9"])

    assert pipe.buffer.getvalue() == b"a\x1b[2J\xc3\xa9\n"
    assert terminal.getvalue() == "a\\x1b[2Jé\n"
