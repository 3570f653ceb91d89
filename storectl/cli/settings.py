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
MOST_SECS = 36_500 * 86_400
"""A hundred years. What is longer has no date."""


class Settings(Struct, frozen=True, kw_only=True):
    """The settled global options. Where the run goes is context.Session's to say.

    form: json, jsonl, csv, tsv, quiet, or auto: a table on a terminal, TSV in a
    pipe. fields: the FIELDS of --json; `?` asks for their names.
    """

    form: str = "auto"
    fields: str = ""
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
    return Settings(
        form=form,
        fields=fields,
        color=_color(flags, environ, config),
        progress=_choice("progress", *first("progress", _plain_progress(config, environ))),
        accessible=_truth(first("accessible", config.ui.accessible)[0]),
        yes=bool(flags.get("yes")),
        dry_run=bool(flags.get("dry_run")),
        may_ask=not _truth(first("no_input")[0]),
        debug=_truth(debug),
        timeout_secs=TIMEOUT_SECS if timeout is None else duration_secs(timeout, timeout_source),
        retries=RETRIES if retries is None else whole(retries, source),
        jobs=config.transfer.jobs or JOBS,
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
