"""The API tab: what it shows is run by a real shell, and says no token."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from .clipboard import wait_for_copy

playwright = pytest.importorskip("playwright.sync_api")
Page, expect = playwright.Page, playwright.expect

Shot = Callable[[str], None]
REPOSITORY = Path(__file__).parents[2]


def opened(page: Page, path: str) -> Page:
    page.goto(f"/#/{path}/api")
    page.get_by_role("heading", name="Once in a shell").wait_for()
    return page


def shown(page: Page, title: str) -> str:
    return str(page.get_by_label(title, exact=True).inner_text())


@pytest.fixture
def shell(served: str, token: str, tmp_path: Path) -> Callable[[str], bytes]:
    """Runs a line as a shell would, with the token in its environment."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/storectl"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m storectl "$@"\n')
    program.chmod(0o755)
    environ = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(tmp_path),
        "STORECTL_CONFIG_DIR": str(tmp_path / "config"),
        "STORECTL_SERVER": served,
        "STORECTL_TOKEN": token,
    }

    def run(line: str) -> bytes:
        done = subprocess.run(
            ["sh", "-ec", line], env=environ, cwd=tmp_path, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


def test_commands_of_a_dataset_run_as_they_are_shown(
    page: Page, api: httpx.Client, token: str, shell: Callable[[str], bytes], tmp_path: Path,
    shot: Shot, axe: Callable[[Page], None],
) -> None:  # fmt: skip
    id = api.post("/v2/datasets", params={"name": "prices"}).json()["data"]["id"]
    (tmp_path / "items.json").write_text('[{"n": 1}]')
    opened(page, f"datasets/{id}")
    shot("api-curl")
    axe(page)

    shell(shown(page, "Append the items of a file"))
    assert httpx.Response(200, content=shell(shown(page, "The items as JSON"))).json() == [{"n": 1}]
    page.get_by_role("radio", name="storectl").check(force=True)
    shot("api-storectl")
    shell(shown(page, "Append the items of a file"))
    assert shell(shown(page, "The items as JSON")) == b'{"n": 1}\n{"n": 1}\n'
    shell(shown(page, "The clean items as CSV, into a file"))
    assert (tmp_path / "items.csv").exists()
    page.get_by_role("radio", name="Addresses").check(force=True)
    page.get_by_role("button", name="Copy: The items as JSON").click()
    wait_for_copy(page, f"{api.base_url}/v2/datasets/{id}/items")

    assert token not in page.content()


HOSTILE = [
    "it's",
    "$(touch owned)",
    "`touch owned`",
    "; touch owned",
    "-o",
    "a'\"$HOME!\n&&b",
    "../..",
]


@pytest.mark.parametrize("form", ["curl", "storectl"])
def test_a_hostile_key_stays_one_word(
    page: Page, api: httpx.Client, tmp_path: Path, form: str
) -> None:
    """What the shell hands over is what was typed: asked of a shell that runs nothing else."""
    id = api.post("/v2/key-value-stores").json()["data"]["id"]
    opened(page, f"kvs/{id}")
    page.get_by_role("radio", name=form).check(force=True)

    for key in HOSTILE:
        typed = key.replace("\n", "")  # a field of one line
        page.get_by_label("Key of a record").fill(typed)
        line = shown(page, "Delete a record")

        told = subprocess.run(
            ["sh", "-c", f"{form}() {{ printf '%s\\n' \"$@\"; }}\n{line}"],
            env={"STORECTL_TOKEN": "T"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )

        words = told.stdout.splitlines()
        if form == "storectl":
            assert words == ["kvs", "unset", *(["--"] if typed[0] == "-" else []), id, typed]
        else:
            assert words[:4] == ["-X", "DELETE", "-H", "Authorization: Bearer T"]
            assert len(words) == 5
            url = httpx.URL(words[4])
            assert url.path == f"/v2/key-value-stores/{id}/records/{typed}"
    assert list(tmp_path.iterdir()) == []


def test_commands_of_a_record_are_about_one_that_is_there(
    page: Page, api: httpx.Client, shell: Callable[[str], bytes], tmp_path: Path
) -> None:
    id = api.post("/v2/key-value-stores", params={"name": "shots"}).json()["data"]["id"]
    key = "it's_(a)_key!.txt"
    api.put(f"/v2/key-value-stores/{id}/records/{key}", content=b"found")
    opened(page, f"kvs/{id}")

    expect(page.get_by_label("Key of a record")).to_have_value(key)
    for form in ("curl", "storectl"):
        page.get_by_role("radio", name=form).check(force=True)
        shell(shown(page, "A record"))
        assert (tmp_path / key).read_bytes() == b"found"
        (tmp_path / key).unlink()


def test_commands_of_a_queue_run_as_they_are_shown(
    page: Page, api: httpx.Client, shell: Callable[[str], bytes]
) -> None:
    id = api.post("/v2/request-queues").json()["data"]["id"]
    opened(page, f"queues/{id}")

    for form in ("curl", "storectl"):
        page.get_by_role("radio", name=form).check(force=True)
        shell(shown(page, "Add a request"))
        assert b"example.com" in shell(shown(page, "The next requests"))
    assert b"example.com" in shell(shown(page, "Lock the next requests for a minute"))
    assert api.get(f"/v2/request-queues/{id}").json()["data"]["totalRequestCount"] == 1
