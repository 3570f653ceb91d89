"""storectl queue work: a program for every request of a queue."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from storectl.cli.frame import App, Context
from storectl.cli.options import Ref
from storectl.cli.output import Output, Row
from storectl.cli.progress import DRAW_SECS, PLAIN_SECS, at_least_once
from storectl.cli.values import Column, human_secs, plural, visible
from storectl.errors import InvalidInput, Partial
from storectl.model import rules

if TYPE_CHECKING:  # loaded by whoever works: other verbs start faster
    from storectl.transfer.work import Collection, Outcome, Shift

COLUMNS = [
    Column("id", "ID", whole=True),
    Column("outcome", "OUTCOME"),
    Column("exit", "EXIT"),
    Column("secs", "SECS"),
    Column("url", "URL"),
    Column("error", "ERROR"),
]
FIELDS = "id outcome url uniqueKey retryCount secs exit items error sentAgain".split()


def add_work_verb(app: App) -> None:
    """Give the app of queues its verb that runs programs."""
    app.command("work")(work)


def work(
    ctx: Context,
    ref: Ref,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="CMD",
            help="A program and its arguments, after --; {url}, {id} and {uniqueKey} in them.",
            show_default=False,
        ),
    ],
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, max=256, help="Children at a time.")
    ] = 1,
    collect: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="A dataset for what children print: JSON or JSON lines.",
            show_default=False,
        ),
    ] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Create the dataset of --collect if there is none.")
    ] = False,
    max_retries: Annotated[
        int, typer.Option(metavar="N", min=0, help="Run what fails so many times more.")
    ] = 3,
    drain: Annotated[
        bool,
        typer.Option("--drain/--forever", help="End when none are left, or wait for new ones."),
    ] = True,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=rules.MAX_LOCKED_HEAD,
            help="Lock so many at a time, up to 25; twice --jobs if not given.",
            show_default=False,
        ),
    ] = None,
    lock_secs: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=rules.MAX_LOCK_SECS, help="For so long; prolonged at half."
        ),
    ] = 120,
    client_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="A name for this run alone; locks that it left before are taken back.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run CMD for every request of a queue, and mark those as handled where it exits 0.

    Exit 75 of CMD puts a request back for later, anything else is a failure: it is
    run again up to --max-retries times, then handled as failed, with the last line
    of stderr among its errorMessages. Ctrl-C ends the children and gives locks back.

    There is no shell: a value stays one argument, whatever it holds. Where it begins
    with a hyphen its request fails unless -- stands before it among the arguments.
    The whole request is on stdin as JSON, and in STORECTL_REQUEST_URL, _ID,
    _UNIQUE_KEY, _METHOD, _USER_DATA, _HEADERS, _PAYLOAD, _RETRY_COUNT.

    A request may be run more than once, as after a crash. --collect appends the
    output of one visit once, where the server remembers keys, for 24 hours; elsewhere
    at least once, and the summary says so if it may be more.

    Examples:
      storectl queue work crawl -- wget -q -- {url}
      storectl queue work crawl -j 8 --collect pages -- python scrape.py {url}
    """
    from storectl.transfer.child import Command
    from storectl.transfer.work import Plan, Shift

    rules.check_client_key(client_key)
    plan = Plan(
        Command(command),
        client_key or rules.new_id(),
        jobs=jobs,
        batch=batch or min(2 * jobs, rules.MAX_LOCKED_HEAD),
        lock_secs=lock_secs,
        max_retries=max_retries,
        forever=not drain,
    )
    store, opened = ctx.obj.open(ref, "queue")
    queue = store.queues.get(opened)
    collection = _collection(ctx, collect, create, queue.id)
    if client_key is not None:
        store.queues.unlock_all(queue.id, client_key=client_key)
    _end_with_terminal()
    shift = Shift(store.queues, queue.id, plan, collection)
    out = ctx.obj.output
    tally = Tally(out, shift, ref)
    try:
        _show(out, tally.rows())
    finally:
        left = tally.stop()
        if left and (out.form == "jsonl" or _is_plain_pipe(out)):
            with contextlib.suppress(OSError):
                out.lines(map(_line, left))
        out.summary(tally.sentence(store.label, collect))
    if shift.others_hold:
        out.note("others hold locks on what is left; it is in the queue again when those end")
    if tally.undone:
        raise Partial(
            f"{plural(tally.undone, 'request')} of '{ref}' not done",
            hint=f"storectl queue requests {ref} --state failed,pending",
        )


def _collection(ctx: Context, text: str | None, create: bool, queue_id: str) -> Collection | None:
    if text is None:
        if create:
            raise InvalidInput("--create is for the dataset of --collect")
        return None
    from storectl.transfer.work import Collection

    store, ref = ctx.obj.open(text, "dataset", remedy="the same with --create")
    if create and ref.startswith("~"):
        id = store.datasets.create(ref[1:])[0].id
    else:
        id = store.datasets.get(ref).id
    return Collection(store.datasets, id, queue_id, ctx.obj.settings.retries)


