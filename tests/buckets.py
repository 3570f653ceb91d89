"""Servers of S3 for tests: moto, or with S3_SERVER=ceph the one of Ceph.

Where CI is set they have to be there; on a laptop tests that need one are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

KEY, SECRET = "storectl-test", "a-secret-for-tests-of-40-characters-only"


class Server:
    """A server of S3 on this machine."""

    def __init__(self, url: str, *, checks: bool) -> None:
        self.url, self.checks = url, checks

    @property
    def environment(self) -> dict[str, str]:
        """What points at it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def bucket(self) -> str:
        """The URL of a prefix in a new bucket."""
        name = f"box-{secrets.token_hex(6)}"
        self._client.create_bucket(Bucket=name)
        return f"s3://{name}/records"

    def objects(self, url: str) -> dict[str, bytes]:
        """All that is in the bucket of a URL."""
        name = url.split("/")[2]
        found = self._client.list_objects_v2(Bucket=name).get("Contents", [])
        return {
            each["Key"]: self._client.get_object(Bucket=name, Key=each["Key"])["Body"].read()
            for each in found
        }

    def write(self, url: str, objects: dict[str, bytes]) -> None:
        """Put objects into the bucket of a URL."""
        for key, body in objects.items():
            self._client.put_object(Bucket=url.split("/")[2], Key=key, Body=body)

    @contextmanager
    def emptied(self, url: str) -> Iterator[None]:
        """Meanwhile nothing of what was there is in the bucket."""
        there = self.objects(url)
        for key in there:
            self._client.delete_object(Bucket=url.split("/")[2], Key=key)
        yield
        self.write(url, there)

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Meanwhile moto, too, refuses credentials that it does not know."""
        if not self.checks:
            self._checking_after(0)
        try:
            yield
        finally:
            if not self.checks:
                self._checking_after(10**9)

    def _checking_after(self, calls: int) -> None:
        request = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth", str(calls).encode(), {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request).close()

    @cached_property
    def _client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """The one that S3_SERVER names. What it keeps is in the folder, or in memory."""
    modules = [name for name in ("moto", "obstore") if importlib.util.find_spec(name) is None]
    if modules:
        _without(f"{' and '.join(modules)} not installed: pip install 'storectl[dev,s3]'")
    if os.environ.get("S3_SERVER") == "ceph":
        import ceph

        if programs := ceph.missing():
            _without(f"{', '.join(programs)} not installed")
        with ceph.gateway(folder, KEY, SECRET) as url:
            yield Server(url, checks=True)
        return
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    try:
        yield Server(f"http://{host}:{port}", checks=False)
    finally:
        moto.stop()


def _without(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
