"""An Actor as people write them: visits all pages of a site through Crawlee.

It knows nothing of storectl: the environment points the Apify SDK at a server, see
test_crawl.py. SHARED is set where it shares its queue with others.
"""

from __future__ import annotations

import asyncio
import os

from apify import Actor
from apify.storage_clients import ApifyStorageClient, SmartApifyStorageClient
from crawlee import ConcurrencySettings, service_locator
from crawlee.crawlers import ParselCrawler, ParselCrawlingContext


async def crawl() -> None:
    """Push one item for each page, and say in OUTPUT how many this process has seen."""
    given = await Actor.get_input() or {}
    seen: list[str] = []
    crawler = ParselCrawler(
        max_request_retries=2,
        concurrency_settings=ConcurrencySettings(desired_concurrency=4, max_concurrency=8),
    )

    @crawler.router.default_handler
    async def visit(context: ParselCrawlingContext) -> None:
        await asyncio.sleep(given.get("pause", 0))
        title = context.selector.css("title::text").get()
        await context.push_data({"url": context.request.url, "title": title, "#by": os.getpid()})
        await context.enqueue_links(label="PAGE", user_data={"from": context.request.url})
        seen.append(context.request.url)

    crawler.router.handler("PAGE")(visit)
    await crawler.run([given["start"]])
    await Actor.set_value(given.get("output", "OUTPUT"), {"seen": sorted(seen)})


async def main() -> None:
    if "SHARED" in os.environ:
        shared = ApifyStorageClient(request_queue_access="shared")
        service_locator.set_storage_client(SmartApifyStorageClient(cloud_storage_client=shared))
    async with Actor(exit_process=False):
        await crawl()
        if blob := int(os.environ.get("LARGE_BYTES", "0")):
            large = await Actor.open_dataset(name="large")
            await large.push_data([{"n": n, "text": "x" * blob} for n in range(5)])
            found = [item["n"] async for item in large.iterate_items()]
            assert found == [0, 1, 2, 3, 4], found


if __name__ == "__main__":
    asyncio.run(main())
