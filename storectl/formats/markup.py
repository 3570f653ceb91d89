"""Text for XML and HTML.

Escaping cell by cell is slow. In JSON the characters & < > stand nowhere but inside
of strings, so a whole block is escaped at once before it is decoded, names included.
"""

from __future__ import annotations

import re

# Escapes of a JSON string which stand for something that XML has to escape or
# cannot hold. A pair of surrogates and a backslash match so as to be passed over.
_ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F].."
    rb"|\\[bfr]|\\u(?:00(?:0[0-8bBcCdDeEfF]|1.|26|3[cCeE])|[fF]{3}[eEfF]|[dD][89a-fA-F]..)"
)
_REPLACED = {
    rb"\r": b"&#13;",
    rb"\u000d": b"&#13;",
    rb"\u0026": b"&amp;",
    rb"\u003c": b"&lt;",
    rb"\u003e": b"&gt;",
}
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def escaped(block: bytes) -> bytes:
    """JSON whose strings are fit for XML text.

    Characters which XML cannot hold are dropped, a carriage return is written as
    `&#13;` or a reader would change it, half a surrogate pair becomes U+FFFD.
    """
    block = block.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    block = block.replace(b"\xef\xbf\xbe", b"").replace(b"\xef\xbf\xbf", b"")
    return _ESCAPE.sub(_replacement, block) if b"\\" in block else block


def _replacement(found: re.Match[bytes]) -> bytes:
    escape = found[0].lower()
    if escape == rb"\\" or len(escape) == 12:
        return found[0]
    if escape.startswith(rb"\ud"):
        return rb"\ufffd"
    return _REPLACED.get(escape, b"")


def escape(text: str) -> str:
    """The same for one text."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ILLEGAL.sub("", text.replace("\r", "&#13;"))


def unescape(text: str) -> str:
    """What was escaped, as it was."""
    text = text.replace("&#13;", "\r").replace("&lt;", "<").replace("&gt;", ">")
    return text.replace("&amp;", "&")
