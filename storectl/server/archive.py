"""Records as a ZIP file, written as it is sent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from storectl.model.kvs import Record

PACKED = ("image/", "video/", "audio/", "font/", "application/zip", "application/gzip")
"""Types that deflate would only cost time."""

SUFFIXES = {"br": ".br", "gzip": ".gz", "deflate": ".deflate"}
LEVEL = 1


class Sink:
    """A file that only grows: takes what ZipFile writes, gives it away in blocks."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def write(self, block: bytes) -> int:
        self._blocks.append(bytes(block))
        return len(block)

    def flush(self) -> None:
        """ZipFile asks for it."""

    def taken(self) -> Iterator[bytes]:
        """What has come since the last time."""
        blocks, self._blocks = self._blocks, []
        if blocks:
            yield b"".join(blocks)


def zipped(records: Iterable[Record]) -> Iterator[bytes]:
    """Yield a ZIP file with a file for each record, named by its key.

    A record that is still encoded gets the suffix of its encoding. Names are safe
    to unpack: a key has no slash and is neither `.` nor `..`.
    """
    sink = Sink()
    now = time.localtime()[:6]
    with ZipFile(sink, "w") as archive:  # type: ignore[arg-type, call-overload]
        for record in records:
            entry = ZipInfo(_name(record), now)
            entry.compress_type = ZIP_STORED if _is_packed(record) else ZIP_DEFLATED
            entry._compresslevel = LEVEL  # type: ignore[attr-defined]  # public from 3.13 on
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                for block in record.body:
                    file.write(block)
                    yield from sink.taken()
    yield from sink.taken()


def _name(record: Record) -> str:
    return record.key + SUFFIXES.get(record.content_encoding or "", "")


def _is_packed(record: Record) -> bool:
    return record.content_encoding is not None or record.content_type.startswith(PACKED)
