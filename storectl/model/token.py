"""Users and the API tokens that speak for them."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from storectl.model.endpoint import Endpoint


class User(Struct, rename="camel", kw_only=True, frozen=True):
    """One account. default_access: general access of its storages, None as the server says."""

    id: str
    username: str
    default_access: str | None = None
    email: str | None = None
    created_at: str | None = None


class Token(Struct, rename="camel", kw_only=True):
    """One API token. secret is there once, in the answer that creates it."""

    id: str
    name: str
    username: str
    created_at: str
    last4: str
    last_used_at: str | None = None
    expires_at: str | None = None
    secret: str | None = None


class Tokens(Protocol):
    """What a store can do with tokens and users. Proved by tests/contract/test_token.py."""

    def me(self) -> User:
        """Who the store speaks for."""
        ...

    def user(self, id_or_name: str) -> User:
        """The user with this ID or username, whose public part anyone may see."""
        ...

    def create(self, name: str, *, username: str | None = None) -> Token:
        """A new token with its secret. An engine creates the user if there is none."""
        ...

    def list(self) -> list[Token]: ...

    def revoke(self, id_or_name: str) -> Token:
        """End a token, at once. NotFound if none has that ID or name."""
        ...


ME = Endpoint("GET", "/v2/users/me", "user", "own")
USER = Endpoint("GET", "/v2/users/{id}", "user", None)
LIST = Endpoint("GET", "/v2/tokens", "token", "own")
CREATE = Endpoint("POST", "/v2/tokens", "token", "own")
REVOKE = Endpoint("DELETE", "/v2/tokens/{id}", "token", "own")
CAPABILITIES = Endpoint("GET", "/v2/capabilities", "server", None)
HEALTH = Endpoint("GET", "/healthz", "server", None)
