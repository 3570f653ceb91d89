"""storectl local, as people type it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from .conftest import Here, Served


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A folder as Crawlee for JavaScript leaves it."""
    root = tmp_path / "storage"
    for n in (1, 2, 3):
        write(root / f"datasets/default/{n:09}.json", f'{{\n\t"n": {n}\n}}')
    write(root / "key_value_stores/default/INPUT.json", "{}")
    return root


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_crawl_is_imported_and_exported(here: Here, storage: Path) -> None:
    imported = here("local", "import")
    assert imported.code == 0, imported.err
    rows = [line.split("\t") for line in imported.lines()]
    assert [row[:4] + row[5:] for row in rows] == [
        ["dataset", "default", "3", "3", "datasets/default"],
        ["kvs", "default", "1", "1", "key_value_stores/default"],
    ]
    assert "2 storages, 4 files" in imported.err
    assert here("dataset", "items", "default").lines() == ['{"n":1}', '{"n":2}', '{"n":3}']

    exported = here("local", "export", "default", "./copy", "--layout", "js")

    assert exported.code == 0, exported.err
    copied = storage.parent / "copy"
    for file in storage.rglob("*.json"):
        assert (copied / file.relative_to(storage)).read_bytes() == file.read_bytes()


def test_ls_says_what_is_there(here: Here, storage: Path) -> None:
    done = here("local", "ls", "--json=noun,name,layout,items,size")

    assert done.json()["items"] == [
        {"noun": "dataset", "name": "default", "layout": "js", "items": 3, "size": 33},
        {"noun": "kvs", "name": "default", "layout": "js", "items": 1, "size": 2},
    ]


@pytest.mark.parametrize("name", ["CRAWLEE_STORAGE_DIR", "APIFY_LOCAL_STORAGE_DIR"])
def test_the_folder_is_found_as_crawlee_finds_it(here: Here, storage: Path, name: str) -> None:
    moved = storage.rename(storage.with_name("elsewhere"))

    done = here("local", "ls", "-q", env={name: str(moved)})

    assert done.lines()[0] == str(moved / "datasets/default")


def test_a_dry_run_creates_nothing(here: Here, storage: Path) -> None:
    planned = here("local", "import", "--dry-run")

    assert (planned.code, len(planned.lines())) == (0, 2)
    assert here("dataset", "ls", "--all").out == ""


def test_a_folder_goes_where_map_says(here: Here, storage: Path) -> None:
    write(storage / "datasets/my_prices/000000001.json", "{}")
    words = ["--map", "default=results", "--map", "datasets/my_prices=prices"]

    done = here("local", "import", "--only", "dataset", *words)

    assert done.code == 0, done.err
    assert [line.split("\t")[1] for line in here("dataset", "ls").lines()] == ["results", "prices"]
    assert here("kvs", "ls").out == ""


def test_a_folder_whose_name_cannot_be_kept_is_named(here: Here, storage: Path) -> None:
    write(storage / "datasets/my_prices/000000001.json", "{}")

    done = here("local", "import")

    assert done.code == 7
    assert "datasets/my_prices: Name 'my_prices' has an underscore" in done.err
    assert "--map datasets/my_prices=NAME" in done.err
    assert here("dataset", "info", "default").code == 0


def test_broken_files_are_named_and_the_exit_code_is_7(here: Here, storage: Path) -> None:
    write(storage / "datasets/default/000000002.json", '{"n": ')
    write(storage / "datasets/default/notes.txt", "x")

    done = here("local", "import")

    assert done.code == 7
    assert (
        "error: storage/datasets/default/000000002.json: It is not JSON: it ends too early"
        in done.err
    )
    assert "passed over: storage/datasets/default/notes.txt" in done.err
    assert here("dataset", "items", "default").lines() == ['{"n":1}', '{"n":3}']


def test_a_dataset_with_other_items_is_a_conflict(here: Here, storage: Path) -> None:
    other = write(storage.parent / "other.jsonl", '{"n": 7}\n')
    here("dataset", "push", "default", str(other), "--create")

    done = here("local", "import", "--only", "dataset")

    assert done.code == 6
    assert "dataset 'default' holds other items" in done.err
    assert "--map datasets/default=NAME" in done.err


