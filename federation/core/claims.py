"""The claims of entity statements, one rule each (OpenID Federation 1.0, 3.1 and 3.2). Every rule raises StatementInvalid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from protocol.errors import InvalidJwt, InvalidKeySet, InvalidUrl, StatementInvalid
from protocol.jose import FEDERATION_ENTITY_KEYS, KeySet, UnverifiedJwt, parse_jwk_set, parse_unverified
from protocol.jose.purposes import TRUST_MARK
from protocol.urls import parse_entity_identifier, parse_https_url

ENTITY_CONFIGURATION_ONLY: Final = ("authority_hints", "trust_anchor_hints", "trust_marks", "trust_mark_issuers", "trust_mark_owners")
SUBORDINATE_STATEMENT_ONLY: Final = ("constraints", "metadata_policy", "metadata_policy_crit", "source_endpoint")

TRUST_MARKS_LIMIT: Final = 20
IDENTIFIERS_LIMIT: Final = 100
_STANDARD_OPERATORS: Final = ("value", "add", "default", "one_of", "subset_of", "superset_of", "essential")
_KEY_MEMBERS: Final = ("jwks", "jwks_uri", "signed_jwks_uri")
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TrustMarkEntry:
    """A trust mark as an entity carries it: its type was compared with the one inside, nothing was verified yet (FED-ESV-20)."""

    trust_mark_type: str
    unverified: UnverifiedJwt


@dataclass(frozen=True, slots=True)
class TrustMarkOwner:
    """Who owns a trust mark type, with the keys to verify delegations by (3.1.2)."""

    entity_id: str
    keys: KeySet


def _invalid(claim: str, problem: str, reason: str = "claim_type") -> StatementInvalid:
    return StatementInvalid(reason, f"The claim '{claim}' {problem}.", claim=claim)


def check_absent(content: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse claims that belong into the other kind of statement (FED-ESC-14, FED-ESV-14 to -23, FED-AMB-06)."""
    for name in names:
        if name in content:
            raise _invalid(name, "does not belong into this kind of statement", "claim_forbidden")


