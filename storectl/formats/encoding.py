"""Content encodings and packed files, in streams, taken apart never past a bound."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from storectl.errors import InvalidInput
from storectl.model.rules import check_encoding

BLOCK_BYTES = 256 * 1024
UNPACKED_FREE_BYTES = 64 * 1024**2
UNPACKED_RATIO = 1100
"""What a body may unpack to: so much in any case, and so many times its size. Gzip
reaches 1,030 on zeros, brotli 600,000: ten kilobytes that unpack to six gigabytes."""


def most_unpacked(packed_bytes: int) -> int:
    """How many bytes a body of that size may unpack to."""
    return max(UNPACKED_FREE_BYTES, packed_bytes * UNPACKED_RATIO)


PACKED = {"gzip": ".gz", "zstd": ".zst"}
"""How a file may be packed, and the suffix which says so."""

_SLICE_BYTES = 1024
"""Of zstd at a time: its output cannot be bounded, and 1 KiB becomes 32 MiB at most."""

_WINDOW_BYTES = 128 * 1024 * 1024

_MAGIC = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}


def decoded(
    blocks: Iterable[bytes],
    encoding: str | None,
    *,
    limit: int | None = None,
    over: Callable[[int], Exception] | None = None,
) -> Iterator[bytes]:
    """Yield the plain bytes, in blocks of at most 256 KiB however dense the input is.

    limit: bytes of output; past it over(seen) is raised. Broken or cut input is
    InvalidInput.
    """
    plain = _PLAIN[check_encoding(encoding)](blocks)
    seen = 0
    for block in plain:
        seen += len(block)
        if limit is not None and seen > limit:
            raise over(seen) if over else InvalidInput(f"Body is over {limit} bytes unpacked")
        yield block


def packing(head: bytes) -> str | None:
    """How a file is packed, by its first four bytes; None is not at all."""
    return next((name for name, magic in _MAGIC.items() if head.startswith(magic)), None)


def packed(blocks: Iterable[bytes], name: str | None) -> Iterator[bytes]:
    """Pack a file as gzip or zstd; the same input makes the same bytes."""
    if name is None:
        yield from blocks
        return
    machine = _zstd_compressor() if name == "zstd" else zlib.compressobj(6, wbits=31)
    for block in blocks:
        if out := machine.compress(block):
            yield out
    yield machine.flush()


def unpacked(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Take a gzip or zstd file apart, in blocks of at most 256 KiB; it may have several members.

    Raises InvalidInput where it is broken or cut.
    """
    return _zstd(blocks) if name == "zstd" else _gzip(blocks)


def _zstd_compressor() -> Any:
    import zstandard  # few files are packed

    return zstandard.ZstdCompressor(write_checksum=True).compressobj()


def _zstd(blocks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard  # as above

    plain = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    machine = plain.decompressobj()
    started = False
    try:
        for block in blocks:
            for at in range(0, len(block), _SLICE_BYTES):
                piece = block[at : at + _SLICE_BYTES]
                while piece:
                    if machine.eof:  # frames of a file may follow each other
                        machine = plain.decompressobj()
                    out = machine.decompress(piece)
                    started = True
                    for start in range(0, len(out), BLOCK_BYTES):
                        yield out[start : start + BLOCK_BYTES]
                    piece = machine.unused_data if machine.eof else b""
    except zstandard.ZstdError as error:
        raise _broken("zstd", error) from None
    if started and not machine.eof:
        raise _broken("zstd", "it ends too early")


def _identity(blocks: Iterable[bytes]) -> Iterator[bytes]:
    return iter(blocks)


def _gzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    return _zlib(blocks, 16 + zlib.MAX_WBITS, "gzip")


def _deflate(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Both readings of "deflate": with zlib's header and without."""
    source = iter(blocks)
    head = b""
    for block in source:
        head += block
        if len(head) >= 2:
            break
    wrapped = len(head) >= 2 and head[0] & 15 == 8 and (head[0] * 256 + head[1]) % 31 == 0
    bits = zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
    yield from _zlib(_chain(head, source), bits, "deflate")


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _zlib(blocks: Iterable[bytes], bits: int, name: str) -> Iterator[bytes]:
    machine: Any = zlib.decompressobj(bits)
    started = False
    try:
        for block in blocks:
            started = started or bool(block)
            while block:
                if machine.eof:  # members of a gzip file may follow each other
                    machine = zlib.decompressobj(bits)
                out = machine.decompress(block, BLOCK_BYTES)
                if out:
                    yield out
                block = machine.unconsumed_tail or machine.unused_data
    except zlib.error as error:
        raise _broken(name, error) from None
    if started and not machine.eof:
        raise _broken(name, "it ends too early")


def _br(blocks: Iterable[bytes]) -> Iterator[bytes]:
    import brotli  # most commands meet no brotli

    machine = brotli.Decompressor()
    started = False
    try:
        for block in blocks:
            started = started or bool(block)
            # It holds back output also when it could take more input; and gives up to
            # twice the limit.
            out = machine.process(block, output_buffer_limit=BLOCK_BYTES // 2)
            while out:
                yield out
                if machine.is_finished():
                    break
                out = machine.process(b"", output_buffer_limit=BLOCK_BYTES // 2)
    except brotli.error as error:
        raise _broken("br", error) from None
    if started and not machine.is_finished():
        raise _broken("br", "it ends too early")


def _broken(name: str, why: object) -> InvalidInput:
    return InvalidInput(f"Body is not valid {name}: {why}", type="invalid-input")


_PLAIN: dict[str | None, Callable[[Iterable[bytes]], Iterator[bytes]]] = {
    None: _identity,
    "gzip": _gzip,
    "deflate": _deflate,
    "br": _br,
}
