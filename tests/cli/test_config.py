"""config.toml and credentials.toml: what they may say, and who may read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from storectl import config as conf
from storectl.config import Config, Credential, Profile
from storectl.errors import Local

from .conftest import Cli, Here


def test_credentials_come_back_from_a_file_that_only_the_owner_reads(tmp_path: Path) -> None:
    stored = {"prod": Credential(token="t", origin="https://api.apify.com")}

    path = conf.write_credentials(tmp_path / "new", stored)

    assert conf.read_credentials(tmp_path / "new") == stored
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["credentials.toml"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_credentials_that_others_may_read_are_refused(tmp_path: Path, mode: int) -> None:
    path = conf.write_credentials(tmp_path, {"a": Credential("secret", "https://x.example")})
    path.chmod(mode)

    with pytest.raises(Local, match=f"mode {mode:03o}") as failure:
        conf.read_credentials(tmp_path)

    assert failure.value.hint == f"chmod 600 {path}"
    assert "secret" not in failure.value.message


def test_a_configuration_comes_back_as_it_was_written(tmp_path: Path) -> None:
    config = Config(
        default_profile="prod",
        profiles={"prod": Profile(server="https://api.apify.com")},
        aliases={"a": "dataset ls"},
    )
    config.serve.rate_limit = (30, 200)

    conf.write_config(tmp_path, config)

    assert conf.read_config(tmp_path) == config


def test_without_files_everything_is_built_in(tmp_path: Path) -> None:
    assert conf.read_config(tmp_path) == Config()
    assert conf.read_credentials(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ui]\naccessible = 'yes'", "ui.accessible must be true or false, not a text"),
        ("[transfer]\nretries = 'x'", "transfer.retries must be a whole number, not a text"),
        ("profiles = 3", "profiles must be a table, not a whole number"),
        ("[ui", "is not TOML"),
    ],
)
def test_a_broken_configuration_is_a_failure_of_this_machine(
    here: Here, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.toml").write_text(text)

    done = here("dataset", "ls")

    assert (done.code, done.out) == (12, "")
    assert words in done.err
    assert "config.toml" in done.err


def test_set_get_and_unset(here: Here) -> None:
    assert here("config", "set", "transfer.timeout", "5m").code == 0
    assert here("config", "set", "serve.rate_limit", "60/400").code == 0

    assert here("config", "get", "transfer.timeout").out == "5m\n"
    assert here("config", "get", "serve.rate_limit", "--json").json() == [60, 400]
    assert here("config", "get").lines() == [
        "transfer.timeout\t5m",
        "serve.rate_limit\t[60,400]",
    ]
    assert here("config", "set", "transfer.timeout", "").code == 0
    assert here("config", "get", "transfer.timeout").code == 3


@pytest.mark.parametrize(("key", "value"), [("ui.colour", "x"), ("a.b.c", "x"), ("ui", "x")])
def test_a_setting_that_does_not_exist_cannot_be_set(here: Here, key: str, value: str) -> None:
    done = here("config", "set", key, value)

    assert done.code == 2
    assert here("config", "get").out == ""


def test_losing_comments_is_said(here: Here, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.toml").write_text("# mine\n[ui]\ncolor = 'never'\n")

    done = here("config", "set", "ui.progress", "none")

    assert "comments" in done.err
    assert here("config", "get", "ui.color").out == "never\n"


def test_path_says_where(here: Here, tmp_path: Path) -> None:
    assert here("config", "path").out == f"{tmp_path / 'config/config.toml'}\n"


def test_profiles_are_added_chosen_shown_and_removed(here: Here, cli: Cli) -> None:
    assert here("profile", "add", "prod", "--server", "https://api.apify.com/v2/").out == "prod\n"
    assert here("profile", "add", "here", "--store", "./data").code == 0
    assert here("profile", "use", "here").code == 0

    listed = here("profile", "ls", "--json=name,current,place").json()["items"]
    assert listed == [
        {"name": "prod", "current": None, "place": "https://api.apify.com"},
        {"name": "here", "current": "*", "place": f"{cli.folder}/data"},
    ]
    assert here("profile", "show", "prod", "--json").json()["server"] == "https://api.apify.com"
    assert here("profile", "rm", "prod").code == 2
    assert here("profile", "rm", "prod", "--yes").out == "prod\n"
    assert here("profile", "ls", "-q").lines() == ["here"]


@pytest.mark.parametrize(
    "args",
    [
        ["profile", "add", "x"],
        ["profile", "add", "x", "--server", "https://a.example", "--store", "b"],
        ["profile", "add", "a:b", "--store", "b"],
        ["profile", "use", "none"],
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(here: Here, args: list[str]) -> None:
    assert here(*args).code in (2, 3)
    assert here("profile", "ls").out == ""
