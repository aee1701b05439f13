"""Every shortcut of the trust engine says what the long way says: URLs, key sets, headers and documents (docs/decisions/0021)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol import strict_json, urls
from protocol.errors import InvalidJson, InvalidJwt, InvalidKeySet, InvalidUrl
from protocol.jose import CLIENT_KEYS, FEDERATION_ENTITY_KEYS, compact, keys, parse_jwk_set, parse_unverified
from protocol.jose.keys import KeySetPurpose
from protocol.strict_json import parse_strict_json
from tests.protocol.jose.key_support import jwk_of
from tests.protocol.jose.support import base64url

LABELS = st.sampled_from(["a", "rp-1", "xn--p1ai", "1", "0x1f", "-a", "a-", "", "A", "a" * 63, "a" * 64, "a_b", "a%41", "ü"])
HOSTS = st.lists(LABELS, min_size=1, max_size=5).map(".".join) | st.sampled_from(
    ["[::1]", "127.0.0.1", "u@a.example", ".".join(["a" * 63] * 4)]
)
PATHS = st.text("/az09.-_~!$&'()*+,;=:@%[]#?\\ \n", max_size=12)
ADDRESSES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "HTTPS://", "http://", "https:", "//", ""]),
    HOSTS,
    st.sampled_from(["", ":", ":443", ":0"]),
    PATHS,
)
FLAGS = st.fixed_dictionaries({name: st.booleans() for name in ("allow_query", "allow_port", "allow_ip_literal", "allow_single_label")})


def told(action: Callable[[], Any]) -> tuple[str, Any]:
    """Return what an action returns, or the reason why it refuses."""
    try:
        return "returned", action()
    except (InvalidUrl, InvalidKeySet, InvalidJwt, InvalidJson) as error:
        return type(error).__name__, (error.reason, error.description)


@pytest.mark.threat("F08")
@settings(max_examples=600, deadline=None)
@given(ADDRESSES, FLAGS, st.sampled_from([8, 30, 2048]))
@example("https://rp.example", dict.fromkeys(("allow_query", "allow_port", "allow_ip_literal", "allow_single_label"), False), 2048)
@example("https://rp.example\n", dict.fromkeys(("allow_query", "allow_port", "allow_ip_literal", "allow_single_label"), False), 2048)
def test_a_plain_url_is_read_as_by_every_rule_in_turn(text: str, flags: dict[str, bool], max_length: int) -> None:
    short = told(lambda: urls.parse_https_url.__wrapped__(text, **flags, max_length=max_length))
    assert short == told(lambda: urls._parse_unusual_https_url(text, **flags, max_length=max_length))


CHANGES = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "d", "k", "key_ops", "x5c", "x5u", "other"]),
    st.sampled_from(
        [None, "", "EC", "RSA", "OKP", "oct", "P-256", "P-384", "Ed25519", "sig", "enc", "ES256", "RS256", "EdDSA", "none", "AQAB"]
    )
    | st.sampled_from(["a" * 129, "a\n", 1, True, [], ["verify"], {"d": "AA"}, "AA", "AB", "A" * 43]),
    max_size=2,
)
ORDINARY = [jwk_of(algorithm, kid="a") for algorithm in ("ES256", "ES384", "RS256", "PS256", "EdDSA")]
ENTRIES = st.builds(
    lambda jwk, changes: {name: value for name, value in (jwk | changes).items() if value is not None}, st.sampled_from(ORDINARY), CHANGES
)
PURPOSES = (CLIENT_KEYS, FEDERATION_ENTITY_KEYS, KeySetPurpose("loose", allow_ed448=True))


@pytest.mark.threat("J07", "J08")
@settings(max_examples=600, deadline=None)
@given(
    st.lists(ENTRIES | st.sampled_from([None, [], "a"]), max_size=2),
    st.sampled_from([{}, {"d": "AA"}, {"other": 1}]),
    st.sampled_from(PURPOSES),
)
@example([ORDINARY[0]], {}, FEDERATION_ENTITY_KEYS)
def test_a_plain_key_set_is_read_as_by_the_examination(entries: list[Any], beside: dict[str, Any], purpose: KeySetPurpose) -> None:
    value = {"keys": entries, **beside}
    short = told(lambda: parse_jwk_set(value, purpose=purpose))
    with mock.patch.object(keys, "_plain_key_set", return_value=None):
        assert short == told(lambda: parse_jwk_set(value, purpose=purpose))


@pytest.mark.parametrize("jwk", ORDINARY, ids=lambda jwk: str(jwk["alg"]))
def test_an_ordinary_key_needs_no_examination(jwk: dict[str, Any]) -> None:
    with mock.patch.object(keys, "_Examination", side_effect=AssertionError("it was examined")):
        assert parse_jwk_set({"keys": [jwk]}, purpose=FEDERATION_ENTITY_KEYS).keys[0].kid == "a"


def test_keys_are_the_same_exactly_when_their_thumbprints_are() -> None:
    parsed = [
        parse_jwk_set({"keys": [jwk]}).keys[0]
        for jwk in (*ORDINARY, jwk_of("ES256", kid="b"), jwk_of("ES256", 1), jwk_of("RS256", use=None))
    ]
    for one in parsed:
        for other in parsed:
            assert one.is_same_as(other) is (one.thumbprint == other.thumbprint)


HEADERS = st.sampled_from(
    [b'{"alg":"ES256","kid":"a"}', b'{"alg":"ES256","alg":"ES256"}', b"[]", b"{", b"\xff", b'{"a":"' + b"b" * 600 + b'"}']
)


@pytest.mark.threat("J12", "S11")
@settings(max_examples=100, deadline=None)
@given(HEADERS | st.binary(max_size=20), st.integers(1, 3))
def test_a_header_that_came_before_is_read_as_the_first_time(header: bytes, times: int) -> None:
    token = f"{base64url(header)}.{base64url(b'{}')}.AA"
    compact.forget_headers()
    first = told(lambda: parse_unverified(token, max_length=2000))
    assert [told(lambda: parse_unverified(token, max_length=2000)) for _ in range(times)] == [first] * times


@pytest.mark.threat("S11")
def test_few_and_short_headers_are_remembered() -> None:
    compact.forget_headers()
    for number in range(compact.HEADERS_REMEMBERED + 10):
        parse_unverified(f"{base64url(json.dumps({'kid': str(number)}).encode())}.{base64url(b'{}')}.AA", max_length=200)
    assert compact._parse_short_header.cache_info().currsize == compact.HEADERS_REMEMBERED
    before = compact._parse_short_header.cache_info().misses
    parse_unverified(f"{base64url(json.dumps({'kid': 'a' * 600}).encode())}.{base64url(b'{}')}.AA", max_length=2000)
    assert compact._parse_short_header.cache_info().misses == before


def test_what_is_remembered_of_a_header_cannot_be_changed() -> None:
    header, claims = base64url(b'{"alg":"ES256"}'), base64url(b"{}")
    jwt = parse_unverified(f"{header}.{claims}.AA", max_length=200)
    with pytest.raises(TypeError):
        jwt.unverified_header["alg"] = "none"  # type: ignore[index]


DOCUMENTS = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=3), lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3), max_leaves=5
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["", " ", "\n", "\ufeff", "x", "{}"]), DOCUMENTS, st.sampled_from(["", " ", "\n\t", "x", "{}", ",", "\x00"]))
def test_a_document_without_white_space_around_it_is_read_like_any_other(before: str, value: Any, after: str) -> None:
    text = before + json.dumps(value) + after
    short = told(lambda: parse_strict_json(text, max_bytes=10_000))
    with mock.patch.object(strict_json, "_DECODER", mock.Mock(decode=strict_json._DECODER.decode, raw_decode=lambda _: (None, -1))):
        assert short == told(lambda: parse_strict_json(text, max_bytes=10_000))
