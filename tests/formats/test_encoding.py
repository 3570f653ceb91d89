"""Packed files: the same bytes each time, and taken apart in small blocks however dense."""

from __future__ import annotations

import pytest

from storectl.errors import InvalidInput
from storectl.formats.encoding import BLOCK_BYTES, PACKED, packed, packing, unpacked

DENSE = bytes(64 * 1024 * 1024)


@pytest.mark.parametrize("name", PACKED)
def test_what_is_packed_tells_how_and_comes_back(name: str) -> None:
    blocks = [b"one ", b"", b"two"]

    once = b"".join(packed(blocks, name))

    assert packing(once) == name
    assert b"".join(packed(blocks, name)) == once
    assert b"".join(unpacked([once[:5], once[5:], once], name)) == b"one twoone two"


@pytest.mark.parametrize("name", PACKED)
def test_dense_input_comes_in_small_blocks(name: str) -> None:
    small = b"".join(packed([DENSE], name))

    sizes = [len(block) for block in unpacked([small], name)]

    assert sum(sizes) == len(DENSE)
    assert max(sizes) <= BLOCK_BYTES


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("end", [5, -1])
def test_what_is_cut_or_broken_is_told(name: str, end: int) -> None:
    whole = b"".join(packed([b"something " * 100], name))

    with pytest.raises(InvalidInput, match="ends too early"):
        list(unpacked([whole[:end]], name))
    with pytest.raises(InvalidInput, match=f"not valid {name}"):
        list(unpacked([whole[:6] + b"\xff" * 40], name))


def test_what_is_not_packed_stays_as_it_is() -> None:
    assert packing(b'{"n":1}') is None
    assert b"".join(packed([b"a", b"b"], None)) == b"ab"
