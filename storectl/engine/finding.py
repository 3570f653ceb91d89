"""How findings are worded. See model/upkeep.py for what they are."""

from __future__ import annotations

from typing import Any

from storectl.engine.storage import StorageRow
from storectl.model.upkeep import REPAIR, Finding

BACKUP = "put back a backup: storectl restore BACKUP --store NEW"

_REMEDIES = {
    "items": "pull what is left with storectl dataset items REF --offset and --limit",
    "record": "set it anew, or storectl kvs unset REF KEY",
    "blob": "set it anew, or storectl kvs unset REF KEY",
    "requests": "storectl queue rm-requests REF ID, then add it anew",
}


def lost(
    check: str,
    detail: str,
    row: StorageRow | None = None,
    place: str | None = None,
    *,
    remedy: str | None = None,
) -> Finding:
    """Data that is not there any more."""
    if remedy is None:
        remedy = f"{BACKUP}; or {_REMEDIES[check]}" if check in _REMEDIES else BACKUP
    return Finding(check=check, detail=detail, harm="lost", remedy=remedy, place=place, **_of(row))


def derivable(
    check: str,
    detail: str,
    mend: tuple[str, dict[str, Any]],
    row: StorageRow | None = None,
    place: str | None = None,
    **where: str,
) -> Finding:
    """What repair can make right from what is there."""
    return Finding(
        check=check,
        detail=detail,
        harm="derivable",
        remedy=REPAIR,
        place=place,
        mend=mend,
        **(_of(row) | where),
    )


def _of(row: StorageRow | None) -> dict[str, Any]:
    return {"noun": row.noun, "storage": row.id} if row is not None else {}
