"""Users and tokens of a remote server. Tokens are an extension of storectl's own."""

from __future__ import annotations

import builtins
from typing import Any

import msgspec

from storectl.client.http import Http
from storectl.errors import InvalidInput, Unsupported
from storectl.model import token
from storectl.model.access import Scope
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

    def update_me(self, *, default_access: str | None) -> User:
        self._needs("account-access", "way to set the access of an account", "its Console has it")
        body = {"defaultAccess": default_access}
        return self._user(self.http.data(token.UPDATE_ME, dict[str, Any], json=body))

    def current(self) -> Token:
        self._needs_tokens()
        return self.http.data(token.CURRENT, Token)

    def create(
        self,
        name: str,
        *,
        username: str | None = None,
        email: str | None = None,
        scope: builtins.list[str] | None = None,
        secs: int | None = None,
    ) -> Token:
        self._needs_tokens()
        if scope is not None:
            Scope.parse(scope)
        if username is not None and username != self.me().username:
            raise InvalidInput(
                f"A token for '{username}' can only be made on the store itself",
                hint=f"storectl --store FOLDER token create {name} --user {username}",
            )
        body: dict[str, Any] = {"name": name, "email": email, "scope": scope, "secs": secs}
        given = {field: value for field, value in body.items() if value is not None}
        return self.http.data(token.CREATE, Token, json=given)

    def list(self) -> list[Token]:
        self._needs_tokens()
        return self.http.data(token.LIST, _Listed).items

    def get(self, id_or_name: str) -> Token:
        self._needs_tokens()
        return self.http.data(token.GET, Token, id=id_or_name)

    def rotate(self, id_or_name: str, *, keep_secs: int = 0) -> Token:
        self._needs_tokens()
        body = {"keepSecs": keep_secs}
        return self.http.data(token.ROTATE, Token, json=body, id=id_or_name)

    def revoke(self, id_or_name: str) -> Token:
        self._needs_tokens()
        return self.http.data(token.REVOKE, Token, id=id_or_name)

    def _needs_tokens(self) -> None:
        hint = "make them in its Console, under Settings, API & Integrations"
        self._needs("tokens", "tokens", hint)

    def _needs(self, extension: str, what: str, hint: str) -> None:
        if extension not in self.http.extensions:
            raise Unsupported(f"{self.http.host} has no {what} in its API", hint=hint)

    def _user(self, found: dict[str, Any]) -> User:
        name = found.get("username")
        if not isinstance(name, str):
            raise self.http.strange("it does not say whose token this is")
        email, created_at = found.get("email"), found.get("createdAt")
        access = found.get("defaultAccess")
        return User(
            id=str(found.get("id", "")),
            username=name,
            default_access=access if isinstance(access, str) else None,
            email=email if isinstance(email, str) else None,
            created_at=created_at if isinstance(created_at, str) else None,
        )
