"""Copies of a store: taken while it is in use, and put back.

The database is copied first, as it is at one moment, then the blobs that it names: they
never change, and while a copy is made no sweep deletes any. A copy is made beside its
place and renamed into it when it is whole, checked and on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path

import msgspec
from msgspec import Struct

from storectl import __version__
from storectl.engine.blobs import Blobs
from storectl.engine.check import Check
from storectl.engine.db import statements
from storectl.engine.files import UNFINISHED, Files, flush_folder, write
from storectl.engine.place import BlobPlace
from storectl.engine.snapshot import DamagedError, Reading
from storectl.engine.sqlite import SqliteDb
from storectl.errors import CheckFailed, Conflict, InvalidInput, Local, NotFound
from storectl.model import rules
from storectl.model.upkeep import Copied, Finding, Scope, Step

DATABASE = "store.sqlite"
MANIFEST = "backup.json"
FORMAT = 1
PAGES = 2048
PAGE_BYTES = 4096
BLOCK_BYTES = 1024 * 1024
BLOBS = 500
NAMES_ALL = "storectl doctor --deep names all of it"

HOLD_MS = 2 * 3600 * 1000
"""How long a backup that was killed keeps sweeps from deleting blobs."""

RENEW_MS = HOLD_MS // 4


class Manifest(Struct, rename="camel", kw_only=True):
    """What a backup says of itself, written last. It makes a folder a backup."""

    format: int
    created_at: str
    storectl: str
    database_bytes: int
    database_sha256: str
    storages: int
    blobs: int
    blob_bytes: int


def back_up(folder: Path, to: Path, clock: Callable[[], int]) -> Iterator[Scope | Step | Copied]:
    """See model/upkeep.py."""
    if not (folder / DATABASE).is_file():
        raise NotFound(f"{folder} holds no store", hint="name its folder with --store")
    if to.resolve().is_relative_to(folder.resolve()):
        raise InvalidInput(f"{to} is inside of the store", hint="name a folder elsewhere")
    with _appearing(to) as part, _held(folder, clock) as (source_blobs, renew):
        source = Reading(folder / DATABASE)
        try:
            _touch(part / DATABASE)
            for left, pages in source.copy_to(part / DATABASE, PAGES):
                yield Step(0, (pages - left) * PAGE_BYTES)
                renew()
        finally:
            source.close()
        manifest = _described(part, clock())
        yield from _fill(part, source_blobs, manifest, clock, renew)
        write(part / MANIFEST, [msgspec.json.format(msgspec.json.encode(manifest), indent=2)])
    yield _copied(manifest)


def restore(
    backup: Path, folder: Path, clock: Callable[[], int]
) -> Iterator[Scope | Step | Copied]:
    """See model/upkeep.py."""
    manifest = read_manifest(backup)
    with _appearing(folder) as part:
        write(part / DATABASE, _blocks(backup / DATABASE))
        if _sha256(part / DATABASE) != manifest.database_sha256:
            raise CheckFailed(
                f"{backup} is damaged: {DATABASE} is not the one that was written",
                hint="use another backup",
            )
        yield from _fill(part, Files(backup / "blobs"), manifest, clock, lambda: None)
    yield _copied(manifest)


def read_manifest(backup: Path) -> Manifest:
    """What a backup says of itself. Raises NotFound, CheckFailed, Local."""
    if not backup.is_dir():
        raise NotFound(f"Backup {backup} was not found")
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise CheckFailed(
            f"{backup} is not a whole backup: {MANIFEST} is missing", hint="use another backup"
        ) from None
    except msgspec.MsgspecError as error:
        raise CheckFailed(
            f"{backup} is damaged: {MANIFEST}: {error}", hint="use another backup"
        ) from None
    except OSError as error:
        raise Local(f"{backup / MANIFEST} cannot be read: {error.strerror}") from None
    if not (backup / DATABASE).is_file():
        raise CheckFailed(f"{backup} is damaged: {DATABASE} is missing", hint="use another backup")
    if manifest.format > FORMAT:
        raise Local(
            f"{backup} was written by a newer storectl, {manifest.storectl}",
            hint="pip install --upgrade storectl",
        )
    return manifest


def _fill(
    part: Path,
    source: Blobs,
    manifest: Manifest,
    clock: Callable[[], int],
    renew: Callable[[], None],
) -> Iterator[Scope | Step]:
    """Copy the blobs that a database names, then read all that is there and check it."""
    yield Scope(2 * (manifest.database_bytes + manifest.blob_bytes))
    done = manifest.database_bytes
    yield Step(0, done)
    target = Files(part / "blobs")
    db = Reading(part / DATABASE, still=True)
    sql, after = statements("backup", "sqlite"), 0
    try:
        while rows := db.all(sql["blobs"], after=after, limit=BLOBS):
            for _, blob in rows:
                renew()
                if source.has(blob):  # what is missing is found by the check
                    target.put(blob, source.open(blob))
                    done += target.size(blob)
                    yield Step(0, done)
            after = rows[-1][0]
    finally:
        db.close()
    for seen in Check(part, clock, deep=True, still=True).run():
        if isinstance(seen, Finding):
            if seen.harm != "none":
                raise _damaged(seen)
        elif isinstance(seen, Step):
            yield Step(seen.storages, done + seen.bytes)


def _damaged(finding: Finding) -> CheckFailed:
    where = " ".join(filter(None, (finding.noun, finding.storage, finding.place)))
    return CheckFailed(
        f"Nothing was written, since there is damage: {where}{': ' if where else ''}"
        f"{finding.detail}",
        hint=NAMES_ALL,
    )


def _described(part: Path, now: int) -> Manifest:
    path = part / DATABASE
    db = Reading(path, still=True)
    try:
        ((storages, blobs, blob_bytes),) = db.all(statements("backup", "sqlite")["sizes"])
    finally:
        db.close()
    return Manifest(
        format=FORMAT,
        created_at=rules.iso(now),
        storectl=__version__,
        database_bytes=path.stat().st_size,
        database_sha256=_sha256(path),
        storages=storages,
        blobs=blobs,
        blob_bytes=blob_bytes,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _copied(manifest: Manifest) -> Copied:
    return Copied(
        storages=manifest.storages,
        blobs=manifest.blobs,
        bytes=manifest.database_bytes + manifest.blob_bytes,
        sha256=manifest.database_sha256,
    )


@contextmanager
def _appearing(place: Path) -> Iterator[Path]:
    """A folder to be filled, which takes its place when that has succeeded."""
    _check_free(place)
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_parts(place)
        with _part(place) as part:
            yield part
            flush_folder(part)
            _check_free(place)
            os.rename(part, place)
            flush_folder(place.parent)
    except DamagedError as error:
        raise CheckFailed(
            f"Nothing was written, since the database is damaged: {error}", hint=NAMES_ALL
        ) from error
    except OSError as error:
        raise Local(f"{place} cannot be written: {error.strerror}") from None


@contextmanager
def _part(place: Path) -> Iterator[Path]:
    """A fresh folder beside a place. What is still there at the end goes."""
    while True:
        part = place.with_name(f".{place.name}.{rules.new_id()}{UNFINISHED}")
        part.mkdir(mode=0o700)
        with suppress(BlockingIOError):  # taken for left behind, in this very moment
            held = _hold(part)
            break
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if held is not None:
            os.close(held)


def _remove_parts(place: Path) -> None:
    """Remove what copies to the same place have left whose process was killed."""
    with suppress(OSError):
        for path in list(place.parent.iterdir()):
            name, _, id = path.name.removesuffix(UNFINISHED).rpartition(".")
            if (name, path.suffix) != (f".{place.name}", UNFINISHED) or not rules.is_id(id):
                continue
            with suppress(OSError):
                held = _hold(path)
                if held is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    os.close(held)


def _hold(folder: Path) -> int | None:
    """A descriptor that keeps a folder ours until it is closed, or our process ends.

    None where folders cannot be held. Raises BlockingIOError if it is another's, or gone.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BlockingIOError from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():
            return held
    except BlockingIOError:
        pass
    except OSError:  # a file system without locks
        os.close(held)
        return None
    os.close(held)
    raise BlockingIOError


def _check_free(place: Path) -> None:
    """Refuse to overwrite anything but an empty folder."""
    there = place.exists() or place.is_symlink()
    if there and (not place.is_dir() or any(place.iterdir())):
        raise Conflict(f"{place} is there already", hint="name another folder")


@contextmanager
def _held(folder: Path, clock: Callable[[], int]) -> Iterator[tuple[Blobs, Callable[[], None]]]:
    """The blobs of a store, which no sweep deletes meanwhile; to be renewed.

    A store that is read-only has no sweeps.
    """
    sql = statements("backup", "sqlite")
    holder = rules.new_id()
    db = SqliteDb(folder)
    last = 0

    def renew() -> None:
        nonlocal last
        now = clock()
        if now - last > RENEW_MS:
            last = now
            with suppress(Local):
                db.write(lambda tx: tx.all(sql["hold"], holder=holder, until=now + HOLD_MS))

    try:
        renew()
        yield BlobPlace(db, None, folder / "blobs"), renew
    finally:
        with suppress(Local):
            db.write(lambda tx: tx.all(sql["let_go"], holder=holder))
        db.close()


def _touch(path: Path) -> None:
    """An empty file that is nobody else's to read."""
    write(path, [])


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block
