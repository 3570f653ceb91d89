"""Ceph's server of S3 on one machine, for tests: `python ceph.py FOLDER` runs one until killed.

A monitor, a manager, one daemon for a disk of 6 GiB that is a sparse file, and the gateway, all
on loopback, with authentication. From Debian: ceph-mon ceph-mgr ceph-osd radosgw.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mgr", "ceph-mon", "ceph-osd", "monmaptool", "radosgw",
            "radosgw-admin")  # fmt: skip
START_SECS = 120

CONF = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{port}/0]
mon_initial_members = a
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = {folder}/keyring
run_dir = {folder}
admin_socket = {folder}/$name.$pid.asok
log_file = {folder}/$name.log
pid_file =
crash_dir = {folder}
mon_data = {folder}/mon
mgr_data = {folder}/mgr
osd_data = {folder}/osd
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = bluestore
bluestore_block_size = 6442450944
osd_memory_target = 939524096
rgw_data = {folder}
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_gc_max_objs = 1
"""


def missing() -> list[str]:
    """Programs of Ceph that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def gateway(folder: Path, key: str, secret: str) -> Iterator[str]:
    """The address of a gateway with one user. What it keeps is in the folder."""
    port = free_port()
    conf = folder / "ceph.conf"
    conf.write_text(CONF.format(fsid=(fsid := uuid.uuid4()), port=free_port(), folder=folder))
    for name in ("mon", "mgr", "osd"):
        (folder / name).mkdir()

    def run(*words: object) -> str:
        done = subprocess.run(
            [str(words[0]), "-c", str(conf), *map(str, words[1:])],
            capture_output=True, text=True, timeout=START_SECS, cwd=folder,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def start(stack: ExitStack, *words: object) -> None:
        process = subprocess.Popen(
            [str(words[0]), "-c", str(conf), "-f", *map(str, words[1:])],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        stack.callback(_end, process)

    caps = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
    for at, name in enumerate(("mon.", "client.admin", "mgr.x", "osd.0", "client.rgw")):
        create = ["--create-keyring"] if at == 0 else []
        run("ceph-authtool", folder / "keyring", *create, "--gen-key", "-n", name, *caps)
    mon_host = conf.read_text().split("mon_host = ")[1].splitlines()[0]
    run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", mon_host, folder / "monmap")
    run("ceph-mon", "-i", "a", "--mkfs", "--monmap", folder / "monmap", "--keyring",
        folder / "keyring")  # fmt: skip
    with ExitStack() as stack:
        start(stack, "ceph-mon", "-i", "a")
        disk = uuid.uuid4()
        run("ceph", "osd", "new", disk)
        run("ceph-osd", "-i", 0, "--mkfs", "--osd-uuid", disk)
        start(stack, "ceph-mgr", "-i", "x")
        start(stack, "ceph-osd", "-i", 0)
        start(stack, "radosgw", "-n", "client.rgw", "--rgw-frontends",
              f"beast endpoint=127.0.0.1:{port}")  # fmt: skip
        run("radosgw-admin", "user", "create", "--uid", "test", "--display-name", "Test",
            "--access-key", key, "--secret-key", secret)  # fmt: skip
        _wait(port)
        yield f"http://127.0.0.1:{port}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # nothing in the folder is needed again
    process.wait()


def _wait(port: int) -> None:
    end = time.monotonic() + START_SECS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, "the gateway did not start"
            time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    with gateway(Path(sys.argv[1]), os.environ["KEY"], os.environ["SECRET"]) as address:
        print(address, flush=True)
        sys.stdin.read()
