"""The folders of Crawlee for Python, version 1 (its file system storage client)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from storectl.errors import InvalidInput
from storectl.model import rules
from storectl.model.request import Request
from storectl.model.storage import Storage
from storectl.transfer.local_layout import (
    DEFAULT,
    FOLDERS,
    METADATA,
    Folder,
    FoundRecord,
    Notes,
    Order,
    compact,
    metadata_of,
    name_at,
    place_of,
    plain_files,
    read_file,
    read_json,
)

STATE = "__RQ_STATE_"
"""Key of the record in the default key-value store that holds the order of a queue, with its ID."""

INPUTS = ("INPUT", "INPUT.json", "INPUT.txt", "INPUT.bin")
"""Files that people make by hand, and that the Apify SDK reads as the record INPUT."""

_BESIDE = f".{METADATA}"
# The fields of its Request, in the order of its files, with their defaults.
_FIELDS: dict[str, tuple[str, Any]] = {
    "uniqueKey": ("unique_key", None),
    "url": ("url", None),
    "method": ("method", "GET"),
    "payload": ("payload", None),
    "headers": ("headers", {}),
    "userData": ("user_data", {}),
    "retryCount": ("retry_count", 0),
    "noRetry": ("no_retry", False),
    "loadedUrl": ("loaded_url", None),
    "handledAt": ("handled_at", None),
}
_NAMES = {theirs: name for name, (theirs, _) in _FIELDS.items()}


class _Beside(msgspec.Struct):
    key: str
    content_type: str


class _State(msgspec.Struct):
    forefront_requests: dict[str, int] = {}
    regular_requests: dict[str, int] = {}


def records(folder: Folder, notes: Notes) -> Iterator[FoundRecord]:
    """Those with metadata beside them: the library does not see others."""
    names = sorted(entry.name for entry in plain_files(folder.path, notes))
    there = set(names)
    inputs = [name for name in names if name in INPUTS]
    for name in names:
        path = folder.path / name
        if name in inputs[1:] and name + _BESIDE not in there:
            notes.refuse(path, f"the input is in {inputs[0]} already")
            continue
        if name.endswith(_BESIDE):
            notes.metadata += 1
            if name.removesuffix(_BESIDE) not in there:
                notes.pass_over(path, "metadata of a record that is not there")
        elif name in inputs and name + _BESIDE not in there:
            yield FoundRecord("INPUT", _type_of_input(path), path)
        elif name + _BESIDE not in there:
            notes.pass_over(path, "no metadata beside it, so Crawlee does not see it")
        elif name.startswith(STATE) and _is_of_queue(folder.path, name):
            notes.metadata += 1
        elif (found := _record(path, notes)) is not None:
            yield found


def _record(path: Path, notes: Notes) -> FoundRecord | None:
    beside = path.with_name(path.name + _BESIDE)
    try:
        told = msgspec.json.decode(read_file(str(beside)))
        if isinstance(told, dict) and "contentType" in told:
            told["content_type"] = told["contentType"]
        found = msgspec.convert(told, _Beside)
    except (InvalidInput, msgspec.MsgspecError) as error:
        notes.refuse(path, f"its metadata is broken: {error}")
        return None
    if unquote(path.name) != found.key and not (path.name in INPUTS and found.key == "INPUT"):
        notes.refuse(path, f"its metadata is that of another key, '{found.key}'")
        return None
    return FoundRecord(found.key, found.content_type, path)


def _type_of_input(path: Path) -> str:
    """As the SDK finds it where nobody wrote it down."""
    if path.suffix == ".txt":
        return "text/plain; charset=utf-8"
    try:
        compact(read_file(str(path)))
    except InvalidInput:
        return "application/octet-stream"
    return "application/json; charset=utf-8"


def _is_of_queue(store: Path, name: str) -> bool:
    queues = store.parent.parent / FOLDERS["queue"]
    id = name.removeprefix(STATE)
    return any(metadata_of(path.parent).get("id") == id for path in queues.glob(f"*/{METADATA}"))


def requests(folder: Folder, notes: Notes) -> Iterator[Request]:
    """In the order of the queue's state: the front, last in first out, then the others.

    Requests that the state does not know come behind, by the time of their files.
    """
    places = _places(folder)
    order: list[bytes] = []
    for entry in plain_files(folder.path, notes):
        if not entry.name.endswith(".json"):
            notes.pass_over(entry.path, "not a request's file")
            continue
        found = read_json(Path(entry.path), notes)
        if found is None:
            continue
        if not isinstance(found, dict):
            notes.refuse(entry.path, "no request in it")
            continue
        place = places.get(_get(found, "uniqueKey"), len(places))
        handled = _get(found, "handledAt") is not None
        order.append(place_of(entry, handled, place))
    places.clear()
    order.sort()
    for at in order:
        found = read_json(folder.path / name_at(at), notes)
        if isinstance(found, dict):
            yield _request(found)


def _places(folder: Folder) -> dict[Any, int]:
    """The place of each pending request, by its uniqueKey."""
    id = metadata_of(folder.path).get("id")
    file = folder.path.parent.parent / FOLDERS["kvs"] / DEFAULT / f"{STATE}{id}"
    try:
        state = msgspec.json.decode(file.read_bytes() if file.is_file() else b"", type=_State)
    except (OSError, msgspec.MsgspecError):
        return {}
    front = sorted(state.forefront_requests.items(), key=lambda pair: -pair[1])
    behind = sorted(state.regular_requests.items(), key=lambda pair: pair[1])
    return {key: place for place, (key, _) in enumerate([*front, *behind])}


def _get(found: dict[str, Any], name: str) -> Any:
    """A field of a file; its reader takes both spellings."""
    return found.get(_FIELDS[name][0], found.get(name))


def _request(found: dict[str, Any]) -> Request:
    """As the API spells it; what is null there was never set."""
    request = {_NAMES.get(name, name): value for name, value in found.items()}
    request = {name: value for name, value in request.items() if value is not None}
    if isinstance(request.get("handledAt"), str):
        request["handledAt"] = request["handledAt"].replace(" ", "T").replace("+00:00", "Z")
    return request


def item(line: bytes) -> bytes:
    """As json.dumps(item, indent=2, ensure_ascii=False) lays it out."""
    return msgspec.json.format(line, indent=2)


def record_name(key: str, content_type: str, notes: Notes) -> str:  # noqa: ARG001
    """The key, percent-encoded."""
    name = quote(key, safe="")
    if name == METADATA or name.endswith(_BESIDE):
        raise InvalidInput(f"the library would take {name} for a file of its own")
    return name


def record_metadata(key: str, content_type: str, size: int) -> tuple[str, bytes]:
    """Key, type and size: without it the library does not see the record."""
    return quote(key, safe="") + _BESIDE, _json(
        {"key": key, "content_type": content_type, "size": size}
    )


def queue(
    requests: Iterable[Request], order: Order, parent: Path, id: str
) -> Iterator[tuple[Path, bytes]]:
    """A file for each request, then the order of those pending as a record of the default store."""
    pending: list[tuple[int, str]] = []
    for request in requests:
        key = request["uniqueKey"]
        if request.get("handledAt") is None:
            locked = request.get("lockExpiresAt") is not None
            pending.append((order.head.get(request["id"], -1 if locked else order.total), key))
        name = f"{sha256(key.encode()).hexdigest()[:15]}.json"
        yield Path(name), _json(_file(request))
    pending.sort(key=lambda pair: pair[0])
    state = {
        "sequence_counter": len(pending),
        "forefront_sequence_counter": 0,
        "forefront_requests": {},
        "regular_requests": {key: place for place, (_, key) in enumerate(pending)},
        "in_progress_requests": [],
        "handled_requests": [],  # the library finds them in their files
    }
    store = Path(FOLDERS["kvs"]) / DEFAULT
    if not (parent / store / METADATA).exists():
        now = datetime.now(timezone.utc)
        yield store / METADATA, _metadata(rules.new_id(), None, [now, now, now], {})
    data = _json(state)
    key = f"{STATE}{id}"
    yield store / key, data
    name, beside = record_metadata(key, "application/json", len(data))
    yield store / name, beside


def _file(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (theirs, default) in _FIELDS.items():
        value = request.get(name)
        found[theirs] = default if value is None else value
    if isinstance(found["payload"], dict):  # it knows texts only
        found["payload"] = msgspec.json.encode(found["payload"]).decode()
    if found["handled_at"] is not None:
        found["handled_at"] = found["handled_at"].replace("T", " ").replace("Z", "+00:00")
    left = ("id", "lockExpiresAt", "lockByClient")
    more = {name: request[name] for name in request if name not in _FIELDS and name not in left}
    return found | more


def metadata(noun: str, storage: Storage, name: str, counts: dict[str, int]) -> bytes:
    """Times, ID and name; the default storages and those without a name have null."""
    times = [
        datetime.fromisoformat(text)
        for text in (storage.accessed_at, storage.created_at, storage.modified_at)
    ]
    more: dict[str, Any] = {}
    if noun == "dataset":
        more = {"item_count": counts["total"]}
    elif noun == "queue":
        more = {
            "had_multiple_clients": False,
            "handled_request_count": counts["handled"],
            "pending_request_count": counts["total"] - counts["handled"],
            "total_request_count": counts["total"],
        }
    named = None if name in (DEFAULT, storage.id) else name
    return _metadata(storage.id, named, times, more)


def _metadata(id: str, name: str | None, times: list[datetime], more: dict[str, Any]) -> bytes:
    accessed, created, modified = (str(time) for time in times)
    known = {"accessed_at": accessed, "created_at": created, "modified_at": modified}
    return _json({"id": id, "name": name, **known, **more})


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()
