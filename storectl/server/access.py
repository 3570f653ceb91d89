"""Rights, links and the report over HTTP: an extension of storectl's own."""

from __future__ import annotations

from msgspec import Struct, structs

from storectl.errors import InvalidInput
from storectl.model import access
from storectl.model.access import Access
from storectl.model.endpoint import Endpoint
from storectl.model.storage import NOUNS
from storectl.server.settings import Settings
from storectl.server.wire import Answer, Call, Handler, data, nothing


class Wanted(Struct, forbid_unknown_fields=True):
    """The right to give."""

    right: str


class WantedLink(Struct, forbid_unknown_fields=True):
    """See `link` of model/access.py."""

    key: str | None = None
    secs: int | None = None


def _handlers(noun: str) -> dict[str, Handler]:
    """GET, HELD, GRANT, REVOKE, LINK, ROTATE of a noun."""

    def get(call: Call) -> Answer:
        """Who may do what with a storage."""
        return data(_effective(call.store.access.get(noun, call.ref), call.settings))

    def held(call: Call) -> Answer:
        """What one user may do with a storage, by a right of their own."""
        return data(call.store.access.held(noun, call.ref, call.parts["user"]))

    def grant(call: Call) -> Answer:
        """Give a user a right, in the place of the one they had."""
        wanted = call.json(Wanted)
        if wanted is None:
            raise InvalidInput("right is missing", type="invalid-request")
        user = call.parts["user"]
        return data(call.store.access.grant(noun, call.ref, user, wanted.right))

    def revoke(call: Call) -> Answer:
        """Take a user's right away, at once."""
        return data(call.store.access.revoke(noun, call.ref, call.parts["user"]))

    def link(call: Call) -> Answer:
        """Sign a link to contents or, with a key, to a record.

        No part of a queue opens so: there it is always refused.
        """
        wanted = call.json(WantedLink, empty=WantedLink())
        made = call.store.access.link(noun, call.ref, key=wanted.key, secs=wanted.secs)
        return data(made, 201)

    def rotate(call: Call) -> Answer:
        """Give the storage a new signing key: every link to it ends, at once."""
        call.store.access.rotate(noun, call.ref)
        return nothing()

    return {
        "GET": get,
        "HELD": held,
        "GRANT": grant,
        "REVOKE": revoke,
        "LINK": link,
        "ROTATE": rotate,
    }


def report(call: Call) -> Answer:
    """Every storage of the caller that somebody else may see."""
    found = [_effective(one, call.settings) for one in call.store.access.report()]
    seen = [one for one in found if one.effective_access != "RESTRICTED" or one.grants or one.links]
    return data({"total": len(seen), "count": len(seen), "items": seen})


def _effective(found: Access, settings: Settings) -> Access:
    """With the server's setting where neither storage nor account has one."""
    if found.effective_access != "FOLLOW_USER_SETTING":
        return found
    return structs.replace(found, effective_access=settings.default_access)


HANDLERS: dict[Endpoint, Handler] = {access.REPORT: report}
for _noun in NOUNS:
    _found = _handlers(_noun)
    HANDLERS[access.GET[_noun]] = _found["GET"]
    HANDLERS[access.HELD[_noun]] = _found["HELD"]
    HANDLERS[access.GRANT[_noun]] = _found["GRANT"]
    HANDLERS[access.REVOKE[_noun]] = _found["REVOKE"]
    HANDLERS[access.LINK[_noun]] = _found["LINK"]
    HANDLERS[access.ROTATE[_noun]] = _found["ROTATE"]
