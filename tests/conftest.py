"""What all tests share."""

from __future__ import annotations


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that are no text go by their name: packed ones hold the time, and workers compare."""
    return argname if isinstance(val, bytes) and not val.isascii() else None
