"""apify-client at the jobs that storectl is timed at. Prints the seconds of the loop alone.

python peer_apify.py push ADDRESS DATASET FOLDER     # of batches, each a JSON array
python peer_apify.py pull ADDRESS DATASET FILE       # of JSON lines
python peer_apify.py add  ADDRESS QUEUE FILE         # of URLs
python peer_apify.py set  ADDRESS STORE FOLDER       # of records
python peer_apify.py get  ADDRESS STORE FOLDER

The token is in APIFY_TOKEN. All settings are the client's own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from apify_client import ApifyClient


def push(client: ApifyClient, ref: str, folder: Path) -> None:
    dataset = client.dataset(ref)
    for batch in sorted(folder.iterdir()):
        dataset.push_items(json.loads(batch.read_bytes()))


def pull(client: ApifyClient, ref: str, file: Path) -> None:
    with file.open("w", encoding="utf-8") as lines:
        for item in client.dataset(ref).iterate_items():
            lines.write(json.dumps(item, ensure_ascii=False) + "\n")


def add(client: ApifyClient, ref: str, file: Path) -> None:
    urls = file.read_text().split()
    found = client.request_queue(ref).batch_add_requests(
        [{"url": url, "unique_key": url} for url in urls]
    )
    assert len(found.processed_requests) == len(urls)


def set_(client: ApifyClient, ref: str, folder: Path) -> None:
    store = client.key_value_store(ref)
    for file in sorted(folder.iterdir()):
        store.set_record(file.name, file.read_bytes(), content_type="application/octet-stream")


def get(client: ApifyClient, ref: str, folder: Path) -> None:
    store = client.key_value_store(ref)
    folder.mkdir()
    for page in store.iterate_keys():
        record = store.get_record_as_bytes(page.key)
        assert record is not None
        (folder / page.key).write_bytes(record["value"])


JOBS = {"push": push, "pull": pull, "add": add, "set": set_, "get": get}


def main(job: str, address: str, ref: str, path: str) -> None:
    client = ApifyClient(os.environ["APIFY_TOKEN"], api_url=address)
    start = time.perf_counter()
    JOBS[job](client, ref, Path(path))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
