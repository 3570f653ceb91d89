"""Records between a store and a folder: what is moved, what is left, what is refused."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest

from storectl.client.http import Http
from storectl.client.store import ClientStore
from storectl.engine import open_store
from storectl.errors import Conflict, InvalidInput, Local, NotFound, TooLarge
from storectl.model.kvs import KeyValueStores, Record, every_key
from storectl.transfer.events import Event, Finished, Refused, Started
from storectl.transfer.folder import BLOCK_BYTES, MEMORY, opened
from storectl.transfer.kvs import Sync
from storectl.transfer.plan import Plan, Way, Wishes, approved


@pytest.fixture
def kvs(tmp_path: Path) -> Iterator[KeyValueStores]:
    store = open_store(str(tmp_path / "store"))
    store.kvs.create("a")
    yield store.kvs
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


def put(
    kvs: KeyValueStores,
    key: str,
    body: bytes,
    type: str = "text/plain",
    encoding: str | None = None,
) -> None:
    record = Record(key=key, content_type=type, content_encoding=encoding, body=(body,))
    kvs.put("~a", record)


def stored(kvs: KeyValueStores) -> dict[str, bytes]:
    return {key.key: b"".join(kvs.record("~a", key.key).body) for key in every_key(kvs, "~a")}


def held(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name[0] != "."}


@contextmanager
def syncing(kvs: KeyValueStores, folder: Path, way: Way, **wishes: Any) -> Iterator[Sync]:
    with opened(folder, create=True) as found:
        found.belongs_to("a")
        yield Sync(kvs, "~a", found, way, Wishes(**wishes), sleep=lambda _: None)


def move(kvs: KeyValueStores, folder: Path, way: Way, **wishes: Any) -> list[Event]:
    with syncing(kvs, folder, way, **wishes) as work:
        return list(work.run(work.plan()))


def planned(kvs: KeyValueStores, folder: Path, way: Way, **wishes: Any) -> Plan:
    with syncing(kvs, folder, way, **wishes) as work:
        return work.plan()


def done(events: list[Event]) -> tuple[int, int]:
    """How many were moved, how many refused."""
    last = events[-1]
    assert isinstance(last, Finished)
    return last.moved, last.refused


def refused(events: list[Event]) -> dict[str, str]:
    return {event.where: event.why for event in events if isinstance(event, Refused)}


# What is moved


def test_a_pull_begins_and_finishes_and_leaves_only_files(
    kvs: KeyValueStores, folder: Path
) -> None:
    put(kvs, "one", b"1")
    put(kvs, "two", b"22")

    events = move(kvs, folder, "pull")

    assert events[0] == Started(3, 2)
    assert isinstance(events[-1], Finished)
    assert events[-1][:2] == (2, 3)
    assert held(folder) == {"one": b"1", "two": b"22"}
    assert {file.name for file in folder.iterdir()} == {"one", "two", MEMORY}


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 1])
def test_every_byte_goes_there_and_back(kvs: KeyValueStores, folder: Path, size: int) -> None:
    body = os.urandom(size)
    put(kvs, "key", body)

    move(kvs, folder, "pull")
    kvs.remove("~a", "key")
    move(kvs, folder, "push")

    assert held(folder) == {"key": body}
    assert stored(kvs) == {"key": body}


@pytest.mark.parametrize("way", ["pull", "push"])
def test_a_second_time_there_is_nothing_to_do(kvs: KeyValueStores, folder: Path, way: Way) -> None:
    put(kvs, "INPUT", b"{}")
    put(kvs, "packed", gzip.compress(b"plain"), encoding="gzip")
    (folder / "file.txt").write_text("text")
    move(kvs, folder, way)

    plan = planned(kvs, folder, way, delete=False)

    assert plan.steps == []
    assert len(plan.same) == (2 if way == "pull" else 1)


def test_only_what_changed_is_moved(kvs: KeyValueStores, folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / name).write_text("1")
    move(kvs, folder, "push")
    (folder / "b").write_text("2")  # of the same size
    (folder / "d").write_text("4")

    plan = planned(kvs, folder, "push")

    assert [(step.key, step.why) for step in plan.steps] == [("b", "changed"), ("d", "new")]


def test_what_another_store_holds_is_not_taken_for_this_ones(
    kvs: KeyValueStores, folder: Path
) -> None:
    (folder / "file").write_text("1")
    move(kvs, folder, "push")
    kvs.create("other")
    kvs.put("~other", Record(key="file", content_type="text/plain", body=(b"2",)))

    with opened(folder, create=False) as found:
        found.belongs_to("other")
        plan = Sync(kvs, "~other", found, "push", Wishes()).plan()

    assert [step.key for step in plan.steps] == ["file"]


@pytest.mark.parametrize("way", ["pull", "push"])
def test_what_another_store_lists_with_the_same_checksum_is_not_moved(
    kvs: KeyValueStores, folder: Path, way: Way
) -> None:
    for name in ("same", "bytes", "size", "type", "packed"):
        (folder / name).write_bytes(b"1")
    move(kvs, folder, "push")
    kvs.create("other")
    others = {"bytes": (b"2", "text/plain", None), "size": (b"11", "text/plain", None)}
    others |= {"type": (b"1", "image/png", None), "packed": (b"1", "text/plain", "gzip")}
    for name in held(folder):
        body, type, encoding = others.get(name, (b"1", "text/plain", None))
        record = Record(key=name, content_type=type, content_encoding=encoding, body=(body,))
        kvs.put("~other", record)

    with opened(folder, create=False) as found:
        found.belongs_to("other")
        work = Sync(kvs, "~other", found, way, Wishes())
        plan = work.plan()
        list(work.run(Plan(learned=plan.learned)))
        again = work.plan()

    assert plan.same == again.same == {"same"}
    assert [file.name for file, _ in plan.learned] == ["same"]
    assert again.learned == []


@pytest.mark.parametrize("way", ["pull", "push"])
@pytest.mark.parametrize("compare", ["memory", "checksum"])
def test_a_record_that_was_set_anew_is_seen(
    kvs: KeyValueStores, folder: Path, way: Way, compare: str
) -> None:
    (folder / "a").write_bytes(b"1")
    (folder / "b").write_bytes(b"1")
    move(kvs, folder, "push")
    put(kvs, "b", b"2")

    plan = planned(kvs, folder, way, compare=compare)
    move(kvs, folder, way, compare=compare)

    assert [step.key for step in plan.steps] == ["b"]
    assert held(folder)["b"] == stored(kvs)["b"] == (b"2" if way == "pull" else b"1")
    assert planned(kvs, folder, way).steps == []


@pytest.mark.parametrize("way", ["pull", "push"])
def test_checksum_alone_sees_it_where_none_are_listed(folder: Path, way: Way) -> None:
    server = Server({"a": b"1"})
    with remote(server) as kvs:
        move(kvs, folder, "pull")
        server.records["a"] = b"2"

        assert planned(kvs, folder, way).steps == []
        assert len(planned(kvs, folder, way, compare="checksum").steps) == 1


def test_checksum_moves_nothing_that_is_equal_and_remembers_it(
    kvs: KeyValueStores, folder: Path
) -> None:
    put(kvs, "a", b"1", type="image/png")
    put(kvs, "packed", gzip.compress(b"2"), encoding="gzip")
    (folder / "a").write_text("1")
    (folder / "packed").write_text("2")

    events = move(kvs, folder, "pull", compare="checksum")

    assert done(events) == (0, 0)
    assert planned(kvs, folder, "pull").steps == []
    assert json.loads((folder / MEMORY).read_text())["files"]["a"]["contentType"] == "image/png"


def test_size_only_compares_nothing_else(kvs: KeyValueStores, folder: Path) -> None:
    put(kvs, "a", b"1")
    put(kvs, "b", b"22")
    (folder / "a").write_text("x")
    (folder / "b").write_text("x")

    plan = planned(kvs, folder, "pull", compare="size")

    assert [step.key for step in plan.steps] == ["b"]


# Types and encodings


def test_types_are_kept_there_and_back(kvs: KeyValueStores, folder: Path) -> None:
    put(kvs, "shot", b"\x89PNG", type="image/png")
    put(kvs, "INPUT", b"{}", type="application/json; charset=utf-8")
    move(kvs, folder, "pull")
    kvs.remove("~a", "shot")
    kvs.remove("~a", "INPUT")

    move(kvs, folder, "push")

    assert kvs.record("~a", "shot").content_type == "image/png"
    assert kvs.record("~a", "INPUT").content_type == "application/json; charset=utf-8"


def test_a_type_without_memory_follows_from_suffix_or_bytes(
    kvs: KeyValueStores, folder: Path
) -> None:
    (folder / "shot.png").write_bytes(b"\x89PNG")
    (folder / "INPUT").write_text("{}")

    move(kvs, folder, "push")

    assert kvs.record("~a", "shot.png").content_type == "image/png"
    assert kvs.record("~a", "INPUT").content_type == "application/json; charset=utf-8"


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_packed_records_are_unpacked_or_kept_as_they_are(
    kvs: KeyValueStores, folder: Path, encoding: str
) -> None:
    packed = gzip.compress(b"plain") if encoding == "gzip" else brotli.compress(b"plain")
    put(kvs, "key", packed, encoding=encoding)

    move(kvs, folder, "pull")
    plain = held(folder)
    move(kvs, folder, "pull", raw=True)
    raw = held(folder)
    kvs.remove("~a", "key")
    move(kvs, folder, "push")

    assert (plain, raw) == ({"key": b"plain"}, {"key": packed})
    assert kvs.record("~a", "key").content_encoding == encoding
    assert stored(kvs) == {"key": packed}


def test_what_says_it_is_packed_and_is_not_is_named(kvs: KeyValueStores, folder: Path) -> None:
    put(kvs, "bad", b"no gzip", encoding="gzip")
    put(kvs, "good", b"1")

    events = move(kvs, folder, "pull")

    assert done(events) == (1, 1)
    assert "--raw" in refused(events)["bad"]
    assert held(folder) == {"good": b"1"}


def test_a_bomb_does_not_fill_the_disk(kvs: KeyValueStores, folder: Path) -> None:
    put(kvs, "bomb", brotli.compress(bytes(80 * 1024**2), quality=5), encoding="br")

    events = move(kvs, folder, "pull")

    assert "unpacks to more than" in refused(events)["bomb"]
    assert {file.name for file in folder.iterdir()} <= {MEMORY}


def test_a_file_may_be_given_a_key_by_hand(kvs: KeyValueStores, folder: Path) -> None:
    (folder / "my shot.png").write_text("x")
    (folder / MEMORY).write_text('{"files":{"my shot.png":{"key":"shot","contentType":"a/b"}}}')

    move(kvs, folder, "push")
    (folder / "my shot.png").unlink()
    move(kvs, folder, "pull")

    assert kvs.record("~a", "shot").content_type == "a/b"
    assert held(folder) == {"my shot.png": b"x"}


def test_a_broken_memory_is_told_and_nothing_is_moved(kvs: KeyValueStores, folder: Path) -> None:
    (folder / MEMORY).write_text("{")

    with pytest.raises(Local, match=r"\.storectl\.json cannot be read"):
        move(kvs, folder, "pull")


# Choosing


@pytest.mark.parametrize(
    ("globs", "taken"),
    [
        ((), "abc"),
        (((False, "a"),), "bc"),
        (((True, "a"),), "a"),
        (((False, "a"), (True, "[ab]")), "b"),
        (((True, "a"), (False, "*")), "a"),
        (((False, "*"), (True, "a")), ""),
    ],
)
def test_the_first_glob_that_fits_decides(
    kvs: KeyValueStores, folder: Path, globs: tuple[tuple[bool, str], ...], taken: str
) -> None:
    for key in "abc":
        put(kvs, key, b"1")

    move(kvs, folder, "pull", globs=globs)

    assert sorted(held(folder)) == list(taken)


@pytest.mark.parametrize(
    ("wish", "after"),
    [
        ({}, {"new": b"n", "old": b"remote"}),
        ({"existing": True}, {"old": b"remote"}),
        ({"ignore_existing": True}, {"new": b"n", "old": b"mine"}),
        ({"no_clobber": True}, {"new": b"n", "old": b"mine"}),
    ],
)
def test_what_is_at_the_destination_already(
    kvs: KeyValueStores, folder: Path, wish: dict[str, bool], after: dict[str, bytes]
) -> None:
    put(kvs, "new", b"n")
    put(kvs, "old", b"remote")
    (folder / "old").write_bytes(b"mine")

    events = move(kvs, folder, "pull", **wish)

    assert held(folder) == after
    assert list(refused(events)) == (["old"] if "no_clobber" in wish else [])


# Deleting


def test_nothing_is_deleted_unless_it_is_wished(kvs: KeyValueStores, folder: Path) -> None:
    put(kvs, "a", b"1")
    (folder / "b").write_text("1")

    move(kvs, folder, "pull")
    kept = held(folder)
    move(kvs, folder, "pull", delete=True)

    assert sorted(kept) == ["a", "b"]
    assert sorted(held(folder)) == ["a"]


def test_deletion_leaves_alone_what_is_not_meant(kvs: KeyValueStores, folder: Path) -> None:
    put(kvs, "a", b"1")
    for name in ("b.txt", "b.png", "no key.txt", ".hidden"):
        (folder / name).write_text("1")
    (folder / "sub").mkdir()

    move(kvs, folder, "pull", delete=True, globs=((False, "*.png"),))

    left = {file.name for file in folder.iterdir()}
    assert left == {"a", "b.png", "no key.txt", ".hidden", "sub", MEMORY}


@pytest.mark.parametrize("way", ["pull", "push"])
@pytest.mark.parametrize("max_delete", [None, "100", "100%"])
def test_an_empty_source_deletes_nothing(
    kvs: KeyValueStores, folder: Path, way: Way, max_delete: str | None
) -> None:
    if way == "pull":
        (folder / "a").write_text("1")
    else:
        put(kvs, "a", b"1")

    with pytest.raises(InvalidInput, match="the source is empty"):
        move(kvs, folder, way, delete=True, max_delete=max_delete)

    assert len(held(folder)) + len(stored(kvs)) == 1


@pytest.mark.parametrize(
    ("max_delete", "goes"),
    [("4", False), ("5", True), ("49%", False), ("50%", True), ("0", False), ("0%", False)],
)
def test_max_delete_stops_before_anything_is_done(
    kvs: KeyValueStores, folder: Path, max_delete: str, goes: bool
) -> None:
    for at in range(10):
        put(kvs, f"r{at}", b"1")
    for at in range(5):
        (folder / f"r{at}").write_text("2")

    if goes:
        move(kvs, folder, "push", delete=True, max_delete=max_delete)
    else:
        with pytest.raises(TooLarge, match="--delete would delete 5 of 10 records"):
            move(kvs, folder, "push", delete=True, max_delete=max_delete)

    wanted = {f"r{at}": b"2" for at in range(5)} if goes else {f"r{at}": b"1" for at in range(10)}
    assert stored(kvs) == wanted


def test_nothing_is_deleted_when_something_failed(kvs: KeyValueStores, folder: Path) -> None:
    put(kvs, "bad", b"no gzip", encoding="gzip")
    put(kvs, "good", b"1")
    (folder / "extra").write_text("1")

    events = move(kvs, folder, "pull", delete=True)

    assert done(events) == (1, 1)
    assert sorted(held(folder)) == ["extra", "good"]


# Links, and names that lead elsewhere


def test_a_link_is_neither_read_nor_written_through(
    kvs: KeyValueStores, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (folder / "link").symlink_to(outside)
    (folder / "named").symlink_to(outside)
    (folder / MEMORY).write_text('{"files":{"named":{"key":"named"}}}')

    move(kvs, folder, "push")
    assert stored(kvs) == {}
    put(kvs, "link", b"theirs")
    put(kvs, "named", b"theirs")
    events = move(kvs, folder, "pull", delete=True)

    assert outside.read_text() == "mine"
    assert (folder / "link").is_symlink()
    assert refused(events) == {}
    assert {file.name for file in folder.iterdir() if not file.is_symlink()} == {
        "%6C%69%6E%6B", "%6E%61%6D%65%64", MEMORY
    }  # fmt: skip


@pytest.mark.parametrize("name", [".storectl.json", ".storectl.log"])
def test_its_own_files_are_not_links(
    kvs: KeyValueStores, folder: Path, tmp_path: Path, name: str
) -> None:
    put(kvs, "a", b"1")
    outside = tmp_path / "outside"
    outside.write_text("{}")
    (folder / name).symlink_to(outside)

    with pytest.raises(Local, match="cannot be read"):
        move(kvs, folder, "pull")

    assert outside.read_text() == "{}"


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", ".bashrc", "sub/a"])
def test_a_memory_that_somebody_else_wrote_leads_nowhere(
    kvs: KeyValueStores, folder: Path, tmp_path: Path, name: str
) -> None:
    (folder / MEMORY).write_text(json.dumps({"files": {name: {"key": "a"}}}))
    (folder / "sub").mkdir()
    put(kvs, "a", b"1")

    move(kvs, folder, "pull")

    assert held_below(tmp_path) == {"folder/a", f"folder/{MEMORY}"}


def test_names_by_hand_that_differ_in_capitals_alone_are_not_both_used(
    kvs: KeyValueStores, folder: Path
) -> None:
    (folder / MEMORY).write_text('{"files":{"X":{"key":"a"},"x":{"key":"b"}}}')
    put(kvs, "a", b"1")
    put(kvs, "b", b"2")

    move(kvs, folder, "pull")

    assert held(folder) == {"X": b"1", "b": b"2"}


def held_below(path: Path) -> set[str]:
    """Every file below a folder, but for those of the store."""
    files = (str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    return {name for name in files if not name.startswith("store/")}


class Server:
    """Answers as a server of the API that has one store with these records."""

    def __init__(self, records: dict[str, bytes]) -> None:
        self.records = records
        self.asked: list[str] = []
        self.cut = 0
        self.fails: dict[str, int] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path.endswith("/keys"):
            items = [{"key": key, "size": len(body)} for key, body in self.records.items()]
            return httpx.Response(200, json={"data": {"items": items}})
        if "/records/" not in path:
            times = dict.fromkeys(("createdAt", "modifiedAt", "accessedAt"), "2024-01-01T00:00:00Z")
            return httpx.Response(200, json={"data": {"id": "a", "userId": "u", **times}})
        key = path.rpartition("/records/")[2]
        if key in self.fails:
            return httpx.Response(self.fails[key], json={})
        body = self.records[key]
        if self.cut:
            self.cut -= 1
            return httpx.Response(200, stream=Stream(body[: len(body) // 2], breaks=True))
        return httpx.Response(200, stream=Stream(body))


class Stream(httpx.SyncByteStream):
    """A body that comes, or breaks off."""

    def __init__(self, body: bytes, breaks: bool = False) -> None:
        self.body, self.breaks = body, breaks

    def __iter__(self) -> Iterator[bytes]:
        yield self.body
        if self.breaks:
            raise httpx.RemoteProtocolError("peer closed connection")


@contextmanager
def remote(server: Server) -> Iterator[KeyValueStores]:
    http = Http("http://stub", retries=0, transport=httpx.MockTransport(server))
    store = ClientStore(http)
    yield store.kvs
    store.close()


HOSTILE = [
    "../outside", "..", ".", "/etc/outside", "sub/outside", "a\0b", "a\\b", "C:outside", "~root",
    "ü", "\u202egpj.exe", "x" * 5000, "",
]  # fmt: skip


def test_hostile_keys_write_nothing_outside(folder: Path, tmp_path: Path) -> None:
    tame = ["good", "CON", "nul.txt", "end.", ".storectl.json", ".bashrc", "A", "a", "-rf"]
    server = Server(dict.fromkeys([*HOSTILE, *tame], b"theirs"))

    with remote(server) as kvs:
        events = move(kvs, folder, "pull")

    assert set(refused(events)) == set(HOSTILE)
    assert held_below(tmp_path) == {
        f"folder/{name}"
        for name in (
            "good", "%43%4F%4E", "%6Eul.txt", "end%2E", "%2Estorectl.json", "%2Ebashrc", "A",
            "%61", "-rf", MEMORY,
        )
    }  # fmt: skip
    assert not any("outside" in path for path in server.asked)


# What breaks on the way


def test_an_answer_that_breaks_off_is_asked_for_again(folder: Path) -> None:
    server = Server({"a": b"12345678"})
    server.cut = 2

    with remote(server) as kvs:
        events = move(kvs, folder, "pull")

    assert done(events) == (1, 0)
    assert events[-1][1] == 8
    assert held(folder) == {"a": b"12345678"}


def test_what_fails_is_named_and_the_rest_is_done(folder: Path) -> None:
    server = Server({f"r{at}": b"1" for at in range(9)})
    server.fails = {"r3": 500, "r5": 404}

    with remote(server) as kvs:
        events = move(kvs, folder, "pull")
        server.fails = {}
        again = move(kvs, folder, "pull")

    assert done(events) == (7, 2)
    assert set(refused(events)) == {"r3", "r5"}
    assert "deleted meanwhile" in refused(events)["r5"]
    assert done(again) == (2, 0)


def test_a_server_that_is_down_ends_the_run(folder: Path) -> None:
    server = Server({f"r{at:04}": b"1" for at in range(1000)})
    server.fails = dict.fromkeys(server.records, 503)

    with remote(server) as kvs, pytest.raises(Exception, match="503"):
        move(kvs, folder, "pull")

    assert len(server.asked) < 60


# What changes underneath


def test_a_file_that_changes_after_the_plan_is_not_replaced(
    kvs: KeyValueStores, folder: Path
) -> None:
    put(kvs, "a", b"theirs")
    put(kvs, "b", b"theirs")

    with syncing(kvs, folder, "pull") as work:
        plan = work.plan()
        (folder / "a").write_text("mine")
        events = list(work.run(plan))

    assert refused(events) == {"a": "the file changed underneath"}
    assert held(folder) == {"a": b"mine", "b": b"theirs"}


def test_a_file_that_changes_after_the_plan_is_not_deleted(
    kvs: KeyValueStores, folder: Path
) -> None:
    put(kvs, "a", b"1")
    (folder / "b").write_text("old")

    with syncing(kvs, folder, "pull", delete=True) as work:
        plan = work.plan()
        (folder / "b").write_text("newer")
        events = list(work.run(plan))

    assert refused(events) == {"b": "the file changed underneath"}
    assert held(folder)["b"] == b"newer"


def test_a_file_that_grows_while_it_is_read_is_not_stored(
    kvs: KeyValueStores, folder: Path
) -> None:
    """Its last block is held back until it is known that nothing changed meanwhile."""
    file = folder / "growing"
    file.write_bytes(bytes(10 * BLOCK_BYTES))
    blocks = threading.Event()

    class Slow:
        """The real keeper, which meets a writer after the first block."""

        def __getattr__(self, name: str) -> Any:
            return getattr(kvs, name)

        def put(self, ref: str, record: Record) -> None:
            def body() -> Iterator[bytes]:
                for block in record.body:
                    if not blocks.is_set():
                        blocks.set()
                        with file.open("ab") as more:
                            more.write(b"more")
                    yield block

            kvs.put(ref, Record(key=record.key, content_type="a/b", body=body()))

    events = move(Slow(), folder, "push")  # type: ignore[arg-type]

    assert refused(events) == {"growing": "the file changed underneath"}
    assert stored(kvs) == {}


def test_two_runs_do_not_work_in_one_folder(kvs: KeyValueStores, folder: Path) -> None:
    with syncing(kvs, folder, "pull"), pytest.raises(Conflict, match="another run"):
        move(kvs, folder, "pull")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound), opened(tmp_path / "none", create=False):
        pass


# Plans


def test_an_approved_plan_goes_on_where_it_was_stopped(kvs: KeyValueStores, folder: Path) -> None:
    for key in "abc":
        put(kvs, key, b"1")
    (folder / "extra").write_text("1")
    steps = planned(kvs, folder, "pull", delete=True).steps
    move(kvs, folder, "pull", globs=((True, "a"),))
    put(kvs, "d", b"not approved")

    with syncing(kvs, folder, "pull", delete=True) as work:
        plan = work.plan()
        plan.steps = approved(plan, steps)
        list(work.run(plan))

    assert [step.key for step in plan.steps] == ["b", "c", "extra"]
    assert sorted(held(folder)) == ["a", "b", "c"]


@pytest.mark.parametrize("what", ["file", "record", "gone", "deleted"])
def test_an_approved_plan_is_refused_when_something_changed(
    kvs: KeyValueStores, folder: Path, what: str
) -> None:
    put(kvs, "a", b"1")
    put(kvs, "b", b"1")
    (folder / "a").write_text("22")
    (folder / "extra").write_text("1")
    steps = planned(kvs, folder, "pull", delete=True).steps
    changes: dict[str, Callable[[], object]] = {
        "file": lambda: (folder / "a").write_text("333"),
        "record": lambda: put(kvs, "a", b"333"),
        "gone": lambda: kvs.remove("~a", "a"),
        "deleted": lambda: put(kvs, "extra", b"now at the source"),
    }

    changes[what]()

    with pytest.raises(Conflict, match="changed since the plan was made"):
        approved(planned(kvs, folder, "pull", delete=True), steps)
