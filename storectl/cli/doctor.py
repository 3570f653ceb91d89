"""storectl doctor: is this installation sound, its store undamaged, does its server answer?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from shutil import disk_usage
from time import time
from typing import Annotated, NamedTuple

import typer

from storectl import config as conf
from storectl.cli.context import Session
from storectl.cli.frame import App, Context
from storectl.cli.options import DryRun
from storectl.cli.output import Row
from storectl.cli.target import Target
from storectl.cli.upkeep import Looked, look, mend
from storectl.cli.values import Column, human_bytes, plural, visible
from storectl.config import Config
from storectl.errors import InvalidInput, Local, StorectlError, Unauthorized
from storectl.model.store import is_postgres
from storectl.model.upkeep import REPAIR, Finding

app = App("Checks.")

COLUMNS = [
    Column("state", "STATE"),
    Column("check", "CHECK"),
    Column("detail", "FOUND"),
    Column("fix", "FIX"),
    Column("noun", "NOUN"),
    Column("storage", "STORAGE"),
    Column("place", "PLACE"),
    Column("harm", "HARM"),
]
SKEW_SECS = 30
FREE_BYTES = 64 * 1024 * 1024


class Check(NamedTuple):
    """One finding. state: ok, mended, warn or fail; fix: what to do unless it is ok.

    noun, storage, place, harm: of damage in a store, as in model/upkeep.py.
    """

    state: str
    check: str
    detail: str
    fix: str | None = None
    noun: str | None = None
    storage: str | None = None
    place: str | None = None
    harm: str | None = None


@app.command("doctor")
def doctor(
    ctx: Context,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read all data of the store, against its checksums.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what follows from data that is there.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Check this installation, and its store or its connection.

    Looks at Python and SQLite, the configuration and its file modes, the store or
    server that commands would use, its token, clock and rate limit, and for transfers
    that were stopped. In a store it checks the database, its indexes, counts and blobs,
    also while others use it. Exit code 1 if a check fails. Tokens are not shown, so the
    result may be pasted.

    What is wrong in a store is lost or derivable. --repair counts anew, builds indexes
    anew and takes up what belongs to nothing; it deletes no data that could be read.

    Examples:
      storectl doctor --profile prod
      storectl --store ./data doctor --deep
      storectl --store ./data doctor --repair -n
    """
    session = ctx.obj
    findings = [*_installation(), *_configuration(session)]
    findings += _destination(session, deep=deep, repair=repair and not dry_run)
    findings.append(_transfers(session))
    findings.append(_completion(session))
    if session.output.form == "table":
        session.output.lines(_told(findings))
    else:
        rows: list[Row] = [finding._asdict() for finding in findings]
        session.output.listing(COLUMNS, Check._fields, rows, ident="check")
    if repair and dry_run:
        would = sum(finding.fix == REPAIR for finding in findings)
        session.output.summary(f"--repair would mend {plural(would, 'finding')}")
    failed = sum(finding.state == "fail" for finding in findings)
    if failed:
        raise typer.Exit(1)


def _told(findings: list[Check]) -> Iterator[str]:
    """Lines for people. Nothing is cut: paths and remedies are there to be copied."""
    for each in findings:
        where = " ".join(filter(None, (each.noun, each.storage, each.place)))
        detail = f"{where}: {each.detail}" if where else each.detail
        yield f"{each.state:<6}  {each.check:<11}  {visible(detail)}"
        if each.fix:
            harm = f"{each.harm}; " if each.harm and each.harm != "none" else ""
            yield f"{'':<21}{harm}try: {visible(each.fix)}"


def _installation() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("ok", "python", f"{version} at {sys.executable}")
    sqlite = metadata.version("apsw").rpartition(".")[0]
    good = tuple(int(part) for part in sqlite.split(".")) >= (3, 51, 3)
    fix = None if good else "pip install --upgrade apsw"
    yield Check("ok" if good else "fail", "sqlite", sqlite, fix)


def _configuration(session: Session) -> Iterator[Check]:
    """Reads both files. A broken config.toml is reported, and then taken as empty."""
    path = session.folder / conf.CONFIG
    try:
        count = plural(len(session.config.profiles), "profile")
        there = f"{path}, {count}" if path.exists() else f"{path} is not there yet"
        yield Check("ok", "config", there)
    except Local as error:
        session.config = Config()
        yield Check("fail", "config", error.message, f"edit {path}")
    path = session.folder / conf.CREDENTIALS
    try:
        stored = plural(len(session.credentials), "token")
        there = f"{path}, {stored}" if path.exists() else f"{path} is not there yet"
        yield Check("ok", "credentials", there)
    except Local as error:
        session.credentials = {}
        yield Check("fail", "credentials", error.message, error.hint)


def _destination(session: Session, *, deep: bool, repair: bool) -> Iterator[Check]:
    try:
        target = session.chooser.choose()
    except StorectlError as error:
        yield Check("fail", "target", error.message, error.hint)
        return
    yield Check("ok", "target", f"{target.place} ({target.chosen_by})")
    if target.store is not None and is_postgres(target.store):
        yield _tried("store", lambda: _database(session, target))
        if deep or repair:
            session.upkeep(target)  # says what does instead
    elif target.store is not None:
        yield _tried("store", lambda: _store(target))
        yield from _data(session, target, deep=deep, repair=repair)
    elif deep or repair:
        raise InvalidInput(
            "--deep and --repair look into a store, not at a server",
            hint="name its folder with --store, on its machine",
        )
    else:
        yield from _server(session, target)


