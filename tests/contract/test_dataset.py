"""What datasets promise, whatever keeps them."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storectl.errors import InvalidInput, NotFound
from storectl.formats.frames import unframed
from storectl.model.dataset import Datasets, ItemsPage, ItemsQuery
from storectl.model.items import Item, Items
from storectl.model.page import walk
from storectl.model.store import Store


@pytest.fixture
def datasets(store: Store) -> Datasets:
    return store.datasets


def objects(page: ItemsPage) -> list[Item]:
    return Items.from_lines(b"".join(page.lines).splitlines()).objects()


def read(datasets: Datasets, ref: str, **query: object) -> list[Item]:
    return objects(datasets.items(ref, ItemsQuery(**query)))


def text(datasets: Datasets, ref: str, **query: object) -> bytes:
    return b"".join(datasets.items(ref, ItemsQuery(**query)).lines)


def numbered(first: int, count: int) -> list[Item]:
    return [{"n": n, "text": f"item {n} " + "ě" * (n % 50)} for n in range(first, first + count)]


def test_items_come_back_in_order_over_many_pushes(datasets: Datasets) -> None:
    datasets.create("many")
    sizes = [1, 1, 600, 1, 3, 2000, 1, 40]
    at = 0
    for size in sizes:
        datasets.push("~many", Items.of(numbered(at, size)))
        at += size

    assert read(datasets, "~many") == numbered(0, at)
    assert datasets.get("~many").item_count == at


def test_a_thousand_single_pushes_are_one_sequence(store: Store) -> None:
    store.datasets.create("tail")
    for n in range(1100):
        store.datasets.push("~tail", Items.of([{"n": n}]))

    assert [item["n"] for item in read(store.datasets, "~tail")] == list(range(1100))
    assert read(store.datasets, "~tail", offset=500, limit=30) == [
        {"n": n} for n in range(500, 530)
    ]


def test_the_bytes_of_an_item_are_kept(datasets: Datasets) -> None:
    body = b'[{"z":1.0,"big":12345678901234567890,"a":"\\u00e9\\/","e":1e5,"d":-0.0}, {"x" : [ ] }]'
    datasets.create("exact")

    datasets.push("~exact", Items.from_json(body))

    assert text(datasets, "~exact") == (
        b'{"z":1.0,"big":12345678901234567890,"a":"\\u00e9\\/","e":1e5,"d":-0.0}\n{"x" : [ ] }\n'
    )


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize(
    ("offset", "limit"),
    [(0, None), (0, 1), (1, 1), (511, 3), (512, 1), (1000, 999), (2999, 5), (3000, 5), (9999, 1)],
)
def test_a_window_is_cut_anywhere(
    datasets: Datasets, offset: int, limit: int | None, desc: bool
) -> None:
    datasets.create("window")
    datasets.push("~window", Items.of(numbered(0, 2900)))
    for n in range(2900, 3000):
        datasets.push("~window", Items.of(numbered(n, 1)))
    everything = numbered(0, 3000)
    expected = (everything[::-1] if desc else everything)[offset:][:limit]

    page = datasets.items("~window", ItemsQuery(offset=offset, limit=limit, desc=desc))

    lines = Items.of(expected).lines
    assert (page.total, page.offset, page.scanned) == (3000, offset, len(expected))
    assert page.bytes in (None, len(lines))
    assert b"".join(page.lines) == lines


@given(st.data())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_packed_lines_are_the_lines(varied: str, datasets: Datasets, data: st.DataObject) -> None:
    """Of whole chunks, cut ones, a large item, and a tail of single ones that are kept plain."""
    offset = data.draw(st.integers(0, VARIED + 1))
    limit = data.draw(st.none() | st.integers(1, VARIED))
    query = ItemsQuery(offset=offset, limit=limit)

    packed = datasets.items(varied, query).packed

    plain = text(datasets, varied, offset=offset, limit=limit)
    assert b"".join(unframed(packed or ())) == plain
    assert (packed is not None) or not plain


VARIED = 2530


@pytest.fixture
def varied(datasets: Datasets) -> str:
    """A dataset of so many items, in chunks of every kind."""
    datasets.create("varied")
    for items in (numbered(0, 1200), [{"large": "x" * 300_000}], numbered(1201, 1299)):
        datasets.push("~varied", Items.of(items))
    for n in range(2500, VARIED):
        datasets.push("~varied", Items.of(numbered(n, 1)))
    return datasets.get("~varied").id


@pytest.mark.parametrize("query", [{"desc": True}, {"fields": ("n",)}, {"skip_empty": True}])
def test_what_is_not_kept_so_does_not_come_packed(
    varied: str, datasets: Datasets, query: dict[str, object]
) -> None:
    page = datasets.items(varied, ItemsQuery(**query))

    assert page.packed is None
    assert len(objects(page)) == VARIED


def test_no_items_are_read_with_a_limit_of_none_at_all(datasets: Datasets) -> None:
    datasets.create("some")
    datasets.push("~some", Items.of(numbered(0, 3)))

    page = datasets.items("~some", ItemsQuery(limit=0))

    assert (list(page.lines), page.scanned, page.total) == ([], 0, 3)


def test_a_page_emptied_by_a_filter_is_not_the_end(datasets: Datasets) -> None:
    """1,500 empty items, then a real one: the walk must reach it."""
    datasets.create("gaps")
    datasets.push("~gaps", Items.of([{}] * 1500 + [{"n": 1}]))

    def fetch(offset: int) -> tuple[list[Item], int, int]:
        page = datasets.items("~gaps", ItemsQuery(offset=offset, limit=500, skip_empty=True))
        return objects(page), page.scanned, page.total

    assert list(walk(fetch)) == [{"n": 1}]


SHAPES = [
    ({"fields": ("b", "a")}, {"a": 1, "b": 2, "c": 3}, [{"b": 2, "a": 1}]),
    ({"fields": ("missing",)}, {"a": 1}, [{}]),
    ({"omit": ("a",)}, {"a": 1, "b": 2}, [{"b": 2}]),
    ({"omit": ("a",), "fields": ("a", "b")}, {"a": 1, "b": 2}, [{"b": 2}]),
    (
        {"fields": ("a", "b"), "output_fields": ("x", "y")},
        {"a": 1, "b": 2, "c": 3},
        [{"x": 1, "y": 2}],
    ),
    ({"skip_hidden": True}, {"#error": 1, "a": 2}, [{"a": 2}]),
    ({"skip_empty": True}, {}, []),
    ({"clean": True}, {"#error": 1}, []),
    ({"skip_hidden": True}, {"#error": 1}, [{}]),
    ({"unwind": ("l",)}, {"a": 1, "l": [{"b": 1}, {"b": 2}]}, [{"a": 1, "b": 1}, {"a": 1, "b": 2}]),
    ({"unwind": ("l",)}, {"a": 1, "l": {"b": 1}}, [{"a": 1, "b": 1}]),
    ({"unwind": ("l",)}, {"a": 1, "l": ["x", "y"]}, [{"a": 1, "l": "x"}, {"a": 1, "l": "y"}]),
    ({"unwind": ("l",)}, {"a": 1}, [{"a": 1}]),
    ({"unwind": ("l",)}, {"a": 1, "l": []}, [{"a": 1, "l": []}]),
    ({"unwind": ("l",), "fields": ("b",)}, {"a": 1, "l": [{"b": 1}]}, [{"b": 1}]),
    (
        {"flatten": ("foo",)},
        {"foo": {"bar": 1, "deep": {"x": 2}}},
        [{"foo.bar": 1, "foo.deep.x": 2}],
    ),
    ({"flatten": ("foo",), "fields": ("foo.bar",)}, {"foo": {"bar": 1, "b": 2}}, [{"foo.bar": 1}]),
    ({"skip_failed_pages": True}, {"errorInfo": {"m": 1}, "a": 1}, []),
    (
        {"simplified": True},
        {"url": "u", "pageFunctionResult": [{"x": 1}], "other": 1},
        [{"url": "u", "x": 1}],
    ),
]


@pytest.mark.parametrize(("query", "item", "expected"), SHAPES)
def test_items_are_shaped_by_the_keeper(
    datasets: Datasets, query: dict[str, object], item: Item, expected: list[Item]
) -> None:
    datasets.create("shapes")
    datasets.push("~shapes", Items.of([item]))

    assert read(datasets, "~shapes", **query) == expected


def test_fields_come_in_the_order_asked(datasets: Datasets) -> None:
    datasets.create("order")
    datasets.push("~order", Items.of([{"a": 1, "b": 2}]))

    assert text(datasets, "~order", fields=("b", "a")) == b'{"b":2,"a":1}\n'


def test_renaming_needs_as_many_names_as_fields(datasets: Datasets) -> None:
    datasets.create("few")

    with pytest.raises(InvalidInput):
        list(datasets.items("~few", ItemsQuery(fields=("a", "b"), output_fields=("x",))).lines)


def test_a_view_of_the_schema_shapes_items(datasets: Datasets) -> None:
    view = {"title": "V", "transformation": {"fields": ["b"], "flatten": []}}
    datasets.create("viewed", schema={"actorSpecification": 1, "views": {"v": view}})
    datasets.push("~viewed", Items.of([{"a": 1, "b": 2}]))

    assert read(datasets, "~viewed", view="v") == [{"b": 2}]
    with pytest.raises(InvalidInput) as failure:
        datasets.items("~viewed", ItemsQuery(view="other"))
    assert failure.value.type == "requested-dataset-view-does-not-exist"


def test_clean_items_are_counted(datasets: Datasets) -> None:
    datasets.create("counted")
    datasets.push("~counted", Items.from_json(b'[{"a":1},{},{ },{"#h":1},{"#h":1,"a":"#"}]'))

    found = datasets.get("~counted")

    assert (found.item_count, found.clean_item_count) == (5, 2)


def test_pushing_nothing_changes_nothing(datasets: Datasets) -> None:
    datasets.create("none")

    datasets.push("~none", Items.of([]))

    assert datasets.get("~none").item_count == 0


def test_a_push_with_a_known_key_appends_nothing(datasets: Datasets) -> None:
    datasets.create("once")

    for key in ("k1", "k1", "k2"):
        datasets.push("~once", Items.of([{"key": key}]), idempotency_key=key)

    assert read(datasets, "~once") == [{"key": "k1"}, {"key": "k2"}]


def test_a_key_belongs_to_its_dataset(datasets: Datasets) -> None:
    for name in ("one", "two"):
        datasets.create(name)
        datasets.push(f"~{name}", Items.of([{"a": 1}]), idempotency_key="same")

    assert [datasets.get(f"~{name}").item_count for name in ("one", "two")] == [1, 1]


def test_concurrent_pushes_take_consecutive_places(datasets: Datasets) -> None:
    datasets.create("busy")

    def push(writer: int) -> None:
        for turn in range(20):
            datasets.push("~busy", Items.of([{"w": writer, "t": turn, "i": i} for i in range(7)]))

    threads = [threading.Thread(target=push, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    items = read(datasets, "~busy")
    assert len(items) == 8 * 20 * 7
    batches = [items[at : at + 7] for at in range(0, len(items), 7)]
    assert all([item["i"] for item in batch] == list(range(7)) for batch in batches)
    for writer in range(8):
        turns = [batch[0]["t"] for batch in batches if batch[0]["w"] == writer]
        assert turns == list(range(20))


def test_a_push_over_the_limit_of_one_call_arrives_whole(datasets: Datasets) -> None:
    datasets.create("large")
    items = [{"n": n, "text": "x" * 1_000_000} for n in range(12)]

    datasets.push("~large", Items.of(items))

    assert [item["n"] for item in read(datasets, "~large", fields=("n",))] == list(range(12))


def test_items_of_what_is_not_there_are_not_found(datasets: Datasets) -> None:
    with pytest.raises(NotFound):
        datasets.items("~missing", ItemsQuery())
    with pytest.raises(NotFound):
        datasets.push("~missing", Items.of([{}]))
    with pytest.raises(NotFound):
        datasets.statistics("~missing")


def test_a_negative_window_is_refused(datasets: Datasets) -> None:
    datasets.create("some")

    for query in (ItemsQuery(offset=-1), ItemsQuery(limit=-1)):
        with pytest.raises(InvalidInput):
            datasets.items("~some", query)


def test_statistics_follow_the_schema(datasets: Datasets) -> None:
    properties = {name: {} for name in ("price", "name", "tags", "ok", "none")}
    schema = {"actorSpecification": 1, "fields": {"properties": properties}}
    datasets.create("measured", schema=schema)
    datasets.push(
        "~measured",
        Items.of(
            [
                {"price": 59, "name": "ab", "tags": [1, 2], "ok": False},
                {"price": 89.5, "name": "", "tags": [], "ok": True, "none": None},
            ]
        ),
    )

    found = datasets.statistics("~measured")["fieldStatistics"]

    assert found["price"] == {"min": 59, "max": 89.5, "nullCount": 0, "emptyCount": 0}
    assert found["name"] == {"min": 0, "max": 2, "nullCount": 0, "emptyCount": 0}
    assert found["tags"] == {"min": 0, "max": 2, "nullCount": 0, "emptyCount": 0}
    assert found["ok"] == {"min": 0, "max": 1, "nullCount": 0, "emptyCount": 0}
    assert found["none"] == {"min": None, "max": None, "nullCount": 1, "emptyCount": 1}


def test_there_are_no_statistics_without_a_schema(datasets: Datasets) -> None:
    datasets.create("plain")

    assert datasets.statistics("~plain")["fieldStatistics"] is None


FIELDS = {
    "type": "object",
    "properties": {"price": {"type": "number", "minimum": 0}, "name": {"type": "string"}},
    "required": ["price"],
}


def test_items_that_break_the_schema_are_refused_all_together(datasets: Datasets) -> None:
    datasets.create("strict", schema={"actorSpecification": 1, "fields": FIELDS})

    with pytest.raises(InvalidInput) as failure:
        datasets.push("~strict", Items.of([{"price": 1}, {"price": -1, "name": 7}, {}]))

    assert failure.value.type == "schema-validation-error"
    wrong = failure.value.data["invalidItems"]
    assert [each["itemPosition"] for each in wrong] == [1, 2]
    assert {error["keyword"] for error in wrong[0]["validationErrors"]} == {"minimum", "type"}
    assert wrong[0]["validationErrors"][0]["instancePath"] in ("/price", "/name")
    assert datasets.get("~strict").item_count == 0


def test_items_that_fit_the_schema_are_kept(datasets: Datasets) -> None:
    datasets.create("strict", schema={"actorSpecification": 1, "fields": FIELDS})

    datasets.push("~strict", Items.of([{"price": 1, "more": True}]))

    assert read(datasets, "~strict") == [{"price": 1, "more": True}]


@pytest.mark.parametrize(
    "fields", [{"type": "nothing"}, {"$ref": "http://127.0.0.1:9/x"}, {"pattern": "("}, 7]
)
def test_a_schema_that_is_none_is_refused(datasets: Datasets, fields: object) -> None:
    with pytest.raises(InvalidInput) as failure:
        datasets.create("wrong", schema={"actorSpecification": 1, "fields": fields})

    assert failure.value.type == "dataset-schema-invalid"
