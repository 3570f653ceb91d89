"""Pushing and saving items: how input is read, what is told of what goes wrong."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as some

from storectl.client.http import Http
from storectl.client.store import ClientStore
from storectl.engine import open_store
from storectl.engine.store import EngineStore
from storectl.errors import InvalidInput, Network
from storectl.formats import Options
from storectl.formats.encoding import packing
from storectl.model.dataset import ItemsPage, ItemsQuery
from storectl.transfer.dataset import Input, Source, save
from storectl.transfer.events import Advanced, Finished, Refused, Started
from storectl.transfer.push import Into, push
from storectl.transfer.windows import checked

from .reading import opened


def of(text: str, folder: Path, name: str = "items.jsonl", **more: object) -> Source:
    file = folder / name
    file.write_text(text)
    return Source(str(file), partial(opened, file), size=len(text))._replace(**more)


def items(store: EngineStore) -> list[object]:
    return [
        json.loads(x)
        for b in store.datasets.items("~a", ItemsQuery()).lines
        for x in b.splitlines()
    ]


def test_a_push_begins_advances_and_finishes(store: EngineStore, tmp_path: Path) -> None:
    events = list(push(store.datasets, Into("~a"), [of('{"n":1}\n{"n":2}\n', tmp_path)]))

    assert events[0] == Started(total_bytes=16)
    assert Advanced(2, 16) in events
    assert isinstance(events[-1], Finished)
    assert events[-1][:2] == (2, 16)
    assert items(store) == [{"n": 1}, {"n": 2}]


def test_what_is_refused_is_named_in_its_place(store: EngineStore, tmp_path: Path) -> None:
    source = of('{"n":1}\n"x"\n', tmp_path)

    events = list(push(store.datasets, Into("~a"), [source]))

    assert Refused(f"{source.name}:2", "a string, not an object") in events
    assert events[-1].refused == 1  # type: ignore[union-attr]


def test_broken_json_names_its_file(store: EngineStore, tmp_path: Path) -> None:
    source = of('[{"n":1}, oops]', tmp_path, "items.json")

    with pytest.raises(InvalidInput, match=r"items\.json:1: "):
        list(push(store.datasets, Into("~a"), [source]))


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("a,b\n1,x\n", {}, {"a": "1", "b": "x"}),
        ("a,b\n1,x\n", {"typed": True}, {"a": 1, "b": "x"}),
        ("a;b\n1;x\n", {"delimiter": ";"}, {"a": "1", "b": "x"}),
    ],
)
def test_csv_has_its_own_options(
    store: EngineStore, tmp_path: Path, text: str, more: dict[str, object], expected: object
) -> None:
    list(push(store.datasets, Into("~a"), [of(text, tmp_path, "a.csv", **more)]))

    assert items(store) == [expected]


def test_a_slow_producer_is_stored_while_it_pauses(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    source = Source("stdin", lambda: os.fdopen(reading, "rb"))

    def work() -> None:
        pushing = open_store(str(tmp_path / "store"))
        pushing.datasets.create("a")
        list(push(pushing.datasets, Into("~a"), [source]))
        pushing.close()

    thread = threading.Thread(target=work)
    thread.start()
    os.write(writing, b'{"n":1}\n')
    store = open_store(str(tmp_path / "store"))
    end = time.monotonic() + 60
    while not store.datasets.create("a")[0].item_count and time.monotonic() < end:
        time.sleep(0.05)
    before = items(store)
    os.write(writing, b'{"n":2}\n')
    os.close(writing)
    thread.join(60)

    assert before == [{"n": 1}]
    assert items(store) == [{"n": 1}, {"n": 2}]
    store.close()


@given(
    text=some.binary(max_size=200)
    .map(lambda raw: raw.replace(b"x", b"\n"))
    .filter(lambda raw: packing(raw) is None),
    sizes=some.lists(some.integers(1, 30), min_size=1, max_size=60),
)
def test_an_input_reads_lines_as_a_file_does(text: bytes, sizes: list[int]) -> None:
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    plain = io.BytesIO(text)

    with os.fdopen(reading, "rb") as stream:
        mine = Input(stream)
        mine.head()
        found = [mine.readline(size) for size in sizes]

    assert found == [plain.readline(size) for size in sizes]


def test_items_that_break_a_schema_are_left_out_and_named(tmp_path: Path) -> None:
    """The API refuses a whole batch and says which positions broke the schema."""
    bodies: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        bodies.append(body)
        if len(body) == 2:
            return httpx.Response(201, json={})
        wrong = {
            "itemPosition": 1,
            "validationErrors": [{"instancePath": "/n", "message": "is bad"}],
        }
        error = {
            "type": "schema-validation-error",
            "message": "no",
            "data": {"invalidItems": [wrong]},
        }
        return httpx.Response(400, json={"error": error})

    store = ClientStore(Http("http://x", transport=httpx.MockTransport(answer)))
    source = of('{"n":1}\n{"n":"x"}\n{"n":3}\n', tmp_path)

    events = list(push(store.datasets, Into("~a"), [source]))

    assert bodies[1] == [{"n": 1}, {"n": 3}]
    assert Refused(f"{source.name}:2", "/n is bad") in events
    assert events[-1][:1] == (2,)


def page(*blocks: bytes, scanned: int) -> ItemsPage:
    return ItemsPage(total=scanned, offset=0, limit=None, desc=False, scanned=scanned, lines=blocks)


def test_fewer_items_than_announced_are_a_cut_answer_unless_filtered() -> None:
    short = partial(page, b'{"n":1}\n', scanned=2)

    with pytest.raises(Network, match="only 1 of 2 items came"):
        list(checked(short(), ItemsQuery()))
    assert len(list(checked(short(), ItemsQuery(clean=True)))) == 1


def test_a_cut_answer_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"

    with pytest.raises(Network):
        list(save(page(b'{"n":1}\n', scanned=2), ItemsQuery(), "jsonl", Options(), file))

    assert list(tmp_path.iterdir()) == []


def test_a_pipe_can_be_written_to(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()

    list(save(page(b'{"n":1}\n', scanned=1), ItemsQuery(), "jsonl", Options(), fifo))

    reader.join(5)
    assert got == [b'{"n":1}\n']
