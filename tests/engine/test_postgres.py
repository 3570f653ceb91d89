"""What only a database shared by processes has to keep: order, locks, rights, and itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import psycopg
import pytest

from storectl.engine import open_store
from storectl.engine.budget import SharedBudget
from storectl.engine.db import migrations, statements
from storectl.engine.postgres import PostgresDb, prepared
from storectl.errors import Conflict, InvalidInput, Local, Unavailable
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import KeysQuery, Record
from storectl.model.store import TakesLong

from ..postgres import Cluster, required

PROCESSES = 3
OPEN = "import json, sys; from storectl.engine import open_store; store = open_store(sys.argv[1])\n"

PUSH = """
from storectl.model.items import Items
for n in range(40):
    items = [{"by": sys.argv[2], "n": n, "i": i} for i in range(7)]
    store.datasets.push("~results", Items.of(items))
"""
LOCK = """
found = []
while head := store.queues.lock_head("~urls", lock_secs=600, client_key=sys.argv[2]).items:
    found.append([each["uniqueKey"] for each in head])
print(json.dumps(found))
"""
ADD = """
for start in range(0, 300, 25):
    keys = map(str, range(start, start + 25))
    store.queues.add("~urls", [{"url": "https://example.com/", "uniqueKey": key} for key in keys])
"""


THREADS, ROUNDS = 2, 4
MIX = f"""
import random, threading
from storectl.model.items import Items
from storectl.model.kvs import Record

box, urls, results = (
    keeper.get(name).id
    for keeper, name in ((store.kvs, "~box"), (store.queues, "~urls"), (store.datasets, "~results"))
)
when = {{"handledAt": "2026-01-01T00:00:00.000Z"}}

def some(chance, count):
    keys = [f"key-{{chance.randrange(20)}}" for _ in range(count)]
    pad = "x" * chance.randrange(40)
    return [{{"url": "https://example.com/", "uniqueKey": key, "pad": pad}} for key in keys]

def mix(by):
    chance = random.Random(by)
    for n in range({ROUNDS}):
        key, body = f"key-{{chance.randrange(4)}}", b"x" * chance.randrange(2000)
        store.kvs.put(box, Record(key=key, content_type="text/plain", body=(body,)))
        if n % 2:
            store.kvs.remove(box, key)
        store.queues.add(urls, some(chance, 9), forefront=n % 3 == 0)
        head = store.queues.lock_head(urls, lock_secs=60, limit=5, client_key=by).items
        for each in head:
            del each["lockExpiresAt"]
        store.queues.update_requests(urls, [each | when for each in head], client_key=by)
        store.queues.update_requests(urls, some(chance, 2))
        store.queues.delete_requests(urls, some(chance, 2))
        store.datasets.push(results, Items.of([{{"by": by, "n": n}}] * 3))
    done.append(by)

done = []
threads = [
    threading.Thread(target=mix, args=(f"{{sys.argv[2]}}-{{n}}",)) for n in range({THREADS})
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(done) == {THREADS}
"""


@pytest.fixture(scope="module", autouse=True)
def _there() -> None:
    required()


def at_once(script: str, url: str) -> list[str]:
    """What several processes print that do the same to a store."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN + script, url, str(n)], stdout=subprocess.PIPE, text=True
        )
        for n in range(PROCESSES)
    ]
    printed = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES
    return printed


def test_pushes_of_several_processes_stand_one_behind_the_other(database: str) -> None:
    store = open_store(database)
    store.datasets.create("results")

    at_once(PUSH, database)

    lines = b"".join(store.datasets.items("~results", ItemsQuery()).lines).splitlines()
    found = [json.loads(line) for line in lines]
    pushes = [list(each) for _, each in groupby(found, key=lambda item: (item["by"], item["n"]))]
    assert store.datasets.get("~results").item_count == len(found) == PROCESSES * 40 * 7
    assert all([item["i"] for item in push] == list(range(7)) for push in pushes)
    for by in map(str, range(PROCESSES)):
        assert [push[0]["n"] for push in pushes if push[0]["by"] == by] == list(range(40))
    store.close()


def test_requests_that_several_processes_add_are_there_once(database: str) -> None:
    store = open_store(database)
    store.queues.create("urls")

    at_once(ADD, database)

    queue = store.queues.get("~urls")
    head = [each["uniqueKey"] for each in store.queues.head("~urls", limit=1000).items]
    assert queue.total_request_count == queue.pending_request_count == 300
    assert sorted(head, key=int) == [str(n) for n in range(300)]
    store.close()


