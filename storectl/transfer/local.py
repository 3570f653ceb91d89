"""Crawlee's local storage folders: what is there, and in which of the two layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from storectl.errors import InvalidInput, NotFound, TooLarge
from storectl.model import rules
from storectl.model.dataset import Datasets, ItemsQuery
from storectl.transfer import local_js, local_python
from storectl.transfer.local_layout import (
    FOLDERS,
    METADATA,
    Folder,
    Layout,
    Notes,
    metadata_of,
    plain_files,
)
from storectl.transfer.windows import Rows, rows_of_window

LAYOUTS: dict[str, Layout] = {"js": local_js, "python": local_python}

WINDOW = 128
"""Records that are looked at together, so that several can be on their way."""

THREADS = 8
"""For a store in this process: its writers share a commit."""

_LEFTOVERS = ("__CRAWLEE_TEMPORARY", "__OLD")

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class Step(NamedTuple):
    """Some more of one storage. files: of those there are; written: those that the other side
    did not have already."""

    files: int
    bytes: int
    written: int


def scan(root: Path, layout: str, nouns: Iterable[str], notes: Notes) -> list[Folder]:
    """The storages below a folder, by noun and name. layout: js, python, or auto, which looks.

    Raises NotFound if root is not there, or holds none of the three kinds of folders.
    """
    if not root.is_dir():
        hint = "name the folder, or set CRAWLEE_STORAGE_DIR to where it is"
        raise NotFound(f"{root}: no such folder", hint=hint)
    kinds = set(FOLDERS.values())
    there = sorted(path.name for path in root.iterdir())
    if not kinds.intersection(there):
        raise NotFound(f"{root} has no {', '.join(sorted(kinds))}: not a folder of storages")
    for name in there:
        if name not in kinds:
            notes.pass_over(root / name, "not a folder of storages")
    found: list[Folder] = []
    for noun in nouns:
        parent = root / FOLDERS[noun]
        for path in sorted(parent.iterdir()) if parent.is_dir() else ():
            if _is_storage(path, noun, notes):
                found.append(Folder(noun, path, layout_of(path) if layout == "auto" else layout))
    return found


def _is_storage(path: Path, noun: str, notes: Notes) -> bool:
    if path.is_symlink():
        notes.pass_over(path, "a link; links are not followed")
    elif not path.is_dir():
        notes.pass_over(path, "not a folder")
    elif path.name.startswith((".", *_LEFTOVERS)):
        notes.pass_over(path, "left behind by an interrupted run")
    elif noun == "queue" and (path / "db.sqlite").exists():
        notes.refuse(path, "a database of Apify SDK 2; this layout is not read")
    else:
        return True
    return False


def layout_of(path: Path) -> str:
    """The layout of one storage: Python always writes METADATA, in snake_case."""
    return "python" if "accessed_at" in metadata_of(path) else "js"


def describe(folder: Folder) -> dict[str, Any]:
    """Its files of data: how many, their bytes, and when the last one was written."""
    count = size = 0
    last_ns = folder.path.stat().st_mtime_ns
    for entry in plain_files(folder.path, Notes()):
        if METADATA not in entry.name:
            found = entry.stat()
            count, size = count + 1, size + found.st_size
            last_ns = max(last_ns, found.st_mtime_ns)
    return {"items": count, "size": size, "modifiedAt": rules.iso(last_ns // 1_000_000)}


def stored(datasets: Datasets, ref: str, jobs: int) -> Iterator[bytes]:
    """The items of a dataset, each a line without its newline."""
    rows = Rows(datasets, ref, ItemsQuery(), jobs=jobs)
    for _, window in rows.windows(0, rows_of_window(datasets.get(ref), rows.jobs)):
        rest = b""
        for block in window:
            *lines, rest = (rest + block).split(b"\n")
            yield from lines


def together(
    work: Callable[[Thing], Result], things: Iterable[Thing], jobs: int
) -> Iterator[tuple[Thing, Result | InvalidInput | TooLarge]]:
    """Do it to things several at a time; each with its result, or why it cannot be done.

    jobs: 0 for a store in this process.
    """

    def attempt(thing: Thing) -> Result | InvalidInput | TooLarge:
        try:
            return work(thing)
        except (InvalidInput, TooLarge) as error:
            return error

    source = iter(things)
    with ThreadPoolExecutor(jobs or THREADS) as pool:
        while window := list(islice(source, WINDOW)):
            yield from zip(window, pool.map(attempt, window), strict=True)
