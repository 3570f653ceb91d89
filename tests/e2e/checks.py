"""What has to be there once clients have written and servers have died: all that was answered."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

from writers import ITEMS, REQUESTS, Adder, Grant, Holder, Pusher, Setter, Writer, value_of

from storectl.engine.store import EngineStore
from storectl.errors import NotFound
from storectl.model.dataset import ItemsQuery
from storectl.model.storage import ListQuery


def check_all(store: EngineStore, writers: list[Writer], slack_ms: int = 0) -> None:
    """Hold a store against what its writers were told.

    slack_ms: how far the clock of the store may be from that of the writers.
    """
    assert [writer.failed for writer in writers] == [None] * len(writers)
    datasets, stores, queues = (
        [each.id for each in store.keeper(noun).list(ListQuery(unnamed=True)).items]
        for noun in ("dataset", "kvs", "queue")
    )
    pushers, setters, adders, holders = (
        [writer for writer in writers if isinstance(writer, kind)]
        for kind in (Pusher, Setter, Adder, Holder)
    )
    _check_items(store, datasets[0], pushers)
    _check_records(store, stores[0], setters)
    _check_requests(store, queues[0], adders, holders, slack_ms)
    _check_counts(store)


def _check_items(store: EngineStore, id: str, pushers: list[Pusher]) -> None:
    """Each push that was answered is there once, in one piece; and one at most besides."""
    items = [
        json.loads(line)
        for line in b"".join(store.datasets.items(id, ItemsQuery()).lines).splitlines()
    ]
    pushes = [items[at : at + ITEMS] for at in range(0, len(items), ITEMS)]
    for push in pushes:
        first = push[0]
        assert push == [{**first, "n": n} for n in range(ITEMS)]
    kept = Counter((push[0]["w"], push[0]["batch"]) for push in pushes)
    assert set(kept.values()) == {1}
    for pusher in pushers:
        batches = sorted(batch for number, batch in kept if number == pusher.number)
        assert batches in (list(range(pusher.done)), list(range(pusher.done + 1)))
    assert store.datasets.get(id).item_count == len(items)


def _check_records(store: EngineStore, id: str, setters: list[Setter]) -> None:
    """Each key has the value it was given last, or the one that was under way at the end."""
    for setter in setters:
        for key in setter.tried:
            try:
                found = json.loads(b"".join(store.kvs.record(id, key).body))
                number = int(found.split()[0])
                assert json.dumps(found) == value_of(number)
            except NotFound:
                number = None
            assert number in (setter.known.get(key), setter.tried[key])


def _check_requests(
    store: EngineStore, id: str, adders: list[Adder], holders: list[Holder], slack_ms: int
) -> None:
    """All are there, those handled stay it, and none had two holders at a time."""
    found = store._db.all("SELECT body, id, ord IS NULL FROM request")
    rows = [(json.loads(bytes(body))["uniqueKey"], id, handled) for body, id, handled in found]
    handled = {id for _, id, is_handled in rows if is_handled}
    assert len({name for name, _, _ in rows}) == len(rows)
    added = {f"{a.number}-{n}-{m}" for a in adders for n in range(a.done) for m in range(REQUESTS)}
    assert added <= {name for name, _, _ in rows}
    grants: dict[str, list[Grant]] = {}
    for holder in holders:
        assert set(holder.handled) <= handled
        for request, some in holder.grants.items():
            grants.setdefault(request, []).extend(some)
    for some in grants.values():
        for one, next in pairwise(sorted(some)):
            assert one.ends <= next.begins, (one, next)
    for holder in holders:
        for request, at in holder.handled.items():
            assert max(grant.begins for grant in grants[request]) <= at + slack_ms
    queue = store.queues.get(id)
    assert queue.handled_request_count == len(handled)
    assert queue.pending_request_count == len(rows) - len(handled)


def _check_counts(store: EngineStore) -> None:
    """What storages say of themselves is what is in them."""
    for table, size in (("chunk", "raw_bytes"), ("record", "size"), ("request", "length(body)")):
        noun = {"chunk": "dataset", "record": "kvs", "request": "queue"}[table]
        wrong = store._db.all(
            f"SELECT * FROM (SELECT id, bytes, (SELECT coalesce(sum({size}), 0) FROM {table} "
            f"WHERE storage_no = storage.no) AS actual FROM storage WHERE noun = '{noun}') "
            "AS counted WHERE bytes <> actual"
        )
        assert wrong == []
