"""Whose an entity is: by a proven claim, by the nearest rule of staff, by the rule of its anchor; and nobody's twin (threats.md T03)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from federation.models import EntityClaim, FederationRecord, RegistrationRequest, TrustAnchorRecord
from federation.organizations import assign_request, dismiss_request, save_organization_rule
from protocol.errors import TransitionRefused
from registry.actors import Actor, job, person
from registry.lifecycle import change_organization, create_organization
from registry.lifecycle.organizations import approve_without_review
from registry.models import AuditEvent, Client, Organization, PolicyRecord
from tests.conftest import Cast
from tests.federation.registration.support import HARBOUR, LIGHTHOUSE, NORTHLIGHT, TIDEWATER, RelyingParty, World, claim

SOUTHLIGHT = "https://southlight.example"


def push(party: RelyingParty) -> Any:
    """Push a signed request, which registers the entity."""
    return party.world.post("/oauth/par", {"request": party.request_object(redirect_uri=party.metadata["redirect_uris"][0])})


def registered(party: RelyingParty) -> Organization:
    """Register the entity and return its organization."""
    answer = push(party)
    assert answer.status_code == 201, answer.content
    return party.client.organization


def denied(party: RelyingParty) -> str:
    """Check that an entity is refused and is no client; return the sentence."""
    answer = push(party)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied"), answer.content
    assert not Client.objects.filter(client_id=party.entity_id).exists()
    assert not FederationRecord.objects.filter(entity_id=party.entity_id).exists()
    page = party.authorize()
    assert (page.status_code, "Location" in page) == (403, False)
    return str(answer.json()["error_description"])


def another(name: str, now: datetime) -> Organization:
    """Return another approved organization."""
    return approve_without_review(create_organization(job("test"), name, now=now), job("test"), now=now)


def by_rule(rule: str) -> None:
    """Let the anchor have a rule."""
    TrustAnchorRecord.objects.update(organizations=rule)


@pytest.fixture
def staff(cast: Cast) -> Actor:
    """A reviewer."""
    return cast.as_reviewer


# Claims and rules.


def test_a_proven_claim_says_whose_an_entity_is_whatever_else_is_said(lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    claim(LIGHTHOUSE, cast.organization, now)
    save_organization_rule(HARBOUR, another("Harbour", now), job("test"), now=now)
    assert registered(lighthouse) == cast.organization
    assert Organization.objects.count() == 2


def test_a_claim_that_is_not_proven_says_nothing(lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    EntityClaim.objects.create(organization=cast.organization, entity_id=LIGHTHOUSE, challenged_at=now)
    assert registered(lighthouse) != cast.organization


@pytest.mark.threat("T03")
@pytest.mark.parametrize("other", [LIGHTHOUSE + "/", "https://LIGHTHOUSE.example", LIGHTHOUSE + "/app", TIDEWATER])
def test_a_claim_is_about_one_identifier_exactly(lighthouse: RelyingParty, cast: Cast, now: datetime, other: str) -> None:
    claim(other, cast.organization, now)
    by_rule("match")
    denied(lighthouse)


@pytest.mark.parametrize("order", [(NORTHLIGHT, HARBOUR), (HARBOUR, NORTHLIGHT)], ids=["anchor first", "intermediate first"])
def test_the_rule_about_the_nearest_superior_counts(lighthouse: RelyingParty, world: World, now: datetime, order: tuple[str, str]) -> None:
    rules = {superior: another(superior, now) for superior in order}
    for superior in order:
        save_organization_rule(superior, rules[superior], job("test"), now=now)
    assert registered(lighthouse) == rules[HARBOUR]
    assert registered(world.add(TIDEWATER, below=NORTHLIGHT)) == rules[NORTHLIGHT]
    assert not EntityClaim.objects.exists()


def test_a_rule_is_about_what_is_below(lighthouse: RelyingParty, now: datetime) -> None:
    save_organization_rule(LIGHTHOUSE, another("Lighthouse itself", now), job("test"), now=now)
    save_organization_rule(TIDEWATER, another("Tidewater", now), job("test"), now=now)
    assert registered(lighthouse).legal_name == "Lighthouse app"


@pytest.mark.parametrize("rule", ["create", "match", "queue"])
def test_a_known_organization_needs_no_rule_of_the_anchor(lighthouse: RelyingParty, cast: Cast, now: datetime, rule: str) -> None:
    by_rule(rule)
    claim(LIGHTHOUSE, cast.organization, now)
    assert registered(lighthouse) == cast.organization
    assert not RegistrationRequest.objects.exists()


def test_a_client_keeps_its_organization_when_claims_and_rules_change(
    lighthouse: RelyingParty, world: World, cast: Cast, now: datetime
) -> None:
    first = registered(lighthouse)
    EntityClaim.objects.all().delete()
    save_organization_rule(HARBOUR, cast.organization, job("test"), now=now)
    with world.at(now + timedelta(days=2)):
        assert registered(lighthouse) == first


# The rule of the anchor.


def test_by_create_an_entity_gets_an_organization_of_its_own(lighthouse: RelyingParty, now: datetime) -> None:
    organization = registered(lighthouse)
    assert (organization.legal_name, organization.state) == ("Lighthouse app", "approved")
    assert (lighthouse.client.stage, lighthouse.client.state) == ("live", "active")
    kept = EntityClaim.objects.get()
    assert (kept.entity_id, kept.organization, kept.proof) == (LIGHTHOUSE, organization, "anchor")
    assert kept.proven_at is not None
    events = AuditEvent.objects.filter(organization=organization).values_list("event", "actor_id")
    assert {("org.created", LIGHTHOUSE), ("org.approved", LIGHTHOUSE), ("client.registered", LIGHTHOUSE)} <= set(events)


def test_an_organization_is_called_what_the_entity_calls_itself(world: World) -> None:
    party = world.add(organization_name="Lighthouse Ltd")
    party.entity.metadata["federation_entity"] = {"organization_name": "Lighthouse Group"}
    assert registered(party).legal_name == "Lighthouse Group"
    assert registered(world.add(TIDEWATER, organization_name="Tidewater Ltd")).legal_name == "Tidewater Ltd"


@pytest.mark.parametrize("name", ["x" * 500, "Bad\u202ename", "\u200b"], ids=["long", "turned around", "invisible"])
def test_a_name_that_none_may_have_is_cut_or_becomes_the_host(world: World, name: str) -> None:
    party = world.add()
    party.entity.metadata["federation_entity"] = {"organization_name": name}
    assert registered(party).legal_name in (name[:200] if len(name) > 200 else "lighthouse.example", "lighthouse.example")


@pytest.mark.threat("T03")
def test_a_name_that_is_taken_makes_no_one_a_member(world: World, cast: Cast) -> None:
    one, other = (world.add(f"https://{host}.example", organization_name=cast.organization.legal_name) for host in ("one", "two"))
    organizations = [cast.organization, registered(one), registered(other)]
    assert len({organization.pk for organization in organizations}) == len({organization.slug for organization in organizations}) == 3
    assert {organization.legal_name for organization in organizations} == {cast.organization.legal_name}
    assert cast.organization.clients.count() == 0


def test_by_match_an_entity_that_nobody_claimed_stays_out(lighthouse: RelyingParty, cast: Cast, now: datetime) -> None:
    by_rule("match")
    assert "must claim it" in denied(lighthouse)
    assert not RegistrationRequest.objects.exists()
    assert not EntityClaim.objects.exists()
    claim(LIGHTHOUSE, cast.organization, now)
    assert registered(lighthouse) == cast.organization


def test_by_queue_an_entity_waits_for_staff(lighthouse: RelyingParty, cast: Cast, staff: Actor, now: datetime) -> None:
    by_rule("queue")
    assert "staff" in denied(lighthouse)
    row = RegistrationRequest.objects.get()
    assert (row.entity_id, row.name, row.state) == (LIGHTHOUSE, "Lighthouse app", "open")
    assert (row.entities, len(row.statements)) == ([LIGHTHOUSE, HARBOUR, NORTHLIGHT], 4)
    assert row.resolved_metadata["openid_relying_party"]["redirect_uris"] == [lighthouse.callback]
    denied(lighthouse)
    row.refresh_from_db()
    assert row.attempts == 4  # each by PAR and in a browser
    assert AuditEvent.objects.filter(event="registration_request.opened").count() == 1
    assert not Organization.objects.exclude(pk=cast.organization.pk).exists()
    assign_request(row, cast.organization, staff, now=now)
    assert registered(lighthouse) == cast.organization
    row.refresh_from_db()
    assert (row.state, row.decided_by) == ("assigned", cast.reviewer)


def test_whom_staff_dismissed_stays_out(lighthouse: RelyingParty, cast: Cast, staff: Actor, now: datetime) -> None:
    by_rule("queue")
    denied(lighthouse)
    dismiss_request(RegistrationRequest.objects.get(), staff, now=now, reason="nobody knows them")
    denied(lighthouse)
    row = RegistrationRequest.objects.get()
    assert (row.state, row.reason, row.organization) == ("dismissed", "nobody knows them", None)
    assign_request(row, cast.organization, staff, now=now)  # on second thoughts
    assert registered(lighthouse) == cast.organization


def test_only_staff_say_whose_an_entity_is(lighthouse: RelyingParty, cast: Cast, staff: Actor, now: datetime) -> None:
    by_rule("queue")
    denied(lighthouse)
    row = RegistrationRequest.objects.get()
    for actor in (cast.as_owner, person(cast.auditor, staff=True)):
        with pytest.raises(TransitionRefused, match="staff"):
            assign_request(row, cast.organization, actor, now=now)
        with pytest.raises(TransitionRefused, match="staff"):
            dismiss_request(row, actor, now=now, reason="no")
        with pytest.raises(TransitionRefused, match="operator"):
            save_organization_rule(HARBOUR, cast.organization, actor, now=now)
    with pytest.raises(TransitionRefused, match="operator"):
        save_organization_rule(HARBOUR, cast.organization, staff, now=now)
    with pytest.raises(TransitionRefused, match="Say why"):
        dismiss_request(row, staff, now=now, reason=" ")
    denied(lighthouse)


def test_an_entity_is_not_assigned_to_whom_is_not_approved_nor_past_a_claim(
    lighthouse: RelyingParty, cast: Cast, staff: Actor, now: datetime
) -> None:
    by_rule("queue")
    denied(lighthouse)
    row = RegistrationRequest.objects.get()
    draft = create_organization(job("test"), "Draft", now=now)
    with pytest.raises(TransitionRefused) as refusal:
        assign_request(row, draft, staff, now=now)
    assert refusal.value.reason == "organization"
    other = another("Other", now)
    claim(LIGHTHOUSE, other, now)
    with pytest.raises(TransitionRefused) as refusal:
        assign_request(row, cast.organization, staff, now=now)
    assert refusal.value.reason == "claimed"
    assert registered(lighthouse) == other


def test_the_rule_is_that_of_the_anchor_of_the_chain(world: World) -> None:
    world.federation.add_authority(SOUTHLIGHT)
    world.accept(SOUTHLIGHT, "match")
    registered(world.add(LIGHTHOUSE))
    denied(world.add(TIDEWATER, below=SOUTHLIGHT))


# What the organization's own state says.


@pytest.mark.parametrize("state", ["draft", "pending", "changes_requested", "suspended", "rejected", "closed"])
def test_nothing_registers_for_an_organization_that_is_not_approved(
    lighthouse: RelyingParty, world: World, cast: Cast, now: datetime, state: str
) -> None:
    claim(LIGHTHOUSE, cast.organization, now)
    Organization.objects.filter(pk=cast.organization.pk).update(state=state)
    denied(lighthouse)
    assert Organization.objects.count() == 1


def test_suspending_an_organization_holds_its_entities_back(
    lighthouse: RelyingParty, world: World, cast: Cast, staff: Actor, now: datetime
) -> None:
    claim(LIGHTHOUSE, cast.organization, now)
    claim(TIDEWATER, cast.organization, now)
    registered(lighthouse)
    change_organization(cast.organization, "suspend", staff, now=now, reason="abuse")
    world.fetcher.reset_counts()
    assert push(lighthouse).json()["error"] == "unauthorized_client"
    assert world.fetcher.requests == ()
    with world.at(now + timedelta(days=2)):
        assert push(lighthouse).json()["error"] == "unauthorized_client"
        denied(world.add(TIDEWATER))
    assert lighthouse.client.state == "active"
    change_organization(cast.organization, "reinstate", staff, now=now)
    assert registered(lighthouse) == cast.organization


def test_an_organization_has_as_many_entities_as_it_may(world: World, cast: Cast, now: datetime) -> None:
    PolicyRecord.objects.create(organization=cast.organization, values={"clients_limit": 2})
    save_organization_rule(HARBOUR, cast.organization, job("test"), now=now)
    one, two, three = (world.add(f"https://app{number}.example") for number in range(3))
    registered(one), registered(two)
    assert "2 apps" in denied(three)
    Client.objects.filter(client_id=one.entity_id).update(state=Client.State.CLOSED)
    assert registered(three) == cast.organization


# Twins.

APP = "https://lighthouse.example/app"
TWINS = [
    pytest.param("https://lighthouse.example/app/", id="slash"),
    pytest.param("https://LIGHTHOUSE.example/app", id="case of the host"),
    pytest.param("https://lighthouse.example:443/app", id="port"),
    pytest.param("https://lighthouse.example/%61pp", id="percent-encoding"),
    pytest.param("https://Lighthouse.example:443/%61p%70/", id="everything"),
]


@pytest.mark.threat("T03")
@pytest.mark.parametrize("turned", [False, True], ids=["plain first", "twin first"])
@pytest.mark.parametrize("twin", TWINS)
def test_of_two_identifiers_that_differ_only_in_spelling_the_first_counts(world: World, twin: str, turned: bool) -> None:
    first, second = world.add(APP), None
    if turned:
        first = world.add(twin)
        registered(first)
        second = world.add(APP)
    else:
        registered(first)
        second = world.add(twin)
    assert "differs only in spelling" in denied(second)
    assert Organization.objects.count() == EntityClaim.objects.count() == 1
    if first.entity_id.rstrip("/") != second.entity_id.rstrip("/"):  # those share one well-known address
        assert registered(first).pk == first.client.organization.pk


@pytest.mark.threat("T03")
@pytest.mark.parametrize(
    "other", ["https://lighthouse.example/APP", "https://www.lighthouse.example/app", "https://lighthouse.example/a%2Fpp"]
)
def test_what_differs_in_more_than_spelling_is_another(world: World, other: str) -> None:
    assert registered(world.add(APP)) != registered(world.add(other))


@pytest.mark.threat("T03")
@pytest.mark.parametrize("there", [APP, APP + "/"])
def test_the_configuration_names_the_identifier_byte_for_byte(world: World, there: str) -> None:
    party = world.add(there)
    asked = there.rstrip("/") if there.endswith("/") else there + "/"
    stranger = RelyingParty(world, asked, party.key)
    answer = world.post("/oauth/par", {"request": stranger.request_object(redirect_uri=f"{there}/callback")})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_trust_chain")
    assert not Client.objects.exists()
    world.forget()
    registered(party)
