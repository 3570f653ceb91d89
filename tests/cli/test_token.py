"""Tokens: made with a scope and an end, checked, rotated, revoked; and never seen again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storectl.cli.frame import Group, Root
from storectl.cli.token import staleness
from storectl.model import rules
from storectl.model.token import Token

from .conftest import Here, Served
from .test_failures import ASKING, Handler, Stub, running, words

Env = dict[str, str]


def env_of(url: str, token: str) -> Env:
    return {
        "STORECTL_STORE": "",
        "STORECTL_SERVER": url,
        "STORECTL_TOKEN": token,
        "STORECTL_RETRIES": "0",
    }


@pytest.fixture
def alice(served: Served) -> Env:
    return env_of(served.url, served.token)


def test_a_secret_is_alone_on_stdout_and_nowhere_else(here: Here) -> None:
    made = here("token", "create", "ci", "--expires", "90d")
    shown = here.on_terminal("token", "create", "other")

    assert rules.is_token(made.out.strip())
    assert made.err == ""
    assert "It is not shown again, and whoever has it has the rights of its user" in shown.out
    assert "It never expires; --expires 90d makes one that does" in shown.out
    for path in here.folder.rglob("*"):
        assert not path.is_file() or made.out.strip().encode() not in path.read_bytes()


def test_a_token_may_what_its_scope_says_and_no_more(here: Here, alice: Env) -> None:
    here("dataset", "create", "scoped", env=alice)
    here("kvs", "create", "scoped", env=alice)
    secret = here(
        "token", "create", "--scope", "dataset:list,queue:create", "--resource",
        "dataset/scoped:read", "--expires", "1h", "-q", env=alice,
    ).out.strip()  # fmt: skip
    mine = alice | {"STORECTL_TOKEN": secret}
    created = here("queue", "create", env=mine).out.strip()

    codes = {
        line: here(*line.split(), env=mine).code
        for line in (
            "dataset ls", "dataset info scoped", f"queue info {created}", f"queue rm -y {created}",
            "dataset rm -y scoped", "kvs info scoped", "kvs ls", "dataset create another",
            "token ls", "access report",
        )
    }  # fmt: skip

    assert [line for line, code in codes.items() if code == 0] == list(codes)[:4]
    assert {code for code in codes.values() if code} <= {3, 5}


def test_a_resource_may_be_named_without_its_noun_if_there_is_one_alone(here: Here) -> None:
    id = here("dataset", "create", "prices").out.strip()

    def scope(*resource: str) -> object:
        made = here("token", "create", "--json", *resource)
        return made.json()["scope"] if made.code == 0 else made

    assert scope("--resource", "prices:read") == [f"dataset/{id}:read"]
    assert scope("--resource", f"{id}:read,write") == [f"dataset/{id}:write"]
    here("kvs", "create", "prices")
    assert scope("--resource", "dataset/prices:manage") == [f"dataset/{id}:manage"]
    unclear = here("token", "create", "--resource", "prices:read")
    assert (unclear.code, unclear.out) == (2, "")
    assert "--resource dataset/prices:… or --resource kvs/prices:…" in unclear.err


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--resource", "prices:own"], 2),
        (["--resource", "prices"], 2),
        (["--resource", "missing:read"], 3),
        (["--resource", "kvs/prices:read"], 3),
        (["--scope", "dataset"], 2),
        (["--scope", "actor:read"], 2),
        (["--expires", "soon"], 2),
        (["--expires", "1d", "--never"], 2),
    ],
)
def test_a_token_that_cannot_be_is_not_made(here: Here, args: list[str], code: int) -> None:
    here("dataset", "create", "prices")

    done = here("token", "create", "ci", *args)

    assert (done.code, done.out) == (code, "")
    assert here("token", "ls").out == ""


def test_a_rotated_token_works_beside_the_old_one_for_as_long_as_was_said(
    here: Here, alice: Env
) -> None:
    first = here("token", "create", "rotated", "-q", env=alice).out.strip()
    asking = here("token", "rotate", "rotated", env=alice)
    second = here("token", "rotate", "rotated", "--keep-old", "1h", env=alice).out.strip()

    def works(*secrets: str) -> list[bool]:
        return [
            here("whoami", env=alice | {"STORECTL_TOKEN": secret}).code == 0 for secret in secrets
        ]

    assert (asking.code, asking.out) == (2, "")
    assert works(first, second) == [True, True]
    third = here("token", "rotate", "rotated", "--yes", "-q", env=alice).out.strip()
    assert works(first, second, third) == [False, False, True]
    assert here("token", "revoke", "rotated", "--yes", env=alice).code == 0
    assert works(third) == [False]


def test_info_and_ls_tell_scope_use_and_expiry_without_the_secret(here: Here) -> None:
    secret = here("token", "create", "ci", "--scope", "kvs:write", "--expires", "2d").out.strip()

    row = here("token", "info", "ci", "--json").json()

    assert (row["scope"], row["state"], row["lastUsedAt"]) == (["kvs:write"], "good", None)
    assert here("token", "ls", "--json").json()["items"] == [row]
    assert secret not in json.dumps(row)
    assert here("token", "info", "other").code == 3


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ({"expires_days": 1, "used_days": 1}, []),
        ({"expires_days": 1, "used_days": 91}, ["not used for long"]),
        ({"expires_days": 1, "made_days": 91}, ["never used"]),
        ({"expires_days": 1, "made_days": 89}, []),
        ({"made_days": 1}, ["never expires"]),
        ({"used_days": 91}, ["never expires", "not used for long"]),
        ({"expires_days": -1, "made_days": 91}, []),
    ],
)
def test_a_token_is_stale_if_unused_for_long_or_without_an_end(
    token: dict[str, int], why: list[str]
) -> None:
    def ago(days: int | None) -> str | None:
        return None if days is None else rules.iso(int((time.time() - days * 86_400) * 1000))

    expires = token.get("expires_days")
    made = Token(
        id="WkzbQMuFYuamGv3YF",
        name="ci",
        username="alice",
        last4="abcd",
        created_at=str(ago(token.get("made_days", 100))),
        last_used_at=ago(token.get("used_days")),
        expires_at=ago(None if expires is None else -expires),
    )

    assert staleness(made, 90 * 86_400) == why


def test_check_says_whose_token_it_is_and_where_it_came_from(
    here: Here, served: Served, alice: Env, tmp_path: Path
) -> None:
    secret = here("token", "create", "--scope", "dataset:read", "--expires", "1h", env=alice)
    (tmp_path / "secret").write_text(secret.out)
    here("login", "--with-token", stdin=secret.out, env=alice | {"STORECTL_TOKEN": ""})
    in_file = alice | {"STORECTL_TOKEN": "", "STORECTL_TOKEN_FILE": str(tmp_path / "secret")}
    in_profile = {"STORECTL_STORE": "", "STORECTL_PROFILE": "local"}

    told = {
        source: here("token", "check", "--json", env=env).json()
        for source, env in {
            "STORECTL_TOKEN": alice,
            "STORECTL_TOKEN_FILE": in_file,
            "credentials.toml [local]": in_profile,
        }.items()
    }

    assert {source: row["tokenSource"] for source, row in told.items()} == {
        source: source for source in told
    }
    assert {row["username"] for row in told.values()} == {"alice"}
    assert [row["scope"] for row in told.values()] == [None, ["dataset:read"], ["dataset:read"]]
    assert told["STORECTL_TOKEN_FILE"]["expiresAt"]
    assert secret.out.strip() not in json.dumps(told)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "no token for"),
        ("storectl_" + "0" * 36, "from STORECTL_TOKEN, mistyped or cut"),
        pytest.param(rules.new_token(), "from STORECTL_TOKEN\n", id="of nobody"),
    ],
)
def test_check_exits_4_without_a_token_that_is_taken(
    here: Here, alice: Env, token: str, said: str
) -> None:
    done = here("token", "check", env=alice | {"STORECTL_TOKEN": token})

    assert (done.code, done.out) == (4, "")
    assert said in done.err


def test_a_store_in_this_process_is_checked_without_a_token(here: Here) -> None:
    told = here("token", "check", "--json").json()

    assert (told["username"], told["tokenSource"]) == ("local", None)


def test_login_tells_scope_and_expiry_where_the_server_does(
    here: Here, served: Served, alice: Env
) -> None:
    secret = here("token", "create", "--scope", "kvs:read", "--expires", "30d", env=alice).out

    done = here.on_terminal(
        "login", "--server", served.url, typed=secret, env={"STORECTL_STORE": ""}
    )

    assert "It may do: kvs:read; it expires 20" in done.out


def test_a_stored_token_is_for_its_own_origin(here: Here, served: Served, alice: Env) -> None:
    here("login", "--with-token", stdin=served.token, env=alice | {"STORECTL_TOKEN": ""})
    other = {"STORECTL_STORE": "", "STORECTL_SERVER": "http://127.0.0.1:9"}

    assert here("token", "check", "-p", "local", env={"STORECTL_STORE": ""}).code == 0
    assert here("token", "check", env=other).code == 4
    assert here("token", "check", "-p", "local", env=other).code == 0


def test_no_command_takes_a_token_as_an_argument() -> None:
    def options(command: object) -> Iterator[str]:
        if isinstance(command, Group):
            for verb in command.verbs.values():
                yield from options(verb)
        yield from (name for param in command.params for name in param.opts)  # type: ignore[attr-defined]

    root = Root()
    found = {
        name
        for noun in root.list_commands(None)
        for name in options(root.get_command(None, noun))
        if "token" in name or "secret" in name
    }

    assert found == {"--with-token", "token"}  # from stdin; the ID or name of one


class Echo(Handler):
    """Fails, and tells what it was sent."""

    def message(self) -> str:
        return f"{self.headers.get('Authorization')} {self.path}"


@pytest.fixture(scope="module")
def echo() -> Iterator[Stub]:
    with running(Echo) as server:
        yield server


CANARY = "canary0123456789"
SIGNED = f"signature={CANARY}&token={CANARY}"


def seen(folder: Path, *secrets: str) -> list[str]:
    """The files that hold one of these, other than the one that is for them."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and path.name != "credentials.toml"
        and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


