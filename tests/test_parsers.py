"""Whatever is typed or sent, each parser answers, or refuses it in one sentence.

Inputs are thought up from nothing and by damaging good ones. `make fuzz` has many more
of them; FUZZ_EXAMPLES says how many for each parser. Calls of every endpoint are in
tests/server/test_openapi.py.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storectl import formats
from storectl.cli import api, profile, serve
from storectl.cli import settings as cli_settings
from storectl.engine.queue import place_of, start_of
from storectl.errors import StorectlError
from storectl.formats.encoding import decoded
from storectl.model import rules
from storectl.model.access import Scope
from storectl.model.items import Items
from storectl.model.queue import RequestsQuery
from storectl.model.ref import Ref, typed
from storectl.model.request import check_request
from storectl.server import wire

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
LIMIT = 200_000

some = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def damaged(good: Any, more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of the good ones with something cut out, put in, or said again."""

    @st.composite
    def made(draw: st.DrawFn) -> Any:
        text = draw(st.sampled_from(good))
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(text)))
            stop = draw(st.integers(start, min(len(text), start + 8)))
            text = text[:start] + draw(more | st.just(text[start:stop] * 2)) + text[stop:]
        return text

    return st.one_of(made(), more)


def texts(*good: str) -> st.SearchStrategy[str]:
    odd = st.sampled_from(["", "~", "/", ":", "%", "²", "٣", "\0", "\n", "9" * 30, "é", "9" * 5000])
    return damaged(good, odd | st.text(max_size=20))


def bodies(*good: bytes) -> st.SearchStrategy[bytes]:
    odd = st.sampled_from([b"", b'"', b"\\", b"\0", b"\xff", b"\r", b"\n", b"\xef\xbb\xbf", b"{["])
    return damaged(good, odd | st.binary(max_size=20))


ID = "WkzbQMuFYuamGv3YF"
CURSORS = [
    urlsafe_b64encode(text.encode()).decode().rstrip("=")
    for text in ('{"requestId":"abc"}', '{"place":5}', f'{{"place":{2**70}}}', '{"place":-1.5}')
]
SECRET = "secret"

TEXT_PARSERS: dict[str, tuple[Callable[[str], object], st.SearchStrategy[str]]] = {
    "reference in the API": (Ref.parse, texts(ID, "~name", "user~name")),
    "reference of a person": (
        lambda text: typed(text, "dataset"),
        texts(ID, "~name", "user/name", f"me:{ID}", f"https://h/v2/datasets/{ID}/items?x=1#y"),
    ),
    "size": (lambda text: cli_settings.size_bytes(text, "it"), texts("500K", "1.5G", "10MiB")),
    "duration": (lambda text: cli_settings.duration_secs(text, "it"), texts("30d", "500ms", "1.5")),
    "whole number": (lambda text: cli_settings.whole(text, "it"), texts("10", "0")),
    "rate": (lambda text: serve._rate_limit("it", text), texts("30/200", "off")),
    "value of a setting": (profile._typed, texts("30/200", "true", "17")),
    "scope of a token": (lambda text: Scope.parse([text]), texts("kvs:create", f"queue/{ID}:read")),
    "field of a call": (
        lambda text: api._headers([text]),
        texts("Accept: application/json", "X-A:b"),
    ),
    "query string": (
        lambda text: wire.queried({"QUERY_STRING": text}),
        texts("limit=10&desc=1", "fields=a,b&clean=true", "x=%ff&y=%00&z"),
    ),
    "cursor": (
        lambda text: start_of(RequestsQuery(cursor=text)),
        texts(*CURSORS),
    ),
    "cursor in order": (lambda text: place_of(RequestsQuery(cursor=text)), texts(*CURSORS)),
    "signature of contents": (
        lambda text: (
            rules.opens_content(text.encode(errors="ignore").decode(), SECRET, ID, 5)
            if text.isascii()
            else None
        ),
        texts(rules.content_signature(SECRET, ID), rules.content_signature(SECRET, ID, 4)),
    ),
    "token": (rules.is_token, texts(rules.new_token())),
    "content type": (rules.check_content_type, texts("text/plain; charset=utf-8", "a/b")),
    "key": (rules.check_key, texts("a-b_c.!'()", "INPUT")),
    "email": (rules.check_email, texts("a@b.example")),
}


