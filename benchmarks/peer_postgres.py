"""A queue as one would write it on PostgreSQL, each call acknowledged when it is on the disk.

python peer_postgres.py add|lock ADDRESS FILE COUNT    # of URLs; ADDRESS: of an empty database

The first COUNT are taken. Prints the seconds of the loop alone, and fails if not all were found.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from data import cut, requests_of

SCHEMA = """
CREATE TABLE request (number bigserial PRIMARY KEY, unique_key text UNIQUE NOT NULL,
    body jsonb NOT NULL, locked_until timestamptz NOT NULL DEFAULT '-infinity',
    handled_at timestamptz);
CREATE INDEX head ON request (number) WHERE handled_at IS NULL
"""
ADD = """
INSERT INTO request (unique_key, body) SELECT * FROM unnest(%s::text[], %s::jsonb[])
ON CONFLICT DO NOTHING RETURNING unique_key
"""
LOCK = """
UPDATE request SET locked_until = now() + '600 s' WHERE number IN (
    SELECT number FROM request WHERE handled_at IS NULL AND locked_until < now()
    ORDER BY number LIMIT 25 FOR UPDATE SKIP LOCKED)
RETURNING unique_key, body
"""
HANDLE = "UPDATE request SET handled_at = now(), body = %s::jsonb WHERE unique_key = %s"


def add(connection: psycopg.Connection, requests: list[dict[str, Any]]) -> None:
    for batch in cut(requests, 25):
        keys = [request["uniqueKey"] for request in batch]
        connection.execute(ADD, (keys, [json.dumps(request) for request in batch])).fetchall()


def lock(connection: psycopg.Connection) -> list[str]:
    """Handle all, one after the other, locked by 25; their keys."""
    handled = []
    while locked := connection.execute(LOCK).fetchall():
        for key, body in locked:
            done = json.dumps(body | {"handledAt": "2026-01-01T00:00:00.000Z"})
            connection.execute(HANDLE, (done, key))
            handled.append(key)
    return handled


def main(job: str, address: str, source: str, count: str) -> None:
    requests = requests_of(Path(source), int(count))
    keys = sorted(request["uniqueKey"] for request in requests)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(SCHEMA)
        start = time.perf_counter()
        add(connection, requests)
        if job == "lock":
            start = time.perf_counter()
            assert sorted(lock(connection)) == keys
        print(time.perf_counter() - start)
        left = connection.execute("SELECT unique_key FROM request WHERE handled_at IS NULL")
        found = sorted(key for (key,) in left)
        assert found == ([] if job == "lock" else keys), "not all are there"


if __name__ == "__main__":
    main(*sys.argv[1:])
