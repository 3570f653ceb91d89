"""The most memory that a command has, at two sizes: it does not grow with what is moved."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import data
from bench import Bench, There
from items import label
from processes import Wrong, timed
from results import Goal, Row

GOAL = (Goal(most=150),)
PUSH = "dataset push {fresh} {source} --create"
PULL = "dataset pull {ref} -o {target}"
FORMATS = ("jsonl", "json", "csv", "xlsx")


class Job(NamedTuple):
    """A command. words: with `{ref}`, `{source}`, `{target}`, and `{fresh}` for a new dataset.

    served: on a server, else on the embedded store. needs: a word of `dataset --help` without
    which there is no such command yet.
    """

    name: str
    words: str
    served: bool = True
    needs: str = ""


JOBS = (
    Job("push, embedded", f"{PUSH} -q", served=False),
    Job("push, served", f"{PUSH} -q"),
    *(Job(f"pull to {form}, embedded", f"{PULL}.{form} -q", served=False) for form in FORMATS),
    *(Job(f"pull to {form}, served", f"{PULL}.{form} -q") for form in FORMATS),
    Job("copy, embedded", "dataset copy {ref} {fresh} --create -q", served=False),
    Job("copy, served", "dataset copy {ref} {fresh} --create -q"),
    Job("verify, served", "dataset verify {ref} {source} -q"),
    Job("stats, served", "dataset stats {ref}", needs="stats"),
    Job("diff, served", "dataset diff {ref} {ref} --key id", needs="diff"),
)


def measure(bench: Bench) -> list[Row]:
    """A row for each command: the most memory at the larger size, beside the smaller."""
    known = _commands(bench)
    jobs = [job for job in JOBS if not job.needs or job.needs in known]
    rows = {job: Row(f"memory: {job.name}", "MiB", "", GOAL) for job in jobs}
    server = Row("memory: the server of all these", "MiB", "")
    for size in bench.sizes.memory:
        _at(bench, size, rows, server)
    return [*rows.values(), server]


def _commands(bench: Bench) -> set[str]:
    words = [*bench.storectl, "dataset", "--help"]
    told = subprocess.run(words, env=bench.env, capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in told.splitlines() if line.startswith("  ")}


def _at(bench: Bench, size: int, rows: dict[Job, Row], server: Row) -> None:
    """All commands with so many items, each once."""
    source, store = bench.folder / f"{size}.jsonl", bench.fresh("store")
    data.write_lines(source, size)
    with bench.serving() as there:
        for place in (["--store", str(store)], ["--server", there.address]):
            push = ["dataset", "push", "bench", str(source), "--create", "-q"]
            timed([*bench.storectl, *place, *push], there.env)
        for job, row in rows.items():
            place = ["--server", there.address] if job.served else ["--store", str(store)]
            _once(there, [*bench.storectl, *place], job, source, row, size)
        server.grew(there.server.memory_mib(), label(size), os.getloadavg()[0])
    shutil.rmtree(store)
    source.unlink()


def _once(there: There, storectl: list[str], job: Job, source: Path, row: Row, size: int) -> None:
    fresh, target = there.bench.fresh("made").name, there.bench.fresh("pulled")
    named = {"ref": "bench", "source": source, "target": target, "fresh": fresh}
    if row.failed:
        return
    try:
        done = timed([*storectl, *job.words.format(**named).split()], there.env, size)
    except Wrong as error:
        row.failed = str(error)
        return
    row.grew(done.memory_mib, label(size), done.load)
    row.note(done.rate, "items/s")
    if "{fresh}" in job.words:
        timed([*storectl, "dataset", "rm", fresh, "-y", "-q"], there.env)
    for file in target.parent.glob(f"{target.name}.*"):
        os.unlink(file)
