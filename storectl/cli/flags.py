"""Global options, in one table: accepted before the noun and after the verb."""

from __future__ import annotations

from typing import Any, NamedTuple


class Flag(NamedTuple):
    """One global option.

    metavar: what its value is called; None for a switch. env: variables that set
    it, the first that is set wins. choices: the words it takes, if only those.
    """

    name: str
    opts: tuple[str, ...]
    metavar: str | None
    help: str
    env: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


Flags = dict[str, Any]
"""What was given on the command line, by Flag.name; what is absent was not given."""

FORMS = ("json", "jsonl", "csv", "tsv", "quiet")
"""The flags that say how results are written. At most one of them."""

GLOBAL = (
    Flag("profile", ("-p", "--profile"), "NAME", "Server and account.", ("STORECTL_PROFILE",)),
    Flag(
        "server",
        ("--server",),
        "URL",
        "An API server; takes the place of the profile's.",
        ("STORECTL_SERVER", "APIFY_API_BASE_URL", "APIFY_CLIENT_BASE_URL"),
    ),
    Flag(
        "store",
        ("--store",),
        "PLACE",
        "Open a store in this process: a folder or a database URL.",
        ("STORECTL_STORE",),
    ),
    Flag(
        "json",
        ("--json",),
        "[=FIELDS]",
        "One JSON value; --json=id,name picks fields, --json=? names them.",
        ("STORECTL_FORMAT",),
    ),
    Flag("jsonl", ("--jsonl",), None, "One JSON object a line."),
    Flag("csv", ("--csv",), None, "Comma-separated values with a head."),
    Flag("tsv", ("--tsv",), None, "Tab-separated values; the form of a pipe."),
    Flag("csv_safe", ("--csv-safe",), None,
         "No cell of csv or tsv that a spreadsheet takes for a formula.", ("STORECTL_CSV_SAFE",)),
    Flag("quiet", ("-q", "--quiet"), None, "Only IDs or keys, and no talk."),
    Flag(
        "color",
        ("--color",),
        "WHEN",
        "auto, always or never.",
        ("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR"),
        ("auto", "always", "never"),
    ),
    Flag(
        "progress",
        ("--progress",),
        "HOW",
        "auto, plain (a line every 10 s) or none.",
        ("STORECTL_PROGRESS",),
        ("auto", "plain", "none"),
    ),
    Flag(
        "accessible",
        ("--accessible",),
        None,
        "Flat 'Field: value' lines instead of tables.",
        ("STORECTL_ACCESSIBLE",),
    ),
    Flag("yes", ("-y", "--yes"), None, "Answer every question with yes."),
    Flag("dry_run", ("-n", "--dry-run"), None, "Change nothing, say what would change."),
    Flag("jobs", ("-j", "--jobs"), "N", "Calls of a server at a time, 8 if not given.",
         ("STORECTL_JOBS",)),
    Flag("rate", ("--rate",), "N|N%", "Requests a second, or a part of what the server allows.",
         ("STORECTL_RATE",)),
    Flag("bwlimit", ("--bwlimit",), "SIZE", "Bytes a second to and from a server: 500K, 10M.",
         ("STORECTL_BWLIMIT",)),
    Flag("timeout", ("--timeout",), "TIME", "For one answer of a server: 60s, 2m.",
         ("STORECTL_TIMEOUT",)),
    Flag("retries", ("--retries",), "N", "How often to ask a server again.",
         ("STORECTL_RETRIES",)),
    Flag("no_input", ("--no-input",), None, "Never ask anything.", ("STORECTL_NO_INPUT", "CI")),
    Flag("debug", ("-v", "--debug"), None, "Say what happens on stderr; tracebacks.",
         ("STORECTL_DEBUG",)),
)  # fmt: skip
