"""Where tests keep their stores: in folders, or with STORE=postgres+s3 in a database and a bucket.

Tests that ask for a `home` run on both. Those of what only a store in a folder has are
skipped on the other, and say why.
"""

from __future__ import annotations

import os
import secrets
from contextlib import closing

import pytest

from . import buckets, postgres

FOLDER, SHARED = "sqlite", "postgres+s3"
STORE = os.environ.get("STORE", FOLDER)
if STORE not in (FOLDER, SHARED):
    raise pytest.UsageError(f"STORE must be {FOLDER} or {SHARED}, not {STORE!r}")


def only_in_a_folder(why: str) -> pytest.MarkDecorator:
    """Marks a test of what a store in PostgreSQL has not."""
    return pytest.mark.skipif(STORE != FOLDER, reason=f"of a store in a folder: {why}")


class Homes:
    """Makes stores in databases of one PostgreSQL, with large records in one bucket."""

    def __init__(self, cluster: postgres.Cluster, template: str, server: buckets.Server) -> None:
        self.cluster, self.template, self.bucket = cluster, template, server.bucket()

    def new(self) -> str:
        """The address of a new store, which knows its bucket."""
        return self.settled(self.cluster.database(self.template))

    def settled(self, url: str) -> str:
        """The same address, of an empty store; now it has a place in the bucket."""
        from storectl.engine import open_store

        with closing(open_store(url, blobs=f"{self.bucket}/{secrets.token_hex(6)}")) as store:
            store.prepare()
        return url
