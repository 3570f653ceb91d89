"""Programs that are run for requests: without a shell, each in a process group of its own.

Requests are hostile input. A value takes the place of {url}, {id} or {uniqueKey} inside
one argument and stays that one argument, whatever it holds.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from shutil import which
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import msgspec

from storectl.errors import InvalidInput, NotFound
from storectl.model.request import Request

PLACES = re.compile(r"\{(url|id|uniqueKey)\}")
VARIABLE = "STORECTL_REQUEST_"
FIELDS = {
    "ID": "id",
    "URL": "url",
    "UNIQUE_KEY": "uniqueKey",
    "METHOD": "method",
    "RETRY_COUNT": "retryCount",
    "LOADED_URL": "loadedUrl",
    "HEADERS": "headers",
    "USER_DATA": "userData",
    "PAYLOAD": "payload",
}
"""The variables of a child and their fields. Objects are JSON; what is not there is empty."""

MAX_VARIABLE_BYTES = 32 * 1024
"""What is longer is left to stdin: systems limit the environment of a program."""

MAX_LINE_BYTES = 64 * 1024
MAX_MESSAGE = 1000
GRACE_SECS = 5.0
"""What a child that is told to end may take to do so."""

LOOK_SECS = 0.2


class Unfit(Exception):
    """A request that CMD cannot be run for, now or later."""


class Command:
    """CMD ARG..., with places for the values of a request.

    Raises InvalidInput if a value would choose the program, NotFound if there is none.
    """

    def __init__(self, words: list[str]) -> None:
        program = words[0]
        if PLACES.search(program):
            raise InvalidInput(f"'{program}' lets a request choose the program that runs")
        if which(program) is None:
            raise NotFound(f"{program}: no such program")
        self.words = words

    def of(self, request: Request) -> list[bytes]:
        """The arguments for a request. Raises Unfit.

        An argument that only begins with a hyphen because of a value would be an option
        of CMD, unless `--` stands before it.
        """
        found = []
        ended = False
        for word in self.words:
            text = PLACES.sub(lambda place: str(request.get(place[1]) or ""), word)
            if "\0" in text:
                raise Unfit("it has a NUL character, which no argument can hold")
            if text.startswith("-") and not word.startswith("-") and not ended:
                raise Unfit(f"it begins with a hyphen, and no -- stands before {word}")
            ended = ended or word == "--"
            found.append(text.encode("utf-8", "surrogateescape"))
        return found


def variables(request: Request) -> dict[bytes, bytes]:
    """The environment of a child that tells it its request."""
    found = {}
    for name, field in FIELDS.items():
        value = request.get(field)
        if value is None:
            text = b""
        elif isinstance(value, str):
            text = value.encode()
        else:
            text = msgspec.json.encode(value)
        if len(text) <= MAX_VARIABLE_BYTES and b"\0" not in text:
            found[(VARIABLE + name).encode()] = text
    return found


class Ended(NamedTuple):
    """How a child ended. code: negative for a signal. last: its last line on stderr."""

    code: int
    last: str

    @property
    def reason(self) -> str:
        """What to keep of a failure."""
        if self.last:
            return self.last
        if self.code < 0:
            with contextlib.suppress(ValueError):
                return f"ended by {signal.Signals(-self.code).name}"
        return f"exit code {self.code}"


class Child:
    """One run of CMD. stdout: where its output goes; without it, it is said as stderr is.

    say: gets whole lines of what the child says, from the thread that runs it.
    """

    def __init__(
        self,
        arguments: list[bytes],
        request: Request,
        *,
        stdout: IO[bytes] | None,
        say: Callable[[bytes], None],
    ) -> None:
        self._arguments, self._request = arguments, request
        self._stdout, self._say = stdout, say
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped_at: float | None = None
        self._last = b""

    @property
    def stopped(self) -> bool:
        """Whether it was told to end before its time."""
        return self._stopped_at is not None

    def stop(self) -> None:
        """Tell it to end, with all it has started. Called from another thread."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with all it has started."""
        self._signal(signal.SIGKILL)

    def run(self) -> Ended:
        """Run it to its end. Raises OSError if it cannot be started."""
        # A file, not a pipe: who does not read it, or reads late, blocks nobody.
        with TemporaryFile() as stdin:
            stdin.write(msgspec.json.encode(self._request) + b"\n")
            stdin.seek(0)
            self._process = subprocess.Popen(
                self._arguments,
                stdin=stdin,
                stdout=self._stdout or subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environb, **variables(self._request)},
                process_group=0,
            )
        if self.stopped:
            self._signal(signal.SIGTERM)
        with self._process as process:
            self._listen(process)
            code = process.wait()
        last = self._last.decode("utf-8", "replace").strip()
        return Ended(code, last[:MAX_MESSAGE])

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what it says until it has ended; what it started and left may hold its pipes."""
        with selectors.DefaultSelector() as pipes:
            rests = {}
            for stream in filter(None, (process.stdout, process.stderr)):
                pipes.register(stream, selectors.EVENT_READ)
                rests[stream.fileno()] = b""
            while pipes.get_map():
                ready = pipes.select(LOOK_SECS)
                if not ready and process.poll() is not None:
                    break
                for key, _ in ready:
                    block = os.read(key.fd, MAX_LINE_BYTES)
                    is_error = key.fileobj is process.stderr
                    rests[key.fd] = self._lines(rests[key.fd] + block, is_error, whole=not block)
                    if not block:
                        pipes.unregister(key.fileobj)
                self._insist()
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECS)
                self._insist()

    def _lines(self, text: bytes, is_error: bool, *, whole: bool) -> bytes:
        """Say the lines of a text; what is left of it. whole: nothing follows."""
        *lines, rest = text.split(b"\n")
        if rest and (whole or len(rest) >= MAX_LINE_BYTES):
            lines.append(rest)
            rest = b""
        if is_error:
            self._last = next(filter(bytes.strip, reversed(lines)), self._last)
        if lines:
            self._say(b"\n".join(lines))
        return rest

    def _insist(self) -> None:
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > GRACE_SECS:
            self._signal(signal.SIGKILL)

    def _signal(self, which: signal.Signals) -> None:
        """Signal its whole group; not once it is gone, when its number may be another's."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, which)
