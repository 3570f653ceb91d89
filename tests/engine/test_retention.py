"""Storages without a name go a week after their last access, and nothing else does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storectl.engine import open_store
from storectl.engine.kvs import GRACE_SECS, INLINE_BYTES
from storectl.engine.store import EngineStore
from storectl.engine.sweep import LEASE_MS
from storectl.errors import NotFound
from storectl.model import rules
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import KeysQuery, Record
from storectl.model.queue import RequestsQuery
from storectl.model.storage import Change, ListQuery

from ..clock import Clock

HOUR = 3_600_000
DAY = 24 * HOUR
NOUNS = ("dataset", "kvs", "queue")
REQUEST = {"url": "https://e/1", "uniqueKey": "1"}
ID = rules.request_id("1")
TABLES = ("storage", "chunk", "record", "request", "erased", "garbage", "answered")


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000_000)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[EngineStore]:
    found = open_store(str(tmp_path / "store"), clock=clock)
    yield found
    found.close()


def filled(store: EngineStore, noun: str, name: str | None = None) -> str:
    """A storage with something in it, of stores also a blob; its ID."""
    id = store.keeper(noun).create(name)[0].id
    if noun == "dataset":
        store.datasets.push(id, Items.of([{"n": 1}]), idempotency_key="k")
    elif noun == "kvs":
        for key, size in (("small", 3), ("large", INLINE_BYTES + 1)):
            store.kvs.put(id, record(key, bytes(size)))
    else:
        store.queues.add(id, [REQUEST])
    return id


def record(key: str, body: bytes = b"x") -> Record:
    return Record(key=key, content_type="a/b", body=(body,))


def is_there(store: EngineStore, noun: str, id: str) -> bool:
    """Whether it is found, and as well listed."""
    listed = store.keeper(noun).list(ListQuery(unnamed=True))
    try:
        store.keeper(noun).get(id)
    except NotFound:
        assert id not in [each.id for each in listed.items]
        assert listed.total == len(listed.items)
        return False
    assert id in [each.id for each in listed.items]
    return True


def rows(store: EngineStore) -> dict[str, int]:
    """How many there are in each table that has any."""
    counts = {name: store._db.one(f"SELECT count(*) FROM {name}") for name in TABLES}
    return {name: row[0] for name, row in counts.items() if row and row[0]}


def files(store: EngineStore) -> list[Path]:
    return [path for path in (Path(store.place) / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize("noun", NOUNS)
def test_unused_it_is_there_for_a_week_and_gone_an_hour_later(
    store: EngineStore, clock: Clock, noun: str
) -> None:
    id = filled(store, noun)

    clock.now += 6 * DAY + 23 * HOUR
    store.sweep()
    assert is_there(store, noun, id)

    clock.now += 2 * HOUR
    assert not is_there(store, noun, id)
    assert "storage" in rows(store)

    assert store.sweep() == 1
    assert "storage" not in rows(store)


@pytest.mark.parametrize("noun", NOUNS)
def test_it_goes_at_the_moment_that_is_told(store: EngineStore, clock: Clock, noun: str) -> None:
    id = filled(store, noun)
    told = store.keeper(noun).get(id).expire_at

    clock.now += 7 * DAY + HOUR - 1
    assert is_there(store, noun, id)
    clock.now += 1

    assert rules.iso(clock.now) == told
    assert not is_there(store, noun, id)


@pytest.mark.parametrize("noun", NOUNS)
def test_what_has_a_name_stays_and_tells_no_end(
    store: EngineStore, clock: Clock, noun: str
) -> None:
    id = filled(store, noun, "kept")

    clock.now += 4000 * DAY

    assert store.sweep() == 0
    assert is_there(store, noun, id)
    assert not isinstance(store.keeper(noun).get(id).expire_at, str)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_name_preserves_and_taking_it_away_starts_again(
    store: EngineStore, clock: Clock, noun: str
) -> None:
    id = filled(store, noun)
    keeper = store.keeper(noun)

    clock.now += 6 * DAY
    keeper.update(id, Change(name="kept"))
    clock.now += 100 * DAY
    store.sweep()
    assert keeper.update(id, Change(name=None)).expire_at == rules.iso(clock.now + 7 * DAY + HOUR)
    clock.now += 6 * DAY
    store.sweep()
    assert is_there(store, noun, id)
    clock.now += 2 * DAY

    assert not is_there(store, noun, id)


Use = Callable[[EngineStore, str], object]
USES: dict[str, tuple[str, Use]] = {
    "items": ("dataset", lambda s, id: list(s.datasets.items(id, ItemsQuery()).lines)),
    "push": ("dataset", lambda s, id: s.datasets.push(id, Items.of([{"n": 2}]))),
    "push of nothing": ("dataset", lambda s, id: s.datasets.push(id, Items.of([]))),
    "statistics": ("dataset", lambda s, id: s.datasets.statistics(id)),
    "keys": ("kvs", lambda s, id: s.kvs.keys(id, KeysQuery())),
    "record": ("kvs", lambda s, id: s.kvs.record(id, "small")),
    "head of a record": ("kvs", lambda s, id: s.kvs.record(id, "small", body=False)),
    "put": ("kvs", lambda s, id: s.kvs.put(id, record("more"))),
    "remove": ("kvs", lambda s, id: s.kvs.remove(id, "small")),
    "remove of nothing": ("kvs", lambda s, id: s.kvs.remove(id, "nothing")),
    "request": ("queue", lambda s, id: s.queues.request(id, ID)),
    "requests": ("queue", lambda s, id: s.queues.requests(id, RequestsQuery())),
    "head": ("queue", lambda s, id: s.queues.head(id)),
    "lock": ("queue", lambda s, id: s.queues.lock_head(id, lock_secs=9)),
    "unlock of none": ("queue", lambda s, id: s.queues.unlock_all(id)),
    "add": ("queue", lambda s, id: s.queues.add(id, [{"url": "https://e/2", "uniqueKey": "2"}])),
    "add of a known one": ("queue", lambda s, id: s.queues.add(id, [REQUEST])),
    "update": ("queue", lambda s, id: s.queues.update_request(id, REQUEST)),
    "delete": ("queue", lambda s, id: s.queues.delete_requests(id, [{"id": ID}])),
    "delete of none": ("queue", lambda s, id: s.queues.delete_requests(id, [{"id": "A" * 15}])),
    "change": ("dataset", lambda s, id: s.datasets.update(id, Change(title="t"))),
}


@pytest.mark.parametrize("use", USES)
def test_every_use_of_its_contents_keeps_it_for_another_week(
    store: EngineStore, clock: Clock, use: str
) -> None:
    noun, call = USES[use]
    id = filled(store, noun)

    for _ in range(3):
        clock.now += 6 * DAY
        call(store, id)
        store.sweep()

    clock.now += 6 * DAY
    assert is_there(store, noun, id)


@pytest.mark.parametrize("use", USES)
def test_no_use_brings_back_what_has_expired(store: EngineStore, clock: Clock, use: str) -> None:
    noun, call = USES[use]
    id = filled(store, noun)
    clock.now += 8 * DAY

    with pytest.raises(NotFound):
        call(store, id)

    store.sweep()
    assert not is_there(store, noun, id)


def test_to_look_at_its_description_is_no_use(store: EngineStore, clock: Clock) -> None:
    id = filled(store, "dataset")
    before = store.datasets.get(id).expire_at

    clock.now += 3 * DAY

    assert store.datasets.get(id).expire_at == before


def test_a_sweep_leaves_no_row_and_in_time_no_byte(store: EngineStore, clock: Clock) -> None:
    for noun in NOUNS:
        filled(store, noun)
    assert len(files(store)) == 1

    clock.now += 8 * DAY
    assert store.sweep() == 3
    assert rows(store) == {"garbage": 1}
    assert len(files(store)) == 1  # somebody may still be reading

    clock.now += GRACE_SECS * 1000
    store.sweep()

    assert rows(store) == {}
    assert files(store) == []


def test_an_upload_that_was_cut_off_is_removed_after_a_day(
    store: EngineStore, clock: Clock
) -> None:
    """By a kill: nothing of the process is left that could tidy up."""
    id = store.kvs.create("kept")[0].id
    code = f"""
