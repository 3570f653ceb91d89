"""Content encodings: br, gzip, deflate, taken apart in a stream and never past a bound."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from storectl.errors import InvalidInput
from storectl.model.rules import check_encoding

BLOCK_BYTES = 256 * 1024


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
