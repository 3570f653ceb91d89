"""Crawlee's folders, made by hand: what is read, what is refused, and what is written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from storectl.engine import open_store
from storectl.errors import Conflict, NotFound
from storectl.model.dataset import ItemsQuery
from storectl.model.items import Items
from storectl.model.kvs import Key, KeysPage, Record, every_key
from storectl.model.queue import every_request
from storectl.model.rules import request_id
from storectl.model.store import Store
from storectl.transfer.local import scan
from storectl.transfer.local_export import Source, dump
from storectl.transfer.local_import import Target, load
from storectl.transfer.local_layout import FOLDERS, Notes

KEEPERS = {"dataset": "datasets", "kvs": "kvs", "queue": "queues"}
LAYOUTS = ["js", "python"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bring(store: Store, root: Path) -> tuple[dict[str, int], Notes]:
    """Import everything: how much of each folder was written, and the notes."""
    notes, written = Notes(), {}
    targets = []
    for folder in scan(root, "auto", FOLDERS, notes):
        keeper = getattr(store, KEEPERS[folder.noun])
        name = folder.path.name
        targets.append(Target(folder, keeper, keeper.create(name)[0].id, name))

    def on_done(target: Target, step: Any, refused: int) -> None:
        written[target.folder.key] = step.written

    list(load(targets, notes, on_done=on_done))
    return written, notes


def send(store: Store, root: Path, layout: str, *names: str, force: bool = False) -> Notes:
    """Export everything with one of the names."""
    notes = Notes()
    sources = []
    for noun, keeper_name in KEEPERS.items():
        keeper = getattr(store, keeper_name)
        for name in names:
            try:
                sources.append(Source(noun, keeper, keeper.get(f"~{name}"), name))
            except NotFound:
                continue
    list(dump(sources, root, layout, notes, force=force))
    return notes


def lines(store: Store, name: str) -> bytes:
    return b"".join(store.datasets.items(f"~{name}", ItemsQuery()).lines)


def records(store: Store, name: str) -> dict[str, tuple[str, bytes]]:
    found = (store.kvs.record(f"~{name}", key.key) for key in every_key(store.kvs, f"~{name}"))
    return {one.key: (one.content_type, b"".join(one.body)) for one in found}


def refused(notes: Notes) -> dict[str, str]:
    return {Path(one.where).name: one.why for one in notes.refused}


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def js_request(folder: Path, url: str, order: int | None, **more: Any) -> Path:
    id = request_id(url)
    request = {"url": url, "uniqueKey": url, "method": "GET", **more, "id": id}
    outer = {"id": id, "json": json.dumps(request), "orderNo": order, "retryCount": 0}
    return write(folder / f"{id}.json", json.dumps(outer, indent="\t"))


# Datasets.


def test_items_stay_as_they_stand_in_their_files(store: Store, root: Path) -> None:
    folder = root / "datasets/default"
    write(
        folder / "000000001.json", '{\n\t"b": 1.0,\n\t"a": 12345678901234567890,\n\t"c": "\\u00e9"}'
    )
    write(folder / "000000002.json", '\ufeff {"e": 1E+3, "e2": [ ], "tab": "a\\tb  c"} \n')

    written, notes = bring(store, root)

    assert written == {"datasets/default": 2}
    assert lines(store, "default") == (
        b'{"b":1.0,"a":12345678901234567890,"c":"\\u00e9"}\n{"e":1E+3,"e2":[],"tab":"a\\tb  c"}\n'
    )
    assert notes.refused == notes.passed == []


def test_a_second_import_adds_only_what_is_new(store: Store, root: Path) -> None:
    folder = root / "datasets/default"
    for n in range(1, 4):
        write(folder / f"{n:09}.json", json.dumps({"n": n}))
    bring(store, root)
    again, _ = bring(store, root)
    write(folder / "000000004.json", '{"n": 4}')

    more, _ = bring(store, root)

    assert (again, more) == ({"datasets/default": 0}, {"datasets/default": 1})
    assert lines(store, "default") == b'{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n'


def test_a_dataset_that_goes_on_where_the_folder_ends_is_left_alone(
    store: Store, root: Path
) -> None:
    write(root / "datasets/default/000000001.json", '{"n": 1}')
    bring(store, root)
    store.datasets.push("~default", Items.of([{"n": 2}]))

    again, notes = bring(store, root)

    assert (again, notes.refused) == ({"datasets/default": 0}, [])


def test_a_dataset_with_other_items_gets_none(store: Store, root: Path) -> None:
    write(root / "datasets/default/000000001.json", '{"n": 1}')
    store.datasets.create("default")
    store.datasets.push("~default", Items.of([{"n": 7}]))

    with pytest.raises(Conflict, match="dataset 'default' holds other items"):
        bring(store, root)

    assert lines(store, "default") == b'{"n":7}\n'


def test_one_dataset_with_other_items_does_not_keep_the_rest(store: Store, root: Path) -> None:
    write(root / "datasets/a/000000001.json", '{"n": 1}')
    write(root / "datasets/b/000000001.json", '{"n": 2}')
    store.datasets.create("a")
    store.datasets.push("~a", Items.of([{"n": 7}]))

    written, notes = bring(store, root)

    assert written == {"datasets/a": 0, "datasets/b": 1}
    assert "holds other items" in refused(notes)["a"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ('{"n": ', "ends too early at line 1, column 7"),
        ('{"n": 1} x', "trailing"),
        ("[1]", "an array, not an object"),
        ("null", "null, not an object"),
        (b'{"n": "\xff"}', "not UTF-8"),
        ('{"n": 1e999}', "out of range"),
        ("[" * 300 + "]" * 300, "an array"),
    ],
)
def test_a_broken_item_is_named_and_the_rest_goes_on(
    store: Store, root: Path, content: str | bytes, why: str
) -> None:
    write(root / "datasets/default/000000001.json", content)
    write(root / "datasets/default/000000002.json", '{"n": 2}')

    written, notes = bring(store, root)

    assert written == {"datasets/default": 1}
    assert list(refused(notes)) == ["000000001.json"]
    assert why in refused(notes)["000000001.json"]


def test_items_are_in_the_order_of_their_numbers_over_gaps(store: Store, root: Path) -> None:
    folder = root / "datasets/default"
    for n in (3, 1, 1_000_000_000, 20):
        write(folder / f"{n:09}.json", json.dumps({"n": n}))

    bring(store, root)

    assert lines(store, "default") == b'{"n":1}\n{"n":3}\n{"n":20}\n{"n":1000000000}\n'


def test_what_is_no_item_is_passed_over_and_named(store: Store, root: Path, tmp_path: Path) -> None:
    folder = root / "datasets/default"
    write(folder / "000000001.json", '{"n": 1}')
    write(folder / "1.json", '{"n": 1}')
    write(folder / "notes.txt", "x")
    write(folder / "__metadata__.json", "{}")
    secret = write(tmp_path / "secret", '{"n": 2}')
    (folder / "000000002.json").symlink_to(secret)
    (folder / "000000001.json.lock").mkdir()

    _, notes = bring(store, root)

    assert lines(store, "default") == b'{"n":1}\n'
    assert notes.refused == []
    assert {Path(one.where).name for one in notes.passed} == {
        "1.json",
        "notes.txt",
        "000000002.json",
    }


def test_a_pipe_or_a_link_in_place_of_metadata_is_not_read(
    store: Store, root: Path, tmp_path: Path
) -> None:
    write(root / "datasets/a/000000001.json", '{"n": 1}')
    os.mkfifo(root / "datasets/a/__metadata__.json")
    write(root / "datasets/b/000000001.json", '{"n": 1}')
    python = write(tmp_path / "metadata", '{"accessed_at": "now"}')
    (root / "datasets/b/__metadata__.json").symlink_to(python)

    assert [folder.layout for folder in scan(root, "auto", FOLDERS, Notes())] == ["js", "js"]


def test_a_huge_file_is_not_read_as_a_whole(store: Store, root: Path) -> None:
    folder = root / "datasets/default"
    write(folder / "000000001.json", "{}")
    with (folder / "000000002.json").open("wb") as file:
        file.truncate(10**12)

    written, notes = bring(store, root)

    assert written == {"datasets/default": 1}
    assert refused(notes) == {"000000002.json": "over 67,108,864 bytes"}


# Key-value stores.


def test_the_javascript_layout_has_the_type_in_the_suffix(store: Store, root: Path) -> None:
    folder = root / "key_value_stores/default"
    write(folder / "INPUT.json", '{ "a": 1 }\n')
    write(folder / "page.html", "<p>")
    write(folder / "shot.jpg", b"\xff\xd8")
    write(folder / "a.b.txt", "x")
    write(folder / "xml", "<a/>")
    write(folder / "blob.bin", b"\0")

    bring(store, root)

    assert records(store, "default") == {
        "INPUT": ("application/json; charset=utf-8", b'{ "a": 1 }\n'),
        "page": ("text/html; charset=utf-8", b"<p>"),
        "shot": ("image/jpeg", b"\xff\xd8"),
        "a.b": ("text/plain; charset=utf-8", b"x"),
        "xml": ("application/xml", b"<a/>"),
        "blob": ("application/octet-stream", b"\0"),
    }


def test_the_newest_of_two_files_with_one_key_is_its_value(store: Store, root: Path) -> None:
    folder = root / "key_value_stores/default"
    os.utime(write(folder / "state.txt", "old"), (1, 1))
    write(folder / "state.json", '"new"')

    _, notes = bring(store, root)

    assert records(store, "default")["state"][1] == b'"new"'
    assert "newer file, state.json" in refused(notes)["state.txt"]


@pytest.mark.parametrize("encoded", [1, 2])
def test_metadata_that_javascript_was_told_to_write_has_the_true_key(
    store: Store, root: Path, encoded: int
) -> None:
    folder = root / "key_value_stores/default"
    told = json.dumps({"key": "page.html", "contentType": "text/html", "extension": "html"})
    write(folder / "page.html", "<p>")
    write(folder / "page.html.__metadata__.json", told if encoded == 1 else json.dumps(told))

    bring(store, root)

    assert records(store, "default") == {"page.html": ("text/html", b"<p>")}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("broken.json", '{"a": ', "It is not JSON: it ends too early"),
        ("a b.txt", "x", "has ' '"),
        ("...txt", "x", "step of a path"),
        ("é.txt", "x", "has 'é'"),
    ],
)
def test_a_record_that_cannot_be_kept_is_named(
    store: Store, root: Path, name: str, content: str, why: str
) -> None:
    write(root / "key_value_stores/default" / name, content)
    write(root / "key_value_stores/default/good.txt", "x")

    written, notes = bring(store, root)

    assert written == {"key_value_stores/default": 1}
    assert why in refused(notes)[name]


def python_store(folder: Path, name: str, key: str, content: str, **more: Any) -> None:
    write(folder / "__metadata__.json", json.dumps({"id": "x", "accessed_at": "now"}))
    write(folder / name, content)
    told = {"key": key, "content_type": "text/plain", "size": len(content), **more}
    write(folder / f"{name}.__metadata__.json", json.dumps(told))


def test_the_python_layout_has_the_type_beside_it(store: Store, root: Path) -> None:
    folder = root / "key_value_stores/default"
    python_store(folder, "we%27ird.html", "we'ird.html", "x", content_type="image/png")
    write(folder / "unseen.txt", "x")

    _, notes = bring(store, root)

    assert records(store, "default") == {"we'ird.html": ("image/png", b"x")}
    assert [Path(one.where).name for one in notes.passed] == ["unseen.txt"]


@pytest.mark.parametrize(
    ("name", "key", "why"),
    [
        ("..%2F..%2Fx", "../../x", "'/'"),
        ("a", "b", "another key, 'b'"),
        ("a%20b", "a b", "' '"),
    ],
)
def test_a_python_record_with_a_key_of_its_own_is_named(
    store: Store, root: Path, name: str, key: str, why: str
) -> None:
    python_store(root / "key_value_stores/default", name, key, "x")

    _, notes = bring(store, root)

    assert records(store, "default") == {}
    assert why in refused(notes)[name]


@pytest.mark.parametrize(
    ("name", "content", "told", "kind"),
    [
        ("INPUT.json", '{"a": 1}', None, "application/json; charset=utf-8"),
        ("INPUT.txt", '{"a": 1}', None, "text/plain; charset=utf-8"),
        ("INPUT", '{"a": 1}', None, "application/json; charset=utf-8"),
        ("INPUT", "no JSON", None, "application/octet-stream"),
        ("INPUT.json", '{"a": 1}', "application/json", "application/json"),
    ],
)
def test_an_input_that_somebody_made_by_hand_is_found(
    store: Store, root: Path, name: str, content: str, told: str | None, kind: str
) -> None:
    folder = root / "key_value_stores/default"
    write(folder / "__metadata__.json", json.dumps({"id": "x", "accessed_at": "now"}))
    write(folder / name, content)
    if told:  # as the SDK writes it once it has seen the file
        beside = {"key": "INPUT", "content_type": told, "size": len(content)}
        write(folder / f"{name}.__metadata__.json", json.dumps(beside))

    _, notes = bring(store, root)

    assert records(store, "default") == {"INPUT": (kind, content.encode())}
    assert notes.refused == []


def test_a_second_input_is_refused_as_the_sdk_does(store: Store, root: Path) -> None:
    folder = root / "key_value_stores/default"
    python_store(folder, "INPUT", "INPUT", "{}")
    write(folder / "INPUT.json", "{}")

    _, notes = bring(store, root)

    assert list(records(store, "default")) == ["INPUT"]
    assert refused(notes) == {"INPUT.json": "the input is in INPUT already"}


# Request queues.


def test_a_queue_of_javascript_is_in_the_order_of_its_numbers(store: Store, root: Path) -> None:
    folder = root / "request_queues/default"
    js_request(folder, "https://a.com/2", 1_700_000_000_002)
    js_request(folder, "https://a.com/1", 1_700_000_000_001, retryCount=3, userData={"n": 1.5})
    js_request(folder, "https://a.com/0", -1_700_000_000_000)
    js_request(folder, "https://a.com/first", -1_700_000_000_009)
    js_request(folder, "https://a.com/last", 10**300)
    js_request(folder, "https://a.com/done", None, handledAt="2026-01-01T00:00:00.123Z")
    write(folder / "broken.json", "{")

    written, notes = bring(store, root)

    head = [request["url"] for request in store.queues.head("~default").items]
    assert head == [f"https://a.com/{name}" for name in ("first", "0", "1", "2", "last")]
    found = {one["url"]: one for one in every_request(store.queues, "~default")}
    assert found["https://a.com/1"]["retryCount"] == 3
    assert found["https://a.com/1"]["userData"] == {"n": 1.5}
    assert found["https://a.com/done"]["handledAt"] == "2026-01-01T00:00:00.123Z"
    assert written == {"request_queues/default": 6}
    assert list(refused(notes)) == ["broken.json"]


def test_a_second_import_of_a_queue_adds_nothing(store: Store, root: Path) -> None:
    folder = root / "request_queues/default"
    for n in range(30):
        js_request(folder, f"https://a.com/{n}", 1_700_000_000_000 + n)
    bring(store, root)

    again, _ = bring(store, root)

    assert again == {"request_queues/default": 0}
    assert store.queues.get("~default").total_request_count == 30


def test_a_database_of_the_old_sdk_is_named(store: Store, root: Path) -> None:
    write(root / "request_queues/default/db.sqlite", "SQLite")

    _, notes = bring(store, root)

    assert "Apify SDK 2" in refused(notes)["default"]


def test_a_folder_without_storages_is_not_found(tmp_path: Path) -> None:
    write(tmp_path / "x/readme.txt", "x")

    with pytest.raises(NotFound, match="not a folder of storages"):
        scan(tmp_path / "x", "auto", FOLDERS, Notes())


# Out of a store.


def filled(store: Store) -> None:
    """One storage of each kind, called mine."""
    for keeper in (store.datasets, store.kvs, store.queues):
        keeper.create("mine")
    numbers = b'{"b":1.0,"a":{"x":[],"y":{}},"c":[1E+3,"\xc3\xa9  \\n"]}'
    store.datasets.push("~mine", Items.from_lines([numbers, b"{}"]))
    for key, kind, body in (
        ("OUTPUT", "application/json; charset=utf-8", b'{ "a": 1 }'),
        ("a", "text/plain; charset=utf-8", b"one"),
        ("a.txt", "text/plain; charset=utf-8", b"two"),
        ("x.__meta", "image/png", b"\x89PNG\r\n"),
        ("we'ird(1)!", "application/octet-stream", b""),
    ):
        store.kvs.put("~mine", Record(key=key, content_type=kind, body=[body]))
    requests: list[dict[str, Any]] = [
        {"url": f"https://a.com/{n}", "uniqueKey": f"k{n}", "retryCount": n % 3} for n in range(60)
    ]
    requests[5]["handledAt"] = "2026-01-01T00:00:00.123Z"
    requests[6] |= {"userData": {"label": "é"}, "errorMessages": ["no"], "more": [1.5]}
    store.queues.add("~mine", requests)
    store.queues.add("~mine", [{"url": "https://a.com/f", "uniqueKey": "f"}], forefront=True)


def contents(store: Store, name: str) -> tuple[Any, ...]:
    requests = {one["uniqueKey"]: one for one in every_request(store.queues, f"~{name}")}
    order = [one["uniqueKey"] for one in store.queues.head(f"~{name}").items]
    return lines(store, name), records(store, name), requests, order


@pytest.mark.parametrize("layout", LAYOUTS)
def test_export_and_import_give_back_the_same(
    store: Store, root: Path, tmp_path: Path, layout: str
) -> None:
    filled(store)
    other = open_store(str(tmp_path / "other"))

    noted = send(store, root, layout, "mine")
    _, notes = bring(other, root)
    again = tmp_path / "again"
    send(other, again, layout, "mine")

    there = contents(other, "mine")
    if layout == "python":  # its files always have all fields
        defaults: dict[str, Any] = {"method": "GET", "headers": {}, "userData": {}}
        defaults |= {"noRetry": False, "retryCount": 0}
        mine = contents(store, "mine")
        whole = {key: {**defaults, **one} for key, one in mine[2].items()}
        assert (*there[:2], there[3]) == (*mine[:2], mine[3])
        assert there[2] == whole
    else:
        assert there == contents(store, "mine")
    assert noted.refused == noted.remarks == notes.refused == notes.passed == []
    assert comparable(again) == comparable(root)


def comparable(root: Path) -> dict[str, object]:
    """Files without IDs of storages and times of the export."""
    found: dict[str, object] = {}
    for name, data in files(root).items():
        if name.endswith("/__metadata__.json"):
            continue
        if "__RQ_STATE_" in name:
            found[re.sub(r"STATE_\w{17}", "STATE", name)] = len(data)
        elif name.startswith("request_queues") and b'"orderNo"' in data:
            told = json.loads(data)
            found[name] = {**told, "orderNo": told["orderNo"] is None}
        else:
            found[name] = data
    return found


def test_javascript_gets_tabs_and_suffixes_that_it_reads_back(store: Store, root: Path) -> None:
    filled(store)

    send(store, root, "js", "mine")

    assert {name for name in files(root) if "mine/" in name and "queues" not in name} == {
        "datasets/mine/000000001.json",
        "datasets/mine/000000002.json",
    } | {
        f"key_value_stores/mine/{name}"
        for name in ("OUTPUT.json", "a.txt", "a.txt.txt", "x.__meta.png", "we'ird(1)!.bin")
    }
    assert files(root)["datasets/mine/000000001.json"].decode() == (
        '{\n\t"b": 1.0,\n\t"a": {\n\t\t"x": [],\n\t\t"y": {}\n\t},\n'
        '\t"c": [\n\t\t1E+3,\n\t\t"é  \\n"\n\t]\n}'
    )
    assert files(root)["datasets/mine/000000002.json"] == b"{}"


def test_python_gets_its_order_as_a_record_of_the_default_store(store: Store, root: Path) -> None:
    filled(store)

    send(store, root, "python", "mine")

    id = json.loads((root / "request_queues/mine/__metadata__.json").read_bytes())["id"]
    state = json.loads((root / f"key_value_stores/default/__RQ_STATE_{id}").read_bytes())
    assert list(state["regular_requests"])[:3] == ["f", "k0", "k1"]
    assert state["sequence_counter"] == 60
    assert "k5" not in state["regular_requests"]


def test_another_storage_written_later_keeps_the_order_of_a_queue(store: Store, root: Path) -> None:
    store.queues.create("crawl")
    store.queues.add("~crawl", [{"url": "https://a.com", "uniqueKey": "k"}])
    store.kvs.create("default")
    send(store, root, "python", "crawl")
    states = [name for name in files(root) if "__RQ_STATE_" in name]

    send(store, root, "python", "default", force=True)

    assert len(states) == 2
    assert set(states) <= set(files(root))


def test_the_default_store_of_an_order_can_still_be_written(store: Store, root: Path) -> None:
    store.queues.create("crawl")
    store.kvs.create("default")
    store.kvs.put("~default", Record(key="a", content_type="text/plain", body=[b"x"]))
    send(store, root, "python", "crawl")

    send(store, root, "python", "default")

    assert files(root)["key_value_stores/default/a"] == b"x"
    assert len([name for name in files(root) if "__RQ_STATE_" in name]) == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_with_contents_is_replaced_only_by_force(
    store: Store, root: Path, layout: str
) -> None:
    store.datasets.create("mine")
    store.datasets.push("~mine", Items.of([{"n": 1}]))
    kept = write(root / "datasets/mine/000000007.json", "{}")

    with pytest.raises(Conflict, match="has contents"):
        send(store, root, layout, "mine")
    assert list(files(root)) == [str(kept.relative_to(root))]
    send(store, root, layout, "mine", force=True)

    assert "datasets/mine/000000001.json" in files(root)
    assert not kept.exists()
    assert [path.name for path in (root / "datasets").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("layout", "key"),
    [
        ("js", "a.__metadata__"),
        ("js", "__metadata__"),
        ("js", "a" * 253),
        ("python", "a.__metadata__.json"),
        ("python", "__metadata__.json"),
        ("python", "'" * 100),
    ],
)
def test_a_key_that_the_library_could_not_read_back_is_refused(
    store: Store, root: Path, layout: str, key: str
) -> None:
    store.kvs.create("mine")
    for each in (key, "good"):
        store.kvs.put("~mine", Record(key=each, content_type="application/json", body=[b"1"]))

    notes = send(store, root, layout, "mine")

    assert [one.where for one in notes.refused] == [f"mine: {key}"]
    assert any("good" in name for name in files(root))


def test_a_type_that_javascript_cannot_keep_is_remarked(store: Store, root: Path) -> None:
    store.kvs.create("mine")
    for key, kind in (("a", "application/x-foo"), ("b", "text/plain; charset=latin-1")):
        store.kvs.put("~mine", Record(key=key, content_type=kind, body=[b"x"]))

    notes = send(store, root, "js", "mine")

    assert set(files(root)) == {"key_value_stores/mine/a.bin", "key_value_stores/mine/b.txt"}
    assert {one.where for one in notes.remarks} == {"a", "b"}


def test_a_record_that_is_packed_is_written_plain(store: Store, root: Path) -> None:
    import gzip

    store.kvs.create("mine")
    packed = gzip.compress(b"plain")
    record = Record(key="a", content_type="text/plain", content_encoding="gzip", body=[packed])
    store.kvs.put("~mine", record)

    send(store, root, "js", "mine")

    assert files(root) == {"key_value_stores/mine/a.txt": b"plain"}


class Hostile:
    """A server's store that says what it likes."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.listed = [Key(key=key, size=1) for key in keys]

    def keys(self, ref: str, query: Any) -> KeysPage:
        return KeysPage(
            items=self.listed,
            count=len(self.listed),
            limit=1000,
            exclusive_start_key=None,
            is_truncated=False,
            next_exclusive_start_key=None,
        )

    def record(self, ref: str, key: str, *, body: bool = True) -> Record:
        return Record(key=key, content_type="text/plain", body=[b"x"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_written_outside_of_the_folder(
    store: Store, root: Path, tmp_path: Path, layout: str
) -> None:
    mine, _ = store.kvs.create("mine")
    keys = ["../../../evil", "/tmp/evil", "..", "a/b", "a\\b", "ok"]

    notes = Notes()
    list(dump([Source("kvs", Hostile(keys), mine, "mine")], root, layout, notes))

    assert len(notes.refused) == 5
    assert {name.partition(".")[0] for name in files(root)} <= {
        "key_value_stores/mine/ok",
        "key_value_stores/mine/__metadata__",
    }
    assert not list(tmp_path.glob("**/evil*"))


def test_two_keys_never_share_a_file(store: Store, root: Path) -> None:
    mine, _ = store.kvs.create("mine")

    notes = Notes()
    list(dump([Source("kvs", Hostile(["a", "a"]), mine, "mine")], root, "js", notes))

    assert [one.why for one in notes.refused] == ["the file a.txt is taken by another"]


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", ".hidden", ""])
def test_a_folder_is_one_plain_name(store: Store, root: Path, name: str) -> None:
    mine, _ = store.kvs.create("mine")

    with pytest.raises(Exception, match="Name"):
        list(dump([Source("kvs", store.kvs, mine, name)], root, "js", Notes()))

    assert not root.exists()


def test_storages_that_differ_in_case_do_not_share_a_folder(store: Store, root: Path) -> None:
    mine, _ = store.kvs.create("mine")
    sources = [Source("kvs", store.kvs, mine, name) for name in ("A", "a")]

    with pytest.raises(Conflict, match="two storages"):
        list(dump(sources, root, "js", Notes()))


def test_an_export_that_fails_leaves_nothing(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Hostile):
        def record(self, ref: str, key: str, *, body: bool = True) -> Record:
            raise ConnectionError

    mine, _ = store.kvs.create("mine")

    with pytest.raises(ConnectionError):
        list(dump([Source("kvs", Broken(["a"]), mine, "mine")], root, "js", Notes()))

    assert files(root) == {}
    assert list((root / "key_value_stores").iterdir()) == []


def test_the_order_is_kept_beyond_the_head(store: Store, root: Path) -> None:
    store.queues.create("mine")
    requests = [{"url": f"https://a.com/{n}", "uniqueKey": f"k{n}"} for n in range(1100)]
    store.queues.add("~mine", requests)

    notes = send(store, root, "js", "mine")

    texts = [text for name, text in files(root).items() if "__metadata__" not in name]
    found = sorted(map(json.loads, texts), key=lambda each: each["orderNo"])
    assert [each["uniqueKey"] for each in found] == [f"k{n}" for n in range(1100)]
    assert notes.remarks == []
