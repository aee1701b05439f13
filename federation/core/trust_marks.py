"""Trust marks: verified against issuer, owner and anchor, and their status (OpenID Federation 1.0, 7, 8.4).

A mark counts only when a trust chain to its issuer was established first; unknown marks are ignored by callers, never shown as badges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from federation.core.claims import TrustMarkEntry
from federation.core.statement_cache import DEFAULT_MAX_AGE
from federation.core.statements import LATEST_TIME, EntityConfiguration
from federation.core.trust_chains import TrustChain
from protocol.errors import InvalidJwt, TrustMarkInvalid
from protocol.fetch import Fetcher, FetchPurpose, standard_request
from protocol.jose import KeySet, VerificationBudget, VerifiedJwt, parse_unverified, verify_jwt
from protocol.jose.purposes import TRUST_MARK, TRUST_MARK_DELEGATION, TRUST_MARK_STATUS_RESPONSE

ACTIVE: Final = "active"
# An answer signed longer ago, in seconds, does not say how a mark stands now: it is believed as long as a kept statement (threats.md T13).
STATUS_MAX_AGE: Final = DEFAULT_MAX_AGE


@dataclass(frozen=True, slots=True)
class TrustMark:
    """A trust mark that counts: verified, from an issuer that may issue it, delegated where its owner must.

    `expires_at` is in seconds; a mark does not outlive the delegation that it rests on.
    """

    trust_mark_type: str
    issuer: str
    subject: str
    owner: str | None
    expires_at: int | None
    raw: str


@dataclass(frozen=True, slots=True)
class TrustMarkFinding:
    """One mark of an entity: the mark itself, or why it does not count."""

    trust_mark_type: str
    unverified_issuer: str
    mark: TrustMark | None
    sentence: str


FindIssuerChain = Callable[[str], TrustChain | None]


def review_trust_marks(
    carrier: EntityConfiguration, find_issuer_chain: FindIssuerChain, *, now: int, budget: VerificationBudget
) -> tuple[TrustMarkFinding, ...]:
    """Return a finding for every trust mark that `carrier` carries; one bad mark spoils no other.

    `find_issuer_chain` establishes trust in an issuer, or returns None (FED-TMK-13); it is asked once for each issuer.
    """
    chains: dict[str, TrustChain | None] = {}
    findings = []
    for entry in carrier.trust_marks:
        issuer = entry.unverified.unverified_claims.get("iss")
        name = issuer if isinstance(issuer, str) else ""
        if name and name not in chains:
            chains[name] = find_issuer_chain(name)
        try:
            mark = verify_trust_mark(entry, carrier.subject, chains.get(name), now=now, budget=budget)
        except TrustMarkInvalid as error:
            findings.append(TrustMarkFinding(entry.trust_mark_type, name, None, error.description))
        else:
            findings.append(TrustMarkFinding(entry.trust_mark_type, name, mark, "The trust mark is valid."))
    return tuple(findings)


def verify_trust_mark(
    entry: TrustMarkEntry, subject: str, issuer_chain: TrustChain | None, *, now: int, budget: VerificationBudget
) -> TrustMark:
    """Verify one trust mark that `subject` carries (7.3; FED-TMK-13 to -18, -20, -21).

    `issuer_chain` is the validated chain of the mark's issuer with the configuration of its anchor. Raises TrustMarkInvalid.
    """
    if issuer_chain is None or issuer_chain.anchor is None:
        raise TrustMarkInvalid("No trust chain leads to the issuer of the trust mark.")
    issuer, anchor = issuer_chain.subject, issuer_chain.anchor
    verified = _verify(TRUST_MARK, entry.unverified, issuer.keys, issuer.subject, now, budget)
    if verified.claims["sub"] != subject:
        raise TrustMarkInvalid("The trust mark was issued to another entity.")
    if verified.claims["trust_mark_type"] != entry.trust_mark_type:
        raise TrustMarkInvalid("The trust mark is of another type than the entity says.")
    _check_issuer(anchor, entry.trust_mark_type, issuer.subject)
    delegation = _verify_delegation(anchor, verified, issuer.subject, now, budget)
    ends = [min(int(jwt.claims["exp"]), LATEST_TIME) for jwt in (verified, delegation) if jwt and "exp" in jwt.claims]
    owner = delegation.claims["iss"] if delegation else None
    return TrustMark(entry.trust_mark_type, issuer.subject, subject, owner, min(ends, default=None), entry.unverified.token)


def _verify(verifier: Any, token: Any, keys: KeySet, issuer: str, now: int, budget: VerificationBudget) -> VerifiedJwt:
    try:
        return verify_jwt(verifier, token, keys, now, issuer=issuer, budget=budget)
    except InvalidJwt as error:
        raise TrustMarkInvalid(error.description, detail=error.reason) from error


def _check_issuer(anchor: EntityConfiguration, trust_mark_type: str, issuer: str) -> None:
    """Accept an issuer that the anchor names for the type; an empty list means anyone, no list means nobody (FED-TMK-20, FED-ESC-12)."""
    issuers = anchor.trust_mark_issuers.get(trust_mark_type)
    if issuers is None:
        raise TrustMarkInvalid("The trust anchor does not recognize this type of trust mark.")
    if issuers and issuer not in issuers:
        raise TrustMarkInvalid("The trust anchor does not let this issuer issue this type of trust mark.")


def _verify_delegation(
    anchor: EntityConfiguration, mark: VerifiedJwt, issuer: str, now: int, budget: VerificationBudget
) -> VerifiedJwt | None:
    """Return the delegation by the owner of the mark's type, or None for a type without owner (FED-TMK-08 to -12, -18)."""
    trust_mark_type, delegation = mark.claims["trust_mark_type"], mark.claims.get("delegation")
    owner = anchor.trust_mark_owners.get(trust_mark_type)
    if owner is None:
        if delegation is not None:
            raise TrustMarkInvalid("The trust mark has a delegation, and the trust anchor names no owner to verify it by.")
        return None
    if not isinstance(delegation, str):
        raise TrustMarkInvalid("This type of trust mark has an owner, and the trust mark has no delegation by it.")
    verified = _verify(TRUST_MARK_DELEGATION, delegation, owner.keys, owner.entity_id, now, budget)
    if verified.claims["sub"] != issuer or verified.claims["trust_mark_type"] != trust_mark_type:
        raise TrustMarkInvalid("The delegation is for another issuer or another type.")
    return verified


