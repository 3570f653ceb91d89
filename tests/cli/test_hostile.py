"""What may come: evil names, strange files, odd surroundings. One clear line each, no harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.faults import Proxy

from .conftest import Cli, Here, Served

EVIL = "\x1b[31mred\x1b]0;title\x07\u202e\r\nerror: not ours"


class Evil(BaseHTTPRequestHandler):
    """A server whose every text is EVIL."""

    def do_GET(self) -> None:
        storage = {"id": "a" * 17, "name": EVIL, "generalAccess": EVIL, "consoleUrl": EVIL} | (
            dict.fromkeys(("userId", "username", "createdAt", "modifiedAt", "accessedAt"), EVIL)
        )
        body = json.dumps({"data": storage | {"items": [storage], "total": 1}}).encode()
        if "missing" in self.path:
            body = json.dumps({"error": {"type": EVIL, "message": EVIL}}).encode()
        self.send_response(400 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def evil() -> Iterator[dict[str, str]]:
    """What leads to the evil server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield {
        "STORECTL_STORE": "",
        "STORECTL_SERVER": url,
        "STORECTL_TOKEN": "storectl_x",
        "STORECTL_RETRIES": "0",
        "NO_COLOR": "1",
    }
    server.shutdown()


@pytest.mark.parametrize(
    "args",
    [
        ["dataset", "ls"],
        ["dataset", "ls", "--json"],
        ["dataset", "ls", "--accessible"],
        ["dataset", "info", "x"],
        ["dataset", "rm", "x"],
        ["dataset", "info", "missing"],
        ["dataset", "info", "missing", "--json"],
        ["whoami"],
        ["api", "datasets"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_no_text_of_a_server_steers_the_terminal(
    cli: Cli, evil: dict[str, str], args: list[str]
) -> None:
    shown = cli.on_terminal(*args, typed="no\n", env=evil).out

    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert not any(line.startswith("error: not ours") for line in shown.splitlines())


def test_a_token_that_cannot_stand_in_a_header_is_told_by_its_source(here: Here) -> None:
    for token in ("two words", "line\nbreak", "é"):
        done = here("dataset", "ls", env={"STORECTL_STORE": "", "STORECTL_TOKEN": token})

        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: STORECTL_TOKEN is not a token")
        assert token not in done.err


def test_a_refused_token_is_told_with_its_source_and_the_way_to_another(
    here: Here, served: Served
) -> None:
    done = here(
        "dataset", "ls", "--server", served.url,
        env={"STORECTL_STORE": "", "STORECTL_TOKEN": "storectl_wrong"},
    )  # fmt: skip

    assert done.code == 4
    assert "  token: from STORECTL_TOKEN, mistyped or cut: " in done.err
    assert done.err.endswith(f"  try: storectl login --server {served.url}\n")
    assert "storectl_wrong" not in done.err


@pytest.mark.parametrize(
    "server", ["http://[::1", "http://a b", "http://a/\x1b[31m", "127.0.0.1:8010", "http://a:99999"]
)
def test_what_is_no_address_is_told(here: Here, server: str) -> None:
    done = here("dataset", "ls", "--server", server, env={"STORECTL_STORE": ""})

    assert (done.code, done.out) == (2, "")
    assert "is not an address" in done.err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["dataset", "info", "http://[::1/v2/datasets/x"], 2, "is not a URL"),
        (["--store", "~nobody-of-that-name/x", "dataset", "ls"], 2, "the home of nobody"),
        (["dataset", "ls", "--older-than", "9999999999999999d"], 2, "at most 36500d"),
        (["dataset", "ls", "--timeout", "9999999999999999d"], 2, "at most 36500d"),
        (["profile", "add", "x", "--server", "http://far.example"], 2, "is not encrypted"),
        (["dataset", "push", "x" * 300, "/dev/null", "--create"], 2, "has 300 characters"),
    ],
)
def test_odd_values_are_told_in_one_line(
    here: Here, args: list[str], code: int, words: str
) -> None:
    done = here(*args)

    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "unexpected" not in done.err


