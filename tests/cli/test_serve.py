"""storectl serve: when it starts, what it says, when it refuses."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable

import pytest

from .conftest import Cli, Done

Here = Callable[..., Done]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_one_line_of_json_says_that_it_is_ready_and_a_signal_ends_it(
    cli: Cli, sent: signal.Signals
) -> None:
    ready_file = cli.folder / "ready.json"

    process = cli.start("serve", "--port", "0", "--ready-file", str(ready_file))
    line = process.stdout.readline()
    ready = json.loads(line)
    here = cli("whoami", "--server", ready["url"])
    process.send_signal(sent)
    _, told = process.communicate(timeout=15)

    assert ready["store"] == str(cli.store)
    assert here.code == 4
    assert ready_file.read_bytes() == line
    assert (process.returncode, told) == (0, b"")


def test_on_a_terminal_it_says_how_to_get_a_token(cli: Cli) -> None:
    import os
    import pty

    ours, theirs = pty.openpty()
    process = cli.start("serve", "--port", "0", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"Ctrl-C" not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    process.wait(15)
    os.close(ours)

    assert b"Serving " in shown
    assert b"token create --user NAME" in shown


def test_beyond_this_machine_a_store_needs_a_token(cli: Cli) -> None:
    done = cli("serve", "--host", "0.0.0.0", "--port", "0")

    assert (done.code, done.out) == (2, "")
    assert "token create" in done.err


def test_a_port_in_use_is_a_failure_of_this_machine(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = cli("serve", "--port", str(taken.getsockname()[1]))

    assert (done.code, done.out) == (12, "")
    assert "is in use" in done.err


@pytest.mark.parametrize(
    "args",
    [
        ["--rate-limit", "fast"],
        ["--rate-limit", "0/200"],
        ["--port", "70000"],
        ["--default-access", "all"],
        ["--server", "http://127.0.0.1:1"],
        ["--dir", "a", "--store", "b"],
        ["--public-url", "x"],
    ],
)
def test_options_that_make_no_sense_are_refused(here: Here, args: list[str]) -> None:
    done = here("serve", *args)

    assert (done.code, done.out) == (2, "")
