"""What can be chosen when a server starts."""

from __future__ import annotations

from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    """rate_limit: requests a second for each storage, by default and for fast calls; None: off.

    default_access: general access of accounts without a setting. public_url: the
    address that clients know, without a slash at the end, where it is not Host.
    """

    rate_limit: tuple[int, int] | None = (30, 200)
    default_access: str = "ANYONE_WITH_ID_CAN_READ"
    public_url: str | None = None
