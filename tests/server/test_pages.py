"""The files of the console over HTTP: those and no others, under a strict policy."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest
from hatchling.builders.wheel import WheelBuilder

from storectl.server.pages import FOLDER, POLICY

from .conftest import Connect

FILES = sorted(path.name for path in FOLDER.iterdir())
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@pytest.fixture
def anyone(connect: Connect) -> httpx.Client:
    """A client without a token."""
    return connect(None)


def test_the_console_is_at_the_root_for_anybody(anyone: httpx.Client) -> None:
    answer = anyone.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
def test_every_file_has_its_type_and_the_policy(anyone: httpx.Client, name: str) -> None:
    answer = anyone.get(f"/console/{name}")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[name.rpartition(".")[2]]
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert "access-control-allow-origin" not in answer.headers
    assert answer.content == (FOLDER / name).read_bytes()


def test_every_file_is_in_the_wheel() -> None:
    root = FOLDER.parents[2]

    packed = {one.distribution_path for one in WheelBuilder(str(root)).recurse_included_files()}

    assert {f"storectl/server/console/{name}" for name in FILES} <= packed


def test_the_policy_lets_in_nothing_but_our_own() -> None:
    assert POLICY.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|\*|https?:", POLICY)


def test_a_file_that_has_not_changed_is_not_sent_again(anyone: httpx.Client) -> None:
    tag = anyone.get("/console/main.js").headers["etag"]

    again = anyone.get("/console/main.js", headers={"If-None-Match": f'"other", {tag}'})
    other = anyone.get("/console/main.js", headers={"If-None-Match": '"other"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert other.status_code == 200


def test_a_file_comes_packed_to_those_who_take_it(anyone: httpx.Client) -> None:
    packed = anyone.get("/console/style.css", headers={"Accept-Encoding": "br, gzip"})
    plain = anyone.get("/console/style.css", headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.content == plain.content
    assert len(gzip.compress(plain.content)) < len(plain.content) / 3


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/console",
        "/console/",
        "/console/index.html",
        "/console/nothing.js",
        "/console/../pages.py",
        "/console/..%2Fpages.py",
        "/console/%2e%2e/pages.py",
        "/console//etc/passwd",
        "/console/MAIN.JS",
        "/console/main.js/",
        "/console/main.js%00.css",
        "/console/..\\pages.py",
        "/favicon.ico",
        "/v2/console/main.js",
    ],
)
def test_no_other_path_leads_to_a_file(anyone: httpx.Client, path: str) -> None:
    answer = anyone.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "page-not-found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_console_is_only_read(anyone: httpx.Client, method: str) -> None:
    assert anyone.request(method, "/").status_code == 404


def test_a_head_has_no_body(anyone: httpx.Client) -> None:
    answer = anyone.head("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES["html"]


@pytest.mark.parametrize("kind", ["datasets", "key-value-stores", "request-queues"])
def test_the_console_address_of_a_storage_leads_to_its_screen(api: httpx.Client, kind: str) -> None:
    made = api.post(f"/v2/{kind}").json()["data"]
    screen = {"datasets": "datasets", "key-value-stores": "kvs", "request-queues": "queues"}[kind]

    answer = api.get(made["consoleUrl"])

    assert answer.status_code == 302
    assert answer.headers["location"] == f"../../#/{screen}/{made['id']}"


@pytest.mark.parametrize(
    "path", ["/storage/datasets/", "/storage/nothing/x", "/storage/datasets/x/y", "/storage"]
)
def test_no_other_storage_address_leads_anywhere(anyone: httpx.Client, path: str) -> None:
    assert anyone.get(path).status_code == 404


def test_a_hostile_name_stays_in_the_fragment(anyone: httpx.Client) -> None:
    answer = anyone.get("/storage/datasets/a%0D%0ASet-Cookie:%20x%3F%23<b>")

    assert answer.status_code == 302
    assert answer.headers["location"] == "../../#/datasets/a%0D%0ASet-Cookie%3A%20x%3F%23%3Cb%3E"
    assert "set-cookie" not in answer.headers


def test_the_pages_have_nothing_inline_and_nothing_from_elsewhere() -> None:
    """What the policy forbids would fail in the browser; what is from elsewhere, offline."""
    for path in FOLDER.iterdir():
        text = path.read_text("utf-8")
        if path.suffix == ".html":
            assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", text)
        if path.suffix == ".js":
            words = (
                r"\.innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
            )
            assert not re.search(words, text), path.name
        outside = re.findall(r"(?:src|href|url|from|import)\W{1,3}(https?://[^\s\"']+)", text)
        assert outside == [], path.name


def test_every_file_that_is_named_is_there() -> None:
    for path in FOLDER.iterdir():
        named = re.findall(
            r"""["'](?:\./|console/)([a-z-]+\.(?:js|css|svg))["']""", path.read_text()
        )
        assert set(named) <= set(FILES), path.name
