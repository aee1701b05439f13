"""Keys and documents for the tests of the registry."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from protocol.jose import SigningKey, generate_private_key
from registry.client_metadata import MetadataReading, read_client_metadata
from registry.credentials import client_with_secret

NOW = 1_800_000_000
REDIRECT = "https://app.example.org/cb"


@cache
def private_key(algorithm: str = "ES256", number: int = 0) -> SigningKey:
    """Return key `number` for `algorithm`, the same one each time."""
    return generate_private_key(algorithm, rsa_bits=2048)


def public_jwk(algorithm: str = "ES256", number: int = 0, **members: Any) -> dict[str, Any]:
    """Return a public JWK; a member given as None is left out."""
    jwk = {**private_key(algorithm, number).public_jwk(), **members}
    return {name: value for name, value in jwk.items() if value is not None}


def jwks(*algorithms: str) -> dict[str, Any]:
    """Return a key set with one key per algorithm, an ES256 one without any."""
    return {"keys": [public_jwk(algorithm) for algorithm in algorithms or ("ES256",)]}


def secret_matches(client, presented, now) -> bool:
    """Say whether `presented` is a live secret of `client`, asked as the token endpoint asks."""
    return client_with_secret(client.client_id, presented, client.token_endpoint_auth_method, now) == client


def machine(**members: Any) -> dict[str, Any]:
    """Return a document that is accepted as it is: a client without redirects. A member given as `...` is left out."""
    document = {"grant_types": ["client_credentials"], "client_name": "Back office", **members}
    return {name: value for name, value in document.items() if value is not ...}


def website(**members: Any) -> dict[str, Any]:
    """Return a document that is accepted as it is: a client that redirects people. A member given as `...` is left out."""
    document = {"redirect_uris": [REDIRECT], "client_name": "Bookings", **members}
    return {name: value for name, value in document.items() if value is not ...}


def read(document: dict[str, Any], *, loopback: bool = False) -> MetadataReading:
    """Read a document at NOW."""
    return read_client_metadata(document, now=NOW, allow_loopback_http=loopback)


def errors(document: dict[str, Any], *, loopback: bool = False) -> set[tuple[str, str]]:
    """Return the member and code of every finding that refuses the document."""
    return {(finding.member, finding.code) for finding in read(document, loopback=loopback).errors}


# Any value that a JSON parser can make, lone surrogates and infinities included: a form or a library may be laxer than ours.
any_text = st.text(st.characters(), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=8,
)

_URIS = [
    REDIRECT, "https://app.example.org", "https://other.example/cb?x=1", "http://127.0.0.1:8080/cb", "com.example.app:/cb", "https://localhost/cb",
    "https://203.0.113.7/cb", "javascript:alert(1)", "https://app.example.org/cb#", "", "https://app.example.org/cb/",
]  # fmt: skip
_NAMES = ["Bookings", "  Bookings  ", "", "   ", "\u0958" * 100, "Cafe\u0301", "x" * 300, "\u202eevil", "Воокings", 5]
_uris = st.lists(st.sampled_from(_URIS), max_size=4)
_methods = ["private_key_jwt", "client_secret_basic", "client_secret_post", "none", "tls_client_auth", "", None]
_grants = ["authorization_code", "refresh_token", "client_credentials", "implicit", "password"]
_algorithms = st.sampled_from(["ES256", "RS256", "PS256", "EdDSA", "none", "HS256"])
_switches = st.sampled_from([True, False, None, "true", 1])

# Documents that are nearly right, so that every rule is met from both sides.
documents = st.fixed_dictionaries(
    {},
    optional={
        "redirect_uris": _uris,
        "post_logout_redirect_uris": _uris,
        "application_type": st.sampled_from(["web", "native", "desktop"]),
        "token_endpoint_auth_method": st.sampled_from(_methods),
        "token_endpoint_auth_signing_alg": _algorithms,
        "request_object_signing_alg": _algorithms,
        "id_token_signed_response_alg": _algorithms,
        "grant_types": st.lists(st.sampled_from(_grants[:3]), max_size=4) | st.lists(st.sampled_from(_grants), max_size=3),
        "response_types": st.lists(st.sampled_from(["code", "token", "id_token token"]), max_size=2),
        "client_name": st.sampled_from(_NAMES),
        "client_name#de": st.sampled_from(_NAMES),
        "client_name#DE": st.sampled_from(_NAMES),
        "client_uri": st.sampled_from(["https://example.org/", "http://example.org/", "https://app.example.org", ""]),
        "logo_uri#fr-CA": st.sampled_from(["https://example.org/logo.png", "data:image/png,x"]),
        "scope": st.lists(st.sampled_from(["bookings.read", "bookings.write", "old", "unknown", "b\u00e4d"]), max_size=4).map(" ".join),
        "contacts": st.lists(st.sampled_from(["a@example.org", "mailto:a@example.org", "b@example.org"]), max_size=3),
        "jwks": st.deferred(lambda: st.sampled_from([jwks(), jwks("ES256", "RS256"), {"keys": []}, {}, "x"])),
        "jwks_uri": st.sampled_from(["https://app.example.org/jwks.json", "http://app.example.org/jwks.json"]),
        "subject_type": st.sampled_from(["public", "pairwise"]),
        "require_signed_request_object": _switches,
        "require_pushed_authorization_requests": _switches,
        "default_max_age": st.sampled_from([0, 60, -1, 1.5, True, 2**60]),
        "dpop_bound_access_tokens": _switches,
        "unheard_of": json_values,
        "client_id": st.just("mine"),
    },
)