def test_what_several_processes_change_at_once_is_what_their_storages_count(
    database: str,
) -> None:
    """Few keys, so that all meet all: also rows that change while a statement waits for them."""
    store = open_store(database)
    store.kvs.create("box")
    store.queues.create("urls")
    store.datasets.create("results")

    at_once(MIX, database)

    db = store._db
    counts = {
        noun: db.one(f"SELECT {columns} FROM storage WHERE noun = :noun", noun=noun)
        for noun, columns in (
            ("kvs", "bytes, write_count"),
            ("queue", "request_count, handled_count, bytes"),
            ("dataset", "item_count, bytes, write_count"),
        )
    }
    pushes, items = PROCESSES * THREADS * ROUNDS, PROCESSES * THREADS * ROUNDS * 3
    bytes_kept = db.one("SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM record")[0]
    assert counts["kvs"] == (bytes_kept, pushes)
    assert counts["queue"] == db.one(
        "SELECT count(*), count(*) FILTER (WHERE ord IS NULL), "
        "CAST(coalesce(sum(length(body)), 0) AS BIGINT) FROM request"
    )
    assert db.all("SELECT ord FROM request GROUP BY ord HAVING count(ord) > 1") == []
    lines = b"".join(store.datasets.items("~results", ItemsQuery()).lines)
    assert counts["dataset"] == (items, len(lines), pushes)
    pairs = [(item["by"], item["n"]) for item in map(json.loads, lines.splitlines())]
    assert [len(list(push)) for _, push in groupby(pairs)] == [3] * pushes
    store.close()


def test_what_one_gets_wrong_is_its_own_failure(database: str) -> None:
    """Threads that ask for the same at once are asked for together."""
    store = open_store(database)
    box = store.kvs.create("box")[0].id
    turn = threading.Barrier(8)

    def put(n: int) -> str:
        text = "text/plain" if n % 4 else "text/\x00"
        turn.wait()
        try:
            store.kvs.put(box, Record(key=f"key-{n}", content_type=text, body=(b"x",)))
        except InvalidInput:
            return "refused"
        return "kept"

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(put, range(8)))

    assert told == ["refused", "kept", "kept", "kept"] * 2
    assert [key.key for key in store.kvs.keys(box, KeysQuery()).items] == [
        f"key-{n}" for n in (1, 2, 3, 5, 6, 7)
    ]
    store.close()


def test_a_row_that_counts_changes_in_place(database: str) -> None:
    """No index has what a write changes: those of `storage` would grow with each write."""
    db = PostgresDb(database)

    found = db.all("SELECT indexdef FROM pg_indexes WHERE tablename = 'storage'")

    changing = ("accessed_at", "modified_at", "count", "bytes", "ord", "tail")
    assert not [row for row in found if any(name in row[0] for name in changing)]
    db.close()


def test_no_request_is_locked_by_two_processes(database: str) -> None:
    store = open_store(database)
    store.queues.create("urls")
    urls = [{"url": f"https://example.com/{n}", "uniqueKey": str(n)} for n in range(1000)]
    store.queues.add("~urls", urls)

    found = [batch for printed in at_once(LOCK, database) for batch in json.loads(printed)]

    locked = [key for batch in found for key in batch]
    assert sorted(locked, key=int) == [str(n) for n in range(1000)]
    assert all(batch == sorted(batch, key=int) for batch in found)
    store.close()


def test_those_who_make_a_storage_of_one_name_at_once_have_the_same(database: str) -> None:
    store = open_store(database)

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: store.datasets.create("prices"), range(16)))

    assert len({dataset.id for dataset, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    store.close()


def test_a_storage_that_several_delete_leaves_nothing(database: str) -> None:
    store = open_store(database)
    made, _ = store.queues.create()
    urls = [{"url": f"https://example.com/{n}", "uniqueKey": str(n)} for n in range(2600)]
    store.queues.add(made.id, urls)
    store._db.write(
        lambda tx: [
            tx.one("DELETE FROM storage WHERE id = :id RETURNING no", id=made.id),
            tx.one("INSERT INTO erased SELECT storage_no, 'queue' FROM request LIMIT 1"),
        ]
    )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: store.queues._erase_rest(), range(4)))

    assert store._db.one("SELECT (SELECT count(*) FROM request) + count(*) FROM erased") == (0,)
    store.close()


