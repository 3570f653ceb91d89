"""The official JavaScript client: js/apify-client.test.mjs, run by node's own test runner."""

from __future__ import annotations

import os
import subprocess

from running import JAVASCRIPT, Server


def test_the_javascript_client_works_unchanged(server: Server, node: str) -> None:
    accounts = {"TOKEN": server.token("alice"), "OTHER_TOKEN": server.token("bob")}

    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", "apify-client.test.mjs"],
        cwd=JAVASCRIPT,
        env={**os.environ, **accounts, "SERVER": server.address},
        capture_output=True,
        text=True,
        timeout=80,
    )

    assert done.returncode == 0, done.stdout + done.stderr
