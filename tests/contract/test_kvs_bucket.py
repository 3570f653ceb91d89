"""The contract of key-value stores once more, with large records in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storectl import engine
from storectl.model.store import Store

from ..buckets import Server
from .test_kvs import *  # noqa: F403


@pytest.fixture
def store(s3: Server, tmp_path: Path) -> Iterator[Store]:
    found = engine.open_store(str(tmp_path / "store"), blobs=s3.bucket())
    yield found
    found.close()
