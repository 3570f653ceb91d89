"""A real PostgreSQL for tests: one for each process that runs some, on a free port.

It keeps what it has acknowledged (fsync is on), as the one that is served will. Databases
have names of chance. Without PostgreSQL these tests are skipped; with CI=true that is an
error.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

HOW = "apt-get install postgresql; pip install -e '.[postgres]'"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "log_min_messages": "warning",
}
ENDS_WITH_US = '"$@" & server=$!; read _; kill -QUIT $server; wait $server'
"""For sh: a server that is gone when the process that started it is."""


class Cluster:
    """One PostgreSQL with its data in a folder. user: whom it runs as where we are root.

    settings: what the program is told when it starts next.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.settings = dict(SETTINGS)
        self.user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        if self.user:
            shutil.chown(folder, self.user)
        words = ["-D", str(folder / "data"), "-U", "storectl", "-A", "trust", "-E", "UTF8"]
        self._run("initdb", *words, "--locale=C.UTF-8", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start, and return once it answers."""
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        place = [f"--port={self.port}", f"--unix_socket_directories={self.folder}"]
        server = [self.programs / "postgres", "-D", self.folder / "data", *settings, *place]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", ENDS_WITH_US, "sh", *map(str, server)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.folder,
            )
        end = time.monotonic() + 60
        while not answers(self.url("postgres")):
            log_text = (self.folder / "log").read_text(errors="replace")
            assert time.monotonic() < end, log_text
            assert self._process.poll() is None, log_text
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it, by default at once and without ceremony, as a crash would."""
        number = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(number, how)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql://storectl@127.0.0.1:{self.port}/{name}"

    def database(self, template: str = "template1") -> str:
        """The address of a new database."""
        import psycopg

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def empty(self, url: str) -> None:
        """Delete all rows of a store. To make a database takes a hundred times as long."""
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            tables = connection.execute(
                "SELECT string_agg(format('DELETE FROM %I', tablename), '; ' ORDER BY "
                "tablename IN ('user', 'storage'), tablename = 'user') FROM pg_tables "
                "WHERE schemaname = 'public' AND tablename <> 'schema_version'"
            ).fetchone()
            assert tables is not None
            connection.execute("SET synchronous_commit = off")
            connection.execute(tables[0])

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self.programs / program, *words],
            check=True,
            user=self.user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def pooled(cluster: Cluster, mode: str) -> Iterator[int]:
    """The port of a pgbouncer before it. mode: session or transaction."""
    import pytest

    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        assert not os.environ.get("CI"), "pgbouncer is not installed"
        pytest.skip("pgbouncer is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="storectl-pgbouncer-") as folder:
        users, settings = Path(folder, "users"), Path(folder, "settings.ini")
        users.write_text('"storectl" ""\n')
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={cluster.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = {mode}\n"
        )
        for path in (folder, users, settings):
            os.chmod(path, 0o755)
        process = subprocess.Popen([program, "-q", settings], user=cluster.user, cwd=folder)
        try:
            end = time.monotonic() + 60
            while not answers(cluster.url("postgres").replace(f":{cluster.port}/", f":{port}/")):
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()
            process.wait(60)


def answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        found: int = trial.getsockname()[1]
        return found


def programs() -> Path | None:
    """Where initdb and postgres are: of Debian's newest, or on PATH."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[-3])
    )
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


def required() -> Path:
    """The programs; else the test that asks is skipped, or fails if this is CI."""
    import pytest  # benchmarks have none

    found = programs()
    if found is None or find_spec("psycopg") is None:
        assert not os.environ.get("CI"), f"there is no PostgreSQL: {HOW}"
        pytest.skip(f"there is no PostgreSQL: {HOW}")
    return found


@contextmanager
def running() -> Iterator[Cluster]:
    """A PostgreSQL of its own, for as long as this lasts."""
    found = required()
    with tempfile.TemporaryDirectory(prefix="storectl-postgres-") as folder:
        cluster = Cluster(Path(folder), found)
        try:
            yield cluster
        finally:
            cluster.stop()
