"""Runs one command and tells how long it took and the most memory it had.

python -I -S spawn.py OUTPUT WORDS...    # OUTPUT: a file for what it prints

A process of its own, and a small one: a child is charged with the memory that its
parent had when it was started, and a benchmark may have a lot.
"""

import os
import sys
import time

output, words = sys.argv[1], sys.argv[2:]
flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
to_output = [(os.POSIX_SPAWN_OPEN, 1, output, flags, 0o644)]
start = time.perf_counter()
child = os.posix_spawnp(words[0], words, os.environ, file_actions=to_output)
_, status, used = os.wait4(child, 0)
secs = time.perf_counter() - start
units_in_mib = 2**20 if sys.platform == "darwin" else 2**10
print(
    secs,
    used.ru_utime + used.ru_stime,
    used.ru_maxrss / units_in_mib,
    os.waitstatus_to_exitcode(status),
)
