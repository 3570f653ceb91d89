"""What the keepers need of a place for large bodies. Bytes first, row second."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Protocol


class Blobs(Protocol):
    """Immutable bodies under keys of new_blob().

    Raises Local where a place is not what it should be, and Unavailable while it is away.
    """

    def put(self, blob: str, blocks: Iterable[bytes]) -> None:
        """Keep a body, and return once it is durable.

        A failure leaves nothing, or, where nobody could delete it, what delete() deletes.
        """
        ...

    def size(self, blob: str) -> int:
        """Bytes of a body. Raises Local if it is not there."""
        ...

    def has(self, blob: str) -> bool:
        """Whether a body is there, or a part of one."""
        ...

    def open(self, blob: str, size: int | None = None) -> Iterator[bytes]:
        """Read a body in blocks. Raises Local at once if it has not that size, or is not there."""
        ...

    def delete(self, *blobs: str) -> None:
        """Delete bodies, or what is there of them. One that is not there is no failure.

        None comes back, whatever happens to the machine afterwards.
        """
        ...

    def there(self) -> Iterator[tuple[str, int]]:
        """Everything that is there, finished or not, and how many bytes: to look for orphans."""
        ...


def new_blob() -> str:
    """A fresh key: 128 bits of chance, so that no body ever replaces another."""
    return os.urandom(16).hex()
