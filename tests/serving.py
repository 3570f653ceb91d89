"""A server for tests: `python serving.py FOLDER` prints its address and serves until killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path


@contextmanager
def served(folder: Path | str, *, log: Path | None = None, **settings: object) -> Iterator[str]:
    """The address of a server on the store in the folder. log: where its stderr goes.

    rate, access: as its settings. clock: a file that says what time it is, in milliseconds.
    workers: how many. metrics: the port for them.
    """
    words = [f"{name}={value}" for name, value in settings.items()]
    with log.open("wb") if log else nullcontext() as errors:
        process = subprocess.Popen(
            [sys.executable, __file__, str(folder), *words],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), "the server did not start"
        yield address
    finally:
        process.terminate()
        process.wait(60)


def main(folder: str, *words: str) -> None:
    from functools import partial

    from storectl.engine import open_store
    from storectl.server import serve
    from storectl.server.settings import Settings

    given = dict(word.split("=", 1) for word in words)
    rate = given.get("rate", "off")
    settings = Settings(
        rate_limit=None if rate == "off" else (int(rate.split("/")[0]), int(rate.split("/")[1])),
        default_access=given.get("access", "RESTRICTED"),
    )
    clock = Path(given["clock"]) if "clock" in given else None
    serve(
        partial(open_store, folder, clock=clock and (lambda: int(clock.read_text()))),
        settings,
        port=0,
        workers=int(given.get("workers", 1)),
        metrics=("127.0.0.1", int(given["metrics"])) if "metrics" in given else None,
        on_ready=lambda address: print(address, flush=True),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
