"""Memory that comes and goes by the megabyte, and what the C library does with it."""

from __future__ import annotations

import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed(block_bytes: int, kept_bytes: int) -> None:
    """Have the C library keep what is freed, for what is needed next.

    By itself it gives megabytes back at once and takes them anew, empty, page by page: half of
    the time that a pull of a server spends in the kernel, and a fifth to a third of a large
    answer. Only glibc can be told. block_bytes: larger ones come from the system each time.
    kept_bytes: as much of smaller ones, for each arena.
    """
    if sys.platform != "linux":
        return
    import ctypes  # 4 ms, for large reads only

    try:
        told = ctypes.CDLL(None).mallopt
    except AttributeError:  # another library
        return
    told(_MMAP_THRESHOLD, block_bytes)
    told(_TRIM_THRESHOLD, kept_bytes)
