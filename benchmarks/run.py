"""make bench: one table of figures, each beside something measured in the same round.

python benchmarks/run.py [--quick] [--only PART...] [--rounds N] [--most N] [--output FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from results import Row

ALONE = ("startup", "bulk", "calls", "server")
WITH_PEERS = ("items", "tables", "queues", "records", "stores", "writers", "client")
WITH_PEERS += ("memory", "growth")
USUAL = ALONE + WITH_PEERS
PARTS = (*USUAL, "scale")
"""The last only where it is asked for: it needs a PostgreSQL."""

TENS = (10_000, 100_000, 1_000_000, 10_000_000)
OUTPUT = Path(__file__).parents[1] / ".bench" / "last.json"


def main() -> None:
    """Measure what is asked for, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less of everything, some minutes")
    parser.add_argument("--tiny", action="store_true", help="to see that it works, not how fast")
    parser.add_argument("--only", choices=PARTS, nargs="+", help="these parts of the table")
    parser.add_argument("--rounds", type=int, help="of the parts with peers; 3 if not given")
    parser.add_argument("--most", type=int, help="the largest storage of the part growth")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the table as JSON")
    chosen = parser.parse_args()

    import load
    import results
    import startup

    print(results.about())
    if not chosen.tiny:
        startup.compile_all()
        print(f"All modules were compiled before. Load of the server by {load.generator()}.\n")
    rows: list[Row] = []
    secs: dict[str, float] = {}
    try:
        for part in PARTS:
            if part in (chosen.only or USUAL):
                begin = time.monotonic()
                with tempfile.TemporaryDirectory(prefix="storectl-bench-") as name:
                    rows += measured(part, Path(name), chosen)
                secs[part] = time.monotonic() - begin
    finally:  # what there is, should a part fail or be stopped
        results.write(rows, chosen.output)
        print(results.table(rows))
        print(f"\nMedians and median ratios of all rounds; {sum(secs.values()):.0f} s in all:")
        print(", ".join(f"{part} {taken:.0f}" for part, taken in secs.items()))


def measured(part: str, folder: Path, chosen: argparse.Namespace) -> list[Row]:
    """The rows of a part."""
    import bench

    if part in ALONE:
        return alone(part, folder, quick=chosen.quick or chosen.tiny, tiny=chosen.tiny)
    sizes = bench.TINY if chosen.tiny else bench.QUICK if chosen.quick else bench.FULL
    if chosen.rounds:
        sizes = sizes._replace(rounds=chosen.rounds)
    if chosen.most:
        sizes = sizes._replace(growth=tuple(size for size in TENS if size <= chosen.most))
    found: list[Row] = import_module(part).measure(bench.Bench(folder, sizes))
    return found


def alone(part: str, folder: Path, *, quick: bool, tiny: bool) -> list[Row]:
    """The rows of a part that has storectl and a yardstick, and nobody else."""
    import embedded
    import served
    import startup

    if part == "startup":
        return startup.measure(folder, 5 if quick else 15)
    if part == "bulk":
        return embedded.bulk(folder, 200_000 if quick else 1_000_000, 2 if quick else 3)
    if part == "calls":
        return embedded.calls(folder, 100 if quick else 1000, 2 if quick else 5)
    count, large = 1 if quick else 3, 2**24 if tiny else 100 * 2**20
    return served.measure(
        folder, [1, 64] if quick else [1, 16, 64], count, 1 if quick else 2, large
    )


if __name__ == "__main__":
    main()
