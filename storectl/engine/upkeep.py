"""The keeper of a store as a whole. See model/upkeep.py for the promise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from storectl.model.upkeep import Copied, Finding, Scope, Step


class FolderUpkeep:
    """A store in a folder. clock: milliseconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self.folder, self.clock = folder, clock

    def exists(self) -> bool:
        return any((self.folder / name).exists() for name in ("store.sqlite", "blobs"))

    def check(self, *, deep: bool) -> Iterator[Finding | Scope | Step]:
        from storectl.engine.check import Check

        # A backup may lie where nothing can be written, not even SQLite's index of the log.
        still = all((self.folder / name).exists() for name in ("store.sqlite", "backup.json"))
        still = still and not (self.folder / "store.sqlite-wal").exists()
        return Check(self.folder, self.clock, deep=deep, still=still).run()

    def repair(self, findings: Iterable[Finding]) -> list[tuple[Finding, str]]:
        from storectl.engine.repair import repair

        return repair(self.folder, findings)

    def back_up(self, to: Path) -> Iterator[Scope | Step | Copied]:
        from storectl.engine.backup import back_up

        return back_up(self.folder, to, self.clock)

    def restore(self, backup: Path) -> Iterator[Scope | Step | Copied]:
        from storectl.engine.backup import restore

        return restore(backup, self.folder, self.clock)
