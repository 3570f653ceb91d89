"""What the items of a dataset have in a field."""

from __future__ import annotations

MISSING = object()
"""The value of a field that an item does not have."""


class FieldStatistics:
    """Running statistics of one field, as the API reports them.

    min, max: of numbers the value, of texts and arrays the length, of objects
    the number of keys, of booleans 0 and whether one is true.
    """

    def __init__(self) -> None:
        self.low: float | None = None
        self.high: float | None = None
        self.nulls = 0
        self.missing = 0

    def add(self, value: object) -> None:
        """Take one item's value into account."""
        if value is MISSING:
            self.missing += 1
            return
        if value is None:
            self.nulls += 1
            return
        if isinstance(value, bool):
            self.low, self.high = 0, max(self.high or 0, int(value))
            return
        size = value if isinstance(value, int | float) else len(value)  # type: ignore[arg-type]
        self.low = size if self.low is None else min(self.low, size)
        self.high = size if self.high is None else max(self.high, size)

    def shown(self) -> dict[str, float | int | None]:
        """The four figures."""
        return {
            "min": self.low,
            "max": self.high,
            "nullCount": self.nulls,
            "emptyCount": self.missing,
        }
