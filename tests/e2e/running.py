"""`storectl serve` and `storectl token create`, run as people run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

JAVASCRIPT = Path(__file__).with_name("js")
STORECTL = [sys.executable, "-m", "storectl"]


class Server(NamedTuple):
    """A running server. log: what it has said on stderr. store: where it keeps things."""

    address: str
    folder: Path
    log: Path
    process: subprocess.Popen[bytes]
    store: str

    def token(self, user: str) -> str:
        """A new token of a user, who is created if need be."""
        words = ["--store", self.store, "token", "create", "--user", user, "-q"]
        made = subprocess.run(
            [*STORECTL, *words],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(self.folder),
        )
        return made.stdout.strip()


Start = Callable[..., Server]


def environment(folder: Path) -> dict[str, str]:
    """The environment without the developer's own settings of storectl."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STORECTL_")}
    return {**own, "STORECTL_CONFIG_DIR": str(folder.with_name("config"))}


@contextmanager
def serve(folder: Path, *options: str, port: int = 0, store: str | None = None) -> Iterator[Server]:
    """A server on the store in the folder, or another, with more options of `storectl serve`."""
    store = store or str(folder)
    log = folder.with_name(f"{folder.name}.log")
    words = ["serve", "--store", store, "--port", str(port), *options]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*STORECTL, *words], stdout=subprocess.PIPE, stderr=errors, env=environment(folder)
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the server did not start: {log.read_text()}"
        yield Server(json.loads(line)["url"], folder, log, process, store)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
