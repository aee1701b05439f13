"""J06, J10, J11 and J13: one serialization, capped before decoding, read strictly, and read only once."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import InvalidJwt
from protocol.jose.base64url import decode_base64url, encode_base64url
from protocol.jose.compact import UnverifiedJwt, parse_unverified
from protocol.jose.purposes import CLIENT_ASSERTION, ENTITY_STATEMENT
from protocol.jose.verifier import Verifier, verify_jwt
from tests.protocol.jose.support import (
    EVERY_VERIFIER,
    NOW,
    as_bytes,
    base64url,
    checks_spent,
    claims_of,
    forge,
    forge_kind,
    header_of,
    key_set,
    kind_for,
    refusal,
    signing_key,
    valid_token,
    verify,
)

EVERY = pytest.mark.parametrize("verifier", EVERY_VERIFIER, ids=lambda verifier: verifier.purpose)


def serializations(token: str) -> dict[str, str]:
    """The same signed content in every other serialization, and mixtures that only some parsers read."""
    header, payload, signature = token.split(".")
    flattened = {"protected": header, "payload": payload, "signature": signature}
    general = {"payload": payload, "signatures": [{"protected": header, "signature": signature}]}
    return {
        "flattened": json.dumps(flattened),
        "general": json.dumps(general),
        "unprotected": json.dumps(flattened | {"header": {"alg": "none"}}),
        "json then compact": json.dumps(flattened) + token,
        "compact then json": token + json.dumps(flattened),
        "compact inside json": json.dumps({token: flattened}),
        "python-jwt polyglot": '{"' + token + '":"","protected":"' + header + '"}',
        "quoted": json.dumps(token),
        "array": json.dumps([token]),
        "space before": " " + token,
        "newline after": token + "\n",
        "inner newline": f"{header}.\n{payload}.{signature}",
        "tab": f"{header}\t.{payload}.{signature}",
        "padded header": f"{header}=.{payload}.{signature}",
        "padded payload": f"{header}.{payload}==.{signature}",
        "padded signature": f"{header}.{payload}.{signature}==",
        "plain base64": token.replace("-", "+").replace("_", "/") + "+/",
        "two parts": f"{header}.{payload}",
        "four parts": f"{token}.{signature}",
        "six parts": f"{token}.{token}",
        "empty header": f".{payload}.{signature}",
        "empty payload": f"{header}..{signature}",
        "leading dot": "." + token,
        "trailing dot": token + ".",
        "fullwidth dot": token.replace(".", "\uff0e"),
        "percent": token.replace(".", "%2E"),
        "bearer": "Bearer " + token,
        "letter from elsewhere": "\u0430" + token,
        "nul": token + "\0",
        "empty": "",
    }


@pytest.mark.threat("J06")
@pytest.mark.spec("FED-JOS-01", "FED-ESV-01")
@EVERY
def test_only_the_compact_serialization_is_read(verifier: Verifier) -> None:
    token = valid_token(verifier)
    assert verify(verifier, token)
    for name, text in serializations(token).items():
        assert refusal(verifier, text).reason in {"shape", "encrypted"}, name
        assert checks_spent(verifier, text) == 0, name


@pytest.mark.threat("J06")
@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
def test_every_part_has_one_spelling_only(part: int) -> None:
    """The unused bits of the last character must be zero: otherwise one token would have several spellings."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    tried = 0
    for spaces in (b"", b" ", b"  "):
        header, payload = (as_bytes(members("client_assertion")) + spaces for members in (header_of, claims_of))
        parts = forge(header, payload, signing_key("ES256")).split(".")
        if len(parts[part]) % 4 == 0:
            continue
        parts[part] = parts[part][:-1] + alphabet[alphabet.index(parts[part][-1]) + 1]
        assert refusal(CLIENT_ASSERTION, ".".join(parts)).reason == "base64url"
        tried += 1
    assert tried


@pytest.mark.threat("J06")
@pytest.mark.parametrize("text", ["A", "AAAAA", "AB", "AAB", "Ag=", "A+8A", "A/8A", "Ag\n", " Ag"])
def test_base64url_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="canonical"):
        decode_base64url(text)


