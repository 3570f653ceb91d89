"""Users and tokens on a database. Of a token only its hash is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from storectl.engine.db import Db, Row, Taken, Tx, statements
from storectl.engine.memory import Memory
from storectl.errors import Conflict, InvalidInput, Local, NotFound
from storectl.model import rules
from storectl.model.access import Scope
from storectl.model.token import Caller, Token, User

Many = list[Token]
"""Spelled out here, since a keeper has a method `list`."""

USED_MS = 3_600_000
"""The last use of a token is kept to the hour."""

NEVER = 2**62


class Known(NamedTuple):
    """A secret that is not revoked: whom it speaks for, until when, and its last use."""

    caller: Caller
    until: int
    used_at: int


class Tokens:
    """The keeper of tokens. See model/token.py for the promise.

    caller: whom they are kept for, and by which token they call. administrator:
    whoever opened the store itself sees every user's tokens and may make users; a
    caller over HTTP only sees their own. clock: milliseconds since 1970.
    """

    def __init__(
        self,
        db: Db,
        caller: Caller | None,
        *,
        administrator: bool,
        clock: Callable[[], int] = rules.now_ms,
    ) -> None:
        self.db = db
        self._caller = caller
        self.administrator = administrator
        self.clock = clock
        self.sql = statements("token", db.dialect)
        self._memory = Memory(db, rights=True)

    def me(self) -> User:
        if self._caller is None:
            raise NotFound("No user is given")
        # As the database has them: this view was made before they changed their account.
        row = self.db.one(self.sql["user_by_id"], id=self._caller.user.id)
        return to_user(row) if row else self._caller.user

    def update_me(self, *, default_access: str | None) -> User:
        if default_access not in (None, *rules.ACCOUNT_ACCESS):
            raise InvalidInput(
                f"Access of an account is one of {', '.join(rules.ACCOUNT_ACCESS)}, "
                f"not {default_access!r}"
            )
        which = {"id": self.me().id, "default_access": default_access}
        row = self.db.write(lambda tx: tx.one(self.sql["set_default_access"], **which))
        assert row is not None
        return to_user(row)

    def user(self, id_or_name: str) -> User:
        row = self.db.one(self.sql["user_by_id"], id=id_or_name) or self.db.one(
            self.sql["user_by_name"], username=id_or_name
        )
        if row is None:
            raise no_user(id_or_name)
        return to_user(row)

    def current(self) -> Token:
        if self._caller is None or not self._caller.token_id:
            raise NotFound("The store is opened itself, without a token")
        return self.get(self._caller.token_id)

    def create(
        self,
        name: str,
        *,
        username: str | None = None,
        email: str | None = None,
        scope: list[str] | None = None,
        secs: int | None = None,
    ) -> Token:
        rules.check_token_name(name)
        allowed = None if scope is None else list(Scope.parse(scope).allows)
        if secs is not None:
            rules.check_secs("Life of a token", secs, rules.MAX_TOKEN_SECS)
        user = self._named(username, email)
        secret, now = rules.new_token(), self.clock()
        row: dict[str, Any] = {
            "id": rules.new_id(),
            "user_id": user.id,
            "name": name,
            "hash": rules.token_hash(secret),
            "last4": secret[-4:],
            "scope": None if allowed is None else msgspec.json.encode(allowed).decode(),
            "now": now,
            "expires_at": None if secs is None else now + secs * 1000,
        }
        try:
            self.db.write(lambda tx: tx.all(self.sql["create"], **row))
        except Taken:
            raise Conflict(
                f"Token '{name}' exists for {user.username}", hint="storectl token ls"
            ) from None
        made = self._of(user.id, row["id"])
        made.secret = secret
        return made

    def list(self) -> list[Token]:
        return self._all(None if self.administrator else self.me().id)

    def get(self, id_or_name: str) -> Token:
        mine = self.list()
        found = [token for token in mine if token.id == id_or_name]
        found = found or [token for token in mine if token.name == id_or_name]
        if not found:
            raise no_token(id_or_name)
        if len(found) > 1:
            raise InvalidInput(
                f"Token name '{id_or_name}' belongs to {len(found)} users; give the ID",
                hint="storectl token ls",
            )
        return found[0]

    def rotate(self, id_or_name: str, *, keep_secs: int = 0) -> Token:
        token = self.get(id_or_name)
        if keep_secs:
            rules.check_secs("Time to keep the old secret", keep_secs, rules.MAX_KEEP_SECS)
        now = self.clock()
        if token.expires_at is not None and token.expires_at <= rules.iso(now):
            raise InvalidInput(
                f"Token '{token.name}' has expired", hint="storectl token create NAME"
            )
        secret = rules.new_token()
        row = {
            "id": token.id,
            "hash": rules.token_hash(secret),
            "last4": secret[-4:],
            "now": now,
            "until": now + keep_secs * 1000,
        }
        if self.db.write(lambda tx: tx.one(self.sql["rotate"], **row)) is None:
            raise no_token(id_or_name)
        return msgspec.structs.replace(
            token,
            last4=secret[-4:],
            previous_until=rules.iso(row["until"]) if keep_secs else None,  # type: ignore[arg-type]
            secret=secret,
        )

    def revoke(self, id_or_name: str) -> Token:
        token = self.get(id_or_name)
        which = {"id": token.id, "now": self.clock()}
        if self.db.write(lambda tx: tx.one(self.sql["revoke"], **which)) is None:
            raise no_token(id_or_name)
        return token

    def caller(self, secret: str) -> Caller | None:
        """Who a token speaks for; None if it is unknown, revoked or expired."""
        try:
            known = self._memory.recall(secret, partial(self._known, secret))
        except NotFound:  # raised, so that what strangers try is not remembered
            return None
        now = self.clock()
        if known.until <= now:
            return None
        if now - known.used_at > USED_MS:
            used = {"id": known.caller.token_id, "now": now}
            try:
                self.db.write(lambda tx: tx.all(self.sql["used"], **used))
            except Local:
                return known.caller  # a store that can only be read
        return known.caller

    def _known(self, secret: str) -> Known:
        from hmac import compare_digest  # it loads OpenSSL, 3 ms, and most commands ask no token

        hash = rules.token_hash(secret)
        row = self.db.one(self.sql["caller"], hash=hash) if rules.is_token(secret) else None
        if row is None:
            raise NotFound("There is no such token")
        id, scope, newest, previous, used_at, expires_at, previous_until = row[5:]
        until = expires_at or NEVER
        if not compare_digest(newest, hash):
            if not compare_digest(previous, hash):
                raise NotFound("There is no such token")
            until = min(until, previous_until)
        allowed = None if scope is None else Scope(tuple(msgspec.json.decode(scope)))
        return Known(Caller(to_user(row[:5]), id, allowed), until, used_at or 0)

    def _named(self, username: str | None, email: str | None) -> User:
        """The user a new token is for, made if whoever asks may."""
        if email is not None:
            rules.check_email(email)
        if self.administrator:
            return make_user(self.db, username or self.me().username, email)
        me = self.me()
        if username is not None and username.lower() != me.username.lower():
            raise InvalidInput(f"User '{username}' is not yours to make tokens for")
        if email is not None and email != me.email:
            raise InvalidInput("An e-mail is set on the store itself, not over HTTP")
        return me

    def _of(self, user_id: str, id: str) -> Token:
        return next(token for token in self._all(user_id) if token.id == id)

    def _all(self, user_id: str | None) -> Many:
        now = self.clock()
        return [
            Token(
                id=row[0],
                name=row[1],
                username=row[2],
                created_at=rules.iso(row[3]),
                last4=row[4],
                last_used_at=rules.iso(row[5]) if row[5] else None,
                expires_at=rules.iso(row[6]) if row[6] else None,
                scope=msgspec.json.decode(row[7]) if row[7] else None,
                previous_until=rules.iso(row[8]) if row[8] and row[8] > now else None,
            )
            for row in self.db.all(self.sql["list"], user_id=user_id)
        ]


def no_user(text: str) -> NotFound:
    return NotFound(f"User '{text[:80]}' was not found")


def no_token(text: str) -> NotFound:
    return NotFound(f"Token '{text[:80]}' was not found", hint="storectl token ls")


def make_user(db: Db, username: str, email: str | None = None) -> User:
    """The user with this name, new or not; with this e-mail, if one is given."""
    sql = statements("token", db.dialect)
    there = db.one(sql["user_by_name"], username=username)
    if there is not None and (email is None or there[3] == email):
        return to_user(there)
    rules.check_username(username)
    row = {
        "id": rules.new_id(),
        "username": username,
        "email": email,
        "now": rules.now_ms(),
    }

    def work(tx: Tx) -> Row | None:
        tx.all(sql["create_user"], **row)
        made = tx.one(sql["user_by_name"], username=username)
        assert made is not None
        if email is not None and made[3] != email:
            tx.all(sql["set_email"], id=made[0], email=email)
        return tx.one(sql["user_by_name"], username=username)

    try:
        made = db.write(work)
    except Taken:
        raise Conflict(f"E-mail '{email}' belongs to another user") from None
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
