"""Users and tokens over HTTP, and what this server offers beyond the API."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from storectl import __version__
from storectl.errors import InvalidInput
from storectl.model import token
from storectl.model.token import User
from storectl.server.wire import JSON, Answer, Call, data

FEATURES = (
    "ACTORS",
    "STORAGE",
    "SCHEDULER",
    "PROXY",
    "PROXY_EXTERNAL_ACCESS",
    "PROXY_RESIDENTIAL",
    "PROXY_SERPS",
    "WEBHOOKS",
    "ACTORS_PUBLIC_ALL",
    "ACTORS_PUBLIC_DEVELOPER",
)
EXTENSIONS = [
    "access-rights",
    "account-access",
    "console",
    "idempotency-key",
    "large-batches",
    "links",
    "packed-items",
    "queue-observers",
    "queue-order",
    "token-scopes",
    "tokens",
]


class NewToken(Struct, forbid_unknown_fields=True):
    """What a token shall be; see `create` of model/token.py."""

    name: str
    username: str | None = None
    email: str | None = None
    scope: list[str] | None = None
    secs: int | None = None


class Rotation(Struct, rename="camel", forbid_unknown_fields=True):
    """How long the old secret goes on to work, if any longer."""

    keep_secs: int = 0


class Account(Struct, rename="camel", forbid_unknown_fields=True):
    """What a user may set of theirs."""

    default_access: str | None


def me(call: Call) -> Answer:
    """The caller's account, in the fields that the official clients insist on."""
    return data(_private(call.store.tokens.me()))


def update_me(call: Call) -> Answer:
    """Set the general access of storages that follow the account."""
    found = call.json(Account)
    if found is None:
        raise InvalidInput("defaultAccess is missing", type="invalid-request")
    return data(_private(call.store.tokens.update_me(default_access=found.default_access)))


def user(call: Call) -> Answer:
    """What anyone may know of an account."""
    return data(_public(call.store.tokens.user(call.parts["id"])))


def list_tokens(call: Call) -> Answer:
    """The caller's tokens, without their secrets."""
    found = call.store.tokens.list()
    return data({"total": len(found), "count": len(found), "items": found})


def create(call: Call) -> Answer:
    """A new token; its secret is in this answer and nowhere else."""
    wanted = call.json(NewToken)
    if wanted is None:
        raise InvalidInput("name is missing", type="invalid-request")
    made = call.store.tokens.create(
        wanted.name,
        username=wanted.username,
        email=wanted.email,
        scope=wanted.scope,
        secs=wanted.secs,
    )
    return data(made, 201)


def current(call: Call) -> Answer:
    """The token of this very call."""
    return data(call.store.tokens.current())


def get(call: Call) -> Answer:
    """A token, by its ID or name."""
    return data(call.store.tokens.get(call.parts["id"]))


def rotate(call: Call) -> Answer:
    """A new secret for a token, in this answer and nowhere else."""
    keep = call.json(Rotation, empty=Rotation()).keep_secs
    return data(call.store.tokens.rotate(call.parts["id"], keep_secs=keep))


def revoke(call: Call) -> Answer:
    """End a token, at once."""
    return data(call.store.tokens.revoke(call.parts["id"]))


def capabilities(_: Call) -> Answer:
    """What this server has beyond the API."""
    return data({"server": "storectl", "version": __version__, "extensions": EXTENSIONS})


def health(call: Call) -> Answer:
    """200 while the store answers; needs no token."""
    call.store.ping()  # type: ignore[attr-defined]
    body = msgspec.json.encode({"status": "ok", "version": __version__})
    return Answer(200, [("Content-Type", JSON)], body)


def openapi(call: Call) -> Answer:
    """This page: every operation of the server, as OpenAPI 3.1."""
    from storectl.server.openapi import page  # 20 ms, for this call alone

    return Answer(200, [("Content-Type", JSON)], page(call.settings.public_url or "/"))


def _public(user: User) -> dict[str, Any]:
    profile = dict.fromkeys(
        ("bio", "name", "pictureUrl", "githubUsername", "websiteUrl", "twitterUsername")
    )
    return {"username": user.username, "profile": profile}


def _private(user: User) -> dict[str, Any]:
    feature = {
        "isEnabled": False,
        "disabledReason": "This server keeps storages only",
        "disabledReasonType": "DISABLED",
        "isTrial": False,
        "trialExpirationAt": None,
    }
    features: dict[str, Any] = dict.fromkeys(FEATURES, feature)
    features["STORAGE"] = {**dict.fromkeys(feature), "isEnabled": True, "isTrial": False}
    found: dict[str, Any] = {
        "id": user.id,
        **_public(user),
        "proxy": {"password": "", "groups": []},
        "plan": {"id": "STORECTL", "isEnabled": True, "availableProxyGroups": {}},
        "effectivePlatformFeatures": features,
        "isPaying": False,
        "createdAt": user.created_at,
    }
    found["defaultAccess"] = user.default_access
    if user.email:
        found["email"] = user.email
    return found


HANDLERS = {
    token.ME: me,
    token.UPDATE_ME: update_me,
    token.USER: user,
    token.LIST: list_tokens,
    token.CREATE: create,
    token.CURRENT: current,
    token.GET: get,
    token.ROTATE: rotate,
    token.REVOKE: revoke,
    token.CAPABILITIES: capabilities,
    token.HEALTH: health,
    token.OPENAPI: openapi,
}
