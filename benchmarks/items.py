"""Items pushed and pulled: storectl, apify-client, Crawlee's storage clients, curl."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import data
from bench import Bench, There, closing_client, digest, same_items
from processes import Wrong, timed
from results import Goal, Row
from versus import Against, Side, compare

from storectl.transfer.dataset import BATCH_BYTES

FIVE_TIMES = (Goal(least=5, of="ratio"),)
FIFTEEN_TIMES = (Goal(least=15, of="ratio"),)
SMALL = Goal(most=150, of="memory")


def measure(bench: Bench) -> list[Row]:
    """Rows of push and pull."""
    count = bench.sizes.items
    source, batches = bench.folder / "items.jsonl", bench.folder / "batches"
    data.write_lines(source, count)
    data.write_batches(source, batches, BATCH_BYTES)
    some, some_batches = bench.folder / "some.jsonl", bench.folder / "some-batches"
    data.write_lines(some, bench.sizes.some_items)
    data.write_batches(some, some_batches, BATCH_BYTES)
    with bench.serving() as there:
        rows = [
            *_push_embedded(bench, source),
            *_push_served(there, source, batches, some, some_batches),
            *_pull(there, source, some),
        ]
    with bench.serving() as there:
        rows += _pull_large(there, source)
    shutil.rmtree(batches)
    shutil.rmtree(some_batches)
    return rows


def label(count: int) -> str:
    """A count as a row names it."""
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return str(count)


def _push_embedded(bench: Bench, source: Path) -> list[Row]:
    sizes = bench.sizes
    stores: list[Path] = []

    def push() -> list[str]:
        stores.append(bench.fresh("store"))
        return ["--store", str(stores[-1]), "dataset", "push", "b", str(source), "--create", "-q"]

    def check() -> None:
        found, read = bench.fresh("found"), ["dataset", "items", "b", "--format", "jsonl", "--all"]
        timed([*bench.storectl, "--store", str(stores[-1]), *read], bench.env, output=found)
        same_items(found, source)
        found.unlink()
        shutil.rmtree(stores[-1])

    ours = bench.storectl_side(push, sizes.items, check)
    sql = bench.crawlee("sql", "push", source, sizes.some_items)
    files = bench.crawlee("files", "push", source, sizes.few_items)
    others = [Against(sql, goals=FIFTEEN_TIMES), Against(files, goals=FIFTEEN_TIMES)]
    return compare(
        f"push {label(sizes.items)} items, embedded", ours, others, sizes.rounds, (SMALL,)
    )


def _push_served(
    there: There, source: Path, batches: Path, some: Path, some_batches: Path
) -> list[Row]:
    """some: the first of the items, for who is too slow for all."""
    bench, count, few = there.bench, there.bench.sizes.items, there.bench.sizes.some_items

    def check(expected: Path = source) -> None:
        found = bench.fresh("found")
        there.items(there.last(), found)
        same_items(found, expected)
        found.unlink()
        with closing_client(there) as client:
            client.datasets.delete(there.last())

    def push() -> list[str]:
        return ["dataset", "push", there.fresh("datasets"), str(source), "-q"]

    def posts() -> list[str]:
        return ["-K", str(_posts(there, there.fresh("datasets"), batches))]

    def loop() -> list[str]:
        return ["push", there.fresh("datasets"), str(some_batches)]

    ours = there.side(push, count, check)
    others = [
        Against(bench.apify(there, loop, few, lambda: check(some)), goals=FIVE_TIMES),
        Against(bench.curl(posts, count, check), "time", (Goal(most=1.5, of="ratio"),)),
    ]
    job = f"push {label(count)} items, served"
    rows = compare(job, ours, others, bench.sizes.rounds, (SMALL,))
    rows[0].either = rows[1]
    return rows


def _posts(there: There, ref: str, batches: Path) -> Path:
    """What curl reads to post all batches in their order, over one connection."""
    config = there.bench.fresh("curl")
    calls = (
        f'url = "{there.address}/v2/datasets/{ref}/items"\n'
        f'header = "Authorization: Bearer {there.token}"\n'
        'header = "Content-Type: application/json"\nheader = "Expect:"\n'
        f'data-binary = "@{batch}"\noutput = "/dev/null"\nfail\nsilent\nshow-error\n'
        for batch in sorted(batches.iterdir())
    )
    config.write_text("next\n".join(calls))
    return config


def _pull(there: There, source: Path, some: Path) -> list[Row]:
    """some: the first of the items, for who is too slow for all."""
    bench, count, few = there.bench, there.bench.sizes.items, there.bench.sizes.some_items
    ref, ref_of_some = _pushed(there, source, 1), _pushed(there, some, 1)
    target = bench.folder / "pulled.jsonl"

    def check(expected: Path = source) -> None:
        same_items(target, expected)
        target.unlink()

    def pull() -> list[str]:
        return ["dataset", "pull", ref, "-o", str(target), "-q"]

    ours = there.side(pull, count, check)
    words = ["pull", ref_of_some, str(target)]
    loop = bench.apify(there, lambda: words, few, lambda: check(some))
    others = [
        Against(loop, goals=FIVE_TIMES),
        Against(_get(there, ref, target, count, check), "time"),
    ]
    job = f"pull {label(count)} items, served"
    return compare(job, ours, others, bench.sizes.rounds, (SMALL,))


def _pull_large(there: There, source: Path) -> list[Row]:
    """The same file pushed until there is enough of it, pulled as one."""
    bench = there.bench
    times = math.ceil(bench.sizes.bytes_of_pull / source.stat().st_size)
    ref = _pushed(there, source, times)
    whole, target = bench.folder / "whole.jsonl", bench.folder / "pulled.jsonl"
    there.items(ref, whole)
    if whole.stat().st_size != times * source.stat().st_size:
        raise Wrong("the server does not have what was pushed")
    expected, size = digest(whole), whole.stat().st_size
    whole.unlink()

    def check() -> None:
        if digest(target) != expected:
            raise Wrong("what was pulled is not what the server has")
        target.unlink()

    def pull() -> list[str]:
        return ["dataset", "pull", ref, "-o", str(target), "-q"]

    count = times * bench.sizes.items
    ours = there.side(pull, count, check)
    curl = Against(_get(there, ref, target, count, check), "time", (Goal(most=1.1, of="ratio"),))
    return compare(f"pull {size / 1e9:.2g} GB, served", ours, [curl], bench.sizes.rounds, (SMALL,))


def _pushed(there: There, source: Path, times: int) -> str:
    """A dataset that has the file so many times."""
    ref = there.fresh("datasets")
    words = [*there.bench.storectl, "--server", there.address, "dataset", "push", ref, str(source)]
    for _ in range(times):
        timed([*words, "--restart", "-q"], there.env)
    return ref


def _get(there: There, ref: str, target: Path, count: int, check: Callable[[], None]) -> Side:
    path = f"{there.address}/v2/datasets/{ref}/items?format=jsonl"
    words = ["-H", f"Authorization: Bearer {there.token}", "-o", str(target), path]
    return there.bench.curl(lambda: words, count, check)
