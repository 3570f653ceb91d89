"""From an exception to one message on stderr and an exit code."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from storectl.errors import Forbidden, NotFound, StorectlError, Unauthorized

if TYPE_CHECKING:
    from storectl.cli.context import Opened, Session


class Failure(NamedTuple):
    """One failure, told. extra: lines between the message and the remedy, as (label, text)."""

    exit: int
    code: str
    message: str
    hint: str | None = None
    type: str | None = None
    http: int | None = None
    request_id: str | None = None
    extra: tuple[tuple[str, str], ...] = ()


def report(error: BaseException, args: list[str], session: Session | None) -> int:
    """Print a failure, close what is open, and return the exit code."""
    failure = _describe(error, args, session)
    if failure.exit == 130:
        from storectl.cli.interrupt import hush

        hush()  # whoever presses Ctrl-C twice wants it over, and no traceback
    notes = tuple(_noted(note) for note in getattr(error, "__notes__", ()))
    failure = failure._replace(extra=failure.extra + notes)
    secrets = session.secrets if session else []
    if failure.message:
        text = _as_json(failure) if _wants_json(args) else _as_text(failure)
        with contextlib.suppress(OSError):
            sys.stderr.write(redacted(text, secrets))
            sys.stderr.flush()
    if _wants_traceback(args) and failure.exit == 1:
        import traceback  # only for whoever looks for the cause

        trace = "".join(traceback.format_exception(error))
        sys.stderr.write(redacted(trace, secrets))
    if session:
        with contextlib.suppress(StorectlError, OSError):
            session.close()
    _abandon_stdout()
    return failure.exit


def _noted(note: str) -> tuple[str, str]:
    """A note as (label, text): `resume: …` names its own, others say what was done."""
    label, _, text = note.partition(": ")
    return (label, text) if label == "resume" else ("done", note)


def redacted(text: str, secrets: list[str]) -> str:
    """The text without tokens and signatures."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


_SECRETS = (
    (re.compile(r"\b(storectl|apify_api)_[0-9A-Za-z]{6,}"), r"\1_…"),
    (re.compile(r"(?i)\b((?:token|signature)=)[^&\s\"'<>]+"), r"\1…"),
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?)(?:bearer\s+)?[^\s\"',]+"), r"\1…"),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/-]{8,}=*"), r"\1…"),
)


def _describe(error: BaseException, args: list[str], session: Session | None) -> Failure:
    from storectl.cli import Terminated

    if isinstance(error, StorectlError):
        return _named(error, session)
    if isinstance(error, KeyboardInterrupt):
        return Failure(130, "interrupted", "interrupted")
    if isinstance(error, Terminated):
        return Failure(143, "terminated", "terminated")
    if isinstance(error, BrokenPipeError):
        return Failure(141, "broken-pipe", "")
    if isinstance(error, SystemExit):
        return Failure(error.code if isinstance(error.code, int) else 1, "exit", "")
    if isinstance(error, FileNotFoundError):
        if error.filename is None:  # only the working folder has no name
            message = "the folder that this was started in is gone"
            return Failure(12, "local", message, "cd to one that is there")
        return Failure(3, "not-found", f"{error.filename}: no such file")
    if isinstance(error, OSError):
        return _of_machine(error)
    if type(error).__module__.startswith("typer"):
        return _of_usage(error, args)
    message = f"unexpected {type(error).__name__}: {error}"
    return Failure(1, "unexpected", message, "the same command with --debug shows where")


def _named(error: StorectlError, session: Session | None) -> Failure:
    message, hint = error.message, error.hint
    extra: list[tuple[str, str]] = []
    opened = session.opened[-1] if session and session.opened else None
    if opened and isinstance(error, NotFound):
        message, extra, hint = _not_found(error, opened)
    elif opened and error.http is not None:
        extra.append(("at", _place(opened)))
    if session and isinstance(error, Unauthorized) and hint is None:
        token, way = _token(session)
        hint = f"storectl login{way}"
        extra += [("token", token)] if token else []
    if session and isinstance(error, Forbidden) and hint is None and error.http is not None:
        hint = f"storectl token check{_token(session)[1]}"
    return Failure(
        error.exit_code,
        error.code,
        message,
        hint,
        error.type,
        error.http,
        getattr(error, "request_id", None),
        tuple(extra),
    )


def _token(session: Session) -> tuple[str | None, str]:
    """Where the token in use came from, and the options that lead to its server."""
    from storectl.model.rules import is_token

    try:
        target = session.reached or session.chooser.choose()
    except StorectlError:
        return None, ""
    if target.profile:
        way = f" --profile {target.profile}"
    else:
        way = f" --server {target.server}" if target.server else ""
    source = f"from {target.token_source}" if target.token else None
    if target.token and target.token.startswith("storectl_") and not is_token(target.token):
        source = f"{source}, mistyped or cut: its checksum does not fit"
    return source, way


