"""Rights are ordered, scopes allow nothing by themselves, links open what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import InvalidInput
from storectl.model import rules
from storectl.model.access import OWNED, RIGHTS, Scope, enough, lesser
from storectl.model.ref import Ref
from storectl.model.storage import NOUNS

ALL = (None, *RIGHTS, OWNED)
IDS = st.text(rules._ALPHANUMERICS, min_size=17, max_size=17)
NAMES = st.from_regex(r"\A[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?\Z")
USERS = st.from_regex(r"\A[a-z0-9_.-]{3,30}\Z")
ON_STORAGE = st.builds(
    "{}{}:{}".format,
    st.sampled_from(NOUNS),
    st.one_of(st.just(""), IDS.map("/{}".format)),
    st.sampled_from(RIGHTS),
)
ON_KIND = st.builds("{}:{}".format, st.sampled_from(NOUNS), st.sampled_from(["list", "create"]))


@pytest.mark.parametrize("needed", RIGHTS)
def test_a_right_includes_those_before_it(needed: str) -> None:
    found = [right for right in ALL if enough(right, needed)]

    assert found == list(ALL[ALL.index(needed) :])


@given(st.sampled_from(ALL), st.sampled_from(ALL), st.sampled_from(RIGHTS))
def test_the_lesser_of_two_allows_what_both_do(
    one: str | None, other: str | None, needed: str
) -> None:
    assert enough(lesser(one, other), needed) == (enough(one, needed) and enough(other, needed))


@given(st.lists(st.one_of(ON_STORAGE, ON_KIND), max_size=6), st.sampled_from(NOUNS), IDS)
def test_a_scope_allows_what_it_names_and_nothing_else(
    texts: list[str], noun: str, id: str
) -> None:
    scope = Scope.parse(texts)

    named = [right for right in RIGHTS if {f"{noun}:{right}", f"{noun}/{id}:{right}"} & {*texts}]
    assert scope.right(noun, id) == (named[-1] if named else None)
    assert scope.right(noun, id, made_it=True) == "manage"
    for action in ("list", "create"):
        assert scope.on_kind(noun, action) == (f"{noun}:{action}" in texts)


@given(st.text(max_size=40).filter(lambda text: not text.startswith(NOUNS)))
def test_no_other_text_is_a_scope(text: str) -> None:
    with pytest.raises(InvalidInput):
        Scope.parse([text])


@given(st.text("dataset/kvs:read,WkzbQMuFYuamGv3YF", max_size=40))
def test_what_parses_as_a_scope_has_its_form(text: str) -> None:
    try:
        Scope.parse([text])
    except InvalidInput:
        return
    noun, _, action = text.partition(":")
    assert noun.partition("/")[0] in NOUNS
    assert action in (*RIGHTS, "list", "create")


@given(IDS, NAMES, USERS)
def test_a_reference_reads_back_as_it_was_written(id: str, name: str, user: str) -> None:
    for ref in (Ref(id=id), Ref(name=name), Ref(name=name, user=user)):
        assert Ref.parse(str(ref)) == ref


@given(st.text(max_size=60))
def test_a_reference_is_an_id_or_a_name_whatever_is_sent(text: str) -> None:
    ref = Ref.parse(text)

    assert (ref.id is None) != (ref.name is None)
    assert ref.id is None or "~" not in ref.id


@given(st.integers(0, 2**40), st.integers(0, 2**40), IDS, IDS, st.text(min_size=1, max_size=34))
def test_a_signature_opens_its_contents_until_it_ends(
    until: int, now: int, id: str, other: str, secret: str
) -> None:
    signature = rules.link_signature(secret, id, None, until)

    assert rules.opens_content(signature, secret, id, now) == (until == 0 or now <= until)
    assert other == id or not rules.opens_content(signature, secret, other, 0)
    assert not rules.opens_content(signature, secret + "x", id, 0)


@given(st.integers(1, 2**40), IDS, st.data())
def test_a_changed_signature_opens_nothing(until: int, id: str, data: st.DataObject) -> None:
    """Also one whose end was moved: that is signed too."""
    import base64

    signature = rules.link_signature("secret", id, None, until)
    version, end, proof = base64.urlsafe_b64decode(signature + "==").decode().split(".")
    later = data.draw(st.one_of(st.just(0), st.integers(until + 1, 2**50)))
    moved = base64.urlsafe_b64encode(f"{version}.{later}.{proof}".encode()).decode()

    assert end == str(until)
    assert not rules.opens_content(moved, "secret", id, 0)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_the_signature_of_a_record_opens_no_other(key: str, other: str) -> None:
    signature = rules.link_signature("secret", "", key, 0)

    assert rules.opens_record(signature, "secret", other) == (key == other)


@pytest.mark.parametrize("email", ["a@b.c", "first.last+tag@mail.example.com", "!#$%&'*@x-y.de"])
def test_an_email_is_taken(email: str) -> None:
    assert rules.check_email(email) == email


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@b", "me@localhost", "a b@c.de", "a@b.c\n", "@b.c", "a@@b.c", "é@b.c", "a/b@c.de"],
)
def test_what_clients_do_not_take_is_no_email(email: str) -> None:
    with pytest.raises(InvalidInput):
        rules.check_email(email)
