"""What tests of transfers share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.engine.store import EngineStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EngineStore]:
    """A store in a folder, with an empty dataset `a`."""
    with closing(open_store(str(tmp_path / "store"))) as found:
        found.datasets.create("a")
        yield found
