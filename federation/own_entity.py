"""This server as an entity: its configuration, its superiors and its trust marks (OpenID Federation 1.0, 3.1.2, 5.1, 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import reverse

from federation.client_documents import Way
from federation.core.issuing import build_entity_configuration, issue_entity_statement
from federation.core.statements import LATEST_TIME
from federation.models import OwnTrustMark, Superior, TrustAnchorRecord
from protocol.constants import SIGNED_JWKS_TYPE
from protocol.errors import InvalidJwt, InvalidUrl, NotFound, ServiceUnavailable, StatementInvalid
from protocol.jose import SigningKey, issue_jwt, parse_unverified
from protocol.jose.purposes import TRUST_MARK
from protocol.urls import parse_entity_identifier
from registry import audit
from registry.actors import Actor
from registry.models import Contact, Organization
from registry.models import SigningKey as SigningKeyRecord
from registry.signing_keys import FEDERATION_ALGORITHM, get_keys

# Long enough that a weekend without us does not end the federation's trust in us, short enough that a leaked key does not last.
LIFETIME: Final = timedelta(hours=72)
# A statement that ends sooner is not given out any more (FED-ECP-11).
LEAST_LEFT: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class OwnStatement:
    """A statement of this server as it is published, and when it ends, in seconds."""

    token: str
    expires_at: int

    def current(self, now: datetime) -> str:
        """Return the token. Raises ServiceUnavailable when it ends soon, since the database is away and it was not renewed."""
        if self.expires_at - now.timestamp() < LEAST_LEFT.total_seconds():
            raise ServiceUnavailable(retry_after=60, detail="a statement of this server could not be renewed")
        return self.token


def own_entity_id() -> str:
    """Return the entity identifier of this server: its issuer (FED-OPM-01, -02), which may be http on one's own machine only.

    Raises NotFound where the issuer cannot be an entity identifier.
    """
    if settings.ISSUER.startswith("http://"):  # a check keeps such an issuer on loopback (house decision 21)
        return str(settings.ISSUER)
    try:
        return parse_entity_identifier(settings.ISSUER).text
    except InvalidUrl:
        raise NotFound("This server is no entity of a federation: its issuer is not an https address.") from None


def issue_own_configuration(metadata: Mapping[str, Mapping[str, Any]], *, now: datetime) -> OwnStatement:
    """Sign this server's configuration with `metadata` by entity type; federation_entity is added (FED-ECP-03, -12; FED-ESC).

    Raises NotFound where this server is no entity, ServiceUnavailable without a federation key.
    """
    entity_id, seconds = own_entity_id(), int(now.timestamp())
    key, jwks = _federation_key()
    marks = OwnTrustMark.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now))
    entries = [{"trust_mark_type": mark.trust_mark_type, "trust_mark": mark.token} for mark in marks]
    claims = build_entity_configuration(
        entity_id,
        [],
        {"federation_entity": _federation_entity_metadata(), **metadata},
        now=seconds,
        lifetime=int(LIFETIME.total_seconds()),
        authority_hints=Superior.objects.values_list("entity_id", flat=True),
        jwks=jwks,
        **({"trust_marks": entries} if entries else {}),
    )
    return OwnStatement(issue_entity_statement(claims, key), claims["exp"])


def issue_signed_jwks(keys: Mapping[str, Any], *, now: datetime) -> OwnStatement:
    """Return the JWK Set `keys` signed by this server's federation key (5.2.1.1; FED-JWK-02 to -06)."""
    entity_id, seconds = own_entity_id(), int(now.timestamp())
    expires_at = seconds + int(LIFETIME.total_seconds())
    claims = {"iss": entity_id, "sub": entity_id, "iat": seconds, "exp": expires_at, **keys}
    return OwnStatement(sign_as_entity(claims, SIGNED_JWKS_TYPE), expires_at)


def sign_as_entity(claims: Mapping[str, Any], typ: str) -> str:
    """Return claims signed by this server's federation key, as a JWT of type `typ`. Raises ServiceUnavailable without a key."""
    key, _ = _federation_key()
    return issue_jwt(claims, key, typ=typ)


