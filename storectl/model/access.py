"""Who may do what: rights and scopes, links, and the promise of whoever keeps them.

A right includes those before it. Source of the levels: Apify API v2, "General resource
access" and "List of permissions"; rights over HTTP are an extension of storectl's own.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from storectl.errors import InvalidInput
from storectl.model import rules
from storectl.model.endpoint import Endpoint
from storectl.model.ref import KINDS
from storectl.model.storage import NOUNS

RIGHTS = ("read", "write", "manage")
"""read: details and contents. write: also change, fill, empty and delete. manage: also share."""

OWNED = "own"
"""The right of the user a storage belongs to, above manage."""

ON_KIND = ("list", "create")
"""What a scope may allow on a kind of storages, besides a right on all of them."""

_RANK = {right: rank for rank, right in enumerate((None, *RIGHTS, OWNED))}


def enough(right: str | None, needed: str) -> bool:
    """Whether a right includes another; None is no right."""
    return _RANK[right] >= _RANK[needed]


def lesser(one: str | None, other: str | None) -> str | None:
    """The smaller of two rights."""
    return min(one, other, key=_RANK.__getitem__)


def check_right(right: str) -> str:
    """One of RIGHTS."""
    if right in RIGHTS:
        return right
    raise InvalidInput(f"Right {right!r} is none of {', '.join(RIGHTS)}")


class Scope(Struct, frozen=True, forbid_unknown_fields=True):
    """What a token may do at most: nothing but what it allows. No scope at all is everything.

    allows: texts `NOUN:RIGHT`, `NOUN:list`, `NOUN:create` for a kind and
    `NOUN/ID:RIGHT` for one storage. What a token created it may manage.
    """

    allows: tuple[str, ...]

    @classmethod
    def parse(cls, texts: list[str]) -> Scope:
        """The scope that allows these, or InvalidInput saying which is wrong."""
        for text in texts:
            _check_allowed(text)
        return cls(tuple(dict.fromkeys(texts)))

    def right(self, noun: str, id: str, *, made_it: bool = False) -> str | None:
        """The greatest right on a storage. made_it: whether the token created it."""
        if made_it:
            return "manage"
        found = [
            right
            for right in RIGHTS
            if f"{noun}:{right}" in self.allows or f"{noun}/{id}:{right}" in self.allows
        ]
        return found[-1] if found else None

    def on_kind(self, noun: str, action: str) -> bool:
        """Whether it allows to list or to create storages of a noun."""
        return f"{noun}:{action}" in self.allows


def _check_allowed(text: str) -> None:
    what, colon, action = text.partition(":")
    noun, slash, id = what.partition("/")
    if colon and noun in NOUNS:
        if slash and rules.is_id(id) and action in RIGHTS:
            return
        if not slash and action in (*RIGHTS, *ON_KIND):
            return
    raise InvalidInput(
        f"Scope {text[:80]!r} is not of the form NOUN:ACTION or NOUN/ID:RIGHT",
        hint="dataset:read, kvs:create, queue/WkzbQMuFYuamGv3YF:write",
    )


class Grant(Struct, rename="camel", kw_only=True):
    """The right of one user on one storage that is not theirs."""

    user_id: str
    username: str
    right: str
    created_at: str


class Held(Struct, rename="camel", kw_only=True):
    """The right that one user has on one storage: `own` for its owner, None for none."""

    user_id: str
    username: str
    right: str | None


class Link(Struct, rename="camel", kw_only=True):
    """A signed link that was made, as far as this store knows: nobody needs to tell it.

    key: of the record it opens, None for the contents. expires_at: None is never.
    It opens as long as the storage has the signing key it had then.
    """

    key: str | None = None
    created_at: str
    expires_at: str | None = None
    signature: str | None = None


def check_link(noun: str, key: str | None, secs: int | None) -> None:
    """Refuse a link that nothing would open."""
    if noun == "queue":
        raise InvalidInput("The API opens no part of a request queue by a signed link")
    if key is not None:
        if noun != "kvs":
            raise InvalidInput(f"A {noun} has no records to link to")
        rules.check_key(key)
        if secs is not None:
            raise InvalidInput(
                "A link to a record never expires: its signature has no place for a time",
                hint="a new signing key ends it: storectl kvs link REF --revoke-all",
            )
    elif secs is not None:
        rules.check_secs("Life of a link", secs, rules.MAX_TOKEN_SECS)


class Access(Struct, rename="camel", kw_only=True):
    """Who may do what with one storage.

    general_access: its own setting; effective_access: that with the account's in
    its place where it follows the account. links: made and neither expired nor revoked.
    """

    noun: str
    id: str
    name: str | None
    username: str
    general_access: str
    effective_access: str
    grants: list[Grant] = []
    links: list[Link] = []


class AccessRights(Protocol):
    """What a store can do with rights. Proved by tests/contract/test_access.py.

    A ref is `ID`, `~name` or `user~name`. Users are meant by ID, username or
    e-mail. Whoever asks must be allowed to manage the storage.
    """

    def get(self, noun: str, ref: str) -> Access: ...

    def held(self, noun: str, ref: str, user: str) -> Held:
        """What one user has by a right of their own. NotFound: no such user."""
        ...

    def grant(self, noun: str, ref: str, user: str, right: str) -> Grant:
        """Give a user a right, in the place of the one they had. NotFound: no such user."""
        ...

    def revoke(self, noun: str, ref: str, user: str) -> Grant:
        """Take it away, at once. NotFound if there is none."""
        ...

    def link(self, noun: str, ref: str, *, key: str | None = None, secs: int | None) -> Link:
        """Sign a link and remember that it was made. secs None: it never expires.

        A record's link never expires: its signature has no place for a time.
        """
        ...

    def rotate(self, noun: str, ref: str) -> None:
        """Give the storage a new signing key: every link to it ends, at once."""
        ...

    def report(self) -> list[Access]:
        """Every storage of the user that somebody else may see, in the order of creation."""
        ...


_PATHS = {noun: f"/v2/{segment}/{{ref}}" for segment, noun in KINDS.items()}

# The same for each noun. An extension of storectl's own.
GET = {n: Endpoint("GET", f"{path}/access", n, "manage") for n, path in _PATHS.items()}
HELD = {n: Endpoint("GET", f"{path}/access/{{user}}", n, "manage") for n, path in _PATHS.items()}
GRANT = {n: Endpoint("PUT", f"{path}/access/{{user}}", n, "manage") for n, path in _PATHS.items()}
REVOKE = {
    n: Endpoint("DELETE", f"{path}/access/{{user}}", n, "manage") for n, path in _PATHS.items()
}
LINK = {n: Endpoint("POST", f"{path}/links", n, "manage") for n, path in _PATHS.items()}
ROTATE = {n: Endpoint("DELETE", f"{path}/links", n, "manage") for n, path in _PATHS.items()}
REPORT = Endpoint("GET", "/v2/access", "access", "account")
