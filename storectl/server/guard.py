"""Who may do what: the one place that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storectl.errors import Forbidden, InvalidInput, Unauthorized
from storectl.model import rules
from storectl.model.endpoint import Endpoint
from storectl.model.store import Place, Served
from storectl.model.token import User
from storectl.server.settings import Settings

NOUNS = {"dataset": "dataset", "kvs": "key-value store", "queue": "request queue"}


def caller(store: Served, environ: Mapping[str, Any], query: Mapping[str, str]) -> User | None:
    """Who asks, by `Authorization: Bearer` or `?token=`. A wrong token is refused."""
    header = environ.get("HTTP_AUTHORIZATION")
    if header:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized(
                "Authorization must be a Bearer token", type="auth-method-not-supported"
            )
        token = token.strip()
    else:
        token = query.get("token", "")
    if not token:
        return None
    user = store.caller(token)
    if user is None:
        raise Unauthorized("User was not found or authentication token is not valid")
    return user


def admit(
    store: Served,
    endpoint: Endpoint,
    ref: str,
    user: User | None,
    query: Mapping[str, str],
    parts: Mapping[str, str],
    settings: Settings,
) -> Place | None:
    """The storage that the call is about, if the caller may do that; else a failure.

    404 only where there is nothing; without a token 401, with one 403.
    """
    if endpoint.needs is None:
        return None
    if endpoint.needs in ("list", "create", "self", "account"):
        if user is None:
            raise _no_token()
        return None
    if user is None and ref.startswith("~"):
        raise _no_token()
    place = store.locate(endpoint.noun, ref, user)
    if user is not None and user.id == place.user_id:
        return place
    if endpoint.needs == "read":
        level = place.general_access
        if level == "FOLLOW_USER_SETTING":
            level = settings.default_access
        if level == "ANYONE_WITH_NAME_CAN_READ":
            return place
        if level == "ANYONE_WITH_ID_CAN_READ" and "~" not in ref:
            return place
        if endpoint.signed and _signature_opens(query, parts, place):
            return place
    if user is None:
        raise _no_token()
    raise Forbidden(
        f"Insufficient permissions for the {NOUNS[endpoint.noun]}. Make sure you're passing "
        "a correct API token and that it has the required permissions."
    )


def is_restricted(place: Place, settings: Settings) -> bool:
    """Whether a reader without a token needs a signature."""
    level = place.general_access
    if level == "FOLLOW_USER_SETTING":
        level = settings.default_access
    return level in ("RESTRICTED", "FOLLOW_USER_SETTING")


def _signature_opens(query: Mapping[str, str], parts: Mapping[str, str], place: Place) -> bool:
    signature = query.get("signature")
    if not signature or not signature.isascii():
        return False
    if "key" in parts:
        return rules.opens_record(signature, place.secret, parts["key"])
    return rules.opens_content(signature, place.secret, place.id, rules.now_ms())


def _no_token() -> Unauthorized:
    return Unauthorized("Authentication token was not provided", type="token-not-provided")


def method_of(environ: Mapping[str, Any], query: Mapping[str, str]) -> str:
    """The method, or what `?method=` puts in its place on a GET."""
    method: str = environ["REQUEST_METHOD"]
    override = query.get("method")
    if override is None or method != "GET":
        return method
    override = override.upper()
    if override not in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        raise InvalidInput(f"method '{override[:20]}' is unknown", type="invalid-parameter")
    return override
