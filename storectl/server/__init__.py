"""A Store, spoken over HTTP. The store is handed in: no engine is known here."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from storectl.errors import Local
from storectl.model.store import Served
from storectl.server.settings import Settings

if TYPE_CHECKING:
    from storectl.server.app import Wsgi

THREADS = 64
BACKLOG = 2048


def serve(
    open_store: Callable[[], Served],
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8010,
    on_ready: Callable[[str], None],
    threads: int = THREADS,
) -> None:
    """Serve until SIGINT or SIGTERM. on_ready gets the address once it answers.

    open_store is called in the process that serves: one, with a pool of threads.
    Calls block on the database there, and writers that wait together share a
    commit; idle connections cost no thread. Raises Local if the port cannot be had.
    """
    from granian.constants import Interfaces  # 100 ms, for this command alone
    from granian.http import HTTP1Settings
    from granian.server import Server

    port = _free(host, port)
    server = Server(
        "storectl",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=threads,
        backpressure=max(threads * 4, 256),
        backlog=BACKLOG,
        log_enabled=False,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        workers_kill_timeout=10,
    )
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    waiting = threading.Thread(target=_tell, args=(host, port, address, on_ready), daemon=True)
    waiting.start()
    alive = os.pipe()
    server.serve(target_loader=partial(_load, open_store, settings, alive), wrap_loader=False)


def _load(
    open_store: Callable[[], Served], settings: Settings, alive: tuple[int, int], *_: object
) -> Wsgi:
    """In the serving process: the application, and an end to it when its parent is killed."""
    from multiprocessing.util import Finalize

    from storectl.server.app import app

    threading.Thread(target=_end_with_parent, args=alive, daemon=True).start()
    store = open_store()
    Finalize(None, store.close, exitpriority=1)
    return app(store, settings)


def _end_with_parent(reading: int, writing: int) -> None:
    try:
        os.close(writing)
        os.read(reading, 1)  # nothing is ever written: this returns when the parent is gone
    except OSError:  # a start method that hands down no file descriptors
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(0.2)
    os._exit(1)


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
            raise Local(
                f"Port {port} of {host} is in use", hint="storectl serve --port 0"
            ) from None
        raise Local(f"Cannot listen on {host}:{port}: {error.strerror}") from None


def _tell(host: str, port: int, address: str, on_ready: Callable[[str], None]) -> None:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared only
    for _ in range(1000):
        try:
            socket.create_connection((reached, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            on_ready(address)
            return