def test_the_password_in_a_database_url_is_not_shown(here: Here) -> None:
    done = here("--store", "mysql://jane:hidden@host/x", "dataset", "ls")

    assert done.code == 2
    assert "mysql" in done.err
    assert "hidden" not in done.err


def test_a_profile_leads_to_the_same_store_from_everywhere(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here("profile", "add", "near", "--store", "./data")
    made = here("dataset", "create", "near:prices").out

    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")

    assert here("dataset", "ls", "--profile", "near", "-q").out == made
    assert list(Path().iterdir()) == []


def test_configuration_behind_a_link_stays_there(here: Here, cli: Cli) -> None:
    kept = cli.folder / "dotfiles.toml"
    cli.config.mkdir()
    (cli.config / "config.toml").symlink_to(kept)

    here("config", "set", "ui.color", "never")

    assert (cli.config / "config.toml").is_symlink()
    assert "never" in kept.read_text()


def test_a_half_written_configuration_of_an_earlier_process_is_in_nobodys_way(
    here: Here, cli: Cli
) -> None:
    cli.config.mkdir()
    (cli.config / f".config.toml.{os.getpid()}.tmp").write_text("half")

    assert here("config", "set", "ui.color", "never").code == 0
    assert sorted(path.name for path in cli.config.iterdir()) == ["config.toml"]


@pytest.fixture
def numbers(here: Here) -> str:
    """A dataset of two items, as JSON lines."""
    Path("numbers.jsonl").write_text('{"n":1}\n{"n":2}\n')
    assert here("dataset", "push", "numbers", "numbers.jsonl", "--create").code == 0
    return '{"n":1}\n{"n":2}\n'


@pytest.mark.parametrize("verb", ["items", "pull"])
def test_output_to_a_link_goes_where_it_leads(here: Here, numbers: str, verb: str) -> None:
    Path("link").symlink_to("out.jsonl")
    for old in (None, "old"):
        if old:
            Path("out.jsonl").write_text(old)

        done = here("dataset", verb, "numbers", "--format", "jsonl", "-o", "link")

        assert done.code == 0
        assert Path("link").is_symlink()
        assert Path("out.jsonl").read_text() == numbers


def test_output_to_stdout_by_its_path_leaves_the_path_alone(cli: Cli, numbers: str) -> None:
    """/dev/stdout leads to a file here: it must not be replaced, nor what is in it be lost."""
    link, out = cli.folder / "link", cli.folder / "out"
    link.symlink_to("/proc/self/fd/1")
    out.write_text("before\n")

    with out.open("ab") as stdout:
        done = cli("dataset", "items", "numbers", "-o", str(link), stdout=stdout)

    assert done.code == 0
    assert os.readlink(link) == "/proc/self/fd/1"
    assert out.read_text() == "before\n" + numbers


def test_a_pull_never_takes_the_place_of_a_pipe_or_device(here: Here, numbers: str) -> None:
    os.mkfifo("pipe")
    Path("link").symlink_to("/proc/self/fd/1")

    for name in ("pipe", "link"):
        done = here("dataset", "pull", "numbers", "-o", name)

        assert (done.code, done.out) == (2, "")
        assert f"{name} is no file" in done.err
    assert Path("pipe").is_fifo()
    assert Path("link").is_symlink()


@pytest.mark.parametrize("verb", ["items", "pull"])
def test_output_onto_a_folder_is_refused(here: Here, numbers: str, verb: str) -> None:
    done = here("dataset", verb, "numbers", "-o", str(Path.cwd()))

    assert (done.code, done.out) == (2, "")
    assert "is a folder" in done.err
    assert not list(Path.cwd().parent.glob(".*.tmp"))


def test_a_terminal_that_closes_leaves_no_half_file(cli: Cli, served: Served) -> None:
    """It closes while the answer with the items has stopped inside."""
    cli.env |= {"STORECTL_TOKEN": served.token, "STORECTL_STORE": ""}
    at = ("--server", served.url)
    lines = "".join(f'{{"n":{at},"text":"{"x" * 200}"}}\n' for at in range(5_000))
    assert cli("dataset", "push", "to-close", "--create", *at, stdin=lines).code == 0

    with Proxy(served.url, lambda asked: "stall" if "/items" in asked.target else None) as proxy:
        process = cli.start("dataset", "items", "to-close", "-o", "out.xlsx", "--server", proxy.url)
        assert proxy.held.wait(60)
        while not list(cli.folder.glob(".out.xlsx.*.tmp")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGHUP)
        _, told = process.communicate(timeout=60)

    assert process.returncode == 143, told
    assert not list(cli.folder.glob("*out.xlsx*"))


def test_a_working_folder_that_is_gone_is_told(cli: Cli) -> None:
    gone = cli.folder / "gone"
    gone.mkdir()
    words = [sys.executable, "-P", "-m", "storectl", "local", "ls"]

    found = subprocess.run(
        ["sh", "-c", 'rmdir ../gone && exec "$@"', "sh", *words],
        cwd=gone,
        env=cli.env,
        capture_output=True,
        text=True,
    )

    assert found.returncode != 0
    assert "None" not in found.stderr
    assert "Traceback" not in found.stderr


class NoJson(BaseHTTPRequestHandler):
    """A server one of whose items is `line`."""

    protocol_version = "HTTP/1.1"
    line = b""

    def do_GET(self) -> None:
        times = dict.fromkeys(("createdAt", "modifiedAt", "accessedAt"), "2024-01-01T00:00:00.000Z")
        told = {"id": "a" * 17, "userId": "b" * 17, "itemCount": 2, **times}
        body = json.dumps({"data": told}).encode()
        if "/items" in self.path:
            body = b'{"a":1}\n' + self.line + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Apify-Pagination-Total", "2")
        self.send_header("X-Apify-Pagination-Count", "2")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


LINES = {
    "html": b"<html>Bad gateway</html>", "inside": b'{"a":tru}', "not UTF-8": b'{"a":"\xff"}',
    "two": b'{"a":1}{"b":2}', "control character": b'{"a":"b\0"}',
}  # fmt: skip


@pytest.fixture
def no_json(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], dict[str, str]]]:
    """no_json(line): the environment that leads to the server, which gives that line from now."""
    with ThreadingHTTPServer(("127.0.0.1", 0), NoJson) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def at(line: bytes) -> dict[str, str]:
            monkeypatch.setattr(NoJson, "line", line)
            url = f"http://127.0.0.1:{server.server_port}"
            return {"STORECTL_STORE": "", "STORECTL_SERVER": url, "NO_COLOR": "1"}

        yield at
        server.shutdown()


