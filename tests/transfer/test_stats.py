"""What the fields of a dataset hold."""

from __future__ import annotations

import pytest

from storectl.formats.blocks import recut
from storectl.transfer.stats import EXACT, MOST_FIELDS, MOST_HASHES, Field, Stats, sample

from .reading import Item, encoded, keeping, read_all


def fields_of(items: list[Item]) -> dict[str, Field]:
    with keeping(items) as (_, (rows,)):
        found = Stats()
        read_all(rows, found.take)
        return {one.field: one for one in found.fields()}


def test_types_gaps_and_extremes_of_every_field() -> None:
    items: list[Item] = [
        {"id": 3, "mixed": "b", "in": {"x": 1.5, "y": None}, "tags": [1]},
        {"id": 1, "mixed": 2, "in": {"x": 1}, "ok": True},
        {"id": 2, "mixed": None, "in": None, "tags": [], "ok": True},
        {"id": 2, "mixed": 2.0, "in": "text"},
    ]

    found = fields_of(items)

    assert list(found) == ["id", "mixed", "in", "in.x", "in.y", "tags", "ok"]
    whole = Field(field="id", types={"integer": 4}, missing=0, nulls=0, distinct=3, is_exact=True)
    whole.min, whole.max = 1, 3
    assert found["id"] == whole
    mixed = found["mixed"]
    assert mixed.types == {"string": 1, "integer": 1, "null": 1, "number": 1}
    assert (mixed.nulls, mixed.distinct, mixed.min, mixed.max) == (1, 2, 2, "b")
    assert (found["in"].types, found["in"].nulls) == ({"object": 2, "null": 1, "string": 1}, 1)
    assert (found["in.x"].missing, found["in.x"].min, found["in.x"].max) == (2, 1, 1.5)
    assert (found["in.y"].missing, found["in.y"].nulls, found["in.y"].distinct) == (3, 1, 0)
    assert (found["tags"].types, found["tags"].distinct) == ({"array": 2}, 0)
    assert (found["ok"].missing, found["ok"].distinct, found["ok"].min) == (2, 1, None)


def looked(stats: Stats, items: list[Item]) -> Stats:
    for block in recut([encoded(item) + b"\n" for item in items]):
        stats.take(block)
    return stats


def test_many_values_are_counted_and_more_are_estimated() -> None:
    few = looked(Stats(), [{"n": n % EXACT} for n in range(EXACT + 1000)]).fields()[0]
    many = looked(Stats(), [{"n": f"value {n}"} for n in range(3 * EXACT)]).fields()[0]

    assert (few.distinct, few.is_exact) == (EXACT, True)
    assert not many.is_exact
    assert many.distinct == pytest.approx(3 * EXACT, rel=0.03)


def test_memory_is_bounded_over_all_fields() -> None:
    stats = looked(Stats(), [{f"f{f}": f"{f} {n}" for f in range(40)} for n in range(11_000)])

    fields = stats.fields()

    assert sum(len(place.distinct.hashes) for place in stats._places) <= MOST_HASHES
    assert all(one.distinct == pytest.approx(11_000, rel=0.1) for one in fields)


@pytest.mark.parametrize("fields", [1, 4])
def test_what_is_estimated_does_not_depend_on_how_the_items_come(
    fields: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storectl.transfer.stats.EXACT", 64)
    monkeypatch.setattr("storectl.transfer.stats.MOST_HASHES", 150)
    lines = [encoded({f"f{f}": f"{f} {n}" for f in range(fields)}) + b"\n" for n in range(1_000)]

    def told(size: int) -> list[Field]:
        stats = Stats()
        for at in range(0, len(lines), size):
            stats.take(b"".join(lines[at : at + size]))
        return stats.fields()

    assert told(1) == told(37) == told(400) == told(1_000)
    assert not any(one.is_exact for one in told(1))


def test_names_that_are_data_do_not_fill_memory() -> None:
    stats = looked(Stats(), [{"map": {f"key {n}": 1}} for n in range(MOST_FIELDS + 500)])

    assert stats.left_out
    assert len(stats.fields()) == MOST_FIELDS


def test_a_sample_is_of_all_the_dataset_or_of_all_of_it() -> None:
    items: list[Item] = [{"n": n} for n in range(250_000)]
    with keeping(items[:1500], items) as (store, (small, large)):
        counts = []
        for rows in (small, large):
            found = Stats()
            for _, blocks in sample(store.datasets, rows.ref, rows.total, 0):
                for block in blocks:
                    found.take(block)
            counts.append((found.items, found.fields()[0].min, found.fields()[0].max))

    assert counts == [(1500, 0, 1499), (100_000, 0, 248_499)]
