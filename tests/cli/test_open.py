"""storectl open and serve --open: what the browser is given, and who else could see it."""

from __future__ import annotations

import json
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import pytest

from storectl.cli import browser

from .conftest import Cli, Here, Served
from .test_failures import Handler, Stub, running

SCRIPT = """#!/bin/sh
cd '{folder}'
env > environ
path="${{1#file://}}"
case "$1" in file://*) cp -p "$path" page && stat -c %a "$(dirname "$path")" > mode; esac
printf '%s' "$*" > words.part && mv words.part words
"""


class Shown(NamedTuple):
    """What a browser that was opened had on its command line, and read in the file named there."""

    words: str
    page: str
    environ: str


class Shower:
    """A program that stands in for a browser."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.program = folder / "browser"
        self.program.write_text(SCRIPT.format(folder=folder))
        self.program.chmod(0o755)
        self.env = {"BROWSER": str(self.program), "TMPDIR": str(folder)}

    @property
    def was_opened(self) -> bool:
        return (self.folder / "environ").exists()

    def shown(self) -> Shown:
        words = self.folder / "words"
        _until(words.exists)
        page = self.folder / "page"
        text = page.read_text() if page.exists() else ""
        return Shown(words.read_text(), text, (self.folder / "environ").read_text())


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def shower(tmp_path: Path) -> Shower:
    return Shower(tmp_path / "desktop")


@pytest.fixture
def remote(served: Served) -> dict[str, str]:
    return {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}


def test_a_storage_of_a_server_opens_in_its_console_logged_in(
    cli: Cli, served: Served, remote: dict[str, str], shower: Shower
) -> None:
    id = cli("kvs", "create", "to-open", env=remote).out.strip()

    done = cli("open", "to-open", env=remote | shower.env)
    seen = shower.shown()

    assert (done.code, done.out, done.err) == (0, f"{served.url}/#/kvs/{id}\n", "")
    assert json.dumps(f"{served.url}/#token={served.token}&to=/kvs/{id}") in seen.page


def test_nobody_else_can_read_the_token(
    cli: Cli, served: Served, remote: dict[str, str], shower: Shower
) -> None:
    done = cli("open", "--debug", env=remote | shower.env)
    seen = shower.shown()

    assert seen.words.startswith("file:///")
    assert served.token in seen.page
    assert served.token not in seen.words + seen.environ + done.out + done.err
    assert stat.S_IMODE((shower.folder / "page").stat().st_mode) == 0o600
    assert (shower.folder / "mode").read_text() == "700\n"


def test_the_file_with_the_token_is_removed(
    shower: Shower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", f"{shower.program} %s")

    browser.show("http://127.0.0.1:1/#/datasets", "storectl_secret", keep_secs=0)

    path = Path(shower.shown().words.removeprefix("file://"))
    _until(lambda: not path.parent.exists())


def test_a_token_cannot_break_out_of_the_page_it_is_in(
    shower: Shower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", f"{shower.program} %s")

    browser.show("http://127.0.0.1:1/#/x</script>\"'", "a</script>\"'&to=/y")

    seen = shower.shown()
    assert seen.page.count("</script>") == 1
    assert '"http://127.0.0.1:1/#token=a%3C%2Fscript%3E%22%27%26to%3D%2Fy&to=/x' in seen.page


def test_without_a_token_the_browser_gets_a_plain_address(
    cli: Cli, served: Served, shower: Shower
) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url}

    done = cli("open", env=env | shower.env)

    assert (done.code, done.out) == (0, f"{served.url}/\n")
    assert shower.shown().words == f"{served.url}/"


@pytest.mark.parametrize("flag", ["--no-browser", "-q"])
def test_only_the_address_is_printed_where_that_is_asked(
    cli: Cli, served: Served, remote: dict[str, str], shower: Shower, flag: str
) -> None:
    done = cli("open", flag, env=remote | shower.env)

    assert (done.code, done.out, done.err) == (0, f"{served.url}/\n", "")
    assert not shower.was_opened


def test_without_a_browser_the_address_is_printed(
    here: Here, served: Served, remote: dict[str, str]
) -> None:
    nothing = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}

    done = here("open", env=remote | nothing)

    assert (done.code, done.out) == (0, f"{served.url}/\n")


def test_a_browser_that_fails_leaves_the_address(
    cli: Cli, served: Served, remote: dict[str, str], shower: Shower
) -> None:
    shower.program.write_text("#!/bin/sh\nexit 1\n")

    done = cli.on_terminal("open", env=remote | shower.env)

    assert done.code == 0
    assert done.out.splitlines() == ["There is no browser here to show it.", f"{served.url}/"]


def test_json_tells_what_the_address_is_of(
    here: Here, served: Served, remote: dict[str, str]
) -> None:
    id = here("dataset", "create", "to-tell", env=remote).out.strip()

    done = here("open", "dataset/to-tell", "--no-browser", "--json", env=remote)

    url = f"{served.url}/#/datasets/{id}"
    assert done.json() == {"url": url, "noun": "dataset", "id": id, "name": "to-tell"}
    assert here("open", url, "-q", env=remote).out == f"{url}\n"


def test_a_name_of_two_storages_is_not_guessed(here: Here, remote: dict[str, str]) -> None:
    for noun in ("dataset", "queue"):
        here(noun, "create", "twice", env=remote)

    done = here("open", "twice", "-q", env=remote)

    assert (done.code, done.out) == (2, "")
    assert "dataset/twice or queue/twice" in done.err


@pytest.mark.parametrize("text", ["https://example.com/x", "missing"])
def test_what_leads_nowhere_is_told(here: Here, remote: dict[str, str], text: str) -> None:
    done = here("open", text, "-q", env=remote)

    assert (done.code, done.out) == (2 if "/" in text else 3, "")


class Elsewhere(Handler):
    """A server without a console of ours, which tells where its pages are."""

    told = "https://console.example.com/storage/datasets/ID"

    def _answer(self) -> None:
        storage = {"id": "a" * 17, "userId": "b" * 17, "name": "prices", "itemCount": 0,
                   "cleanItemCount": 0, "consoleUrl": self.told,
                   **dict.fromkeys(("createdAt", "modifiedAt", "accessedAt"), "2026-01-01T00:00:00.000Z")}  # fmt: skip # noqa: E501
        found = self.path.startswith("/v2/datasets/")
        told = {"data": storage} if found else {"error": {"type": "record-not-found"}}
        body = json.dumps(told).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = _answer


def _elsewhere(stub: Stub) -> dict[str, str]:
    return {"STORECTL_STORE": "", "STORECTL_SERVER": stub.url, "STORECTL_TOKEN": "elsewhere0"}


def test_elsewhere_it_is_the_page_that_the_server_tells_without_the_token(
    cli: Cli, shower: Shower
) -> None:
    with running(Elsewhere) as stub:
        done = cli("open", "prices", env=_elsewhere(stub) | shower.env)

    assert (done.code, done.out) == (0, f"{Elsewhere.told}\n")
    assert shower.shown().words == Elsewhere.told


@pytest.mark.parametrize("told", ["javascript:alert(1)", "file:///etc/passwd", ""])
def test_a_page_that_is_no_page_is_not_opened(
    cli: Cli, shower: Shower, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setattr(Elsewhere, "told", told)

    with running(Elsewhere) as stub:
        done = cli("open", "prices", env=_elsewhere(stub) | shower.env)
        bare = cli("open", env=_elsewhere(stub) | shower.env)

    assert (done.code, done.out) == (9, "")
    assert (bare.code, bare.out) == (9, "")
    assert not shower.was_opened


def _me(url: str, token: str) -> str:
    asked = Request(f"{url}/v2/users/me", headers={"Authorization": f"Bearer {token}"})
    with urlopen(asked) as answer:
        return str(json.load(answer)["data"]["username"])


def _token_in(page: str) -> str:
    return page.partition("#token=")[2].partition('"')[0].partition("&")[0]


def test_a_store_in_this_process_is_served_until_a_signal_and_its_token_ends_with_it(
    cli: Cli, shower: Shower
) -> None:
    id = cli("queue", "create", "urls").out.strip()

    process = cli.start("open", "urls", env=shower.env)
    page = process.stdout.readline().decode().strip()
    token = _token_in(shower.shown().page)
    url = page.partition("/#")[0]
    user = _me(url, token)
    with urlopen(page) as answer:
        console = answer.read()
    during = cli("token", "ls", "-q").out
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)

    assert page == f"{url}/#/queues/{id}"
    assert url.startswith("http://127.0.0.1:")
    assert user == "local"
    assert b"<title>storectl</title>" in console
    assert (process.returncode, told) == (0, b"")
    assert during != ""
    assert cli("token", "ls", "-q").out == ""


def test_serve_opens_its_console_when_it_answers(cli: Cli, shower: Shower) -> None:
    process = cli.start("serve", "--port", "0", "--open", env=shower.env)
    url = json.loads(process.stdout.readline())["url"]
    page = shower.shown().page
    user = _me(url, _token_in(page))
    process.terminate()
    _, told = process.communicate(timeout=60)

    assert f'"{url}/#token=' in page
    assert user == "local"
    assert (process.returncode, told) == (0, b"")
    assert cli("token", "ls", "-q").out == ""


@pytest.mark.parametrize("words", [["open", "--no-browser"], ["serve", "--port=0", "--open", "-q"]])
def test_a_server_without_a_browser_serves_and_makes_no_token(
    cli: Cli, shower: Shower, words: list[str]
) -> None:
    process = cli.start(*words, env=shower.env)
    line = process.stdout.readline().decode()
    tokens = cli("token", "ls", "-q").out
    process.terminate()
    process.communicate(timeout=60)

    assert "http://127.0.0.1:" in line
    assert (process.returncode, tokens) == (0, "")
    assert not shower.was_opened


def test_on_a_terminal_it_says_where_and_how_to_log_in(cli: Cli) -> None:
    shown = cli.until_shown(b"token create", "open", "--no-browser")

    assert b"Console:  http://127.0.0.1:" in shown
    assert b"Ctrl-C ends it." in shown