def _federation_key() -> tuple[SigningKey, Mapping[str, Any]]:
    """Return the key that signs, and the public ones with those to come and those that were."""
    keys = get_keys(SigningKeyRecord.Purpose.FEDERATION)
    if FEDERATION_ALGORITHM not in keys.current:
        raise ServiceUnavailable(retry_after=60, detail="there is no federation key; manage.py rotate_signing_key makes one")
    return keys.current[FEDERATION_ALGORITHM], keys.public_jwks


def registration_metadata() -> dict[str, Any]:
    """Return how entities register here, nothing while no trust anchor is accepted (FED-OPM-03 to -05)."""
    if not TrustAnchorRecord.objects.filter(is_enabled=True).exists():
        return {}
    return {
        "client_registration_types_supported": [way.value for way in Way],
        "federation_registration_endpoint": settings.ISSUER + reverse("federation_registration"),
    }


def _federation_entity_metadata() -> dict[str, Any]:
    """Return who we are, as far as the operator's organization says it (5.1.1, 5.2.2)."""
    operator = Organization.objects.filter(is_operator=True).first()
    if operator is None:
        return {}
    contacts = sorted(set(Contact.objects.filter(organization=operator).values_list("email", flat=True)))
    told = {"organization_name": operator.legal_name, "organization_uri": operator.website, "contacts": contacts}
    return {name: value for name, value in told.items() if value}


def join(entity_id: str, actor: Actor, *, now: datetime) -> Superior:
    """Name `entity_id` as an immediate superior from now on. Raises InvalidUrl for what is no entity identifier."""
    with transaction.atomic():
        name = parse_entity_identifier(entity_id).text
        row, created = Superior.objects.get_or_create(entity_id=name, defaults={"created_at": now})
        if created:
            audit.record(actor, "federation.joined", row, organization=None)
        return row


def leave(entity_id: str, actor: Actor) -> bool:
    """Name `entity_id` as a superior no more; say whether it was one."""
    with transaction.atomic():
        row = Superior.objects.select_for_update().filter(entity_id=entity_id).first()
        if row is not None:
            audit.record(actor, "federation.left", row, organization=None)
            row.delete()
        return row is not None


def publish_trust_mark(token: str, actor: Actor, *, now: datetime) -> OwnTrustMark:
    """Publish a trust mark that was issued to this server, in place of one of the same type and issuer (FED-ESC; 7.1).

    Its signature is for those to verify who rely on it. Raises StatementInvalid when it is none, is about somebody else, or is over.
    """
    try:
        claims = parse_unverified(token.strip(), max_length=TRUST_MARK.max_length).unverified_claims
    except InvalidJwt as error:
        raise StatementInvalid(error.reason, f"The trust mark cannot be read: {error.description}") from error
    kind, issuer, expires = claims.get("trust_mark_type"), claims.get("iss"), claims.get("exp")
    if not isinstance(kind, str) or not isinstance(issuer, str) or not isinstance(expires, int | float | None):
        raise StatementInvalid("claim_type", "The trust mark has no trust_mark_type, no iss, or an exp that is no time.")
    if claims.get("sub") != own_entity_id():
        raise StatementInvalid("subject", f"The trust mark is about another entity than {own_entity_id()}.", claim="sub")
    if expires is not None and expires <= now.timestamp():
        raise StatementInvalid("expired", "The trust mark is expired.", claim="exp")
    ends = None if expires is None else datetime.fromtimestamp(min(expires, LATEST_TIME), UTC)
    with transaction.atomic():
        values = {"token": token.strip(), "expires_at": ends}
        row, _ = OwnTrustMark.objects.update_or_create(trust_mark_type=kind, issuer=issuer, defaults=values)
        audit.record(actor, "trust_mark.published", row, organization=None)
        return row


def withdraw_trust_mark(trust_mark_type: str, actor: Actor) -> int:
    """Publish trust marks of a type no more; return how many there were."""
    with transaction.atomic():
        rows = list(OwnTrustMark.objects.select_for_update().filter(trust_mark_type=trust_mark_type))
        for row in rows:
            audit.record(actor, "trust_mark.withdrawn", row, organization=None)
            row.delete()
        return len(rows)
