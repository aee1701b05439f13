"""Issuing entity statements and trust marks, for our own configuration, the simulator and tests (OpenID Federation 1.0, 3, 7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from protocol.constants import ENTITY_STATEMENT_TYPE, TRUST_MARK_DELEGATION_TYPE, TRUST_MARK_TYPE
from protocol.jose import SigningKey, issue_jwt


def build_entity_configuration(
    entity_id: str,
    keys: Iterable[SigningKey],
    metadata: Mapping[str, Mapping[str, Any]],
    *,
    now: int,
    lifetime: int,
    authority_hints: Iterable[str] = (),
    **claims: Any,
) -> dict[str, Any]:
    """Return the claims of an entity configuration; times in seconds. `claims` are others of 3.1.2, such as trust_marks."""
    hints = list(authority_hints)
    return {
        "iss": entity_id,
        "sub": entity_id,
        "iat": now,
        "exp": now + lifetime,
        "jwks": build_jwks(keys),
        "metadata": {name: dict(parameters) for name, parameters in metadata.items()},
        **({"authority_hints": hints} if hints else {}),
        **claims,
    }


def build_subordinate_statement(
    issuer: str, subject: str, subject_keys: Iterable[SigningKey], *, now: int, lifetime: int, **claims: Any
) -> dict[str, Any]:
    """Return the claims of a subordinate statement. `claims` are others of 3.1.3, such as metadata_policy and constraints."""
    return {"iss": issuer, "sub": subject, "iat": now, "exp": now + lifetime, "jwks": build_jwks(subject_keys), **claims}


def build_jwks(keys: Iterable[SigningKey]) -> dict[str, Any]:
    """Return the public parts of keys as a JWK Set."""
    return {"keys": [key.public_jwk() for key in keys]}


def issue_entity_statement(claims: Mapping[str, Any], key: SigningKey) -> str:
    """Return a signed entity statement."""
    return issue_jwt(claims, key, typ=ENTITY_STATEMENT_TYPE)


def issue_trust_mark(
    issuer: str, subject: str, trust_mark_type: str, key: SigningKey, *, now: int, lifetime: int | None = None, **claims: Any
) -> str:
    """Return a signed trust mark (7.1); without `lifetime` it does not expire. `claims` are others, such as delegation."""
    content = {"iss": issuer, "sub": subject, "trust_mark_type": trust_mark_type, "iat": now, **claims}
    return issue_jwt({**content, **({"exp": now + lifetime} if lifetime is not None else {})}, key, typ=TRUST_MARK_TYPE)


def issue_trust_mark_delegation(
    owner: str, issuer: str, trust_mark_type: str, key: SigningKey, *, now: int, lifetime: int | None = None
) -> str:
    """Return a signed delegation by which the owner of a trust mark type lets `issuer` issue it (7.2.1)."""
    content = {"iss": owner, "sub": issuer, "trust_mark_type": trust_mark_type, "iat": now}
    return issue_jwt({**content, **({"exp": now + lifetime} if lifetime is not None else {})}, key, typ=TRUST_MARK_DELEGATION_TYPE)
