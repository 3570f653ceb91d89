"""A client called by 32 threads, each of them connected before: storectl's, and apify-client.

python peer_threads.py storectl|apify GET|PUT ADDRESS STORE RECORDS COUNT

RECORDS: a folder of what the server has, read again and again or written under other keys.
Prints the seconds from the first call to the last.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

THREADS = 32
BINARY = "application/octet-stream"


def of_storectl(address: str, ref: str) -> tuple[Callable[[str], bytes], Callable[..., None]]:
    from storectl.client import open_store
    from storectl.model.kvs import Record

    kvs = open_store(address).kvs

    def get(key: str) -> bytes:
        return b"".join(kvs.record(ref, key).body)

    def put(key: str, body: bytes) -> None:
        kvs.put(ref, Record(key=key, content_type=BINARY, size=len(body), body=(body,)))

    return get, put


def of_apify(address: str, ref: str) -> tuple[Callable[[str], bytes], Callable[..., None]]:
    from apify_client import ApifyClient

    store = ApifyClient("none", api_url=address).key_value_store(ref)

    def get(key: str) -> bytes:
        record = store.get_record_as_bytes(key)
        assert record is not None, key
        return bytes(record["value"])

    def put(key: str, body: bytes) -> None:
        store.set_record(key, body, content_type=BINARY)

    return get, put


def main(who: str, method: str, address: str, ref: str, folder: str, count: str) -> None:
    bodies = [(file.name, file.read_bytes()) for file in sorted(Path(folder).iterdir())]
    get, put = (of_storectl if who == "storectl" else of_apify)(address, ref)

    def call(at: int) -> None:
        name, body = bodies[at % len(bodies)]
        if method == "PUT":
            put(f"put-{at}", body)
        elif get(name) != body:
            raise ValueError(f"{name} is not what the server has")

    times: list[float] = []
    together = Barrier(THREADS, lambda: times.append(time.perf_counter()))

    def work(first: int) -> None:
        try:
            call(first)  # what it imports is imported then, the rate is known, it is connected
            together.wait()
            for at in range(first, int(count), THREADS):
                call(at)
            together.wait()
        except Exception:
            together.abort()  # nobody waits for this one
            raise

    threads = [Thread(target=work, args=(at,)) for at in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 2, "a thread failed"
    print(times[1] - times[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
