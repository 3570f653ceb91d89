"""What the keepers need of a place for large bodies. Bytes first, row second."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import Protocol


class Blobs(Protocol):
    """Immutable bodies under keys of new_blob()."""

    def put(self, blob: str, blocks: Iterable[bytes]) -> None:
        """Keep a body, and return once it is durable. A failure leaves nothing."""
        ...

    def size(self, blob: str) -> int:
        """Bytes of a body. Raises Local if it is not there."""
        ...

    def open(self, blob: str) -> Iterator[bytes]:
        """Read a body in blocks."""
        ...

    def delete(self, blob: str) -> None:
        """Delete a body, or what is there of it. One that is not there is no failure."""
        ...


def new_blob() -> str:
    """A fresh key: 128 bits of chance, so that no body ever replaces another."""
    return secrets.token_hex(16)
