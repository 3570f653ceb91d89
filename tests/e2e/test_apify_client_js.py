"""The official JavaScript client: js/apify-client.test.mjs, run by node's own test runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from running import Server

FOLDER = Path(__file__).parent / "js"


def _programs() -> tuple[str, str]:
    """node and npm: a skip where they are missing, with CI=true a failure."""
    found = shutil.which("node"), shutil.which("npm")
    if not all(found):
        assert not os.environ.get("CI"), "node and npm are not installed"
        pytest.skip("node and npm are not installed")
    return str(found[0]), str(found[1])


def _install(npm: str) -> None:
    """Install the client next to its lock file, unless that has been done."""
    wanted, installed = FOLDER / "package-lock.json", FOLDER / "node_modules/.package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime:
        return
    words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run([npm, *words], cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_javascript_client_works_unchanged(server: Server) -> None:
    node, npm = _programs()
    _install(npm)
    accounts = {"TOKEN": server.token("alice"), "OTHER_TOKEN": server.token("bob")}

    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", "apify-client.test.mjs"],
        cwd=FOLDER,
        env={**os.environ, **accounts, "SERVER": server.address},
        capture_output=True,
        text=True,
        timeout=80,
    )

    assert done.returncode == 0, done.stdout + done.stderr
