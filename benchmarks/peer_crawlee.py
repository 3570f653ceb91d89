"""Crawlee's storage clients at the jobs that storectl is timed at.

python peer_crawlee.py files|sql push FOLDER FILE COUNT      # of JSON lines
python peer_crawlee.py files|sql add  FOLDER FILE COUNT      # of URLs
python peer_crawlee.py files|sql set  FOLDER RECORDS COUNT   # a folder of records
python peer_crawlee.py files|sql get  FOLDER RECORDS COUNT   # after set

The first COUNT are taken, in calls of 1,000. Prints the seconds of the loop alone, once
all that was stored has been read back and found to be the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

from crawlee import Request
from crawlee.configuration import Configuration
from data import cut

AT_ONCE = 1000


async def push(client: Any, where: Any, file: Path, count: int) -> float:
    dataset = await client.create_dataset_client(name="bench", configuration=where)
    with file.open("rb") as lines:
        items = [json.loads(line) for line in islice(lines, count)]
    start = time.perf_counter()
    for batch in cut(items, AT_ONCE):
        await dataset.push_data(batch)
    secs = time.perf_counter() - start
    found = [item async for item in dataset.iterate_items()]
    assert found == items, "what came back is not what was pushed"
    return secs


async def add(client: Any, where: Any, file: Path, count: int) -> float:
    queue = await client.create_rq_client(name="bench", configuration=where)
    urls = file.read_text().split()[:count]
    requests = [Request.from_url(url, unique_key=url) for url in urls]
    start = time.perf_counter()
    for batch in cut(requests, AT_ONCE):
        await queue.add_batch_of_requests(batch)
    secs = time.perf_counter() - start
    assert (await queue.get_metadata()).total_request_count == len(urls)
    for url in urls[:: max(1, len(urls) // 100)]:
        request = await queue.get_request(url)
        assert request is not None, url
        assert request.url == url
    return secs


async def set_(client: Any, where: Any, records: Path, count: int) -> float:
    store = await client.create_kvs_client(name="bench", configuration=where)
    bodies = {file.name: file.read_bytes() for file in sorted(records.iterdir())[:count]}
    start = time.perf_counter()
    for key, body in bodies.items():
        await store.set_value(key=key, value=body, content_type="application/octet-stream")
    secs = time.perf_counter() - start
    for key, body in bodies.items():
        assert (await store.get_value(key=key)).value == body, key
    return secs


async def get(client: Any, where: Any, records: Path, count: int) -> float:
    store = await client.create_kvs_client(name="bench", configuration=where)
    keys = [file.name for file in sorted(records.iterdir())[:count]]
    start = time.perf_counter()
    found = {key: (await store.get_value(key=key)).value for key in keys}
    secs = time.perf_counter() - start
    assert all(found[key] == (records / key).read_bytes() for key in keys)
    return secs


JOBS = {"push": push, "add": add, "set": set_, "get": get}


async def main(layout: str, job: str, folder: str, source: str, count: str) -> None:
    warnings.simplefilter("ignore")  # that SQL is experimental
    Path(folder).mkdir(exist_ok=True)
    where = Configuration(storage_dir=folder, purge_on_start=False)
    client: Any
    if layout == "files":
        from crawlee.storage_clients import FileSystemStorageClient

        client = FileSystemStorageClient()
    else:
        from crawlee.storage_clients import SqlStorageClient  # an extra of Crawlee's

        client = SqlStorageClient()
    print(await JOBS[job](client, where, Path(source), int(count)))
    if layout == "sql":
        await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
