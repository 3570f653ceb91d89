"""RSS 2.0: a channel, its items written as in xml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from storectl.formats import Options
from storectl.formats.markup import escape
from storectl.formats.xml import DECLARATION, rows


def write(blocks: Iterable[bytes], options: Options) -> Iterator[bytes]:
    """Yield one channel with title, link and description, which RSS asks for, and the items."""
    yield (
        DECLARATION
        + (
            f'<rss version="2.0">\n<channel>\n'
            f"<title>{escape(options.feed_title)}</title>\n"
            f"<link>{escape(options.feed_link)}</link>\n"
            f"<description>{escape(options.feed_description)}</description>\n"
        ).encode()
    )
    yield from rows(blocks, "item")
    yield b"</channel>\n</rss>\n"
