"""What an issuer of software statements may be set to. Pure: the scopes of this server are an argument."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from dcr.models import SoftwareStatementIssuer
from protocol.constants import SIGNING_ALGORITHMS, URL_LIMIT
from protocol.errors import InvalidKeySet, InvalidUrl
from protocol.jose import KeySet, parse_jwk_set
from protocol.urls import parse_https_url
from registry.client_metadata.fields import READERS
from registry.findings import Finding, Findings
from registry.models import Client

CLAIM_LIMIT: Final = 60
ENTRIES_LIMIT: Final = 500
IDENTIFIER_LIMIT: Final = 255
LONGEST_AGE: Final = 10 * 365 * 24 * 3600
_RULES = SoftwareStatementIssuer.Organizations
_SWITCHES: Final = ("single_use", "replaces_initial_access_token", "is_mandatory_profile")
_CLAIM_NAMES: Final = ("organization_claim", "organization_name_claim", "roles_claim")
# These mean something for the JWT itself.
_REGISTERED_CLAIMS: Final = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")


def review_issuer(values: Mapping[str, Any], *, offered_scopes: Collection[str]) -> tuple[Finding, ...]:
    """Return what is wrong with the values of an issuer."""
    findings = Findings()
    _review_names(values, findings)
    keys = _review_keys(values, findings)
    _review_algorithms(values["algorithms"], keys, findings)
    _review_age(values["max_age_seconds"], findings)
    _review_claims(values, findings)
    _review_organizations(values, findings)
    _review_roles(values, offered_scopes, findings)
    for name in _SWITCHES:
        if not isinstance(values[name], bool):
            findings.error("statement_issuer.value", name, f"{name} must be true or false.")
    if values["stage"] not in Client.Stage.values:
        findings.error("statement_issuer.choice", "stage", f"The stage must be one of {', '.join(Client.Stage.values)}.")
    return tuple(findings.items)


def _is_text(value: object, limit: int) -> bool:
    return isinstance(value, str) and value.isprintable() and value == value.strip() and 0 < len(value) <= limit


def _review_names(values: Mapping[str, Any], findings: Findings) -> None:
    """Check the name, and the identifier: a StringOrURI, so that what has a colon is an https URL (RFC 7519, 2 and 4.1.1)."""
    if not _is_text(values["name"], 100):
        findings.error("statement_issuer.name", "name", "An issuer needs a name of at most 100 characters.")
    issuer = values["issuer"]
    if not _is_text(issuer, URL_LIMIT):
        sentence = f"The issuer is the claim iss of its statements, at most {URL_LIMIT} characters without white space around them."
        findings.error("statement_issuer.issuer", "issuer", sentence)
    elif ":" in issuer:
        _review_url(issuer, "issuer", findings)


def _review_url(value: object, member: str, findings: Findings) -> None:
    try:
        parse_https_url(str(value))
    except InvalidUrl as error:
        findings.error("statement_issuer.url", member, f"This must be an https URL. {error.description}")


def _review_keys(values: Mapping[str, Any], findings: Findings) -> KeySet | None:
    """Check that the keys are given in exactly one way; return them when they are pinned and sound."""
    jwks, uri = values["jwks"], values["jwks_uri"]
    if (jwks is None) == (uri == ""):
        findings.error("statement_issuer.keys", "jwks", "Give either its keys or the address of its keys, exactly one of them.")
        return None
    if uri != "":
        _review_url(uri, "jwks_uri", findings)
        return None
    try:
        return parse_jwk_set(jwks)
    except InvalidKeySet as error:
        findings.error(f"jwks.{error.reason}", "jwks", error.description)
        return None


def _review_algorithms(value: object, keys: KeySet | None, findings: Findings) -> None:
    algorithms = read_strings(value, "algorithms", findings)
    if not algorithms and isinstance(value, list):
        findings.error("statement_issuer.algorithms", "algorithms", "Choose at least one signature algorithm.")
    refuse_others(algorithms, "algorithms", SIGNING_ALGORITHMS, "{} is no signature algorithm that is accepted here.", findings)
    if keys is not None and algorithms and not any(keys.can_verify(algorithm) for algorithm in algorithms):
        findings.error("statement_issuer.algorithms", "algorithms", "None of the keys can verify one of these algorithms.")


def _review_age(value: object, findings: Findings) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LONGEST_AGE):
        findings.error("statement_issuer.age", "max_age_seconds", f"The age is a number of seconds from 1 to {LONGEST_AGE}, or none.")


def _review_claims(values: Mapping[str, Any], findings: Findings) -> None:
    claims = read_strings(values["claims"], "claims", findings)
    refuse_others(claims, "claims", READERS, "This server knows no client metadata {}.", findings)
    if values["is_mandatory_profile"] and "jwks" in claims:
        sentence = "In the ecosystem profile keys are behind the statement's jwks_uri, and jwks cannot be set."
        findings.error("statement_issuer.profile", "claims", sentence)
    software = read_strings(values["software_ids"], "software_ids", findings)
    if len(software) > ENTRIES_LIMIT or not all(_is_text(entry, IDENTIFIER_LIMIT) for entry in software):
        sentence = f"Give at most {ENTRIES_LIMIT} identifiers of at most {IDENTIFIER_LIMIT} characters."
        findings.error("statement_issuer.software", "software_ids", sentence)
    for name in _CLAIM_NAMES:
        if values[name] != "" and (not _is_text(values[name], CLAIM_LIMIT) or values[name] in _REGISTERED_CLAIMS):
            findings.error(
                "statement_issuer.claim",
                name,
                f"This must be the name of a claim, at most {CLAIM_LIMIT} characters, and none of JWT's own.",
            )


def _review_organizations(values: Mapping[str, Any], findings: Findings) -> None:
    rule, organization = values["organizations"], values["organization"]
    if rule not in _RULES.values:
        findings.error("statement_issuer.choice", "organizations", "Choose one of the rules about organizations.")
        return
    is_fixed = rule == _RULES.FIXED
    if is_fixed and organization is None:
        findings.error("statement_issuer.organization", "organization", "Name the organization that all clients belong to.")
    if not is_fixed and organization is not None:
        findings.error(
            "statement_issuer.organization", "organization", "With this rule the claim names the organization; leave this empty."
        )
    if not is_fixed and values["organization_claim"] == "":
        findings.error("statement_issuer.claim", "organization_claim", "Name the claim that says which organization it is.")


def _review_roles(values: Mapping[str, Any], offered_scopes: Collection[str], findings: Findings) -> None:
    roles = values["role_scopes"]
    if not isinstance(roles, dict) or len(roles) > ENTRIES_LIMIT or not all(_is_text(role, IDENTIFIER_LIMIT) for role in roles):
        findings.error("statement_issuer.roles", "role_scopes", f"Give at most {ENTRIES_LIMIT} roles, each with its scopes.")
        return
    for scopes in roles.values():
        named = read_strings(scopes, "role_scopes", findings)
        refuse_others(named, "role_scopes", offered_scopes, "This server has no scope {}.", findings)
    if bool(roles) != bool(values["roles_claim"]):
        findings.error("statement_issuer.roles", "roles_claim", "Roles need both: the claim that lists them, and the scopes of each.")


def read_strings(value: object, member: str, findings: Findings) -> list[str]:
    """Return a list of strings, each of them once; an empty one after a finding for anything else."""
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value) and len(set(value)) == len(value):
        return value
    findings.error("statement_issuer.value", member, f"{member} must be a list of strings, each of them once.")
    return []


def refuse_others(entries: list[str], member: str, offered: Collection[str], sentence: str, findings: Findings) -> None:
    """Add a finding about the entries that are not among what is offered."""
    wrong = [entry for entry in entries if entry not in offered]
    if wrong:
        findings.error("statement_issuer.choice", member, sentence.format(", ".join(entry[:60] for entry in wrong[:10])))