def fetch_trust_mark_status(
    mark: TrustMark, issuer: EntityConfiguration, fetcher: Fetcher, *, now: int, budget: VerificationBudget
) -> str | None:
    """Return the status that the issuer says its mark has, such as active or revoked; None when it publishes no status endpoint.

    The answer is signed by the issuer (8.4.2), lately. Raises FetchError when it cannot be had, TrustMarkInvalid when it does not verify.
    """
    endpoint = issuer.metadata.get("federation_entity", {}).get("federation_trust_mark_status_endpoint")
    if not isinstance(endpoint, str):
        return None
    form = urlencode({"trust_mark": mark.raw}).encode()
    response = fetcher.fetch(standard_request(FetchPurpose.TRUST_MARK_STATUS, endpoint, form=form))
    try:
        answer = parse_unverified(response.body, max_length=TRUST_MARK_STATUS_RESPONSE.max_length)
    except InvalidJwt as error:
        raise TrustMarkInvalid("The status of the trust mark is not a signed answer.", detail=error.reason) from error
    claims: Mapping[str, Any] = _verify(TRUST_MARK_STATUS_RESPONSE, answer, issuer.keys, issuer.subject, now, budget).claims
    if claims["trust_mark"] != mark.raw:
        raise TrustMarkInvalid("The status is about another trust mark.")
    if claims["iat"] < now - STATUS_MAX_AGE:
        raise TrustMarkInvalid("The status was signed too long ago to say how the trust mark stands now.")
    return str(claims["status"])


def is_active(status: str | None) -> bool:
    """Say whether a status lets a mark count; no status endpoint leaves it to the mark's own end."""
    return status is None or status == ACTIVE
