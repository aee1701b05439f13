"""Keys, kinds of JWTs and forging for the tests of `protocol.jose`; tokens are put together by hand, not by our signer."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from functools import cache
from typing import Any

from protocol.errors import InvalidJwt
from protocol.jose.algorithms import ALGORITHMS
from protocol.jose.claims import AudienceRule
from protocol.jose.keys import KeySet, parse_jwk_set
from protocol.jose.purposes import VERIFIERS
from protocol.jose.signing import SigningKey, generate_private_key
from protocol.jose.verifier import VerificationBudget, VerifiedJwt, Verifier, verify_jwt

NOW = 1_800_000_000
SERVER = "https://as.example.org"
CLIENT = "https://client.example.org"
SUPERIOR = "https://superior.example.org"
EVERY_ALGORITHM = tuple(ALGORITHMS)
EVERY_VERIFIER = tuple(VERIFIERS.values())


def signing_key(algorithm: str, number: int = 0) -> SigningKey:
    """Return key `number` for an algorithm, the same one each time; RSA keys are shared between the RSA algorithms."""
    shared = _generated("RS256" if algorithm[:2] in {"RS", "PS"} else algorithm, number)
    return SigningKey(shared.kid, algorithm, shared.private_key)


@cache
def _generated(algorithm: str, number: int) -> SigningKey:
    return generate_private_key(algorithm, rsa_bits=2048)


@cache
def key_set(*algorithms: str) -> KeySet:
    return parse_jwk_set({"keys": [signing_key(algorithm).public_jwk() for algorithm in algorithms]})


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def forge(header: object, claims: object, key: SigningKey | None = None, signature: bytes | None = None) -> str:
    """Return a compact JWS over any header and payload (JSON values or raw bytes), signed by `key` as its algorithm says."""
    signing_input = f"{base64url(as_bytes(header))}.{base64url(as_bytes(claims))}"
    if signature is None:
        assert key is not None
        signature = ALGORITHMS[key.algorithm].primitive.sign(signing_input.encode(), key.private_key)
    return f"{signing_input}.{base64url(signature)}"


def forge_kind(kind: str, *, header: dict[str, Any] | None = None, drop: tuple[str, ...] = (), **claims: Any) -> str:
    """Return a JWT of `kind`, rightly signed with ES256, after changes; `drop` takes header parameters away."""
    key = signing_key("ES256")
    whole = header_of(kind) | (header or {})
    return forge({name: value for name, value in whole.items() if name not in drop}, claims_of(kind) | claims, key)


def header_of(kind: str) -> dict[str, Any]:
    typ = KINDS[kind][0]
    return {"alg": "ES256", "kid": signing_key("ES256").kid} | ({"typ": typ} if typ else {})


def claims_of(kind: str) -> dict[str, Any]:
    return dict(KINDS[kind][1])


def verify(verifier: Verifier, token: Any, keys: Any = None, now: int = NOW, **options: Any) -> VerifiedJwt:
    """Verify as the product would, with our identifier as the audience where the verifier checks one."""
    if verifier.audience_rule is not AudienceRule.UNCHECKED:
        options.setdefault("audience", SERVER)
    return verify_jwt(verifier, token, key_set("ES256") if keys is None else keys, now, **options)


def refusal(verifier: Verifier, token: Any, keys: Any = None, now: int = NOW, **options: Any) -> InvalidJwt:
    """Return the error that verifying ends in, and fail when the token is accepted."""
    try:
        accepted = verify(verifier, token, keys, now, **options)
    except InvalidJwt as error:
        return error
    raise AssertionError(f"{verifier.purpose} accepted {accepted.header} {accepted.claims}")


def checks_spent(verifier: Verifier, token: Any, keys: Any = None) -> int:
    """Return how many signatures were checked for a token that may be refused."""
    budget = VerificationBudget()
    with suppress(InvalidJwt):
        verify(verifier, token, keys, budget=budget)
    return budget.spent


_JWKS = {"keys": [signing_key("ES256").public_jwk()]}
_TIMES = {"iat": NOW, "exp": NOW + 60}
_METADATA = {"openid_relying_party": {}}

# kind: (typ or "" for none, claims). The first word of each kind that has a verifier is that verifier's purpose.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "client_assertion": ("", {"iss": CLIENT, "sub": CLIENT, "aud": SERVER, "jti": "a1", **_TIMES}),
    "request_object": (
        "oauth-authz-req+jwt",
        {
            "iss": CLIENT,
            "client_id": CLIENT,
            "aud": SERVER,
            "jti": "r1",
            "response_type": "code",
            "redirect_uri": f"{CLIENT}/cb",
            "scope": "openid",
            "nonce": "n1",
            **_TIMES,
        },
    ),
    "entity_configuration": (
        "entity-statement+jwt",
        {"iss": CLIENT, "sub": CLIENT, "jwks": _JWKS, "metadata": _METADATA, **_TIMES},
    ),
    "entity_statement": ("entity-statement+jwt", {"iss": SUPERIOR, "sub": CLIENT, "jwks": _JWKS, **_TIMES}),
    "explicit_registration_request": (
        "entity-statement+jwt",
        {
            "iss": CLIENT,
            "sub": CLIENT,
            "aud": SERVER,
            "jwks": _JWKS,
            "authority_hints": [SUPERIOR],
            "metadata": _METADATA,
            **_TIMES,
        },
    ),
    "explicit_registration_response": (
        "explicit-registration-response+jwt",
        {
            "iss": CLIENT,
            "sub": SUPERIOR,
            "aud": SERVER,
            "trust_anchor": SUPERIOR,
            "authority_hints": [SUPERIOR],
            "metadata": _METADATA,
            **_TIMES,
        },
    ),
    "trust_mark": ("trust-mark+jwt", {"iss": SUPERIOR, "sub": CLIENT, "trust_mark_type": f"{SUPERIOR}/mark", **_TIMES}),
    "trust_mark_delegation": (
        "trust-mark-delegation+jwt",
        {"iss": SUPERIOR, "sub": CLIENT, "trust_mark_type": f"{SUPERIOR}/mark", **_TIMES},
    ),
    "trust_mark_status_response": (
        "trust-mark-status-response+jwt",
        {"iss": SUPERIOR, "trust_mark": "a.b.c", "status": "active", **_TIMES},
    ),
    "resolve_response": (
        "resolve-response+jwt",
        {"iss": SUPERIOR, "sub": CLIENT, "metadata": _METADATA, "trust_chain": ["a.b.c"], **_TIMES},
    ),
    "signed_jwks": ("jwk-set+jwt", {"iss": CLIENT, "sub": CLIENT, **_JWKS, **_TIMES}),
    "historical_keys": ("jwk-set+jwt", {"iss": SUPERIOR, **_JWKS, **_TIMES}),
    "entity_claim": ("entity-claim+jwt", {"iss": CLIENT, "aud": SERVER, "challenge": "c1", **_TIMES}),
    "software_statement": (
        "",
        {"iss": SUPERIOR, "software_id": "s1", "client_name": "Bank", "redirect_uris": [f"{CLIENT}/cb"], **_TIMES},
    ),
    "id_token": ("", {"iss": SERVER, "sub": "user-1", "aud": CLIENT, "nonce": "n1", "auth_time": NOW, **_TIMES}),
    "logout_token": (
        "logout+jwt",
        {
            "iss": SERVER,
            "sub": "user-1",
            "aud": CLIENT,
            "jti": "l1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **_TIMES,
        },
    ),
    "access_token": (
        "at+jwt",
        {"iss": SERVER, "sub": "user-1", "aud": CLIENT, "client_id": CLIENT, "jti": "t1", "scope": "openid", **_TIMES},
    ),
}

# Which verifiers take a kind; a federation variant takes the same kind as the plain one, under stricter rules.
ACCEPTED_BY: dict[str, frozenset[str]] = {
    "client_assertion": frozenset({"client_assertion", "federation_client_assertion"}),
    "request_object": frozenset({"request_object", "federation_request_object"}),
    "entity_configuration": frozenset({"entity_statement"}),
    "logout_token": frozenset(),
    "access_token": frozenset(),
}


def accepted_by(kind: str) -> frozenset[str]:
    return ACCEPTED_BY.get(kind, frozenset({kind}))


def kind_for(verifier: Verifier) -> str:
    """Return a kind that `verifier` accepts."""
    return next(kind for kind in KINDS if verifier.purpose in accepted_by(kind))


def valid_token(verifier: Verifier, **claims: Any) -> str:
    return forge_kind(kind_for(verifier), **claims)
