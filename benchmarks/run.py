"""make bench: one table of figures, each beside something measured in the same round.

python benchmarks/run.py [--quick] [--only startup|bulk|calls|server]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.path.insert(0, str(Path(__file__).parent))

SECTIONS = ("startup", "bulk", "calls", "server")


def main() -> None:
    """Measure what is asked for, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under a minute")
    parser.add_argument("--only", choices=SECTIONS, help="one part of the table")
    chosen = parser.parse_args()

    import embedded
    import load
    import results
    import served
    import startup

    quick = chosen.quick
    print(results.about())
    startup.compile_all()
    print(f"All modules were compiled before. Load of the server by {load.generator()}.\n")
    begin = time.monotonic()
    rows = []
    with tempfile.TemporaryDirectory(prefix="storectl-bench-") as name:
        folder = Path(name)
        parts = {
            "startup": lambda: startup.measure(folder, 5 if quick else 15),
            "bulk": lambda: embedded.bulk(
                folder, 200_000 if quick else 1_000_000, 3 if quick else 5
            ),
            "calls": lambda: embedded.calls(folder, 100 if quick else 1000, 2 if quick else 5),
            "server": lambda: served.measure(
                folder, [16] if quick else [1, 16, 64], 2 if quick else 5, 1 if quick else 2
            ),
        }
        for part in [chosen.only] if chosen.only else SECTIONS:
            rows += parts[part]()
    print(results.table(rows))
    print(f"\nMedians and median ratios of all rounds; {time.monotonic() - begin:.0f} s in all.")


if __name__ == "__main__":
    main()
