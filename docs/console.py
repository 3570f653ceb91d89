"""Console blocks of the pages: run for real on a terminal of 80 columns.

A block is fenced with ```console; a line `$ command` is run by bash, and what
follows is what it shows. `# exit 3` behind a command is the exit code it has.
"""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\s+# exit (\d+)$")


class Shown(NamedTuple):
    """A command, the exit code it should have, and what it shows."""

    command: str
    code: int
    output: str


class Terminal:
    """A folder with the sample files and a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        samples = _samples()
        for name in ("cars.json", "airports.csv"):
            shutil.copy(samples / name, folder)
        shutil.copy(ROOT / "demo/pages.txt", folder)
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "NO_COLOR": "1",
            "STORECTL_STORE": "store",
            "STORECTL_CONFIG_DIR": str(folder / "config"),
        }

    def run(self, command: str) -> tuple[int, str]:
        """The exit code, and what is on the screen afterwards."""
        ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not part:
                break
            shown += part
        os.close(ours)
        text = shown.decode().replace("\r\n", "\n").replace(str(self.folder), "~")
        # Progress is drawn and wiped: of a line that was written over, the end stays.
        lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in text.split("\n")]
        return process.wait(30), "\n".join(line.rpartition("\r")[2] for line in lines)


@contextmanager
def terminal() -> Iterator[Terminal]:
    """A terminal in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Terminal(Path(folder))


def blocks(text: str) -> list[list[Shown]]:
    """The console blocks of a page."""
    found = []
    for block in FENCE.findall(text):
        shown: list[Shown] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                code = EXIT.search(line)
                shown.append(Shown(line[2:], int(code[1]) if code else 0, ""))
            else:
                last = shown[-1]
                shown[-1] = last._replace(output=f"{last.output}{line}\n")
        found.append(shown)
    return found


def rewritten(text: str) -> str:
    """The page with what its commands show now."""
    with terminal() as screen:

        def run(found: re.Match[str]) -> str:
            lines = []
            for command, code, _ in blocks(found[0])[0]:
                real, output = screen.run(command)
                assert real == code, f"exit {real} of: {command}\n{output}"
                lines.append(f"$ {command}\n{output}")
            return "```console\n" + "".join(lines) + "```"

        return FENCE.sub(run, text)


def plain(output: str) -> str:
    """An output without what differs from run to run: IDs, times, figures of speed."""
    output = re.sub(r"\b[0-9A-Za-z]{17}\b", "ID", output)
    output = re.sub(r"storectl_\w+", "TOKEN", output)
    output = re.sub(r"(Ends with: +)\w{4}\b", r"\1LAST", output)
    output = re.sub(r"signature=\w+", "signature=SIGNATURE", output)
    output = re.sub(r"127\.0\.0\.1:\d+", "HOST", output)
    output = re.sub(r"\bin [\d.,]+ m?s \([\d,]+ (\w+)/s\)", r"in TIME (SPEED \1/s)", output)
    output = re.sub(r"\b(just now|\d+ \w+ ago|in \d+ \w+|in a moment)\b", "TIME", output)
    return re.sub(r"\d{4}-\d\d-\d\d([T ][\d:.]+Z?)?", "TIME", output)


def _samples() -> Path:
    found = importlib.util.find_spec("vega_datasets")
    if found is None or found.origin is None:
        raise SystemExit("The sample files come with vega_datasets: pip install vega_datasets")
    return Path(found.origin).parent / "_data"
