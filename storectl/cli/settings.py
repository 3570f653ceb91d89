"""What one run goes by: flags, then environment, then config.toml, then built in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from storectl.cli.flags import FORMS, GLOBAL, Flags
from storectl.config import Config
from storectl.errors import InvalidInput

TIMEOUT_SECS = 60.0
RETRIES = 8
JOBS = 8
WRITERS = 32
"""Of records into a store of this process, where they share commits: 32 took 0.6 to 0.9 times
as long as 8."""
MOST_JOBS = 256
MOST_SECS = 36_500 * 86_400
"""A hundred years. What is longer has no date."""


class Settings(Struct, frozen=True, kw_only=True):
    """The settled global options. Where the run goes is context.Session's to say.

    form: json, jsonl, csv, tsv, quiet, or auto: a table on a terminal, TSV in a
    pipe. fields: the FIELDS of --json; `?` asks for their names. rate: requests a
    second, None for as many as the server allows, of which part is used. writers: of
    records into a store of this process at once, as many as jobs unless neither is told.
    """

    form: str = "auto"
    fields: str = ""
    csv_safe: bool = False
    color: str = "auto"
    progress: str = "auto"
    accessible: bool = False
    yes: bool = False
    dry_run: bool = False
    may_ask: bool = True
    debug: bool = False
    timeout_secs: float = TIMEOUT_SECS
    retries: int = RETRIES
    jobs: int = JOBS
    writers: int = WRITERS
    rate: float | None = None
    part: float = 1.0
    bytes_a_sec: float | None = None


def settle(flags: Flags, environ: Mapping[str, str], config: Config) -> Settings:
    """Decide every setting. InvalidInput names the flag, variable or key that is wrong."""

    def first(name: str, configured: Any = None) -> tuple[Any, str]:
        flag = _BY_NAME[name]
        if flags.get(name) is not None:
            return flags[name], flag.opts[-1]
        for variable in flag.env:
            if environ.get(variable):
                return environ[variable], variable
        return configured, f"{name} in config.toml"

    form, fields = _form(flags, environ)
    retries, source = first("retries", config.transfer.retries)
    timeout, timeout_source = first("timeout", config.transfer.timeout)
    debug, _ = first("debug")
    rate, part = _rate(*first("rate", config.transfer.rate))
    bwlimit, bwlimit_source = first("bwlimit", config.transfer.bwlimit)
    return Settings(
        form=form,
        fields=fields,
        csv_safe=_truth(first("csv_safe")[0]),
        color=_color(flags, environ, config),
        progress=_choice("progress", *first("progress", _plain_progress(config, environ))),
        accessible=_truth(first("accessible", config.ui.accessible)[0]),
        yes=bool(flags.get("yes")),
        dry_run=bool(flags.get("dry_run")),
        may_ask=not _truth(first("no_input")[0]),
        debug=_truth(debug),
        timeout_secs=TIMEOUT_SECS if timeout is None else duration_secs(timeout, timeout_source),
        retries=RETRIES if retries is None else whole(retries, source),
        jobs=_jobs(*first("jobs", config.transfer.jobs), JOBS),
        writers=_jobs(*first("jobs", config.transfer.jobs), WRITERS),
        rate=rate,
        part=part,
        bytes_a_sec=None if bwlimit is None else size_bytes(bwlimit, bwlimit_source),
    )


_BY_NAME = {flag.name: flag for flag in GLOBAL}


def _form(flags: Flags, environ: Mapping[str, str]) -> tuple[str, str]:
    given = [name for name in FORMS if flags.get(name) is not None]
    if "quiet" in given and len(given) == 2:  # -q beside a form: that form, without talk
        given.remove("quiet")
    if len(given) > 1:
        raise InvalidInput(f"--{given[0]} and --{given[1]} exclude each other")
    if given:
        return given[0], flags.get("json") or ""
    form = environ.get("STORECTL_FORMAT") or "auto"
    if form not in ("auto", *FORMS):
        known = ", ".join(FORMS)
        raise InvalidInput(f"STORECTL_FORMAT must be one of {known}, not {form!r}")
    return form, ""


def _color(flags: Flags, environ: Mapping[str, str], config: Config) -> str:
    """Flag, then NO_COLOR, then the variables that force, then config.toml."""
    if flags.get("color"):
        return _choice("color", flags["color"], "--color")
    if environ.get("NO_COLOR"):
        return "never"
    if any(environ.get(v, "") not in ("", "0") for v in ("CLICOLOR_FORCE", "FORCE_COLOR")):
        return "always"
    if environ.get("TERM") == "dumb":
        return "never"
    return _choice("color", config.ui.color, "ui.color in config.toml")


def _plain_progress(config: Config, environ: Mapping[str, str]) -> str | None:
    """What config.toml says; lines where a line cannot be written over."""
    return config.ui.progress or ("plain" if environ.get("TERM") == "dumb" else None)


def _choice(name: str, value: str | None, source: str) -> str:
    choices = _BY_NAME[name].choices
    if value is None:
        return choices[0]
    if value not in choices:
        raise InvalidInput(f"{source} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _truth(value: Any) -> bool:
    return bool(value) and str(value).lower() not in ("0", "false", "no", "off")


def _jobs(value: Any, source: str, usual: int) -> int:
    if value is None:
        return usual
    jobs = whole(value, source)
    if not 1 <= jobs <= MOST_JOBS:
        raise InvalidInput(f"{source} must be between 1 and {MOST_JOBS}, not {jobs}")
    return jobs


def _rate(value: Any, source: str) -> tuple[float | None, float]:
    """Requests a second, None for no bound of ours, and the part of what the server allows."""
    text = "auto" if value is None else str(value).strip()
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(%)?", text)
    number = float(found[1]) if found else 0.0
    if text == "auto":
        return None, 1.0
    if found is None or not number or (found[2] and number > 100):
        raise InvalidInput(
            f"{source} must be auto, a number such as 20, or 1% to 100%, not {text!r}"
        )
    return (None, number / 100) if found[2] else (number, 1.0)


def size_bytes(value: Any, source: str) -> float:
    """Bytes of `500K`, `10M`, `1.5G` or a bare number of bytes; units are of a thousand."""
    found = re.fullmatch(
        r"(\d{1,15}(?:\.\d{1,9})?)\s*(?:([KMGkmg])(?:i?[Bb])?)?", str(value).strip()
    )
    size = float(found[1]) * 1000 ** " KMG".index((found[2] or " ").upper()) if found else 0.0
    if size < 1:
        raise InvalidInput(f"{source} must be a size such as 500K or 10M, not {str(value)!r}")
    return size


def whole(value: Any, source: str) -> int:
    """A whole number from 0, or InvalidInput naming where it came from."""
    if re.fullmatch(r"\d{1,9}", str(value)):
        return int(value)
    raise InvalidInput(f"{source} must be a whole number, not {value!r}")


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration_secs(text: str, source: str) -> float:
    """Seconds of `30d`, `12h`, `5m`, `60s`, `500ms` or a bare number of seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?", str(text).strip())
    if not found:
        raise InvalidInput(f"{source} must be a time such as 60s, 5m or 30d, not {text!r}")
    secs = float(found[1]) * _UNITS[found[2] or "s"]
    if secs > MOST_SECS:
        raise InvalidInput(f"{source} must be at most {MOST_SECS // 86_400}d, not {text!r}")
    return secs
