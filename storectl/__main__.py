"""python -m storectl, and the `storectl` program."""

from __future__ import annotations

import gc
import sys

from storectl.cli import main as run


def main() -> None:
    """Run the command line and exit with its code."""
    code = run()
    if code in (130, 143):
        from storectl.cli.interrupt import leave  # few end so

        leave(code)
    gc.freeze()  # a process that ends needs no search for garbage: 7 % of `dataset ls`
    sys.exit(code)


if __name__ == "__main__":
    main()