import os, signal
from storectl.engine import open_store
from storectl.model.kvs import Record

def body():
    for _ in range(3):
        yield bytes({INLINE_BYTES + 1})
    os.kill(os.getpid(), signal.SIGKILL)

store = open_store({store.place!r}, clock=lambda: {clock.now})
store.kvs.put({id!r}, Record(key="k", content_type="a/b", body=body()))
"""
    killed = subprocess.run([sys.executable, "-c", code])
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in files(store)] == [".part"]

    clock.now += DAY - 1
    store.sweep()
    assert len(files(store)) == 1
    clock.now += 1
    store.sweep()

    assert files(store) == []
    assert rows(store) == {"storage": 1}


def test_the_store_remembers_how_long_for_all_who_open_it(store: EngineStore, clock: Clock) -> None:
    id = filled(store, "dataset")
    other = open_store(store.place, clock=clock)

    other.retain(30 * 24 * 3600)
    clock.now += 29 * DAY
    assert store.sweep() == 0
    assert is_there(store, "dataset", id)
    other.retain(None)
    clock.now += 4000 * DAY
    assert store.sweep() == 0
    assert store.datasets.get(id).expire_at is None
    other.retain(3600)
    other.close()

    assert not is_there(store, "dataset", id)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_bytes_of_what_is_replaced_or_deleted_stay_as_long_as_the_store_was_told(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, kind: str
) -> None:
    place = str(tmp_path) if kind == "sqlite" else request.getfixturevalue("database")
    with closing(open_store(place, blobs=str(tmp_path / "blobs"), clock=clock)) as owner:
        owner.prepare()
        owner.keep_garbage(3 * HOUR // 1000)
    store = open_store(place, clock=clock)
    ids = [filled(store, "kvs") for _ in range(3)]
    store.kvs.put(ids[0], record("large"))
    store.kvs.remove(ids[1], "large")
    store.kvs.delete(ids[2])

    clock.now += 3 * HOUR - 1
    store.sweep()
    before = len(list(store.blobs.there()))
    clock.now += 1
    store.sweep()

    assert (before, list(store.blobs.there())) == (3, [])
    store.close()


def test_a_command_that_ends_sweeps_if_there_is_anything(tmp_path: Path, clock: Clock) -> None:
    with_old = open_store(str(tmp_path), clock=clock)
    filled(with_old, "kvs")
    with_old.close()

    clock.now += 9 * DAY
    open_store(str(tmp_path), clock=clock).close()
    clock.now += DAY
    open_store(str(tmp_path), clock=clock).close()

    left = open_store(str(tmp_path), clock=clock)
    assert rows(left) == {}
    assert files(left) == []
    left.close()


def test_a_command_that_ends_writes_nothing_if_there_is_nothing(
    store: EngineStore, clock: Clock
) -> None:
    filled(store, "dataset")
    clock.now += HOUR
    before = store._db.version()

    open_store(store.place, clock=clock).close()

    assert store._db.version() == before


# Leaders


def test_one_process_leads_until_it_asks_no_more(store: EngineStore, clock: Clock) -> None:
    other = open_store(store.place, clock=clock)

    assert (store._sweep.leads(), other._sweep.leads()) == (True, False)
    clock.now += LEASE_MS - 1
    assert (other._sweep.leads(), store._sweep.leads()) == (False, True)
    clock.now += LEASE_MS - 1
    assert other._sweep.leads() is False
    clock.now += 1

    assert (other._sweep.leads(), store._sweep.leads()) == (True, False)
    other.close()


def test_a_leader_that_closes_hands_the_lead_over(store: EngineStore, clock: Clock) -> None:
    other = open_store(store.place, clock=clock)
    assert other._sweep.leads()

    other.close()

    assert store._sweep.leads()


def test_a_clock_that_is_set_back_makes_no_leader_for_years(
    store: EngineStore, clock: Clock
) -> None:
    other = open_store(store.place, clock=clock)
    assert other._sweep.leads()

    clock.now -= 1000 * DAY

    assert store._sweep.leads()
    other.close()


# Kills and races


@pytest.mark.parametrize("step", range(5))
def test_a_kill_between_any_two_steps_shows_nothing_by_half_and_the_next_ends_it(
    store: EngineStore, clock: Clock, step: int
) -> None:
    gone = [(noun, filled(store, noun)) for noun in NOUNS]
    kept = [(noun, filled(store, noun, "kept")) for noun in NOUNS]
    clock.now += 8 * DAY
    code = f"""
