"""A command line with a store and a configuration of its own."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSCTTY, TIOCSWINSZ
from threading import Thread
from typing import Any, NamedTuple, Self

import pytest

REPOSITORY = Path(__file__).parents[2]


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @classmethod
    def of(cls, code: int, out: bytes | None, err: bytes | None) -> Self:
        told = ((one or b"").decode(errors="surrogateescape") for one in (out, err))
        return cls(code, *told)

    @property
    def bytes(self) -> bytes:
        """What it wrote, exactly."""
        return self.out.encode(errors="surrogateescape")

    def json(self) -> Any:
        return json.loads(self.out)

    def lines(self) -> list[str]:
        return self.out.splitlines()


class Cli:
    """Runs `storectl` as a program: in a pipe, or on a pseudo-terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.config = folder / "config"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "LANG": "C.UTF-8",
            "STORECTL_STORE": str(self.store),
            "STORECTL_CONFIG_DIR": str(self.config),
        }

    def start(self, *args: str, env: dict[str, str] | None = None, **how: Any) -> Any:
        """The running program, for whoever wants to watch it."""
        return subprocess.Popen(
            [sys.executable, "-m", "storectl", *args],
            env={name: value for name, value in (self.env | (env or {})).items() if value},
            cwd=self.folder,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how,
        )

    def __call__(
        self, *args: str, stdin: str | bytes = b"", env: dict[str, str] | None = None, **how: Any
    ) -> Done:
        """Run to the end with stdin as given. env: more variables; an empty one is unset."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        process = self.start(*args, env=env, **{"stdin": subprocess.PIPE} | how)
        out, err = process.communicate(given, timeout=120)
        return Done.of(process.returncode, out, err)

    def on_terminal(
        self, *args: str, typed: str = "", columns: int = 80, env: dict[str, str] | None = None
    ) -> Done:
        """Run with a terminal on all three streams; out is what it shows.

        typed: sent when the program asks, that is when it stops behind `: ` or `] `.
        """
        ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.start(
            *args,
            env={"TERM": "xterm"} | (env or {}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: ioctl(0, TIOCSCTTY, 0),
        )
        os.close(theirs)
        shown = b""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            ready, _, _ = select.select([ours], [], [], 0.1)
            if ready:
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # Linux: the other side is closed
                    break
            if typed and shown.endswith((b": ", b"] ")):
                os.write(ours, typed.encode())
                typed = ""
        code = process.wait(60)
        os.close(ours)
        return Done(code, shown.decode().replace("\r\n", "\n"), "")

    def until_shown(self, words: bytes, *args: str) -> bytes:
        """Run on a terminal until it shows these words, then end it with Ctrl-C; what it shows."""
        ours, theirs = pty.openpty()
        process = self.start(*args, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        while words not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        os.close(ours)
        return shown


class Here(Cli):
    """Runs it inside this process, off a terminal: forty times as fast as a program.

    What is started, or shown on a terminal, is a program here too.
    """

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]
    ) -> None:
        super().__init__(folder)
        self.patch, self.capture = patch, capture

    def __call__(
        self, *args: str, stdin: str | bytes = b"", env: dict[str, str] | None = None
    ) -> Done:
        from storectl.cli import main

        given = stdin.encode() if isinstance(stdin, str) else stdin
        with self.patch.context() as patch, in_pipe(given, patch):
            self._set(patch, self.env | (env or {}))
            self.capture.readouterr()
            code = main(list(args))
            shown = self.capture.readouterr()
        return Done.of(code, shown.out, shown.err)

    def _set(self, patch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
        for name in list(os.environ):
            if name.startswith(("STORECTL_", "APIFY_")) or name in NOT_OF_A_TEST:
                patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value) if value else patch.delenv(name, raising=False)


NOT_OF_A_TEST = ("CI", "NO_COLOR", "FORCE_COLOR")
"""Variables of whoever runs the tests that say how output looks."""


@contextmanager
def in_pipe(given: bytes, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, stdin is a pipe with these bytes."""
    kept = os.dup(0)
    read_end, write_end = os.pipe()
    os.dup2(read_end, 0)
    os.close(read_end)
    writer = Thread(target=_pour, args=(given, write_end))
    writer.start()
    with open(0, closefd=False) as stdin:
        patch.setattr(sys, "stdin", stdin)
        try:
            yield
        finally:
            os.dup2(kept, 0)
            os.close(kept)
            writer.join()


def _pour(given: bytes, write_end: int) -> None:
    with suppress(BrokenPipeError), open(write_end, "wb", buffering=0) as pipe:
        pipe.write(given)  # a command need not read to the end


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Here:
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, monkeypatch, capfdbinary)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Something to push, and beside it a folder that Crawlee could have written."""
    path = tmp_path / "items.jsonl"
    path.write_text('{"n":1}\n')
    crawlees = tmp_path / "storage/datasets/default"
    crawlees.mkdir(parents=True)
    (crawlees / "000000001.json").write_text('{"n":1}')
    return path


@pytest.fixture
def filled(here: Here, file: Path, tmp_path: Path) -> Path:
    """The folder of a store with items, and a record that is large enough to be a blob."""
    here("dataset", "push", "prices", str(file), "--create")
    here("kvs", "create", "files")
    (tmp_path / "big").write_bytes(b"x" * 300_000)
    here("kvs", "set", "files", "big", str(tmp_path / "big"))
    return tmp_path / "store"


class Served(NamedTuple):
    """A server that `storectl serve` runs, and a token for it."""

    url: str
    token: str
    store: Path


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of remote use; each test names its storages differently."""
    mine = Cli(tmp_path_factory.mktemp("served"))
    token = mine("token", "create", "--user", "alice", "-q").out.strip()
    process = mine.start("serve", "--port", "0", "--rate-limit", "off")
    try:
        ready = json.loads(process.stdout.readline())
        yield Served(ready["url"], token, mine.store)
    finally:
        process.terminate()
        process.communicate(timeout=60)
