"""What every kind of storage promises, whatever keeps it."""

from __future__ import annotations

from datetime import datetime

import pytest

from storectl.errors import Conflict, InvalidInput, NotFound
from storectl.model.storage import Change, ListQuery, Storages
from storectl.model.store import Store


@pytest.fixture(params=["datasets", "kvs", "queues"])
def storages(request: pytest.FixtureRequest, store: Store) -> Storages:
    return getattr(store, request.param)


def test_a_named_storage_is_made_once(storages: Storages) -> None:
    first, new = storages.create("prices")
    again, new_again = storages.create("prices")

    assert (new, new_again) == (True, False)
    assert again.id == first.id
    assert first.name == "prices"


def test_each_unnamed_storage_is_another(storages: Storages) -> None:
    one, new_one = storages.create()
    two, new_two = storages.create()

    assert new_one
    assert new_two
    assert one.id != two.id
    assert one.name is None


def test_an_id_is_17_letters_and_digits(storages: Storages) -> None:
    made, _ = storages.create()

    assert len(made.id) == 17
    assert made.id.isalnum()


def test_a_storage_is_found_by_id_own_name_and_owner_with_name(storages: Storages) -> None:
    made, _ = storages.create("Prices-2")

    found = [storages.get(ref) for ref in (made.id, "~Prices-2", f"{made.username}~prices-2")]

    assert [each.id for each in found] == [made.id] * 3


@pytest.mark.parametrize("ref", ["prices", "~nothing", "nobody~prices", "A" * 17, "~", "me~prices"])
def test_what_is_not_there_is_not_found(storages: Storages, ref: str) -> None:
    storages.create("prices")

    with pytest.raises(NotFound):
        storages.get(ref)
    with pytest.raises(NotFound):
        storages.delete(ref)
    with pytest.raises(NotFound):
        storages.update(ref, Change(title="x"))


@pytest.mark.parametrize("name", ["", "a_b", "-a", "a-", "a b", "ä", "a" * 64, "a/b", "a~b"])
def test_a_name_that_is_none_is_refused(storages: Storages, name: str) -> None:
    if name:
        with pytest.raises(InvalidInput):
            storages.create(name)
    made, _ = storages.create()
    if name:
        with pytest.raises(InvalidInput):
            storages.update(made.id, Change(name=name))


def test_names_differ_only_by_more_than_case(storages: Storages) -> None:
    one, _ = storages.create("Prices")
    two, new = storages.create("prices")

    assert not new
    assert two.id == one.id
    assert two.name == "Prices"


def test_renaming_keeps_the_id_and_frees_the_name(storages: Storages) -> None:
    made, _ = storages.create("old")

    renamed = storages.update("~old", Change(name="new"))
    again, new = storages.create("old")

    assert (renamed.id, renamed.name) == (made.id, "new")
    assert new
    assert again.id != made.id


def test_a_storage_may_lose_its_name(storages: Storages) -> None:
    storages.create("old")

    unnamed = storages.update("~old", Change(name=None))

    assert unnamed.name is None
    assert storages.get(unnamed.id).name is None


def test_a_taken_name_is_a_conflict_and_changes_nothing(storages: Storages) -> None:
    storages.create("one")
    two, _ = storages.create("two")

    with pytest.raises(Conflict) as failure:
        storages.update(two.id, Change(name="ONE", title="changed"))

    assert failure.value.exit_code == 6
    assert storages.get(two.id).name == "two"
    assert storages.get(two.id).title is None


def test_a_rename_to_its_own_name_is_none(storages: Storages) -> None:
    made, _ = storages.create("one")

    assert storages.update(made.id, Change(name="One")).name == "One"


def test_an_update_leaves_what_it_does_not_name(storages: Storages) -> None:
    made, _ = storages.create("one")
    storages.update(made.id, Change(title="A title", general_access="RESTRICTED"))

    after = storages.update(made.id, Change(title="Another"))

    assert (after.name, after.title, after.general_access) == ("one", "Another", "RESTRICTED")


def test_an_unknown_level_of_access_is_refused(storages: Storages) -> None:
    made, _ = storages.create()

    with pytest.raises(InvalidInput):
        storages.update(made.id, Change(general_access="EVERYONE"))


def test_a_deleted_storage_is_gone_with_its_name(storages: Storages) -> None:
    made, _ = storages.create("one")

    storages.delete("~one")

    with pytest.raises(NotFound):
        storages.get(made.id)
    assert storages.list(ListQuery(unnamed=True)).total == 0
    assert storages.create("one")[1]


def test_lists_have_named_ones_by_creation_and_all_on_request(storages: Storages) -> None:
    names = ["b", "a", "c"]
    made = [storages.create(name)[0].id for name in names]
    unnamed = storages.create()[0].id

    named = storages.list(ListQuery())
    everything = storages.list(ListQuery(unnamed=True))
    backward = storages.list(ListQuery(desc=True))

    assert [each.name for each in named.items] == names
    assert named.total == 3
    assert [each.id for each in everything.items] == [*made, unnamed]
    assert everything.items[-1].name is None
    assert [each.name for each in backward.items] == ["c", "a", "b"]


def test_lists_come_in_pages(storages: Storages) -> None:
    for number in range(5):
        storages.create(f"s{number}")

    page = storages.list(ListQuery(offset=3, limit=3))
    past = storages.list(ListQuery(offset=9))

    assert [each.name for each in page.items] == ["s3", "s4"]
    assert (page.total, page.offset, page.limit) == (5, 3, 3)
    assert past.items == []
    assert past.limit >= 1


def test_times_are_iso_8601_with_milliseconds(storages: Storages) -> None:
    made, _ = storages.create()

    for moment in (made.created_at, made.modified_at, made.accessed_at):
        assert len(moment) == len("2019-12-12T07:34:14.202Z")
        assert moment.endswith("Z")


def test_a_schema_is_kept(store: Store) -> None:
    schema = {"actorSpecification": 1, "views": {"all": {"title": "All"}}}

    made, _ = store.datasets.create("shaped", schema=schema)

    assert store.datasets.get(made.id).schema == schema


def test_what_was_used_since_then_or_has_a_name_is_not_deleted_as_unused(
    storages: Storages,
) -> None:
    made, _ = storages.create()
    named, _ = storages.create("kept")
    used_ms = ms_of(made.accessed_at)
    later_ms = ms_of(named.accessed_at) + 1

    assert not storages.delete_unused(made.id, used_ms)
    assert not storages.delete_unused(named.id, later_ms)
    assert storages.get(made.id)
    assert storages.get(named.id)

    assert storages.delete_unused(made.id, used_ms + 1)
    assert storages.delete_unused(named.id, later_ms, named=True)
    for id in (made.id, named.id):
        with pytest.raises(NotFound):
            storages.get(id)


def test_what_is_not_there_is_not_deleted_as_unused(storages: Storages) -> None:
    assert not storages.delete_unused("A" * 17, ms_of("2030-01-01T00:00:00.000Z"))


def test_without_a_name_its_end_is_told(storages: Storages) -> None:
    unnamed, _ = storages.create()
    named, _ = storages.create("kept")
    listed = {each.id: each for each in storages.list(ListQuery(unnamed=True)).items}
    week_and_hour_ms = (7 * 24 + 1) * 3_600_000

    for found in (unnamed, storages.get(unnamed.id), listed[unnamed.id]):
        assert isinstance(found.expire_at, str)
        assert ms_of(found.expire_at) == ms_of(unnamed.accessed_at) + week_and_hour_ms
    for found in (named, storages.get(named.id), listed[named.id]):
        assert not isinstance(found.expire_at, str)


def ms_of(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
