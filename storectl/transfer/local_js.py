"""The folders of Crawlee for JavaScript, version 3 (@crawlee/memory-storage)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any

import msgspec

from storectl.errors import InvalidInput
from storectl.model import rules
from storectl.model.request import Request
from storectl.model.storage import Storage
from storectl.transfer.local_layout import (
    MAX_JSON_BYTES,
    Folder,
    FoundRecord,
    Notes,
    Order,
    compact,
    name_at,
    place_of,
    plain_files,
    read_file,
    read_json,
)

# Suffix and type that lead to each other in the table of the library (mime-types 2.1).
# Source: observed; tests/e2e/test_local.py asks the library itself.
TYPES = {
    "json": "application/json; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "ics": "text/calendar; charset=utf-8",
    "yaml": "text/yaml; charset=utf-8",
    "js": "application/javascript; charset=utf-8",
    "bin": "application/octet-stream",
    "xml": "application/xml",
    "xhtml": "application/xhtml+xml",
    "rss": "application/rss+xml",
    "atom": "application/atom+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "gpx": "application/gpx+xml",
    "jsonld": "application/ld+json",
    "geojson": "application/geo+json",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "svg": "image/svg+xml",
    "ico": "image/vnd.microsoft.icon",
    "mpga": "audio/mpeg",
    "oga": "audio/ogg",
    "wav": "audio/wave",
    "flac": "audio/x-flac",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "webm": "video/webm",
    "qt": "video/quicktime",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "rtf": "application/rtf",
    "epub": "application/epub+zip",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "wasm": "application/wasm",
    "zip": "application/zip",
    "gz": "application/gzip",
    "tar": "application/x-tar",
    "7z": "application/x-7z-compressed",
    "bz2": "application/x-bzip2",
    "xz": "application/x-xz",
    "rar": "application/vnd.rar",
}

MORE_SUFFIXES = {
    "htm": "html", "jpg": "jpeg", "tiff": "tif", "mp3": "mpga", "ogg": "oga", "mov": "qt",
    "md": "markdown", "yml": "yaml", "mjs": "js", "log": "txt", "text": "txt", "map": "json",
}  # fmt: skip
"""Suffixes people give their files, which the library reads as the type of another."""

PLAIN = TYPES["txt"]
_SUFFIXES = {kind.partition(";")[0]: suffix for suffix, kind in TYPES.items()}
_SUFFIXES |= {"text/xml": "xml", "audio/mp3": "mpga", "audio/wav": "wav", "image/x-icon": "ico"}
_RECORD_METADATA = ".__metadata__."
_INDENT = re.compile(rb"^ +", re.MULTILINE)


def records(folder: Folder, notes: Notes) -> Iterator[FoundRecord]:
    """The key is the file name without its last suffix, as the library reads it back.

    Where two files have one key, the one written last is its value: an older type of it
    leaves its file behind.
    """
    told = _record_metadata(folder.path, notes)
    found: dict[str, tuple[tuple[int, str], FoundRecord]] = {}
    for entry in plain_files(folder.path, notes):
        if _RECORD_METADATA in entry.name:
            continue
        key, content_type = told.get(entry.name) or _read_name(entry.name)
        written = (entry.stat().st_mtime_ns, entry.name)
        other = found.get(key)
        if other is None or other[0] < written:
            found[key] = (written, FoundRecord(key, content_type, Path(entry.path)))
        older = entry.path if other and other[0] > written else other and other[1].path
        if older:
            notes.refuse(older, f"a newer file, {found[key][1].path.name}, has its key '{key}'")
    for key in sorted(found):
        record = found[key][1]
        if _is_whole(record, notes):
            yield record


def _record_metadata(folder: Path, notes: Notes) -> dict[str, tuple[str, str]]:
    """Keys and types by the names that their files may have; the library can be told to keep them.

    In 3.18 the content is JSON in a string of JSON.
    """
    told: dict[str, tuple[str, str]] = {}
    for path in folder.glob(f"*{_RECORD_METADATA}json"):
        notes.metadata += 1
        try:
            found = msgspec.json.decode(read_file(str(path)))
            if isinstance(found, str):
                found = msgspec.json.decode(found)
            key, kind, suffix = (str(found[n]) for n in ("key", "contentType", "extension"))
        except (OSError, InvalidInput, msgspec.DecodeError, KeyError, TypeError):
            continue  # the files beside it are read by their names
        told[f"{key}.{suffix}"] = key, kind
        if _type_of(PurePath(key).suffix[1:]).partition(";")[0] == kind.partition(";")[0]:
            told[key] = key, kind
    return told


def _read_name(name: str) -> tuple[str, str]:
    """Key and type of a file name. A name without a suffix may itself be one, such as `xml`."""
    key, dot, suffix = name.rpartition(".")
    if not key:
        return (name, _type_of(name)) if not dot else (name, PLAIN)
    return key, _type_of(suffix)


def _type_of(suffix: str) -> str:
    suffix = suffix.lower()
    return TYPES.get(MORE_SUFFIXES.get(suffix, suffix), PLAIN)


def _is_whole(record: FoundRecord, notes: Notes) -> bool:
    """The library leaves out files of JSON that are none. What is huge is not looked into."""
    is_json = record.content_type.startswith("application/json")
    if not is_json or record.path.stat().st_size > MAX_JSON_BYTES:
        return True
    try:
        compact(read_file(str(record.path)))
    except InvalidInput as error:
        notes.refuse(record.path, error.message)
        return False
    return True


def requests(folder: Folder, notes: Notes) -> Iterator[Request]:
    """By orderNo: a time, negative for the front of the queue; handled requests have none.

    A lock is a time to come; locks do not travel. Requests of one millisecond are in
    the order of their files' times.
    """
    order: list[bytes] = []
    for entry in plain_files(folder.path, notes):
        if not entry.name.endswith(".json") or entry.name.startswith("."):
            notes.pass_over(entry.path, "not a request's file")
            continue
        found = read_json(Path(entry.path), notes)
        if found is None:
            continue
        number = found.get("orderNo") if isinstance(found, dict) else None
        at = int(number) if isinstance(number, int | float) else 0
        order.append(place_of(entry, number is None, at))
    order.sort()
    for place in order:
        path = folder.path / name_at(place)
        found = read_json(path, notes)
        request = _request(found, path, notes)
        if request is not None:
            yield request


def _request(found: Any, path: Path, notes: Notes) -> Request | None:
    try:
        request = msgspec.json.decode(found["json"], type=dict[str, Any])
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        notes.refuse(path, f"no request in it: {error}")
        return None
    if found.get("retryCount") and "retryCount" not in request:
        request["retryCount"] = found["retryCount"]
    if found.get("orderNo") is None and request.get("handledAt") is None:
        moment = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
        request["handledAt"] = rules.iso(int(moment.timestamp() * 1000))
    return request


def item(line: bytes) -> bytes:
    """As JSON.stringify(item, null, '\\t') lays it out."""
    return _INDENT.sub(lambda found: b"\t" * len(found[0]), msgspec.json.format(line, indent=1))


def record_name(key: str, content_type: str, notes: Notes) -> str:
    """Always key and suffix, so that the library reads the same key back."""
    kind, _, parameters = content_type.partition(";")
    suffix = _SUFFIXES.get(kind.strip().lower(), "bin")
    known = TYPES[suffix]
    name = f"{key}.{suffix}"
    if name == "__metadata__.json" or _RECORD_METADATA in name:
        raise InvalidInput(f"the library would take {name} for a file of its own")
    same = known.partition(";")[0] == kind.strip().lower()
    charset = parameters.strip().lower().replace('"', "")
    if not same or charset not in ("", "charset=utf-8") or (charset and ";" not in known):
        notes.remark(key, f"its type {content_type} will be read back as {known}")
    return name


def record_metadata(key: str, content_type: str, size: int) -> None:  # noqa: ARG001
    """None: what the library writes there it cannot read."""
    return


def queue(
    requests: Iterable[Request],
    order: Order,
    parent: Path,  # noqa: ARG001
    id: str,  # noqa: ARG001
) -> Iterator[tuple[Path, bytes]]:
    """A file for each; orderNo are the milliseconds before now, so that none looks locked."""
    behind = rules.now_ms() - 1
    start = behind - order.total
    first = start - 1
    for request in requests:
        if request.get("handledAt") is not None:
            number: int | None = None
        elif request["id"] in order.head:
            number = start + order.head[request["id"]]
        elif request.get("lockExpiresAt") is not None:
            number, first = first, first - 1
        else:
            number = behind
        yield Path(f"{request['id']}.json"), _file(request, number)


def _file(request: Request, number: int | None) -> bytes:
    kept = {
        name: request[name] for name in request if name not in ("lockExpiresAt", "lockByClient")
    }
    found: dict[str, Any] = {"id": request["id"], "json": msgspec.json.encode(kept).decode()}
    if request.get("method") is not None:
        found["method"] = request["method"]
    found |= {
        "orderNo": number,
        "retryCount": request.get("retryCount") or 0,
        "uniqueKey": request["uniqueKey"],
        "url": request["url"],
    }
    return json.dumps(found, indent="\t", ensure_ascii=False).encode()


def metadata(noun: str, storage: Storage, name: str, counts: dict[str, int]) -> bytes:
    """Only of queues: without it the library would count no request as handled."""
    if noun != "queue":
        return b""
    found = {
        "id": storage.id,
        "name": name,
        "accessedAt": storage.accessed_at,
        "createdAt": storage.created_at,
        "modifiedAt": storage.modified_at,
        "userId": "1",
        "hadMultipleClients": False,
        "handledRequestCount": counts["handled"],
        "pendingRequestCount": counts["total"] - counts["handled"],
        "totalRequestCount": counts["total"],
        "stats": {},
        "forefrontRequestIds": [],
    }
    return json.dumps(found, indent="\t", ensure_ascii=False).encode()
