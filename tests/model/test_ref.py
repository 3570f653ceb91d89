"""References as people type them and as the API spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import InvalidInput, StorectlError
from storectl.model.ref import Ref, noun_of, typed

ID = "WkzbQMuFYuamGv3YF"


@pytest.mark.parametrize(
    ("text", "profile", "candidates"),
    [
        ("prices", None, ("~prices",)),
        ("~prices", None, ("~prices",)),
        ("jane~prices", None, ("jane~prices",)),
        ("jane/prices", None, ("jane~prices",)),
        (ID, None, (ID, f"~{ID}")),
        ("prod:prices", "prod", ("~prices",)),
        (f"prod:{ID}", "prod", (ID, f"~{ID}")),
        ("prod:jane/prices", "prod", ("jane~prices",)),
        (f"https://console.apify.com/storage/datasets/{ID}", None, (ID,)),
        (f"https://api.apify.com/v2/datasets/{ID}/items?format=csv", None, (ID,)),
        ("http://127.0.0.1:8010/v2/datasets/jane~prices", None, ("jane~prices",)),
        (f"http://127.0.0.1:8010/#/datasets/{ID}", None, (ID,)),
        (f"https://data.example.com/below/#/datasets/{ID}/share?page=2", None, (ID,)),
    ],
)
def test_what_people_type(text: str, profile: str | None, candidates: tuple[str, ...]) -> None:
    found = typed(text, "dataset")

    assert (found.profile, found.candidates) == (profile, candidates)


def test_a_url_tells_its_origin() -> None:
    found = typed(f"http://127.0.0.1:8010/v2/datasets/{ID}", "dataset")

    assert found.origin == "http://127.0.0.1:8010"


@pytest.mark.parametrize(
    ("url", "noun"),
    [
        (f"https://api.apify.com/v2/key-value-stores/{ID}/records/datasets", "kvs"),
        (f"http://127.0.0.1:8010/#/queues/{ID}", "queue"),
        (f"http://127.0.0.1:8010/#/kvs/{ID}?prefix=/datasets/x", "kvs"),
        (f"http://127.0.0.1:8010/kvs/{ID}", None),
        ("http://127.0.0.1:8010/#/datasets", None),
    ],
)
def test_a_url_tells_its_noun(url: str, noun: str | None) -> None:
    assert noun_of(url) == noun


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":prices",
        "prod:",
        "a_b",
        "a b",
        "../x",
        "/root",
        "/home/jane",
        "~",
        "jane~",
        "a~b~c",
        "x" * 64,
        "https://example.com/nothing",
        f"https://api.apify.com/v2/key-value-stores/{ID}",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        typed(text, "dataset")


def test_a_home_folder_tells_what_the_shell_did() -> None:
    with pytest.raises(InvalidInput) as failure:
        typed("/root", "dataset")

    assert "shell" in failure.value.message
    assert "~" in str(failure.value.hint)


@given(st.text())
def test_any_text_is_a_reference_or_a_clear_failure(text: str) -> None:
    try:
        found = typed(text, "dataset")
    except StorectlError as failure:
        assert failure.exit_code == 2
    else:
        assert all(str(Ref.parse(each)) == each for each in found.candidates)
