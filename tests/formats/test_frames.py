"""Blocks as frames behind their lengths: whole and unchanged, or refused."""

from __future__ import annotations

import io
import tracemalloc
from struct import pack as packed_numbers

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as some

from storectl.errors import Internal
from storectl.formats.frames import MOST_BYTES, framed, pack, unframed

BLOCK = b'{"n":1,"text":"some text, some text"}\n' * 100


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@given(some.lists(some.binary(max_size=300)), some.integers(1, 400))
def test_blocks_come_back_wherever_the_answer_is_cut(blocks: list[bytes], size: int) -> None:
    body = b"".join(framed(pack(block)) for block in blocks)

    assert list(unframed(cut(body, size))) == blocks


def test_the_largest_block_comes_back() -> None:
    largest = bytes(range(256)) * (MOST_BYTES // 256)

    assert b"".join(unframed(cut(framed(pack(largest)), 65536))) == largest


def test_who_knows_nothing_of_the_lengths_reads_the_frames() -> None:
    body = framed(pack(BLOCK)) + framed(pack(b"{}\n"))

    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body), read_across_frames=True)

    assert reader.read() == BLOCK + b"{}\n"


GOOD = framed(pack(BLOCK))
LIAR = b"\x28\xb5\x2f\xfd\xe0" + packed_numbers("<Q", 10**10) + b"\x01\x00\x00"
UNTOLD = zstandard.ZstdCompressor(write_content_size=False).compress(BLOCK)
HOSTILE = {
    "cut in a frame": (GOOD + GOOD[:-1], "ends inside"),
    "cut in a length": (GOOD + GOOD[:7], "ends inside"),
    "another checksum": (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "damaged"),
    "10 GB claimed": (framed(LIAR), "damaged.*claims more"),
    "no size told": (framed(UNTOLD), "damaged.*claims more"),
    "more in a frame": (framed(pack(BLOCK) + b"more"), "damaged"),
    "a long frame": (GOOD[:8] + packed_numbers("<I", 2**31) + GOOD[12:], "is not"),
    "a frame without its length": (pack(BLOCK), "is not"),
    "plain lines": (BLOCK, "is not"),
    "something behind": (GOOD + BLOCK, "is not"),
}


@pytest.mark.parametrize("size", [1, 2**20])
@pytest.mark.parametrize(("body", "why"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_whole_frames_is_refused(body: bytes, why: str, size: int) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Internal, match=why):
            list(unframed(cut(body, size)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2 * MOST_BYTES
