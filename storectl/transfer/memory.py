"""Memory that comes and goes by the megabyte, and what the C library does with it."""

from __future__ import annotations

import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 32 * 1024 * 1024


def keep_freed() -> None:
    """Have the C library keep what is freed, up to 32 MiB, for what is needed next.

    By itself it gives megabytes back at once and takes them anew, empty, page by page: half of
    the time that a pull of a server spends in the kernel. Only glibc can be told.
    """
    if sys.platform != "linux":
        return
    import ctypes  # 4 ms, for large reads only

    try:
        told = ctypes.CDLL(None).mallopt
    except AttributeError:  # another library
        return
    told(_MMAP_THRESHOLD, _KEPT_BYTES)
    told(_TRIM_THRESHOLD, _KEPT_BYTES)
