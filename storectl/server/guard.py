"""Who may do what: the one place that decides it.

A caller has, on one storage, the lesser of what their user may and what the scope of
their token allows. Beside that stands what anybody may: read what the general access
opens, or what a signature does. Whatever is not allowed here is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from storectl.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from storectl.model import rules
from storectl.model.access import ON_KIND, RIGHTS, enough, lesser
from storectl.model.endpoint import Endpoint
from storectl.model.store import Place, Served
from storectl.model.token import Caller
from storectl.server.settings import Settings

NOUNS = {"dataset": "dataset", "kvs": "key-value store", "queue": "request queue"}


def caller(store: Served, environ: Mapping[str, Any], query: Mapping[str, str]) -> Caller | None:
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
    found = store.caller(token)
    if found is None:
        raise Unauthorized("User was not found or authentication token is not valid")
    return found


def admit(
    store: Served,
    endpoint: Endpoint,
    ref: str,
    caller: Caller | None,
    query: Mapping[str, str],
    parts: Mapping[str, str],
    settings: Settings,
) -> Place | None:
    """The storage that the call is about, if the caller may do that; else a failure.

    404 only where there is nothing; without a token 401, with one 403.
    """
    needs, noun = endpoint.needs, endpoint.noun
    if needs is None:
        return None
    if needs in RIGHTS:
        if caller is None and ref.startswith("~"):
            raise _no_token()
        place = locate(store, noun, caller, ref)
        if enough(place.right, needs):
            return place
        if needs == "read" and _opened_to_all(place, ref, settings):
            return place
        if endpoint.signed and _signature_opens(query, parts, place, store.now_ms()):
            return place
        raise _refusal(caller, noun)
    if caller is None:
        raise _no_token()
    if needs == "create":
        return _to_create(store, noun, query.get("name"), caller)
    if needs in ON_KIND:
        allowed = caller.scope is None or caller.scope.on_kind(noun, needs)
    else:
        allowed = needs == "self" or (needs == "account" and caller.scope is None)
    if not allowed:
        raise _refusal(caller, noun)
    return None


def locate(store: Served, noun: str, caller: Caller | None, ref: str) -> Place:
    """The storage that a ref means, with the right that the caller has on it."""
    if caller is None:
        return store.locate(noun, ref, None)
    place = store.locate(noun, ref, caller.user)
    if caller.scope is None:
        return place
    made_it = place.token_id == caller.token_id
    right = lesser(place.right, caller.scope.right(noun, place.id, made_it=made_it))
    return structs.replace(place, right=right)


def require(place: Place | None, noun: str, right: str) -> None:
    """Refuse what a call turns out to need beyond what its endpoint says."""
    if place is None or not enough(place.right, right):
        raise forbidden(noun)


def is_restricted(place: Place, settings: Settings) -> bool:
    """Whether a reader without a token needs a signature."""
    return _level(place, settings) in ("RESTRICTED", "FOLLOW_USER_SETTING")


def forbidden(noun: str) -> Forbidden:
    """403, in the API's words."""
    if noun not in NOUNS:
        return Forbidden(
            f"Insufficient permissions for the {noun}. A token with a scope has none there."
        )
    return Forbidden(
        f"Insufficient permissions for the {NOUNS[noun]}. Make sure you're passing "
        "a correct API token and that it has the required permissions."
    )


def _to_create(store: Served, noun: str, name: str | None, caller: Caller) -> Place | None:
    """The storage that has the name, to be read; None if one may be created."""
    if caller.scope is None:
        return None
    if name:
        try:
            place = locate(store, noun, caller, f"~{name}")
        except NotFound:
            pass
        else:
            require(place, noun, "read")
            return place
    if not caller.scope.on_kind(noun, "create"):
        raise forbidden(noun)
    return None


def _opened_to_all(place: Place, ref: str, settings: Settings) -> bool:
    level = _level(place, settings)
    if level == "ANYONE_WITH_ID_CAN_READ":
        return "~" not in ref
    return level == "ANYONE_WITH_NAME_CAN_READ"


def _signature_opens(
    query: Mapping[str, str], parts: Mapping[str, str], place: Place, now: int
) -> bool:
    signature = query.get("signature")
    if not signature or not signature.isascii():
        return False
    if "key" in parts:
        return rules.opens_record(signature, place.secret, parts["key"])
    return rules.opens_content(signature, place.secret, place.id, now)


def _level(place: Place, settings: Settings) -> str:
    level = place.general_access
    return settings.default_access if level == "FOLLOW_USER_SETTING" else level


def _refusal(caller: Caller | None, noun: str) -> Unauthorized | Forbidden:
    return _no_token() if caller is None else forbidden(noun)


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
