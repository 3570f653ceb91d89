"""storectl open: what it gives to a browser leads a real one into the console."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

playwright = pytest.importorskip("playwright.sync_api")
Page, expect = playwright.Page, playwright.expect

REPOSITORY = Path(__file__).parents[2]
HELD = 'cp -p "${1#file://}" page.part && mv page.part page.html'


@pytest.fixture
def handed(served: str, token: str, tmp_path: Path) -> Callable[[str], str]:
    """handed(REF): the address of a copy of the file that a browser is given for it."""
    program = tmp_path / "browser"
    program.write_text(f"#!/bin/sh\ncd '{tmp_path}' && {HELD}\n")
    program.chmod(0o755)
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "BROWSER": str(program),
        "STORECTL_CONFIG_DIR": str(tmp_path / "config"),
        "STORECTL_SERVER": served,
        "STORECTL_TOKEN": token,
    }

    def run(ref: str) -> str:
        words = [sys.executable, "-m", "storectl", "open", ref]
        subprocess.run(words, env=environ, check=True, timeout=60, stdout=subprocess.DEVNULL)
        page, end = tmp_path / "page.html", time.monotonic() + 60
        while not page.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        return page.as_uri()

    return run


def test_a_browser_lands_on_the_storage_and_its_address_forgets_the_token(
    newcomer: Page, served: str, api: httpx.Client, token: str, handed: Callable[[str], str]
) -> None:
    id = api.post("/v2/datasets", params={"name": "prices"}).json()["data"]["id"]

    newcomer.goto(handed("prices"))

    expect(newcomer.get_by_role("heading", name="prices", level=1)).to_be_visible()
    assert newcomer.url == f"{served}/#/datasets/{id}"
    newcomer.reload()
    expect(newcomer.get_by_role("heading", name="prices", level=1)).to_be_visible()
    assert token not in newcomer.content()


def test_back_does_not_lead_to_the_file_with_the_token(
    newcomer: Page, api: httpx.Client, token: str, handed: Callable[[str], str]
) -> None:
    api.post("/v2/key-value-stores", params={"name": "shots"})

    newcomer.goto(handed("kvs/shots"))
    newcomer.get_by_role("heading", name="shots", level=1).wait_for()
    newcomer.go_back()

    assert newcomer.url == "about:blank"
