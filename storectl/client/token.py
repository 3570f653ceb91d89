"""Users and tokens of a remote server. Tokens are an extension of storectl's own."""

from __future__ import annotations

import builtins
from typing import Any

import msgspec

from storectl.client.http import Http
from storectl.errors import InvalidInput, Unsupported
from storectl.model import token
from storectl.model.token import Token, User


class _Listed(msgspec.Struct):
    items: builtins.list[Token]


class Tokens:
    """The keeper of tokens. See model/token.py for the promise."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def me(self) -> User:
        return self._user(self.http.data(token.ME, dict[str, Any]))

    def user(self, id_or_name: str) -> User:
        return self._user(self.http.data(token.USER, dict[str, Any], id=id_or_name))

    def create(self, name: str, *, username: str | None = None) -> Token:
        self._needs_tokens()
        if username is not None and username != self.me().username:
            raise InvalidInput(
                f"A token for '{username}' can only be made on the store itself",
                hint=f"storectl --store FOLDER token create {name} --user {username}",
            )
        return self.http.data(token.CREATE, Token, json={"name": name})

    def list(self) -> list[Token]:
        self._needs_tokens()
        return self.http.data(token.LIST, _Listed).items

    def revoke(self, id_or_name: str) -> Token:
        self._needs_tokens()
        return self.http.data(token.REVOKE, Token, id=id_or_name)

    def _needs_tokens(self) -> None:
        if "tokens" not in self.http.extensions:
            raise Unsupported(
                f"{self.http.host} has no tokens in its API",
                hint="make them in its Console, under Settings, API & Integrations",
            )

    def _user(self, found: dict[str, Any]) -> User:
        name = found.get("username")
        if not isinstance(name, str):
            raise self.http.strange("it does not say whose token this is")
        email, created_at = found.get("email"), found.get("createdAt")
        return User(
            id=str(found.get("id", "")),
            username=name,
            email=email if isinstance(email, str) else None,
            created_at=created_at if isinstance(created_at, str) else None,
        )
