"""Storages as folders of Crawlee: each appears when it is whole."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from storectl.errors import Conflict
from storectl.formats.encoding import decoded
from storectl.model import rules
from storectl.model.kvs import Key, KeyValueStores, every_key
from storectl.model.queue import Queues, every_request
from storectl.model.request import Request
from storectl.model.storage import Storage
from storectl.transfer import local_python
from storectl.transfer.events import Advanced, Event, Finished, Started
from storectl.transfer.local import LAYOUTS, Step, stored, together
from storectl.transfer.local_layout import FOLDERS, METADATA, Layout, Notes, Order, write_new

_CLIENT = "storectl-local-export"


class Source(NamedTuple):
    """A storage that is to be written, and the name of its folder."""

    noun: str
    keeper: Any
    storage: Storage
    name: str


def dump(
    sources: list[Source],
    root: Path,
    layout: str,
    notes: Notes,
    *,
    force: bool = False,
    jobs: int = 1,
    on_done: Callable[[Source, Step, int], None] = lambda _source, _step, _refused: None,
) -> Iterator[Event]:
    """Write storages as folders, each of which appears when it is whole.

    Raises Conflict, before anything is written, where a folder has contents already,
    unless force: then it is replaced. What a library could not read is Refused.
    """
    begin = time.monotonic()
    check_free(sources, root, force)
    yield Started()
    files = size = refused = 0
    for source in sorted(sources, key=lambda source: list(FOLDERS).index(source.noun)):
        whole = Step(0, 0, 0)
        for step in _dump(source, root, LAYOUTS[layout], notes, jobs):
            whole = Step(*map(sum, zip(whole, step, strict=True)))
            yield Advanced(files + whole.files, size + whole.bytes)
        on_done(source, whole, len(notes.refused) - refused)
        files, size = files + whole.files, size + whole.bytes
        yield from notes.refused[refused:]
        refused = len(notes.refused)
    yield Finished(files, size, time.monotonic() - begin, refused)


def check_free(sources: Iterable[Source], root: Path, force: bool) -> None:
    """Raise Conflict if two storages would have one folder, or one is there with contents."""
    taken: set[tuple[str, str]] = set()
    for source in sources:
        folder = folder_of(source, root)
        if (source.noun, folder.name.lower()) in taken:  # one folder on many file systems
            raise Conflict(f"two storages would be written to {folder}", type="folder-taken")
        taken.add((source.noun, folder.name.lower()))
        if not force and folder.exists() and any(map(_is_content, folder.iterdir())):
            raise Conflict(
                f"{folder} has contents", type="folder-exists", hint="--force replaces it"
            )


def _is_content(path: Path) -> bool:
    """Not of the default store that only holds the order of queues, for Python."""
    return path.name != METADATA and not path.name.startswith(local_python.STATE)


def folder_of(source: Source, root: Path) -> Path:
    """Where a storage goes: one plain folder, whatever a server says its name is."""
    return root / FOLDERS[source.noun] / rules.check_name(source.name)


def _dump(source: Source, root: Path, layout: Layout, notes: Notes, jobs: int) -> Iterator[Step]:
    folder = folder_of(source, root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    counts = {"total": 0, "handled": 0}
    outside: list[tuple[Path, bytes]] = []
    try:
        if source.noun == "dataset":
            yield from _dump_items(source, temporary, layout, counts, jobs)
        elif source.noun == "kvs":
            yield from _dump_records(source, temporary, layout, notes, jobs)
        else:
            yield from _dump_queue(source, temporary, root, layout, notes, counts, outside)
        if told := layout.metadata(source.noun, source.storage, source.name, counts):
            write_new(f"{temporary}/{METADATA}", [told])
        _put_in_place(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for path, data in outside:
        _replace(root / path, data)


def _dump_items(
    source: Source, folder: Path, layout: Layout, counts: dict[str, int], jobs: int
) -> Iterator[Step]:
    for number, line in enumerate(stored(source.keeper, source.storage.id, jobs), 1):
        size = write_new(f"{folder}/{number:09d}.json", [layout.item(line)])
        counts["total"] = number
        yield Step(1, size, 1)


def _dump_records(
    source: Source, folder: Path, layout: Layout, notes: Notes, jobs: int
) -> Iterator[Step]:
    kvs: KeyValueStores = source.keeper

    def write(key: Key) -> int:
        name = rules.check_key(key.key)
        record = kvs.record(source.storage.id, name)
        file = layout.record_name(name, record.content_type, notes)
        size = write_new(f"{folder}/{file}", decoded(record.body, record.content_encoding))
        if beside := layout.record_metadata(name, record.content_type, size):
            write_new(f"{folder}/{beside[0]}", [beside[1]])
        return size

    for key, done in together(write, every_key(kvs, source.storage.id), jobs):
        if isinstance(done, int):
            yield Step(1, done, 1)
        else:
            notes.refuse(f"{source.name}: {key.key}", done.message)


def _dump_queue(
    source: Source,
    folder: Path,
    root: Path,
    layout: Layout,
    notes: Notes,
    counts: dict[str, int],
    outside: list[tuple[Path, bytes]],
) -> Iterator[Step]:
    queues: Queues = source.keeper
    id = source.storage.id
    head: Iterable[Request] = queues.head(id, limit=rules.MAX_HEAD, client_key=_CLIENT).items
    is_whole = queues.keeps_order()
    if is_whole:
        head = every_request(queues, id, in_order=True, client_key=_CLIENT)
    ids = (request["id"] for request in head if request.get("lockExpiresAt") is None)
    places = {id: place for place, id in enumerate(ids)}
    pending = getattr(source.storage, "pending_request_count", 0)
    if pending > len(places) == rules.MAX_HEAD and not is_whole:
        notes.remark(
            source.name, f"only the first {len(places):,} of {pending:,} requests keep their order"
        )
    total = getattr(source.storage, "total_request_count", 0)

    def counted() -> Iterator[Request]:
        for request in every_request(queues, id, client_key=_CLIENT):
            counts["total"] += 1
            counts["handled"] += request.get("handledAt") is not None
            yield request

    for path, data in layout.queue(counted(), Order(places, total), root, id):
        if len(path.parts) > 1:
            outside.append((path, data))
        else:
            yield Step(1, write_new(f"{folder}/{path}", [data]), 1)


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Give the folder its name; what was there is gone, but for the order of other queues."""
    if not folder.exists():
        temporary.rename(folder)
        return
    for state in folder.glob(f"{local_python.STATE}*"):
        if not (temporary / state.name).exists():
            shutil.copy2(state, temporary / state.name)
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
