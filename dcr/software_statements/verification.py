"""From a presented string to a statement that may be relied on (RFC 7591, 2.3 and 3.2.2; DCR-SS-01, -02, -05)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings

from dcr.models import SoftwareStatementIssuer
from dcr.software_statements.claims import read_asserted, read_end, read_roles
from dcr.software_statements.issuer_keys import get_issuer_keys
from protocol.errors import InvalidJwt, InvalidSoftwareStatement, UnapprovedSoftwareStatement
from protocol.jose import UnverifiedJwt, Verifier, audience_contains, parse_unverified, validate_unverified, verify_jwt
from protocol.jose.purposes import SOFTWARE_STATEMENT

_MEMBER = ("software_statement",)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedStatement:
    """A statement whose signature, times and audience were checked, of an issuer that counts here, about software that is approved.

    `asserted` are the metadata members that it sets, `roles` what its issuer says the software's owner is.
    """

    issuer: SoftwareStatementIssuer
    raw: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    asserted: dict[str, Any] = field(repr=False)
    roles: tuple[str, ...]
    expires_at: datetime | None


def verify_statement(raw: object, *, now: datetime) -> VerifiedStatement:
    """Return the verified statement that was presented as `raw`. It may fetch, so call it outside of any transaction.

    Raises InvalidSoftwareStatement for what is malformed, does not verify, is expired, too old or meant for another server;
    UnapprovedSoftwareStatement for software, or an issuer, that is not approved here; ServiceUnavailable when the issuer's keys cannot
    be had. An issuer that is unknown or disabled is answered before its signature is looked at: nothing here could verify the one, and
    nothing is fetched for the other, so "not approved for use by this authorization server" (RFC 7591, 3.2.2) is all that can be said.
    """
    if not isinstance(raw, str):
        raise InvalidSoftwareStatement("software_statement must be a string: a signed JWT in compact form.", members=_MEMBER)
    seconds = int(now.timestamp())
    try:
        jwt = parse_unverified(raw, max_length=SOFTWARE_STATEMENT.max_length)
        audience = _own_name_in(jwt)
        validate_unverified(SOFTWARE_STATEMENT, jwt, seconds, audience=audience)
        issuer = _get_issuer(jwt.unverified_claims["iss"])
        kid = jwt.unverified_header.get("kid")
        verified = verify_jwt(
            verifier_for(issuer),
            jwt,
            lambda _: get_issuer_keys(issuer, kid=kid, now=now),
            seconds,
            issuer=issuer.issuer,
            audience=audience,
        )
    except InvalidJwt as error:
        detail = f"{error.reason} {error.detail}".strip()
        raise InvalidSoftwareStatement(f"The software statement is refused. {error.description}", detail=detail, members=_MEMBER) from None
    claims = verified.claims
    _check_age(issuer, claims, seconds)
    _check_software(issuer, claims)
    return VerifiedStatement(
        issuer=issuer,
        raw=raw,
        claims=claims,
        asserted=read_asserted(claims, issuer.claims, is_mandatory_profile=issuer.is_mandatory_profile),
        roles=read_roles(claims, issuer.roles_claim),
        expires_at=read_end(claims),
    )


def verifier_for(issuer: SoftwareStatementIssuer) -> Verifier:
    """Return the verifier of software statements as `issuer` has to make them: its algorithms, and the claims that its rules need."""
    more = ("jti",) * issuer.single_use + ("iat",) * (issuer.max_age_seconds is not None)
    required = (*SOFTWARE_STATEMENT.required, *more)
    return replace(SOFTWARE_STATEMENT, algorithms=tuple(issuer.algorithms), required=required)


def _own_name_in(jwt: UnverifiedJwt) -> str:
    """Return which of this server's names the audience has to hold: its registration endpoint if that is there, or else its issuer."""
    endpoint = f"{settings.ISSUER}/register"
    return endpoint if audience_contains(jwt.unverified_claims, endpoint) else settings.ISSUER


def _get_issuer(name: str) -> SoftwareStatementIssuer:
    issuer = SoftwareStatementIssuer.objects.select_related("organization").filter(issuer=name, is_enabled=True).first()
    if issuer is None:
        raise UnapprovedSoftwareStatement(
            "The software statement is not approved for use by this authorization server: it knows no such issuer.", members=_MEMBER
        )
    return issuer


def _check_age(issuer: SoftwareStatementIssuer, claims: Mapping[str, Any], seconds: int) -> None:
    if issuer.max_age_seconds is not None and seconds > claims["iat"] + issuer.max_age_seconds:
        sentence = f"The software statement is older than the {issuer.max_age_seconds} seconds that are accepted; get a new one."
        raise InvalidSoftwareStatement(sentence, members=_MEMBER)


def _check_software(issuer: SoftwareStatementIssuer, claims: Mapping[str, Any]) -> None:
    if issuer.software_ids and claims.get("software_id") not in issuer.software_ids:
        raise UnapprovedSoftwareStatement(
            "The software statement is not approved for use by this authorization server: nobody approved its software_id.", members=_MEMBER
        )
