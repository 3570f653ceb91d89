"""What is known of the batches of a push, as its journal keeps it."""

from __future__ import annotations

import time
from zlib import crc32

from msgspec import Struct, field
from msgspec.structs import replace


class There(Struct, frozen=True, array_like=True):
    """What became of one batch, or of all up to one: taken, refused, and a sum of the lines."""

    items: int = 0
    bytes: int = 0
    refused: int = 0
    crc: int = 0

    def then(self, other: There) -> There:
        """Both, the other being the batch that follows."""
        return There(
            self.items + other.items,
            self.bytes + other.bytes,
            self.refused + other.refused,
            crc32(other.crc.to_bytes(4), self.crc),
        )


class Sent(Struct, frozen=True, array_like=True):
    """A batch that nobody acknowledged: its items, and when it was sent first, by the clock."""

    items: int
    secs: float


class State(Struct, frozen=True, kw_only=True):
    """How far a push is. key: of the job; each batch adds its number. base: items before.

    batch_bytes: where batches are cut, in a later version too. The first `batches` of
    them are acknowledged, with `there` in all; and behind a gap those `ahead`, by
    number. pending: those in doubt. base is None where nobody knows. repeated: batches
    that may be there twice; settled: those of which the count of items told.
    """

    key: str
    base: int | None
    batch_bytes: int
    batches: int = 0
    there: There = There()
    ahead: dict[int, There] = field(default_factory=dict)
    pending: dict[int, Sent] = field(default_factory=dict)
    repeated: int = 0
    settled: int = 0

    @property
    def total(self) -> There:
        """All that is acknowledged; the sum of lines means nothing where there is a gap."""
        found = self.there
        for there in self.ahead.values():
            found = found.then(there)
        return found

    @property
    def last(self) -> int:
        """The highest number of a batch that was ever sent."""
        return max(self.batches, *self.ahead, *self.pending, 0)

    def sent(self, number: int, items: int) -> State:
        """One more batch is on its way."""
        secs = self.pending[number].secs if number in self.pending else time.time()
        return replace(self, pending={**self.pending, number: Sent(items, secs)})

    def dropped(self, number: int) -> State:
        """The batch is surely not there."""
        return replace(self, pending={n: sent for n, sent in self.pending.items() if n != number})

    def acknowledged(self, number: int, there: There) -> State:
        """The batch is there."""
        ahead = {**self.ahead, number: there}
        batches, all_there = self.batches, self.there
        while found := ahead.pop(batches + 1, None):
            batches += 1
            all_there = all_there.then(found)
        done = self.dropped(number)
        return replace(done, batches=batches, there=all_there, ahead=ahead)
