"""A server whose log cannot be written, as on a disk that is full, still answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from storectl.engine.store import EngineStore

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


@pytest.fixture
def full_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    file = FULL.open("wb", buffering=0)
    monkeypatch.setattr("sys.stderr", Unwritable(file))
    yield
    monkeypatch.undo()
    file.close()


class Unwritable:
    """A text stream onto a file that takes nothing."""

    def __init__(self, file: object) -> None:
        self.file = file

    def write(self, text: str) -> int:
        return self.file.write(text.encode())

    def flush(self) -> None:
        self.file.flush()


def test_a_failure_that_cannot_be_logged_is_still_answered(
    api: httpx.Client, served: EngineStore, full_log: None
) -> None:
    id = api.post("/v2/key-value-stores").json()["data"]["id"]
    path = f"/v2/key-value-stores/{id}/records/large"
    api.put(path, content=bytes(200_000))
    for blob in (Path(served.place) / "blobs").glob("*/*"):
        blob.unlink()

    answer = api.get(path)

    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "service-unavailable"
    assert api.get(f"/v2/key-value-stores/{id}").status_code == 200
