"""What was read of storages, counted in memory and now and then in the database."""

from __future__ import annotations

from threading import Lock

from storectl.engine.db import Db, statements
from storectl.errors import Local
from storectl.model.store import TakesLong


class Reads:
    """Reads of this process that are not yet counted in the database.

    Counting each would make every read a write; they go along with later writes.
    """

    def __init__(self) -> None:
        self._counts: dict[int, list[int]] = {}
        self._mutex = Lock()

    def add(self, no: int, *, reads: int = 0, lists: int = 0, head_reads: int = 0) -> None:
        """Count reads of a storage."""
        with self._mutex:
            mine = self._counts.setdefault(no, [0, 0, 0])
            mine[0] += reads
            mine[1] += lists
            mine[2] += head_reads

    def pending(self, no: int) -> tuple[int, int, int]:
        """Reads, lists and reads of the head that the row does not hold yet."""
        reads, lists, head_reads = self._counts.get(no, (0, 0, 0))
        return reads, lists, head_reads

    def flush(self, db: Db) -> None:
        """Count them in the database. On a store that cannot be written they are dropped."""
        with self._mutex:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        rows = [
            {"no": no, "reads": reads, "lists": lists, "head_reads": head_reads}
            for no, (reads, lists, head_reads) in counts.items()
        ]
        sql = statements("storage", db.dialect)["count"]
        try:
            db.write(lambda tx: tx.many(sql, rows))
        except Local:
            return
        except TakesLong:
            for row in rows:
                self.add(**row)
            raise