def check_critical_claims(content: Mapping[str, Any]) -> None:
    """Refuse a statement with critical claims: none beyond the standard ones is understood here (13.4; FED-ESC-05, -06, FED-ESV-13)."""
    if "crit" not in content:
        return
    names = content["crit"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _invalid("crit", "is not an array of claim names", "crit")
    raise _invalid("crit", f"names {names[0][:60]!r}, which is not understood here", "crit")


def read_metadata(content: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return metadata by entity type (FED-ESC-03, -04, FED-ESV-16, FED-MET-01, -04, -11)."""
    metadata = content.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _invalid("metadata", "is not an object")
    for entity_type, parameters in metadata.items():
        if not isinstance(parameters, dict):
            raise _invalid("metadata", f"is not an object for {entity_type[:60]!r}")
        for name, value in parameters.items():
            if value is None:
                raise _invalid("metadata", f"has null for {name[:60]!r}")
    _check_federation_entity(metadata.get("federation_entity", {}))
    return MappingProxyType(metadata)


def _check_federation_entity(parameters: Mapping[str, Any]) -> None:
    for name in _KEY_MEMBERS:
        if name in parameters:
            raise _invalid("metadata", f"has {name} under federation_entity")
    for name, value in parameters.items():
        if name.startswith("federation_") and name.endswith("_endpoint"):
            _check_endpoint("metadata", value)


def _check_endpoint(claim: str, value: object) -> str:
    try:
        return parse_https_url(value if isinstance(value, str) else "").text
    except InvalidUrl as error:
        raise _invalid(claim, "has an endpoint that is not an https URL without fragment", "endpoint") from error


def read_identifiers(content: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """Return the entity identifiers of an optional claim, which is never empty (FED-ESC-07, -09, FED-ESV-14, -15)."""
    if claim not in content:
        return ()
    values = content[claim]
    if not isinstance(values, list) or not values or len(values) > IDENTIFIERS_LIMIT:
        raise _invalid(claim, f"is not an array of 1 to {IDENTIFIERS_LIMIT} entity identifiers")
    return tuple(dict.fromkeys(_entity_identifier(value, claim) for value in values))


def _entity_identifier(value: object, claim: str) -> str:
    try:
        return parse_entity_identifier(value if isinstance(value, str) else "").text
    except InvalidUrl as error:
        raise _invalid(claim, "holds a value that is not an entity identifier", "identifier") from error


def read_trust_marks(content: Mapping[str, Any]) -> tuple[TrustMarkEntry, ...]:
    """Return the trust marks of a configuration, read but not verified (FED-ESC-10, FED-ESV-20)."""
    entries = content.get("trust_marks", [])
    if not isinstance(entries, list) or len(entries) > TRUST_MARKS_LIMIT:
        raise _invalid("trust_marks", f"is not an array of at most {TRUST_MARKS_LIMIT} trust marks")
    return tuple(_trust_mark_entry(entry) for entry in entries)


def _trust_mark_entry(entry: object) -> TrustMarkEntry:
    outer, token = (entry.get("trust_mark_type"), entry.get("trust_mark")) if isinstance(entry, dict) else (None, None)
    if not isinstance(outer, str) or not isinstance(token, str):
        raise _invalid("trust_marks", "holds an entry without trust_mark_type and trust_mark")
    try:
        mark = parse_unverified(token, max_length=TRUST_MARK.max_length)
    except InvalidJwt as error:
        raise _invalid("trust_marks", "holds a trust mark that is not a JWT", error.reason) from error
    if mark.unverified_claims.get("trust_mark_type") != outer:
        raise _invalid("trust_marks", "holds a trust mark of another type than the entry says", "trust_mark_type")
    return TrustMarkEntry(outer, mark)


def read_trust_mark_issuers(content: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Return who may issue which trust mark type; an empty tuple means anyone (FED-ESC-12, FED-ESV-21)."""
    issuers = content.get("trust_mark_issuers", {})
    if not isinstance(issuers, dict) or not all(isinstance(values, list) for values in issuers.values()):
        raise _invalid("trust_mark_issuers", "is not an object of arrays")
    return MappingProxyType(
        {name: tuple(_entity_identifier(value, "trust_mark_issuers") for value in values) for name, values in issuers.items()}
    )


def read_trust_mark_owners(content: Mapping[str, Any]) -> Mapping[str, TrustMarkOwner]:
    """Return the owners of trust mark types, with their keys (FED-ESV-22)."""
    owners = content.get("trust_mark_owners", {})
    if not isinstance(owners, dict) or not all(isinstance(owner, dict) for owner in owners.values()):
        raise _invalid("trust_mark_owners", "is not an object of owners")
    return MappingProxyType({name: _trust_mark_owner(owner) for name, owner in owners.items()})


def _trust_mark_owner(owner: Mapping[str, Any]) -> TrustMarkOwner:
    try:
        keys = parse_jwk_set(owner.get("jwks"), purpose=FEDERATION_ENTITY_KEYS)
    except InvalidKeySet as error:
        raise _invalid("trust_mark_owners", f"holds keys that cannot be used: {error.description}", error.reason) from error
    return TrustMarkOwner(_entity_identifier(owner.get("sub"), "trust_mark_owners"), keys)


def read_metadata_policy(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata policy if it has three levels of objects; its operators are checked when it is resolved (FED-ESV-17)."""
    policy = content.get("metadata_policy", {})
    if not isinstance(policy, dict):
        raise _invalid("metadata_policy", "is not an object")
    for parameters in policy.values():
        if not isinstance(parameters, dict) or not all(isinstance(operators, dict) for operators in parameters.values()):
            raise _invalid("metadata_policy", "does not map entity types to parameters to operators")
    return MappingProxyType(policy) if policy else _EMPTY


def read_metadata_policy_crit(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the operators that must be understood: never empty, never standard ones (FED-ESC-15, FED-ESV-18)."""
    if "metadata_policy_crit" not in content:
        return ()
    names = content["metadata_policy_crit"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise _invalid("metadata_policy_crit", "is not an array of operator names")
    if not set(names).isdisjoint(_STANDARD_OPERATORS):
        raise _invalid("metadata_policy_crit", "names a standard operator")
    return tuple(names)


def read_source_endpoint(content: Mapping[str, Any]) -> str | None:
    """Return where the statement was issued, if it says so (FED-ESC-16, FED-ESV-23)."""
    return _check_endpoint("source_endpoint", content["source_endpoint"]) if "source_endpoint" in content else None
