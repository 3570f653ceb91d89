"""What the callers of a server are given, whichever transport brought it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol


class Answer(Protocol):
    """A status, a head and a body. Names of headers are in lower case, if anyone asks."""

    @property
    def status_code(self) -> int: ...

    @property
    def reason_phrase(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def iter_bytes(self) -> Iterator[bytes]:
        """The body, unpacked, in blocks as they come."""
        ...

    def iter_raw(self) -> Iterator[bytes]:
        """The body as it was sent."""
        ...

    def close(self) -> None: ...


class Whole(NamedTuple):
    """An Answer that has been received."""

    status_code: int
    reason_phrase: str
    headers: Mapping[str, str]
    content: bytes

    def iter_bytes(self) -> Iterator[bytes]:
        yield self.content

    def iter_raw(self) -> Iterator[bytes]:
        yield self.content

    def close(self) -> None:
        return None
