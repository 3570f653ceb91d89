"""Folders that the published libraries wrote, imported, and exported for them to read again."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from running import JAVASCRIPT, STORECTL, environment

from storectl.engine import open_store
from storectl.model.dataset import ItemsQuery
from storectl.model.kvs import every_key
from storectl.model.queue import every_request
from storectl.model.store import Store
from storectl.transfer.local_js import MORE_SUFFIXES, TYPES

PYTHON = [sys.executable, str(Path(__file__).with_name("crawlee_local.py"))]


class Library(NamedTuple):
    """One of the libraries, as a program. layout: what we call its folders."""

    layout: str
    words: list[str]

    def write(self, folder: Path, *more: str) -> None:
        self._run("write", str(folder), *more)

    def read(self, folder: Path) -> Any:
        """What it finds in a copy: reading writes, too."""
        copy = folder.with_name(f"{folder.name}-read")
        shutil.copytree(folder, copy)
        return json.loads(self._run("read", str(copy)))

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*self.words, *words], cwd=JAVASCRIPT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(params=["python", "js"])
def library(request: pytest.FixtureRequest) -> Library:
    if request.param == "python":
        return Library("python", PYTHON)
    return Library("js", [request.getfixturevalue("node"), str(JAVASCRIPT / "local.mjs")])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Runs a command on the store of that name; what it says in JSON."""

    def storectl(store: str, *words: str) -> Any:
        done = subprocess.run(
            [*STORECTL, "--store", str(tmp_path / store), "--json", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment(tmp_path / store),
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return storectl


def items(store: Store, name: str) -> bytes:
    return b"".join(store.datasets.items(f"~{name}", ItemsQuery()).lines)


def records(store: Store, name: str) -> dict[str, tuple[str, bytes]]:
    found = (store.kvs.record(f"~{name}", key.key) for key in every_key(store.kvs, f"~{name}"))
    return {one.key: (one.content_type, b"".join(one.body)) for one in found}


def head(store: Store, name: str) -> list[str]:
    return [one["url"].rpartition("/")[2] for one in store.queues.head(f"~{name}").items]


def requests(store: Store, name: str) -> dict[str, Any]:
    return {one["id"]: one for one in every_request(store.queues, f"~{name}")}


def test_an_import_has_what_the_library_reads(
    library: Library, run: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "storage"
    library.write(folder)
    found = library.read(folder)

    told = run("store", "local", "import", str(folder))

    store = open_store(str(tmp_path / "store"))
    assert {one["layout"] for one in told["items"]} == {library.layout}
    assert sum(one["refused"] for one in told["items"]) == 0
    assert set(found["datasets"]) == {"default", "prices"}
    for name, wanted in found["datasets"].items():
        assert [json.loads(line) for line in items(store, name).splitlines()] == wanted
    assert b'"big":12345678901234567' in items(store, "prices")
    there = records(store, "default")
    assert set(there) == set(found["records"]["default"])
    for key, (kind, *told_value) in found["records"]["default"].items():
        assert there[key][0] == kind
        if library.layout == "js":
            assert there[key][1] == base64.b64decode(told_value[0])
        else:
            assert len(there[key][1]) == told_value[0]


def test_an_import_has_the_bytes_of_the_files(
    library: Library, run: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "storage"
    library.write(folder)

    run("store", "local", "import", str(folder))

    store = open_store(str(tmp_path / "store"))
    files = sorted(
        path for path in (folder / "datasets/prices").iterdir() if "metadata" not in path.name
    )
    squeezed = [b"".join(file.read_bytes().split()) for file in files]
    assert [b"".join(line.split()) for line in items(store, "prices").splitlines()] == squeezed
    values = {body for _, body in records(store, "default").values()}
    for path in (folder / "key_value_stores/default").iterdir():
        if "metadata" not in path.name and "__RQ_STATE_" not in path.name:
            assert path.read_bytes() in values


def test_a_queue_keeps_its_order_and_states(
    library: Library, run: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "storage"
    library.write(folder)

    run("store", "local", "import", str(folder))

    store = open_store(str(tmp_path / "store"))
    queue = store.queues.get("~default")
    assert (queue.handled_request_count, len(head(store, "default"))) == (
        1,
        queue.total_request_count - 1,
    )
    by_name = {one["url"].rpartition("/")[2]: one for one in requests(store, "default").values()}
    if library.layout == "js":
        assert head(store, "default") == [
            *("very-front", "front", "0", "1", "2", "3", "4"),
            *("7", "8", "9", "10", "11", "6"),
        ]
        assert (by_name["5"]["retryCount"], by_name["6"]["retryCount"]) == (1, 2)
        assert by_name["6"]["errorMessages"] == ["no"]
        assert by_name["3"]["payload"] == "é"
    else:
        numbers = [str(n) for n in range(12)]
        assert head(store, "default") == [*numbers, "post", "front"]
        assert by_name["very-front"]["handledAt"].endswith("Z")
        assert by_name["front"]["retryCount"] == 2
        assert by_name["post"] == {
            "id": by_name["post"]["id"],
            "uniqueKey": "mine",
            "url": "https://example.com/post",
            "method": "POST",
            "headers": {"a": "b"},
            "payload": "é",
            "userData": {"n": 1.5},
            "retryCount": 0,
            "noRetry": False,
        }


def test_the_library_reads_from_an_export_what_it_had_written(
    library: Library, run: Callable[..., Any], tmp_path: Path
) -> None:
    folder, back = tmp_path / "storage", tmp_path / "back"
    library.write(folder)
    run("store", "local", "import", str(folder))

    run("store", "local", "export", "--all", "--layout", library.layout, str(back))

    found, wanted = library.read(back), library.read(folder)
    if library.layout == "js":  # without metadata the library counts nothing as handled
        for queue in wanted["queues"].values():
            queue |= {"handledRequestCount": 1, "pendingRequestCount": 13}
    assert found == wanted


def test_import_export_import_is_a_fixed_point(
    library: Library, run: Callable[..., Any], tmp_path: Path
) -> None:
    library.write(tmp_path / "storage")
    run("one", "local", "import", str(tmp_path / "storage"))
    run("one", "local", "export", "--all", "--layout", library.layout, str(tmp_path / "back"))

    run("two", "local", "import", str(tmp_path / "back"))

    one, two = open_store(str(tmp_path / "one")), open_store(str(tmp_path / "two"))
    for name in ("default", "prices"):
        assert items(one, name) == items(two, name)
    assert records(one, "default") == records(two, "default")
    assert head(one, "default") == head(two, "default")
    assert requests(one, "default") == requests(two, "default")


def test_a_second_import_writes_no_item_and_no_request(
    library: Library, run: Callable[..., Any], tmp_path: Path
) -> None:
    library.write(tmp_path / "storage")
    run("store", "local", "import", str(tmp_path / "storage"))

    told = run("store", "local", "import", str(tmp_path / "storage"))

    assert {one["written"] for one in told["items"] if one["noun"] != "kvs"} == {0}


def test_what_one_library_wrote_the_other_reads(
    library: Library, run: Callable[..., Any], tmp_path: Path, node: str
) -> None:
    library.write(tmp_path / "storage")
    run("store", "local", "import", str(tmp_path / "storage"))
    other = (
        Library("js", [node, str(JAVASCRIPT / "local.mjs")])
        if library.layout == "python"
        else Library("python", PYTHON)
    )

    run("store", "local", "export", "--all", "--layout", other.layout, str(tmp_path / "back"))

    found, wanted = other.read(tmp_path / "back"), library.read(tmp_path / "storage")
    assert found["datasets"].keys() == wanted["datasets"].keys()
    if library.layout == "js":  # Python's large number is more than JavaScript holds
        assert found["datasets"] == wanted["datasets"]
    assert found["records"]["default"].keys() == wanted["records"]["default"].keys()
    store = open_store(str(tmp_path / "store"))
    if other.layout == "python":
        order = [one["url"].rpartition("/")[2] for one in found["queues"]["default"]["order"]]
        assert order == head(store, "default")
    else:
        names = [url.rpartition("/")[2] for url in found["queues"]["default"]["head"]]
        assert names == sorted(head(store, "default"))


def test_metadata_that_javascript_writes_when_told_to(
    run: Callable[..., Any], tmp_path: Path, node: str
) -> None:
    library = Library("js", [node, str(JAVASCRIPT / "local.mjs")])
    library.write(tmp_path / "storage", "metadata")

    told = run("store", "local", "import", str(tmp_path / "storage"))

    assert {one["layout"] for one in told["items"]} == {"js"}
    there = records(open_store(str(tmp_path / "store")), "default")
    assert len(there) == 12
    assert there["text"][0] == "text/plain; charset=utf-8"
    assert there["page"][1] == "<p>é</p>".encode()


def test_our_table_of_types_is_that_of_the_library(node: str) -> None:
    script = """
        const mime = require('mime-types');
        const [types, more] = JSON.parse(process.argv[1]);
        const told = [...types, ...more].map((suffix) => [suffix, mime.contentType(suffix)]);
        const back = types.map((suffix) => [suffix, mime.extension(mime.lookup(suffix))]);
        console.log(JSON.stringify([Object.fromEntries(told), Object.fromEntries(back)]));
    """
    given = json.dumps([list(TYPES), list(MORE_SUFFIXES)])
    done = subprocess.run(
        [node, "-e", script, given], cwd=JAVASCRIPT, capture_output=True, text=True, check=True
    )
    told, back = json.loads(done.stdout)

    assert told == TYPES | {more: TYPES[suffix] for more, suffix in MORE_SUFFIXES.items()}
    assert back == {suffix: suffix for suffix in TYPES}