TITLES = {"dataset": "dataset", "kvs": "key-value store", "queue": "request queue"}


def _not_found(error: NotFound, opened: Opened) -> tuple[str, list[tuple[str, str]], str | None]:
    """Tell a missing storage from a thing missing in it, and look for similar names."""
    from storectl.cli.context import keeper_of

    keeper = keeper_of(opened.store, opened.noun)
    try:
        keeper.get(opened.ref)
    except NotFound:
        pass
    except StorectlError:
        return error.message, [("at", _place(opened))], error.hint
    else:
        return error.message, [("at", _place(opened))], error.hint
    similar = _similar(opened)
    title = TITLES[opened.noun]
    message = f"{title} {opened.text!r} not found for {_label(opened)}"
    extra = [("similar", ", ".join(similar))] if similar else []
    return message, extra, opened.remedy or f"storectl {opened.noun} ls --all"


def _similar(opened: Opened) -> list[str]:
    from difflib import get_close_matches

    from storectl.cli.context import keeper_of
    from storectl.model.storage import ListQuery

    name = opened.ref.rpartition("~")[2]
    if not opened.ref.startswith("~"):
        return []
    try:
        listed = keeper_of(opened.store, opened.noun).list(ListQuery(limit=1000, desc=True))
    except StorectlError:
        return []
    owners = {storage.name: storage.username for storage in listed.items if storage.name}
    similar = get_close_matches(name, owners, n=3, cutoff=0.6)
    # What has that very name and was not found is another user's.
    return [f"{owners[one]}/{one}" if one == name and owners[one] else one for one in similar]


def _place(opened: Opened) -> str:
    return f"{TITLES[opened.noun]} {opened.text!r}, {_label(opened)}"


def _label(opened: Opened) -> str:
    try:
        return opened.store.label
    except StorectlError:
        return "this store"


def _of_machine(error: OSError) -> Failure:
    if error.errno == errno.ENOSPC:
        where = f" for {error.filename}" if error.filename else ""
        return Failure(12, "disk-full", f"no space left on the device{where}")
    if error.errno == errno.EBADF and not error.filename:
        return Failure(12, "local", "cannot write: the output is closed")
    what = os.strerror(error.errno) if error.errno else str(error)
    where = f"{error.filename}: " if error.filename else ""
    return Failure(12, "local", f"{where}{what[:1].lower()}{what[1:]}")


def _of_usage(error: Any, args: list[str]) -> Failure:
    """A line on the command line that Typer could not read."""
    from storectl.cli import usage

    message, hint = usage.told(error, args)
    return Failure(getattr(error, "exit_code", 2), "usage", message, hint)


def _as_text(failure: Failure) -> str:
    from storectl.cli.values import visible

    mark = "\x1b[31merror:\x1b[0m" if _colored() else "error:"
    if failure.exit in (130, 143):
        mark = "storectl:"
    lines = [f"{mark} {visible(failure.message)}"]
    lines += [f"  {label}: {visible(text)}" for label, text in failure.extra]
    if failure.hint:
        lines.append(f"  try: {visible(failure.hint)}")
    return "\n".join(lines) + "\n"


def _as_json(failure: Failure) -> str:
    body = {
        "code": failure.code,
        "exit": failure.exit,
        "http": failure.http,
        "type": failure.type,
        "message": failure.message,
        "hint": failure.hint,
        "requestId": failure.request_id,
        **dict(failure.extra),
    }
    told = {name: value for name, value in body.items() if value is not None}
    text = json.dumps({"error": told}, ensure_ascii=False)
    if sys.stderr.isatty():
        from storectl.cli.values import visible

        text = visible(text)  # what JSON leaves as it is and a terminal obeys
    return text + "\n"


def _wants_json(args: list[str]) -> bool:
    if any(arg in ("--json", "--jsonl") or arg.startswith("--json=") for arg in _options(args)):
        return True
    return os.environ.get("STORECTL_FORMAT") in ("json", "jsonl")


def _wants_traceback(args: list[str]) -> bool:
    if any(arg in ("--debug", "-v") for arg in _options(args)):
        return True
    return bool(os.environ.get("STORECTL_DEBUG"))


def _options(args: list[str]) -> list[str]:
    return args[: args.index("--")] if "--" in args else args


def _colored() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stderr.isatty()


def _abandon_stdout() -> None:
    """Flush stdout, or give up on it, so that the interpreter does not complain at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
