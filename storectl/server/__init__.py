"""A Store, spoken over HTTP. The store is handed in: no engine is known here."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from storectl.errors import Internal, Local
from storectl.model.store import Served
from storectl.server import worker
from storectl.server.settings import Settings

BACKLOG = 2048
MOST_CONNECTIONS = 16_384
FILES = 1024
"""Descriptors for other things than connections: the database, blobs, spools."""


def serve(
    open_store: Callable[[], Served],
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8010,
    on_ready: Callable[[str], None],
    workers: int = 1,
    metrics: tuple[str, int] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. on_ready gets the address once it answers.

    open_store is called in each of the processes that serve, with a loop of its own each,
    see loop.py. Connections that are idle, stalled or slow cost no thread. Of several
    processes one that ends is replaced; if the same one ends twice within five seconds,
    all end. metrics: host and port to show them at. Raises Local if a port cannot be had.
    """
    from granian.constants import HTTPModes, Interfaces, Loops  # 100 ms, for this command alone
    from granian.http import HTTP1Settings
    from granian.server import Server

    claim = _claimed(host, port) if port else None  # first: a trial disturbs who starts too
    port = _free(host, port)
    claim = claim or _claimed(host, port)
    server = Server(
        "storectl",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop if find_spec("uvloop") else Loops.asyncio,
        http=HTTPModes.http1,  # what may be HTTP/2 is waited for without a limit of time
        backpressure=_connections(),
        backlog=BACKLOG,
        log_enabled=False,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        workers=workers,
        respawn_failed_workers=workers > 1,
        workers_kill_timeout=10,
        reload_paths=[Path(os.sep)],  # not watched; without it the working folder must exist
    )
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    waiting = threading.Thread(target=_tell, args=(host, port, address, on_ready), daemon=True)
    waiting.start()
    alive = os.pipe()
    hangup = signal.getsignal(signal.SIGHUP) if os.name == "posix" else None
    server.on_startup(partial(_mind_signals, server.signal_handler_interrupt, alive[1], hangup))
    try:
        with _counting(workers, metrics) as counts:
            load = partial(worker.load, open_store, settings, alive, counts, workers)
            server.serve(target_loader=load, wrap_loader=False)
    except SystemExit as end:
        if end.code and not server.interrupt_signal:
            raise Internal("The process that serves has ended: killed, or out of memory") from None
    finally:
        if claim is not None:
            claim.close()


@contextmanager
def _counting(workers: int, metrics: tuple[str, int] | None) -> Iterator[Path | None]:
    """The file in which several processes count, and where they are shown; None without both."""
    if workers == 1 and metrics is None:
        yield None
        return
    from storectl.server.board import Board
    from storectl.server.metrics import publish

    with TemporaryDirectory(prefix="storectl-serve-") as folder:
        counts = Path(folder, "counts")
        counts.touch(mode=0o600)
        board = Board(counts, workers)
        if metrics is not None:
            publish(board, *metrics)
        yield counts


def _mind_signals(interrupt: Callable[[], None], telling: int, hangup: object) -> None:
    """End at SIGINT, at SIGTERM, and when the terminal closes, unless that is ignored.

    telling: a pipe to the workers, who take a byte each. hangup: what SIGHUP did so far;
    the server would restart its workers at it, also under nohup.
    """
    ours = os.getpid()

    def stop(*_: object) -> None:
        if os.getpid() == ours:  # a fresh worker has this handler until it has its own
            os.write(telling, worker.TOLD)
            interrupt()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    if hangup is not None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if hangup == signal.SIG_IGN else stop)


def _connections() -> int:
    """How many connections are held at once; more wait until one of them ends.

    Each takes a file descriptor, and 4 kB to 20 kB. The system's limit of descriptors is
    raised as far as it may be, and a part of it is left to the store.
    """
    try:
        import resource
    except ImportError:  # Windows
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - FILES, 64)


def _free(host: str, port: int) -> int:
    """The port, if nobody listens there; 0 picks one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
            found: int = trial.getsockname()[1]
            return found
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise _in_use(host, port) from None
        raise Local(f"Cannot listen on {host}:{port}: {error.strerror}") from None


def _claimed(host: str, port: int) -> socket.socket | None:
    """Says that this port will be ours, until it is closed: an abstract Unix address.

    The server shares its port with whoever asks for it in the same way (SO_REUSEPORT):
    of two that start at once each would get half of the calls.
    """
    if sys.platform != "linux":
        return None
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0storectl serve {host}:{port}")
    except OSError:
        claim.close()
        raise _in_use(host, port) from None
    return claim


def _in_use(host: str, port: int) -> Local:
    return Local(f"Port {port} of {host} is in use", hint="storectl serve --port 0")


def _tell(host: str, port: int, address: str, on_ready: Callable[[str], None]) -> None:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared only
    for _ in range(1000):
        try:
            with socket.create_connection((reached, port), timeout=5) as trial:
                trial.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                answers = b" 200 " in trial.recv(64)
        except OSError:
            answers = False
        if answers:
            on_ready(address)
            return
        time.sleep(0.01)
