"""A JWT that a person wants to read: what it says, whether its signature holds. Pure; nothing in it is relied on, nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from federation.core.statements import LATEST_TIME, parse_entity_statement, verify_entity_configuration
from federation.registration import as_time
from protocol.constants import (
    CLOCK_LEEWAY,
    ENTITY_STATEMENT_TYPE,
    EXPLICIT_REGISTRATION_RESPONSE_TYPE,
    REQUEST_OBJECT_TYPE,
    RESOLVE_RESPONSE_TYPE,
    SIGNED_JWKS_TYPE,
    TRUST_CHAIN_HEADER_LIMIT,
    TRUST_MARK_DELEGATION_TYPE,
    TRUST_MARK_TYPE,
)
from protocol.errors import InvalidJwt, InvalidKeySet, StatementInvalid
from protocol.jose import (
    FEDERATION_ENTITY_KEYS,
    KeySet,
    PublicKey,
    UnverifiedJwt,
    VerificationBudget,
    check_signature,
    numeric_date,
    parse_jwk_set,
    parse_unverified,
)
from protocol.jose.purposes import CLIENT_ASSERTION_TYP, ENTITY_CLAIM_TYP, TRUST_MARK_STATUS_RESPONSE_TYPE
from registry.findings import Finding, Findings
from registry.pasted_keys import holds_private_jwk

_KINDS: Final[Mapping[str, str]] = {
    ENTITY_STATEMENT_TYPE: "Entity statement of a federation",
    TRUST_MARK_TYPE: "Trust mark",
    TRUST_MARK_DELEGATION_TYPE: "Delegation of a trust mark",
    TRUST_MARK_STATUS_RESPONSE_TYPE: "Status of a trust mark",
    RESOLVE_RESPONSE_TYPE: "Resolve response of a federation",
    EXPLICIT_REGISTRATION_RESPONSE_TYPE: "Response to an explicit registration",
    SIGNED_JWKS_TYPE: "Signed key set",
    REQUEST_OBJECT_TYPE: "Request object",
    CLIENT_ASSERTION_TYP: "Client assertion",
    ENTITY_CLAIM_TYP: "Signed challenge that proves an entity",
    "at+jwt": "Access token",
    "logout+jwt": "Logout token",
    "dpop+jwt": "DPoP proof",
}
_TIMES: Final = ("iat", "nbf", "exp", "auth_time", "updated_at")
_MEMBERS_WITH_KEYS: Final = ("jwk", "x5c", "jku", "x5u")


class Verdict(Enum):
    """What is known of the signature."""

    VERIFIED = "verified"
    SELF_SIGNED = "self-signed"
    WRONG = "wrong"
    UNCHECKED = "not verified"


@dataclass(frozen=True, slots=True)
class ClaimTime:
    """A time in the claims; `at` is None when the value is no time."""

    claim: str
    value: Any
    at: datetime | None


@dataclass(frozen=True, slots=True)
class DecodedToken:
    """What a token says. `verdict` is about the signature alone, `sentence` says how it came about, `key` is the key that signed."""

    kind: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    times: tuple[ClaimTime, ...]
    verdict: Verdict
    sentence: str
    key: PublicKey | None
    findings: tuple[Finding, ...]


def decode_token(text: str, keys: KeySet | None, *, now: int) -> DecodedToken:
    """Return what a compact JWT says; its signature is checked by `keys`, or an entity configuration by its own.

    Raises InvalidJwt for what is no JWT, and with reason private_key for one that carries a private key, of which nothing may be shown.
    """
    jwt = parse_unverified("".join(text.split()), max_length=TRUST_CHAIN_HEADER_LIMIT)
    header, claims = dict(jwt.unverified_header), dict(jwt.unverified_claims)
    if holds_private_jwk([header, claims]):
        raise InvalidJwt("private_key", "The JWT carries a private or secret key.")
    verdict, sentence, key = _check(jwt, keys)
    findings = Findings()
    _review_header(header, findings)
    _review_times(claims, now, findings)
    if is_entity_configuration(jwt):
        _review_configuration(jwt, now, findings)
    times = tuple(ClaimTime(name, claims[name], _moment(claims, name)) for name in _TIMES if name in claims)
    return DecodedToken(_kind(jwt), header, claims, times, verdict, sentence, key, tuple(findings.items))


def is_entity_configuration(jwt: UnverifiedJwt) -> bool:
    """Say whether a token claims to be what an entity says of itself."""
    claims = jwt.unverified_claims
    return jwt.unverified_header.get("typ") == ENTITY_STATEMENT_TYPE and "iss" in claims and claims.get("iss") == claims.get("sub")


def _kind(jwt: UnverifiedJwt) -> str:
    if is_entity_configuration(jwt):
        return "Entity configuration of a federation"
    typ = jwt.unverified_header.get("typ")
    return _KINDS.get(typ, "JWT") if isinstance(typ, str) else "JWT"


def _check(jwt: UnverifiedJwt, keys: KeySet | None) -> tuple[Verdict, str, PublicKey | None]:
    own = keys is None and is_entity_configuration(jwt)
    if keys is None and not own:
        return Verdict.UNCHECKED, _why_unchecked(jwt), None
    try:
        usable = keys or parse_jwk_set(jwt.unverified_claims.get("jwks"), purpose=FEDERATION_ENTITY_KEYS)
        key = check_signature(jwt, usable)
    except InvalidKeySet as error:
        return Verdict.WRONG, f"Its own keys cannot be used: {error.description}", None
    except InvalidJwt as error:
        whose = "its own keys" if own else "the keys that you pasted"
        return Verdict.WRONG, f"{error.description} It was checked against {whose}.", None
    if own:
        words = "It is signed by a key of its own, which anybody can do: whether to trust it is said by the trust chain above it."
        return Verdict.SELF_SIGNED, words, key
    return Verdict.VERIFIED, "It is signed by a key that you pasted. Whether its claims may be relied on is another question.", key


def _why_unchecked(jwt: UnverifiedJwt) -> str:
    if jwt.unverified_header.get("typ") == ENTITY_STATEMENT_TYPE:
        return "A statement about another entity is signed by its issuer. Paste the keys of the issuer to have it checked."
    return "Anybody can have written this. Paste the public keys of its issuer to have the signature checked; nothing is fetched here."


def _review_header(header: Mapping[str, Any], findings: Findings) -> None:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm.lower() == "none":
        findings.error("jwt.alg", "alg", "Nobody signed this: 'alg' names no algorithm.", "Never accept such a token.")
    elif algorithm.startswith("HS"):
        words = "It is signed by a shared secret, which this server never accepts."
        findings.warning("jwt.alg", "alg", words, "Use a key pair, such as with ES256.")
    if "crit" in header:
        findings.warning("jwt.crit", "crit", "The header demands to understand more than the standard; this server refuses that.")
    for name in _MEMBERS_WITH_KEYS:
        if name in header:
            findings.warning(
                "jwt.header_key", name, f"The header brings keys by '{name}'; whoever wrote it chose them, so they prove nothing."
            )


def _review_times(claims: Mapping[str, Any], now: int, findings: Findings) -> None:
    values: dict[str, int | float] = {}
    for name in ("iat", "nbf", "exp"):
        try:
            value = numeric_date(claims, name)
        except InvalidJwt as error:
            findings.error("jwt.numeric_date", name, error.description, "It is a number, without quotes.")
        else:
            values.update({} if value is None else {name: value})
    if "exp" in values and values["exp"] <= now:
        findings.warning("jwt.expired", "exp", "It is expired.")
    elif "exp" in values:
        findings.note("jwt.alive", "exp", "It has not ended yet: if it is a credential, whoever sees it can use it until then.")
    for name, words in (("nbf", "It is not valid yet."), ("iat", "It was issued in the future; a clock is wrong.")):
        if values.get(name, 0) > now + CLOCK_LEEWAY:
            findings.warning("jwt.not_yet_valid", name, words)
    if "exp" not in claims:
        findings.note("jwt.endless", "exp", "It does not say when it ends.")


def _review_configuration(jwt: UnverifiedJwt, now: int, findings: Findings) -> None:
    """Add the first rule of entity configurations that is broken, if it is not about the signature, which has a verdict of its own."""
    try:
        statement = parse_entity_statement(jwt.token, max_length=TRUST_CHAIN_HEADER_LIMIT)
        verify_entity_configuration(statement, statement.unverified_subject, now=now, budget=VerificationBudget(1))
    except StatementInvalid as error:
        if error.reason not in ("expired", "not_yet_valid", "issued_in_future"):
            findings.error(f"statement.{error.reason}", error.claim or "statement", error.description)


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    try:
        value = numeric_date(claims, name)
    except InvalidJwt:
        return None
    return None if value is None else as_time(int(min(value, LATEST_TIME)))
