"""What the benchmarks store: made from a seed, the same bytes every time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

WORDS = (
    "amber basil cedar delta ember fjord grain harbor indigo juniper kelp lumen maple nectar "
    "onyx poplar quartz river saffron tundra umber velvet willow xenon yarrow zephyr "
    "příliš žluťoučký naïve 東京 größe"
).split()
RECORD_BYTES = 4096


def items(count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Items like those of a shop crawler, about 300 bytes each, some of it not ASCII."""
    random_ = random.Random(seed)
    chance, choice = random_.random, random_.choice
    for at in range(count):
        yield {
            "id": at,
            "url": f"https://shop{at % 97}.example.com/p/{at:07d}?ref={int(chance() * 1e6):06d}",
            "title": " ".join(choice(WORDS) for _ in range(6)),
            "price": round(chance() * 1000, 2),
            "currency": "EUR" if at % 3 else "USD",
            "inStock": at % 5 != 0,
            "rating": None if at % 7 == 0 else round(chance() * 5, 1),
            "tags": [choice(WORDS), choice(WORDS)],
            "seller": {"name": choice(WORDS), "country": "CZ", "score": int(chance() * 100)},
            "scrapedAt": f"2026-01-{1 + at % 28:02d}T12:{at % 60:02d}:00.000Z",
        }


def encoded(count: int) -> Iterator[bytes]:
    """The items as JSON, without a newline."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for item in items(count):
        yield encode(item).encode()


def write_lines(path: Path, count: int) -> int:
    """A file of JSON lines; its size."""
    with path.open("wb") as file:
        for line in encoded(count):
            file.write(line + b"\n")
    return path.stat().st_size


def write_batches(lines: Path, folder: Path, batch_bytes: int) -> int:
    """JSON lines as files of JSON arrays of up to so many bytes; how many files."""
    folder.mkdir()
    batch: list[bytes] = []
    size = made = 0

    def write() -> None:
        nonlocal made
        (folder / f"{made:06d}.json").write_bytes(b"[" + b",".join(batch) + b"]")
        made += 1

    with lines.open("rb") as file:
        for line in file:
            if batch and size + len(line) > batch_bytes:
                write()
                batch, size = [], 0
            batch.append(line.rstrip(b"\n"))
            size += len(line)
    if batch:
        write()
    return made


def write_urls(path: Path, count: int) -> None:
    """A file of URLs, one a line, no two the same."""
    path.write_text("".join(f"{request['url']}\n" for request in requests(0, count)))


def write_records(folder: Path, count: int) -> None:
    """A folder of records of 4 KB, no two the same."""
    folder.mkdir()
    for at in range(count):
        (folder / f"rec-{at:06d}").write_bytes(record(at))


def record(seed: int = 13) -> bytes:
    """4 KB, half of them random."""
    half = RECORD_BYTES // 2
    return random.Random(seed).randbytes(half) + (b"storage-record-" * half)[:half]


def requests(start: int, count: int) -> list[dict[str, Any]]:
    """Requests of a queue, each with a URL of its own."""
    urls = (
        f"https://site{at % 211}.example.org/{at:07d}.html" for at in range(start, start + count)
    )
    return [{"url": url, "uniqueKey": url, "userData": {"depth": 1}} for url in urls]


def requests_of(file: Path, count: int) -> list[dict[str, Any]]:
    """Requests of the first so many URLs of a file."""
    with file.open() as lines:
        urls = [line.strip() for line in islice(lines, count)]
    return [{"url": url, "uniqueKey": url, "userData": {"depth": 1}} for url in urls]


def cut(things: list[Any], at_once: int) -> Iterator[list[Any]]:
    """Lists of so many."""
    return (things[at : at + at_once] for at in range(0, len(things), at_once))
