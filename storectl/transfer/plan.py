"""A plan of what is to be done between a folder and a store: made, written, approved."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from storectl.errors import Conflict, InvalidInput, Local, NotFound
from storectl.transfer.dataset import whole_file
from storectl.transfer.events import Refused
from storectl.transfer.folder import Found, Note, Stamp

Way = Literal["pull", "push"]


class Wishes(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """What a sync is for.

    globs: (takes, pattern) of keys; the first that fits decides. compare: what tells that
    nothing changed: `memory` (size and time of the file, size and, where it is listed,
    checksum of the record, as they were when the two were equal), `size` alone, or
    `checksum` of all bytes. max_delete: N or N% of the records at the destination.
    """

    globs: tuple[tuple[bool, str], ...] = ()
    compare: Literal["memory", "size", "checksum"] = "memory"
    delete: bool = False
    max_delete: str | None = None
    existing: bool = False
    ignore_existing: bool = False
    no_clobber: bool = False
    raw: bool = False

    def take(self, key: str) -> bool:
        """Whether a key is meant. What no glob fits is, unless a glob takes some."""
        for takes, pattern in self.globs:
            if fnmatchcase(key, pattern):
                return takes
        return not any(takes for takes, _ in self.globs)


class Step(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One thing to do. file_was, record_was: the state it starts from, None if there is none.

    record_was is the size; record_sha256 goes with it where the server lists one.
    bytes: of what is moved or deleted, as far as it is known before.
    """

    op: Literal["pull", "push", "delete"]
    key: str
    file: str
    bytes: int
    why: Literal["new", "changed", "extra"]
    file_was: Stamp | None = None
    record_was: int | None = None
    record_sha256: str | None = None


class Plan(Struct, kw_only=True):
    """What is to be done, in the order of the keys, deletions last.

    same: keys that need nothing; kept: what --no-clobber keeps; passed: how many the
    other wishes leave alone; refused: what can be no record.
    """

    steps: list[Step] = field(default_factory=list)
    same: set[str] = field(default_factory=set)
    kept: list[Refused] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    passed: int = 0
    learned: list[tuple[Found, Note]] = field(default_factory=list)

    @property
    def moves(self) -> list[Step]:
        return [step for step in self.steps if step.op != "delete"]

    @property
    def deletes(self) -> list[Step]:
        return [step for step in self.steps if step.op == "delete"]


class Head(Struct, rename="camel", frozen=True, kw_only=True, tag="plan", tag_field="storectl"):
    """The first line of a plan in a file: which way, between what, and wished how."""

    way: Way
    store: str
    folder: str
    wishes: Wishes
    version: int = 1


def write(file: Path, head: Head, steps: list[Step]) -> None:
    """Write a plan: its head, then a JSON line for each step."""
    with whole_file(file) as out:
        out.write(line(head) + b"\n")
        out.writelines(line(step) + b"\n" for step in steps)


def read(file: Path) -> tuple[Head, list[Step]]:
    """The plan in a file. InvalidInput if it is none."""
    try:
        first, *rest = file.read_bytes().splitlines()
        head = msgspec.json.decode(first, type=Head)
        return head, [msgspec.json.decode(each, type=Step) for each in rest]
    except FileNotFoundError:
        raise NotFound(f"{file}: no such file") from None
    except OSError as error:
        raise Local(f"{file}: {error.strerror}") from None
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(f"{file} is no plan of kvs sync: {error}") from None


def line(part: Head | Step) -> bytes:
    """One line of a plan."""
    return msgspec.json.encode(part)


def approved(plan: Plan, steps: list[Step]) -> list[Step]:
    """Those of approved steps that are still to be done. Conflict if one cannot be as approved.

    plan: as things are now. What a run before this one has done is found equal by now.
    """
    now = {(step.op, step.key): step for step in plan.steps}
    there = {step.key for step in plan.steps} | plan.same
    left, wrong = [], []
    for step in steps:
        current = now.get((step.op, step.key))
        is_done = step.key not in there if step.op == "delete" else step.key in plan.same
        if current == step:
            left.append(step)
        elif current is not None or not is_done:
            wrong.append(step.key)
    if wrong:
        more = f" and {len(wrong) - 5:,} more" if len(wrong) > 5 else ""
        raise Conflict(
            f"changed since the plan was made: {', '.join(wrong[:5])}{more}; nothing was done",
            hint="make the plan anew",
            type="changed-underneath",
        )
    return left


def most_deletes(text: str | None, there: int) -> int | None:
    """How many --max-delete allows: `10`, or `5%` of what is there. None is any number."""
    if text is None:
        return None
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdecimal()) or len(number) > 9:
        raise InvalidInput(f"--max-delete must be a number or a percentage, not {text!r}")
    return there * int(number) // 100 if text.endswith("%") else int(number)