def _end_with_terminal() -> None:
    """Give locks back also when the terminal is closed, unless nohup says otherwise."""
    with contextlib.suppress(ValueError, AttributeError):  # another thread; no such signal
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))


def _show(out: Output, rows: Iterator[Row]) -> None:
    """Outcomes as they come: JSON lines in a pipe, and on a terminal only what failed."""
    if out.form in ("table", "flat"):
        for row in rows:
            if row["outcome"] == "failed":
                out.note(f"failed: {row['url']}: {row['error']}")
    elif _is_plain_pipe(out):
        out.lines(map(_line, rows))
    elif out.form == "quiet":
        out.lines(row["id"] for row in rows if row["outcome"] == "handled")
    else:
        out.listing(COLUMNS, FIELDS, rows)


def _is_plain_pipe(out: Output) -> bool:
    return out.form == "tsv" and out.settings.form == "auto"


def _line(row: Row) -> str:
    return msgspec.json.encode(row).decode()


class Tally:
    """Counts the outcomes of a run, passes on what children say, and draws one line of status."""

    def __init__(self, out: Output, shift: Shift, queue: str) -> None:
        self.out, self.shift, self.queue = out, shift, queue
        self.counts: Counter[str] = Counter()
        self.later: set[str] = set()
        self.items = self.again = 0
        self._begin = time.monotonic()
        mode, quiet = out.settings.progress, out.settings.form == "quiet"
        is_terminal = out.stderr.isatty()
        self._moving = mode == "auto" and is_terminal and not (quiet or out.settings.accessible)
        self._plain = not quiet and (
            mode == "plain" or (mode == "auto" and is_terminal and not self._moving)
        )
        self._next = self._begin + (0 if self._moving else PLAIN_SECS)
        self._drawn = False

    @property
    def undone(self) -> int:
        """How many requests were not handled, or not well."""
        return self.counts["failed"] + len(self.later)

    def rows(self) -> Iterator[Row]:
        """The outcomes of the run as they come."""
        from storectl.transfer.work import Said

        for event in self.shift.run():
            if isinstance(event, Said):
                self._say(event.text)
            elif event is not None:
                self._wipe()
                yield self._count(event)
                self.out.stdout.flush()
            self._draw()

    def stop(self) -> list[Row]:
        """End the run; what it had still to tell."""
        self._wipe()
        return [self._count(outcome) for outcome in self.shift.stop()]

    def sentence(self, label: str, collect: str | None) -> str:
        """`Handled 12 requests of 'crawl' of …; 2 failed; 34 items to 'pages' in 4.1 s (…)`."""
        parts = [
            f"Handled {plural(self.counts['handled'], 'request')} of '{self.queue}' of {label}"
        ]
        if self._others():
            parts.append(self._others())
        if collect is not None:
            parts.append(f"{plural(self.items, 'item')} to '{collect}'")
        secs = time.monotonic() - self._begin
        rate = f"{int(self.counts['handled'] / max(secs, 0.001)):,} requests/s"
        return f"{'; '.join(parts)} in {human_secs(secs)} ({rate}){at_least_once(self.again)}"

    def _others(self) -> str:
        """`2 failed, 1 tried again`."""
        named = [
            (self.counts["failed"], "failed"),
            (self.counts["retry"], "tried again"),
            (len(self.later), "put back for later"),
            (self.counts["released"], "broken off"),
            (self.counts["lost"], "lost to others"),
            (self.counts["gone"], "gone meanwhile"),
        ]
        return ", ".join(f"{count:,} {what}" for count, what in named if count)

    def _count(self, outcome: Outcome) -> Row:
        self.counts[outcome.outcome] += 1
        self.items += outcome.items or 0
        self.again += outcome.sent_again
        if outcome.outcome == "later":
            self.later.add(outcome.id)
        else:
            self.later.discard(outcome.id)
        row: Row = msgspec.to_builtins(outcome)
        return row

    def _say(self, text: bytes) -> None:
        self._wipe()
        if self.out.stderr.isatty():
            shown = visible(text.decode("utf-8", "backslashreplace"), lines=True)
            self.out.stderr.write(shown + "\n")
        else:
            self.out.stderr.flush()
            self.out.stderr.buffer.write(text + b"\n")
        self.out.stderr.flush()

    def _draw(self) -> None:
        now = time.monotonic()
        if now < self._next or not (self._moving or self._plain):
            return
        parts = [plural(self.counts["handled"], "request"), self._others()]
        text = "  ".join([*filter(None, parts), f"{self.shift.running} running"])
        self.out.stderr.write(f"\r\x1b[K{text}" if self._moving else f"{text}\n")
        self.out.stderr.flush()
        self._drawn = self._moving
        self._next = now + (DRAW_SECS if self._moving else PLAIN_SECS)

    def _wipe(self) -> None:
        if self._drawn:
            self.out.stderr.write("\r\x1b[K")
            self.out.stderr.flush()
            self._drawn = False
