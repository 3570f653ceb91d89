"""Users and tokens on a database. Of a token only its hash is kept."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from storectl.engine.db import Db, Row, Tx, statements
from storectl.engine.memory import Memory
from storectl.errors import Conflict, InvalidInput, Local, NotFound
from storectl.model import rules
from storectl.model.token import Token, User

Many = list[Token]
"""Spelled out here, since a keeper has a method `list`."""

USED_MS = 3_600_000
"""The last use of a token is kept to the hour."""


class Known(NamedTuple):
    """A token that is not revoked, and whom it speaks for."""

    user: User
    id: str
    used_at: int | None
    expires_at: int | None


class Tokens:
    """The keeper of tokens. See model/token.py for the promise.

    administrator: whoever opened the store itself sees every user's tokens and
    may make users; a caller over HTTP only sees their own.
    """

    def __init__(self, db: Db, user: User | None, *, administrator: bool) -> None:
        self.db = db
        self._user = user
        self.administrator = administrator
        self.sql = statements("token", db.dialect)
        self._memory = Memory(db)

    def me(self) -> User:
        if self._user is None:
            raise NotFound("No user is given")
        return self._user

    def user(self, id_or_name: str) -> User:
        row = self.db.one(self.sql["user_by_id"], id=id_or_name) or self.db.one(
            self.sql["user_by_name"], username=id_or_name
        )
        if row is None:
            raise NotFound(f"User '{id_or_name}' was not found")
        return to_user(row)

    def create(self, name: str, *, username: str | None = None) -> Token:
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise InvalidInput(f"Token name {name!r} must have 1 to 100 printable characters")
        user = self.me() if username is None else self._named(username)
        if any(token.name == name for token in self._of(user.id)):
            raise Conflict(
                f"Token '{name}' exists for {user.username}",
                hint="storectl token ls",
            )
        secret = rules.new_token()
        row = {
            "id": rules.new_id(),
            "user_id": user.id,
            "name": name,
            "hash": rules.token_hash(secret),
            "last4": secret[-4:],
            "now": rules.now_ms(),
        }
        self.db.write(lambda tx: tx.all(self.sql["create"], **row))
        return Token(
            id=str(row["id"]),
            name=name,
            username=user.username,
            created_at=rules.iso(int(str(row["now"]))),
            last4=secret[-4:],
            secret=secret,
        )

    def list(self) -> list[Token]:
        return self._of(None if self.administrator else self.me().id)

    def revoke(self, id_or_name: str) -> Token:
        mine = self.list()
        found = [token for token in mine if token.id == id_or_name]
        found = found or [token for token in mine if token.name == id_or_name]
        if not found:
            raise NotFound(f"Token '{id_or_name}' was not found", hint="storectl token ls")
        if len(found) > 1:
            raise InvalidInput(
                f"Token name '{id_or_name}' belongs to {len(found)} users; give the ID",
                hint="storectl token ls",
            )
        token = found[0]
        self.db.write(lambda tx: tx.all(self.sql["revoke"], id=token.id, now=rules.now_ms()))
        return token

    def caller(self, secret: str) -> User | None:
        """Who a token speaks for; None if it is unknown, revoked or expired."""
        hash = rules.token_hash(secret)
        known = self._memory.recall(hash, partial(self._known, hash))
        now = rules.now_ms()
        if known is None or (known.expires_at is not None and known.expires_at <= now):
            return None
        if known.used_at is None or now - known.used_at > USED_MS:
            try:
                self.db.write(lambda tx: tx.all(self.sql["used"], id=known.id, now=now))
            except Local:
                return known.user  # a store that can only be read
        return known.user

    def _known(self, hash: bytes) -> Known | None:
        row = self.db.one(self.sql["caller"], hash=hash)
        return Known(to_user(row[:5]), *row[5:]) if row else None

    def _named(self, username: str) -> User:
        """The user with this name, made if whoever asks may."""
        row = self.db.one(self.sql["user_by_name"], username=username)
        if row is not None:
            found = to_user(row)
            if self.administrator or found == self._user:
                return found
        if not self.administrator:
            raise InvalidInput(f"User '{username}' is not yours to make tokens for")
        return make_user(self.db, username)

    def _of(self, user_id: str | None) -> Many:
        return [
            Token(
                id=row[0],
                name=row[1],
                username=row[2],
                created_at=rules.iso(row[3]),
                last4=row[4],
                last_used_at=rules.iso(row[5]) if row[5] else None,
                expires_at=rules.iso(row[6]) if row[6] else None,
            )
            for row in self.db.all(self.sql["list"], user_id=user_id)
        ]


def make_user(db: Db, username: str) -> User:
    """The user with this name, new or not."""
    rules.check_username(username)
    sql = statements("token", db.dialect)
    row = {
        "id": rules.new_id(),
        "username": username,
        "now": rules.now_ms(),
    }

    def work(tx: Tx) -> Row | None:
        tx.all(sql["create_user"], **row)
        return tx.one(sql["user_by_name"], username=username)

    made = db.write(work)
    assert made is not None
    return to_user(made)


def to_user(row: Row) -> User:
    """A row of table `user` as a User."""
    return User(
        id=row[0],
        username=row[1],
        default_access=row[2],
        email=row[3],
        created_at=rules.iso(row[4]),
    )
