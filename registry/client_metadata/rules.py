"""Rules between members of client metadata. Each takes the metadata read so far and reports what does not fit."""

from __future__ import annotations

from typing import Any, Final

from protocol.constants import CLIENT_ASSERTION_ALGORITHMS
from protocol.errors import InvalidKeySet, InvalidUrl
from protocol.jose import parse_jwk_set, review_jwk_set
from protocol.urls import parse_authority, split_uri
from registry.findings import Findings
from registry.redirect_uris import review_redirect_uris

Metadata = dict[str, Any]

REDIRECT_URIS_LIMIT: Final = 50
REDIRECT_GRANTS: Final = frozenset(("authorization_code",))


def complete_grants(metadata: Metadata, asked: frozenset[str]) -> None:
    """Fill in grant_types and response_types, each from the other when only one was given (DCR-META-21 to -23)."""
    if "grant_types" not in metadata:
        no_redirect = "response_types" in asked and metadata.get("response_types") == []
        metadata["grant_types"] = ["client_credentials"] if no_redirect else ["authorization_code"]
    if "response_types" not in metadata:
        metadata["response_types"] = ["code"] if "authorization_code" in metadata["grant_types"] else []


def check_grants(metadata: Metadata, findings: Findings) -> None:
    """Check that grants, response types and authentication go together (DCR-META-19, -21 to -24)."""
    grants, responses = metadata["grant_types"], metadata["response_types"]
    if not grants:
        findings.error(
            "grant_types.empty", "grant_types", "grant_types must name at least one grant.", "Use authorization_code or client_credentials."
        )
    if ("code" in responses) != ("authorization_code" in grants) and grants:
        findings.error(
            "grant_types.response_types", "response_types", "response_types and grant_types contradict each other.",
            "code goes with authorization_code; leave response_types empty without it.",
        )  # fmt: skip
    if "refresh_token" in grants and "authorization_code" not in grants:
        findings.error("grant_types.refresh", "grant_types", "refresh_token needs a grant that yields one.", "Add authorization_code.")
    if "client_credentials" in grants and metadata["token_endpoint_auth_method"] == "none":
        findings.error(
            "grant_types.public", "token_endpoint_auth_method", "A client without authentication cannot use client_credentials.",
            "Choose private_key_jwt, or leave out client_credentials.",
        )  # fmt: skip


def redirects(metadata: Metadata) -> bool:
    """Say whether the client has a grant that sends people back to it."""
    return not REDIRECT_GRANTS.isdisjoint(metadata["grant_types"])


def check_redirect_uris(metadata: Metadata, findings: Findings, *, allow_loopback_http: bool, needed: bool) -> None:
    """Check redirect_uris and post_logout_redirect_uris; `needed` says that one must be there (DCR-META-10 to -16, -45)."""
    for member in ("redirect_uris", "post_logout_redirect_uris"):
        uris = metadata.get(member)
        if uris is not None:
            _check_uri_list(metadata, member, uris, findings, allow_loopback_http=allow_loopback_http)
    if needed and not metadata.get("redirect_uris"):
        findings.error(
            "redirect_uris.missing", "redirect_uris", "This app redirects people, so it needs a redirect URI.", "Add at least one."
        )
    if not metadata.get("redirect_uris"):
        metadata.pop("redirect_uris", None)


def _check_uri_list(metadata: Metadata, member: str, uris: object, findings: Findings, *, allow_loopback_http: bool) -> None:
    entries = uris if isinstance(uris, list) else []
    metadata[member] = list(dict.fromkeys(uri for uri in entries if isinstance(uri, str)))
    if not isinstance(uris, list):
        findings.error("value.type", member, f"{member} must be an array of strings.")
        return
    if len(uris) > REDIRECT_URIS_LIMIT:
        findings.error("value.too_many", member, f"{member} must have at most {REDIRECT_URIS_LIMIT} entries.")
        return
    native = metadata["application_type"] == "native"
    review_redirect_uris(uris, member, findings, native=native, allow_loopback_http=allow_loopback_http)


def check_keys(metadata: Metadata, findings: Findings, *, now: int) -> None:
    """Check jwks against jwks_uri and against what they are needed for (DCR-META-29 to -31; DCR-JWK-01 to -06)."""
    method = metadata["token_endpoint_auth_method"]
    jwks = metadata.get("jwks")
    if jwks is not None and "jwks_uri" in metadata:
        findings.error("jwks.both", "jwks", "Give jwks or jwks_uri, not both.", "Prefer jwks_uri: you can then change keys yourself.")
    algorithms = _algorithms_needed(metadata)
    needs_keys = bool(method == "private_key_jwt" or algorithms or metadata.get("require_signed_request_object"))
    if jwks is not None:
        _check_key_set(jwks, algorithms, findings, needed=needs_keys, now=now)
    if needs_keys and jwks is None and "jwks_uri" not in metadata:
        findings.error("jwks.missing", "jwks", "This app signs, so it needs jwks or jwks_uri.", "Give the public keys it signs with.")
    if "token_endpoint_auth_signing_alg" in metadata and method != "private_key_jwt":
        findings.error(
            "auth_signing_alg.method", "token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg goes with private_key_jwt only.",
            "Leave it out, or set token_endpoint_auth_method to private_key_jwt.",
        )  # fmt: skip


def review_key_set(jwks: object, findings: Findings, *, now: int) -> None:
    """Add everything that `review_jwk_set` says of a key set, each about the key that it is about (DCR-JWK-01 to -06)."""
    for found in review_jwk_set(jwks, now):
        path = "jwks" if found.position is None else f"jwks[{found.position}]"
        add = findings.error if found.level == "error" else findings.warning
        add(f"jwks.{found.code}", path, found.sentence)


def _check_key_set(jwks: object, algorithms: list[str], findings: Findings, *, needed: bool, now: int) -> None:
    review_key_set(jwks, findings, now=now)
    try:
        keys = parse_jwk_set(jwks)
    except InvalidKeySet:
        return
    for algorithm in algorithms:
        if not keys.can_verify(algorithm):
            findings.error(
                "jwks.algorithm", "jwks", f"No key of the set can verify {algorithm}.", "Add a key for it, or change the algorithm."
            )
    if needed and not any(keys.can_verify(algorithm) for algorithm in CLIENT_ASSERTION_ALGORITHMS):
        sentence = f"No key of the set can verify a signature with {', '.join(CLIENT_ASSERTION_ALGORITHMS)}."
        findings.error("jwks.algorithm", "jwks", sentence, "Add a key that signs with one of them.")


def _algorithms_needed(metadata: Metadata) -> list[str]:
    members = ("token_endpoint_auth_signing_alg", "request_object_signing_alg")
    return list(dict.fromkeys(metadata[member] for member in members if member in metadata))


def check_web_addresses(metadata: Metadata, findings: Findings) -> None:
    """Warn when a page of the client stands on a host that none of its redirect URIs uses (RFC 7591, 5)."""
    hosts = {host for uri in metadata.get("redirect_uris", []) if (host := _host(uri))}
    for member in ("client_uri", "logo_uri", "tos_uri", "policy_uri"):
        if hosts and member in metadata and _host(metadata[member]) not in hosts:
            findings.warning("url.other_host", member, f"{member} is on another host than the redirect URIs.")


def _host(uri: str) -> str | None:
    try:
        authority = split_uri(uri).authority
        return parse_authority(authority).host if authority else None
    except InvalidUrl:
        return None
