"""kvs pull, push, sync: what a shell sees of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from tests.faults import Asked, Proxy

from .conftest import Done, Here, Served


@pytest.fixture
def site(here: Here) -> Path:
    """A folder of three files, and a store `files` that has them."""
    folder = Path("site")
    folder.mkdir()
    for name, text in {"index.html": "<p>", "style.css": "p {}", "INPUT": "{}"}.items():
        (folder / name).write_text(text)
    assert here("kvs", "push", "site", "files", "--create").code == 0
    return folder


def keys(here: Here) -> list[str]:
    return here("kvs", "keys", "files", "-q").lines()


def files(folder: str | Path) -> list[str]:
    return sorted(file.name for file in Path(folder).iterdir() if file.name[0] != ".")


def bodies(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def states(folder: str) -> dict[str, tuple[int, int]]:
    """Time and inode of every file: any writing shows."""
    found = ((file.name, file.stat()) for file in Path(folder).iterdir())
    return {name: (stat.st_mtime_ns, stat.st_ino) for name, stat in found}


def plan(done: Done) -> list[tuple[str, str, str]]:
    """Operation, key and reason of each line of a plan."""
    steps = [json.loads(line) for line in done.lines()]
    return [(step["op"], step["key"], step["why"]) for step in steps]


# pull and push


@pytest.mark.parametrize("verb", ["pull files site", "push site files", "sync site files"])
def test_what_a_killed_run_left_goes_with_the_next(here: Here, site: Path, verb: str) -> None:
    (site / ".storectl-Ky9jUQyyAzjewNeAX.part").write_text("half")

    assert here("kvs", *verb.split()).code == 0

    assert not list(site.glob("*.part"))


def test_pull_says_which_files_it_wrote_and_ends_with_one_line(here: Here, site: Path) -> None:
    done = here("kvs", "pull", "files", "copy")

    assert done.code == 0
    assert sorted(done.lines()) == ["copy/INPUT", "copy/index.html", "copy/style.css"]
    assert done.err.startswith("3 records, 9 B in ")
    assert done.err.endswith(f" from 'files' of local @ {Path('store').absolute()} to copy\n")
    assert files("copy") == files(site)


def test_a_folder_behind_its_store_is_told_from_one_that_is_missing(here: Here, site: Path) -> None:
    swapped = here("kvs", "push", "my-store", str(site), "--create")
    missing = here("kvs", "push", "none", "my-store", "--create")

    assert (swapped.code, swapped.out) == (2, "")
    assert "REF and DIR are swapped?" in swapped.err
    assert f"storectl kvs push {site} my-store" in swapped.err
    assert missing.code == 3
    assert "swapped" not in missing.err


def test_push_says_which_keys_it_set(here: Here, site: Path) -> None:
    (site / "more.txt").write_text("more")

    done = here("kvs", "push", "site", "files")

    assert (done.code, done.lines()) == (0, ["more.txt"])
    assert done.err.endswith("; 3 unchanged\n")
    assert keys(here) == ["INPUT", "index.html", "more.txt", "style.css"]


def test_json_tells_counts_and_what_was_refused(here: Here, site: Path) -> None:
    (site / "no key.txt").write_text("x")
    (site / "more.txt").write_text("more")

    done = here("kvs", "push", "site", "files", "--json")

    assert done.code == 7
    told = done.json()
    assert told.pop("secs") >= 0
    assert told == {
        "pushed": 1,
        "deleted": 0,
        "same": 3,
        "bytes": 4,
        "refused": [{"where": "no key.txt", "why": "the name is that of no key"}],
    }


def test_what_cannot_be_a_record_is_named_and_the_rest_is_done(here: Here, site: Path) -> None:
    (site / "no key.txt").write_text("x")
    (site / "more.txt").write_text("more")

    done = here("kvs", "push", "site", "files")

    assert (done.code, done.lines()) == (7, ["more.txt"])
    assert "error: no key.txt: the name is that of no key\n" in done.err
    assert "error: 1 record of 2 failed; the rest is done\n" in done.err


def test_folders_links_and_hidden_files_are_left_out_and_told(here: Here, site: Path) -> None:
    (site / "sub").mkdir()
    (site / "link").symlink_to("/etc/passwd")
    (site / ".git").write_text("x")

    done = here("kvs", "push", "site", "files")

    assert done.code == 0
    assert done.err.startswith("warning: left out what is hidden or no plain file: ")
    assert all(name in done.err for name in (".git", "link", "sub"))
    assert keys(here) == ["INPUT", "index.html", "style.css"]


def test_no_clobber_keeps_and_exits_with_6(here: Here, site: Path) -> None:
    (site / "INPUT").write_text("[]")
    (site / "more.txt").write_text("more")

    done = here("kvs", "push", "site", "files", "--no-clobber")

    assert (done.code, done.lines()) == (6, ["more.txt"])
    assert "error: INPUT: is already there, and differs\n" in done.err
    assert here("kvs", "get", "files", "INPUT").out == "{}"


@pytest.mark.parametrize(
    ("globs", "taken"),
    [
        (["--include", "*.html"], ["index.html"]),
        (["--exclude", "*.html"], ["INPUT", "style.css"]),
        (["--exclude", "i*", "--include", "*.*"], ["style.css"]),
        (["--include", "*.*", "--exclude", "i*"], ["index.html", "style.css"]),
        (["--include=*.css", "--exclude=*", "--include=INPUT"], ["style.css"]),
    ],
)
def test_globs_are_tried_in_their_order(
    here: Here, site: Path, globs: list[str], taken: list[str]
) -> None:
    assert here("kvs", "pull", "files", "copy", *globs).code == 0

    assert files("copy") == taken


def test_a_packed_record_is_unpacked_unless_raw(here: Here, site: Path) -> None:
    import gzip

    from storectl.engine import open_store
    from storectl.model.kvs import Record

    packed = gzip.compress(b"plain")
    store = open_store("store")
    record = Record(key="k", content_type="text/plain", content_encoding="gzip", body=(packed,))
    store.kvs.put("~files", record)
    store.close()

    assert here("kvs", "pull", "files", "copy").code == 0
    assert here("kvs", "pull", "files", "raw", "--raw").code == 0

    assert Path("copy/k").read_bytes() == b"plain"
    assert Path("raw/k").read_bytes() == packed


def test_a_missing_folder_or_store_changes_nothing(here: Here, site: Path) -> None:
    no_folder = here("kvs", "push", "none", "new", "--create")
    no_store = here("kvs", "pull", "none", "copy")
    no_store_to_push = here("kvs", "push", "site", "none")

    assert [done.code for done in (no_folder, no_store, no_store_to_push)] == [3, 3, 3]
    assert "none: no such folder" in no_folder.err
    assert "try: the same with --create" in no_store_to_push.err
    assert not Path("copy").exists()
    assert here("kvs", "ls", "-q").out.count("\n") == 1


def test_a_file_in_place_of_a_folder(here: Here, site: Path) -> None:
    done = here("kvs", "pull", "files", "site/INPUT")

    assert (done.code, done.out) == (2, "")
    assert "is a file; a folder was expected" in done.err
    assert Path("site/INPUT").read_text() == "{}"


# sync


@pytest.mark.parametrize(
    ("sides", "way"),
    [
        (["site", "files"], "push"),
        (["site/", "files"], "push"),
        (["./site", "~files"], "push"),
        (["~files", "out"], "pull"),
        (["files", "./out"], "pull"),
        (["files", "site"], "pull"),
    ],
)
def test_one_side_is_the_folder(here: Here, site: Path, sides: list[str], way: str) -> None:
    (site / "style.css").write_text("p {color: red}")

    done = here("kvs", "sync", *sides, "--dry-run")

    assert done.code == 0
    assert {op for op, _, _ in plan(done)} == {way}
    assert not Path("out").exists()


@pytest.mark.parametrize("sides", [["files", "out"], ["./site", "./out"], ["~files", "~other"]])
def test_two_folders_or_two_stores_are_no_sync(here: Here, site: Path, sides: list[str]) -> None:
    done = here("kvs", "sync", *sides)

    assert (done.code, done.out) == (2, "")
    assert "write ./DIR for a folder and ~NAME for a store" in done.err


def test_sync_and_sync_again_does_nothing(here: Here, site: Path) -> None:
    first = here("kvs", "sync", "files", "./copy", "--delete")
    before = states("copy")
    again = here("kvs", "sync", "files", "./copy", "--delete")
    back = here("kvs", "sync", "./copy", "files", "--delete")

    assert [done.code for done in (first, again, back)] == [0, 0, 0]
    assert (again.out, back.out) == ("", "")
    assert again.err.startswith("No record moved from ")
    assert again.err.endswith("; 3 unchanged\n")
    assert states("copy") == before


def test_sync_makes_the_destination_equal(here: Here, site: Path) -> None:
    here("kvs", "pull", "files", "copy")
    Path("copy/INPUT").unlink()
    Path("copy/style.css").write_text("p {color: red}")
    Path("copy/new.txt").write_text("new")

    done = here("kvs", "sync", "./copy", "files", "--delete")

    assert done.code == 0
    assert "; 1 deleted; 1 unchanged\n" in done.err
    assert keys(here) == ["index.html", "new.txt", "style.css"]
    assert here("kvs", "get", "files", "style.css").out == "p {color: red}"


def test_dry_run_prints_the_plan_and_changes_nothing(here: Here, site: Path) -> None:
    (site / "INPUT").unlink()
    (site / "style.css").write_text("p {color: red}")
    (site / "new.txt").write_text("new")
    memory = (site / ".storectl.json").read_bytes()

    done = here("kvs", "sync", "./site", "files", "--delete", "-n")

    assert done.code == 0
    assert plan(done) == [
        ("push", "new.txt", "new"),
        ("push", "style.css", "changed"),
        ("delete", "INPUT", "extra"),
    ]
    assert done.err == "Would push 2 records, 17 B, delete 1, leave 1\n"
    assert keys(here) == ["INPUT", "index.html", "style.css"]
    assert (site / ".storectl.json").read_bytes() == memory


def test_a_plan_is_applied_as_it_was_approved(here: Here, site: Path) -> None:
    (site / "INPUT").unlink()
    (site / "new.txt").write_text("new")
    made = here("kvs", "sync", "./site", "files", "--delete", "--plan", "plan.jsonl")
    (site / "later.txt").write_text("not approved")

    done = here("kvs", "sync", "./site", "files", "--apply", "plan.jsonl")
    again = here("kvs", "sync", "./site", "files", "--apply", "plan.jsonl")

    assert (made.code, made.out) == (0, "")
    assert (done.code, done.out) == (0, "new.txt\n")
    assert (again.code, again.out) == (0, "")
    assert keys(here) == ["index.html", "new.txt", "style.css"]


def test_a_plan_is_not_applied_to_what_changed(here: Here, site: Path) -> None:
    (site / "new.txt").write_text("new")
    (site / "style.css").write_text("changed")
    here("kvs", "sync", "./site", "files", "--plan", "plan.jsonl")
    (site / "style.css").write_text("changed again")

    done = here("kvs", "sync", "./site", "files", "--apply", "plan.jsonl")

    assert (done.code, done.out) == (6, "")
    assert "changed since the plan was made: style.css; nothing was done" in done.err
    assert keys(here) == ["INPUT", "index.html", "style.css"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["./copy", "files"], "the plan is for another sync"),
        (["files", "./site"], "the plan is for another sync"),
        (["./site", "files", "--delete"], "it takes no other wishes"),
        (["./site", "files", "--exclude", "x"], "it takes no other wishes"),
    ],
)
def test_a_plan_is_applied_to_nothing_else(
    here: Here, site: Path, words: list[str], why: str
) -> None:
    here("kvs", "pull", "files", "copy")
    here("kvs", "sync", "./site", "files", "--plan", "plan.jsonl")

    done = here("kvs", "sync", *words, "--apply", "plan.jsonl")

    assert done.code == 2
    assert why in done.err


def test_what_is_no_plan_is_told(here: Here, site: Path) -> None:
    done = here("kvs", "sync", "./site", "files", "--apply", "site/INPUT")

    assert done.code == 2
    assert "is no plan of kvs sync" in done.err


def test_max_delete_exits_with_10_and_changes_nothing(here: Here, site: Path) -> None:
    (site / "INPUT").unlink()
    (site / "style.css").unlink()
    (site / "new.txt").write_text("new")

    by_number = here("kvs", "sync", "./site", "files", "--delete", "--max-delete", "1")
    by_share = here("kvs", "sync", "./site", "files", "--delete", "--max-delete", "50%")

    for done in (by_number, by_share):
        assert (done.code, done.out) == (10, "")
        assert "--delete would delete 2 of 3 records" in done.err
    assert keys(here) == ["INPUT", "index.html", "style.css"]


def test_an_empty_source_is_refused_with_delete(here: Here, site: Path) -> None:
    Path("empty").mkdir()
    here("kvs", "create", "nothing")

    to_store = here("kvs", "sync", "./empty", "files", "--delete", "--yes")
    to_folder = here("kvs", "sync", "nothing", "./site", "--delete", "--yes")

    for done in (to_store, to_folder):
        assert (done.code, done.out) == (2, "")
        assert "the source is empty" in done.err
    assert len(keys(here)) == len(files(site)) == 3


@pytest.mark.parametrize(
    "words",
    [["--max-delete", "3"], ["--delete", "--max-delete", "x"], ["--checksum", "--size-only"]],
)
def test_wishes_that_make_no_sense(here: Here, site: Path, words: list[str]) -> None:
    done = here("kvs", "sync", "./site", "files", *words)

    assert (done.code, done.out) == (2, "")


# Elsewhere


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_pull_leaves_nothing_half_done(
    here: Here, served: Served, sign: signal.Signals, code: int
) -> None:
    """Interrupted while nobody answers for its twentieth record."""
    here.env |= {"STORECTL_STORE": "", "STORECTL_TOKEN": served.token}
    at = ("--server", served.url)
    records = count(1)

    def plan(asked: Asked) -> str | None:
        return "hold" if "/records/" in asked.target and next(records) == 20 else None

    folder = here.folder / "in"
    folder.mkdir()
    for number in range(100):
        (folder / f"r{number}").write_bytes(bytes(5000))
    here("kvs", "push", "in", f"to-{sign.name}", "--create", *at)
    with Proxy(served.url, plan) as proxy:
        process = here.start(
            "kvs", "pull", f"to-{sign.name}", "out", "-j", "1", "--server", proxy.url
        )
        assert proxy.held.wait(60)
        process.send_signal(sign)
        proxy.released.set()  # at most two more are on their way by now
        process.communicate(timeout=60)
    left = {file.name for file in (here.folder / "out").iterdir() if file.name[0] == "."}
    again = here("kvs", "pull", f"to-{sign.name}", "out", *at)

    assert process.returncode == code
    assert left == {".storectl.json"}
    assert again.code == 0
    assert 0 < len(again.lines()) < 100
    assert len(files(here.folder / "out")) == 100


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hold", "late"])
@pytest.mark.parametrize("to_store", [True, False])
def test_an_interrupted_sync_goes_on_as_if_it_had_not_been(
    here: Here, served: Served, to_store: bool, fault: str
) -> None:
    """Ctrl-C while its tenth call for a record is on its way, and with it new and changed ones."""
    here.env |= {"STORECTL_STORE": "", "STORECTL_TOKEN": served.token}
    at = ("--server", served.url)
    ref = f"stopped-{to_store}-{fault}"
    old, new = here.folder / "old", here.folder / "new"
    for folder, numbers in ((old, range(30)), (new, range(10, 40))):
        folder.mkdir()
        for number in numbers:
            (folder / f"r{number}").write_bytes(bytes(number if folder == old else number + 1))
    here("kvs", "push", "old" if to_store else "new", ref, "--create", *at)
    source, target = ("./new", ref) if to_store else (ref, "./old")
    words = ("kvs", "sync", source, target, "--delete", "-j", "1")
    records = count(1)

    def plan(asked: Asked) -> str | None:
        return fault if "/records/" in asked.target and next(records) == 10 else None

    with Proxy(served.url, plan) as proxy:
        process = here.start(*words, "--server", proxy.url)
        assert proxy.held.wait(60)
        process.send_signal(signal.SIGINT)
        proxy.released.set()
        _, told = process.communicate(timeout=60)
    again = here(*words, *at)
    here("kvs", "pull", ref, "found", *at)

    assert process.returncode == 130, told
    assert again.code == 0, again.err
    assert 0 < len(again.lines()) < 40
    assert bodies(here.folder / "found") == bodies(new)
    assert to_store or bodies(old) == bodies(new)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "times"),
    [(("kvs", "pull"), 1), (("kvs", "pull"), 2), (("kvs", "push"), 1), (("dataset", "pull"), 1)],
)
def test_ctrl_c_waits_for_no_answer_that_does_not_come(
    here: Here, served: Served, words: tuple[str, ...], times: int
) -> None:
    """The answer is withheld for ever, and --timeout is ten minutes."""
    here.env |= {"STORECTL_STORE": "", "STORECTL_TOKEN": served.token}
    ref = f"never-{'-'.join(words)}-{times}"
    (here.folder / "in").mkdir()
    for number in range(3):
        (here.folder / f"in/r{number}").write_text("body")
    (here.folder / "items.jsonl").write_text('{"n":1}\n')
    if words[0] == "dataset":
        here("dataset", "push", ref, "items.jsonl", "--create", "--server", served.url)
    elif words[1] == "pull":
        here("kvs", "push", "in", ref, "--create", "--server", served.url)
    else:
        here("kvs", "create", ref, "--server", served.url)
    ends = {"kvs pull": [ref, "out"], "kvs push": ["in", ref], "dataset pull": [ref]}
    command = [*words, *ends[" ".join(words)], "-j", "2"]

    def plan(asked: Asked) -> str | None:
        body = "/records/r1" in asked.target or ("/items" in asked.target and asked.number > 2)
        return "late" if body else None

    with Proxy(served.url, plan) as proxy:
        process = here.start(*command, "--server", proxy.url, "--timeout", "10m")
        assert proxy.held.wait(60)
        process.send_signal(signal.SIGINT)
        for _ in range(times - 1):
            process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)  # as a loaded machine may need
    again = here(*command, "--server", served.url)

    assert process.returncode == 130, told
    assert told.startswith(b"storectl: interrupted")
    assert b"Traceback" not in told
    assert again.code == 0, again.err


def test_over_http_it_is_the_same(here: Here, served: Served) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}
    Path("site").mkdir()
    bodies = {f"r{at}": os.urandom(at * 1000) for at in range(40)} | {"A": b"1", "a": b"2"}
    for name, body in bodies.items():
        (Path("site") / name.replace("a", "%61")).write_bytes(body)

    pushed = here("kvs", "push", "site", "sync-over-http", "--create", env=env)
    pulled = here("kvs", "pull", "sync-over-http", "copy", env=env)
    again = here("kvs", "sync", "sync-over-http", "./copy", "--delete", env=env)
    exact = here("kvs", "sync", "./site", "sync-over-http", "--checksum", env=env)

    assert [done.code for done in (pushed, pulled, again, exact)] == [0, 0, 0, 0]
    assert (again.out, exact.out) == ("", "")
    assert len(pushed.lines()) == len(pulled.lines()) == len(bodies)
    assert files("copy") == files("site")
    for file in Path("site").iterdir():
        if file.name[0] != ".":
            assert Path("copy", file.name).read_bytes() == file.read_bytes()


@pytest.mark.slow
def test_a_large_record_is_streamed(here: Here) -> None:
    """250 MB go both ways in a memory that could not hold them."""
    size = 250 * 1024**2
    (here.folder / "in").mkdir()
    with (here.folder / "in/big").open("wb") as file:
        file.truncate(size)
    here("kvs", "create", "files")

    def peak_kb(*words: str) -> int:
        # Asked of a small process between: a child counts the memory of who forks it.
        between = (
            "import resource, subprocess, sys;"
            "subprocess.run([sys.executable, '-m', 'storectl', *sys.argv[1:]], check=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", between, *words],
            env=here.env,
            cwd=here.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stderr.split()[-1])

    assert peak_kb("kvs", "push", "in", "files") < 150_000
    assert peak_kb("kvs", "pull", "files", "out") < 150_000
    assert (here.folder / "out/big").stat().st_size == size