import os, signal
from storectl.engine import open_store

store = open_store({store.place!r}, clock=lambda: {clock.now})
steps = store._sweep._steps()
for _ in range({step}):
    next(steps, None)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code])
    assert killed.returncode == -signal.SIGKILL

    assert not any(is_there(store, noun, id) for noun, id in gone)
    assert all(is_there(store, noun, id) for noun, id in kept)
    store.sweep()
    clock.now += GRACE_SECS * 1000
    store.sweep()
    assert rows(store) == {"storage": 3, "chunk": 1, "record": 2, "request": 1}
    assert len(files(store)) == 1


RACE = """
import sys
from storectl.engine import open_store
from storectl.errors import NotFound
from storectl.model.items import Items
from storectl.model.storage import Change

folder, how, now, *ids = sys.argv[1:]
store = open_store(folder, clock=lambda: int(now))
print("ready", flush=True)
sys.stdin.readline()
if how == "sweep":
    store._sweep.run()
for number, id in enumerate(ids):
    try:
        if how == "name":
            store.datasets.update(id, Change(name=f"n{number}"))
        elif how == "use":
            store.datasets.push(id, Items.of([{"n": 2}]))
        elif how != "prune" or not store.datasets.delete_unused(id, int(now) - 604_800_000):
            continue
    except NotFound:
        continue
    print(id, flush=True)
"""


