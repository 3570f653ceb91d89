"""A database for the length of one command, for what does not fit in memory.

SQLite of the standard library, on a file that has no name as soon as it is open: it
is gone when the process is, however that ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from storectl.errors import Local

CACHE_KIB = 8 * 1024
"""Pages in memory, and the room of each sort; what is over goes to the file."""

_STEPS = 100_000
"""Of SQLite's machine, after which Python looks whether somebody pressed Ctrl-C."""

_SETUP = f"""
PRAGMA page_size = 16384;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -{CACHE_KIB};
"""


@contextmanager
def scratch() -> Iterator[sqlite3.Connection]:
    """An empty database. Raises Local when the disk is full, and KeyboardInterrupt in queries."""
    database = sqlite3.connect("", isolation_level=None)
    try:
        database.executescript(_SETUP)
        database.set_progress_handler(lambda: 0, _STEPS)
        database.execute("BEGIN")
        yield database
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        if "full" in str(error) or "disk I/O" in str(error):
            raise Local(
                f"no room for temporary data: {error}",
                hint="TMPDIR=FOLDER names a place with more room",
            ) from None
        raise
    finally:
        database.close()
