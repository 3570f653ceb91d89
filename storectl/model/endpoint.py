"""One address of the API, written once: the client formats it, the server routes it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote


class Endpoint(NamedTuple):
    """A method and a path with {placeholders}.

    noun: dataset, kvs, queue, token, user or access. needs: what the caller must be
    allowed to do: read, write or manage one storage, list or create those of the noun,
    self (any token), account (a token without a scope), or nothing.
    signed: a URL signature opens it too. fast: the class of its rate limit.
    """

    method: str
    path: str
    noun: str
    needs: str | None = "read"
    signed: bool = False
    fast: bool = False

    def url(self, **parts: str) -> str:
        """The path with its placeholders filled and percent-encoded; `~` stays."""
        return self.path.format(**{name: _segment(part) for name, part in parts.items()})


def _segment(part: str) -> str:
    # As a segment of its own .. would be resolved: DELETE records/.. deletes the store.
    return part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="~")
