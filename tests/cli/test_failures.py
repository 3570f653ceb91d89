"""Every command against everything that can go wrong: exit code, empty stdout, one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

from storectl.cli import COMMANDS
from storectl.cli.frame import Group

from .conftest import Cli, Done, Here

# What each command is called with; FILE is a file that is there. None: it asks no server.
CALLS: dict[str, list[str] | None] = {
    **{
        f"{noun} {verb}": words
        for noun in ("dataset", "kvs", "queue")
        for verb, words in {
            "ls": [],
            "create": ["prices"],
            "info": ["prices"],
            "rename": ["prices", "costs"],
            "rm": ["prices", "--yes"],
            "prune": ["--yes"],
            "copy": ["prices", "costs"],
            "access ls": ["prices"],
            "access set": ["prices", "id"],
            "access grant": ["prices", "bob", "--read"],
            "access revoke": ["prices", "bob"],
        }.items()
    },
    "dataset link": ["prices"],
    "kvs link": ["files"],
    "dataset items": ["prices"],
    "dataset push": ["prices", "FILE"],
    "dataset pull": ["prices"],
    "dataset tail": ["prices"],
    "dataset verify": ["prices", "FILE"],
    "dataset stats": ["prices"],
    "dataset diff": ["prices", "costs", "--key", "n"],
    "dataset dedupe": ["prices", "--key", "n", "--write-to", "once"],
    "dataset sql": ["prices", "select 1"],
    "kvs keys": ["files"],
    "kvs get": ["files", "KEY"],
    "kvs set": ["files", "KEY", "FILE"],
    "kvs unset": ["files", "KEY", "--yes"],
    "kvs pull": ["files", "copy"],
    "kvs push": [".", "files"],
    "kvs sync": ["files", "./copy"],
    "queue add": ["urls", "https://example.com/"],
    "queue head": ["urls"],
    "queue requests": ["urls"],
    "queue get": ["urls", "8OamqXBCpPHxyH9"],
    "queue lock": ["urls"],
    "queue unlock": ["urls", "8OamqXBCpPHxyH9"],
    "queue handle": ["urls", "8OamqXBCpPHxyH9"],
    "queue export": ["urls"],
    "queue import": ["urls", "FILE"],
    "queue work": ["urls", "--", "true"],
    "queue retry": ["urls", "--id", "8OamqXBCpPHxyH9"],
    "queue rm-requests": ["urls", "8OamqXBCpPHxyH9", "--yes"],
    "local ls": None,
    "local import": [],
    "local export": ["prices", "--layout", "js"],
    "token create": ["ci"],
    "token ls": [],
    "token info": ["ci"],
    "token rotate": ["ci", "--yes"],
    "token revoke": ["ci", "--yes"],
    "token check": [],
    "access report": [],
    "access default": [],
    "whoami": [],
    "api": ["datasets"],
    "open": ["dataset/prices", "--no-browser"],
    "serve": None,
    "backup": None,
    "store move": None,
    "store release": None,
    "restore": None,
    "login": None,
    "logout": None,
    "profile ls": None,
    "profile add": None,
    "profile use": None,
    "profile rm": None,
    "profile show": None,
    "config path": None,
    "config get": None,
    "config set": None,
    "doctor": None,
    "completion": None,
    "help": None,
}
ASKING = {name: words for name, words in CALLS.items() if words is not None}

STATUSES = {
    400: ("invalid-value", 2),
    401: ("user-or-token-not-found", 4),
    403: ("insufficient-permissions", 5),
    404: ("record-not-found", 3),
    409: ("name-not-unique", 6),
    413: ("request-too-large", 10),
    429: ("rate-limit-exceeded", 10),
    500: ("internal-server-error", 1),
}
NO_EXTENSIONS = 9
BEYOND_THE_API = {
    "access report",
    *(f"token {verb}" for verb in ("create", "ls", "info", "rotate", "revoke")),
    *(f"{n} access {v}" for n in ("dataset", "kvs", "queue") for v in ("ls", "grant", "revoke")),
}
"""A server whose capabilities are 404 has none of these."""


def commands() -> Iterator[str]:
    for name, entry in COMMANDS.items():
        if entry.command is not None:
            yield name
            continue
        group = getattr(import_module(f"storectl.cli.{entry.module}"), entry.app).group()
        yield from (f"{name} {verb}" for verb in below(group))


def below(group: Group) -> Iterator[str]:
    """The verbs of a group, also of groups in it."""
    for name, verb in group.verbs.items():
        if isinstance(verb, Group):
            yield from (f"{name} {inner}" for inner in below(verb))
        else:
            yield name


def test_this_table_knows_every_command() -> None:
    assert set(CALLS) == set(commands())


class Stub(ThreadingHTTPServer):
    """Answers everything with one status, in the API's form, and counts."""

    daemon_threads = True
    status = 500
    asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """What a Stub answers."""

    server: Stub
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.server.asked += 1
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        kind, _ = STATUSES[self.server.status]
        body = json.dumps({"error": {"type": kind, "message": self.message()}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer

    def message(self) -> str:
        return "The server says no."

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[Stub]:
    """A server whose answers a handler makes."""
    server = Stub(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with running(Handler) as server:
        yield server


def words(name: str, file: Path) -> list[str]:
    return [*name.split(), *(str(file) if word == "FILE" else word for word in ASKING[name])]


def remote(url: str, **more: str) -> dict[str, str]:
    return {
        "STORECTL_STORE": "",
        "STORECTL_SERVER": url,
        "STORECTL_TOKEN": "storectl_canary0123456789",
        "STORECTL_RETRIES": "0",
        **more,
    }


def check(done: Done, code: int) -> None:
    assert done.code == code, done.err
    assert done.out == ""
    assert [line for line in done.err.splitlines() if line.startswith("error: ")] == [
        done.err.splitlines()[0]
    ]
    assert "Traceback" not in done.err
    assert "canary" not in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", ASKING)
def test_a_status_of_the_server(here: Here, stub: Stub, file: Path, name: str, status: int) -> None:
    stub.status = status
    expected = STATUSES[status][1]
    if name in BEYOND_THE_API and status == 404:
        expected = NO_EXTENSIONS

    done = here(*words(name, file), env=remote(stub.url))

    check(done, expected)


@pytest.mark.parametrize("name", ASKING)
def test_a_refused_connection(here: Here, file: Path, name: str) -> None:
    done = here(*words(name, file), env=remote("http://127.0.0.1:9"))

    check(done, 11)
    assert "127.0.0.1:9" in done.err


@pytest.mark.parametrize("status", [429, 500])
def test_what_may_pass_is_tried_again_and_then_told(here: Here, stub: Stub, status: int) -> None:
    stub.status, stub.asked = status, 0

    done = here("dataset", "ls", env=remote(stub.url, STORECTL_RETRIES="2"))

    check(done, STATUSES[status][1])
    assert stub.asked == 3


@pytest.mark.parametrize("name", ASKING)
def test_a_failure_in_json_goes_to_stderr(here: Here, stub: Stub, file: Path, name: str) -> None:
    stub.status = 403

    done = here("--json", *words(name, file), env=remote(stub.url))

    assert (done.code, done.out) == (5, "")
    told = Done(0, done.err, "").json()["error"]
    assert (told["exit"], told["http"], told["code"]) == (5, 403, "forbidden")


LOCAL = [name for name in ASKING if name not in ("whoami", "api")]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCAL)
def test_an_open_and_silent_stdin_is_left_alone(cli: Cli, file: Path, name: str) -> None:
    """Ends by itself, whatever it finds: nothing waits for input that was not asked for."""
    reading, writing = os.pipe()
    try:
        process = cli.start(*words(name, file), stdin=reading)
        process.communicate(timeout=60)
    finally:
        os.close(reading)
        os.close(writing)

    assert process.returncode in (0, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["dataset ls", "dataset info", "kvs keys", "queue requests", "token ls", "help"]
)
def test_a_closed_stdout_is_told(here: Here, file: Path, name: str) -> None:
    for noun, storage in (("dataset", "prices"), ("kvs", "files"), ("queue", "urls")):
        here(noun, "create", storage)
    here("kvs", "set", "files", "KEY", "--value", "x")
    here("queue", "add", "urls", "https://example.com/")
    here("token", "create", "ci")
    line = words(name, file) if name in ASKING else [name, "exit-codes"]

    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "storectl", *line],
        env=here.env,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode in (12, 141), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 2


def test_a_reader_that_has_enough_ends_the_command_quietly(here: Here, tmp_path: Path) -> None:
    many = tmp_path / "many.jsonl"
    many.write_text("".join(f'{{"n":{n},"text":"{"x" * 100}"}}\n' for n in range(20_000)))
    here("dataset", "push", "many", str(many), "--create")

    process = here.start("dataset", "items", "many")
    first = process.stdout.readline()
    process.stdout.close()
    talk = process.stderr.read()
    process.stderr.close()
    code = process.wait(60)

    assert first.startswith(b'{"n":0,')
    assert (code, talk) == (141, b"")
