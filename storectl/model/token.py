"""Users and the API tokens that speak for them."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from storectl.model.access import Scope
from storectl.model.endpoint import Endpoint


class User(Struct, rename="camel", kw_only=True, frozen=True):
    """One account. default_access: general access of its storages, None as the server says."""

    id: str
    username: str
    default_access: str | None = None
    email: str | None = None
    created_at: str | None = None


class Token(Struct, rename="camel", kw_only=True):
    """One API token. secret is there once, in the answer that creates or rotates it.

    scope: what it may do, as in model/access.py; None is all that its user may.
    previous_until: until when the secret before the last rotation works too.
    """

    id: str
    name: str
    username: str
    created_at: str
    last4: str
    last_used_at: str | None = None
    expires_at: str | None = None
    scope: list[str] | None = None
    previous_until: str | None = None
    secret: str | None = None


class Caller(Struct, frozen=True):
    """Who calls: a user, by a token. scope None: the token may do all that its user may."""

    user: User
    token_id: str
    scope: Scope | None = None


class Tokens(Protocol):
    """What a store can do with tokens and users. Proved by tests/contract/test_token.py."""

    def me(self) -> User:
        """Who the store speaks for."""
        ...

    def update_me(self, *, default_access: str | None) -> User:
        """Set the general access of my storages that follow my account; None: as the server."""
        ...

    def user(self, id_or_name: str) -> User:
        """The user with this ID or username, whose public part anyone may see."""
        ...

    def current(self) -> Token:
        """The token that the store is called with. NotFound for one that is opened itself."""
        ...

    def create(
        self,
        name: str,
        *,
        username: str | None = None,
        email: str | None = None,
        scope: list[str] | None = None,
        secs: int | None = None,
    ) -> Token:
        """A new token with its secret, which expires after secs; None: never.

        An engine creates the user if there is none, with the e-mail if one is given.
        """
        ...

    def list(self) -> list[Token]: ...

    def get(self, id_or_name: str) -> Token: ...

    def rotate(self, id_or_name: str, *, keep_secs: int = 0) -> Token:
        """Give a token a new secret. The old one works for keep_secs more."""
        ...

    def revoke(self, id_or_name: str) -> Token:
        """End a token, at once. NotFound if none has that ID or name."""
        ...


ME = Endpoint("GET", "/v2/users/me", "user", "self")
UPDATE_ME = Endpoint("PUT", "/v2/users/me", "user", "account")
USER = Endpoint("GET", "/v2/users/{id}", "user", None)
CURRENT = Endpoint("GET", "/v2/tokens/current", "token", "self")
LIST = Endpoint("GET", "/v2/tokens", "token", "account")
CREATE = Endpoint("POST", "/v2/tokens", "token", "account")
GET = Endpoint("GET", "/v2/tokens/{id}", "token", "account")
ROTATE = Endpoint("POST", "/v2/tokens/{id}/rotate", "token", "account")
REVOKE = Endpoint("DELETE", "/v2/tokens/{id}", "token", "account")
CAPABILITIES = Endpoint("GET", "/v2/capabilities", "server", None)
OPENAPI = Endpoint("GET", "/v2/openapi.json", "server", None)
HEALTH = Endpoint("GET", "/healthz", "server", None)
