"""Organizations claim entities and prove it (house decision 8; portal.md 4.3, page 26)."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from federation.entity_claims import claim_entity, file_address, give_up_claim, prove_by_file, prove_by_signature
from federation.models import EntityClaim, RegistrationRequest, TrustAnchorRecord
from protocol.errors import TransitionRefused
from protocol.fetch import Page
from protocol.jose import generate_private_key, issue_jwt
from registry.actors import person
from registry.models import AuditEvent
from tests.conftest import Cast, make_organization
from tests.federation.registration.support import ISSUER, LIGHTHOUSE, NORTHLIGHT, RelyingParty, World


def signed(claim: EntityClaim, party: RelyingParty, **changes: Any) -> str:
    """Return the challenge of a claim, signed by the federation key of a party."""
    claims = {"iss": party.entity_id, "aud": ISSUER, "challenge": claim.challenge, "exp": int(time.time()) + 60, **changes}
    return issue_jwt(claims, party.entity.keys[0], typ="entity-claim+jwt")


def refusal(act: Any) -> str:
    with pytest.raises(TransitionRefused) as caught:
        act()
    return caught.value.reason


@pytest.fixture
def claim(lighthouse: RelyingParty, cast: Cast, now: datetime) -> EntityClaim:
    """A claim of Lighthouse by the cast's organization, not proven yet."""
    return claim_entity(cast.organization, LIGHTHOUSE, cast.as_owner, now=now)


def test_a_challenge_signed_with_the_federation_key_proves_a_claim(
    claim: EntityClaim, lighthouse: RelyingParty, cast: Cast, now: datetime
) -> None:
    proven = prove_by_signature(claim, signed(claim, lighthouse), cast.as_owner, now=now)
    assert (proven.proof, proven.proven_at) == ("signature", now)
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 201
    assert lighthouse.client.organization == cast.organization
    assert list(AuditEvent.objects.filter(event__startswith="entity.").values_list("event", flat=True)) == [
        "entity.proven",
        "entity.claimed",
    ]


@pytest.mark.parametrize(
    "change",
    [{"aud": "https://other.example"}, {"challenge": "another"}, {"iss": "https://tidewater.example"}, {"exp": 1}, {"sub": LIGHTHOUSE}],
    ids=lambda change: next(iter(change)),
)
def test_a_challenge_that_says_anything_else_proves_nothing(
    claim: EntityClaim, lighthouse: RelyingParty, cast: Cast, now: datetime, change: dict[str, Any]
) -> None:
    assert refusal(lambda: prove_by_signature(claim, signed(claim, lighthouse, **change), cast.as_owner, now=now)) == "proof"
    claim.refresh_from_db()
    assert claim.proven_at is None
    assert claim.failure


def test_a_key_that_no_superior_vouches_for_proves_nothing(claim: EntityClaim, lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    foreign = issue_jwt(
        {"iss": LIGHTHOUSE, "aud": ISSUER, "challenge": claim.challenge, "exp": int(time.time()) + 60},
        generate_private_key("ES256"),
        typ="entity-claim+jwt",
    )
    assert refusal(lambda: prove_by_signature(claim, foreign, cast.as_owner, now=now)) == "proof"
    protocol_key = issue_jwt(
        {"iss": LIGHTHOUSE, "aud": ISSUER, "challenge": claim.challenge, "exp": int(time.time()) + 60},
        lighthouse.key,
        typ="entity-claim+jwt",
    )
    assert refusal(lambda: prove_by_signature(claim, protocol_key, cast.as_owner, now=now)) == "proof"
    lighthouse.world.federation.expel(lighthouse.entity.superiors[0], LIGHTHOUSE)
    assert refusal(lambda: prove_by_signature(claim, signed(claim, lighthouse), cast.as_owner, now=now)) == "trust"


def test_a_file_on_the_host_proves_a_claim_and_another_file_does_not(claim: EntityClaim, world: World, cast: Cast, now: datetime) -> None:
    assert refusal(lambda: prove_by_file(claim, cast.as_owner, now=now)) == "proof"
    address = file_address(claim)
    world.fetcher.put(address, Page(b"something else", "text/plain"))
    assert refusal(lambda: prove_by_file(claim, cast.as_owner, now=now)) == "proof"
    world.fetcher.put(address, Page(claim.challenge.encode() + b"\n", "text/html"))
    assert refusal(lambda: prove_by_file(claim, cast.as_owner, now=now)) == "proof"
    world.fetcher.put(address, Page(claim.challenge.encode() + b"\n", "text/plain"))
    assert prove_by_file(claim, cast.as_owner, now=now).proof == "file"
    assert address == f"{LIGHTHOUSE}/.well-known/credence-entity-claim"


def test_only_an_owner_claims_and_only_for_a_week(claim: EntityClaim, lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    developer = person(cast.developer)
    assert refusal(lambda: claim_entity(cast.organization, "https://other.example", developer, now=now)) == "permission"
    assert refusal(lambda: prove_by_signature(claim, signed(claim, lighthouse), developer, now=now)) == "permission"
    assert refusal(lambda: give_up_claim(claim, developer)) == "permission"
    late = now + timedelta(days=7)
    assert refusal(lambda: prove_by_signature(claim, signed(claim, lighthouse), cast.as_owner, now=late)) == "challenge"
    before = claim.challenge
    assert claim_entity(cast.organization, LIGHTHOUSE, cast.as_owner, now=late).challenge != before
    assert refusal(lambda: claim_entity(cast.organization, "http://plain.example", cast.as_owner, now=now)) == "entity_id"


@pytest.mark.threat("T10")
def test_an_entity_that_another_organization_has_cannot_be_claimed(
    claim: EntityClaim, lighthouse: RelyingParty, cast: Cast, now: datetime
) -> None:
    other = make_organization(cast.stranger, cast.reviewer, now, "Tidewater Insurance")
    second = claim_entity(other, LIGHTHOUSE, person(cast.stranger), now=now)
    prove_by_signature(claim, signed(claim, lighthouse), cast.as_owner, now=now)
    assert refusal(lambda: prove_by_signature(second, signed(second, lighthouse), person(cast.stranger), now=now)) == "taken"
    assert refusal(lambda: claim_entity(other, LIGHTHOUSE, person(cast.stranger), now=now)) == "taken"
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 201
    give_up_claim(EntityClaim.objects.get(pk=claim.pk), cast.as_owner)
    assert refusal(lambda: claim_entity(other, LIGHTHOUSE, person(cast.stranger), now=now)) == "taken"  # its client is still another's


def test_a_proof_answers_the_request_that_waits_for_staff(lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    TrustAnchorRecord.objects.filter(entity_id=NORTHLIGHT).update(organizations="queue")
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 403
    claim = claim_entity(cast.organization, LIGHTHOUSE, cast.as_owner, now=now)
    prove_by_signature(claim, signed(claim, lighthouse), cast.as_owner, now=now)
    waiting = RegistrationRequest.objects.get(entity_id=LIGHTHOUSE)
    assert (waiting.state, waiting.organization) == ("assigned", cast.organization)
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 201
