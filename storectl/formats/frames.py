"""Blocks of JSON lines as zstd frames, each behind a frame that says how long it is.

This is the format of pzstd. Who takes zstd files apart skips the lengths; who reads them
knows where a frame ends, and unpacks it at once into as many bytes as it claims to have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from threading import local
from typing import Any

from storectl.errors import Internal
from storectl.model.rules import MAX_PAYLOAD_BYTES

MOST_BYTES = MAX_PAYLOAD_BYTES
"""Of a block: one item may be as large."""

MOST_PACKED_BYTES = MOST_BYTES + MOST_BYTES // 128
"""What zstd makes of the worst of blocks, with some room."""

_LENGTH = Struct("<4sII")
_SKIPPED = b"\x50\x2a\x4d\x18"
_ahead = _LENGTH.size
_of_thread = local()
"""packing, unpacking: to make one takes a sixth of the time of a block."""


class Damaged(ValueError):
    """A frame that is not what was packed; the text says why."""


def pack(block: bytes) -> bytes:
    """A frame with its size and a checksum."""
    try:
        machine = _of_thread.packing
    except AttributeError:
        import zstandard  # most commands pack nothing

        machine = _of_thread.packing = zstandard.ZstdCompressor(level=1, write_checksum=True)
    return machine.compress(block)  # type: ignore[no-any-return]


def unpack(frame: bytes) -> bytes:
    """The block of a frame, held against its checksum. Raises Damaged."""
    import zstandard  # as above

    try:
        machine: Any = _of_thread.unpacking
    except AttributeError:
        machine = _of_thread.unpacking = zstandard.ZstdDecompressor()
    try:
        if zstandard.get_frame_parameters(frame).content_size > MOST_BYTES:
            raise Damaged("it claims more than a chunk can hold")
        return machine.decompress(frame, allow_extra_data=False)  # type: ignore[no-any-return]
    except zstandard.ZstdError as error:
        raise Damaged(str(error)) from None


def framed(frame: bytes) -> bytes:
    """A frame behind its length."""
    return _LENGTH.pack(_SKIPPED, 4, len(frame)) + frame


def unframed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """What is in the frames of an answer that comes in blocks, cut anywhere.

    Raises Internal where it is no such frames, or does not end with one.
    """
    held = bytearray()
    for block in blocks:
        held += block
        at = 0
        while len(held) >= at + _ahead:
            begin = at + _ahead
            magic, four, size = _LENGTH.unpack_from(held, at)
            if magic != _SKIPPED or four != 4 or size > MOST_PACKED_BYTES:
                raise Internal("The answer is not the blocks of items that it is said to be")
            if len(held) < begin + size:
                break
            at = begin + size
            try:
                yield unpack(bytes(held[begin:at]))
            except Damaged as error:
                raise Internal(f"The answer has a damaged block of items: {error}") from None
        del held[:at]
    if held:
        raise Internal("The answer ends inside of a block of items")