def test_all_that_open_an_empty_database_at_once_find_a_store(cluster: Cluster) -> None:
    url = cluster.database()

    at_once("store.datasets.create(f'of-{sys.argv[2]}')", url)

    db = PostgresDb(url)
    assert db.one("SELECT count(*) FROM storage") == (PROCESSES,)
    assert db.one("SELECT version FROM schema_version") == (len(migrations("postgres")),)
    db.close()


@pytest.mark.parametrize(("needs", "refused"), [(0, False), (99, True)])
def test_an_older_program_goes_on_while_a_newer_schema_lets_it(
    cluster: Cluster, template: str, needs: int, refused: bool
) -> None:
    url = cluster.database(template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"UPDATE schema_version SET version = 99, needs = {needs}")
        connection.execute("ALTER TABLE storage ADD COLUMN newer BIGINT")

    if refused:
        with pytest.raises(Local, match="newer storectl"):
            open_store(url)
    else:
        store = open_store(url)
        made, _ = store.datasets.create("prices")
        assert store.datasets.get("~prices").id == made.id
        store.close()


def test_a_column_that_is_added_disturbs_nobody_who_works(cluster: Cluster, template: str) -> None:
    url = cluster.database(template)
    store = open_store(url)
    made, _ = store.datasets.create("prices")
    for _ in range(10):  # by now every statement is prepared
        store.datasets.get(made.id)

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE storage ADD COLUMN newer BIGINT")

    assert store.datasets.get(made.id).id == made.id
    store.close()


def test_tables_of_another_program_are_left_alone(cluster: Cluster) -> None:
    url = cluster.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('CREATE TABLE "user" (id BIGINT)')

    with pytest.raises(Local, match="another program"):
        open_store(url)
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == [("user",)]


def test_a_database_that_loses_what_it_has_acknowledged_is_refused(
    cluster: Cluster, template: str
) -> None:
    url = cluster.database(template)
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")

    with pytest.raises(Local, match="synchronous_commit"):
        open_store(url)


def test_every_wait_of_a_session_has_an_end(database: str) -> None:
    db = PostgresDb(database)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")

    found = {name: db.one(f"SELECT current_setting('{name}')") for name in names}

    assert found == dict(zip(names, [("30s",), ("5s",), ("30s",)], strict=True))
    assert db.one("SELECT current_setting('application_name')") == ("storectl",)
    db.close()


def test_who_is_in_a_hurry_asks_nothing(database: str) -> None:
    db = PostgresDb(database)

    def hurried() -> None:
        db.hurry()
        with pytest.raises(TakesLong):
            db.one("SELECT 1")

    with ThreadPoolExecutor(1) as thread:
        thread.submit(hurried).result()
    assert db.one("SELECT 1") == (1,)
    db.close()


def test_a_deadlock_is_undone_and_tried_again(database: str) -> None:
    store = open_store(database)
    db = store._db
    numbers = [store.datasets.create(name)[0].id for name in ("one", "two")]
    touch = "UPDATE storage SET write_count = write_count + 1 WHERE id = :id RETURNING id"
    barrier, tries = [], []

    def both(first: int) -> None:
        def work(tx: object) -> None:
            tries.append(first)
            tx.one(touch, id=numbers[first])
            barrier.append(first)
            while len(set(barrier)) < 2:
                pass
            tx.one(touch, id=numbers[1 - first])

        db.write(work)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(both, range(2)))

    assert len(tries) == 3
    assert [store.datasets.get(id).stats["writeCount"] for id in numbers] == [2, 2]
    store.close()


def test_a_name_that_is_taken_stays_so_when_tried_again(database: str) -> None:
    store = open_store(database)
    store.tokens.create("ci")

    with pytest.raises(Conflict):
        store.tokens.create("ci")
    store.close()


def test_the_clock_is_that_of_the_database(database: str) -> None:
    db = PostgresDb(database)
    ask = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"

    before, mine, after = db.one(ask), db.now_ms(), db.one(ask)

    assert before[0] - 1000 <= mine <= after[0] + 1000
    db.close()


def test_a_database_that_is_not_there_is_told_in_one_line() -> None:
    with pytest.raises(Unavailable) as caught:
        open_store("postgresql://me:open-sesame@127.0.0.1:1/data")

    assert "\n" not in caught.value.message
    assert "sesame" not in caught.value.message
    assert caught.value.retry_after_secs == 1


