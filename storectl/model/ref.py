"""References to a storage, as the API spells them and as people type them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from storectl.errors import InvalidInput
from storectl.model import rules

KINDS = {"datasets": "dataset", "key-value-stores": "kvs", "request-queues": "queue"}
"""The path segment of each noun in the API and in Console URLs."""

PAGES = {"datasets": "dataset", "kvs": "kvs", "queues": "queue"}
"""What stands for each noun behind the # of our own console: `#/kvs/ID`."""


class Ref(Struct, frozen=True):
    """`ID`, `~name` or `user~name`. A bare word is an ID and nothing else.

    Exactly one of id and name is set; user only beside a name.
    """

    id: str | None = None
    name: str | None = None
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read the form the API has in its paths."""
        user, tilde, name = text.partition("~")
        if not tilde:
            return cls(id=text)
        return cls(name=name, user=user or None)

    def __str__(self) -> str:
        return self.id if self.id is not None else f"{self.user or ''}~{self.name}"


class Typed(Struct, frozen=True):
    """What a person typed: an optional profile, and the references to try in order."""

    profile: str | None
    candidates: tuple[str, ...]
    origin: str | None = None

    def __str__(self) -> str:
        return self.candidates[-1].removeprefix("~")


def typed(text: str, noun: str) -> Typed:
    """Read `ID`, `name`, `~name`, `user~name`, `user/name` or a URL, with `PROFILE:` before it.

    A bare word is tried as an ID only if it has the form of one, then as a name.
    """
    if "://" in text:
        return _from_url(text, noun)
    profile, colon, rest = text.rpartition(":")
    if colon and not profile:
        raise InvalidInput(f"Reference {text!r} has no profile before the colon")
    if not rest:
        raise InvalidInput(f"Reference {text!r} names no {noun}")
    if rest.startswith("/"):
        raise InvalidInput(
            f"Reference {rest!r} is a path; the shell may have expanded a leading ~",
            hint="write the name without ~, or quote it: '~name'",
        )
    rest = rest.replace("/", "~", 1)
    if "~" in rest:
        user, _, name = rest.partition("~")
        if user:
            rules.check_username(user)
        rules.check_name(name)
        return Typed(profile or None, (rest,))
    if rules.is_id(rest):
        return Typed(profile or None, (rest, f"~{rest}"))
    rules.check_name(rest)
    return Typed(profile or None, (f"~{rest}",))


def noun_of(url: str) -> str | None:
    """The noun of the storage that a URL leads to, None if it leads to none."""
    return next((noun for noun, _ in _named(url)), None)


def _from_url(text: str, noun: str) -> Typed:
    for found, ref in _named(text):
        if found == noun:
            parts = urlsplit(text)
            return Typed(None, (ref,), f"{parts.scheme}://{parts.netloc}")
    raise InvalidInput(f"URL {text!r} leads to no {noun}")


def _named(url: str) -> Iterator[tuple[str, str]]:
    """Each noun that a URL names, with the reference behind it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidInput(f"{url!r} is not a URL") from None
    fragment = parts.fragment.partition("?")[0]
    for path, kinds in ((parts.path, KINDS), (fragment, KINDS | PAGES)):
        segments = [unquote(part) for part in path.split("/") if part]
        yield from ((kinds[kind], ref) for kind, ref in pairwise(segments) if kind in kinds)
