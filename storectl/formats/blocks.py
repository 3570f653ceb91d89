"""Blocks of JSON lines: cut to a size that suits the cache and decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from storectl.errors import Internal
from storectl.model.items import Item, mended

BLOCK_BYTES = 64 * 1024
"""Decoding and spreading a block of this size stays in the cache: twice as fast as 256 KiB."""


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at ends of lines; a line longer than a block is whole too."""
    parts: list[bytes] = []
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if not cut:
            parts.append(block)
            continue
        yield b"".join([*parts, block[:cut]]) if parts else block[:cut]
        parts = [block[cut:]] if cut < len(block) else []


def recut(blocks: Iterable[bytes], size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Join small blocks of whole lines and cut large ones to about `size` bytes."""
    held: list[bytes] = []
    held_bytes = 0
    for block in blocks:
        if held_bytes and held_bytes + len(block) > size:
            yield b"".join(held)
            held, held_bytes = [], 0
        start = 0
        while len(block) - start > size:
            end = block.rfind(b"\n", start, start + size) + 1 or block.find(b"\n", start + size) + 1
            yield block[start:end]
            start = end
        held.append(block[start:])
        held_bytes += len(block) - start
    if held_bytes:
        yield b"".join(held)


def gather(chunks: Iterable[bytes], size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Join chunks until they make `size` bytes, so that no receiver is handed single rows."""
    held: list[bytes] = []
    held_bytes = 0
    for chunk in chunks:
        held.append(chunk)
        held_bytes += len(chunk)
        if held_bytes >= size:
            yield b"".join(held)
            held, held_bytes = [], 0
    if held_bytes:
        yield b"".join(held)


def decoder(number: Callable[[str], Any] = str) -> Callable[[bytes], list[Item]]:
    """A function from a block to its items.

    number: makes the value of a number with a fraction or an exponent from its
    text; kept as text it comes out as it was sent, and faster.
    """
    decode = msgspec.json.Decoder(float_hook=number).decode_lines

    def items(block: bytes) -> list[Item]:
        try:
            return decode(block)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        try:
            return decode(mended(block))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Internal(f"The store holds an item that is not JSON: {error}") from None

    return items
