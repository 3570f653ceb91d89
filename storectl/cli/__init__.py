"""The command line: run a command, print its failure, exit with its code.

This module imports nothing heavy. `--version`, root help and the table of
commands need no Typer; a command's module is loaded when that command runs.
"""

from __future__ import annotations

import gc
import os
import sys

GARBAGE = 100_000
"""Objects that may come before they are searched for garbage. Start-up makes 30,000 to
70,000 that stay: searching them again and again took 5 % of `dataset ls`."""


class Entry:
    """Where a command of the first level lives, and the line that root help says about it.

    app: the Typer application in the module. command: the one command of it that
    is meant, or None for the whole group.
    """

    # No NamedTuple: importing typing takes as long as the rest of --version.
    def __init__(
        self, module: str, summary: str, app: str = "app", command: str | None = None
    ) -> None:
        self.module, self.summary, self.app, self.command = module, summary, app, command


COMMANDS: dict[str, Entry] = {
    "dataset": Entry("dataset", "Datasets: append items, read them back in any format."),
    "kvs": Entry("kvs", "Key-value stores: records of any type, by key."),
    "queue": Entry("queue", "Request queues: URLs to visit, each once."),
    "local": Entry("local", "Crawlee's local folders of storages: import and export."),
    "access": Entry(
        "report", "Who else may see your storages: a report, and what the account says."
    ),
    "token": Entry("token", "API tokens of a store: create, list, rotate, revoke, check."),
    "serve": Entry(
        "serve", "Serve the embedded store to API clients, SDKs and Crawlee.", command="serve"
    ),
    "open": Entry("open", "Show a storage, or all of them, in a browser.", command="open"),
    "backup": Entry("backup", "Copy a store into a folder, while others use it.", command="backup"),
    "restore": Entry(
        "backup", "Put a backup where --store says, and where no store is yet.", command="restore"
    ),
    "store": Entry("store", "A store as a whole: move it into PostgreSQL, a bucket, and back."),
    "login": Entry("login", "Check a token and keep it for a profile.", command="login"),
    "logout": Entry("login", "Forget the stored token of a profile.", command="logout"),
    "whoami": Entry(
        "login", "Say whose storages the next command will see, where, and why.", command="whoami"
    ),
    "profile": Entry("profile", "Profiles: servers and accounts, by name."),
    "config": Entry("profile", "Settings of config.toml: path, get, set.", app="config_app"),
    "api": Entry(
        "api",
        "Call the API of a server, with its token, and print the answer as it comes.",
        command="api",
    ),
    "doctor": Entry(
        "doctor", "Check this installation, and its store or its connection.", command="doctor"
    ),
    "completion": Entry(
        "completion", "Print or install the completion of a shell.", command="completion"
    ),
    "help": Entry("help", "Explain exit codes, variables, references, formats.", command="help"),
}

ALIASES = {
    "datasets": "dataset",
    "key-value-stores": "kvs",
    "key-value-store": "kvs",
    "request-queues": "queue",
    "request-queue": "queue",
    "tokens": "token",
    "profiles": "profile",
}
"""Other names of a command, accepted and not shown."""


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return its exit code; see errors.EXIT_CODES.

    The one place where a failure becomes text: stdout stays empty of it.
    """
    args = sys.argv[1:] if argv is None else argv
    _stand_in_for_closed_streams()
    if args in (["--version"], ["-V"]):
        from storectl import __version__

        return _print(f"storectl {__version__}\n", args)
    if args in ([], ["--help"], ["-h"], ["help"]):
        from storectl.cli import page

        return _print(page.root(), args)
    return _run(args)


def _run(args: list[str]) -> int:
    session = None
    gc.set_threshold(GARBAGE)
    try:
        _raise_on_sigterm()
        from storectl.cli.context import Session
        from storectl.cli.frame import run

        session = Session(os.environ)
        code = run(args, session)
        session.close()
        sys.stdout.flush()
    except BaseException as error:  # the end of the line: everything gets its exit code
        from storectl.cli import failure

        return failure.report(error, args, session)
    return code


def _print(text: str, args: list[str]) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        from storectl.cli import failure

        return failure.report(error, args, None)
    return 0


class Terminated(BaseException):
    """SIGTERM came, or the terminal closed.

    Raised in the main thread so that files and locks are given back.
    """


def _raise_on_sigterm() -> None:
    import signal

    def stop(_signal: int, _frame: object) -> None:
        raise Terminated

    try:
        signal.signal(signal.SIGTERM, stop)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, stop)  # unless nohup has it ignored
    except ValueError:  # not the main thread: whoever called us handles signals
        return


_STREAMS = ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY))


def _stand_in_for_closed_streams() -> None:
    """Put /dev/null where 0, 1 or 2 is closed.

    Or else the first file that is opened, such as a database, becomes stdout and
    is written over. Writing to a closed stdout still fails, since the stand-in for
    it is open for reading only.
    """
    for number, name, flags in _STREAMS:
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for text in (sys.stdout, sys.stderr):
        reconfigure = getattr(text, "reconfigure", None)
        if reconfigure is not None:  # in a pipe UTF-8 whatever the locale: it is what JSON is in
            encoding = None if text.isatty() else "utf-8"
            reconfigure(encoding=encoding, errors="backslashreplace")
