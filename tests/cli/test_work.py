"""queue work: a program for every request, its locks, its output, and what crashes leave."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Done, Here, Served

URLS = [f"https://example.com/{n}" for n in range(12)]
PRINT = ["sh", "-c", 'printf \'{"url":"%s"}\\n\' "$1"', "sh", "{url}"]
WRITE = ["sh", "-c", 'echo "$1" >> ran.txt', "sh", "{url}"]


@pytest.fixture(params=["embedded", "served"])
def anywhere(request: pytest.FixtureRequest, here: Here) -> Here:
    """A command line on a store of its own, or on a server."""
    if request.param == "served":
        served: Served = request.getfixturevalue("served")
        here.env |= {"STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}
        del here.env["STORECTL_STORE"]
    return here


@pytest.fixture
def crawl(anywhere: Here) -> str:
    """A queue of twelve requests, of a name that no other test has."""
    name = f"crawl-{os.urandom(4).hex()}"
    anywhere("queue", "add", name, *URLS, "--create")
    return name


def states(here: Here, queue: str) -> Counter[str]:
    listed = here("queue", "requests", queue, "--json").json()["items"]
    return Counter(one["state"] for one in listed)


def lock_end(here: Here, queue: str) -> str:
    """When the lock of the only request of a queue is over."""
    [one] = here("queue", "requests", queue, "--json").json()["items"]
    return str(one["lockExpiresAt"])


def collected(here: Here, dataset: str) -> list[str]:
    return [json.loads(line)["url"] for line in here("dataset", "items", dataset).lines()]


def ran(here: Here) -> list[str]:
    """What the children have written, line by line."""
    path = here.folder / "ran.txt"
    return path.read_text().splitlines() if path.exists() else []


def until(true: Callable[[], Any], secs: float = 60) -> None:
    end = time.monotonic() + secs
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def add_raw(here: Here, queue: str, **request: Any) -> str:
    """Add a request as an API client may send it; what its URL is nobody checks."""
    request = {"uniqueKey": request["url"] or "-", **request}
    done = here("queue", "add", queue, "-i", "-", "--create", stdin=json.dumps(request))
    assert done.code == 0, done.err
    return done.out.strip()


# What a child gets


def test_every_request_is_run_once_and_handled(anywhere: Here, crawl: str) -> None:
    done = anywhere("queue", "work", crawl, "-j", "3", "--", *WRITE)

    assert done.code == 0, done.err
    assert sorted(ran(anywhere)) == sorted(URLS)
    outcomes = [json.loads(line) for line in done.lines()]
    assert {one["url"] for one in outcomes} == set(URLS)
    assert {one["outcome"] for one in outcomes} == {"handled"}
    assert states(anywhere, crawl) == {"handled": 12}
    assert f"Handled 12 requests of '{crawl}'" in done.err


def test_one_child_at_a_time_runs_them_in_the_order_of_the_queue(here: Here) -> None:
    here("queue", "add", "crawl", *URLS, "--create")

    here("queue", "work", "crawl", "--", *WRITE)

    assert ran(here) == URLS


HOSTILE = [
    "https://example.com/; rm -rf ran.txt",
    "https://example.com/$(touch pwned)`touch pwned`",
    "https://example.com/\n--output=/etc/passwd\n",
    "https://example.com/' \" \\ * ? ~ é\u2028\x1b[2J",
    "{id} {uniqueKey} %s",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_one_argument_and_nothing_else(here: Here, url: str) -> None:
    add_raw(here, "crawl", url=url)
    show = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ), sys.stdin.read()],"

    done = here(
        "queue", "work", "crawl", "--",
        sys.executable, "-c", f"{show} open('seen.json', 'w'))", "<{url}>", "{url}", "{uniqueKey}",
    )  # fmt: skip

    assert done.code == 0, done.err
    arguments, environ, stdin = json.loads((here.folder / "seen.json").read_text())
    assert arguments == [f"<{url}>", url, url]
    assert environ["STORECTL_REQUEST_URL"] == url
    assert json.loads(stdin)["url"] == url
    assert not (here.folder / "pwned").exists()


def test_a_url_cannot_become_an_option(here: Here) -> None:
    id = add_raw(here, "crawl", url="--output=x")

    done = here("queue", "work", "crawl", "--", *WRITE)

    assert done.code == 7
    assert ran(here) == []
    (told,) = [json.loads(line) for line in done.lines()]
    assert (told["outcome"], told["id"]) == ("failed", id)
    assert "begins with a hyphen" in told["error"]
    assert states(here, "crawl") == {"failed": 1}


def test_behind_two_hyphens_of_its_own_it_is_an_argument_as_any(here: Here) -> None:
    add_raw(here, "crawl", url="-e")

    done = here(
        "queue", "work", "crawl", "--", "sh", "-c", 'echo "$2" >> ran.txt', "--", "--", "{url}"
    )

    assert done.code == 0, done.err
    assert ran(here) == ["-e"]


def test_what_no_argument_can_hold_fails_and_the_rest_goes_on(here: Here) -> None:
    add_raw(here, "crawl", url="https://example.com/\0x")
    add_raw(here, "crawl", url="https://example.com/" + "x" * 3_000_000)
    add_raw(here, "crawl", url=URLS[0])

    done = here("queue", "work", "crawl", "--", *WRITE)

    assert done.code == 7
    assert ran(here) == [URLS[0]]
    errors = [json.loads(line).get("error", "") for line in done.lines()]
    assert any("NUL" in error for error in errors)
    assert any("too long" in error for error in errors)


def test_a_child_gets_the_whole_request_on_stdin_and_in_variables(here: Here) -> None:
    request = {
        "url": URLS[0], "uniqueKey": "k", "method": "POST", "payload": "x" * 200_000,
        "userData": {"label": "é"}, "headers": {"a": "b"}, "odd": [None],
    }  # fmt: skip
    id = add_raw(here, "crawl", **request)
    show = "import json, os, sys; json.dump([dict(os.environ), json.load(sys.stdin)],"

    done = here("queue", "work", "crawl", "--", sys.executable, "-c", f"{show} open('o', 'w'))")

    assert done.code == 0, done.err
    environ, stdin = json.loads((here.folder / "o").read_text())
    told = {name[17:]: environ[name] for name in environ if name.startswith("STORECTL_REQUEST_")}
    assert told == {
        "ID": id, "URL": URLS[0], "UNIQUE_KEY": "k", "METHOD": "POST", "RETRY_COUNT": "",
        "LOADED_URL": "", "HEADERS": '{"a":"b"}', "USER_DATA": '{"label":"é"}',
    }  # fmt: skip
    assert {name: stdin[name] for name in request} == request


def test_a_child_that_reads_nothing_and_says_much_blocks_nothing(here: Here) -> None:
    add_raw(here, "crawl", url=URLS[0], payload="x" * 1_000_000)

    done = here("queue", "work", "crawl", "--", "sh", "-c", "seq 200000; seq 200000 >&2")

    assert done.code == 0
    assert len(done.lines()) == 1
    assert done.err.count("\n199999\n") == 2


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        (["no-such-program", "{url}"], 3, "no such program"),
        (["{url}"], 2, "choose the program"),
        (["./{id}"], 2, "choose the program"),
        ([], 2, "CMD"),
    ],
)
def test_a_program_is_looked_for_before_anything_is_locked(
    here: Here, command: list[str], code: int, why: str
) -> None:
    add_raw(here, "crawl", url=URLS[0])

    done = here("queue", "work", "crawl", "--", *command)

    assert (done.code, done.out) == (code, "")
    assert why in done.err
    assert states(here, "crawl") == {"pending": 1}


# What becomes of it


def test_a_failure_is_repeated_and_then_handled_as_failed(anywhere: Here) -> None:
    name = f"fail-{os.urandom(4).hex()}"
    id = add_raw(anywhere, name, url=URLS[0])
    fail = [
        "sh",
        "-c",
        'echo x >> ran.txt; echo one >&2; echo "no: $(wc -l < ran.txt)" >&2; exit 3',
    ]

    done = anywhere("queue", "work", name, "--max-retries", "2", "--", *fail)

    assert done.code == 7
    outcomes = [json.loads(line) for line in done.lines()]
    assert [one["outcome"] for one in outcomes] == ["retry", "retry", "failed"]
    assert {one["exit"] for one in outcomes} == {3}
    request = anywhere("queue", "get", name, id).json()
    assert [text.split() for text in request["errorMessages"]] == [
        ["no:", str(n)] for n in (1, 2, 3)
    ]
    assert request["retryCount"] == 2
    assert states(anywhere, name) == {"failed": 1}


def test_a_request_that_must_not_be_repeated_is_not(here: Here) -> None:
    add_raw(here, "crawl", url=URLS[0], noRetry=True)

    done = here("queue", "work", "crawl", "--", "sh", "-c", "exit 1")

    assert [json.loads(line)["outcome"] for line in done.lines()] == ["failed"]


@pytest.mark.parametrize(("end", "why"), [("exit 9", "exit code 9"), ("kill -9 $$", "SIGKILL")])
def test_a_crash_without_a_word_says_how_the_child_ended(here: Here, end: str, why: str) -> None:
    add_raw(here, "crawl", url=URLS[0])

    done = here("queue", "work", "crawl", "--max-retries", "0", "--", "sh", "-c", end)

    assert why in json.loads(done.out)["error"]
    assert done.code == 7


def test_success_after_a_failure_counts_as_handled_and_keeps_the_message(here: Here) -> None:
    id = add_raw(here, "crawl", url=URLS[0])
    twice = ["sh", "-c", "test -e ran.txt || { touch ran.txt; echo oh >&2; exit 1; }"]

    done = here("queue", "work", "crawl", "--", *twice)

    assert done.code == 0
    assert [json.loads(line)["outcome"] for line in done.lines()] == ["retry", "handled"]
    assert states(here, "crawl") == {"handled": 1}
    assert here("queue", "get", "crawl", id).json()["errorMessages"] == ["oh"]


def test_exit_75_puts_a_request_back_once_and_leaves_it_for_the_next_run(
    anywhere: Here, crawl: str
) -> None:
    busy = ["sh", "-c", 'echo "$1" >> ran.txt; case $1 in */3) exit 75;; esac', "sh", "{url}"]

    done = anywhere("queue", "work", crawl, "-j", "2", "--", *busy)

    assert done.code == 7
    assert sorted(ran(anywhere)) == sorted(URLS)
    assert states(anywhere, crawl) == {"handled": 11, "pending": 1}
    assert "1 put back for later" in done.err
    again = anywhere("queue", "work", crawl, "--", "true")
    assert (again.code, len(again.lines())) == (0, 1)


def test_what_a_child_adds_to_the_queue_is_run_too(here: Here) -> None:
    add_raw(here, "crawl", url="https://example.com/0")
    follow = (
        'echo "$1" >> ran.txt; n=${1##*/}; '
        'test $n = 3 || "$2" -m storectl queue add crawl https://example.com/$((n + 1)) -q'
    )

    done = here("queue", "work", "crawl", "--", "sh", "-c", follow, "sh", "{url}", sys.executable)

    assert done.code == 0, done.err
    assert ran(here) == [f"https://example.com/{n}" for n in range(4)]


def test_forever_waits_for_new_requests(here: Here, crawl_forever: Any) -> None:
    until(lambda: len(ran(here)) == 12)
    here("queue", "add", "crawl", "https://example.com/new", "-q")
    until(lambda: len(ran(here)) == 13)

    crawl_forever.send_signal(signal.SIGTERM)
    out, err = crawl_forever.communicate(timeout=60)

    assert crawl_forever.returncode == 143
    assert len(out.splitlines()) == 13
    assert b"Handled 13 requests" in err


@pytest.fixture
def crawl_forever(here: Here) -> Any:
    here("queue", "add", "crawl", *URLS, "--create")
    return here.start("queue", "work", "crawl", "--forever", "--", *WRITE)


# What is collected


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ('{"a": 1.0}', ['{"a": 1.0}']),
        ('{"a": 1}\n{"b": 2}\n', ['{"a": 1}', '{"b": 2}']),
        ('[{"a": 1},\n {"b": 2}]', ['{"a": 1}', '{"b": 2}']),
        ('{\n  "a": 1\n}\n', ['{   "a": 1 }']),
    ],
)
def test_the_output_of_a_child_is_json_or_json_lines(
    here: Here, text: str, items: list[str]
) -> None:
    add_raw(here, "crawl", url=URLS[0])
    (here.folder / "out").write_text(text)

    done = here("queue", "work", "crawl", "--collect", "pages", "--create", "--", "cat", "out")

    assert done.code == 0, done.err
    assert json.loads(done.out)["items"] == len(items)
    found = here("dataset", "items", "pages").lines()
    assert list(map(json.loads, found)) == list(map(json.loads, items))


@pytest.mark.parametrize("text", ["hello", '{"a": 1}\n{"b": ', "[1]", "null"])
def test_output_that_is_no_json_is_a_failure_and_nothing_of_it_is_kept(
    here: Here, text: str
) -> None:
    add_raw(here, "crawl", url=URLS[0])
    (here.folder / "out").write_text(text)
    collect = ("--collect", "pages", "--create", "--max-retries", "0")

    done = here("queue", "work", "crawl", *collect, "--", "cat", "out")

    assert done.code == 7
    assert "JSON" in json.loads(done.out)["error"]
    assert here("dataset", "items", "pages").out == ""
    assert states(here, "crawl") == {"failed": 1}


def test_what_is_retried_on_purpose_is_collected_again(here: Here) -> None:
    add_raw(here, "crawl", url=URLS[0])
    work = ("queue", "work", "crawl", "--collect", "pages", "--create", "--", *PRINT)

    here(*work)
    here("queue", "retry", "crawl", "--state", "handled")
    here(*work)

    assert collected(here, "pages") == [URLS[0]] * 2


# Locks and crashes


def test_locks_are_held_for_as_long_as_a_child_runs(here: Here) -> None:
    add_raw(here, "crawl", url=URLS[0])
    waiting = ["sh", "-c", "until test -e go; do sleep 0.1; done"]
    process = here.start("queue", "work", "crawl", "--lock-secs", "8", "--", *waiting)
    until(lambda: states(here, "crawl") == {"locked": 1})

    first = lock_end(here, "crawl")
    while lock_end(here, "crawl") == first:
        assert here("queue", "lock", "crawl", "-q").out == ""
        time.sleep(0.05)
    (here.folder / "go").touch()
    out, _ = process.communicate(timeout=60)

    assert json.loads(out)["outcome"] == "handled"


def test_a_lock_that_is_lost_ends_its_child_and_writes_nothing(here: Here) -> None:
    add_raw(here, "crawl", url=URLS[0])
    process = here.start(
        "queue", "work", "crawl", "--lock-secs", "2", "--client-key", "me",
        "--collect", "pages", "--create", "--", "sh", "-c", "echo '{}'; sleep 600",
    )  # fmt: skip
    until(lambda: states(here, "crawl") == {"locked": 1})

    here("queue", "unlock", "crawl", "--client-key", "me")
    taken = here("queue", "lock", "crawl", "--secs", "600", "-q")
    out, _ = process.communicate(timeout=60)

    assert len(taken.lines()) == 1
    assert json.loads(out)["outcome"] == "lost"
    assert states(here, "crawl") == {"locked": 1}
    assert here("dataset", "items", "pages").out == ""


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_children_and_gives_the_locks_back(
    anywhere: Here, crawl: str, how: signal.Signals, code: int
) -> None:
    slow = ["sh", "-c", "echo $$ >> ran.txt; sleep 600 & wait"]
    process = anywhere.start("queue", "work", crawl, "-j", "3", "--", *slow)
    until(lambda: len(ran(anywhere)) == 3)

    process.send_signal(how)
    out, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert {json.loads(line)["outcome"] for line in out.splitlines()} == {"released"}
    assert b"Traceback" not in err
    assert states(anywhere, crawl) == {"pending": 12}
    assert not any(Path(f"/proc/{pid}").exists() for pid in ran(anywhere))
    assert anywhere("queue", "head", crawl, "-q").lines() != []


def test_a_child_that_does_not_listen_is_killed(here: Here) -> None:
    add_raw(here, "crawl", url=URLS[0])
    deaf = ["sh", "-c", "trap '' TERM; echo $$ >> ran.txt; while :; do sleep 1; done"]
    process = here.start("queue", "work", "crawl", "--", *deaf)
    until(lambda: len(ran(here)) == 1)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == 143
    assert states(here, "crawl") == {"pending": 1}
    assert not Path(f"/proc/{ran(here)[0]}").exists()


def test_what_a_child_left_running_does_not_hold_it_up(here: Here) -> None:
    add_raw(here, "crawl", url=URLS[0])

    done = here("queue", "work", "crawl", "--", "sh", "-c", "sleep 600 & exit 0")

    assert done.code == 0  # at all: longer than that no test waits


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.3, 0.45, 0.6, 0.8])
def test_after_kill_9_a_second_run_handles_all_and_collects_nothing_twice(
    anywhere: Here, delay: float
) -> None:
    name = f"kill-{os.urandom(4).hex()}"
    urls = "\n".join(f"https://example.com/{n}" for n in range(150))
    anywhere("queue", "add", name, "-i", "-", "--create", stdin=urls)
    work = ("queue", "work", name, "-j", "4", "--lock-secs", "2", "--client-key", "me")
    work += ("--collect", name, "--create", "--", *PRINT)

    process = anywhere.start(*work)
    time.sleep(delay)
    process.kill()
    process.communicate()
    done = anywhere(*work)

    assert done.code == 0, done.err
    assert states(anywhere, name) == {"handled": 150}
    assert sorted(collected(anywhere, name)) == sorted(urls.split())


def test_a_run_that_dies_between_collecting_and_marking_collects_once(
    anywhere: Here, tmp_path: Path
) -> None:
    """The worst moment for kill -9, and the second visit finds other data."""
    name = f"worst-{os.urandom(4).hex()}"
    add_raw(anywhere, name, url=URLS[0])
    work = ("queue", "work", name, "--client-key", "me", "--collect", name, "--create", "--")
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, signal, sys\n"
        "from storectl.transfer.work import Shift\n"
        "Shift._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from storectl.__main__ import main\n"
        "main()\n"
    )
    import subprocess

    first = subprocess.run(
        [sys.executable, script, *work, "date", '+{"url":"first","at":"%N"}'],
        env=anywhere.env, cwd=anywhere.folder, capture_output=True,
    )  # fmt: skip
    second = anywhere(*work, "date", '+{"url":"second","at":"%N"}')

    assert first.returncode == -signal.SIGKILL
    assert second.code == 0
    assert states(anywhere, name) == {"handled": 1}
    assert collected(anywhere, name) == ["first"]


@pytest.mark.slow
def test_two_runs_on_one_queue_never_hold_a_request_twice(anywhere: Here) -> None:
    name = f"two-{os.urandom(4).hex()}"
    urls = "\n".join(f"https://example.com/{n}" for n in range(200))
    anywhere("queue", "add", name, "-i", "-", "--create", stdin=urls)
    # Nobody begins before both have. A folder of a name can be made once: whoever comes
    # second would see it.
    once = (
        'touch "run-$PPID"; until test "$(ls -d run-* | wc -l)" = 2; do sleep 0.02; done; '
        'mkdir "$1" 2>/dev/null || echo "$1" >> ran.txt; sleep 0.01; rmdir "$1"'
    )
    work = ("queue", "work", name, "-j", "4", "--", "sh", "-c", once, "sh", "{id}")

    runs = [anywhere.start(*work) for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in runs]

    assert [process.returncode for process in runs] == [0, 0], [err for _, err in ends]
    outs = [out.splitlines() for out, _ in ends]
    handled = [json.loads(line)["url"] for out in outs for line in out]
    assert ran(anywhere) == []
    assert sorted(handled) == sorted(urls.split())
    assert all(outs), "one of them had nothing to do"
    assert states(anywhere, name) == {"handled": 200}


def test_a_failure_of_the_store_ends_the_run(here: Here) -> None:
    here("queue", "add", "crawl", *URLS, "--create")
    remove = [sys.executable, "-m", "storectl", "queue", "rm", "crawl", "-y"]

    done = here("queue", "work", "crawl", "--", *remove)

    assert done.code == 3
    assert "not found" in done.err
    assert "Traceback" not in done.err


# On a terminal


def test_a_terminal_gets_a_line_of_status_and_no_control_characters(here: Here) -> None:
    for url in URLS[:3]:
        add_raw(here, "crawl", url=url)
    say = ["sh", "-c", "printf 'a\\033]0;evil\\007b\\n' >&2; sleep 0.7; test {id} != x"]

    done = here.on_terminal("queue", "work", "crawl", "--", *say)

    assert done.code == 0
    assert "a\\x1b]0;evil\\x07b" in done.out
    assert "\x1b]0" not in done.out
    assert "1 running" in done.out
    assert "Handled 3 requests of 'crawl'" in done.out


def test_forms_of_output(here: Here) -> None:
    here("queue", "add", "crawl", *URLS[:2], "--create")
    here("queue", "add", "other", *URLS[:2], "--create")

    quiet: Done = here("queue", "work", "crawl", "-q", "--", "true")
    whole: Done = here("queue", "work", "other", "--json", "--", "true")

    assert (len(quiet.lines()), quiet.err) == (2, "")
    assert [one["outcome"] for one in whole.json()["items"]] == ["handled"] * 2
