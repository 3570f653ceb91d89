"""Ways to PostgreSQL: poolers, TLS, files with passwords; and databases that are refused."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from storectl.engine import connections, open_store
from storectl.errors import Local, Unavailable
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items

from ..postgres import Cluster, pooled, required, running

SECRET = "open-sesame"


@pytest.fixture(scope="module", autouse=True)
def _there() -> None:
    required()


def test_a_pooler_of_sessions_is_as_good_as_none(cluster: Cluster, template: str) -> None:
    url = cluster.database(template)

    with pooled(cluster, "session") as port:
        through = url.replace(f":{cluster.port}/", f":{port}/")
        with closing(open_store(through)) as one, closing(open_store(through)) as other:
            id = one.datasets.create("prices")[0].id
            queue = one.queues.create("urls")[0].id
            urls = [{"url": f"https://e/{n}", "uniqueKey": str(n)} for n in range(20)]
            one.queues.add(queue, urls)

            def work(n: int) -> list[str]:
                store = (one, other)[n % 2]
                store.datasets.push(id, Items.of([{"n": n}]))
                held = store.queues.lock_head(queue, lock_secs=60, limit=1, client_key=str(n))
                return [each["uniqueKey"] for each in held.items]

            with ThreadPoolExecutor(4) as threads:
                held = [key for keys in threads.map(work, range(20)) for key in keys]
            items = b"".join(other.datasets.items(id, ItemsQuery()).lines)

    assert sorted(held, key=int) == [str(n) for n in range(20)]
    assert len(items.splitlines()) == 20


def test_a_pooler_of_transactions_is_refused(cluster: Cluster, template: str) -> None:
    url = cluster.database(template)

    with pooled(cluster, "transaction") as port:
        through = url.replace(f":{cluster.port}/", f":{port}/")
        with closing(open_store(through)), pytest.raises(Local, match="pooler") as caught:
            open_store(through)

    assert "pool_mode = session" in str(caught.value.hint)


def test_a_database_that_is_too_old_is_refused(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "OLDEST_POSTGRES", 990_000)

    with pytest.raises(Local, match="is PostgreSQL before 13$"):
        open_store(database)


class Guarded(NamedTuple):
    """A PostgreSQL that asks `reader` for TLS and a password; where certificates are."""

    cluster: Cluster
    url: str
    certificates: Path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    certificates = tmp_path_factory.mktemp("tls")
    certify(certificates)
    with running() as cluster:
        data = cluster.folder / "data"
        for name in ("server.crt", "server.key"):
            shutil.copy(certificates / name, data / name)
            (data / name).chmod(0o600)
            if cluster.user:
                shutil.chown(data / name, cluster.user)
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE reader LOGIN SUPERUSER PASSWORD '{SECRET}'")
        name = cluster.database().rpartition("/")[2]
        (data / "pg_hba.conf").write_text(
            "hostssl all reader all scram-sha-256\nhost all storectl all trust\n"
        )
        cluster.stop(signal.SIGINT)
        del cluster.settings["fsync"]  # what is said to the program cannot be changed
        cluster.settings["ssl"] = "on"
        cluster.start()
        yield Guarded(cluster, f"postgresql://reader@localhost:{cluster.port}/{name}", certificates)


def certify(folder: Path) -> None:
    """Make an authority, another one, and a certificate for localhost of the first."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")

    def openssl(*words: str) -> None:
        subprocess.run([program, *words], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other"):
        made = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"]
        openssl("req", "-x509", *new, "-days", "2", *made)
    openssl("req", *new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    asked = ["-req", "-in", "server.csr", "-extfile", "names"]
    openssl("x509", *asked, *signed, "-out", "server.crt")


def test_a_database_without_fsync_is_refused_until_it_is_on(guarded: Guarded) -> None:
    url = guarded.cluster.database()

    set_fsync(guarded.cluster, "off")
    with pytest.raises(Local, match="fsync off") as caught:
        open_store(url)
    set_fsync(guarded.cluster, "on")

    assert caught.value.hint == "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()"
    open_store(url).close()


def set_fsync(cluster: Cluster, value: str) -> None:
    """Change it, and return once who comes now sees that."""
    url, seen = cluster.url("postgres"), None
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET fsync = {value}")
        connection.execute("SELECT pg_reload_conf()")
    while seen != (value,):
        with psycopg.connect(url) as connection:
            seen = connection.execute("SHOW fsync").fetchone()


def test_tls_and_a_file_with_the_password_lead_to_the_store(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url, certificates = guarded
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"*:*:*:reader:{SECRET}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))

    store = open_store(f"{url}?sslmode=verify-full&sslrootcert={certificates}/ca.crt")

    assert store._db.one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == (True,)
    assert SECRET not in store.place + store.label
    store.close()


@pytest.mark.parametrize(
    ("host", "authority", "why"),
    [
        ("localhost", "other.crt", "certificate verify failed"),
        ("127.0.0.1", "ca.crt", "does not match host name"),
    ],
)
def test_a_database_that_is_not_whom_it_should_be_learns_no_password(
    guarded: Guarded, host: str, authority: str, why: str
) -> None:
    _, url, certificates = guarded
    asked = url.replace("reader@localhost", f"reader:{SECRET}@{host}")

    with pytest.raises(Unavailable) as caught:
        open_store(f"{asked}?sslmode=verify-full&sslrootcert={certificates}/{authority}")

    assert why in caught.value.message
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


def test_a_wrong_password_is_told_and_not_shown(guarded: Guarded) -> None:
    _, url, certificates = guarded
    asked = url.replace("reader@", "reader:wrong-sesame@")

    with pytest.raises(Unavailable, match="password authentication failed") as caught:
        open_store(f"{asked}?sslmode=verify-full&sslrootcert={certificates}/ca.crt")

    assert "PGPASSFILE" in str(caught.value.hint)
    assert "wrong-sesame" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("noticed", [True, False])
def test_nobody_is_refused_who_comes_after_a_restart(guarded: Guarded, noticed: bool) -> None:
    """Also where many connections were open, and whether or not a call met the gap."""
    cluster = guarded.cluster
    store = open_store(cluster.database())
    id = store.datasets.create("prices")[0].id

    def push(n: int) -> None:
        store.datasets.push(id, Items.of([{"n": n}]))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(push, range(12)))
        cluster.stop()
        if noticed:
            with pytest.raises(Unavailable):
                push(99)
        cluster.start()
        time.sleep(connections.AWAY_SECS)
        list(threads.map(push, range(12)))

    assert store.datasets.get(id).item_count == 24
    store.close()
