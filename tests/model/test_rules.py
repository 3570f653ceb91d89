"""Rules of the product: IDs, names, keys, signatures, tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storectl.errors import InvalidInput
from storectl.model import rules

# Vectors of the official clients in both languages.
REQUEST_IDS = {
    "http://example.com": "8OamqXBCpPHxyH9",
    "https://apify.com/a": "QP9pio7eQh4w1jN",
    "https://apify.com/b": "fMPsh4qCRNEghya",
    "test-key-1": "ElVVjfWGrieQB6J",
    "https://example.com/ěšč": "CUn8xeIfoLIK3Yx",
    "a" * 300: "mDX6aTiCpueqBJQ",
    "ÄÖ": "3nJU32lFm2lyIfk",
    "": "47DEQpj8HBSaTIm",
}
RECORD_SIGNATURES = {
    ("hmac-secret-key", "hmac-message-to-be-authenticated"): "pcVagAsudj8dFqdlg7mG",
    ("hmac-same-secret-key", "hmac-same-message-to-be-authenticated"): "FYMcmTIm3idXqleF1Sw5",
    ("hmac-test-secret-key-123", "some-key"): "1QSfD8iPCyhvwBHzS588q",
    ("s3cr3t", "OUTPUT"): "1vQ2M6zRuHZm5paW4jzRj",
    ("s3cr3t", "report.pdf"): "1RaL3ycOa150pUGEv6r87",
    ("s3cr3t", "it's(1)!_-.key"): "1LY96UXuBCECTZkhbRa8z",
}
NOW = 1_700_000_000_000
CONTENT_SIGNATURES = {
    ("s3cr3t", "WkzbQMuFYuamGv3YF", 0): "MC4wLjN0aU1pSzRYa0k1RnB4dVVDQmpR",
    (
        "s3cr3t",
        "WkzbQMuFYuamGv3YF",
        NOW + 3_600_000,
    ): "MC4xNzAwMDAzNjAwMDAwLjFJbndsaEpaRGV1TE9jY3hzclM5WQ",
    (
        "hmac-test-secret-key-123",
        "AbCdEf1234567890Z",
        NOW + 14 * 86_400_000,
    ): "MC4xNzAxMjA5NjAwMDAwLjFrRDdJd1lnTWZ6QmxKVFhaVUlvYQ",
    ("k1", "pad0000000000001A", 0): "MC4wLjF3azE4QjNUbFVpTmx0NVpHT1JqNw",
    (
        "k2",
        "pad0000000000003C",
        NOW + 60_000,
    ): "MC4xNzAwMDAwMDYwMDAwLlU3Nmtic09sRDNSZGdrOUlSdjhz",
}


@pytest.mark.parametrize(("unique_key", "id"), REQUEST_IDS.items(), ids=lambda x: x[:20])
def test_a_request_id_is_derived_from_its_unique_key(unique_key: str, id: str) -> None:
    assert rules.request_id(unique_key) == id


@pytest.mark.parametrize(("given", "signature"), RECORD_SIGNATURES.items())
def test_record_signatures_are_those_of_the_clients(given: tuple[str, str], signature: str) -> None:
    assert rules.record_signature(*given) == signature
    assert rules.opens_record(signature, *given)


@pytest.mark.parametrize(("given", "signature"), CONTENT_SIGNATURES.items())
def test_content_signatures_are_those_of_the_clients(
    given: tuple[str, str, int], signature: str
) -> None:
    secret, id, expires_ms = given

    assert rules.content_signature(secret, id, expires_ms) == signature
    assert rules.opens_content(signature, secret, id, NOW)
    assert rules.opens_content(signature + "==", secret, id, NOW)


def test_a_signature_ends_when_it_says() -> None:
    signature = rules.content_signature("secret", "A" * 17, NOW)

    assert rules.opens_content(signature, "secret", "A" * 17, NOW)
    assert not rules.opens_content(signature, "secret", "A" * 17, NOW + 1)


@given(st.text(max_size=40), st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_no_other_text_opens_anything(forged: str, secret: str, id: str) -> None:
    good = rules.content_signature(secret, id)

    if forged.rstrip("=") != good:
        assert not rules.opens_content(forged, secret, id, NOW)


@pytest.mark.parametrize("name", ["a", "A-1", "x" * 63, "0", "a--b"])
def test_names_are_letters_digits_and_inner_hyphens(name: str) -> None:
    assert rules.check_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        ("a b", "has a space"),
        ("a_b", "has an underscore"),
        ("naïve", "has 'ï'"),
        ("-a", "hyphen"),
        ("a-", "hyphen"),
        ("x" * 64, "64 characters"),
        ("a\n", "has '\\n'"),
    ],
)
def test_a_wrong_name_is_told_what_is_wrong(name: str, why: str) -> None:
    with pytest.raises(InvalidInput, match="Name") as failure:
        rules.check_name(name)

    assert why in failure.value.message


@pytest.mark.parametrize("key", ["a", "it's(1)!_-.key", "x" * 256, "...", "CON"])
def test_keys_are_what_the_api_allows(key: str) -> None:
    assert rules.check_key(key) == key


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "x" * 257, "a b", "ä", "a\0", "a\n", "a?b"])
def test_a_wrong_key_is_refused_with_the_type_of_the_api(key: str) -> None:
    with pytest.raises(InvalidInput) as failure:
        rules.check_key(key)

    assert failure.value.type == "invalid-record-key"


def test_tokens_have_a_prefix_and_a_checksum() -> None:
    token = rules.new_token()
    other = token[:-1] + ("a" if token[-1] != "a" else "b")

    assert token.startswith("storectl_")
    assert len(token) == 45
    assert rules.is_token(token)
    assert not rules.is_token(other)


def test_ids_do_not_repeat() -> None:
    ids = {rules.new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(rules.is_id(id) for id in ids)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1576136054202, "2019-12-12T07:34:14.202Z"),
        (1700000000005, "2023-11-14T22:13:20.005Z"),
    ],
)
def test_times_are_printed_as_the_api_does(ms: int, text: str) -> None:
    assert rules.iso(ms) == text