def test_processes_share_one_budget(database: str) -> None:
    stores = [PostgresDb(database) for _ in range(PROCESSES)]
    budgets = [SharedBudget(db) for db in stores]

    first = [budget.take("storage", 40) for _ in range(30) for budget in budgets]

    clock = "SELECT max(start) - min(start), max(now) FROM rate"
    spread, used = stores[0].one(clock)
    assert sum(wait == 0 for wait in first) <= used + spread
    assert max(first) > 0
    assert used <= 40
    assert budgets[0].take("another", 40) == 0
    for db in stores:
        db.close()


WRITTEN = {
    "id": ["a"] * 25,
    "is_handled": [False] * 25,
    "crc": [1] * 25,
    "body": [b""] * 25,
    "count": 25,
    "forefront": False,
    "client_key": "me",
    "now": 1,
    "since": 0,
}
HOT = {
    "head": ("request_head", {"limit": 100, "now": 1}),
    "lock": ("request_head", {"limit": 25, "now": 1, "until": 2, "client_key": "me"}),
    "known": ("request_pkey", {"ids": '["a", "b"]'}),
    "there": ("request_pkey", {"ids": '["a", "b"]', "now": 1}),
    "delete": ("request_pkey", {"ids": '["a", "b"]'}),
    "update": (
        "request_pkey",
        {"no": [1] * 25, "id": ["a"] * 25, "ord": [1] * 25, "crc": [1] * 25, "body": [b""] * 25},
    ),
    "add": ("request_pkey", WRITTEN),
    "rewrite": ("request_pkey", WRITTEN),
    "drop": ("request_pkey", {"ids": '["a", "b"]', "now": 1, "since": 0, "client_key": "me"}),
    "take": ("request_head", {"limit": 25, "now": 1, "until": 2, "since": 0, "client_key": "me"}),
    "prolong": ("request_pkey", {"id": "a", "now": 1, "until": 2, "ord": 1, "client_key": "me"}),
}


@pytest.mark.parametrize("state", ["filled", "vacuumed", "analysed"])
def test_hot_statements_go_by_their_index_whatever_the_statistics(
    cluster: Cluster, template: str, state: str
) -> None:
    url = cluster.database(template)
    store = open_store(url)
    made, _ = store.queues.create("urls")
    no = store.queues.find(made.id).no
    fill = (
        "INSERT INTO request (storage_no, id, ord, body) "
        "SELECT 1 + n % 3, 'r' || n, n, 'x' FROM generate_series(1, 20000) AS n"
    )
    queue = statements("queue", "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(fill)
        if state != "filled":
            connection.execute("VACUUM request" if state == "vacuumed" else "ANALYZE request")

    plans = {}
    db = PostgresDb(url)
    for name, (_, values) in HOT.items():
        rows = db.all(f"EXPLAIN {queue[name]}", **{"no": no, **values})
        plans[name] = "\n".join(row[0] for row in rows)

    for name, (index, _) in HOT.items():
        assert index in plans[name], plans[name]
        assert "Seq Scan on request" not in plans[name], plans[name]
    assert "Sort" not in plans["lock"]
    db.close()
    store.close()


def test_every_statement_is_one_that_postgresql_understands(database: str) -> None:
    """Also those that no other test comes by."""
    nouns = ("access", "dataset", "kvs", "place", "queue", "retention", "storage", "token")
    wrong = []
    with psycopg.connect(database, autocommit=True) as connection:
        for noun in nouns:
            for name, sql in statements(noun, "postgres").items():
                if "PRAGMA" in sql:  # asked of SQLite alone
                    continue
                try:
                    connection.execute(f"PREPARE tried AS {prepared(sql).text}".encode())
                    connection.execute("DEALLOCATE tried")
                except psycopg.Error as error:
                    wrong.append(f"{noun} {name}: {error}")

    assert wrong == []


def test_small_pushes_are_folded(database: str) -> None:
    store = open_store(database)
    store.datasets.create("results")

    for n in range(600):
        store.datasets.push("~results", Items.of([{"n": n}]))

    lines = b"".join(store.datasets.items("~results", ItemsQuery()).lines)
    assert lines == b"".join(b'{"n":%d}\n' % n for n in range(600))
    assert store._db.one("SELECT count(*) FROM chunk")[0] < 100
    store.close()
