"""Every named failure: its wire type, HTTP status, exit code and hint.

Three floors read this one table. The client turns a status into a class, the
server a class into a body, the command line a class into an exit code.
"""

from __future__ import annotations

from typing import ClassVar, Self


class StorectlError(Exception):
    """One sentence of fact, and a remedy that can be pasted.

    type: machine-readable, as the API names it. code: the same for `--json`.
    data: more about the failure, sent as `error.data`.
    """

    type: str = "internal-server-error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        type: str | None = None,
        data: object = None,
        retry_after_secs: float | None = None,
        http: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data
        self.retry_after_secs = retry_after_secs
        self.http = http
        if type is not None:
            self.type = type


class Internal(StorectlError):
    """The server failed (5xx), or we did."""


class InvalidInput(StorectlError):
    """What was asked cannot be asked: a bad name, value, option or body."""

    type, status, exit_code, code = "invalid-value", 400, 2, "invalid"


class NotFound(StorectlError):
    """The thing asked for is not there, or not visible to this token."""

    type, status, exit_code, code = "record-not-found", 404, 3, "not-found"

    @classmethod
    def of(cls, noun: str, ref: str) -> Self:
        """The failure for one storage: noun is dataset, kvs or queue."""
        title = {"dataset": "Dataset", "kvs": "Key-value store", "queue": "Request queue"}
        return cls(f"{title.get(noun, noun)} '{ref}' was not found", hint=f"storectl {noun} ls")


class Unauthorized(StorectlError):
    """No token was given, or it was refused."""

    type, status, exit_code, code = "user-or-token-not-found", 401, 4, "unauthorized"


class Forbidden(StorectlError):
    """The token is good and does not allow this."""

    type, status, exit_code, code = "insufficient-permissions", 403, 5, "forbidden"


class Conflict(StorectlError):
    """A name is taken, a thing exists, or it changed underneath."""

    type, status, exit_code, code = "name-not-unique", 409, 6, "conflict"


class Partial(StorectlError):
    """Some of it failed, the rest is done."""

    type, status, exit_code, code = "partial", 500, 7, "partial"


class CheckFailed(StorectlError):
    """A check answered no."""

    type, status, exit_code, code = "check-failed", 500, 8, "check-failed"


class Unsupported(StorectlError):
    """This server does not offer that."""

    type, status, exit_code, code = "not-supported", 501, 9, "unsupported"


class MethodNotAllowed(StorectlError):
    """The path exists, with other methods."""

    type, status, exit_code, code = "method-not-allowed", 405, 9, "unsupported"


class TooLarge(StorectlError):
    """A body or item is over its limit."""

    type, status, exit_code, code = "request-too-large", 413, 10, "too-large"


class UnsupportedEncoding(StorectlError):
    """A Content-Encoding which is none of br, gzip, deflate, identity."""

    type, status, exit_code, code = "unsupported-content-encoding", 415, 2, "invalid"


class RateLimited(StorectlError):
    """More requests than the server allows, after all retries."""

    type, status, exit_code, code = "rate-limit-exceeded", 429, 10, "rate-limited"


class Outage:
    """Something that a store stands on is away. over: it has answered again since."""

    __slots__ = ("over", "what")

    def __init__(self, what: str) -> None:
        self.what, self.over = what, False


class Unavailable(StorectlError):
    """The store cannot answer now; asking again may work.

    outage: the same for all that failed because the same thing was away.
    """

    type, status, exit_code, code = "service-unavailable", 503, 1, "unavailable"
    outage: Outage | None = None


class Network(StorectlError):
    """No answer: name resolution, TLS, a refused or broken connection, a timeout."""

    type, status, exit_code, code = "network-error", 502, 11, "network"


class Local(StorectlError):
    """This machine: a full disk, a permission, a file that is not what it should be."""

    type, status, exit_code, code = "local-error", 500, 12, "local"


BY_STATUS: dict[int, type[StorectlError]] = {
    400: InvalidInput,
    401: Unauthorized,
    402: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedEncoding,
    429: RateLimited,
    501: Unsupported,
    503: Unavailable,
}

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "unexpected failure, or the server failed (5xx) after all retries",
    2: "usage: a bad option, name or JSON, an ambiguous reference, --yes missing",
    3: "not found: a storage, key, request or local file",
    4: "no token, or the token was refused (401)",
    5: "forbidden (403)",
    6: "conflict: name taken, already exists, changed underneath, lock lost",
    7: "partial: something failed, the rest is done",
    8: "a check answered no",
    9: "this server does not support it",
    10: "a limit: rate after all retries, size of a body, --max-delete",
    11: "network: no address, TLS, refused, timeout",
    12: "this machine: disk full, permission, unreadable configuration",
    130: "interrupted",
    141: "the reader closed the pipe",
    143: "terminated",
}


def from_status(status: int, message: str, **more: object) -> StorectlError:
    """The failure that an HTTP status of a server means."""
    known = BY_STATUS.get(status)
    if known is None:
        known = Internal if status >= 500 else InvalidInput
    return known(message, http=status, **more)  # type: ignore[arg-type]
