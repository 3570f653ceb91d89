"""What a server says on stderr: each failure now and then, and nothing stops for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from storectl.engine.store import EngineStore
from storectl.errors import Local, Outage, Unavailable
from storectl.server.log import REPEAT_SECS, Refusals

FULL = Path("/dev/full")


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


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_failure_that_cannot_be_logged_is_still_answered(
    api: httpx.Client, served: EngineStore, full_log: None
) -> None:
    id = api.post("/v2/key-value-stores").json()["data"]["id"]
    path = f"/v2/key-value-stores/{id}/records/large"
    api.put(path, content=bytes(200_000))
    for blob, _ in served.blobs.there():
        served.blobs.delete(blob)

    answer = api.get(path)

    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "service-unavailable"
    assert api.get(f"/v2/key-value-stores/{id}").status_code == 200


class Watch:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused_by(outage: Outage, why: str) -> Unavailable:
    failure = Unavailable(f"{outage.what} {why}")
    failure.outage = outage
    return failure


def test_what_is_away_is_told_once_then_counted_and_told_when_it_is_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock, database = Watch(), Outage("PostgreSQL at db")
    refusals = Refusals(clock)

    for clock.now in (0.0, 1.0, REPEAT_SECS, REPEAT_SECS + 1):
        refusals.add(refused_by(database, "is away"))
        refusals.see_who_is_back()
    database.over, clock.now = True, 45.0
    refusals.see_who_is_back()
    refusals.see_who_is_back()

    assert capsys.readouterr().err.splitlines() == [
        "error: PostgreSQL at db is away",
        "error: PostgreSQL at db is away; 2 calls were refused in the last 30 s",
        "note: PostgreSQL at db is back after 45 s; 4 calls were refused",
    ]


def test_what_is_away_is_one_failure_whatever_calls_were_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    database, bucket = Outage("PostgreSQL at db"), Outage("s3://box")
    refusals = Refusals(Watch())

    refusals.add(refused_by(database, "is away"))
    refusals.add(refused_by(database, "cannot be reached"))
    refusals.add(refused_by(bucket, "does not answer"))
    bucket.over = True
    refusals.add(refused_by(database, "cannot be reached"))

    assert capsys.readouterr().err.splitlines() == [
        "error: PostgreSQL at db is away",
        "error: s3://box does not answer",
        "note: s3://box is back after 0 s; 1 call was refused",
    ]


def test_another_failure_is_told_again_when_it_still_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Watch()
    refusals = Refusals(clock)

    for clock.now in (0.0, 10.0, 29.0, 31.0, 32.0):
        refusals.add(Local("The disk is full"))

    assert capsys.readouterr().err.splitlines() == [
        "error: The disk is full",
        "error: The disk is full; 3 calls were refused in the last 31 s",
    ]
