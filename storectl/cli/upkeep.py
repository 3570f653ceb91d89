"""What doctor does with a store in a folder: looks at all it holds, and mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from storectl.cli.output import Output
from storectl.model.upkeep import Copied, Finding, Scope, Step, Upkeep
from storectl.transfer.events import Advanced, Event, Finished, Started

ROUNDS = 5
"""A count is right only when what it counts is; each round can find what the last uncovered."""


class Looked(NamedTuple):
    """What a look at a store found. mended: what is not so any more; why_not: by detail."""

    findings: list[Finding]
    storages: int
    bytes: int
    secs: float
    mended: list[Finding]
    why_not: dict[str, str]


def follow(
    output: Output,
    seen: Iterable[Finding | Scope | Step | Copied],
    take: Callable[[Finding | Copied], object],
) -> Finished:
    """Draw how far a keeper has come; what it finds or has done goes to `take`."""
    begin, last = time.monotonic(), Step(0, 0)

    def events() -> Iterator[Event]:
        nonlocal last
        for each in seen:
            if isinstance(each, Scope):
                yield Started(total_bytes=each.total_bytes)
            elif isinstance(each, Step):
                last = each
                yield Advanced(each.storages, each.bytes)
            else:
                take(each)
        yield Finished(last.storages, last.bytes, time.monotonic() - begin)

    done, _ = output.follow(events(), "storage")
    return done


def look(output: Output, upkeep: Upkeep, *, deep: bool) -> Looked:
    """Look at all there is."""
    found: list[Finding] = []

    def take(each: Finding | Copied) -> None:
        if isinstance(each, Finding):
            found.append(each)

    done = follow(output, upkeep.check(deep=deep), take)
    return Looked(found, done.moved, done.bytes, done.secs, [], {})


def mend(output: Output, upkeep: Upkeep, looked: Looked, *, deep: bool) -> Looked:
    """Mend what can be, and look again until that changes nothing more."""
    seen = {_key(each): each for each in looked.findings}
    why_not: dict[str, str] = {}
    for _ in range(ROUNDS):
        before = {_key(each) for each in looked.findings}
        if not any(each.mend for each in looked.findings):
            break
        adopting = any(each.mend and each.mend[0] == "adopt" for each in looked.findings)
        why_not = {each.detail: why for each, why in upkeep.repair(looked.findings)}
        looked = look(output, upkeep, deep=deep or adopting)
        seen |= {_key(each): each for each in looked.findings}
        if {_key(each) for each in looked.findings} == before:
            break
    left = {_key(each) for each in looked.findings}
    mended = [each for key, each in seen.items() if key not in left]
    return looked._replace(mended=mended, why_not=why_not)


def _key(finding: Finding) -> tuple[str | None, ...]:
    """What makes it the same finding in the next look."""
    return finding.check, finding.detail, finding.noun, finding.storage, finding.place