@pytest.mark.parametrize("use", ["name", "use"])
@pytest.mark.parametrize("end", ["sweep", "prune"])
def test_what_is_named_or_used_while_others_delete_is_there_afterwards(
    store: EngineStore, clock: Clock, use: str, end: str
) -> None:
    """Two processes: for one the storages are about to expire, for the other they have."""
    ids = [filled(store, "dataset") for _ in range(40)]
    used_at, swept_at = clock.now + 7 * DAY + HOUR - 1, clock.now + 7 * DAY + HOUR
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, store.place, how, str(now), *order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for how, now, order in ((use, used_at, ids), (end, swept_at, ids[::-1]))
    ]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    used, deleted = (set(process.communicate()[0].split()) for process in racing)

    clock.now = swept_at
    there = {id for id in ids if is_there(store, "dataset", id)}
    assert there == used
    assert not there & deleted
    for id in there:
        items = b"".join(store.datasets.items(id, ItemsQuery()).lines)
        assert items == (b'{"n":1}\n' if use == "name" else b'{"n":1}\n{"n":2}\n')
    assert rows(store).get("chunk", 0) == len(there) * (1 if use == "name" else 2)


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["wait", "wait", "use", "name", "unname", "sweep", "prune"]),
            st.integers(0, 3),
            st.integers(1, 100),
        ),
        max_size=40,
    )
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_happens_in_between_the_rule_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    """Against a model of four storages: when each was last used, and whether it has a name."""
    clock = Clock(1_800_000_000_000)
    store = open_store(str(tmp_path_factory.mktemp("rule")), clock=clock)
    ids = [filled(store, "dataset") for _ in range(4)]
    used, named, pruned = [clock.now] * 4, [False] * 4, [False] * 4

    for what, which, hours in steps:
        id = ids[which]
        if what == "wait":
            clock.now += hours * HOUR
        elif what == "sweep":
            store.sweep()
        elif what == "prune":
            since = clock.now - hours * HOUR
            if store.datasets.delete_unused(id, since - HOUR):
                assert used[which] < since
                assert not named[which]
                pruned[which] = True
        else:
            change = Change(name={"name": f"n{which}", "unname": None}.get(what))
            try:
                if what == "use":
                    list(store.datasets.items(id, ItemsQuery()).lines)
                else:
                    store.datasets.update(id, change)
                    named[which] = what == "name"
                used[which] = clock.now
            except NotFound:
                pass
        for number, each in enumerate(ids):
            idle = clock.now - used[number]
            if is_there(store, "dataset", each):
                assert named[number] or idle < 7 * DAY + HOUR
            else:
                assert pruned[number] or (not named[number] and idle >= 7 * DAY)

    store.close()
