"""The protocol keys of an entity: in its metadata, behind a signed set, or behind a plain one (OpenID Federation 1.0, 5.2.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from federation.core.protocol_keys import get_protocol_keys
from protocol.errors import FetchError, InvalidKeySet
from protocol.fetch import InMemoryFetcher, Page
from protocol.jose import KeySet, VerificationBudget
from tests.federation.support import LEAF, NOW, jwks, key_set, sign, signing_key

JWKS, SIGNED = "https://leaf.example/jwks", "https://leaf.example/signed-jwks"
SIGNED_TYPE = "jwk-set+jwt"


def signed_set(**changes: Any) -> dict[str, Any]:
    return {"iss": LEAF, "sub": LEAF, "keys": jwks("signed")["keys"], **changes}


def fetcher(plain: Any = None, signed: bytes | str = b"") -> InMemoryFetcher:
    plain_page = Page(json.dumps(jwks("plain") if plain is None else plain).encode(), "application/jwk-set+json")
    signed = signed or sign(signed_set(), typ=SIGNED_TYPE)
    signed_page = Page(signed.encode() if isinstance(signed, str) else signed, f"application/{SIGNED_TYPE}")
    return InMemoryFetcher({JWKS: plain_page, SIGNED: signed_page})


def keys_of(metadata: dict[str, Any], source: InMemoryFetcher | None = None, now: int = NOW) -> KeySet:
    return get_protocol_keys(metadata, LEAF, key_set(LEAF), source or fetcher(), now=now, budget=VerificationBudget())


def names(keys: KeySet) -> list[str | None]:
    return [key.kid for key in keys.keys]


@pytest.mark.spec("FED-JWK-10", "FED-JWK-08", "FED-JWK-09")
def test_keys_in_the_metadata_come_first_then_the_signed_set_then_the_plain_one() -> None:
    everything = {"jwks": jwks("inline"), "signed_jwks_uri": SIGNED, "jwks_uri": JWKS}
    source = fetcher()
    assert names(keys_of(everything, source)) == [signing_key("inline").kid]
    assert source.total == 0
    del everything["jwks"]
    assert names(keys_of(everything, source)) == [signing_key("signed").kid]
    del everything["signed_jwks_uri"]
    assert names(keys_of(everything, source)) == [signing_key("plain").kid]
    assert source.fetches == {SIGNED: 1, JWKS: 1}
    with pytest.raises(InvalidKeySet):
        keys_of({})


@pytest.mark.spec("FED-JWK-10", "FED-JWK-09")
def test_a_better_source_that_fails_is_not_replaced_by_a_worse_one() -> None:
    for metadata in ({"jwks": {"keys": []}, "jwks_uri": JWKS}, {"jwks": None, "jwks_uri": JWKS}):
        with pytest.raises(InvalidKeySet):
            keys_of(metadata)
    source = fetcher(signed=b"no.jwt")
    with pytest.raises(InvalidKeySet):
        keys_of({"signed_jwks_uri": SIGNED, "jwks_uri": JWKS}, source)
    assert JWKS not in source.fetches


BAD_URLS = [
    "http://leaf.example/jwks",
    "https://leaf.example/jwks#a",
    "leaf.example/jwks",
    "",
    None,
    1,
    ["https://leaf.example"],
    "file:///etc/x",
]


@pytest.mark.spec("FED-JWK-01", "FED-SEC-06")
@pytest.mark.parametrize("member", ["jwks_uri", "signed_jwks_uri"])
@pytest.mark.parametrize("url", BAD_URLS, ids=str)
def test_a_set_is_behind_https_or_it_is_not_fetched(member: str, url: Any) -> None:
    source = fetcher()
    with pytest.raises(InvalidKeySet):
        keys_of({member: url}, source)
    assert source.total == 0


WRONG_SETS: list[tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = [
    ({}, (), {"typ": None}),
    ({}, (), {"typ": "JWT"}),
    ({}, (), {"typ": "jwk-set+json"}),
    ({}, (), {"typ": "entity-statement+jwt"}),
    ({}, (), {"alg": "none"}),
    ({}, (), {"kid": None}),
    ({}, (), {"kid": "unknown"}),
    ({"iss": "https://other.example"}, (), {}),
    ({"sub": "https://other.example"}, (), {}),
    ({"iss": LEAF + "/", "sub": LEAF + "/"}, (), {}),
    ({}, ("iss",), {}),
    ({}, ("sub",), {}),
    ({}, ("keys",), {}),
    ({"keys": {}}, (), {}),
    ({"keys": []}, (), {}),
    ({"keys": [signing_key("signed").to_private_jwk()]}, (), {}),
    ({"exp": NOW - 60}, (), {}),
    ({"exp": "later"}, (), {}),
    ({"iat": NOW + 61}, (), {}),
]


@pytest.mark.spec("FED-JWK-02", "FED-JWK-04", "FED-JWK-05", "FED-JWK-10", "FED-JOS-04")
@pytest.mark.parametrize(("changes", "drop", "header"), WRONG_SETS, ids=range(len(WRONG_SETS)))
def test_a_signed_set_with_anything_wrong_gives_no_keys(changes: dict[str, Any], drop: tuple[str, ...], header: dict[str, Any]) -> None:
    claims = {name: value for name, value in signed_set(**changes).items() if name not in drop}
    raw = sign(claims, signing_key(LEAF), **{"typ": SIGNED_TYPE, **header})
    with pytest.raises(InvalidKeySet):
        keys_of({"signed_jwks_uri": SIGNED}, fetcher(signed=raw))


@pytest.mark.spec("FED-JWK-02", "FED-JWK-10")
def test_a_signed_set_is_signed_by_a_federation_key_and_not_by_a_protocol_key() -> None:
    for forger in ("signed", "plain", "forger"):
        raw = sign(signed_set(keys=jwks(forger)["keys"]), signing_key(forger), typ=SIGNED_TYPE)
        with pytest.raises(InvalidKeySet) as caught:
            keys_of({"signed_jwks_uri": SIGNED}, fetcher(signed=raw))
        assert caught.value.reason == "signature"
    renamed = sign(signed_set(), signing_key("forger"), typ=SIGNED_TYPE, kid=signing_key(LEAF).kid)
    with pytest.raises(InvalidKeySet):
        keys_of({"signed_jwks_uri": SIGNED}, fetcher(signed=renamed))


@pytest.mark.spec("FED-JWK-05")
def test_the_end_of_a_signed_set_is_honoured() -> None:
    source = fetcher(signed=sign(signed_set(iat=NOW, exp=NOW + 100), typ=SIGNED_TYPE))
    assert keys_of({"signed_jwks_uri": SIGNED}, source, NOW + 159)
    with pytest.raises(InvalidKeySet):
        keys_of({"signed_jwks_uri": SIGNED}, source, NOW + 160)


@pytest.mark.spec("FED-JWK-03", "FED-SEC-07")
def test_a_set_of_another_media_type_or_status_is_not_read() -> None:
    raw = sign(signed_set(), typ=SIGNED_TYPE).encode()
    for page in (Page(raw, "application/jwt"), Page(raw, "application/json"), Page(raw, f"application/{SIGNED_TYPE}", 201)):
        with pytest.raises(FetchError):
            keys_of({"signed_jwks_uri": SIGNED}, InMemoryFetcher({SIGNED: page}))
    for page in (Page(b"{}", "text/html"), Page(b"", "application/json", 302), Page(b"x" * 65_537, "application/json")):
        with pytest.raises(FetchError):
            keys_of({"jwks_uri": JWKS}, InMemoryFetcher({JWKS: page}))


@pytest.mark.spec("FED-JOS-10", "FED-JOS-04")
@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b'{"keys":[],"keys":[]}', b"\xff", b'{"keys":[{"kty":"oct","k":"AAAA"}]}'])
def test_a_plain_set_that_is_no_key_set_gives_no_keys(body: bytes) -> None:
    with pytest.raises(InvalidKeySet):
        keys_of({"jwks_uri": JWKS}, InMemoryFetcher({JWKS: Page(body, "application/jwk-set+json")}))


@pytest.mark.spec("FED-JWK-07")
def test_a_set_for_signatures_and_encryption_says_what_each_key_is_for() -> None:
    signing = signing_key("inline").public_jwk()
    encrypting = {**signing_key("plain").public_jwk(), "use": "enc", "alg": "ECDH-ES"}
    assert len(keys_of({"jwks": {"keys": [signing, encrypting]}}).keys) == 2
    unsaid = {name: value for name, value in signing_key("signed").public_jwk().items() if name not in ("use", "alg")}
    with pytest.raises(InvalidKeySet) as caught:
        keys_of({"jwks": {"keys": [signing, encrypting, unsaid]}})
    assert caught.value.reason == "use_missing"
