"""Organizations claim entities and prove it, by a challenge signed with the entity's federation key or by a file on its host.

(house decision 8; portal.md 4.3, page 26)
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction

from federation.models import EntityClaim, RegistrationRequest
from federation.resolving import get_resolver
from protocol.constants import ENTITY_CLAIM_PATH
from protocol.errors import FetchError, InvalidJwt, InvalidUrl, MetadataRefused, TransitionRefused
from protocol.fetch import FetchPurpose, standard_request
from protocol.jose import verify_jwt
from protocol.jose.purposes import ENTITY_CLAIM
from protocol.urls import parse_entity_identifier
from registry import audit
from registry.actors import Actor
from registry.findings import Finding, Findings
from registry.labels import in_english
from registry.models import Client, Organization
from registry.outbound import get_fetcher
from registry.transitions import OWNER

CHALLENGE_LIFETIME: Final = timedelta(days=7)
CLAIMS_LIMIT: Final = 50


def claim_entity(organization: Organization, entity_id: str, actor: Actor, *, now: datetime) -> EntityClaim:
    """Let `organization` claim an entity; return the claim with a challenge to prove it by. Claiming again makes a new challenge.

    Raises TransitionRefused with reason permission, entity_id, taken, limit or organization.
    """
    try:
        name = parse_entity_identifier(entity_id).text
    except InvalidUrl as error:
        raise TransitionRefused("entity_id", f"This is no entity identifier. {error.description}") from error
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        _check_owner(row, actor)
        if row.state in (Organization.State.SUSPENDED, Organization.State.REJECTED, Organization.State.CLOSED):
            raise TransitionRefused("organization", f"The organization is {row.state_in_english}.")
        _check_free(name, row)
        if EntityClaim.objects.filter(organization=row).exclude(entity_id=name).count() >= CLAIMS_LIMIT:
            raise TransitionRefused("limit", f"An organization claims at most {CLAIMS_LIMIT} entities.")
        claim, created = EntityClaim.objects.get_or_create(organization=row, entity_id=name)
        if claim.proven_at is None:
            claim.challenge, claim.challenged_at, claim.claimed_by, claim.failure = secrets.token_urlsafe(32), now, actor.user, ""
            claim.save()
        if created:
            audit.record(actor, "entity.claimed", claim, organization=row)
        return claim


def claim_entities(organization: Organization, entity_ids: Sequence[str], actor: Actor, *, now: datetime) -> list[EntityClaim]:
    """Let `organization` claim several entities, all or none; return the claims, none of them proven.

    Raises MetadataRefused with a finding for each of `entity_ids` that cannot be claimed.
    """
    if len(entity_ids) > CLAIMS_LIMIT:
        raise MetadataRefused((Finding("refused", "error", "entity_ids", f"An organization claims at most {CLAIMS_LIMIT} entities."),))
    claims, findings = [], Findings()
    with transaction.atomic():
        for position, entity_id in enumerate(entity_ids):
            try:
                claims.append(claim_entity(organization, entity_id, actor, now=now))
            except TransitionRefused as refused:
                findings.error("refused", f"entity_ids[{position}]", refused.description)
        if findings.items:
            raise MetadataRefused(tuple(findings.items))
    return claims


def file_address(claim: EntityClaim) -> str:
    """Return where the file that proves a claim must be: its content is the challenge."""
    return claim.entity_id.removesuffix("/") + ENTITY_CLAIM_PATH


def prove_by_signature(claim: EntityClaim, token: str, actor: Actor, *, now: datetime) -> EntityClaim:
    """Prove a claim by a JWT that the entity's federation key signed: `iss` the entity, `aud` this server, `challenge` ours, `exp`.

    The key must be one that the entity's trust chain vouches for. Raises TransitionRefused with reason permission, taken, challenge, trust
    or proof; the claim keeps the words.
    """
    _check_challenge(claim, actor, now)
    resolution = get_resolver().resolve(claim.entity_id, entity_types=(), past_caches=True)
    if resolution.chain is None:
        sentence = resolution.failure.sentence if resolution.failure else "No trust chain was found."
        raise _failed(claim, "trust", f"No trust chain leads to the entity, so nothing says which keys are its own. {sentence}")
    keys, seconds = resolution.chain.subject.keys, int(now.timestamp())
    try:
        verified = verify_jwt(ENTITY_CLAIM, token.strip(), keys, seconds, issuer=claim.entity_id, audience=settings.ISSUER)
    except InvalidJwt as error:
        raise _failed(claim, "proof", f"The signed challenge does not verify. {error.description}") from error
    if not secrets.compare_digest(str(verified.claims["challenge"]).encode(), claim.challenge.encode()):
        raise _failed(claim, "proof", "The signed challenge is another one than the one shown here.")
    return _prove(claim, EntityClaim.Proof.SIGNATURE, actor, now)


def prove_by_file(claim: EntityClaim, actor: Actor, *, now: datetime) -> EntityClaim:
    """Prove a claim by the file at `file_address`. Raises TransitionRefused as `prove_by_signature` does."""
    _check_challenge(claim, actor, now)
    try:
        answer = get_fetcher().fetch(standard_request(FetchPurpose.ENTITY_CLAIM, file_address(claim), past_caches=True))
    except FetchError as error:
        raise _failed(claim, "proof", f"The file {file_address(claim)} could not be fetched. {error.description}") from error
    if not secrets.compare_digest(answer.body.strip(), claim.challenge.encode()):
        raise _failed(claim, "proof", f"The file {file_address(claim)} is there, and it holds something else than the challenge.")
    return _prove(claim, EntityClaim.Proof.FILE, actor, now)


def give_up_claim(claim: EntityClaim, actor: Actor) -> None:
    """Give up a claim. Clients that are registered keep their organization. Raises TransitionRefused with reason permission."""
    with transaction.atomic():
        _check_owner(claim.organization, actor)
        audit.record(actor, "entity.given_up", claim, organization=claim.organization)
        claim.delete()


def _check_owner(organization: Organization, actor: Actor) -> None:
    if not actor.has_role(organization, OWNER):
        raise TransitionRefused("permission", "Only an owner may claim entities for the organization.")


def _check_free(entity_id: str, organization: Organization) -> None:
    """Refuse an entity that another organization has proven, or whose client is another's."""
    proven = EntityClaim.objects.filter(entity_id=entity_id, proven_at__isnull=False).exclude(organization=organization)
    client = Client.objects.filter(client_id=entity_id).exclude(organization=organization)
    if proven.exists() or client.exists():
        raise TransitionRefused("taken", "This entity belongs to another organization here. If it is yours, ask our staff.")


