"""What a command shows: data on stdout, talk on stderr.

On a terminal tables and sentences; in a pipe exact values, tab-separated; with
a flag JSON, JSON lines, CSV, or only IDs. Nothing from a store reaches a
terminal with its control characters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import msgspec

from storectl.cli import table
from storectl.cli.interrupt import soon_over
from storectl.cli.progress import Progress
from storectl.cli.settings import Settings
from storectl.cli.values import Column, exact, pick, short, tsv_cell, visible
from storectl.errors import InvalidInput, StorectlError
from storectl.transfer.events import Event, Finished

Row = dict[str, Any]
Tail = Callable[[], tuple[int | None, bool]]


class Declined(StorectlError):
    """A person was asked and did not say yes."""

    code = "declined"


class Output:
    """The voice of one run. retried: tells how many calls it has made again so far."""

    def __init__(
        self,
        settings: Settings,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        *,
        retried: Callable[[], int] = int,
    ) -> None:
        self.settings = settings
        self._retried = retried
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.on_terminal = self.stdout.isatty()
        self.talks = self.stderr.isatty() and settings.form != "quiet"

    @property
    def form(self) -> str:
        """json, jsonl, csv, tsv, quiet; table or flat on a terminal."""
        if self.settings.form != "auto":
            return self.settings.form
        if not self.on_terminal:
            return "tsv"
        return "flat" if self.settings.accessible else "table"

    @property
    def colored(self) -> bool:
        """Whether stdout may carry colours."""
        return {"always": True, "never": False}.get(self.settings.color, self.on_terminal)

    def listing(
        self,
        columns: list[Column],
        fields: Iterable[str],
        rows: Iterable[Row],
        *,
        ident: str = "id",
        empty: str = "nothing found",
        tail: Tail | None = None,
    ) -> None:
        """Write rows as they come.

        columns: of a table, TSV and CSV. fields: names that rows have in JSON,
        which --json=FIELDS picks from. ident: the field that -q prints. tail:
        asked at the end for the total, if known, and whether a limit cut rows off.
        """
        form = self.form
        names = self._picked(fields) if form == "json" else None
        if names == ["?"]:
            self.lines(fields)
        elif form == "json":
            self._json_list(rows, names, tail)
        elif form == "jsonl":
            self.lines(_encoded(row) for row in rows)
        elif form == "quiet":
            self.lines(exact(pick(row, ident)) for row in rows)
        elif form == "csv":
            self._csv(columns, rows)
        elif form == "tsv":
            self.lines("\t".join(tsv_cell(pick(r, c.field)) for c in columns) for r in rows)
        elif form == "flat":
            self._flat(columns, rows, empty)
        else:
            hidden: list[str] = []
            written = self.lines(table.lines(columns, rows, bold=self.colored, hidden=hidden))
            if hidden:
                self.note(f"no room for {', '.join(hidden)}")
            if not written:
                self.note(empty)

    def record(
        self, columns: list[Column], fields: Iterable[str], row: Row, *, ident: str = "id"
    ) -> None:
        """Describe one thing: a line for each column that has a value, or the whole in JSON."""
        form = self.form
        if form in ("json", "jsonl"):
            names = self._picked(fields) if form == "json" else None
            if names == ["?"]:
                self.lines(fields)
            else:
                self.value({name: row.get(name) for name in names} if names else row)
        elif form == "quiet":
            self.lines([exact(pick(row, ident))])
        elif form == "csv":
            self._csv(columns, [row])
        elif form == "tsv":
            self.lines(f"{c.field}\t{tsv_cell(pick(row, c.field))}" for c in columns)
        else:
            shown = [(c.title, short(pick(row, c.field), c.kind)) for c in columns]
            shown = [(title, text) for title, text in shown if text]
            wide = 0 if form == "flat" else max(len(title) for title, _ in shown) + 1
            self.lines(f"{title + ':':<{wide}} {text}" for title, text in shown)

    def value(self, value: Any) -> None:
        """Write one JSON value."""
        text = _encoded(value)
        if self.on_terminal:
            text = msgspec.json.format(text, indent=2)
        self.lines([text])

    def lines(self, lines: Iterable[str]) -> int:
        """Write lines of data; how many there were."""
        count = 0
        safe = self.on_terminal and self.form not in ("table", "flat")
        for line in lines:
            self.stdout.write((visible(line, lines=True) if safe else line) + "\n")
            count += 1
        return count

    def did(self, sentence: str, ids: str | Iterable[str], data: Any) -> None:
        """Say what was done: a sentence to people, IDs to a pipe, data as JSON."""
        if self.form in ("json", "jsonl"):
            self.value(data)
        elif self.form in ("table", "flat"):
            self.lines([visible(_unsigned(sentence))])
        else:
            self.lines([ids] if isinstance(ids, str) else ids)

    def raw(self, blocks: Iterable[bytes]) -> None:
        """Write bytes as they are; on a terminal with control characters escaped."""
        self.stdout.flush()
        if not self.on_terminal:
            for block in blocks:
                self.stdout.buffer.write(block)
            self.stdout.buffer.flush()
            return
        import codecs  # text may be cut anywhere between blocks

        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        block = b"\n"
        for block in blocks:
            self.stdout.write(visible(decoder.decode(block), lines=True))
        self.stdout.write("" if block.endswith(b"\n") else "\n")
        self.stdout.flush()

    def note(self, text: str) -> None:
        """Tell a person something beside the data. Silent off a terminal and with -q."""
        if self.talks:
            self.stderr.write(visible(_unsigned(text), lines=True) + "\n")

    def summary(self, text: str) -> None:
        """The last line of a transfer: also off a terminal, but not with -q."""
        if self.settings.form != "quiet":
            self.stderr.write(visible(_unsigned(text)) + "\n")

    def warn(self, text: str) -> None:
        """Tell whoever reads stderr, person or log."""
        self.stderr.write(f"warning: {visible(_unsigned(text))}\n")

    def confirm(self, action: str, *, name: str | None = None) -> None:
        """Return if a person agrees to an action, or --yes was given.

        action: what would be done and where, as in `delete dataset 'x' of …`.
        name: has to be typed, for what cannot be undone. Raises InvalidInput where
        nobody can be asked, and Declined.
        """
        if self.settings.yes:
            return
        if not (self.settings.may_ask and sys.stdin.isatty() and self.stderr.isatty()):
            raise InvalidInput(
                f"will not {action}: nobody can be asked here",
                hint="the same command with --yes",
            )
        prompt = f"Type {visible(name)} to confirm: " if name else "[y/N] "
        action = visible(_unsigned(action[:1].upper() + action[1:]))
        self.stderr.write(f"{action}? {prompt}")
        self.stderr.flush()
        answer = sys.stdin.readline().strip()
        if answer != name if name else answer.lower() not in ("y", "yes"):
            raise Declined("not confirmed; nothing was changed")

    def follow(self, events: Iterable[Event], noun: str) -> tuple[Finished, Progress]:
        """Draw a transfer to its end. noun: what is counted, in the singular."""
        mode = self.settings.progress
        quiet = self.settings.form == "quiet" or mode == "none"
        moving = mode == "auto" and self.stderr.isatty() and not self.settings.accessible
        plain = mode == "plain" or (self.settings.accessible and self.stderr.isatty())
        progress = Progress(
            self.stderr, noun, moving=moving and not quiet, plain=plain and not quiet
        )
        with soon_over():
            done = progress.follow(events)
        return done._replace(retries=done.retries + self._retried()), progress

    def _picked(self, fields: Iterable[str]) -> list[str] | None:
        asked = self.settings.fields
        if not asked or asked == "?":
            return [asked] if asked else None
        names = [name.strip() for name in asked.split(",") if name.strip()]
        known = list(fields)
        for name in names:
            if name not in known:
                raise InvalidInput(
                    f"--json: there is no field {name!r}; fields are {', '.join(known)}"
                )
        return names

    def _json_list(self, rows: Iterable[Row], names: list[str] | None, tail: Tail | None) -> None:
        write = self._writer()
        lead = '{"items":['  # not before there is a row: stdout stays empty of a failure
        count = 0
        for count, row in enumerate(rows, 1):
            chosen = {name: row.get(name) for name in names} if names else row
            write(("," if count > 1 else lead) + _encoded(chosen))
        total, truncated = tail() if tail else (count, False)
        end = _encoded({"total": total, "truncated": truncated})
        write(f"{'' if count else lead}],{end[1:]}\n")

    def _flat(self, columns: list[Column], rows: Iterable[Row], empty: str) -> None:
        count = 0
        for count, row in enumerate(rows, 1):
            if count > 1:
                self.stdout.write("\n")
            shown = ((c.title, short(pick(row, c.field), c.kind)) for c in columns)
            self.lines(f"{_spoken(title)}: {text}" for title, text in shown if text)
        if not count:
            self.note(empty)

    def _csv(self, columns: list[Column], rows: Iterable[Row]) -> None:
        import csv  # few ask for it

        class Sink:
            write = staticmethod(self._writer())

        writer = csv.writer(Sink, lineterminator="\n")
        written = _harmless if self.settings.csv_safe else exact
        titles = [column.field for column in columns]
        head = True  # not before there is a row: stdout stays empty of a failure
        for row in rows:
            if head:
                writer.writerow(titles)
                head = False
            writer.writerow([written(pick(row, column.field)) for column in columns])
        if head:
            writer.writerow(titles)

    def _writer(self) -> Callable[[str], object]:
        if not self.on_terminal:
            return self.stdout.write
        return lambda text: self.stdout.write(visible(text, lines=True))


def _unsigned(text: str) -> str:
    """Talk without the tokens and signatures that a URL on the command line may have."""
    if "=" not in text:
        return text
    from storectl.cli.failure import redacted  # its patterns take a millisecond to compile

    return redacted(text, [])


def _spoken(title: str) -> str:
    """`MODIFIED` as `Modified`; a name of the data stays as it is."""
    return title.capitalize() if title.isupper() else title


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _harmless(value: Any) -> str:
    """A value as `exact` has it, a text so that no spreadsheet takes it for a formula."""
    from storectl.formats.csv import harmless  # few ask for it

    return harmless(value) if isinstance(value, str) else exact(value)
