"""Rights and links of a remote server. All but signing is an extension of storectl's own."""

from __future__ import annotations

import builtins
from typing import Any

import msgspec

from storectl.client.http import Http
from storectl.client.storage import known_as
from storectl.errors import Forbidden, Unsupported
from storectl.model import access, dataset, kvs, queue, rules
from storectl.model.access import Access, Grant, Held, Link, check_link, check_right

STORAGE = {"dataset": dataset.GET, "kvs": kvs.GET, "queue": queue.GET}


class _Listed(msgspec.Struct):
    items: builtins.list[Access]


class AccessRights:
    """The keeper of rights. See model/access.py for the promise.

    Where the server has no links of its own, `link` signs with the key that it shows
    to writers, which every server of the API verifies; nobody remembers such a link.
    """

    def __init__(self, http: Http) -> None:
        self.http = http

    def get(self, noun: str, ref: str) -> Access:
        self._needs("access-rights", "rights")
        with known_as(noun, ref):
            return self.http.data(access.GET[noun], Access, ref=ref)

    def held(self, noun: str, ref: str, user: str) -> Held:
        self._needs("access-rights", "rights")
        with known_as(noun, ref):
            return self.http.data(access.HELD[noun], Held, ref=ref, user=user)

    def grant(self, noun: str, ref: str, user: str, right: str) -> Grant:
        check_right(right)
        self._needs("access-rights", "rights")
        with known_as(noun, ref):
            body = {"right": right}
            return self.http.data(access.GRANT[noun], Grant, json=body, ref=ref, user=user)

    def revoke(self, noun: str, ref: str, user: str) -> Grant:
        self._needs("access-rights", "rights")
        with known_as(noun, ref):
            return self.http.data(access.REVOKE[noun], Grant, ref=ref, user=user)

    def link(self, noun: str, ref: str, *, key: str | None = None, secs: int | None) -> Link:
        check_link(noun, key, secs)
        with known_as(noun, ref):
            if "links" not in self.http.extensions:
                return self._signed(noun, ref, key, secs)
            body = {"key": key, "secs": secs}
            return self.http.data(access.LINK[noun], Link, json=body, repeatable=True, ref=ref)

    def rotate(self, noun: str, ref: str) -> None:
        self._needs("links", "new signing keys")
        with known_as(noun, ref):
            self.http.send(access.ROTATE[noun], ref=ref)

    def report(self) -> builtins.list[Access]:
        self._needs("access-rights", "report of who may see what")
        return self.http.data(access.REPORT, _Listed).items

    def _signed(self, noun: str, ref: str, key: str | None, secs: int | None) -> Link:
        """A link signed here, with the key in the storage's description."""
        found = self.http.data(STORAGE[noun], dict[str, Any], ref=ref)
        secret, id = found.get("urlSigningSecretKey"), found.get("id")
        if not isinstance(id, str):
            raise self.http.strange("it does not say which storage this is")
        if not isinstance(secret, str) or not secret:
            raise Forbidden(
                f"{self.http.host} does not show this token the key that links are signed with",
                hint="use a token that may write to it",
            )
        now = rules.now_ms()
        until = 0 if secs is None else now + secs * 1000
        return Link(
            key=key,
            created_at=rules.iso(now),
            expires_at=rules.iso(until) if until else None,
            signature=rules.link_signature(secret, id, key, until),
        )

    def _needs(self, extension: str, what: str) -> None:
        if extension not in self.http.extensions:
            raise Unsupported(
                f"{self.http.host} has no {what} in its API",
                hint="its Console has them, in the storage's menu under Share; "
                "its API has general access and signed links",
            )
