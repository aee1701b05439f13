"""J01 and J02: nothing but the asymmetric algorithms of a verifier, each with its own type of key."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.constants import CLIENT_ASSERTION_ALGORITHMS
from protocol.jose.keys import parse_jwk_set
from protocol.jose.purposes import CLIENT_ASSERTION, ENTITY_STATEMENT
from protocol.jose.signing import SigningKey
from protocol.jose.verifier import Verifier
from tests.protocol.jose.support import (
    EVERY_ALGORITHM,
    EVERY_VERIFIER,
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

KEY_TYPES = ("ES256", "ES384", "ES512", "RS256", "Ed25519")
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def spellings_of(algorithm: str) -> dict[str, bytes]:
    """Every spelling of a public key that a confused verifier might use as an HMAC secret."""
    key = signing_key(algorithm)
    public = key.private_key.public_key()
    jwk = key.public_jwk()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "pem": pem,
        "pem without newline": pem.strip(),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(jwk).encode(),
        "compact jwk": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "thumbprint": key.kid.encode(),
    }


@pytest.mark.threat("J01")
@pytest.mark.spec("FED-JOS-04")
@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_public_key_is_never_an_hmac_secret(key_type: str, name: str) -> None:
    keys = key_set(key_type)
    for secret in spellings_of(key_type).values():
        for verifier in EVERY_VERIFIER:
            header = header_of(kind_for(verifier)) | {"alg": name, "kid": signing_key(key_type).kid}
            unsigned = forge(header, claims_of(kind_for(verifier)), signature=b"x").rpartition(".")[0]
            token = f"{unsigned}.{base64url(hmac.new(secret, unsigned.encode(), HASHES[name]).digest())}"
            assert refusal(verifier, token, keys).reason == "alg"
            assert checks_spent(verifier, token, keys) == 0


@pytest.mark.threat("J01")
@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512", "none", "ES256K", "", "RSA-OAEP"])
def test_a_verifier_for_a_symmetric_or_unknown_algorithm_cannot_be_made(name: str) -> None:
    with pytest.raises(ValueError, match="asymmetric"):
        replace(ENTITY_STATEMENT, algorithms=("ES256", name))


@pytest.mark.threat("J01")
def test_a_verifier_without_algorithms_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="asymmetric"):
        replace(ENTITY_STATEMENT, algorithms=())


FAMILY = {name: "RSA" if name[0] in "PR" else "Edwards" if name[:2] == "Ed" else name for name in EVERY_ALGORITHM}


@pytest.mark.threat("J01")
@pytest.mark.parametrize("claimed", EVERY_ALGORITHM)
@pytest.mark.parametrize("key_type", EVERY_ALGORITHM)
def test_an_algorithm_only_works_with_its_own_type_of_key(key_type: str, claimed: str) -> None:
    """The key is published without `alg`, and signs as claimed where it can, even ES256 with a key on P-384."""
    key = signing_key(key_type)
    jwk = {name: value for name, value in key.public_jwk().items() if name != "alg"}
    header = header_of("entity_statement") | {"alg": claimed, "kid": key.kid}
    same_type = jwk["kty"] == signing_key(claimed).public_jwk()["kty"]
    signer = SigningKey(key.kid, claimed if same_type else key_type, key.private_key)
    token = forge(header, claims_of("entity_statement"), signer)
    keys = parse_jwk_set({"keys": [jwk]})
    if FAMILY[key_type] == FAMILY[claimed]:
        assert verify(ENTITY_STATEMENT, token, keys).key.kid == key.kid
    else:
        assert refusal(ENTITY_STATEMENT, token, keys).reason == "key_mismatch"
        assert checks_spent(ENTITY_STATEMENT, token, keys) == 0


@pytest.mark.threat("J01")
def test_an_rsa_key_with_an_algorithm_of_its_own_verifies_no_other() -> None:
    header = header_of("entity_statement") | {"alg": "PS256", "kid": signing_key("RS256").kid}
    token = forge(header, claims_of("entity_statement"), signing_key("PS256"))
    assert refusal(ENTITY_STATEMENT, token, key_set("RS256")).reason == "key_mismatch"
    assert verify(ENTITY_STATEMENT, token, key_set("PS256"))


NOT_ALGORITHMS = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "",
    "es256",
    "ES256 ",
    " ES256",
    "ES256\n",
    ["ES256"],
    {"alg": "ES256"},
    None,
    True,
    0,
    256,
    "ES257",
    "HS256",
]


@pytest.mark.threat("J02")
@pytest.mark.spec("FED-JOS-03", "FED-ESV-03")
@pytest.mark.parametrize("algorithm", NOT_ALGORITHMS, ids=repr)
def test_an_algorithm_off_the_list_is_refused_before_the_key_is_looked_up(algorithm: object) -> None:
    looked_up: list[object] = []
    for verifier in EVERY_VERIFIER:
        token = forge_kind(kind_for(verifier), header={"alg": algorithm})
        assert refusal(verifier, token, looked_up.append).reason == "alg"
        assert looked_up == []


@pytest.mark.threat("J02")
@pytest.mark.spec("FED-JOS-03")
@pytest.mark.parametrize("verifier", EVERY_VERIFIER, ids=lambda verifier: verifier.purpose)
def test_a_header_without_algorithm_is_refused(verifier: Verifier) -> None:
    header = header_of(kind_for(verifier))
    del header["alg"]
    assert refusal(verifier, forge(header, claims_of(kind_for(verifier)), signing_key("ES256"))).reason == "alg"


@pytest.mark.threat("J02")
@pytest.mark.parametrize("verifier", EVERY_VERIFIER, ids=lambda verifier: verifier.purpose)
@pytest.mark.parametrize("algorithm", ["ES256", "none"])
def test_a_missing_signature_is_refused(algorithm: str, verifier: Verifier) -> None:
    header = header_of(kind_for(verifier)) | {"alg": algorithm}
    unsigned = forge(header, claims_of(kind_for(verifier)), signature=b"")
    assert unsigned.endswith(".")
    assert refusal(verifier, unsigned).reason == "shape"
    assert refusal(verifier, unsigned.rstrip(".")).reason == "shape"


@pytest.mark.threat("J01")
def test_a_client_assertion_takes_only_its_own_shorter_list() -> None:
    for algorithm in EVERY_ALGORITHM:
        key = signing_key(algorithm)
        header = header_of("client_assertion") | {"alg": algorithm, "kid": key.kid}
        token = forge(header, claims_of("client_assertion"), key)
        if algorithm in CLIENT_ASSERTION_ALGORITHMS:
            assert verify(CLIENT_ASSERTION, token, key_set(algorithm))
        else:
            assert refusal(CLIENT_ASSERTION, token, key_set(algorithm)).reason == "alg"


@pytest.mark.threat("J19")
@pytest.mark.parametrize("algorithm", EVERY_ALGORITHM)
def test_a_signature_of_zeros_or_with_any_changed_byte_is_refused(algorithm: str) -> None:
    """CVE-2022-21449: r and s of zero; and no byte of a signature is ignored."""
    key = signing_key(algorithm)
    header = header_of("entity_statement") | {"alg": algorithm, "kid": key.kid}
    token = forge(header, claims_of("entity_statement"), key)
    length = key_set(algorithm).keys[0].signature_length()
    claims = claims_of("entity_statement")
    assert verify(ENTITY_STATEMENT, token, key_set(algorithm))
    for wrong in (bytes(length), bytes(length - 1) + b"\1", b"\xff" * length):
        assert refusal(ENTITY_STATEMENT, forge(header, claims, signature=wrong), key_set(algorithm)).reason == "signature"


@pytest.mark.threat("J01")
def test_the_control_token_of_each_verifier_is_accepted() -> None:
    for verifier in EVERY_VERIFIER:
        assert verify(verifier, valid_token(verifier)).purpose == verifier.purpose
