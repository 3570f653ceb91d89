"""Blobs in a bucket of an object storage that speaks S3. See blobs.py for the promise.

A body is cut into parts, each an object of its own: `ab/abcd…/00000`. They are seen by
whoever lists the bucket and go with the blob, wherever an upload broke off; the parts of
S3's own multipart uploads are hidden, and cost money, until a rule of the bucket aborts
them. All parts but the last are of the same size, which the first one tells.

Nothing here depends on conditional writes, which several servers accept and ignore: keys
are random and never come twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from storectl.errors import InvalidInput, Local, Outage, StorectlError, Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

PART_BYTES = 8 * 1024 * 1024
"""An upload holds two of them in memory at most."""

READ_BYTES = 1024 * 1024
"""Asked for at a time: a reader who is slow keeps no answer of the bucket waiting."""

CONNECT_SECS, CALL_SECS, RETRY_SECS = 5, 30, 10
RETRIES = 3
"""Of a call that failed, all within RETRY_SECS: whoever waits for the store can ask again."""

AWAY_SECS = 5
"""When to ask again."""

DELETES = 16
"""Blobs that are looked up at a time to be deleted."""

MOST_DELETED = 1000
"""Objects in one call. Source: Amazon S3, DeleteObjects."""

_URL = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,254})((?:/[A-Za-z0-9!_.*'()=-]+)*)/?")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_SYSTEM = re.compile(
    r"connection (refused|reset|closed)|timed ?out|dns error|(network|host) (is )?unreachable"
    r"|invalid peer certificate",
    re.IGNORECASE,
)
_REFUSED = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_DENIED = {"PermissionDeniedError", "UnauthenticatedError"}
_VARIABLES = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class Bucket:
    """Blobs in s3://BUCKET/PREFIX.

    Where it is, and who asks, is said by the usual variables: AWS_ENDPOINT_URL, AWS_REGION,
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, and those of roles.
    Raises InvalidInput for another URL, Local without the library.
    """

    def __init__(self, url: str) -> None:
        self.url, bucket, prefix = parts_of(url)
        self._store = _open(bucket, prefix)
        self._away: Unavailable | None = None
        self._asking = Lock()

    def put(self, blob: str, blocks: Iterable[bytes]) -> None:
        import obstore

        try:
            for number, part in enumerate(cut(blocks, PART_BYTES)):
                with self._named(blob):
                    obstore.put(self._store, _path(blob, number), part, use_multipart=False)
        except Unavailable:  # nothing can be deleted either
            raise
        except BaseException:
            with suppress(StorectlError):
                self.delete(blob)
            raise

    def size(self, blob: str) -> int:
        sizes = [size for _, size in self._parts(blob)]
        if not sizes:
            raise self._missing(blob)
        return sum(sizes)

    def has(self, blob: str) -> bool:
        return any(True for _ in self._parts(blob))

    def open(self, blob: str, size: int | None = None) -> Iterator[bytes]:
        if size is None:
            size = self.size(blob)
        block, part_bytes = self._first(blob, size)
        if part_bytes > size:
            raise Local(f"Blob {blob} in {self.url} is damaged: it has not {size:,} bytes")
        return self._read(blob, size, part_bytes, block)

    def delete(self, *blobs: str) -> None:
        if len(blobs) == 1:
            found = [self._paths(blobs[0])]
        else:
            with ThreadPoolExecutor(DELETES, "delete") as pool:
                found = list(pool.map(self._paths, blobs))
        paths = [path for each in found for path in each]
        for at in range(0, len(paths), MOST_DELETED):
            self._delete(paths[at : at + MOST_DELETED], RETRIES)

    def there(self) -> Iterator[tuple[str, int]]:
        blob, total = "", 0
        for path, size in self._listed(None):
            folder, _, name = path.rpartition("/")
            found = folder.rpartition("/")[2]
            if not name.isdigit() or not found:
                continue
            if found != blob:
                if blob:
                    yield blob, total
                blob, total = found, 0
            total += size
        if blob:
            yield blob, total

    def _first(self, blob: str, size: int) -> tuple[bytes, int]:
        """The first block of a body, and how large its first part is."""
        import obstore

        with self._named(blob):
            if not size:
                return b"", obstore.head(self._store, _path(blob, 0))["size"]
            end = min(size, READ_BYTES)
            answer = obstore.get(self._store, _path(blob, 0), options={"range": (0, end)})
            return bytes(answer.bytes()), answer.meta["size"]

    def _read(self, blob: str, size: int, part_bytes: int, block: bytes) -> Iterator[bytes]:
        """The blocks of a body, of which the first was read."""
        import obstore

        at = len(block)
        yield block
        while at < size:
            number, start = divmod(at, part_bytes)
            end = min(start + READ_BYTES, part_bytes, size - number * part_bytes)
            with self._named(blob):
                found = obstore.get_range(self._store, _path(blob, number), start=start, end=end)
                block = bytes(found)
            if not block:
                raise self._cut_off(blob)
            at += len(block)
            yield block

    def _delete(self, paths: list[str], more: int) -> None:
        """Delete objects. The library does not repeat this by itself: it is a POST."""
        import obstore

        try:
            with self._named("of a list"), suppress(FileNotFoundError):
                obstore.delete(self._store, paths)
        except Unavailable:
            if not more:
                raise
            self._delete(paths, more - 1)

    def _paths(self, blob: str) -> list[str]:
        return [path for path, _ in self._parts(blob)]

    def _parts(self, blob: str) -> Iterator[tuple[str, int]]:
        return self._listed(f"{blob[:2]}/{blob}")

    def _listed(self, folder: str | None) -> Iterator[tuple[str, int]]:
        """Path and size of all objects below a folder."""
        import obstore

        pages = iter(obstore.list(self._store, folder))
        while True:
            with self._named("of a list"):
                page = next(pages, None)
            if page is None:
                return
            yield from ((found["path"], found["size"]) for found in page)

    @contextmanager
    def _named(self, blob: str) -> Iterator[None]:
        """Make a call, and say in one line what failed, without what an answer may hold.

        While the bucket is away one call at a time finds out whether it is back; the others
        fail at once, so that no thread waits that has something else to do.
        """
        from obstore.exceptions import BaseError

        away = self._away
        if away is not None and not self._asking.acquire(blocking=False):
            known = Unavailable(away.message, hint=away.hint, retry_after_secs=AWAY_SECS)
            known.outage = away.outage
            raise known
        try:
            yield
            self._back(away)
        except (BaseError, OSError, ValueError) as error:
            failure = self._failure(blob, error)
            if isinstance(failure, Unavailable):
                failure.outage = (self._away and self._away.outage) or Outage(self.url)
                self._away = failure
            else:
                self._back(away)
            raise failure from None
        finally:
            if away is not None:
                self._asking.release()

    def _back(self, away: Unavailable | None) -> None:
        """It has answered. away: what was known when it was asked, before which nothing counts."""
        if away is not None and away.outage is not None:
            self._away = None
            away.outage.over = True

    def _failure(self, blob: str, error: Exception) -> StorectlError:
        text = str(error).partition("Debug source")[0]
        found = _CODE.search(text)
        code = found[1] if found else ""
        if code == "NoSuchBucket":
            return Local(f"Bucket of {self.url} is not there", hint=f"make it; {_where()}")
        if code in _REFUSED or type(error).__name__ in _DENIED:
            return Local(
                f"{self.url} refused the credentials ({code or 'AccessDenied'})",
                hint=f"check {_VARIABLES}; {_where()}",
            )
        if isinstance(error, FileNotFoundError):
            return self._missing(blob)
        if code == "InvalidRange":
            return self._cut_off(blob)
        return Unavailable(
            f"{self.url} does not answer: {code or _reason(str(error))}",
            hint=f"try again; {_where()}",
            retry_after_secs=AWAY_SECS,
        )

    def _missing(self, blob: str) -> Local:
        return Local(f"Blob {blob} in {self.url} is missing")

    def _cut_off(self, blob: str) -> Local:
        return Local(f"Blob {blob} in {self.url} is damaged: it is cut off")


def parts_of(url: str) -> tuple[str, str, str]:
    """A URL as it is kept, its bucket and its prefix."""
    found = _URL.fullmatch(url)
    if found is None or {".", ".."} & set(found[2].split("/")):
        if "@" in url or "?" in url:
            raise InvalidInput(
                "The URL of a bucket holds no credentials and no parameters",
                hint=f"s3://BUCKET/PREFIX, and {_VARIABLES} in the environment",
            )
        raise InvalidInput(f"{url!r} names no bucket", hint="s3://BUCKET/PREFIX")
    return f"s3://{found[1]}{found[2]}", found[1], found[2].strip("/")


def cut(blocks: Iterable[bytes], size: int) -> Iterator[bytearray]:
    """Blocks of any size as parts of one; the last is smaller, and there is at least one."""
    held, count = bytearray(), 0
    for block in blocks:
        rest = memoryview(block)
        while rest:
            taken = rest[: size - len(held)]
            held += taken
            rest = rest[len(taken) :]
            if len(held) == size:
                yield held
                held, count = bytearray(), count + 1
    if held or not count:
        yield held


def _open(bucket: str, prefix: str) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError:
        raise Local(
            "Buckets need a library that is not installed", hint="pip install 'storectl[s3]'"
        ) from None
    client: Any = {
        "allow_http": _endpoint().startswith("http://"),
        "connect_timeout": timedelta(seconds=CONNECT_SECS),
        "timeout": timedelta(seconds=CALL_SECS),
    }
    retry: Any = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECS)}
    config: Any = {"endpoint": _endpoint()} if _endpoint() else {}
    try:
        return S3Store(
            bucket, prefix=prefix or None, config=config, client_options=client, retry_config=retry
        )
    except Exception as error:
        raise Local(
            f"Bucket {bucket} cannot be used as the environment describes it: "
            f"{_reason(str(error))}",
            hint=f"check AWS_REGION and {_VARIABLES}; {_where()}",
        ) from None


def _endpoint() -> str:
    environ = os.environ
    return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""


def _where() -> str:
    """Where it was looked for, and with whose credentials, without any."""
    place = _endpoint().rpartition("@")[2]
    told = f"AWS_ENDPOINT_URL is {place or 'not set'}"
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        told += ", AWS_ACCESS_KEY_ID is not set"
    return told


def _path(blob: str, number: int) -> str:
    return f"{blob[:2]}/{blob}/{number:05}"


def _reason(text: str) -> str:
    """Why, of all that the library says: a word of the system, or the end of its first line."""
    if found := _SYSTEM.search(text):
        return found[0].lower().replace("timedout", "timed out")
    line = text.strip().partition("\n")[0]
    return line.rpartition(" - ")[2].strip().removesuffix(":")[:200] or "no reason is given"
