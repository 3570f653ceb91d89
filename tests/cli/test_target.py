"""Where a run goes, and which token it takes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storectl.cli.target import Chooser, Target
from storectl.config import Config, Credential, Profile
from storectl.errors import InvalidInput, Local, NotFound

PROD = Profile(server="https://api.apify.com")
LOCAL = Profile(server="http://127.0.0.1:8010")
STORED = {
    "prod": Credential(token="prod-token", origin="https://api.apify.com"),
    "local": Credential(token="local-token", origin="http://127.0.0.1:8010"),
}


def chooser(
    flags: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    default: str | None = None,
    **profiles: Profile,
) -> Chooser:
    config = Config(default_profile=default, profiles={"prod": PROD, "local": LOCAL} | profiles)
    return Chooser(flags or {}, environ or {}, config, lambda: STORED, lambda: Path("/built-in"))


def test_with_nothing_set_it_is_the_store_of_the_platform() -> None:
    found = chooser().choose()

    assert found == Target(store="/built-in", chosen_by="default")


@pytest.mark.parametrize(
    ("flags", "environ", "default", "place"),
    [
        ({"store": "./a"}, {"STORECTL_STORE": "./b"}, "prod", "./a"),
        ({"server": "https://x.example"}, {"STORECTL_STORE": "./b"}, "prod", "https://x.example"),
        ({"profile": "local"}, {"STORECTL_STORE": "./b"}, "prod", "http://127.0.0.1:8010"),
        ({}, {"STORECTL_STORE": "./b", "STORECTL_SERVER": "https://x.example"}, "prod", "./b"),
        ({}, {"STORECTL_SERVER": "https://x.example/v2/"}, "prod", "https://x.example"),
        ({}, {"APIFY_API_BASE_URL": "https://y.example"}, "prod", "https://y.example"),
        ({}, {"APIFY_CLIENT_BASE_URL": "https://z.example"}, "prod", "https://z.example"),
        ({}, {"STORECTL_PROFILE": "local"}, "prod", "http://127.0.0.1:8010"),
        ({}, {"APIFY_TOKEN": "t"}, "local", "http://127.0.0.1:8010"),
        ({}, {"APIFY_TOKEN": "t"}, None, "https://api.apify.com"),
        ({}, {"STORECTL_TOKEN": "t"}, None, "https://api.apify.com"),
    ],
)
def test_flags_come_before_variables_and_those_before_the_configuration(
    flags: dict[str, str], environ: dict[str, str], default: str | None, place: str
) -> None:
    assert chooser(flags, environ, default).choose().place == place


@pytest.mark.parametrize(
    ("flags", "environ", "default", "token"),
    [
        ({}, {}, "prod", "prod-token"),
        ({}, {"STORECTL_TOKEN": "mine"}, "prod", "mine"),
        ({}, {"STORECTL_TOKEN": "mine", "APIFY_TOKEN": "other"}, "prod", "mine"),
        ({}, {"APIFY_TOKEN": "other"}, "prod", "other"),
        ({"profile": "local"}, {"APIFY_TOKEN": "other"}, "prod", "local-token"),
        ({"server": "https://api.apify.com"}, {}, None, "prod-token"),
        ({"server": "https://evil.example"}, {}, "prod", None),
        ({"server": "https://evil.example", "profile": "prod"}, {}, None, None),
    ],
)
def test_a_token_comes_from_the_profile_named_the_environment_or_the_store_for_its_origin(
    flags: dict[str, str], environ: dict[str, str], default: str | None, token: str | None
) -> None:
    assert chooser(flags, environ, default).choose().token == token


def test_a_stored_token_is_not_sent_where_its_profile_was_moved_to() -> None:
    moved = Profile(server="https://elsewhere.example")

    assert chooser(prod=moved).profile("prod").token is None


def test_a_token_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")

    found = chooser({}, {"STORECTL_TOKEN_FILE": str(file)}).choose()

    assert (found.token, found.token_source) == ("from-file", "STORECTL_TOKEN_FILE")
    with pytest.raises(Local, match="cannot be read"):
        chooser({}, {"STORECTL_TOKEN_FILE": str(tmp_path / "none")}).choose()


@pytest.mark.parametrize(
    ("origin", "place", "token"),
    [
        ("http://127.0.0.1:8010", "http://127.0.0.1:8010", "local-token"),
        ("http://127.0.0.1:9999", "http://127.0.0.1:9999", None),
        ("https://console.apify.com", "https://api.apify.com", "prod-token"),
    ],
)
def test_a_url_leads_to_the_profile_of_its_origin_or_to_this_machine(
    origin: str, place: str, token: str | None
) -> None:
    found = chooser().origin(origin)

    assert (found.place, found.token) == (place, token)


def test_a_url_of_an_unknown_server_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"https://evil\.example is the server of no profile"):
        chooser().origin("https://evil.example")


@pytest.mark.parametrize(
    "url", ["http://data.example", "http://127.evil.example", "http://10.0.0.1"]
)
def test_http_beyond_this_machine_needs_a_profile_that_allows_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="is not encrypted"):
        chooser({"server": url}).choose()

    allowed = Profile(server=url, allow_http=True)
    assert chooser({"server": url}, lan=allowed).choose().server == url
    assert chooser(lan=allowed).profile("lan").server == url


def test_store_and_server_exclude_each_other() -> None:
    with pytest.raises(InvalidInput, match="--store and --server exclude each other"):
        chooser({"store": "a", "server": "https://x.example"}).choose()


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    with pytest.raises(NotFound, match=r"no profile 'pord' \(known: prod, local\)"):
        chooser({"profile": "pord"}).choose()


def test_a_profile_may_be_a_store() -> None:
    found = chooser({"profile": "here"}, here=Profile(store="./data")).choose()

    assert (found.store, found.server) == ("./data", None)


@pytest.mark.parametrize("url", ["api.apify.com", "ftp://x", "https://", "https://u:p@x.example"])
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(InvalidInput):
        chooser({"server": url}).choose()