@given(st.binary(max_size=200))
def test_base64url_reads_back_what_it_wrote(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data


@pytest.mark.threat("J11")
@pytest.mark.spec("FED-JOS-01")
@EVERY
@pytest.mark.parametrize("extra", [{}, {"zip": "DEF"}, {"alg": "PBES2-HS256+A128KW", "p2c": 2**31 - 1, "p2s": "AAAA"}], ids=str)
def test_an_encrypted_jwt_is_refused_at_once(extra: dict[str, object], verifier: Verifier) -> None:
    header = base64url(as_bytes({"alg": "RSA-OAEP-256", "enc": "A256GCM"} | extra))
    started = time.process_time()
    error = refusal(verifier, f"{header}.{'A' * 400}.{'A' * 16}.{'A' * 4000}.{'A' * 22}")
    assert error.reason == "encrypted"
    assert time.process_time() - started < 0.02


@pytest.mark.threat("J11")
def test_a_compressed_or_encrypted_header_in_three_parts_is_refused() -> None:
    for extra in ({"zip": "DEF"}, {"enc": "A256GCM"}, {"p2c": 10**9}):
        assert refusal(CLIENT_ASSERTION, forge_kind("client_assertion", header=extra)).reason == "header_forbidden"


@pytest.mark.threat("J10")
@EVERY
def test_the_length_limit_holds_to_the_character(verifier: Verifier) -> None:
    token = valid_token(verifier)
    assert verify(replace(verifier, max_length=len(token)), token)
    assert refusal(replace(verifier, max_length=len(token) - 1), token).reason == "too_long"


@pytest.mark.threat("J10")
@EVERY
def test_a_token_near_its_limit_passes_and_one_beyond_is_refused_unread(verifier: Verifier) -> None:
    room = (verifier.max_length - len(valid_token(verifier))) * 3 // 4
    below = valid_token(verifier, pad="x" * (room - 40))
    above = valid_token(verifier, pad="x" * (room + 40))
    assert len(below) <= verifier.max_length < len(above)
    assert verify(verifier, below)
    assert refusal(verifier, above).reason == "too_long"
    huge = "A" * (100 * verifier.max_length)
    started = time.process_time()
    assert refusal(verifier, huge).reason == "too_long"
    assert time.process_time() - started < 0.02
    assert checks_spent(verifier, above) == 0


@pytest.mark.threat("J10")
def test_the_limits_are_those_of_the_threat_list() -> None:
    limits = {verifier.purpose: verifier.max_length for verifier in EVERY_VERIFIER}
    assert limits["client_assertion"] == 16 * 1024
    assert limits["entity_statement"] == 64 * 1024
    assert max(limits.values()) == 256 * 1024


@pytest.mark.threat("J10")
def test_a_token_parsed_under_a_larger_limit_is_still_too_long_here() -> None:
    token = forge_kind("client_assertion", pad="x" * 20_000)
    parsed = parse_unverified(token, max_length=10**6)
    assert refusal(CLIENT_ASSERTION, parsed).reason == "too_long"


DUPLICATES = {
    "header": (b'{"alg":"ES256","alg":"ES256","kid":"k"}', b"{}"),
    "header, one in escapes": (b'{"alg":"ES256","\\u0061lg":"none"}', b"{}"),
    "payload": (b'{"alg":"ES256"}', b'{"iss":"a","iss":"b"}'),
    "payload, nested": (b'{"alg":"ES256"}', b'{"a":{"b":{"c":1,"c":1}}}'),
    "payload, in an array": (b'{"alg":"ES256"}', b'{"a":[1,{"c":1,"c":2}]}'),
    "key set": (b'{"alg":"ES256"}', b'{"keys":[{"kty":"EC","kid":"a","kid":"b"}]}'),
}


@pytest.mark.threat("J13")
@pytest.mark.spec("FED-JOS-10")
@pytest.mark.parametrize("where", DUPLICATES)
def test_a_member_that_occurs_twice_is_refused_in_header_and_payload(where: str) -> None:
    header, payload = DUPLICATES[where]
    error = refusal(ENTITY_STATEMENT, forge(header, payload, signing_key("ES256")))
    assert (error.reason, error.detail) == ("json", "duplicate")


BAD_JSON = [b"[]", b'"x"', b"1", b"null", b"{", b"{}{}", b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}']
BAD_JSON += [b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b'{"a":"\xff"}', b"{'a':1}", b'{"a":1,}', b"{} x", b'{"a":01}', b"[" * 5000]
BAD_JSON += [b'{"a":' + b"[" * 13 + b"]" * 13 + b"}", b'{"a":[' + b"1," * 5000 + b"1]}", b'{"exp":' + b"9" * 30 + b"}"]


@pytest.mark.threat("J12", "J14")
@pytest.mark.spec("FED-JOS-10")
@pytest.mark.parametrize("data", BAD_JSON, ids=lambda data: repr(data[:30]))
def test_json_that_is_not_strict_is_refused_in_header_and_payload(data: bytes) -> None:
    for header, payload in ((data, b"{}"), (header_of("entity_statement"), data)):
        token = forge(header, payload, signing_key("ES256"))
        assert refusal(ENTITY_STATEMENT, token).reason == "json"
        assert checks_spent(ENTITY_STATEMENT, token) == 0


@pytest.mark.threat("J12", "J06")
@settings(max_examples=120, deadline=None)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60), st.from_regex(r"[A-Za-z0-9_-]{1,9}(\.[A-Za-z0-9_-]{0,9}){1,3}")))
def test_whatever_comes_in_is_parsed_or_refused_as_a_jwt(token: str | bytes) -> None:
    outcome: object
    try:
        outcome = parse_unverified(token, max_length=1000)
    except InvalidJwt as error:
        outcome = error.reason
    assert isinstance(outcome, UnverifiedJwt) or outcome in {"too_long", "encrypted", "shape", "base64url", "json"}


