"""A server: login, tokens, profiles, and the same commands over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from storectl.formats import FORMATS

from .conftest import Done, Here, Served


@pytest.fixture
def env(served: Served) -> dict[str, str]:
    """What leads to the server with its token."""
    return {
        "STORECTL_STORE": "",
        "STORECTL_SERVER": served.url,
        "STORECTL_TOKEN": served.token,
        "STORECTL_RETRIES": "0",
    }


def login(here: Here, served: Served, *args: str) -> Done:
    return here(
        "login", "--with-token", "--server", served.url, *args,
        stdin=served.token + "\n", env={"STORECTL_STORE": ""},
    )  # fmt: skip


def test_the_commands_of_a_store_work_on_a_server(here: Here, env: dict[str, str]) -> None:
    id = here("dataset", "create", "over-http", env=env).out.strip()
    Path("items.jsonl").write_text('{"n":1}\n{"n":2}\n')

    assert here("dataset", "push", "over-http", "items.jsonl", env=env).out == "2\n"
    assert here("dataset", "items", "over-http", env=env).out == '{"n":1}\n{"n":2}\n'
    assert here("dataset", "rename", id, "renamed", env=env).out == "renamed\n"
    assert id in here("dataset", "ls", "-q", env=env).lines()
    assert here("dataset", "rm", "alice/renamed", "-y", env=env).out == f"{id}\n"
    missing = here("dataset", "info", "renamed", env=env)
    assert missing.code == 3
    assert "dataset 'renamed' not found for " in missing.err


LONG = "".join(f'{{"n":{n},"t":"{"é" * (n % 300)}"}}\n' for n in range(3_000))
"""An answer in many blocks, that end inside of items."""


@pytest.mark.parametrize("format", sorted(FORMATS.keys() - {"parquet"}))
def test_items_of_a_server_are_those_of_a_store(
    here: Here, env: dict[str, str], format: str
) -> None:
    Path("in.jsonl").write_text(LONG)
    for where, file in ((env, "there"), ({}, "own")):
        here("dataset", "push", f"long-{format}", "in.jsonl", "--create", env=where)

        asked = ("dataset", "items", f"long-{format}", "--format", format, "-o", file)
        assert here(*asked, env=where).code == 0

    assert Path("there").read_bytes() == Path("own").read_bytes()


def test_a_table_of_a_servers_items_has_all_of_them(here: Here, env: dict[str, str]) -> None:
    here("dataset", "push", "long-table", "--create", stdin=LONG, env=env)

    done = here.on_terminal("dataset", "items", "long-table", "--all", env=env)

    assert done.code == 0, done.out
    shown = [line.split()[0] for line in done.out.splitlines() if line.strip()[:1].isdigit()]
    assert (len(shown), shown[:500]) == (3_000, [str(n) for n in range(500)])


def test_login_keeps_a_token_that_works_and_whoami_says_whose(here: Here, served: Served) -> None:
    env = {"STORECTL_STORE": ""}

    done = login(here, served)

    assert (done.code, done.out) == (0, "")
    assert (here.config / "credentials.toml").stat().st_mode & 0o777 == 0o600
    assert served.token not in (here.config / "config.toml").read_text()
    assert here("whoami", env=env).out == "alice\n"
    told = here("whoami", "--json", env=env).json()
    assert (told["server"], told["profile"]) == (served.url, "local")
    assert told["tokenSource"] == "credentials.toml [local]"
    assert served.token not in here("profile", "show", "local", "--json").out


def test_a_token_that_is_refused_is_not_kept(here: Here, served: Served) -> None:
    done = here("login", "--with-token", "--server", served.url, stdin="storectl_wrong\n")

    assert done.code == 4
    assert "storectl_wrong" not in done.err
    assert not (here.config / "credentials.toml").exists()


def test_login_on_a_terminal_hides_the_token(here: Here, served: Served) -> None:
    done = here.on_terminal(
        "login", "--server", served.url, "--profile", "mine",
        typed=served.token + "\n", env={"STORECTL_STORE": ""},
    )  # fmt: skip

    assert done.code == 0, done.out
    assert "Logged in to" in done.out
    assert here("whoami", "--profile", "mine", env={"STORECTL_STORE": ""}).out == "alice\n"


@pytest.mark.parametrize(
    ("args", "stdin", "code"),
    [
        ([], "", 2),
        (["--with-token"], "", 2),
        (["--with-token"], "two words\n", 2),
        (["--with-token", "--server", "http://data.example"], "t\n", 2),
        (["--with-token", "--store", "x"], "t\n", 2),
    ],
)
def test_a_login_that_cannot_be_is_refused_before_anything_is_sent(
    here: Here, args: list[str], stdin: str, code: int
) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": "http://127.0.0.1:9"}

    assert here("login", *args, stdin=stdin, env=env).code == code


def test_logout_forgets_the_token_and_keeps_the_profile(here: Here, served: Served) -> None:
    login(here, served)

    assert here("logout").code == 0
    assert here("profile", "ls", "-q").out == "local\n"
    assert served.token not in (here.config / "credentials.toml").read_text()
    assert here("whoami", env={"STORECTL_STORE": ""}).code == 4
    assert here("logout").code == 3


def test_a_profile_before_the_colon_chooses_the_server(here: Here, served: Served) -> None:
    login(here, served, "--profile", "prod")
    here("dataset", "create", "by-prefix", "-p", "prod", env={"STORECTL_STORE": ""})

    assert here("dataset", "info", "prod:by-prefix", "-q").code == 0
    assert here("dataset", "info", "by-prefix").code == 3
    unknown = here("dataset", "info", "pord:by-prefix")
    assert (unknown.code, "no profile 'pord'" in unknown.err) == (3, True)


def test_a_url_leads_to_its_own_server_with_its_own_token(here: Here, served: Served) -> None:
    login(here, served)
    id = here("dataset", "create", "by-url", "-p", "local", env={"STORECTL_STORE": ""}).out.strip()

    done = here("dataset", "info", f"{served.url}/v2/datasets/{id}/items", "-q")

    assert done.out == f"{id}\n"
    assert here("dataset", "info", f"https://evil.example/v2/datasets/{id}").code == 2


def test_tokens_are_made_listed_and_revoked(here: Here, env: dict[str, str]) -> None:
    secret = here("token", "create", "ci", "-q", env=env).out.strip()
    other = env | {"STORECTL_TOKEN": secret}

    assert here("whoami", env=other).out == "alice\n"
    assert "ci" in here("token", "ls", env=env).out
    assert secret not in here("token", "ls", "--json", env=env).out
    assert here("token", "revoke", "ci", env=env).code == 2
    assert here("token", "revoke", "ci", "--dry-run", env=env).code == 0
    assert here("token", "revoke", "ci", "--yes", env=env).code == 0
    assert here("whoami", env=other).code == 4


def test_a_token_for_another_user_is_made_on_the_store_itself(here: Here) -> None:
    done = here("token", "create", "--user", "bob")

    assert done.out.startswith("storectl_")
    assert done.err == ""
    assert here("token", "ls", "--json=username").json()["items"] == [{"username": "bob"}]
    assert here("token", "create", "--user", "bob", "-q").code == 0


def test_without_a_token_whoami_is_unauthorized(here: Here, served: Served) -> None:
    done = here("whoami", env={"STORECTL_STORE": "", "STORECTL_SERVER": served.url})

    assert (done.code, done.out) == (4, "")
    assert "try: storectl login" in done.err


def test_debug_shows_the_calls_and_no_secrets(
    here: Here, env: dict[str, str], served: Served
) -> None:
    done = here("dataset", "ls", "--debug", env=env)

    assert "GET " in done.err
    assert "/v2/datasets" in done.err
    assert served.token not in done.err


def test_the_doctor_is_content_with_a_server_that_answers(here: Here, env: dict[str, str]) -> None:
    done = here("doctor", "--json", env=env)

    states = {row["check"]: row["state"] for row in done.json()["items"]}
    assert done.code == 0
    assert {"server": "ok", "token": "ok", "clock": "ok"}.items() <= states.items()


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"STORECTL_TOKEN": "storectl_wrong"}, "token"),
        ({"STORECTL_SERVER": "http://127.0.0.1:9"}, "server"),
        ({"STORECTL_SERVER": "nonsense"}, "target"),
    ],
)
def test_the_doctor_finds_what_is_wrong_and_exits_1(
    here: Here, env: dict[str, str], change: dict[str, str], check: str
) -> None:
    done = here("doctor", "--json", env=env | change)

    failed = [row for row in done.json()["items"] if row["state"] == "fail"]
    assert done.code == 1
    assert [row["check"] for row in failed] == [check]
    assert failed[0]["fix"]


def test_the_doctor_survives_broken_files(here: Here, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.toml").write_text("[ui\n")
    (config / "credentials.toml").write_text("[a]\ntoken='t'\norigin='o'\n")
    (config / "credentials.toml").chmod(0o644)

    done = here("doctor", "--json")

    failed = {row["check"]: row["fix"] for row in done.json()["items"] if row["state"] == "fail"}
    assert done.code == 1
    assert set(failed) == {"config", "credentials"}
    assert failed["credentials"].startswith("chmod 600 ")


def test_api_calls_what_no_command_offers(here: Here, env: dict[str, str]) -> None:
    id = here("dataset", "create", "by-api", env=env).out.strip()
    Path("change.json").write_text('{"title":"Prices {all}"}')

    changed = here("api", "PUT", f"datasets/{id}", "--input", "change.json", env=env)
    found = here("api", f"/v2/datasets/{id}?x=1", "-i", env=env)
    listed = here("api", "datasets", "-f", "limit=1", env=env)
    gone = here("api", "delete", "datasets/~by-api", env=env)

    assert changed.json()["data"]["title"] == "Prices {all}"
    assert "content-type: application/json" in found.out
    assert len(listed.json()["data"]["items"]) == 1
    assert (gone.code, gone.out) == (0, "")
    assert here("api", f"datasets/{id}", env=env).code == 3


@pytest.mark.parametrize(
    "args", [["TAKE", "x"], ["https://evil.example/v2/x"], ["x", "-f", "y"], ["x", "-H", "y"]]
)
def test_an_api_call_that_makes_no_sense_is_refused(
    here: Here, env: dict[str, str], args: list[str]
) -> None:
    assert here("api", *args, env=env).code == 2


def test_a_store_in_this_process_has_no_api(here: Here) -> None:
    assert here("api", "datasets").code == 9
