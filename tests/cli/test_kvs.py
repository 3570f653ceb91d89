"""kvs keys, get, set and unset: bytes in, bytes out, and none lost on the way."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from storectl.engine import open_store
from storectl.model.kvs import Record

from .conftest import Cli, Done, Here, Served

EVERY_BYTE = bytes(range(256)) * 40


@pytest.fixture
def box(here: Here) -> Here:
    assert here("kvs", "create", "box").code == 0
    return here


def stored(folder: Path, key: str, ref: str = "~box") -> tuple[bytes, str]:
    """The bytes and the type of a record, read without the command line."""
    store = open_store(str(folder / "store"))
    try:
        record = store.kvs.record(ref, key)
        return b"".join(record.body), record.content_type
    finally:
        store.close()


def put(folder: Path, key: str, body: bytes, type: str, encoding: str | None = None) -> None:
    store = open_store(str(folder / "store"))
    record = Record(key=key, content_type=type, content_encoding=encoding, body=(body,))
    store.kvs.create("box")
    store.kvs.put("~box", record)
    store.close()


# Writing is the first promise: what a real pipe or file gives arrives, all of it.


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 131_073, 3_000_000])
@pytest.mark.parametrize("way", ["pipe", "pipe as -", "file on stdin", "file", "named pipe"])
def test_every_byte_arrives_however_it_comes(cli: Cli, size: int, way: str) -> None:
    body = (EVERY_BYTE * (size // len(EVERY_BYTE) + 1))[:size]
    file = cli.folder / "body"
    file.write_bytes(body)
    command = ["kvs", "set", "box", "key", "--create"]

    if way == "pipe":
        done = cli(*command, stdin=body)
    elif way == "pipe as -":
        done = cli(*command, "-", stdin=body)
    elif way == "file":
        done = cli(*command, "body")
    elif way == "file on stdin":
        with file.open("rb") as stream:
            process = cli.start(*command, stdin=stream)
            done = Done(*_ended(process))
    else:
        os.mkfifo(cli.folder / "fifo")
        writer = subprocess.Popen(["cp", str(file), str(cli.folder / "fifo")])
        done = cli(*command, "fifo")
        writer.wait(60)

    assert (done.code, done.out) == (0, "key\n")
    assert hashlib.sha256(stored(cli.folder, "key")[0]).digest() == hashlib.sha256(body).digest()


def _ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def test_a_slow_pipe_is_read_to_its_end(cli: Cli) -> None:
    slowly = "import time, sys\nfor at in range(5):\n print(at, flush=True); time.sleep(0.1)"
    producer = subprocess.Popen([sys.executable, "-c", slowly], stdout=subprocess.PIPE)

    process = cli.start("kvs", "set", "box", "key", "--create", stdin=producer.stdout)

    assert _ended(process)[0] == 0
    producer.wait(60)
    assert stored(cli.folder, "key")[0] == b"0\n1\n2\n3\n4\n"


@pytest.mark.parametrize("way", ["pipe", "closed pipe", "/dev/null", "file", "--value"])
def test_nothing_is_not_stored_as_a_value(cli: Cli, way: str) -> None:
    cli("kvs", "set", "box", "key", "--value", "before", "--create")
    (cli.folder / "empty").write_bytes(b"")
    command = ["kvs", "set", "box", "key"]

    if way == "/dev/null":
        done = Done(*_ended(cli.start(*command, stdin=subprocess.DEVNULL)))
    elif way == "file":
        done = cli(*command, "empty")
    elif way == "--value":
        done = cli(*command, "--value", "")
    elif way == "closed pipe":
        producer = subprocess.Popen(["true"], stdout=subprocess.PIPE)
        done = Done(*_ended(cli.start(*command, stdin=producer.stdout)))
        producer.wait(60)
    else:
        done = cli(*command, stdin=b"")

    assert (done.code, done.out) == (2, "")
    assert "is empty; nothing was stored" in done.err
    assert stored(cli.folder, "key")[0] == b"before"


def test_nothing_is_stored_if_it_is_meant(cli: Cli) -> None:
    done = cli("kvs", "set", "box", "key", "--create", "--allow-empty", stdin=b"")

    assert done.code == 0
    assert stored(cli.folder, "key")[0] == b""
    assert cli("kvs", "get", "box", "key").out == ""


def test_a_server_gets_every_byte_too(served: Served, cli: Cli) -> None:
    env = {
        "STORECTL_STORE": "",
        "STORECTL_SERVER": served.url,
        "STORECTL_TOKEN": served.token,
    }
    body = os.urandom(9_000_000)  # over what is spooled in memory

    done = cli("kvs", "set", "remote-box", "key", "--create", stdin=body, env=env)
    process = cli.start("kvs", "get", "remote-box", "key", env=env)
    got, _ = process.communicate(timeout=60)

    assert (done.code, done.out) == (0, "key\n")
    assert got == body
    assert cli("kvs", "keys", "remote-box", env=env).out.startswith("key\t9000000\t")


def test_a_file_that_grows_while_it_is_sent_is_no_short_record(box: Here, tmp_path: Path) -> None:
    """/proc/self/stat says 0 bytes and has more: as a file does that was grown in between."""
    done = box("kvs", "set", "box", "key", "/proc/self/stat")

    assert done.code == 2
    assert "does not have the 0 bytes it announced" in done.err
    assert box("kvs", "keys", "box").out == ""


@pytest.mark.parametrize(
    ("key", "file", "content", "type"),
    [
        ("a", "a.json", b"{}", "application/json"),
        ("a", "a.PNG", b"x", "image/png"),
        ("a", "a.csv.gz", b"x", "application/gzip"),
        ("a", "a.jsonl", b"{}\n{}\n", "application/jsonl"),
        ("a", "a.html", b"<p>", "text/html"),
        ("photo.jpg", "blob", b"x", "image/jpeg"),
        ("photo.jpg", "a.txt", b"x", "text/plain"),
        ("INPUT", "blob", b' {"a": 1}\n', "application/json; charset=utf-8"),
        ("INPUT", "blob", b"[]", "application/json; charset=utf-8"),
        ("INPUT", "blob", b"{a: 1}", "text/plain; charset=utf-8"),
        ("INPUT", "blob", b"42", "text/plain; charset=utf-8"),
        ("INPUT", "blob", "žluť".encode(), "text/plain; charset=utf-8"),
        ("INPUT", "blob", b"\xff\xfe", "application/octet-stream"),
        ("INPUT", "blob", b"a\x00b", "application/octet-stream"),
        ("INPUT", "blob", b"a" * 70_000, "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_suffix_or_of_the_bytes(
    box: Here, tmp_path: Path, key: str, file: str, content: bytes, type: str
) -> None:
    (tmp_path / file).write_bytes(content)

    done = box("kvs", "set", "box", key, file, "--json")

    assert done.json() == {"key": key, "size": len(content), "contentType": type}
    assert stored(tmp_path, key) == (content, type)


def test_a_type_that_is_given_goes_first(box: Here, tmp_path: Path) -> None:
    assert box("kvs", "set", "box", "a.json", "--value", "x", "--type", "text/x-own").code == 0
    assert box("kvs", "set", "box", "b", "--value", "x", "--type", "nonsense").code == 2

    assert stored(tmp_path, "a.json") == (b"x", "text/x-own")


@pytest.mark.parametrize("how", [["--type", "application/json"], ["--type", "text/x+json"]])
def test_a_value_that_is_to_be_json_is_checked(box: Here, how: list[str]) -> None:
    done = box("kvs", "set", "box", "key", "--value", '{"a": 1,}', *how)

    assert done.code == 2
    assert "--value is not JSON" in done.err
    assert "line 1, column" in done.err
    assert box("kvs", "keys", "box").out == ""


def test_a_value_keeps_its_bytes(box: Here, tmp_path: Path) -> None:
    box("kvs", "set", "box", "key", "--value", '{"z": 1.0, "a":  "ž"}')

    assert stored(tmp_path, "key")[0] == '{"z": 1.0, "a":  "ž"}'.encode()


def test_one_source_at_a_time(box: Here, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    assert box("kvs", "set", "box", "key", "file", "--value", "y").code == 2


def test_a_file_that_is_not_there_is_said(box: Here, tmp_path: Path) -> None:
    missing = box("kvs", "set", "box", "key", '{"a": 1}')
    folder = box("kvs", "set", "box", "key", str(tmp_path))

    assert (missing.code, folder.code) == (3, 2)
    assert "--value TEXT" in missing.err
    assert "is a folder" in folder.err


def test_a_store_is_made_only_if_asked(here: Here) -> None:
    refused = here("kvs", "set", "new", "key", "--value", "x")
    made = here("kvs", "set", "new", "key", "--value", "x", "--create")
    again = here("kvs", "set", "new", "key", "--value", "y", "--create")

    assert (refused.code, made.code, again.code) == (3, 0, 0)
    assert "--create" in refused.err
    assert here("kvs", "get", "new", "key").out == "y"


def test_a_record_that_is_there_can_be_kept(box: Here) -> None:
    first = box("kvs", "set", "box", "key", "--value", "a", "--no-clobber")
    second = box("kvs", "set", "box", "key", "--value", "b", "--no-clobber")

    assert (first.code, second.code, second.out) == (0, 6, "")
    assert box("kvs", "get", "box", "key").out == "a"


@pytest.mark.parametrize("key", ["a/b", "a b", "x" * 257, ""])
def test_what_is_no_key_is_refused(box: Here, key: str) -> None:
    for verb in (["set", "box", key, "--value", "x"], ["get", "box", key], ["unset", "box", key]):
        done = box("kvs", *verb)
        assert done.code == 2
        assert "Record key" in done.err


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_pipe_gets_the_exact_bytes_unpacked(cli: Cli, encoding: str | None) -> None:
    body = gzip.compress(EVERY_BYTE) if encoding else EVERY_BYTE
    put(cli.folder, "key", body, "application/x-own", encoding)

    process = cli.start("kvs", "get", "box", "key")

    assert process.communicate(timeout=60)[0] == EVERY_BYTE


def test_raw_bytes_are_those_that_are_stored(cli: Cli) -> None:
    packed = gzip.compress(EVERY_BYTE)
    put(cli.folder, "key", packed, "application/x-own", "gzip")

    process = cli.start("kvs", "get", "box", "key", "--raw")

    assert process.communicate(timeout=60)[0] == packed


def test_what_is_not_packed_as_it_says_can_still_be_had(cli: Cli) -> None:
    put(cli.folder, "key", b"not gzip", "text/plain", "gzip")

    refused = cli("kvs", "get", "box", "key")

    assert (refused.code, refused.out) == (2, "")
    assert "--raw" in refused.err
    assert cli("kvs", "get", "box", "key", "--raw").out == "not gzip"


def test_a_file_appears_whole_or_not_at_all(box: Here, tmp_path: Path) -> None:
    put(tmp_path, "good", EVERY_BYTE, "image/png")
    put(tmp_path, "bad", gzip.compress(os.urandom(400_000))[:-9], "image/png", "gzip")
    (tmp_path / "bad.png").write_bytes(b"before")

    good = box("kvs", "get", "box", "good", "-o", "good.png")
    bad = box("kvs", "get", "box", "bad", "-o", "bad.png")

    assert (good.code, good.out) == (0, "")
    assert "10.2 kB of image/png to good.png" in good.err
    assert (tmp_path / "good.png").read_bytes() == EVERY_BYTE
    assert bad.code == 2
    assert (tmp_path / "bad.png").read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["bad.png", "good.png"]


def test_a_folder_is_no_file_to_write(box: Here, tmp_path: Path) -> None:
    put(tmp_path, "key", b"x", "text/plain")

    done = box("kvs", "get", "box", "key", "-o", str(tmp_path))

    assert done.code == 2
    assert f"{tmp_path}/key" in done.err


def test_json_of_a_record_is_its_value(box: Here, tmp_path: Path) -> None:
    put(tmp_path, "object", b'{ "a": [1.5, null] }', "application/json; charset=utf-8")
    put(tmp_path, "text", "ahoj\n🙂".encode(), "text/plain")
    put(tmp_path, "bytes", b"\xff", "image/png")
    put(tmp_path, "broken", b"{", "application/json")

    assert box("kvs", "get", "box", "object", "--json").json() == {"a": [1.5, None]}
    assert box("kvs", "get", "box", "text", "--json").json() == "ahoj\n🙂"
    assert box("kvs", "get", "box", "bytes", "--json").code == 2
    assert box("kvs", "get", "box", "broken", "--json").code == 2


def test_a_head_has_no_value(box: Here, tmp_path: Path) -> None:
    packed = gzip.compress(b"x" * 999)
    put(tmp_path, "key", packed, "text/html", "gzip")

    done = box("kvs", "get", "box", "key", "--head", "--json")

    assert done.json() == {
        "key": "key",
        "contentType": "text/html",
        "contentEncoding": "gzip",
        "size": len(packed),
    }


def test_what_is_missing_is_not_found(box: Here) -> None:
    for verb in (
        ["get", "box", "no"],
        ["get", "box", "no", "--head"],
        ["unset", "box", "no", "-y"],
    ):
        done = box("kvs", *verb)
        assert (done.code, done.out) == (3, "")
        assert "has no record 'no'" in done.err
    assert box("kvs", "get", "nothing", "no").code == 3


def test_a_reader_that_has_enough_is_no_failure(cli: Cli) -> None:
    put(cli.folder, "key", b"line\n" * 1_000_000, "text/plain")

    process = cli.start("kvs", "get", "box", "key")
    assert process.stdout.read(5) == b"line\n"
    process.stdout.close()

    assert process.wait(60) == 141
    assert process.stderr.read() == b""


def test_text_is_shown_on_a_terminal_and_cannot_steer_it(cli: Cli) -> None:
    put(cli.folder, "key", "a\x1b[2Jž\nno newline".encode(), "image/png")

    done = cli.on_terminal("kvs", "get", "box", "key")

    assert (done.code, done.out) == (0, "a\\x1b[2Jž\nno newline\n")


@pytest.mark.parametrize("body", [b"\x89PNG\r\n\x1a\n\x00", b"text\x00", b"\xff" * 10])
def test_binary_is_not_thrown_at_a_terminal(cli: Cli, body: bytes) -> None:
    put(cli.folder, "shot", body, "image/png")

    done = cli.on_terminal("kvs", "get", "box", "shot")

    assert done.code == 2
    assert "is image/png, not text" in done.out
    assert "-o shot" in done.out


def test_text_cut_inside_of_a_letter_is_text(cli: Cli) -> None:
    """The first block of a large record ends wherever it ends."""
    body = b"x" + "ž".encode() * 200_000
    put(cli.folder, "key", body, "text/plain")

    done = cli.on_terminal("kvs", "get", "box", "key")

    assert done.code == 0
    assert done.out == body.decode() + "\n"


def test_setting_on_a_terminal_needs_a_source(cli: Cli) -> None:
    done = cli.on_terminal("kvs", "set", "box", "key", "--create")

    assert done.code == 2
    assert "no value: name a FILE" in done.out


def test_people_are_told_size_and_type(cli: Cli) -> None:
    done = cli.on_terminal("kvs", "set", "box", "key", "--value", "x" * 1500, "--create")

    assert done.out.splitlines()[-1] == ("Set 'key' of 'box': 1.5 kB, text/plain; charset=utf-8")


@pytest.fixture
def shots(box: Here, tmp_path: Path) -> Here:
    """Five records."""
    for key in ("shot-1.png", "shot-2.png", "shot-10.jpg", "OUTPUT", "x"):
        put(tmp_path, key, b"12345", "image/png")
    return box


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["OUTPUT", "shot-1.png", "shot-10.jpg", "shot-2.png", "x"]),
        (["--prefix", "shot"], ["shot-1.png", "shot-10.jpg", "shot-2.png"]),
        (["--glob", "*.png"], ["shot-1.png", "shot-2.png"]),
        (["--glob", "shot-?.*"], ["shot-1.png", "shot-2.png"]),
        (["--glob", "output"], []),
        (["--glob", "*1*", "--prefix", "shot-1."], ["shot-1.png"]),
        (["--glob", "shot-1*", "--prefix", "s"], ["shot-1.png", "shot-10.jpg"]),
        (["--glob", "x", "--prefix", "shot"], []),
        (["--limit", "2"], ["OUTPUT", "shot-1.png"]),
        (["--limit", "0"], []),
        (["--prefix", "%"], []),
    ],
)
def test_keys_are_selected(shots: Here, options: list[str], expected: list[str]) -> None:
    done = shots("kvs", "keys", "box", *options)

    assert [line.split("\t")[0] for line in done.lines()] == expected
    assert shots("kvs", "keys", "box", *options, "-q").lines() == expected


def test_keys_have_size_and_type(shots: Here) -> None:
    piped = shots("kvs", "keys", "box", "--prefix", "x")
    listed = shots("kvs", "keys", "box", "--limit", "1", "--json=key,size").json()

    assert piped.out == "x\t5\timage/png\n"
    assert listed == {"items": [{"key": "OUTPUT", "size": 5}], "total": None, "truncated": True}
    assert shots("kvs", "keys", "box", "--json").json()["total"] == 5


def test_all_keys_are_listed_beyond_a_page(box: Here, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    for at in range(2345):
        store.kvs.put("~box", Record(key=f"k{at:05}", content_type="a/b", body=(b"x",)))
    store.close()

    assert len(box("kvs", "keys", "box", "-q").lines()) == 2345
    assert len(box("kvs", "unset", "box", "--glob", "k*9", "-y").lines()) == 234
    assert len(box("kvs", "keys", "box", "-q").lines()) == 2345 - 234


def test_a_collection_of_the_schema_is_listed(here: Here, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    store.kvs.create("box", schema={"collections": {"shots": {"keyPrefix": "shot"}}})
    store.close()
    for key in ("shot1", "other"):
        put(tmp_path, key, b"x", "text/plain")

    assert here("kvs", "keys", "box", "--collection", "shots", "-q").lines() == ["shot1"]
    assert here("kvs", "keys", "box", "--collection", "none").code == 2


def test_deleting_needs_a_yes_where_nobody_can_be_asked(shots: Here) -> None:
    refused = shots("kvs", "unset", "box", "x")

    assert (refused.code, refused.out) == (2, "")
    assert "--yes" in refused.err
    assert shots("kvs", "unset", "box", "x", "--yes").out == "x\n"
    assert "x" not in shots("kvs", "keys", "box", "-q").lines()


def test_a_key_that_is_not_there_saves_the_others(shots: Here) -> None:
    done = shots("kvs", "unset", "box", "x", "typo", "-y")

    assert (done.code, done.out) == (3, "")
    assert "x" in shots("kvs", "keys", "box", "-q").lines()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (["x", "OUTPUT", "x"], ["x", "OUTPUT"]),
        (["--prefix", "shot-1"], ["shot-1.png", "shot-10.jpg"]),
        (["--glob", "*.png"], ["shot-1.png", "shot-2.png"]),
        (["--glob", "nothing*"], []),
    ],
)
def test_a_dry_run_says_what_would_go(
    shots: Here, selection: list[str], expected: list[str]
) -> None:
    would = shots("kvs", "unset", "box", *selection, "-n")
    assert (would.code, would.lines()) == (0, expected)
    assert len(shots("kvs", "keys", "box", "-q").lines()) == 5

    done = shots("kvs", "unset", "box", *selection, "-y")

    assert (done.code, done.lines()) == (0, expected)
    assert len(shots("kvs", "keys", "box", "-q").lines()) == 5 - len(expected)


@pytest.mark.parametrize("selection", [[], ["x", "--glob", "*"], ["--prefix", ""], ["--glob", ""]])
def test_a_selection_that_may_be_a_slip_is_refused(shots: Here, selection: list[str]) -> None:
    """An empty shell variable must not mean every key."""
    assert shots("kvs", "unset", "box", *selection, "-y").code == 2
    assert len(shots("kvs", "keys", "box", "-q").lines()) == 5


def test_a_person_is_asked_with_number_and_place(cli: Cli) -> None:
    put(cli.folder, "a1", b"12345", "text/plain")
    put(cli.folder, "a2", b"12345", "text/plain")

    no = cli.on_terminal("kvs", "unset", "box", "--prefix", "a", typed="n\n")
    yes = cli.on_terminal("kvs", "unset", "box", "--prefix", "a", typed="y\n")

    assert "Delete 2 records (10 B) of 'box' of local @" in no.out
    assert no.code == 1
    assert yes.out.splitlines()[-1] == "Deleted 2 records of 'box'"


@pytest.mark.parametrize(
    ("alias", "rest"),
    [("set-value", ["--value", "x"]), ("get-value", []), ("delete-value", ["-y"])],
)
def test_verbs_of_other_tools_are_understood(shots: Here, alias: str, rest: list[str]) -> None:
    assert shots("key-value-stores", alias, "box", "x", *rest).code == 0
