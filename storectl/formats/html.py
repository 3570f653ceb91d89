"""HTML: one page with one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from storectl.formats import Options
from storectl.formats.columns import texts
from storectl.formats.table import Table

_HEAD = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Items</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1rem }
table { border-collapse: collapse }
th, td { border: 1px solid #ccc; padding: .25rem .5rem; text-align: left; vertical-align: top }
th { background: #f4f4f4; position: sticky; top: 0 }
</style>
</head>
<body>
<table>
"""
_FOOT = b"</tbody>\n</table>\n</body>\n</html>\n"


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """Yield the page. The columns are those of csv."""
    with Table(blocks, texts, options.columns, markup=True) as table:
        names = "".join([f"<th>{name}</th>" for name in table.columns])
        yield _HEAD + f"<thead>\n<tr>{names}</tr>\n</thead>\n<tbody>\n".encode()
        yield from table.lines(b"<tr><td>", b"</td><td>", b"</td></tr>\n")
        yield _FOOT
