"""Makes right what follows from data that is there. It may run while servers write."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from storectl.engine.db import Taken, statements
from storectl.engine.sqlite import SqliteDb
from storectl.errors import Internal, Local
from storectl.model.upkeep import Finding


def repair(folder: Path, findings: Iterable[Finding]) -> list[tuple[Finding, str]]:
    """Mend what has a mend; those that could not be, and why.

    Each mend is a transaction of its own that decides anew. A blob without a record is
    left alone while records are lost: it may be what is left of one.
    """
    wanted = list(findings)
    lost = any(each.harm == "lost" for each in wanted)
    sql = statements("repair", "sqlite")
    done: set[str] = set()
    failed = []
    db = SqliteDb(folder)
    try:
        for each in wanted:
            if each.mend is None or repr(each.mend) in done:
                continue
            done.add(repr(each.mend))
            if lost and each.mend[0] == "list_blob":
                failed.append((each, "it may be part of what is lost"))
                continue
            try:
                _mend(db, sql, each)
            except (Taken, Local, Internal, OSError) as error:
                failed.append((each, str(error)))
    finally:
        db.close()
    return failed


def _mend(db: SqliteDb, sql: dict[str, str], finding: Finding) -> None:
    assert finding.mend is not None
    name, values = finding.mend
    if name == "chmod":
        os.chmod(values["path"], values["mode"])
    elif name == "compact":
        db.compact()
    else:
        db.write(lambda tx: tx.all(sql[name], **values))
