"""Where a store keeps large bodies, so that nobody opens it with other ones than its own.

A store remembers the place that it was given once, and a mark of chance that lies there
too: a bucket that was moved is known by it, another one of the same name is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from threading import get_ident
from urllib.parse import unquote, urlsplit

import msgspec

from storectl.engine.blobs import Blobs
from storectl.engine.db import Db, Tx, statements
from storectl.engine.files import Files
from storectl.errors import Conflict, InvalidInput, Local
from storectl.model import rules
from storectl.model.store import TakesLong

MARK = "storectl-mark"
"""A blob of that name holds the mark."""

OWN = "."
"""What is remembered by a store that keeps them in its own folder."""


class Leaving(msgspec.Struct):
    """What a source remembers of a move from it. to: where, for people."""

    id: str
    to: str
    done: bool = False


def check_open(db: Db) -> None:
    """Refuse a store that is moved, was moved, or is not yet there as a whole."""
    for key, said in db.all(statements("place", db.dialect)["state"]):
        if key == "moving":
            leaving = msgspec.json.decode(said, type=Leaving)
            raise Conflict(
                f"This store {'was' if leaving.done else 'is being'} moved to {leaving.to}",
                hint="use that one; storectl store release lets this one be used again",
            )
        raise Conflict(
            "A move into this store has not come to its end",
            hint="run the same storectl store move again",
        )


class BlobPlace:
    """The blobs of a store, looked at when the first of them is needed; see blobs.py.

    given: a URL or folder for a store that has none yet, or whose place has moved.
    default: the folder for a store that was never given one; None if it must be. Raises
    InvalidInput, Conflict, Local, Unavailable, then and not before.
    """

    def __init__(self, db: Db, given: str | None, default: Path | None) -> None:
        self.db, self.given, self.default = db, given and normal(given), default
        self.sql = statements("place", db.dialect)
        self._hurried: set[int] = set()
        self._settled = False

    @property
    def url(self) -> str:
        """Where it is, for people."""
        url = self.given or self._remembered()[0] or OWN
        return str(self.default) if url == OWN else url

    @cached_property
    def blobs(self) -> Blobs:
        """What keeps them, once it is known to be the right one."""
        known, mark = self._remembered()
        given = self.given or known or OWN
        if given == str(self.default):
            given = OWN
        if given == OWN and known in (None, OWN):
            if self.default is None:
                raise InvalidInput(
                    "This store was given no place for large records yet",
                    hint="storectl serve --blobs s3://BUCKET/PREFIX, or a folder",
                )
            return Files(self.default)
        if known is None:
            if self._holds():
                raise Conflict(
                    f"This store keeps large records in {self.default} already, not in {given}",
                    hint="storectl store move",
                )
            known, mark = self.db.write(lambda tx: self._give(tx, given))
        blobs = opened(given)
        self._check(blobs, given, known, mark)
        return blobs

    def put(self, blob: str, blocks: Iterable[bytes]) -> None:
        blobs = self._near()
        if not self._settled:
            self._settle(blobs)
        blobs.put(blob, blocks)

    def size(self, blob: str) -> int:
        return self._near().size(blob)

    def has(self, blob: str) -> bool:
        return self._near().has(blob)

    def open(self, blob: str, size: int | None = None) -> Iterator[bytes]:
        return self._near().open(blob, size)

    def delete(self, *blobs: str) -> None:
        self._near().delete(*blobs)

    def there(self) -> Iterator[tuple[str, int]]:
        return (found for found in self._near().there() if found[0] != MARK)

    def hurry(self) -> None:
        """From now on TakesLong is raised in the thread that calls this, if this is far away."""
        self._hurried.add(get_ident())

    def _settle(self, blobs: Blobs) -> None:
        """Before the first body lies in a folder of its own the store has to remember it."""
        if isinstance(blobs, Files) and blobs.folder == self.default:
            known, _ = self.db.write(lambda tx: self._give(tx, OWN))
            if known != OWN:
                raise Conflict(
                    f"This store was just given another place for large records, {known}",
                    hint="start this process again",
                )
        self._settled = True

    def _near(self) -> Blobs:
        if get_ident() in self._hurried and self._is_far:
            raise TakesLong
        return self.blobs

    @cached_property
    def _is_far(self) -> bool:
        return self.url.startswith("s3:")

    def _remembered(self) -> tuple[str | None, str]:
        found: dict[str, str] = dict(self.db.all(self.sql["remembered"]))
        return found.get("blobs"), found.get("blobs_mark") or ""

    def _holds(self) -> bool:
        return self.db.one(self.sql["holds"]) is not None

    def _give(self, tx: Tx, given: str) -> tuple[str, str]:
        """Remember the place, unless another process was first; which it is, and its mark."""
        found: dict[str, str] = dict(tx.all(self.sql["remembered"]))
        if "blobs" not in found:
            found = {"blobs": given, "blobs_mark": rules.new_id()}
            for key, place in found.items():
                tx.all(self.sql["remember"], key=key, place=place)
        return found["blobs"], found["blobs_mark"]

    def _check(self, blobs: Blobs, given: str, known: str | None, mark: str) -> None:
        """Refuse what is not the place of this store; mark one that is new."""
        found = (
            b"".join(blobs.open(MARK, len(mark))).decode(errors="replace")
            if blobs.has(MARK)
            else None
        )
        other = known is not None and known != given
        if found == mark:
            if other:
                self.db.write(lambda tx: tx.all(self.sql["remember"], key="blobs", place=given))
        elif found is not None:
            raise Conflict(
                f"{given} holds the large records of another store", hint="name another prefix"
            )
        elif other:
            raise Conflict(
                f"This store keeps large records in {self.default if known == OWN else known}, "
                f"and {given} holds none of them",
                hint="storectl store move, or copy all that is there",
            )
        elif self._holds():
            raise Local(
                f"{given} is empty or another place of the same name: the large records of this "
                "store are not there",
                hint="check AWS_ENDPOINT_URL",
            )
        else:
            blobs.put(MARK, [mark.encode()])


def normal(url: str) -> str:
    """A URL of a bucket, or a folder, as a store remembers it."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        from storectl.engine.s3 import parts_of

        return parts_of(url)[0]
    if parts.scheme == "file":
        return str(Path(unquote(parts.path)).absolute())
    if len(parts.scheme) > 1:
        raise InvalidInput(
            f"Place '{parts.scheme}:…' has an unknown scheme",
            hint="s3://BUCKET/PREFIX, or a folder",
        )
    return str(Path(url).expanduser().absolute())


def opened(url: str) -> Blobs:
    """Blobs at what normal() gives."""
    if url.startswith("s3://"):
        from storectl.engine.s3 import Bucket

        return Bucket(url)
    return Files(Path(url))
