"""Users and tokens over HTTP, and what this server offers beyond the API."""

from __future__ import annotations

from typing import Any

import msgspec

from storectl import __version__
from storectl.errors import InvalidInput
from storectl.model import token
from storectl.model.token import User
from storectl.server.wire import Answer, Call, data

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
EXTENSIONS = ["idempotency-key", "tokens"]


def me(call: Call) -> Answer:
    """The caller's account, in the fields that the official clients insist on."""
    assert call.user is not None
    return data(_private(call.user))


def user(call: Call) -> Answer:
    """What anyone may know of an account."""
    if call.parts["id"] == "me":
        return me(call)
    return data(_public(call.store.tokens.user(call.parts["id"])))


def list_tokens(call: Call) -> Answer:
    found = call.store.tokens.list()
    return data({"total": len(found), "count": len(found), "items": found})


def create(call: Call) -> Answer:
    """A new token; its secret is in this answer and nowhere else."""
    name = call.object().get("name")
    if not isinstance(name, str):
        raise InvalidInput("name must be a text")
    return data(call.store.tokens.create(name), 201)


def revoke(call: Call) -> Answer:
    return data(call.store.tokens.revoke(call.parts["id"]))


def capabilities(_: Call) -> Answer:
    return data({"server": "storectl", "version": __version__, "extensions": EXTENSIONS})


def health(call: Call) -> Answer:
    """200 while the store answers; needs no token."""
    call.store.ping()  # type: ignore[attr-defined]
    body = msgspec.json.encode({"status": "ok", "version": __version__})
    return Answer(200, [("Content-Type", "application/json; charset=utf-8")], body)


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
    if user.email:
        found["email"] = user.email
    return found


HANDLERS = {
    token.ME: me,
    token.USER: user,
    token.LIST: list_tokens,
    token.CREATE: create,
    token.REVOKE: revoke,
    token.CAPABILITIES: capabilities,
    token.HEALTH: health,
}
