"""Rights, scopes and links on a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from storectl.engine.db import Db, Tx, statements
from storectl.engine.storage import Keeper, StorageRow
from storectl.engine.token import to_user
from storectl.errors import InvalidInput, NotFound
from storectl.model import rules
from storectl.model.access import OWNED, Access, Grant, Held, Link, check_link, check_right
from storectl.model.token import User


class AccessRights:
    """The keeper of rights. See model/access.py for the promise.

    keeper: of a noun, which finds its storages. A storage that follows an account
    without a setting has FOLLOW_USER_SETTING for its effective access: only a server
    knows what that comes to, and the report has it for it may be seen.
    """

    def __init__(
        self,
        db: Db,
        user: User | None,
        keeper: Callable[[str], Keeper[Any]],
        clock: Callable[[], int] = rules.now_ms,
    ) -> None:
        self.db = db
        self.user = user
        self.keeper = keeper
        self.clock = clock
        self.sql = statements("access", db.dialect)
        self.users = statements("token", db.dialect)

    def get(self, noun: str, ref: str) -> Access:
        return self._access(noun, self.keeper(noun).find(ref))

    def held(self, noun: str, ref: str, user: str) -> Held:
        row = self.keeper(noun).find(ref)
        whom = self._whom(user)
        grants = self.db.all(self.sql["grants"], no=row.no)
        right = next((grant[2] for grant in grants if grant[0] == whom.id), None)
        own = whom.id == row.user_id
        return Held(user_id=whom.id, username=whom.username, right=OWNED if own else right)

    def grant(self, noun: str, ref: str, user: str, right: str) -> Grant:
        check_right(right)
        row = self.keeper(noun).find(ref)
        whom = self._whom(user)
        if whom.id == row.user_id:
            raise InvalidInput(f"{noun.capitalize()} '{row.name or row.id}' is {whom.username}'s")
        now = self.clock()
        values = {"no": row.no, "user_id": whom.id, "level": right, "now": now}
        if self.db.write(lambda tx: tx.one(self.sql["grant"], **values)) is None:
            raise NotFound.of(noun, ref)  # deleted meanwhile
        return Grant(
            user_id=whom.id, username=whom.username, right=right, created_at=rules.iso(now)
        )

    def revoke(self, noun: str, ref: str, user: str) -> Grant:
        row = self.keeper(noun).find(ref)
        whom = self._whom(user)
        which = {"no": row.no, "user_id": whom.id}
        gone = self.db.write(lambda tx: tx.one(self.sql["revoke"], **which))
        if gone is None:
            raise NotFound(
                f"User '{whom.username}' has no right on {noun} '{row.name or row.id}'",
                hint=f"storectl {noun} access ls {row.name or row.id}",
                type="access-right-not-found",
            )
        return Grant(
            user_id=whom.id, username=whom.username, right=gone[0], created_at=rules.iso(gone[1])
        )

    def link(self, noun: str, ref: str, *, key: str | None = None, secs: int | None) -> Link:
        check_link(noun, key, secs)
        row = self.keeper(noun).find(ref)
        now = self.clock()
        until = 0 if secs is None else now + secs * 1000
        values = {"no": row.no, "key": key or "", "expires_at": until, "now": now}

        def work(tx: Tx) -> str:
            secret = tx.one(self.sql["secret"], no=row.no)
            if secret is None:
                raise NotFound.of(noun, ref)
            tx.all(self.sql["forget_expired_links"], no=row.no, now=now)
            tx.all(self.sql["link"], **values)
            return str(secret[0])

        secret = self.db.write(work)
        return Link(
            key=key,
            created_at=rules.iso(now),
            expires_at=rules.iso(until) if until else None,
            signature=rules.link_signature(secret, row.id, key, until),
        )

    def rotate(self, noun: str, ref: str) -> None:
        row = self.keeper(noun).find(ref)
        secret = rules.new_id() + rules.new_id()

        def work(tx: Tx) -> None:
            if tx.one(self.sql["rotate"], no=row.no, secret=secret) is None:
                raise NotFound.of(noun, ref)
            tx.all(self.sql["forget_links"], no=row.no)

        self.db.write(work)

    def report(self) -> list[Access]:
        if self.user is None:
            return []
        rows = self.db.all(self.sql["report"], user_id=self.user.id, now=self.clock())
        found = []
        for noun, id in rows:
            try:
                found.append(self.get(noun, id))
            except NotFound:  # deleted since
                continue
        return found

    def _access(self, noun: str, row: StorageRow) -> Access:
        (owner,) = self.db.all(self.users["user_by_id"], id=row.user_id)
        level, account = row.general_access, to_user(owner).default_access
        return Access(
            noun=noun,
            id=row.id,
            name=row.name,
            username=owner[1],
            general_access=level,
            effective_access=account or level if level == "FOLLOW_USER_SETTING" else level,
            grants=[
                Grant(user_id=id, username=name, right=right, created_at=rules.iso(at))
                for id, name, right, at in self.db.all(self.sql["grants"], no=row.no)
            ],
            links=[
                Link(
                    key=key or None,
                    created_at=rules.iso(at),
                    expires_at=rules.iso(until) if until else None,
                )
                for key, at, until in self.db.all(self.sql["links"], no=row.no, now=self.clock())
            ],
        )

    def _whom(self, text: str) -> User:
        """The user with this ID, username or e-mail."""
        for query, name in (("id", "id"), ("name", "username"), ("email", "email")):
            row = self.db.one(self.users[f"user_by_{query}"], **{name: text})
            if row is not None:
                return to_user(row)
        raise NotFound(f"User '{text[:80]}' was not found", type="user-not-found")
