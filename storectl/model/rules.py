"""Rules of the product, pure: names, keys, IDs, limits, signatures, times.

Source: Apify API v2 and its official clients, unless a line says otherwise.
"""

from __future__ import annotations

import os
import re
import time
from binascii import b2a_base64
from datetime import datetime, timezone

from storectl.errors import InvalidInput, UnsupportedEncoding

MAX_PAYLOAD_BYTES = 9_437_184
MAX_RECORD_BYTES = 10 * 1024**3
MAX_JSON_DEPTH = 200
MAX_BATCH_REQUESTS = 25
MAX_LARGE_BATCH_REQUESTS = 1000
MAX_LIST = 1000
MAX_KEYS = 1000
MAX_HEAD = 1000
MAX_LOCKED_HEAD = 25
MAX_REQUESTS = 10_000
MAX_COLUMNS = 2000
MAX_COLUMN_NAME = 200
MAX_LOCK_SECS = 30 * 24 * 3600
NO_LIMIT = 999_999_999_999
"""What the API reports as the limit where none was given."""

IDEMPOTENCY_SECS = 24 * 3600
RETENTION_SECS = 7 * 24 * 3600
MAX_TOKEN_SECS = 10 * 365 * 24 * 3600
"""How long a token or a signed link may last that does not last for ever."""

MAX_KEEP_SECS = 30 * 24 * 3600
"""How long the secret before a rotation may go on to work."""

TOUCH_SECS = 3600
"""A read moves the last access at most this often, so that reads stay reads."""

ENCODINGS = ("br", "gzip", "deflate")
"""How bodies may be packed, as Content-Encoding names it."""

GENERAL_ACCESS = (
    "FOLLOW_USER_SETTING",
    "RESTRICTED",
    "ANYONE_WITH_ID_CAN_READ",
    "ANYONE_WITH_NAME_CAN_READ",
)

ACCOUNT_ACCESS = ("RESTRICTED", "ANYONE_WITH_ID_CAN_READ")
"""What an account may set for its storages that follow it."""

_ALPHANUMERICS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ID = "[a-zA-Z0-9]{17}"
KEY = r"[a-zA-Z0-9!\-_.'()]{1,256}"
IDEMPOTENCY_KEY = "[!-~]{1,256}"
"""Patterns of what clients name, for the whole text."""

_ID = re.compile(ID)
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
_USERNAME = re.compile(r"[a-zA-Z0-9_.-]{3,30}")
_EMAIL = re.compile(r"[\x21-\x2e\x30-\x3f\x41-\x7e]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+")
_KEY = re.compile(KEY)
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY)
_WORD = r"[\w!#$%&'*+.^`|~-]+"
_CONTENT_TYPE = re.compile(rf"{_WORD}/{_WORD}[ \t]*(?:;[\t\x20-\x7e]*)?", re.ASCII)
_TOKEN = re.compile(r"storectl_[0-9A-Za-z]{36}")


def new_id() -> str:
    """17 random letters and digits: 101 bits, since an ID may be a key."""
    return _chance(17)


def is_id(text: str) -> bool:
    """Whether the text has the form of an ID."""
    return _ID.fullmatch(text) is not None


def check_name(name: str) -> str:
    """The name of a storage, or InvalidInput saying which character is wrong."""
    if _NAME.fullmatch(name):
        return name
    if not name:
        why = "is empty"
    elif len(name) > 63:
        why = f"has {len(name)} characters, at most 63 are allowed"
    elif bad := re.search(r"[^a-zA-Z0-9-]", name):
        what = {" ": "a space", "_": "an underscore"}.get(bad[0], repr(bad[0]))
        why = f"has {what}"
    else:
        why = "starts or ends with a hyphen"
    shown = name if len(name) <= 80 else f"{name[:80]}…"
    raise InvalidInput(
        f"Name {shown!r} {why}; use letters, digits and hyphens inside", type="invalid-value"
    )


def check_username(name: str) -> str:
    """The name of a user: 3 to 30 of a-z, 0-9, `_`, `.` and `-`."""
    if _USERNAME.fullmatch(name):
        return name
    raise InvalidInput(f"Username {name!r} is not 3 to 30 of a-z, 0-9, '_', '.' and '-'")


def check_token_name(name: str) -> str:
    """1 to 100 printable characters that can stand in a path: no slash, and no word of one."""
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidInput(f"Token name {name[:120]!r} must have 1 to 100 printable characters")
    if "/" in name or name in (".", "..", "current"):
        raise InvalidInput(
            f"Token name {name!r} cannot be asked for: it has a '/', or is '.', '..' or 'current'"
        )
    return name


def check_email(email: str) -> str:
    """An e-mail address as clients take it: ASCII without a slash, and a domain with a dot."""
    if len(email) <= 254 and _EMAIL.fullmatch(email):
        return email
    raise InvalidInput(f"E-mail {email[:80]!r} is not of the form name@example.com")


def check_secs(name: str, secs: int, most: int) -> int:
    """A time span of at least one second."""
    if 1 <= secs <= most:
        return secs
    raise InvalidInput(f"{name} must be 1 to {most} seconds, not {secs}")


def check_key(key: str) -> str:
    """The key of a record: 1 to 256 of letters, digits and !-_.'(), but not . or ..

    Those two the API takes, but many clients and proxies resolve them as steps of
    the path: a DELETE of `..` would delete the store.
    """
    if key in (".", ".."):
        why = "is a step of a path"
    elif _KEY.fullmatch(key):
        return key
    elif not key:
        why = "is empty"
    elif len(key) > 256:
        why = f"has {len(key)} characters, at most 256 are allowed"
    else:
        bad = re.search(r"[^a-zA-Z0-9!\-_.'()]", key)
        why = f"has {bad[0]!r}" if bad else "is not a key"
    raise InvalidInput(
        f"Record key {key[:80]!r} {why}; use letters, digits and !-_.'()",
        type="invalid-record-key",
    )


