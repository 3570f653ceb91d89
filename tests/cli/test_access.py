"""Rights, general access and links: given, told, used by another user, and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from .conftest import Cli, Here, Served
from .test_failures import running

Env = dict[str, str]
NOUNS = ["dataset", "kvs", "queue"]


def env_of(served: Served, token: str) -> Env:
    return {
        "STORECTL_STORE": "",
        "STORECTL_SERVER": served.url,
        "STORECTL_TOKEN": token,
        "STORECTL_RETRIES": "0",
    }


@pytest.fixture(scope="module")
def alice(served: Served) -> Env:
    return env_of(served, served.token)


@pytest.fixture(scope="module")
def bob(served: Served) -> Env:
    store = Cli(served.store.parent)
    done = store("token", "create", "--user", "bob", "--email", "bob@example.com", "-q")
    return env_of(served, done.out.strip())


@pytest.fixture
def carol(here: Here) -> str:
    """A second user of the store in this process."""
    here("token", "create", "--user", "carol", "--email", "carol@example.com", "-q")
    return "carol"


def opened(url: str) -> bytes:
    with urlopen(url) as answer:
        body: bytes = answer.read()
    return body


@pytest.mark.parametrize("noun", NOUNS)
def test_a_right_is_granted_listed_replaced_and_revoked(here: Here, noun: str, carol: str) -> None:
    here(noun, "create", "prices")

    assert here(noun, "access", "grant", "prices", carol, "--read").out == "carol\n"
    assert here(noun, "access", "grant", "prices", "carol@example.com", "--write").code == 0
    [line] = here(noun, "access", "ls", "prices").lines()
    assert line.split("\t")[:2] == ["carol", "write"]
    assert here(noun, "access", "ls", "prices", "-q").out == "carol\n"
    assert here(noun, "access", "revoke", "prices", carol).out == "carol\n"
    assert here(noun, "access", "ls", "prices").out == ""


def test_a_right_includes_those_before_it(here: Here, carol: str) -> None:
    here("dataset", "create", "prices")

    here("dataset", "access", "grant", "prices", carol, "--read", "--manage", "--write")

    assert here("dataset", "access", "ls", "prices", "--json").json()["grants"][0]["right"] == (
        "manage"
    )


def test_json_tells_general_access_in_effect_rights_and_links(here: Here, carol: str) -> None:
    id = here("dataset", "create", "prices", "--access", "restricted").out.strip()
    here("dataset", "access", "grant", "prices", carol, "--read")
    here("dataset", "link", "prices", "--public-url", "https://data.example")

    told = here("dataset", "access", "ls", "prices", "--json").json()

    assert (told["id"], told["username"]) == (id, "local")
    assert (told["generalAccess"], told["effectiveAccess"]) == ("RESTRICTED", "RESTRICTED")
    assert [grant["username"] for grant in told["grants"]] == ["carol"]
    assert len(told["links"]) == 1
    assert "signature=" not in str(told)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["grant", "prices", "carol"], 2, "give a right"),
        (["grant", "prices", "nobody", "--read"], 3, "User 'nobody' was not found"),
        (["grant", "prices", "nobody", "--read", "-n"], 3, "User 'nobody' was not found"),
        (["grant", "costs", "carol", "--read"], 3, "dataset 'costs' not found"),
        (["revoke", "prices", "carol"], 3, "no right on dataset"),
        (["revoke", "prices", "carol", "-n"], 3, "no right on dataset"),
        (["set", "prices", "public"], 2, "restricted"),
    ],
)
def test_what_cannot_be_is_told(
    here: Here, carol: str, args: list[str], code: int, said: str
) -> None:
    here("dataset", "create", "prices")

    done = here("dataset", "access", *args)

    assert (done.code, done.out) == (code, "")
    assert said in done.err


@pytest.mark.parametrize(("life", "warned"), [("--never", True), ("--expires=2h", False)])
def test_a_link_that_may_outlive_its_storage_says_so(here: Here, life: str, warned: bool) -> None:
    id = here("dataset", "create", "-q").out.strip()

    made = here("dataset", "link", id, life, "--public-url", "http://a.example")

    assert made.code == 0
    assert ("has no name" in made.err) == warned


@pytest.mark.parametrize("called", ["upper", "email"])
def test_a_dry_run_finds_whom_the_change_would_find(here: Here, carol: str, called: str) -> None:
    here("dataset", "create", "prices")
    here("dataset", "access", "grant", "prices", carol, "--read")
    whom = carol.upper() if called == "upper" else f"{carol}@example.com"

    given = here("dataset", "access", "grant", "prices", whom, "--write", "-n", "-q")
    taken = here("dataset", "access", "revoke", "prices", whom, "-n", "-q")

    assert (given.out, taken.out) == (f"{carol}\n", f"{carol}\n")


def test_a_dry_run_changes_nothing(here: Here, carol: str) -> None:
    here("dataset", "create", "prices")
    here("dataset", "access", "grant", "prices", carol, "--read")

    assert here("dataset", "access", "grant", "prices", carol, "--write", "-n").code == 0
    assert here("dataset", "access", "revoke", "prices", carol, "-n").code == 0
    assert here("dataset", "access", "set", "prices", "name", "-n").code == 0
    assert here("dataset", "link", "prices", "-n", "--public-url", "http://a.example").out == ""
    assert here("dataset", "link", "prices", "--revoke-all", "-n").code == 0
    assert here("access", "default", "restricted", "-n").code == 0
    told = here("dataset", "access", "ls", "prices", "--json").json()
    assert told["generalAccess"] == "FOLLOW_USER_SETTING"
    assert [grant["right"] for grant in told["grants"]] == ["read"]
    assert told["links"] == []


@pytest.mark.parametrize(
    ("level", "spelled"),
    [
        ("restricted", "RESTRICTED"),
        ("id", "ANYONE_WITH_ID_CAN_READ"),
        ("name", "ANYONE_WITH_NAME_CAN_READ"),
        ("inherit", "FOLLOW_USER_SETTING"),
    ],
)
@pytest.mark.parametrize("noun", NOUNS)
def test_general_access_is_set_at_creation_and_later(
    here: Here, noun: str, level: str, spelled: str
) -> None:
    here(noun, "create", "one", "--access", level)
    here(noun, "create", "two")

    assert here(noun, "access", "set", "two", level).code == 0
    for name in ("one", "two"):
        assert here(noun, "info", name, "--json=generalAccess").json() == {"generalAccess": spelled}


def test_on_a_terminal_general_access_is_told_with_what_it_means(here: Here) -> None:
    id = here("dataset", "create", "prices").out.strip()
    here("dataset", "access", "set", "prices", "name")
    by_name = here.on_terminal("dataset", "access", "ls", "prices").out
    here("access", "default", "restricted")
    here("dataset", "access", "set", "prices", "inherit")

    by_account = here.on_terminal("dataset", "access", "ls", "prices").out

    assert "General access is name; anyone may read it, by its ID or as local/prices" in by_name
    assert id not in by_name
    assert "so as the account: restricted; nobody else may read it" in by_account


def test_what_stays_open_after_a_revocation_is_told(here: Here, carol: str) -> None:
    here("dataset", "create", "prices", "--access", "restricted")
    here("dataset", "link", "prices", "--public-url", "https://data.example")
    here("dataset", "access", "grant", "prices", carol, "--read")
    by_link = here("dataset", "access", "revoke", "prices", carol)
    here("dataset", "link", "prices", "--revoke-all", "--yes")
    here("dataset", "access", "grant", "prices", carol, "--read")
    by_nothing = here("dataset", "access", "revoke", "prices", carol)
    here("dataset", "access", "set", "prices", "id")
    here("dataset", "access", "grant", "prices", carol, "--read")

    by_id = here("dataset", "access", "revoke", "prices", carol)

    assert "1 link opens it all the same" in by_link.err
    assert by_nothing.err == ""
    assert "storectl dataset access set prices restricted ends that" in by_id.err


def test_the_account_says_for_storages_that_do_not(here: Here) -> None:
    assert here("access", "default", "-q").out == "FOLLOW_USER_SETTING\n"
    assert here("access", "default", "restricted").code == 0
    assert here("access", "default", "--json").json()["defaultAccess"] == "RESTRICTED"
    assert here("access", "default", "inherit").code == 0
    assert here("access", "default", "-q").out == "FOLLOW_USER_SETTING\n"
    assert here("access", "default", "name").code == 2


@pytest.mark.parametrize("noun", NOUNS)
def test_another_user_may_what_they_were_given_and_no_longer_than_that(
    here: Here, alice: Env, bob: Env, noun: str
) -> None:
    name = f"shared-{noun}"
    id = here(noun, "create", name, "--access", "restricted", env=alice).out.strip()
    refs = [id, f"alice/{name}", f"alice~{name}"]

    before = [here(noun, "info", ref, env=bob).code for ref in refs]
    here(noun, "access", "grant", name, "bob@example.com", "--read", env=alice)
    reading = [here(noun, "info", ref, "-q", env=bob).out.strip() for ref in refs]
    writing = here(noun, "rename", id, name, env=bob).code
    here(noun, "access", "grant", name, "bob", "--write", env=alice)
    written = here(noun, "rename", id, name, env=bob).code
    sharing = [
        here(noun, "access", "grant", id, "bob", "--manage", env=bob).code,
        here(noun, "access", "set", id, "name", env=bob).code,
        here(noun, "access", "ls", id, env=bob).code,
    ]
    here(noun, "access", "grant", name, "bob", "--manage", env=alice)
    managed = here(noun, "access", "set", id, "restricted", env=bob).code
    here(noun, "access", "revoke", name, "bob", env=alice)
    after = [here(noun, "info", ref, env=bob).code for ref in refs]

    assert set(before) <= {3, 5}
    assert reading == [id] * 3
    assert (writing, written, sharing, managed) == (5, 0, [5, 5, 5], 0)
    assert set(after) <= {3, 5}


@pytest.mark.parametrize("owner", ["alice/", "alice~", "Alice/"])
def test_the_contents_of_another_users_storages_are_reached_by_their_names(
    here: Here, alice: Env, bob: Env, owner: str
) -> None:
    Path("items.jsonl").write_text('{"n":1}\n')
    for noun in NOUNS:
        here(noun, "create", "theirs", "--exist-ok", env=alice)
        here(noun, "access", "grant", "theirs", "bob", "--write", env=alice)
    ref = f"{owner}theirs"

    lines = [
        ["dataset", "push", ref, "items.jsonl"],
        ["dataset", "items", ref],
        ["dataset", "pull", ref, "-o", "pulled.jsonl"],
        ["dataset", "copy", ref, f"copy-{owner[:-1].lower()}-{ord(owner[-1])}", "--create"],
        ["kvs", "set", ref, "key", "--value", "x"],
        ["kvs", "get", ref, "key"],
        ["kvs", "keys", ref],
        ["queue", "add", ref, "https://example.com/"],
        ["queue", "head", ref],
        ["queue", "requests", ref],
    ]
    done = {" ".join(line[:2]): here(*line, env=bob) for line in lines}

    assert {name: one.code for name, one in done.items() if one.code} == {}
    assert '{"n":1}' in done["dataset items"].out
    assert done["kvs get"].out == "x"


def test_what_is_shared_is_listed_by_owner(here: Here, alice: Env, bob: Env) -> None:
    mine = here("dataset", "create", "of-bob", env=bob).out.strip()
    theirs = here("dataset", "create", "of-alice", "--access", "restricted", env=alice).out.strip()
    here("dataset", "access", "grant", "of-alice", "bob", "--read", env=alice)

    def listed(*owner: str) -> set[str]:
        return set(here("dataset", "ls", "-q", *owner, env=bob).lines())

    assert mine in listed() & listed("--owner", "me") & listed("--owner", "bob")
    assert theirs not in listed() | listed("--owner", "bob")
    assert theirs in listed("--owner", "others") & listed("--owner", "alice")
    assert {mine, theirs} <= listed("--owner", "all")
    [row] = here("dataset", "ls", "of-alice", "--owner", "others", env=bob).lines()
    assert row.split("\t")[:3] == [theirs, "of-alice", "alice"]


def test_a_name_that_is_only_another_users_is_offered_as_theirs(
    here: Here, alice: Env, bob: Env
) -> None:
    here("dataset", "create", "only-hers", env=alice)
    here("dataset", "access", "grant", "only-hers", "bob", "--read", env=alice)

    done = here("dataset", "info", "only-hers", env=bob)

    assert done.code == 3
    assert "similar: alice/only-hers" in done.err


def test_a_link_opens_the_items_in_their_shape_until_it_is_revoked(here: Here, alice: Env) -> None:
    Path("items.jsonl").write_text('{"n":1,"m":2}\n{"n":3,"m":4}\n')
    here("dataset", "create", "linked", "--access", "restricted", env=alice)
    here("dataset", "push", "linked", "items.jsonl", env=alice)

    done = here(
        "dataset", "link", "linked", "--format", "tsv", "--fields", "m,n", "--no-header",
        "--desc", "--expires", "1h", env=alice,
    )  # fmt: skip

    assert "Opens the items of dataset 'linked' to whoever has it, until 20" in done.err
    url = done.out.strip()
    assert opened(url).decode("utf-8-sig").split() == ["4", "3", "2", "1"]
    asking = here("dataset", "link", "linked", "--revoke-all", env=alice)
    assert (asking.code, opened(url) != b"") == (2, True)
    assert here("dataset", "link", "linked", "--revoke-all", "--yes", env=alice).code == 0
    with pytest.raises(HTTPError):
        opened(url)


def test_a_link_to_a_record_never_expires_and_says_so(here: Here, alice: Env) -> None:
    here("kvs", "create", "notes", "--access", "restricted", env=alice)
    here("kvs", "set", "notes", "it's(1)!.txt", "--value", "hello", env=alice)

    done = here("kvs", "link", "notes", "it's(1)!.txt", env=alice)

    assert "does not expire, as links to records never do" in done.err
    assert opened(done.out.strip()) == b"hello"
    expiring = here("kvs", "link", "notes", "k", "--expires", "7d", env=alice)
    assert (expiring.code, expiring.out) == (2, "")
    assert "cannot expire" in expiring.err
    missing = here("kvs", "link", "notes", "missing", env=alice)
    assert (missing.code, "no record 'missing' yet" in missing.err) == (0, True)


def test_a_link_to_a_store_opens_its_keys(here: Here, alice: Env) -> None:
    here("kvs", "create", "listed", "--access", "restricted", env=alice)
    here("kvs", "set", "listed", "a", "--value", "x", env=alice)

    done = here("kvs", "link", "listed", "--never", "--json", env=alice)

    told = done.json()
    assert (told["signed"], told["expiresAt"], told["key"]) == (True, None, None)
    assert b'"key":"a"' in opened(told["url"])


def test_what_anyone_may_read_gets_no_signature(here: Here, alice: Env) -> None:
    here("dataset", "create", "open", "--access", "id", env=alice)

    done = here("dataset", "link", "open", "--expires", "1d", env=alice)

    assert "signature" not in done.out
    assert opened(done.out.strip()) == b"[]"
    assert "warning: it does not expire: anyone may read dataset 'open'" in done.err


def test_a_store_in_this_process_has_no_address(here: Here) -> None:
    id = here("dataset", "create", "prices").out.strip()

    without = here("dataset", "link", "prices")
    served = here("dataset", "link", "prices", "--public-url", "https://data.example/", "-q")

    assert (without.code, without.out) == (2, "")
    assert "try: storectl serve" in without.err
    assert served.out.startswith(f"https://data.example/v2/datasets/{id}/items?signature=")
    assert served.err == ""


@pytest.mark.parametrize("args", [[], ["--never"], ["KEY", "--expires", "7d"]])
def test_a_queue_has_no_links_and_says_so(here: Here, args: list[str]) -> None:
    done = here("queue", "link", "pages", *args)

    assert (done.code, done.out) == (9, "")
    assert "the API opens no request queue by a link" in done.err
    assert "link" not in here("queue", "--help").out


def test_the_report_finds_what_is_public_shared_linked_or_stale(here: Here, carol: str) -> None:
    here("access", "default", "restricted")
    here("kvs", "create", "kept")
    here("dataset", "create", "by-id", "--access", "id")
    here("queue", "create", "by-name", "--access", "name")
    here("kvs", "create", "shared")
    here("kvs", "access", "grant", "shared", carol, "--write")
    here("dataset", "create", "linked")
    here("dataset", "link", "linked", "--public-url", "https://data.example")
    here("token", "create", "brief", "--expires", "1d")

    found = here("access", "report", "--json").json()["items"]

    assert [(row["finding"], row["noun"], row["who"]) for row in found] == [
        ("public", "dataset", "anyone"),
        ("public", "queue", "anyone"),
        ("shared", "kvs", "carol"),
        ("links", "dataset", "who has it"),
        ("stale", "token", "carol"),
    ]


def test_each_finding_has_the_command_that_ends_it(here: Here, carol: str) -> None:
    here("access", "default", "restricted")
    here("dataset", "create", "prices", "--access", "id")
    here("dataset", "link", "prices", "--public-url", "https://data.example")
    here("dataset", "access", "grant", "prices", carol, "--read")
    here("dataset", "create", "linked")
    here("dataset", "link", "linked", "--public-url", "https://data.example")

    remedies = here("access", "report", "--json=remedy").json()["items"]
    for row in remedies:
        assert here(*row["remedy"].split()[1:], "--yes").code == 0

    assert len(remedies) == 4
    assert here("access", "report").out == ""


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--fail-on", "public"], 8),
        (["--fail-on", "shared,links"], 0),
        (["--fail-on", "stale"], 0),
        (["--shared", "--fail-on", "public"], 8),
        (["--stale", "0s", "--fail-on", "stale"], 8),
        (["--fail-on", "nonsense"], 2),
    ],
)
def test_the_report_is_a_check_for_whoever_says_of_what(
    here: Here, args: list[str], code: int
) -> None:
    here("dataset", "create", "prices", "--access", "id")
    here("token", "create", "brief", "--expires", "1d")

    assert here("access", "report", *args).code == code


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (["--public"], {"public"}),
        (["--shared"], {"shared"}),
        (["--links"], {"links"}),
        (["--stale", "90d"], {"stale"}),
        (["--public", "--links"], {"public", "links"}),
        ([], {"public", "shared", "links", "stale"}),
    ],
)
def test_the_report_shows_the_kinds_that_are_asked_for(
    here: Here, alice: Env, bob: Env, kind: list[str], expected: set[str]
) -> None:
    here("dataset", "create", "seen", "--access", "id", "--exist-ok", env=alice)
    here("dataset", "create", "reported", "--access", "restricted", "--exist-ok", env=alice)
    here("dataset", "access", "grant", "reported", "bob", "--read", env=alice)
    here("dataset", "link", "reported", env=alice)

    found = here("access", "report", "--json=finding", *kind, env=alice).json()["items"]

    assert {row["finding"] for row in found} == expected


@pytest.fixture(scope="module")
def plain(served: Served) -> Iterator[Env]:
    """The same server without anything that is beyond the API."""

    class Plain(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            first = self.path.split("/")[2].partition("?")[0]
            if first in ("capabilities", "tokens", "access") or "/access" in self.path:
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            head = {name: self.headers[name] for name in ("Authorization", "Content-Type")
                    if name in self.headers}  # fmt: skip
            asked = Request(served.url + self.path, body or None, head, method=self.command)
            with urlopen(asked) as answer:
                content = answer.read()
                self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *words: object) -> None:
            pass

    with running(Plain) as server:
        yield env_of(served, served.token) | {"STORECTL_SERVER": server.url}


@pytest.mark.parametrize(
    "line",
    [
        "token ls", "token create ci", "token rotate ci --yes", "token revoke ci --yes",
        "dataset access ls REF", "dataset access grant REF bob --read",
        "dataset access revoke REF bob", "dataset link REF --revoke-all --yes",
        "access report", "access default restricted",
    ],
)  # fmt: skip
def test_what_a_server_of_the_api_lacks_is_told_with_what_it_has(
    here: Here, plain: Env, line: str
) -> None:
    id = here("dataset", "create", env=plain).out.strip()

    done = here(*line.replace("REF", id).split(), env=plain)

    assert (done.code, done.out) == (9, "")
    assert " in its API\n" in done.err
    assert "its Console" in done.err or "access report --public" in done.err


def test_what_a_server_of_the_api_has_works(here: Here, plain: Env) -> None:
    closed = here("dataset", "create", "--access", "restricted", env=plain).out.strip()
    open_one = here("dataset", "create", env=plain).out.strip()
    here("dataset", "access", "set", open_one, "id", env=plain)

    link = here("dataset", "link", closed, "--expires", "1h", env=plain)
    public = here("access", "report", "--public", "-q", env=plain).lines()
    checked = here("token", "check", "--json", env=plain).json()

    assert opened(link.out.strip()) == b"[]"
    assert "signature=" in link.out
    assert (open_one in public, closed in public) == (True, False)
    assert checked == {
        "username": "alice",
        "place": plain["STORECTL_SERVER"],
        "tokenSource": "STORECTL_TOKEN",
    }
