"""Crawlee's local storage as people use it: `python crawlee_local.py write|read FOLDER`.

It knows nothing of storectl; see test_local.py. What it reads goes to stdout as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

from crawlee import Request, service_locator
from crawlee.configuration import Configuration
from crawlee.storage_clients import FileSystemStorageClient
from crawlee.storages import Dataset, KeyValueStore, RequestQueue

PNG = b"\x89PNG\0\xff\r\n"


async def write() -> None:
    """Items, records and requests in every state that survives a run."""
    for name in (None, "prices"):
        dataset = await Dataset.open(name=name)
        await dataset.push_data(
            [{"n": n, "ú": 'é\n"', "z": [], "a": {"b": None, "c": 0.1 + n}} for n in range(30)]
        )
        await dataset.push_data([{}, {"#hidden": 1e300, "big": 12345678901234567890, "f": 1.0}])
    store = await KeyValueStore.open()
    await store.set_value("OUTPUT", {"a": [1, 2.5], "b": "é"})
    await store.set_value("text", "plain é")
    await store.set_value("page.html", "<p>é</p>", content_type="text/html")
    await store.set_value("shot.png", PNG, content_type="image/png")
    await store.set_value("odd", PNG, content_type="application/x-foo")
    await store.set_value("we'ird(1)!", b"\0\1")
    await store.set_value("nothing", None)
    for name in (None, "crawl"):
        queue = await RequestQueue.open(name=name)
        await queue.add_requests(
            [Request.from_url(f"https://example.com/{n}", label="A") for n in range(12)]
        )
        await queue.add_request(
            Request.from_url(
                "https://example.com/post",
                method="POST",
                headers={"a": "b"},
                payload="é",
                unique_key="mine",
                user_data={"n": 1.5},
            )
        )
        for front in ("front", "very-front"):
            await queue.add_request(f"https://example.com/{front}", forefront=True)
        first = await queue.fetch_next_request()
        second = await queue.fetch_next_request()
        assert first is not None
        assert second is not None
        await queue.mark_request_as_handled(first)
        second.retry_count += 2
        await queue.reclaim_request(second)
        await queue.fetch_next_request()  # in progress as the run ends
        await queue._client._state.persist_state()  # type: ignore[attr-defined]


async def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"datasets": {}, "records": {}, "queues": {}}
    for name in names(folder / "datasets"):
        dataset = await Dataset.open(name=None if name == "default" else name)
        found["datasets"][name] = [item async for item in dataset.iterate_items()]
    for name in names(folder / "key_value_stores"):
        store = await KeyValueStore.open(name=None if name == "default" else name)
        found["records"][name] = {}
        for told in await store.list_keys():
            if told.key.startswith("__RQ_STATE_"):
                continue
            record = await store._client.get_value(key=told.key)  # type: ignore[attr-defined]
            assert record is not None
            value = record.value
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            found["records"][name][told.key] = [record.content_type, record.size, value]
    for name in names(folder / "request_queues"):
        queue = await RequestQueue.open(name=None if name == "default" else name)
        metadata = await queue.get_metadata()
        order = []
        while request := await queue.fetch_next_request():
            order.append(request.model_dump(mode="json"))
        handled = await queue.add_request("https://example.com/very-front")
        found["queues"][name] = {
            "order": order,
            "handled": handled.was_already_handled if handled else None,
            "counts": [metadata.total_request_count, metadata.handled_request_count],
        }
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


async def main(verb: str, folder: str) -> None:
    service_locator.set_configuration(Configuration(storage_dir=folder, purge_on_start=False))
    service_locator.set_storage_client(FileSystemStorageClient())
    if verb == "write":
        await write()
    else:
        json.dump(await read(Path(folder)), sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