@pytest.mark.parametrize(
    ("words", "why", "code"),
    [
        (["import", "nowhere"], "nowhere: no such folder", 3),
        (["import", "--only", "files"], "kinds are dataset, kvs, queue", 2),
        (["import", "--map", "default"], "not of the form", 2),
        (["import", "--map", "x=y"], "there is no such folder", 2),
        (["export"], "name either storages, or --all", 2),
        (["export", "./out"], "name either storages, or --all", 2),
        (["export", "default", "--all"], "name either storages, or --all", 2),
        (["export", "none", "--layout", "js"], "'none' not found for local", 3),
        (["export", "--all", "./new"], "which one?", 2),
        (["export", "--all", "--map", "x=y"], "no such storage is exported", 2),
    ],
)
def test_what_cannot_be_asked(
    here: Here, storage: Path, words: list[str], why: str, code: int
) -> None:
    done = here("local", *words)

    assert (done.code, done.out) == (code, ""), done.err
    assert why in done.err


def test_an_export_replaces_a_folder_only_by_force(here: Here, storage: Path) -> None:
    here("local", "import", "--only", "dataset")
    write(storage / "datasets/default/000000009.json", "{}")

    refused = here("local", "export", "default")
    forced = here("local", "export", "default", "--force")

    assert (refused.code, forced.code) == (6, 0)
    assert "storage/datasets/default has contents" in refused.err
    assert not (storage / "datasets/default/000000009.json").exists()


def test_the_layout_is_that_of_the_folder(here: Here, storage: Path) -> None:
    here("local", "import", "--only", "dataset", "--map", "default=prices")

    done = here("local", "export", "prices", "--json")

    assert [row["layout"] for row in done.json()["items"]] == ["js"]
    assert not (storage / "datasets/prices/__metadata__.json").exists()


def test_map_names_the_folder_of_a_storage(here: Here, storage: Path) -> None:
    here("local", "import", "--only", "dataset", "--map", "default=prices")

    here("local", "export", "prices", "--layout", "python", "new/", "--map", "prices=default")

    metadata = storage.parent / "new/datasets/default/__metadata__.json"
    assert json.loads(metadata.read_text())["name"] is None


def test_a_dry_run_of_an_export_writes_nothing(here: Here, storage: Path) -> None:
    here("local", "import")

    done = here("local", "export", "--all", "--layout", "js", "./new", "-n")

    assert (done.code, len(done.lines())) == (0, 2)
    assert not (storage.parent / "new").exists()


def test_a_server_takes_and_gives_the_same(here: Here, served: Served, storage: Path) -> None:
    remote = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}
    mapped = ["--map", "default=local-test"]
    for n in range(4, 3000):
        write(storage / f"datasets/default/{n:09}.json", f'{{\n\t"n": {n}\n}}')

    first = here("local", "import", *mapped, "--json", env=remote)
    again = here("local", "import", *mapped, "--json", env=remote)
    back = here("local", "export", "local-test", "--layout", "js", "./back", env=remote)

    assert (first.code, again.code, back.code) == (0, 0, 0), first.err + again.err + back.err
    assert [row["written"] for row in first.json()["items"]] == [2999, 1]
    assert [row["written"] for row in again.json()["items"]] == [0, 1]
    for file in (storage / "datasets/default").iterdir():
        copy = storage.parent / "back/datasets/local-test" / file.name
        assert copy.read_bytes() == file.read_bytes()


@pytest.mark.slow
def test_an_import_that_is_killed_goes_on_when_it_is_run_again(here: Here, tmp_path: Path) -> None:
    """Killed at ten times, each run a bit further; then to the end: nothing lost or doubled."""
    for n in range(1, 20_001):
        write(tmp_path / f"storage/datasets/default/{n:09}.json", f'{{"n":{n},"x":"{"x" * 900}"}}')
    for n in range(300):
        write(tmp_path / f"storage/key_value_stores/default/r-{n}.txt", f"{n}" * 50)

    for attempt in range(10):
        process = here.start("local", "import")
        time.sleep(0.25 + attempt * 0.1)
        process.kill()
        process.communicate()
    done = here("local", "import")

    assert done.code == 0, done.err
    items = here("dataset", "items", "default").lines()
    assert [json.loads(line)["n"] for line in items] == list(range(1, 20_001))
    assert len(here("kvs", "keys", "default", "-q").lines()) == 300