def _tried(check: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except StorectlError as error:
        return Check("fail", check, error.message, error.hint)


def _store(target: Target) -> Check:
    """The folder. Nothing is opened: that would write, and sweep."""
    folder = Path(str(target.store)).expanduser()
    if not folder.is_dir():
        return Check("ok", "store", f"{folder} is not there yet")
    if not os.access(folder, os.W_OK):
        return Check("fail", "store", f"{folder} cannot be written", f"chmod u+w {folder}")
    free = disk_usage(folder).free
    if free < FREE_BYTES:
        left = f"only {human_bytes(free)} are left on the disk of {folder}"
        return Check("warn", "store", left, "free some space")
    return Check("ok", "store", f"{folder} can be written")


def _database(session: Session, target: Target) -> Check:
    """Whether it answers, and keeps what it has acknowledged."""
    return Check("ok", "store", f"{session.store(target).label} answers, with fsync on")


def _data(session: Session, target: Target, *, deep: bool, repair: bool) -> Iterator[Check]:
    """What a store holds, mended before if that is wanted."""
    output = session.output
    try:
        upkeep = session.upkeep(target)
        if not upkeep.exists():
            yield Check("ok", "data", "there is none yet")
            return
        looked = look(output, upkeep, deep=deep)
        wanted = [each for each in looked.findings if each.mend]
        if repair and wanted:
            if output.form == "table":
                output.lines(_told([_to_check(each) for each in looked.findings]))
            output.confirm(f"mend {plural(len(wanted), 'finding')} in {target.store}")
            looked = mend(output, upkeep, looked, deep=deep)
    except Local as error:
        yield Check("fail", "data", error.message, error.hint)
        return
    yield from _results(looked, deep)


def _results(looked: Looked, deep: bool) -> Iterator[Check]:
    for each in looked.mended:
        yield _to_check(each)._replace(state="mended", fix=None)
    for each in looked.findings:
        why = looked.why_not.get(each.detail)
        check = _to_check(each)
        yield check._replace(fix=f"not mended: {why}") if why else check
    if not any(each.harm != "none" for each in looked.findings):
        how = "all of it was read" if deep else "counted; --deep reads all of it"
        told = f"{plural(looked.storages, 'storage')}, {human_bytes(looked.bytes)}: {how}"
        yield Check("ok", "data", told)


def _to_check(found: Finding) -> Check:
    return Check(
        state="warn" if found.harm == "none" else "fail",
        check=found.check,
        detail=found.detail,
        fix=found.remedy,
        noun=found.noun,
        storage=found.storage,
        place=found.place,
        harm=found.harm,
    )


def _server(session: Session, target: Target) -> Iterator[Check]:
    if not target.token:
        yield Check("warn", "token", "none: only open storages can be read", "storectl login")
    try:
        head = session.probe(target)
    except Unauthorized as error:
        yield Check("ok", "server", f"{target.server} answers")
        if target.token:
            fix = "storectl login" + (f" --profile {target.profile}" if target.profile else "")
            yield Check("fail", "token", f"{target.token_source}: {error.message}", fix)
        return
    except StorectlError as error:
        yield Check("fail", "server", error.message, error.hint or "check the address and network")
        return
    yield Check("ok", "server", f"{target.server} answers")
    yield Check("ok", "token", f"accepted, from {target.token_source}")
    limit = head.get("x-ratelimit-limit")
    yield Check("ok", "rate limit", f"{limit} requests/s" if limit else "not told by the server")
    yield _clock(head.get("date"))


def _clock(date: str | None) -> Check:
    try:
        skew = time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Check("ok", "clock", "the server does not tell the time")
    if abs(skew) > SKEW_SECS:
        ahead = "ahead" if skew > 0 else "behind"
        return Check("warn", "clock", f"{abs(skew):.0f} s {ahead} of the server", "set the clock")
    return Check("ok", "clock", "agrees with the server")


def _transfers(session: Session) -> Check:
    """Journals of pulls and pushes that did not finish."""
    from storectl.transfer.journal import KEPT_SECS, left_behind

    left = left_behind(conf.state_folder(session.environ))
    if not left:
        return Check("ok", "transfers", "none was stopped")
    days = int((time() - left[0].secs) / 86_400)
    named = ", ".join(" ".join([one.verb, *one.files[:1]]) for one in left[:3])
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    told = f"{plural(len(left), 'transfer')} stopped, the oldest {plural(days, 'day')} ago"
    fix = f"the same command again goes on, until {KEPT_SECS // 86_400} days have passed"
    return Check("warn", "transfers", f"{told}: {named}{more}", fix)


def _completion(session: Session) -> Check:
    from storectl.cli.completion import SHELLS, installed_at

    shell = Path(session.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        return Check("ok", "completion", "no shell that has one")
    path = installed_at(shell)
    if path.exists():
        return Check("ok", "completion", str(path))
    fix = f"storectl completion {shell} --install"
    return Check("warn", "completion", f"not installed for {shell}", fix)