def refused(error: StorectlError) -> None:
    """A refusal says why. What it quotes is made harmless where it is shown."""
    assert error.message
    assert error.exit_code


@pytest.mark.parametrize("name", TEXT_PARSERS)
def test_any_text_is_taken_or_refused(name: str) -> None:
    parse, inputs = TEXT_PARSERS[name]

    @some
    @given(inputs)
    def holds(text: str) -> None:
        try:
            found = parse(text)
        except StorectlError as error:
            refused(error)
        else:
            if name == "cursor in order":
                assert isinstance(found, int)
                assert -(2**63) <= found < 2**63

    holds()


FILES = {
    "json": bodies(b'[{"a": 1}, {"b": "x\\u00e9"}]', b'{"a": [1, {"b": null}]}', b"[]"),
    "jsonl": bodies(b'{"a": 1}\n{"b": 2.5e3}\r\n\n{"c": "\xc3\xa9"}', b'{"a": {}}'),
    "csv": bodies(b'a,b\n1,"x ""y"", z"\n2,\n', b"a;b\r\n1;2\r\n", b'\xef\xbb\xbfa\tb\n"1\n2"\t3'),
}


@pytest.mark.parametrize("name", FILES)
def test_any_file_is_read_or_refused_and_passing_over_what_is_bad_agrees(name: str) -> None:
    @some
    @given(FILES[name], st.sampled_from([4, 20, 10**6]))
    def holds(body: bytes, max_bytes: int) -> None:
        bad: list[int] = []
        try:
            passed = items_of(name, body, max_bytes, lambda line, why: bad.append(line))
        except StorectlError as error:
            refused(error)
            return
        try:
            whole = items_of(name, body, 10**6, None)
        except StorectlError as error:
            refused(error)
            assert bad
        else:
            assert whole == passed
            assert not bad

    holds()


def items_of(name: str, body: bytes, max_bytes: int, on_bad: Any) -> list[bytes]:
    """The lines of its items, each of which is an object."""
    found = formats.read(name, io.BytesIO(body), max_bytes=max_bytes, on_bad=on_bad)
    lines: list[bytes] = []
    for batch in found:
        assert len(batch.items) == len(batch.lines)
        lines += batch.items.lines.splitlines()
    assert all(isinstance(msgspec.json.decode(line), dict) for line in lines)
    return lines


@some
@given(bodies(b'[{"a": 1}, "{\\"b\\": 2}"]', b'{"a": "\\ud83d\\ude00"}', b"[[[[1e999]]]]"))
def test_any_body_of_a_push_is_taken_or_refused(body: bytes) -> None:
    try:
        items = Items.from_json(body)
    except StorectlError as error:
        refused(error)
    else:
        assert len(items.objects()) == len(items)


REQUEST = {"uniqueKey": "a", "url": "https://e/", "userData": {"a": 1}, "handledAt": None}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@some
@given(
    JSON
    | st.dictionaries(st.sampled_from([*REQUEST, "method", "payload"]), JSON).map(
        lambda more: REQUEST | more
    )
)
def test_any_request_is_taken_or_refused(request: object) -> None:
    try:
        check_request(request)
    except StorectlError as error:
        refused(error)


PLAIN = b"hello " * 1000 + bytes(100_000)
PACKED = {
    "gzip": gzip.compress(PLAIN),
    "deflate": zlib.compress(PLAIN),
    "br": brotli.compress(PLAIN),
    "zstd": zstandard.compress(PLAIN),
    "identity": PLAIN[:200],
}


@pytest.mark.parametrize("encoding", PACKED)
def test_any_packed_body_is_unpacked_within_its_bound_or_refused(encoding: str) -> None:
    good = PACKED[encoding]

    @some
    @given(bodies(good, good[:20], good * 2), st.integers(1, 50))
    def holds(body: bytes, cut: int) -> None:
        blocks = [body[at : at + cut] for at in range(0, min(len(body), 2000), cut)]
        blocks.append(body[2000:])
        seen = 0
        try:
            for block in decoded(blocks, encoding, limit=LIMIT):
                seen += len(block)
        except StorectlError as error:
            refused(error)
        assert seen <= LIMIT

    holds()