def check_encoding(encoding: str | None) -> str | None:
    """One of ENCODINGS, or None for identity and no encoding."""
    name = (encoding or "").strip().lower()
    if name in ("", "identity"):
        return None
    if name == "x-gzip":
        return "gzip"
    if name not in ENCODINGS:
        raise UnsupportedEncoding(f'Content-Encoding "{encoding}" is not supported.')
    return name


def check_content_type(content_type: str) -> str:
    """The type of a record, in printable ASCII: it will stand in a header."""
    found = content_type.strip()
    if _CONTENT_TYPE.fullmatch(found) and len(found) <= 1000:
        return found
    raise InvalidInput(
        f"Content type {content_type[:80]!r} is not of the form type/subtype",
        type="invalid-content-type-header",
    )


def check_client_key(key: str | None) -> str | None:
    """The client key of a queue call, 1 to 32 characters, or None."""
    if key is None or 1 <= len(key) <= 32:
        return key
    raise InvalidInput("clientKey must have 1 to 32 characters", type="invalid-client-key")


def check_idempotency_key(key: str | None) -> str | None:
    """The Idempotency-Key of a call, 1 to 256 printable characters of ASCII, or None."""
    if key is None or _IDEMPOTENCY_KEY.fullmatch(key):
        return key
    raise InvalidInput(
        "Idempotency-Key must have 1 to 256 printable characters of ASCII without a space",
        type="invalid-header",
    )


def check_access(level: str) -> str:
    """One of the four levels of general access."""
    if level in GENERAL_ACCESS:
        return level
    raise InvalidInput(f"generalAccess {level!r} is none of {', '.join(GENERAL_ACCESS)}")


def request_id(unique_key: str) -> str:
    """The ID of a request: 15 letters and digits of the SHA-256 of its uniqueKey."""
    digest = b2a_base64(_sha256(unique_key.encode()))
    return digest.translate(None, b"+/=\n")[:15].decode()


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """2019-12-12T07:34:14.202Z of milliseconds since 1970."""
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc).isoformat()[:19]}.{rest:03d}Z"


# Tokens: storectl_, 30 random letters and digits, and a checksum of six, so that
# secret scanners find them and a typing mistake is told from an unknown token.


def new_token() -> str:
    """A fresh API token, 178 bits of chance."""
    body = _chance(30)
    return f"storectl_{body}{_token_check(body)}"


def is_token(text: str) -> bool:
    """Whether the text has the form and the checksum of one of our tokens."""
    return _TOKEN.fullmatch(text) is not None and _token_check(text[9:39]) == text[39:]


def token_hash(token: str) -> bytes:
    """What is kept of a token. Plain SHA-256: there is nothing to guess."""
    return _sha256(token.encode())


def _token_check(body: str) -> str:
    from zlib import crc32  # only here: most commands make no token

    return _base62(crc32(body.encode())).rjust(6, "0")


def _chance(length: int) -> str:
    """Random letters and digits, each as likely as the others to one part in 2**34 or better."""
    number = int.from_bytes(os.urandom(length), "big") % 62**length
    return _base62(number).rjust(length, "0")


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _ALPHANUMERICS[rest] + digits
    return digits or "0"


def _sha256(data: bytes) -> bytes:
    from hashlib import sha256  # OpenSSL takes 3 ms to load, and most commands hash nothing

    return sha256(data).digest()


# Signed URLs. Source: apify-client-python `_utils/crypto.py`, `@apify/utilities`.


def record_signature(secret: str, key: str) -> str:
    """The signature that opens one record for as long as the secret lives."""
    import hmac  # it loads OpenSSL too

    digest = hmac.digest(secret.encode(), key.encode(), "sha256")
    return _base62(int.from_bytes(digest[:15], "big"))


def content_signature(secret: str, id: str, expires_ms: int = 0) -> str:
    """The signature that opens the contents of one storage until expires_ms; 0 is never."""
    from base64 import urlsafe_b64encode  # few commands sign

    proof = record_signature(secret, f"0.{expires_ms}.{id}")
    return urlsafe_b64encode(f"0.{expires_ms}.{proof}".encode()).decode().rstrip("=")


def link_signature(secret: str, id: str, key: str | None, expires_ms: int) -> str:
    """The signature of a link: to a record, or with key None to the contents."""
    if key is None:
        return content_signature(secret, id, expires_ms)
    return record_signature(secret, key)


def opens_record(signature: str, secret: str, key: str) -> bool:
    """Whether the signature is that of the record."""
    return _same(signature, record_signature(secret, key))


def opens_content(signature: str, secret: str, id: str, at_ms: int) -> bool:
    """Whether the signature opens the storage's contents at the given time."""
    from base64 import urlsafe_b64decode  # as above

    try:
        text = urlsafe_b64decode(signature + "=" * (-len(signature) % 4)).decode("ascii")
        version, expires, proof = text.split(".")
        expires_ms = int(expires)
    except ValueError:
        return False
    good = record_signature(secret, f"{version}.{expires}.{id}")
    if version != "0" or not _same(proof, good):
        return False
    return expires_ms == 0 or at_ms <= expires_ms


def _same(given: str, good: str) -> bool:
    """Whether two texts are equal, in a time that tells nothing of where they differ."""
    import hmac

    return hmac.compare_digest(given.encode(), good.encode())