@pytest.mark.threat("J12")
@settings(max_examples=200, deadline=None)
@given(header=st.binary(min_size=1, max_size=60), payload=st.binary(min_size=1, max_size=60))
def test_whatever_stands_in_the_parts_ends_in_one_error(header: bytes, payload: bytes) -> None:
    assert refusal(ENTITY_STATEMENT, forge(header, payload, signature=b"x" * 64)).reason


@pytest.mark.threat("J06")
def test_what_was_parsed_is_what_gets_verified() -> None:
    token = valid_token(CLIENT_ASSERTION)
    parsed = parse_unverified(token, max_length=10_000)
    verified = verify(CLIENT_ASSERTION, parsed)
    assert verified.claims is parsed.unverified_claims
    assert verified.header is parsed.unverified_header
    assert parsed.signing_input.decode() == token.rpartition(".")[0]
    assert verified == verify(CLIENT_ASSERTION, token) == verify(CLIENT_ASSERTION, token.encode())


@pytest.mark.threat("J06")
def test_claims_cannot_be_changed_between_parsing_and_verifying() -> None:
    parsed = parse_unverified(valid_token(CLIENT_ASSERTION), max_length=10_000)
    with pytest.raises(TypeError):
        parsed.unverified_claims["sub"] = "someone else"  # type: ignore[index]
    with pytest.raises(AttributeError):
        parsed.signature = b""  # type: ignore[misc]


@pytest.mark.threat("J06")
@EVERY
def test_a_payload_from_another_token_does_not_verify(verifier: Verifier) -> None:
    first, second = valid_token(verifier), valid_token(verifier, extra=1)
    mixed = ".".join([*second.split(".")[:2], first.split(".")[2]])
    assert refusal(verifier, mixed).reason == "signature"


def test_what_was_parsed_does_not_show_a_token_that_could_be_used() -> None:
    token = valid_token(CLIENT_ASSERTION)
    assert token.rpartition(".")[2] not in repr(parse_unverified(token, max_length=10_000))


def test_a_token_in_bytes_with_other_characters_is_refused() -> None:
    assert refusal(CLIENT_ASSERTION, b"\xff.\xff.\xff").reason == "shape"


def test_an_audience_is_given_exactly_when_the_verifier_has_a_rule_for_it() -> None:
    """Forgetting the audience is a mistake of the caller and must not pass silently."""
    with pytest.raises(ValueError, match="audience"):
        verify_jwt(CLIENT_ASSERTION, valid_token(CLIENT_ASSERTION), key_set("ES256"), NOW)
    with pytest.raises(ValueError, match="audience"):
        verify_jwt(ENTITY_STATEMENT, valid_token(ENTITY_STATEMENT), key_set("ES256"), NOW, audience="x")


def test_the_parts_of_every_kind_stay_as_they_were() -> None:
    for verifier in EVERY_VERIFIER:
        assert dict(verify(verifier, valid_token(verifier)).claims) == claims_of(kind_for(verifier))
