"""How things end: exit codes, one message on stderr, nothing on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storectl import errors
from storectl.cli.failure import redacted, report
from storectl.errors import EXIT_CODES, StorectlError

from .conftest import Cli, Here


@pytest.mark.parametrize(
    ("args", "words", "remedy"),
    [
        (["datase"], "no such command 'datase'. Did you mean 'dataset'?", "storectl --help"),
        (["dataset", "lst"], "no such command 'lst'", "storectl dataset --help"),
        (["dataset", "ls", "--limt", "3"], "no such option: --limt", "storectl dataset ls --help"),
        (["dataset", "ls", "--limit", "x"], "--limit must be a whole number, not 'x'", "ls --help"),
        (["dataset", "ls", "--limit", "-1"], "--limit must be 0 or more, not -1", "ls --help"),
        (["serve", "--port", "70000"], "--port must be from 0 to 65535, not 70000", "serve --help"),
        (["dataset", "ls", "--sort", "x"], "--sort must be one of name, created,", "ls --help"),
        (["dataset", "ls", "--what"], "no such option: --what", "ls --help"),
        (["completion"], "missing argument 'bash|zsh|fish|powershell'", "completion --help"),
        (["ls"], "needs a noun before it: dataset, kvs, queue", "storectl dataset ls"),
        (["list"], "needs a noun before it: dataset, kvs, queue", "storectl dataset ls"),
        (["ls", "queue"], "the noun goes first", "storectl queue ls"),
        (["create", "dataset", "x"], "the noun goes first", "storectl dataset create x"),
        (["version"], "no such command 'version'", "storectl --version"),
        (["dataset", "info"], "missing argument 'REF'", "storectl dataset info --help"),
        (["dataset", "ls", "a", "b"], "unexpected argument: b", "storectl dataset ls --help"),
    ],
)
def test_a_wrong_command_line_gets_one_line_and_the_help_to_look_at(
    here: Here, args: list[str], words: str, remedy: str
) -> None:
    done = here(*args)

    assert (done.code, done.out) == (2, "")
    message, hint = done.err.splitlines()
    assert message.startswith("error: ")
    assert words in message
    assert hint.startswith("  try: ")
    assert hint.endswith(remedy)


def test_with_json_a_failure_is_an_object_on_stderr(here: Here) -> None:
    done = here("dataset", "info", "none", "--json")

    assert (done.code, done.out) == (3, "")
    told = json.loads(done.err)["error"]
    assert told["code"] == "not-found"
    assert told["exit"] == 3
    assert told["type"] == "record-not-found"
    assert "dataset 'none' not found" in told["message"]
    assert told["hint"] == "storectl dataset ls --all"


def test_usage_with_json_is_an_object_too(here: Here) -> None:
    done = here("dataset", "ls", "--json", "--what")

    assert json.loads(done.err)["error"]["code"] == "usage"


def test_every_failure_has_an_exit_code_that_is_explained() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    failures = [one for one in classes if issubclass(one, StorectlError)]

    assert {one.exit_code for one in failures} <= set(EXIT_CODES)


def test_a_noun_alone_shows_its_commands(here: Here) -> None:
    done = here("dataset")

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: storectl dataset COMMAND")


def test_a_reader_that_goes_away_ends_it_quietly(cli: Cli) -> None:
    lines = "".join(f'{{"n":{at}}}\n' for at in range(100_000))
    cli("dataset", "push", "a", "--create", stdin=lines)

    process = cli.start("dataset", "items", "a")
    process.stdout.readline()
    process.stdout.close()

    assert process.stderr.read() == b""
    assert process.wait(60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said(cli: Cli) -> None:
    cli("dataset", "create", "a")

    with open("/dev/full", "w") as full:
        done = cli("dataset", "ls", stdout=full)

    assert done == (12, "", "error: no space left on the device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_never_becomes_the_database(cli: Cli, closed: str) -> None:
    command = f"{sys.executable} -m storectl dataset create a {closed}"

    subprocess.run(["bash", "-c", command], env=cli.env, capture_output=True)

    assert cli("dataset", "info", "a").code == 0


def test_writing_to_a_closed_stdout_is_a_failure(cli: Cli) -> None:
    cli("dataset", "create", "a")
    command = f"{sys.executable} -m storectl dataset ls >&-"

    found = subprocess.run(["bash", "-c", command], env=cli.env, capture_output=True, text=True)

    assert (found.returncode, found.stderr) == (12, "error: cannot write: the output is closed\n")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_push_says_what_was_done(cli: Cli, sent: signal.Signals, code: int) -> None:
    cli("dataset", "create", "a")
    process = cli.start("dataset", "push", "a", "--progress", "plain", stdin=subprocess.PIPE)
    line = b'{"n":"' + b"x" * 1000 + b'"}\n'
    process.stdin.write(line * 9000)  # two batches, and then nothing more comes
    process.stdin.flush()
    while not cli("dataset", "info", "a", "--json").json()["itemCount"]:
        time.sleep(0.05)

    process.send_signal(sent)

    assert process.wait(60) == code
    told = process.stderr.read().decode()
    assert "Traceback" not in told
    assert " items before that" in told


@pytest.mark.parametrize(
    "args", [["dataset", "ls"], ["--help"], ["dataset", "create", "x"], ["token", "ls"], ["doctor"]]
)
def test_a_command_that_takes_no_input_does_not_wait_for_it(cli: Cli, args: list[str]) -> None:
    reading, writing = os.pipe()  # open and silent
    try:
        process = cli.start(*args, stdin=reading)
        assert process.wait(60) == 0
    finally:
        os.close(reading)
        os.close(writing)
        process.communicate()


@pytest.mark.parametrize(
    "env",
    [
        {"GITHUB_ACTIONS": "1"},
        {"NO_COLOR": "1"},
        {"TERM": "dumb"},
        {"GITHUB_ACTIONS": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    ],
)
@pytest.mark.parametrize(
    "args", [["--help"], ["dataset", "ls", "--help"], ["dataset", "info", "x"]]
)
def test_no_escape_reaches_a_pipe(cli: Cli, env: dict[str, str], args: list[str]) -> None:
    done = cli(*args, env=env)

    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(("args", "traceback"), [([], False), (["--debug"], True)])
def test_an_unexpected_failure_is_one_line_and_a_traceback_on_request(
    args: list[str], traceback: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise RuntimeError("token=abcdef")
    except RuntimeError as error:
        code = report(error, args, None)

    told = capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert told.err.startswith(
        "error: unexpected RuntimeError: token=…\n"
        "  try: the same command with --debug shows where\n"
    )
    assert ("Traceback" in told.err) is traceback
    assert "abcdef" not in told.err


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET /v2/datasets?token=abc&x=1", "GET /v2/datasets?token=…&x=1"),
        ("?signature=MC4wLjN", "?signature=…"),
        ("authorization: Bearer apify_api_XyZ123abc", "authorization: …"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': '…'}"),
        ("storectl_0123456789abcdefghijABCDEFGHIJ012345", "storectl_…"),
        ("it was s3cret-token", "it was …"),
        ("storectl_work is a name", "storectl_work is a name"),
    ],
)
def test_secrets_are_taken_out_of_every_line(text: str, clean: str) -> None:
    assert redacted(text, ["s3cret-token"]) == clean
