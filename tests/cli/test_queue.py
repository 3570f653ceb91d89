"""queue add, requests, head, get, lock, unlock, handle, retry, rm-requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storectl.model.rules import request_id

from .conftest import Cli, Done, Here, Served

URLS = [f"https://example.com/{name}" for name in "abcde"]
IDS = [request_id(url) for url in URLS]


@pytest.fixture
def crawl(here: Here) -> str:
    """A queue of five requests."""
    assert here("queue", "add", "crawl", *URLS, "--create").lines() == IDS
    return "crawl"


def in_head(here: Here, queue: str = "crawl") -> list[str]:
    return here("queue", "head", queue, "-q").lines()


def requests(here: Here, *args: str) -> list[dict[str, Any]]:
    return here("queue", "requests", "crawl", *args, "--json").json()["items"]


def states(here: Here) -> dict[str, str]:
    """State by URL."""
    return {one["url"]: one["state"] for one in requests(here)}


# Adding


def test_adding_counts_what_is_new_there_and_handled(here: Here, crawl: str) -> None:
    here("queue", "handle", crawl, IDS[0])

    done = here("queue", "add", crawl, *URLS[:2], "https://example.com/new", "--json")

    told = done.json()
    assert (told["added"], told["alreadyPresent"], told["alreadyHandled"]) == (1, 1, 1)
    assert told["refused"] == []


def test_adding_says_so_in_a_sentence_and_gives_ids_to_a_pipe(here: Here, crawl: str) -> None:
    done = here("queue", "add", crawl, URLS[1], "https://example.com/new")

    assert done.lines() == [IDS[1], request_id("https://example.com/new")]
    assert "Added 1 request (1 was there) of 'crawl'" in done.err


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://EXAMPLE.com/a", URLS[0]),
        ("https://example.com/a/", URLS[0]),
        ("https://example.com/a#top", URLS[0]),
        ("https://example.com/a?utm_source=mail", URLS[0]),
    ],
)
def test_urls_that_lead_to_one_page_are_one_request(
    here: Here, crawl: str, url: str, same: str
) -> None:
    assert here("queue", "add", crawl, url).lines() == [request_id(same)]
    assert here("queue", "get", crawl, "--url", url).json()["url"] == same


def test_a_file_has_urls_and_requests_as_json_in_its_lines(here: Here, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(
        "\ufeffhttps://example.com/a\r\n"
        "\n"
        '{"url": "https://example.com/b", "userData": {"n": 1}, "method": "post"}\n'
        '  {"url": "https://example.com/c", "uniqueKey": "c", "odd": [null]}'
    )

    done = here("queue", "add", "crawl", "https://example.com/z", "-i", "in.txt", "--create")

    assert done.code == 0
    assert in_head(here) == done.lines()
    urls = ["https://example.com/z", URLS[0], URLS[1]]
    assert done.lines() == [*map(request_id, urls), request_id("c")]
    found = {one["uniqueKey"]: one for one in requests(here)}
    assert found[URLS[1]]["userData"] == {"n": 1}
    assert found[URLS[1]]["method"] == "POST"
    assert found["c"]["odd"] == [None]


def test_options_are_for_requests_that_do_not_say(here: Here, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text('{"url": "https://example.com/b", "method": "PUT"}\n')

    here(
        *("queue", "add", "crawl", URLS[0], "-i", "in.txt", "--create"),
        *("--method", "post", "--user-data", '{"label": "L"}'),
    )

    found = {one["url"]: one for one in requests(here)}
    assert [found[url]["method"] for url in URLS[:2]] == ["POST", "PUT"]
    assert [found[url]["userData"] for url in URLS[:2]] == [{"label": "L"}] * 2


def test_lines_come_from_stdin_with_a_dash_and_without_anything(here: Here) -> None:
    text = "\n".join(URLS)

    assert here("queue", "add", "a", "-i", "-", "--create", stdin=text).lines() == IDS
    assert here("queue", "add", "b", "--create", stdin=text).lines() == IDS


def test_a_file_of_thousands_keeps_its_order(here: Here, tmp_path: Path) -> None:
    urls = [f"https://example.com/{n}" for n in range(5000)]
    (tmp_path / "in.txt").write_text("\n".join(urls))

    assert here("queue", "add", "crawl", "-i", "in.txt", "--create").code == 0

    assert in_head(here)[:100] == [request_id(url) for url in urls[:100]]
    assert here("queue", "info", "crawl", "--json").json()["totalRequestCount"] == 5000


def test_the_front_is_before_all_others(here: Here, crawl: str) -> None:
    here("queue", "add", crawl, "https://example.com/x", "https://example.com/y", "--forefront")

    first = [request_id("https://example.com/y"), request_id("https://example.com/x")]
    assert in_head(here) == [*first, *IDS]


def test_a_unique_key_is_for_one_url(here: Here, crawl: str) -> None:
    assert here("queue", "add", crawl, URLS[0], "--unique-key", "mine").lines() == [
        request_id("mine")
    ]
    assert here("queue", "get", crawl, "--unique-key", "mine").json()["url"] == URLS[0]
    assert here("queue", "add", crawl, *URLS[:2], "--unique-key", "mine").code == 2


def test_a_bad_line_is_named_and_the_rest_goes_on(here: Here, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(
        b"https://example.com/a\nexample.com\n[1]\n"
        b'{"url": 1}\n{"url": "https://example.com/b"\n\xff\nhttps://example.com/b\n'
    )

    done = here("queue", "add", "crawl", "-i", "in.txt", "--create")

    assert done.code == 7
    assert done.lines() == IDS[:2]
    assert "error: in.txt:2: 'example.com' is not a URL" in done.err
    assert "error: in.txt:3: an array" in done.err
    assert "error: in.txt:4: Request: url must be" in done.err
    assert "error: in.txt:5: the line is not JSON" in done.err
    assert "error: in.txt:6: " in done.err
    assert "UTF-8" in done.err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nope", *URLS], 3, "request queue 'nope' not found"),
        (["crawl", "example.com"], 2, "no request could be added"),
        (["crawl", "-i", "missing.txt"], 3, "missing.txt: no such file"),
        (["crawl", "-i", "."], 2, ". is a folder"),
        (["crawl"], 2, "no requests in the input"),
        (["crawl", *URLS, "--method", "FETCH"], 2, "is not an HTTP method"),
        (["crawl", *URLS, "--user-data", "[1]"], 2, "is no JSON object"),
        (["crawl", *URLS, "--user-data", "{"], 2, "is no JSON object"),
    ],
)
def test_what_cannot_be_added_says_why(here: Here, args: list[str], code: int, said: str) -> None:
    here("queue", "create", "crawl")

    done = here("queue", "add", *args)

    assert (done.code, done.out) == (code, "")
    assert said in done.err


# Reading


def test_requests_are_listed_with_their_state(here: Here, crawl: str) -> None:
    here("queue", "lock", crawl, "--limit", "1")
    here("queue", "handle", crawl, IDS[1])
    here("queue", "handle", crawl, IDS[2], "--error", "HTTP 500")

    assert states(here) == dict(
        zip(URLS, ["locked", "handled", "failed", "pending", "pending"], strict=True)
    )
    for state, wanted in (
        ("pending", IDS[3:]),
        ("locked", IDS[:1]),
        ("handled", [IDS[1]]),
        ("failed", [IDS[2]]),
        ("locked,failed", [IDS[0], IDS[2]]),
    ):
        listed = here("queue", "requests", crawl, "--state", state, "-q").lines()
        assert listed == sorted(wanted)


def test_a_pipe_gets_requests_tab_separated(here: Here, crawl: str) -> None:
    lines = here("queue", "requests", crawl).lines()

    assert sorted(lines) == sorted(
        f"{id}\tpending\tGET\t{url}\t0\t" for id, url in zip(IDS, URLS, strict=True)
    )


def test_requests_are_selected_by_their_url(here: Here, crawl: str) -> None:
    here("queue", "add", crawl, "https://other.example/a")

    assert len(requests(here, "--url-glob", "*/a")) == 2
    assert len(requests(here, "--url-glob", "https://example.com/*")) == 5


def test_a_limit_says_that_it_cut_off(here: Here, crawl: str) -> None:
    cut = here("queue", "requests", crawl, "--limit", "2", "--json").json()
    whole = here("queue", "requests", crawl, "--limit", "5", "--json").json()

    assert (len(cut["items"]), cut["truncated"], cut["total"]) == (2, True, None)
    assert (len(whole["items"]), whole["truncated"], whole["total"]) == (5, False, 5)


def test_a_queue_may_be_empty(here: Here) -> None:
    here("queue", "create", "crawl")

    for verb in ("requests", "head"):
        done = here("queue", verb, "crawl")
        assert (done.code, done.out) == (0, "")
    assert here("queue", "lock", "crawl").err == "No requests are left in 'crawl'\n"


def test_one_request_is_shown_whole(here: Here, crawl: str) -> None:
    line = '{"url": "https://example.com/x", "payload": "p", "headers": null}'
    id = here("queue", "add", crawl, line).lines()[0]

    assert here("queue", "get", crawl, id).json() == {
        "id": id,
        "url": "https://example.com/x",
        "payload": "p",
        "headers": None,
        "uniqueKey": "https://example.com/x",
    }
    assert here("queue", "get", crawl, id, "--json=url,state").json() == {
        "url": "https://example.com/x",
        "state": "pending",
    }


@pytest.mark.parametrize("args", [[], ["ID", "--url", URLS[0]], ["--url", "example.com"]])
def test_a_request_is_named_in_one_way(here: Here, crawl: str, args: list[str]) -> None:
    assert here("queue", "get", crawl, *args).code == 2


@pytest.mark.parametrize(
    "line",
    [
        ["get", "crawl", "A" * 15],
        ["handle", "crawl", IDS[0], "A" * 15],
        ["retry", "crawl", "A" * 15],
        ["rm-requests", "crawl", IDS[0], "A" * 15, "-y"],
        ["unlock", "crawl", "A" * 15],
    ],
)
def test_an_unknown_request_is_not_found_and_nothing_is_done(
    here: Here, crawl: str, line: list[str]
) -> None:
    done = here("queue", *line)

    assert (done.code, done.out) == (3, "")
    assert f"Request queue 'crawl' has no request '{'A' * 15}'" in done.err
    assert set(states(here).values()) == {"pending"}


# Locks


def test_locked_requests_are_json_lines_in_a_pipe(here: Here, crawl: str) -> None:
    done = here("queue", "lock", crawl, "--limit", "2", "--secs", "300", "--client-key", "me")

    found = [json.loads(line) for line in done.lines()]
    assert [one["id"] for one in found] == IDS[:2]
    assert {one["lockByClient"] for one in found} == {"me"}
    assert "storectl queue unlock crawl --client-key me" in done.err
    assert in_head(here) == IDS[2:]


def test_each_lock_has_a_client_of_its_own_that_unlocks_it(here: Here, crawl: str) -> None:
    first = here("queue", "lock", crawl, "--limit", "2")
    here("queue", "lock", crawl, "--limit", "1")
    told = first.err.strip().splitlines()[-1].split()

    given_back = here(*told[1:])

    assert sorted(given_back.lines()) == sorted(IDS[:2])
    assert in_head(here) == [*IDS[:2], *IDS[3:]]


def test_more_than_25_are_locked_at_once(here: Here) -> None:
    urls = [f"https://example.com/{n}" for n in range(60)]
    here("queue", "add", "crawl", *urls, "--create")

    assert here("queue", "lock", "crawl", "--limit", "55", "-q").lines() == [
        request_id(url) for url in urls[:55]
    ]
    assert len(here("queue", "lock", "crawl", "-q").lines()) == 5
    assert (
        here("queue", "lock", "crawl").err == "All requests of 'crawl' that are left are locked\n"
    )


def test_single_requests_are_unlocked_by_who_holds_them(here: Here, crawl: str) -> None:
    here("queue", "lock", crawl, "--limit", "3", "--client-key", "me")

    foreign = here("queue", "unlock", crawl, IDS[0], "--client-key", "you")
    nobody = here("queue", "unlock", crawl, IDS[4])
    dry = here("queue", "unlock", crawl, IDS[0], "--client-key", "me", "-n")
    some = here("queue", "unlock", crawl, IDS[0], IDS[4], "--client-key", "me")
    first = here("queue", "unlock", crawl, IDS[1], "--client-key", "me", "--forefront")

    assert (foreign.code, nobody.code, dry.code, some.code, first.code) == (6, 6, 0, 7, 0)
    assert "is locked by this client" in foreign.err
    assert dry.lines() == some.lines() == IDS[:1]
    assert in_head(here) == [IDS[1], IDS[3], IDS[4], IDS[0]]


def test_all_locks_are_taken_only_after_a_yes(here: Here, crawl: str) -> None:
    for key in ("me", "you"):
        here("queue", "lock", crawl, "--limit", "2", "--client-key", key)

    refused = here("queue", "unlock", crawl, "--all")
    dry = here("queue", "unlock", crawl, "--all", "-n")
    assert (refused.code, dry.code) == (2, 0)
    assert "held by 2 clients" in refused.err
    assert in_head(here) == IDS[4:]

    done = here("queue", "unlock", crawl, "--all", "--yes", "--json")
    assert done.json()["unlocked"] == 4
    assert in_head(here) == IDS


@pytest.mark.parametrize(
    "args",
    [
        [],
        [IDS[0], "--all"],
        ["--all", "--mine"],
        ["--all", "--client-key", "me"],
        ["--client-key", "x" * 33],
    ],
)
def test_what_to_unlock_is_said_in_one_way(here: Here, crawl: str, args: list[str]) -> None:
    assert here("queue", "unlock", crawl, *args, "-y").code == 2


def test_nothing_of_mine_is_locked(here: Here, crawl: str) -> None:
    here("queue", "lock", crawl, "--limit", "1")

    done = here("queue", "unlock", crawl, "--mine", "--json")

    assert done.json() == {"unlocked": 0, "ids": []}


# Handling, retrying, deleting


def test_requests_are_locked_and_handled_by_a_script(here: Here) -> None:
    """As the help shows it: one command's output is the next one's arguments."""
    here("queue", "add", "crawl", *URLS, "--create")
    locked = here("queue", "lock", "crawl", "--limit", "3", "-q").lines()

    done = here("queue", "handle", "crawl", *locked)

    assert done.lines() == locked == IDS[:3]
    info = here("queue", "info", "crawl", "--json").json()
    assert (info["handledRequestCount"], info["pendingRequestCount"]) == (3, 2)
    assert here("queue", "requests", "crawl", "--state", "locked").out == ""


def test_handling_twice_changes_nothing_the_second_time(here: Here, crawl: str) -> None:
    here("queue", "handle", crawl, IDS[0], "--error", "first")
    before = here("queue", "get", crawl, IDS[0]).json()

    again = here("queue", "handle", crawl, IDS[0], IDS[1], "--error", "second", "--json")

    assert again.json() == {"handled": 1, "alreadyHandled": 1, "ids": [IDS[1]]}
    assert here("queue", "get", crawl, IDS[0]).json() == before
    assert before["errorMessages"] == ["first"]


def test_failed_requests_are_pending_again_as_new(here: Here, crawl: str) -> None:
    line = {"url": URLS[0], "uniqueKey": "x", "retryCount": 3, "userData": {"keep": 1}}
    id = here("queue", "add", crawl, json.dumps(line)).lines()[0]
    here("queue", "handle", crawl, id, IDS[1], "--error", "HTTP 500")
    here("queue", "handle", crawl, IDS[0])

    dry = here("queue", "retry", crawl, "--failed", "--dry-run")
    done = here("queue", "retry", crawl, "--failed")

    assert sorted(dry.lines()) == sorted(done.lines()) == sorted([id, IDS[1]])
    found = here("queue", "get", crawl, id).json()
    assert (found["retryCount"], found["errorMessages"], found["handledAt"]) == (0, [], None)
    assert found["userData"] == {"keep": 1}
    assert states(here)[URLS[1]] == "pending"
    assert here("queue", "requests", crawl, "--state", "handled", "-q").lines() == [IDS[0]]
    assert set(in_head(here)[-2:]) == {id, IDS[1]}


def test_requests_are_retried_by_id_if_they_are_handled(here: Here, crawl: str) -> None:
    here("queue", "handle", crawl, IDS[0])
    here("queue", "lock", crawl, "--limit", "1", "--client-key", "me")

    done = here("queue", "retry", crawl, IDS[0], "--id", IDS[1], "--id", IDS[2])

    assert done.lines() == [IDS[0]]
    assert states(here)[URLS[1]] == "locked"


@pytest.mark.parametrize(
    "args",
    [[], [IDS[0], "--failed"], ["--failed", "--state", "handled"], ["--state", "pending"]],
)
def test_what_to_retry_is_said_in_one_way(here: Here, crawl: str, args: list[str]) -> None:
    assert here("queue", "retry", crawl, *args).code == 2


def test_requests_are_deleted_by_id_or_state_after_a_yes(here: Here, crawl: str) -> None:
    here("queue", "handle", crawl, IDS[0], IDS[1])

    refused = here("queue", "rm-requests", crawl, IDS[4])
    dry = here("queue", "rm-requests", crawl, "--state", "handled", "-n")
    assert (refused.code, len(states(here))) == (2, 5)
    assert sorted(dry.lines()) == sorted(IDS[:2])

    assert here("queue", "rm-requests", crawl, IDS[4], "-y").lines() == [IDS[4]]
    assert (
        here("queue", "rm-requests", crawl, "--state", "handled", "-y", "--json").json()["deleted"]
        == 2
    )
    assert set(states(here)) == set(URLS[2:4])
    assert here("queue", "rm-requests", crawl, "-y").code == 2


# Terminals and servers

HOSTILE = "https://example.com/\x1b[31mred\x1b]0;title\x07\u202eevil"


def test_what_a_url_holds_never_steers_a_terminal(here: Here) -> None:
    line = json.dumps({"url": HOSTILE, "uniqueKey": HOSTILE})
    assert here("queue", "add", "crawl", line, "--create", stdin="").code == 0
    id = request_id(HOSTILE)

    for command in (
        ["requests", "crawl"],
        ["head", "crawl"],
        ["get", "crawl", id],
        ["requests", "crawl", "--tsv"],
        ["requests", "crawl", "--json"],
        ["requests", "crawl", "--accessible"],
        ["lock", "crawl", "--color", "never"],
    ):
        shown = here.on_terminal("queue", *command, columns=300, env={"NO_COLOR": "1"})
        assert shown.code == 0
        assert "red" in shown.out
        assert not set(shown.out) & {"\x1b", "\x07", "\u202e"}, command


def test_a_terminal_shows_tables_and_sentences(cli: Cli) -> None:
    added = cli.on_terminal("queue", "add", "crawl", *URLS, "--create")
    listed = cli.on_terminal("queue", "requests", "crawl", env={"NO_COLOR": "1"})
    handled = cli.on_terminal("queue", "handle", "crawl", IDS[0])

    assert "Added 5 requests of 'crawl' of local @ " in added.out
    head, *rows = listed.out.splitlines()
    assert head.split() == ["ID", "STATE", "METHOD", "URL", "RETRIES", "LOCKED", "UNTIL"]
    assert len(rows) == 5
    assert "Marked 1 request of 'crawl' as handled" in handled.out


def test_a_remote_queue_is_worked_on_alike(here: Here, served: Served) -> None:
    env = {"STORECTL_STORE": "", "STORECTL_SERVER": served.url, "STORECTL_TOKEN": served.token}
    urls = [f"https://example.com/{n}" for n in range(60)]

    def run(*args: str) -> Done:
        done = here("queue", *args, env=env)
        assert done.code == 0, done.err
        return done

    assert len(run("add", "remote-crawl", *urls, "--create").lines()) == 60
    locked = run("lock", "remote-crawl", "--limit", "40", "-q").lines()
    assert locked == [request_id(url) for url in urls[:40]]
    run("handle", "remote-crawl", *locked[:30], "--error", "HTTP 500")
    assert len(run("requests", "remote-crawl", "--state", "failed", "-q").lines()) == 30
    assert run("retry", "remote-crawl", "--failed", "--json").json()["retried"] == 30
    assert len(run("unlock", "remote-crawl", "--all", "-y").lines()) == 10
    assert len(run("head", "remote-crawl", "-q").lines()) == 60
    assert len(run("rm-requests", "remote-crawl", "--state", "pending", "-y").lines()) == 60
    missing = here("queue", "get", "remote-crawl", locked[0], env=env)
    assert missing.code == 3
    assert "has no request" in missing.err
