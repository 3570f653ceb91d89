"""A queue as one would write it on Redis, by scripts in Lua, each of which is one step.

python peer_redis.py add|lock PORT FILE COUNT    # of URLs; on 127.0.0.1

The first COUNT are taken; all that the server has is deleted before. Prints the seconds of
the loop alone, and fails if not all were found.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from data import cut, requests_of
from redis import Redis

ADD = """
for at = 1, #ARGV, 2 do
    if redis.call("HSETNX", "requests", ARGV[at], ARGV[at + 1]) == 1 then
        redis.call("ZADD", "waiting", redis.call("INCR", "number"), ARGV[at])
    end
end
"""
LOCK = """
local now = redis.call("TIME")[1]
for _, key in ipairs(redis.call("ZRANGEBYSCORE", "locked", 0, now)) do
    redis.call("ZREM", "locked", key)
    redis.call("ZADD", "waiting", 0, key)
end
local found = {}
local popped = redis.call("ZPOPMIN", "waiting", 25)
for at = 1, #popped, 2 do
    redis.call("ZADD", "locked", now + 600, popped[at])
    table.insert(found, redis.call("HGET", "requests", popped[at]))
end
return found
"""
HANDLE = """
redis.call("ZREM", "locked", ARGV[1])
redis.call("HSET", "requests", ARGV[1], ARGV[2])
redis.call("SADD", "handled", ARGV[1])
"""


def add(redis: Redis, requests: list[dict[str, Any]]) -> None:
    script = redis.register_script(ADD)
    for batch in cut(requests, 25):
        script(args=[text for each in batch for text in (each["uniqueKey"], json.dumps(each))])


def lock(redis: Redis) -> list[str]:
    """Handle all, one after the other, locked by 25; their keys."""
    locked_by, handle, handled = redis.register_script(LOCK), redis.register_script(HANDLE), []
    while locked := locked_by():
        for body in locked:
            request = json.loads(body) | {"handledAt": "2026-01-01T00:00:00.000Z"}
            handle(args=[request["uniqueKey"], json.dumps(request)])
            handled.append(request["uniqueKey"])
    return handled


def main(job: str, port: str, source: str, count: str) -> None:
    requests = requests_of(Path(source), int(count))
    keys = sorted(request["uniqueKey"] for request in requests)
    with Redis(port=int(port), decode_responses=True) as redis:
        assert redis.config_get("appendfsync") == {"appendfsync": "always"}
        redis.flushall()
        start = time.perf_counter()
        add(redis, requests)
        if job == "lock":
            start = time.perf_counter()
            assert sorted(lock(redis)) == keys
        print(time.perf_counter() - start)
        found = redis.smembers("handled") if job == "lock" else redis.zrange("waiting", 0, -1)
        assert sorted(found) == keys == sorted(redis.hkeys("requests")), "not all are there"


if __name__ == "__main__":
    main(*sys.argv[1:])