@pytest.mark.parametrize(
    "args",
    [
        ["items", "~x"],
        ["items", "~x", "-f", "jsonl"],
        ["items", "~x", "-o", "out.json"],
        ["items", "~x", "--csv"],
        ["pull", "~x", "-o", "out.xlsx"],
        ["pull", "~x", "-o", "out.jsonl"],
        ["pull", "~x", "-o", "out.json"],
        ["verify", "~x", "two.jsonl"],
        ["stats", "~x"],
    ],
    ids=" ".join,
)
def test_an_item_of_a_server_that_is_no_json_is_told_in_one_line(
    here: Here, no_json: Callable[[bytes], dict[str, str]], args: list[str]
) -> None:
    """Whatever it holds in a pipe, and beside the progress of a terminal."""
    Path("two.jsonl").write_text('{"a":1}\n{"a":2}\n')

    piped = [here("dataset", *args, env=no_json(line)) for line in LINES.values()]
    shown = here.on_terminal("dataset", *args, env=no_json(LINES["two"]))

    for done in (*piped, shown):
        assert done.code == 1
        told = [line for line in (done.out + done.err).splitlines() if line.startswith("error: ")]
        assert len(told) == 1
        assert "holds an item that is not" in told[0]
    assert not list(Path.cwd().glob("out.*"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_data_in_a_pipe_is_utf_8_whatever_the_locale(cli: Cli, encoding: str) -> None:
    cli("dataset", "push", "words", "--create", stdin='{"w":"é 日 😀"}\n')

    done = cli("dataset", "items", "words", "--json", env={"PYTHONIOENCODING": encoding})
    cli("queue", "add", "urls", "http://a/é", "--create")
    listed = cli("queue", "head", "urls", "--jsonl", env={"PYTHONIOENCODING": encoding})

    assert done.json() == [{"w": "é 日 😀"}]
    assert listed.json()["url"] == "http://a/é"


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_progress_moves_without_escape_sequences(cli: Cli, env: dict[str, str]) -> None:
    lines = "".join(f'{{"n":{at},"text":"{"x" * 200}"}}\n' for at in range(150_000))
    (cli.folder / "many.jsonl").write_text(lines)

    shown = cli.on_terminal(
        "dataset", "push", "many", "many.jsonl", "--create", env=env, columns=30
    )

    assert shown.code == 0
    assert "150,000 items" in shown.out
    assert "\x1b" not in shown.out


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_a_number_in_a_table_is_whole_or_not_there(cli: Cli, columns: int) -> None:
    cli("dataset", "push", "a-dataset-with-a-long-name", "--create", stdin='{"n":1}\n' * 12_345)

    lines = cli.on_terminal("dataset", "ls", columns=columns, env={"NO_COLOR": "1"}).out.split("\n")

    head, row = lines[0], lines[1]
    assert ("12,345" in row) == ("ITEMS" in head)
    assert ("98.8 kB" in row) == ("SIZE" in head)


def test_the_doctor_cuts_no_path_and_no_remedy(cli: Cli) -> None:
    shown = cli.on_terminal("doctor", columns=40, env={"SHELL": "/bin/fish"}).out

    assert f"{cli.config}/config.toml is not there yet" in shown
    assert "try: storectl completion fish --install\n" in shown
    assert "…" not in shown


def test_a_listing_without_rows_says_why(cli: Cli) -> None:
    cli("dataset", "create")
    cli("dataset", "create", "prices")

    assert cli.on_terminal("dataset", "ls", "x*").out.startswith("no dataset like 'x*' for ")
    assert cli.on_terminal("dataset", "ls", "--older-than", "1d").out.startswith("no dataset that")
    assert "--all shows" in cli.on_terminal("kvs", "ls").out


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("bad.json", '[{"a":1},\n{"b":}]', "bad.json:2: not JSON: invalid character at column 6"),
        ("twice.csv", "a,a\n1,2\n", "twice.csv:1: two columns are named 'a'"),
        ("page.html", "<html>", "page.html: XML or HTML, and items are read from json, jsonl, csv"),
        ("", "", "'' names no file"),
    ],
)
def test_an_input_that_cannot_be_read_is_told_by_file_and_line(
    here: Here, name: str, text: str, words: str
) -> None:
    here("dataset", "create", "a")
    if name:
        Path(name).write_text(text)

    done = here("dataset", "push", "a", name)

    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[0] == f"error: {words}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ui.color", "pink"),
        ("transfer.retries", "99999999999999999999"),
        ("transfer.timeout", "soon"),
        ("profiles.x.server", "ftp://x"),
        ("aliases.x", 'dataset "ls'),
    ],
)
def test_a_setting_that_no_command_could_live_with_is_not_kept(
    here: Here, key: str, value: str
) -> None:
    done = here("config", "set", key, value)

    assert (done.code, done.out) == (2, "")
    assert "unexpected" not in done.err
    assert here("config", "get", "-q").out == ""


def test_an_alias_without_its_quote_is_told(here: Here, cli: Cli) -> None:
    cli.config.mkdir()
    (cli.config / "config.toml").write_text("[aliases]\nprices = 'dataset \"ls'\n")

    done = here("prices")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: alias 'prices' is 'dataset \"ls', which")
