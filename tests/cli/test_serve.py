"""storectl serve: when it starts, what it says, when it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest

from .conftest import Cli, Here


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_line_of_json_says_that_it_is_ready_and_a_signal_ends_it(
    cli: Cli, sent: signal.Signals
) -> None:
    ready_file = cli.folder / "ready.json"

    process = cli.start("serve", "--port", "0", "--ready-file", str(ready_file))
    line = process.stdout.readline()
    ready = json.loads(line)
    here = cli("whoami", "--server", ready["url"])
    process.send_signal(sent)
    _, told = process.communicate(timeout=60)

    assert ready["store"] == str(cli.store)
    assert here.code == 4
    assert ready_file.read_bytes() == line
    assert (process.returncode, told) == (0, b"")


def test_what_is_being_read_when_it_ends_is_read_to_its_end(cli: Cli) -> None:
    lines = "".join(f'{{"n":{n},"text":"{"x" * 30_000}"}}\n' for n in range(1_000))
    cli("dataset", "push", "long", "--create", stdin=lines)
    id = cli("dataset", "info", "long", "--json=id").json()["id"]
    process = cli.start("serve", "--port", "0")
    url = json.loads(process.stdout.readline())["url"]

    with urlopen(f"{url}/v2/datasets/{id}/items?format=jsonl", timeout=60) as answer:
        begun = answer.read(100)
        process.terminate()
        while answers(url):
            time.sleep(0.01)
        rest = answer.read()
    _, told = process.communicate(timeout=60)

    assert begun + rest == lines.encode()
    assert (process.returncode, told) == (0, b"")


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/healthz", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_under_nohup_it_outlives_its_terminal(cli: Cli) -> None:
    process = cli.start(
        "serve", "--port", "0", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    url = json.loads(process.stdout.readline())["url"]

    process.send_signal(signal.SIGHUP)
    here = cli("whoami", "--server", url, "--retries", "0")
    process.terminate()
    process.communicate(timeout=60)

    assert here.code == 4  # it answers: no token


def test_a_signal_while_it_starts_is_not_lost(cli: Cli) -> None:
    """The worker has no handlers of its own yet when it is told to end."""
    took = []
    for wait in (0, 0.02, 0.04, 0.06):
        process = cli.start("serve", "--port", "0")
        while not _children(process.pid) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(wait)
        begin = time.monotonic()
        process.terminate()
        process.communicate(timeout=60)
        took.append(time.monotonic() - begin)

    assert sorted(took)[1] < 10  # the median, since one in a hundred waits for its timeout: 10 s


def test_a_server_whose_worker_is_killed_says_so(cli: Cli) -> None:
    process = cli.start("serve", "--port", "0")
    process.stdout.readline()

    os.kill(_children(process.pid)[0], signal.SIGKILL)
    _, told = process.communicate(timeout=60)

    assert process.returncode == 1
    assert told == b"error: The process that serves has ended: killed, or out of memory\n"


def test_of_two_that_start_at_once_on_one_port_one_serves(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])

    both = [cli.start("serve", "--port", port) for _ in range(2)]
    lines = [process.stdout.readline() for process in both]
    for process in both:
        process.terminate()
    codes = [process.wait(60) for process in both]

    assert sorted(codes) == [0, 12]
    assert sorted(map(bool, lines)) == [False, True]


def test_silent_connections_keep_nobody_out(cli: Cli) -> None:
    process = cli.start("serve", "--port", "0")
    url = json.loads(process.stdout.readline())["url"]
    place = ("127.0.0.1", int(url.rpartition(":")[2]))

    silent = [socket.create_connection(place) for _ in range(600)]
    begin = time.monotonic()
    done = cli("whoami", "--server", url, "--retries", "0")
    took = time.monotonic() - begin
    for connection in silent:
        connection.close()
    process.terminate()
    process.communicate(timeout=60)

    assert done.code == 4  # an answer: no token
    assert took < 10  # when the server closes those that stay silent


def test_a_silent_connection_is_closed_by_the_server(cli: Cli) -> None:
    process = cli.start("serve", "--port", "0")
    url = json.loads(process.stdout.readline())["url"]
    place = ("127.0.0.1", int(url.rpartition(":")[2]))

    with socket.create_connection(place, timeout=60) as silent:
        left = silent.recv(100)
    process.terminate()
    process.communicate(timeout=60)

    assert left == b"" or b" 408 " in left


def test_several_processes_say_once_that_they_are_ready(cli: Cli) -> None:
    process = cli.start("serve", "--port", "0", "--workers", "3")
    ready = json.loads(process.stdout.readline())

    here = [cli("whoami", "--server", ready["url"]).code for _ in range(4)]
    process.terminate()
    more, told = process.communicate(timeout=60)

    assert here == [4] * 4  # they answer: no token
    assert (process.returncode, more, told) == (0, b"", b"")


@pytest.mark.parametrize("given", ["0", "65536", "host:", "9178x", ""])
def test_an_address_of_metrics_that_is_none_is_refused(cli: Cli, given: str) -> None:
    done = cli("serve", "--metrics", given)

    assert done.code == 2
    assert "--metrics must be such as 9178 or 127.0.0.1:9178" in done.err


def test_it_serves_from_a_working_folder_that_is_gone(cli: Cli) -> None:
    gone = cli.folder / "gone"
    gone.mkdir()
    words = [sys.executable, "-P", "-m", "storectl", "serve", "--port", "0"]

    process = subprocess.Popen(
        ["sh", "-c", 'rmdir ../gone && exec "$@"', "sh", *words],
        cwd=gone,
        env=cli.env,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    process.communicate(timeout=60)

    assert json.loads(line)["store"] == str(cli.store)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_on_a_terminal_it_says_how_to_get_a_token(cli: Cli) -> None:
    shown = cli.until_shown(b"Ctrl-C", "serve", "--port", "0")

    assert b"Serving " in shown
    assert b"token create --user NAME" in shown


def test_beyond_this_machine_a_store_needs_a_token(cli: Cli) -> None:
    done = cli("serve", "--host", "0.0.0.0", "--port", "0")

    assert (done.code, done.out) == (2, "")
    assert "token create" in done.err


@pytest.mark.parametrize("address", ["http://data.example.com", "https://data.example.com"])
def test_beyond_this_machine_it_warns_unless_tls_is_in_front(cli: Cli, address: str) -> None:
    cli("token", "create", "--user", "alice", "-q")

    process = cli.start("serve", "--host", "0.0.0.0", "--port", "0", "--public-url", address)
    ready = json.loads(process.stdout.readline())
    process.terminate()
    _, told = process.communicate(timeout=60)

    assert ready["url"]
    assert (b"without TLS" in told) == address.startswith("http:")


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
        ["--retention", "soon"],
        ["--retention", "0s"],
        ["--garbage-grace", "soon"],
        ["--garbage-grace", "59s"],
        ["--workers", "65"],
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


@pytest.mark.parametrize(
    ("configured", "words", "told"),
    [
        (None, [], "30"),
        ("60/400", [], "60"),
        ("60/400", ["--rate-limit", "7/9"], "7"),
        ("off", [], "1000000"),
        ("60/400", ["--rate-limit", "off"], "1000000"),
    ],
)
def test_the_rate_is_that_of_the_flag_or_of_the_configuration(
    cli: Cli, configured: str | None, words: list[str], told: str
) -> None:
    if configured is not None:
        assert cli("config", "set", "serve.rate_limit", configured).code == 0

    process = cli.start("serve", "--port", "0", *words)
    url = json.loads(process.stdout.readline())["url"]
    with urlopen(f"{url}/healthz") as answer:
        rate = answer.headers["X-RateLimit-Limit"]
    process.terminate()
    process.communicate(timeout=60)

    assert rate == told


def test_workers_metrics_and_the_grace_may_be_configured(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for key, value in (("workers", "2"), ("metrics", str(port)), ("garbage_grace", "2d")):
        assert cli("config", "set", f"serve.{key}", value).code == 0

    process = cli.start("serve", "--port", "0")
    store = json.loads(process.stdout.readline())["store"]
    both = until(lambda: b"\nstorectl_worker_starts_total 2.0\n" in counted(port))
    process.terminate()
    process.communicate(timeout=60)

    assert both
    with closing(sqlite3.connect(Path(store, "store.sqlite"))) as db:
        kept = db.execute("SELECT value FROM setting WHERE key = 'garbage_secs'").fetchone()
    assert kept == (2 * 24 * 3600,)


def counted(port: int) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return answer.read()


def until(true: Callable[[], bool]) -> bool:
    """Whether it becomes true, however long that takes within reason."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_configuration_that_makes_no_sense_is_named(here: Here) -> None:
    wrong = {
        "rate_limit": "soon",
        "retention": "soon",
        "garbage_grace": "1s",
        "workers": "0",
        "metrics": "soon",
    }
    for name, value in wrong.items():
        key = f"serve.{name}"
        assert here("config", "set", key, value).code == 0

        done = here("serve", "--port", "0")

        assert done.code == 2
        assert f"{key} in config.toml" in done.err
        assert here("config", "set", key, "").code == 0
