"""The sweep: what a look at the trust of registered clients comes to, for them, their tokens and the trail (threats.md 3.2)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.conf import settings as product_settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from federation import sweep as sweep_module
from federation import trust_anchors
from federation.checking import Outcome, settle
from federation.core.issuing import build_jwks
from federation.core.resolver import configuration_url
from federation.models import FederationRecord, RefusedEntity, TrustAnchorRecord
from federation.scheduling import next_check, next_check_of_broken, next_look_in_doubt, next_retry
from federation.simulator import Fault
from federation.sweep import LEASE, Sweep, claim_due, due_records
from federation.tasks import refresh_due_trust
from federation.trust_anchors import clients_depending_on, distrust, trust_again
from protocol.errors import TransitionRefused
from protocol.fetch import Page
from protocol.jose import VerificationBudget, generate_private_key
from registry.actors import person
from registry.gate import Action, client_may_act
from registry.lifecycle import change_client
from registry.models import AuditEvent, Client
from tests.authserver.support import counted
from tests.conftest import Cast, later
from tests.federation.registration.access import Access, events_after, last_event
from tests.federation.registration.support import ACTOR, HARBOUR, LIGHTHOUSE, NORTHLIGHT, TIDEWATER, RelyingParty, World
from tests.registry.threads import together

MACHINE, OTHER_MACHINE = "https://machine.example", "https://other-machine.example"
QUAY = "https://quay.example"
CHECKS = timedelta(seconds=product_settings.TRUST_CHECK_SECONDS)


@pytest.fixture
def access(world: World, now: datetime) -> Access:
    """A resource server, and machines that may register by their first token request."""
    return Access.build(world, now)


@pytest.fixture
def machine(world: World, access: Access) -> RelyingParty:
    """A machine client below Harbour, not registered yet."""
    return world.add_machine(MACHINE)


def register(world: World, access: Access, *entity_ids: str, below: str = HARBOUR) -> list[RelyingParty]:
    """Return machine clients that registered by their first token request."""
    parties = [world.add_machine(entity_id, below=below) for entity_id in entity_ids]
    for party in parties:
        access.token(party, chain=True)
    return parties


def names(count: int) -> list[str]:
    return [f"https://leaf-{number}.example" for number in range(count)]


def look(*, at_once: bool = True) -> dict[str, int]:
    """Let the sweep run at this moment, with everything due if `at_once`; return how many came to what."""
    if at_once:
        FederationRecord.objects.exclude(next_check_at=None).update(next_check_at=timezone.now())
    return dict(refresh_due_trust())


def reason(party: RelyingParty, event: str) -> str:
    return AuditEvent.objects.filter(event=event, object_id=str(party.client.reference)).latest("id").reason


# As it was, and changed


@pytest.mark.spec("FED-KEY-04", "FED-REG-08")
def test_a_client_that_is_as_it_was_only_lives_longer(world: World, access: Access, machine: RelyingParty, now: datetime) -> None:
    with world.at(now):
        token = access.token(machine, chain=True)
        before, client = machine.record, machine.client
        last = last_event()
    then = later(now, minutes=8)
    with world.at(then):
        assert look() == {"unchanged": 1}
        assert access.is_live(token)
        record = machine.record
    assert events_after(last) == []
    assert (machine.client.trust, machine.client.trust_expires_at) == ("valid", later(then, hours=24))
    fields = [field.attname for field in Client._meta.concrete_fields if field.attname != "trust_expires_at"]
    assert [getattr(machine.client, name) for name in fields] == [getattr(client, name) for name in fields]
    assert (record.checked_at, record.misses, record.failure, record.lease, record.leased_until) == (then, 0, None, "", None)
    assert record.next_check_at is not None
    assert then < record.next_check_at <= then + CHECKS
    assert record.statements != before.statements
    assert (record.changes, record.registered_at) == (before.changes, before.registered_at)


@pytest.mark.spec("FED-KEY-04")
def test_what_changed_is_taken_over_and_shown_in_the_trail(world: World, access: Access, machine: RelyingParty, now: datetime) -> None:
    with world.at(now):
        token = access.token(machine, chain=True)
        last, old_key = last_event(), machine.key
    machine.metadata["client_name"] = "Renamed"
    machine.key = generate_private_key("ES256")
    machine.metadata["jwks"] = build_jwks([machine.key])
    with world.at(later(now, minutes=5)):
        assert look() == {"updated": 1}
        assert events_after(last) == ["client.updated"]
        difference = AuditEvent.objects.get(id__gt=last).difference
        assert difference["client_name"] == ["Machine", "Renamed"]
        assert "jwks" in difference
        assert access.is_live(token)
        assert access.token(machine)
        machine.key = old_key
        assert access.ask_token(machine).status_code == 401
        assert look() == {"unchanged": 1}


@pytest.mark.spec("FED-REG-05", "FED-EXP-16")
@pytest.mark.threat("T12")
def test_a_policy_that_narrows_narrows_the_client(world: World, now: datetime) -> None:
    party = world.add(grant_types=["authorization_code", "refresh_token"], scope="openid email profile")
    with world.at(now):
        assert party.authorize(scope="openid").status_code == 302
    world.federation.entities[NORTHLIGHT].subordinates[HARBOUR] = {
        "metadata_policy": {"openid_relying_party": {"scope": {"subset_of": ["openid", "email"]}, "grant_types": {"add": ["implicit"]}}}
    }
    with world.at(later(now, minutes=20)):
        assert look() == {"updated": 1}
    assert party.client.metadata["scope"] == "openid email"
    assert "implicit" not in party.client.metadata["grant_types"]
    assert {("federation", "scope"), ("server", "grant_types")} <= {(entry["by"], entry["member"]) for entry in party.record.changes}


# What may pass: stale


@pytest.mark.threat("X19")
@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.TIMEOUT, Fault.TLS, Fault.SERVER_ERROR, Fault.HTML_PAGE, Fault.TOO_LARGE])
@pytest.mark.parametrize("where", ["leaf", "superior", "statement"])
def test_what_may_pass_leaves_a_client_alive(
    world: World, access: Access, machine: RelyingParty, now: datetime, fault: Fault, where: str
) -> None:
    with world.at(now):
        token = access.token(machine, chain=True)
        last, client = last_event(), machine.client
    if where == "statement":
        world.federation.entities[HARBOUR].statement_fault = fault
    else:
        world.federation.entities[MACHINE if where == "leaf" else HARBOUR].fault = fault
    then = later(now, minutes=2)
    with world.at(then):
        assert look() == {"stale": 1}
        assert look() == {"stale": 1}
        assert access.is_live(token)
        assert access.token(machine)
    assert events_after(last) == ["trust.stale"]
    assert reason(machine, "trust.stale").endswith("Who can fix it: whoever runs the host; if its name is right, try again later.")
    assert (machine.client.trust, machine.client.trust_expires_at) == ("stale", client.trust_expires_at)
    assert machine.client.credential_generation == client.credential_generation
    assert machine.record.failure["class"] == "transient"


@pytest.mark.spec("FED-REG-03", "FED-REG-06")
def test_a_stale_client_works_until_its_last_verified_chain_ends_and_not_a_second_longer(
    world: World, access: Access, machine: RelyingParty, now: datetime
) -> None:
    with world.at(now):
        world.federation.entities[HARBOUR].lifetime = 1000
        access.token(machine, chain=True)
    world.federation.entities[HARBOUR].fault = Fault.REFUSED
    with world.at(later(now, seconds=500)):
        assert look() == {"stale": 1}
        token = access.token(machine)
    with world.at(later(now, seconds=999)):
        assert look() == {"stale": 1}
        assert access.is_live(token)
        assert access.token(machine)
    with world.at(later(now, seconds=1000)):
        assert not access.is_live(token)
        assert access.ask_token(machine).status_code >= 400
        assert client_may_act(machine.client, Action.TOKEN, timezone.now()).reason == "trust_expired"
    world.federation.entities[HARBOUR].fault = None
    with world.at(later(now, seconds=1001)):
        last = last_event()
        assert look() == {"unchanged": 1}
        assert events_after(last) == ["trust.restored"]
        assert access.is_live(access.token(machine))


@pytest.mark.spec("FED-REG-03", "FED-REG-06")
def test_without_any_sweep_a_client_ends_with_its_chain(world: World, access: Access, machine: RelyingParty, now: datetime) -> None:
    with world.at(now):
        world.federation.entities[MACHINE].lifetime = 300
        token = access.token(machine, chain=True)
        last = last_event()
    for seconds, live in ((299, True), (300, False), (301, False)):
        with world.at(later(now, seconds=seconds)):
            assert access.is_live(token) is live
            assert client_may_act(machine.client, Action.INTROSPECT, timezone.now()).allowed is live
    assert (machine.client.trust, events_after(last)) == ("valid", [])


def test_retries_of_what_may_pass_grow_and_honour_retry_after(world: World, access: Access, machine: RelyingParty, now: datetime) -> None:
    with world.at(now):
        access.token(machine, chain=True)
        url = configuration_url(MACHINE)
        for asked, at_least in ((None, 0), (1200, 1200), (86_400, 3600)):
            headers = {} if asked is None else {"retry-after": str(asked)}
            world.fetcher.put(url, Page(b"", "text/plain", 503, headers))
            assert look() == {"stale": 1}
            assert machine.record.next_check_at is not None
            wait = (machine.record.next_check_at - timezone.now()).total_seconds()
            assert max(at_least, 12) <= wait <= max(at_least, 60 * 2 ** (machine.record.misses - 1))
        assert machine.record.misses == 3


# Unsigned negative: suspect


def expelled(world: World) -> None:
    world.federation.expel(HARBOUR, MACHINE)


def silent(world: World) -> None:
    world.federation.entities[MACHINE].fault = Fault.NOT_FOUND


def garbled(world: World) -> None:
    world.federation.entities[MACHINE].fault = Fault.NOT_A_JWT


def forged(world: World) -> None:
    world.federation.entities[MACHINE].fault = Fault.WRONG_SIGNATURE


def forged_statement(world: World) -> None:
    world.federation.entities[HARBOUR].statement_fault = Fault.WRONG_SIGNATURE


def redirected(world: World) -> None:
    world.federation.entities[HARBOUR].fault = Fault.REDIRECT


def without_hints(world: World) -> None:
    world.federation.entities[MACHINE].superiors = []


UNSIGNED = [expelled, silent, garbled, forged, forged_statement, redirected, without_hints]


@pytest.mark.spec("FED-FEP-11")
@pytest.mark.parametrize("happens", UNSIGNED)
def test_an_unsigned_sign_that_trust_is_gone_stops_a_client_without_ending_its_tokens(
    world: World, access: Access, machine: RelyingParty, now: datetime, happens: Callable[[World], None]
) -> None:
    with world.at(now):
        token = access.token(machine, chain=True)
        last, generation = last_event(), machine.client.credential_generation
        happens(world)
        assert look() == {"suspect": 1}
        assert events_after(last) == ["trust.suspect"]
        assert not access.is_live(token)
        assert access.introspect(token) == {"active": False}
        assert client_may_act(machine.client, Action.TOKEN, now).reason == "trust_suspect"
        assert machine.client.credential_generation == generation
        assert machine.record.failure["class"] == "unsigned negative"
        assert machine.record.next_check_at == later(now, minutes=1)


@pytest.mark.spec("FED-FEP-11")
def test_a_client_in_doubt_gets_no_token(world: World, access: Access, machine: RelyingParty, now: datetime) -> None:
    with world.at(now):
        access.token(machine, chain=True)
        expelled(world)
        assert look() == {"suspect": 1}
        assert access.ask_token(machine).status_code >= 400
        assert access.ask_token(machine, chain=False).status_code >= 400


@pytest.mark.spec("FED-FEP-11")
@pytest.mark.parametrize("minutes", [1, 11])
def test_a_doubt_that_was_wrong_costs_nobody_a_login(
    world: World, access: Access, machine: RelyingParty, now: datetime, minutes: int
) -> None:
    with world.at(now):
        world.federation.entities[MACHINE].lifetime = 3600
        access.token(machine, chain=True)
    with world.at(later(now, minutes=5)):
        token = access.token(machine)
        expelled(world)
        assert look() == {"suspect": 1}
        last = last_event()
    if minutes == 11:
        with world.at(later(now, minutes=6)):
            assert look(at_once=False) == {"suspect": 1}
            assert machine.record.next_check_at == later(now, minutes=16)
    world.federation.entities[HARBOUR].subordinates[MACHINE] = {}
    with world.at(later(now, minutes=5 + minutes - 0.01)):
        assert look(at_once=False) == {}
        world.fetcher.reset_counts()
    with time_machine.travel(later(now, minutes=5 + minutes), tick=False):
        assert look(at_once=False) == {"revived": 1}
        assert world.fetched(MACHINE) == 1
        assert access.is_live(token) is (minutes == 1)  # eleven minutes are longer than a token lives
        assert access.token(machine)
    assert events_after(last) == ["trust.restored"]
    assert machine.client.credential_generation == 1


@pytest.mark.parametrize("stale_before", [0, 5])
def test_the_third_look_confirms_that_trust_is_gone(
    world: World, access: Access, machine: RelyingParty, now: datetime, stale_before: int
) -> None:
    with world.at(now):
        access.token(machine, chain=True)
        last = last_event()
        machine.entity.fault = Fault.REFUSED
        for _ in range(stale_before):
            assert look() == {"stale": 1}
        machine.entity.fault = None
        expelled(world)
        token = access.token(machine)
        assert look() == {"suspect": 1}
    for minutes, outcome in ((1, "suspect"), (11, "broken")):
        with world.at(later(now, minutes=minutes - 0.01)):
            assert look(at_once=False) == {}
        with world.at(later(now, minutes=minutes)):
            assert look(at_once=False) == {outcome: 1}
    assert events_after(last) == [*(["trust.stale"] if stale_before else []), "trust.suspect", "trust.broken"]
    assert (machine.client.trust, machine.client.credential_generation) == ("broken", 2)
    world.federation.entities[HARBOUR].subordinates[MACHINE] = {}
    with world.at(now):
        assert look() == {"revived": 1}
        assert not access.is_live(token)


def test_what_may_pass_confirms_no_doubt(world: World, access: Access, machine: RelyingParty, now: datetime) -> None:
    with world.at(now):
        access.token(machine, chain=True)
        expelled(world)
        assert look() == {"suspect": 1}
        machine.entity.fault = Fault.TIMEOUT
        for _ in range(4):
            look()
            assert machine.client.trust == "suspect"
        machine.entity.fault = None
        assert look() == {"suspect": 1}
        assert look() == {"broken": 1}


# Signed negative: broken


def policy(world: World) -> None:
    rule = {"oauth_client": {"grant_types": {"subset_of": ["authorization_code"]}}}
    world.federation.entities[NORTHLIGHT].subordinates[HARBOUR] = {"metadata_policy": rule}


def policy_conflict(world: World) -> None:
    rule = {"oauth_client": {"client_name": {"value": "A", "one_of": ["B"]}}}
    world.federation.entities[HARBOUR].subordinates[MACHINE] = {"metadata_policy": rule}


def other_keys(world: World) -> None:
    world.federation.entities[HARBOUR].subordinates[MACHINE] = {"jwks": build_jwks([generate_private_key("ES256")])}


def expired_statement(world: World) -> None:
    world.federation.entities[HARBOUR].statement_fault = Fault.EXPIRED


def constraint(world: World) -> None:
    rule = {"constraints": {"naming_constraints": {"excluded": ["machine.example"]}}}
    world.federation.entities[NORTHLIGHT].subordinates[HARBOUR] = rule


def type_gone(world: World) -> None:
    world.federation.entities[MACHINE].metadata = {"federation_entity": {"organization_name": "Machines"}}


def not_automatic(world: World) -> None:
    world.federation.entities[MACHINE].metadata["oauth_client"]["client_registration_types"] = ["explicit"]


def against_our_rules(world: World) -> None:
    world.federation.entities[MACHINE].metadata["oauth_client"]["client_uri"] = "ftp://machine.example"


def with_private_key(world: World) -> None:
    own = world.federation.entities[MACHINE].metadata["oauth_client"]
    own["jwks"] = {"keys": [{**own["jwks"]["keys"][0], "d": "AAAA"}]}


@pytest.mark.parametrize(
    "happens",
    [policy, policy_conflict, other_keys, expired_statement, constraint, type_gone, not_automatic, against_our_rules, with_private_key],
)
def test_signed_evidence_ends_trust_and_every_token_at_once(
    world: World, access: Access, machine: RelyingParty, now: datetime, happens: Callable[[World], None]
) -> None:
    with world.at(now):
        token = access.token(machine, chain=True)
        client, record = machine.client, machine.record
        healthy = world.federation.entities[MACHINE].metadata["oauth_client"].copy()
        happens(world)
        last = last_event()
        assert look() == {"broken": 1}
        assert events_after(last) == ["trust.broken"]
        assert machine.record.failure["class"] == "signed negative"
        told = reason(machine, "trust.broken")
        assert told
        assert "Who can fix it: " in told
        assert (machine.client.trust, machine.client.credential_generation) == ("broken", client.credential_generation + 1)
        assert access.introspect(token) == {"active": False}
        assert access.ask_token(machine).status_code >= 400
        assert machine.client.metadata == client.metadata
        last = last_event()
        assert look() == {"broken": 1}  # once broken it stays so, and no second row says it
        assert events_after(last) == []
        # what was mended brings the same client back, and none of its tokens
        for entity_id in (NORTHLIGHT, HARBOUR):
            entity = world.federation.entities[entity_id]
            entity.statement_fault = None
            entity.subordinates.update({name: {} for name in entity.subordinates})
        world.federation.entities[MACHINE].metadata = {"oauth_client": healthy}
        if happens is with_private_key:
            healthy["jwks"] = build_jwks([machine.key])
        assert look() == {"revived": 1}
        assert events_after(last) == ["trust.revived"]
        assert not access.is_live(token)
        assert access.is_live(access.token(machine))
    assert (machine.client.pk, machine.record.pk, machine.record.registered_at) == (client.pk, record.pk, record.registered_at)


def test_a_client_that_broke_comes_back_by_itself_with_its_next_request(
    world: World, access: Access, machine: RelyingParty, now: datetime
) -> None:
    with world.at(now):
        token = access.token(machine, chain=True)
        policy(world)
        assert look() == {"broken": 1}
    world.federation.entities[NORTHLIGHT].subordinates[HARBOUR] = {}
    with world.at(later(now, minutes=9)):
        last = last_event()
        assert access.is_live(access.token(machine))
        assert events_after(last) == ["trust.revived"]
        assert not access.is_live(token)


def test_a_leaf_that_is_refused_does_not_come_back_by_itself(world: World, access: Access, machine: RelyingParty, now: datetime) -> None:
    with world.at(now):
        access.token(machine, chain=True)
        distrust(MACHINE, ACTOR, now=now, reason="Its key was stolen.")
        assert look() == {"broken": 1}
        assert machine.record.failure["sentence"] == f"{MACHINE} is not trusted here."
        for chain in (False, True):
            assert access.ask_token(machine, chain=chain).status_code >= 400
        assert machine.client.trust == "broken"


# People decide


@pytest.mark.parametrize("lost", [False, True])
def test_no_look_undoes_what_people_decided(
    world: World, cast: Cast, access: Access, machine: RelyingParty, now: datetime, lost: bool
) -> None:
    with world.at(now):
        token = access.token(machine, chain=True)
        change_client(machine.client, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
        machine.metadata["client_name"] = "Renamed"
        if lost:
            policy(world)
            assert look() == {"broken": 1}
            world.federation.entities[NORTHLIGHT].subordinates[HARBOUR] = {}
        last = last_event()
        assert look() == {"revived" if lost else "updated": 1}
        assert events_after(last) == [*(["trust.revived"] if lost else []), "client.updated"]
        assert (machine.client.state, machine.client.trust) == ("suspended", "valid")
        assert access.ask_token(machine).status_code >= 400
        change_client(machine.client, "reinstate", cast.as_reviewer, now=now)
        assert access.token(machine)
        assert not access.is_live(token)


def test_a_closed_client_is_never_touched_again(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        closed, other = register(world, access, MACHINE, OTHER_MACHINE)
        records = claim_due(later(now, days=1))
        assert len(records) == 2
        change_client(closed.client, "close", ACTOR, now=now)  # between the look and what is written about it
        row, last = Client.objects.filter(pk=closed.client.pk).values().get(), last_event()
        closed.metadata["client_name"] = other.metadata["client_name"] = "Renamed"
        sweep = Sweep(timezone.now)
        sweep.take(records)
        assert dict(sweep.outcomes) == {Outcome.UNCHANGED: 1, Outcome.UPDATED: 1}
        assert events_after(last) == ["client.updated"]
        FederationRecord.objects.update(next_check_at=now)
        closed.metadata["client_name"] = "Machine"
        assert look() == {"unchanged": 1}
        policy(world)
        for arguments in (["--all"], [MACHINE]):
            call_command("refresh_trust", *arguments, stdout=StringIO())
        assert Client.objects.filter(pk=closed.client.pk).values().get() == row
        assert other.client.trust == "broken"


def test_an_unchanged_chain_does_not_extend_what_was_closed_meanwhile(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        (party,) = register(world, access, MACHINE)
        records = claim_due(later(now, days=1))
        change_client(party.client, "close", ACTOR, now=now)
    with world.at(later(now, minutes=1)):
        before = party.client.trust_expires_at
        Sweep(timezone.now).take(records)
        assert party.client.trust_expires_at == before


def test_trust_that_was_ended_during_the_look_stays_ended(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        (party,) = register(world, access, MACHINE)
        records = claim_due(later(now, days=1))
        distrust(HARBOUR, ACTOR, now=now, reason="It was broken into.")
        sweep = Sweep(timezone.now)
        sweep.around = sweep_module.read_surroundings(sweep.around.resolver)
        sweep.take(records)
        assert party.client.trust == "broken"


# Explicit registrations


@pytest.mark.spec("FED-EXP-21", "FED-EXP-23", "FED-REG-03")
@pytest.mark.parametrize("changed", [False, True])
def test_no_look_lets_an_explicit_registration_outlive_its_answer(
    world: World, access: Access, machine: RelyingParty, now: datetime, changed: bool
) -> None:
    ends = later(now, minutes=30)
    with world.at(now):
        world.federation.entities[HARBOUR].lifetime = 1800  # what was posted lasts for an hour, so that a new chain would last longer
        assert machine.register().status_code == 200
        assert machine.client.trust_expires_at == ends
    if changed:
        rule = {"metadata_policy": {"oauth_client": {"client_name": {"value": "Said by Harbour"}}}}
        world.federation.entities[HARBOUR].subordinates[MACHINE] = rule
    for minutes, outcome in ((20, "updated" if changed else "unchanged"), (29, "unchanged")):
        with world.at(later(now, minutes=minutes)):
            assert look() == {outcome: 1}
            assert machine.client.trust_expires_at == ends
            token = access.token(machine)
    for minutes, outcome in ((30, "unchanged"), (60, "broken")):
        with world.at(later(now, minutes=minutes)):
            assert not access.is_live(token)
            assert look() == {outcome: 1}
            assert not client_may_act(machine.client, Action.TOKEN, timezone.now()).allowed
            assert access.ask_token(machine).status_code >= 400
    assert world.fetched(MACHINE) == 0
    assert "expired" in reason(machine, "trust.broken")


@pytest.mark.spec("FED-EXP-29", "FED-EXP-16")
def test_an_explicit_registration_ends_early_when_its_federation_says_so(
    world: World, access: Access, machine: RelyingParty, now: datetime
) -> None:
    with world.at(now):
        assert machine.register().status_code == 200
        token = access.token(machine)
        policy(world)
        assert look() == {"broken": 1}
        assert not access.is_live(token)


@pytest.mark.spec("FED-REG-03")
def test_the_end_of_an_answer_does_not_bind_a_later_automatic_registration(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    with world.at(now):
        assert lighthouse.register().status_code == 200
    then = later(now, hours=2)
    with world.at(then):
        assert lighthouse.authorize().status_code == 302
        for _ in range(2):
            assert look() == {"unchanged": 1}
            assert lighthouse.client.trust_expires_at == later(then, hours=24)


# Many sweeps, killed sweeps


def add_due(world: World, access: Access, count: int) -> list[RelyingParty]:
    """Return that many registered machines, all of them due."""
    parties = register(world, access, *names(count))
    FederationRecord.objects.update(next_check_at=timezone.now() - timedelta(seconds=1))
    world.forget()
    world.fetcher.reset_counts()
    return parties


@pytest.mark.threat("X16", "X18")
@pytest.mark.django_db(transaction=True)
def test_sweeps_at_the_same_time_take_different_clients(world: World, access: Access) -> None:
    add_due(world, access, 24)
    taken = together(4, lambda number: [record.pk for record in claim_due(timezone.now(), limit=6)])
    assert all(isinstance(numbers, list) for numbers in taken), taken
    flat = [number for numbers in taken for number in numbers]
    assert len(flat) == len(set(flat))
    assert len(flat) + due_records(timezone.now()).count() == 24


@pytest.mark.threat("X16", "X18")
@pytest.mark.django_db(transaction=True)
def test_sweeps_at_the_same_time_look_at_every_client_once(world: World, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_due, "__kwdefaults__", {"limit": 4})
    parties = add_due(world, access, 20)
    last = last_event()
    outcomes = together(3, lambda number: Sweep(timezone.now).run())
    assert sum((dict(found)[Outcome.UNCHANGED] for found in outcomes if found), start=0) == 20, outcomes
    assert [world.fetched(party.entity_id) for party in parties] == [1] * 20
    assert events_after(last) == []
    assert not due_records(timezone.now()).exists()


@pytest.mark.threat("X06", "S05")
def test_what_a_killed_sweep_held_is_taken_up_when_its_lease_ends(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        register(world, access, *names(3))
        FederationRecord.objects.update(next_check_at=now)
        assert len(claim_due(now)) == 3  # and it is never heard of again
        assert look(at_once=False) == {}
    assert LEASE.total_seconds() == 90
    with world.at(later(now, seconds=89)):
        assert look(at_once=False) == {}
    with world.at(now + LEASE):
        assert look(at_once=False) == {"unchanged": 3}


@pytest.mark.threat("X06", "X16", "S05")
def test_a_task_that_is_run_again_changes_nothing(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        good, bad = register(world, access, MACHINE, OTHER_MACHINE)
        world.federation.expel(HARBOUR, OTHER_MACHINE)
        assert look() == {"unchanged": 1, "suspect": 1}

        def everything() -> Iterable[Any]:
            return [*Client.objects.order_by("pk").values(), *FederationRecord.objects.order_by("pk").values(), last_event()]

        before = everything()
        for _ in range(3):
            assert look(at_once=False) == {}
        assert everything() == before
        # and a message that comes late, after the look was written, writes the same once more
        records = list(FederationRecord.objects.select_related("client__organization"))
        last = last_event()
        sweep = Sweep(timezone.now)
        sweep.take(records)
        assert good.client.trust == "valid"
        assert bad.client.trust == "suspect"
        assert events_after(last) == []


@pytest.mark.threat("X20")
def test_one_entity_that_this_server_chokes_on_does_not_keep_the_others_from_being_looked_at(
    world: World, access: Access, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choke(_: Any) -> Page:
        raise RuntimeError("a fault of ours")

    def settle_or_choke(check: Any, *, now: datetime) -> Outcome:
        if check.candidate is not None and check.record.entity_id == unwritable.entity_id:
            raise RuntimeError("a fault of ours")
        return settle(check, now=now)

    with world.at(now):
        first, unreadable, unwritable, last_one = register(world, access, *names(4))
        world.fetcher.put(configuration_url(unreadable.entity_id), choke)
        unwritable.metadata["client_name"] = last_one.metadata["client_name"] = "Renamed"
        monkeypatch.setattr(sweep_module, "settle", settle_or_choke)
        for _ in range(3):
            assert look()["stale"] == 2
        assert (first.client.trust, last_one.client.trust, last_one.client.name) == ("valid", "valid", "Renamed")
        for party in (unreadable, unwritable):
            assert party.client.trust == "stale"
            assert party.record.failure["sentence"] == "This server could not look at the entity. Our staff are told."
            assert party.record.misses == 3
            assert party.record.lease == ""
            assert party.record.next_check_at > now
        assert not due_records(now).exists()


# What it costs


@pytest.mark.threat("X18")
@pytest.mark.parametrize(("leaves", "intermediates"), [(1, 1), (12, 1), (12, 4)])
def test_a_sweep_fetches_and_verifies_every_statement_once(
    world: World, access: Access, monkeypatch: pytest.MonkeyPatch, leaves: int, intermediates: int
) -> None:
    quays = [f"https://quay-{number}.example" for number in range(intermediates)]
    for quay in quays:
        world.federation.add_authority(quay, [NORTHLIGHT])
    for number, name in enumerate(names(leaves)):
        register(world, access, name, below=quays[number % intermediates])
    world.forget()
    world.fetcher.reset_counts()
    spent: list[int] = []
    original = VerificationBudget.spend
    monkeypatch.setattr(VerificationBudget, "spend", lambda budget: (spent.append(1), original(budget))[1])
    assert look() == {"unchanged": leaves}
    expected = 2 * leaves + 2 * intermediates + 1
    assert (world.fetcher.total, len(spent)) == (expected, expected)
    assert set(world.fetcher.fetches.values()) == {1}


@pytest.mark.threat("X18")
def test_clients_that_are_as_they_were_cost_the_same_few_statements_however_many_they_are(
    world: World, access: Access, now: datetime
) -> None:
    costs = []
    for count in (3, 15, 30):
        with world.at(now):
            register(world, access, *(f"https://of-{count}-{number}.example" for number in range(count - FederationRecord.objects.count())))
            FederationRecord.objects.update(next_check_at=now)
            with counted() as queries:
                assert look(at_once=False) == {"unchanged": count}
            costs.append(len(queries))
    assert costs[0] == costs[1] == costs[2]
    assert costs[0] <= 16


# When it looks again


@pytest.mark.threat("X19")
def test_checks_are_spread_over_the_last_part_of_what_is_left(now: datetime) -> None:
    random.seed(19)
    for rest in (timedelta(minutes=4), CHECKS, timedelta(days=3)):
        found = [next_check(now + rest, now) for _ in range(400)]
        base = min(rest, CHECKS)
        assert all(now + base * 0.75 <= moment <= now + base * 0.9 for moment in found)
        assert max(found) - min(found) > base * 0.12
        assert max(found) < now + rest
    assert next_check(now - timedelta(hours=1), now) == now


@pytest.mark.threat("X19")
def test_the_waiting_times_after_a_miss_are_those_of_the_table(now: datetime) -> None:
    for misses, minutes in enumerate((1, 2, 4, 8, 16, 30, 30, 30), start=1):
        waits = [(next_retry(misses, now, None) - now) / timedelta(minutes=1) for _ in range(300)]
        assert 0.2 * minutes <= min(waits)
        assert max(waits) <= minutes
        assert max(waits) - min(waits) > 0.5 * minutes
    assert next_retry(1, now, 600) == later(now, minutes=10)
    assert next_retry(1, now, 10**6) == later(now, hours=1)
    assert [next_look_in_doubt(looks, now) for looks in (1, 2, 3)] == [later(now, minutes=1), later(now, minutes=10), None]
    for _ in range(100):
        moment = next_check_of_broken(now - timedelta(days=29), now)
        assert moment is not None
        assert timedelta(minutes=45) <= moment - now <= timedelta(hours=1)
    assert next_check_of_broken(now - timedelta(days=30), now) is None


def test_what_broke_is_looked_at_for_thirty_days_and_never_deleted(
    world: World, access: Access, machine: RelyingParty, now: datetime
) -> None:
    with world.at(now):
        access.token(machine, chain=True)
        policy(world)
    for days, again in ((29, True), (31, False)):
        with world.at(later(now, days=days)):
            assert look() == {"broken": 1}
            assert (machine.record.next_check_at is not None) is again
    with world.at(later(now, days=400)):
        assert look(at_once=False) == {}
    assert machine.client.trust == "broken"


# Whom an operator trusts


@pytest.mark.parametrize("whom", [NORTHLIGHT, HARBOUR, MACHINE])
def test_who_is_trusted_no_more_takes_along_all_that_depends_on_it_and_gives_it_back(
    world: World, cast: Cast, access: Access, now: datetime, whom: str
) -> None:
    with world.at(now):
        below, beside = register(world, access, MACHINE, OTHER_MACHINE)
        world.federation.add_authority(QUAY, [NORTHLIGHT])
        (elsewhere,) = register(world, access, "https://elsewhere.example", below=QUAY)
        tokens = {party.entity_id: access.token(party) for party in (below, beside, elsewhere)}
        lost = {NORTHLIGHT: {*tokens}, HARBOUR: {MACHINE, OTHER_MACHINE}, MACHINE: {MACHINE}}[whom]
        assert {client.client_id for client in clients_depending_on(whom)} == lost
        last = last_event()
        operator = person(cast.operator, staff=True)
        assert distrust(whom, operator, now=now, reason="It was broken into.") == len(lost)
        first = "trust_anchor.disabled" if whom == NORTHLIGHT else "entity.refused"
        assert events_after(last) == [first, *["trust.broken"] * len(lost)]
        for entity_id, token in tokens.items():
            assert access.is_live(token) is (entity_id not in lost)
        assert "It was broken into." in AuditEvent.objects.filter(event="trust.broken").latest("id").reason
        last = last_event()
        assert look().get("broken", 0) == len(lost)
        assert events_after(last) == []
        assert trust_again(whom, operator, now=now)
        assert look(at_once=False) == {"revived": len(lost)}
        for entity_id, token in tokens.items():
            assert access.is_live(token) is (entity_id not in lost)
        assert access.is_live(access.token(below))
        assert not trust_again(whom, operator, now=now)


def test_ending_trust_is_one_transaction(world: World, access: Access, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def end_and_fail(*arguments: Any, **options: Any) -> int:
        original(*arguments, **options)
        raise RuntimeError("the lights went out")

    with world.at(now):
        parties = register(world, access, MACHINE, OTHER_MACHINE)
        tokens, last = [access.token(party) for party in parties], last_event()
        original = trust_anchors.end_trust
        monkeypatch.setattr(trust_anchors, "end_trust", end_and_fail)
        for whom in (NORTHLIGHT, HARBOUR):
            with pytest.raises(RuntimeError):
                distrust(whom, ACTOR, now=now, reason="It was broken into.")
        assert events_after(last) == []
        assert all(access.is_live(token) for token in tokens)
        assert TrustAnchorRecord.objects.get().is_enabled
        assert not RefusedEntity.objects.exists()


def test_only_operators_say_who_is_trusted_and_they_say_why(world: World, cast: Cast, now: datetime) -> None:
    last = last_event()
    for actor in (cast.as_owner, cast.as_reviewer, person(cast.operator)):
        for act in (lambda by: distrust(HARBOUR, by, now=now, reason="Because."), lambda by: trust_again(HARBOUR, by, now=now)):
            with pytest.raises(TransitionRefused) as refused:
                act(actor)
            assert refused.value.reason == "permission"
    with pytest.raises(TransitionRefused) as refused:
        distrust(HARBOUR, person(cast.operator, staff=True), now=now, reason="  ")
    assert refused.value.reason == "reason_missing"
    assert events_after(last) == []


def test_a_client_with_another_chain_comes_back_without_the_refused_intermediate(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        world.federation.add_authority(QUAY, [NORTHLIGHT])
        (party,) = register(world, access, MACHINE)
        party.entity.superiors.append(QUAY)
        world.federation.entities[QUAY].subordinates[MACHINE] = {}
        assert distrust(HARBOUR, ACTOR, now=now, reason="It was broken into.") == 1
        assert look(at_once=False) == {"revived": 1}
        assert party.record.entities == [MACHINE, QUAY, NORTHLIGHT]


# manage.py refresh_trust


def run(*arguments: str) -> list[str]:
    """Return the lines that the command writes."""
    out = StringIO()
    call_command("refresh_trust", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()


def test_the_command_says_what_came_of_whom(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        assert run() == ["0 looked at; nothing was due."]
        assert run("--all") == ["0 looked at; nothing was due."]
        steady, moving, gone = register(world, access, *names(3))
        assert run() == ["0 looked at; nothing was due."]
        moving.metadata["client_name"] = "Renamed"
        world.federation.expel(HARBOUR, gone.entity_id)
        lines = run("--all")
        assert f"updated   {moving.entity_id}" in lines
        unknown = "The superior does not know this entity: it is not, or no longer, a member."
        assert f"suspect   {gone.entity_id}  {unknown}" in lines
        assert len(lines) == 3
        assert lines[-1].startswith("3 looked at: ")
        assert sorted(lines[-1].removeprefix("3 looked at: ").removesuffix(".").split(", ")) == ["1 suspect", "1 unchanged", "1 updated"]
        world.fetcher.reset_counts()
        assert run(steady.entity_id) == ["1 looked at: 1 unchanged."]
        assert (world.fetched(steady.entity_id), world.fetched(moving.entity_id)) == (1, 0)
    with world.at(later(now, minutes=1)):
        assert run()[-1] == "1 looked at: 1 suspect."
        world.federation.entities[HARBOUR].subordinates[gone.entity_id] = {}
        assert run(gone.entity_id, moving.entity_id)[-1] == "2 looked at: 1 revived, 1 unchanged."
        with pytest.raises(CommandError, match=f"Not registered here: {TIDEWATER}"):
            run(steady.entity_id, TIDEWATER)
        with pytest.raises(CommandError, match="not both"):
            run("--all", LIGHTHOUSE)


def test_the_command_looks_past_all_caches(world: World, access: Access, now: datetime) -> None:
    with world.at(now):
        (party,) = register(world, access, MACHINE)
        for _ in range(2):
            world.fetcher.reset_counts()
            run(party.entity_id)
            assert (world.fetched(MACHINE), world.fetched(HARBOUR), world.fetched(NORTHLIGHT)) == (1, 1, 1)