def _check_challenge(claim: EntityClaim, actor: Actor, now: datetime) -> None:
    _check_owner(claim.organization, actor)
    _check_free(claim.entity_id, claim.organization)
    if claim.proven_at is not None:
        raise TransitionRefused("proven", "This entity is proven already; there is nothing left to do.")
    if not claim.challenge or claim.challenged_at + CHALLENGE_LIFETIME <= now:
        raise TransitionRefused("challenge", "The challenge is more than a week old, or used. Claim the entity again for a new one.")


def _failed(claim: EntityClaim, reason: str, sentence: str) -> TransitionRefused:
    EntityClaim.objects.filter(pk=claim.pk).update(failure=sentence[:300])
    return TransitionRefused(reason, sentence)


def _prove(claim: EntityClaim, proof: str, actor: Actor, now: datetime) -> EntityClaim:
    try:
        with transaction.atomic():
            row = EntityClaim.objects.select_for_update().select_related("organization").get(pk=claim.pk)
            row.proof, row.proven_at, row.challenge, row.failure = proof, now, "", ""
            row.save()
            waiting = RegistrationRequest.objects.filter(entity_id=row.entity_id).exclude(state=RegistrationRequest.State.ASSIGNED)
            waiting.update(state=RegistrationRequest.State.ASSIGNED, organization=row.organization, decided_at=now)
            audit.record(
                actor,
                "entity.proven",
                row,
                organization=row.organization,
                reason=f"by {in_english(EntityClaim.Proof(row.proof).label).lower()}",
            )
            return row
    except IntegrityError:
        raise TransitionRefused("taken", "Another organization has proven this entity meanwhile.") from None
