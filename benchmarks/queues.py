"""URLs added to a queue: storectl, apify-client, Crawlee's storage clients."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import data
from bench import Bench, There
from items import FIVE_TIMES, label
from processes import Wrong, timed
from results import Row
from versus import Against, compare


def measure(bench: Bench) -> list[Row]:
    """Rows of `queue add`."""
    urls = bench.folder / "urls.txt"
    data.write_urls(urls, bench.sizes.urls)
    with bench.serving() as there:
        return [*_embedded(bench, urls), *_served(there, urls)]


def _embedded(bench: Bench, urls: Path) -> list[Row]:
    sizes = bench.sizes
    stores: list[Path] = []

    def add() -> list[str]:
        stores.append(bench.fresh("store"))
        return ["--store", str(stores[-1]), "queue", "add", "b", "-i", str(urls), "--create", "-q"]

    def check() -> None:
        _check(bench, ["--store", str(stores[-1])], "b", bench.env, urls)
        shutil.rmtree(stores[-1])

    ours = bench.storectl_side(add, sizes.urls, check)
    sql = bench.crawlee("sql", "add", urls, sizes.few_urls)
    files = bench.crawlee("files", "add", urls, sizes.few_urls)
    others = [Against(files, goals=FIVE_TIMES), Against(sql)]
    return compare(f"queue add {label(sizes.urls)} URLs, embedded", ours, others, sizes.rounds)


def _served(there: There, urls: Path) -> list[Row]:
    bench, count = there.bench, there.bench.sizes.urls
    few, few_urls = count // 5, bench.folder / "few-urls.txt"
    data.write_urls(few_urls, few)

    def check(added: Path = urls) -> None:
        _check(bench, ["--server", there.address], there.last(), there.env, added)

    def loop() -> list[str]:
        return ["add", there.fresh("queues"), str(few_urls)]

    ours = there.side(
        lambda: ["queue", "add", there.fresh("queues"), "-i", str(urls), "-q"], count, check
    )
    apify = bench.apify(there, loop, few, lambda: check(few_urls))
    job = f"queue add {label(count)} URLs, served"
    return compare(job, ours, [Against(apify)], bench.sizes.rounds)


def _check(bench: Bench, place: list[str], ref: str, env: dict[str, str], urls: Path) -> None:
    """Raise Wrong unless the queue has these URLs, each once."""
    found = bench.fresh("found")
    timed([*bench.storectl, *place, "queue", "export", ref, "-o", str(found), "-q"], env)
    with found.open("rb") as lines:
        there = sorted(json.loads(line)["url"] for line in lines)
    if there != sorted(urls.read_text().split()):
        raise Wrong("the queue does not have the URLs that were added")
    found.unlink()