@pytest.mark.parametrize("name", ASKING)
def test_a_token_is_in_no_output_and_no_file(
    here: Here,
    echo: Stub,
    served: Served,
    file: Path,
    tmp_path: Path,
    name: str,
) -> None:
    """Where a server fails and repeats what it got, where none answers, and where one does."""
    line = words(name, file)
    said = ""
    for form, status in (("--json", 403), ("--debug", 500)):
        echo.status = status
        refused = here(form, *line, env=env_of(echo.url, CANARY))
        said += refused.out + refused.err
    said += here("--debug", *line, env=env_of("http://127.0.0.1:9", CANARY)).err

    done = here("--debug", *line, env=env_of(served.url, served.token))

    said += done.err + ("" if name in SHOWS_SECRETS else done.out)
    assert "debug: " in said
    assert served.token not in said
    assert CANARY not in said
    assert seen(tmp_path, served.token, CANARY) == []


SHOWS_SECRETS = ("token create", "token rotate")


@pytest.mark.parametrize(
    "name", [name for name in ASKING if name.split()[0] in ("dataset", "kvs", "queue")]
)
def test_a_signature_in_a_reference_is_in_no_output_and_no_file(
    here: Here, file: Path, tmp_path: Path, name: str, addressed: dict[str, str], alice: Env
) -> None:
    """Of a storage that is there, and of a URL that leads nowhere."""
    there = addressed[name.split()[0]]
    said = ""
    for form, url in (
        ("--debug", there), ("--json", there), ("--debug", there.replace("/v2/", "/none/"))
    ):  # fmt: skip
        line = words(name, file)
        at = 3 if name.split()[1] == "access" else 2
        at = line.index("files") if name == "kvs push" else at
        line[at : at + 1] = [f"{url}?{SIGNED}"]
        done = here(form, *line, env=alice)
        said += done.out + done.err

    assert said
    assert CANARY not in said
    assert seen(tmp_path, CANARY) == []


@pytest.fixture
def addressed(here: Here, alice: Env) -> dict[str, str]:
    """URLs of a storage of each kind."""
    found = {}
    for noun, segment in (
        ("dataset", "datasets"), ("kvs", "key-value-stores"), ("queue", "request-queues")
    ):  # fmt: skip
        id = here(noun, "create", env=alice).out.strip()
        found[noun] = f"{alice['STORECTL_SERVER']}/v2/{segment}/{id}"
    return found
