"""Random walks of clients through what their federation, people and time do to them (house decisions 4, 5, 10).

After each step: no token is live whose client may not act, none that was ended comes back, and the trail tells every step of trust once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from authserver.throttling import failures
from federation.models import FederationRecord
from federation.simulator import Fault
from federation.tasks import refresh_due_trust
from federation.trust_anchors import distrust, trust_again
from protocol.errors.internal import TransitionRefused
from registry.actors import Actor
from registry.gate import Action, client_may_act
from registry.lifecycle import change_client
from registry.lifecycle.organizations import change_organization
from registry.models import AuditEvent, Client
from tests.conftest import Cast
from tests.federation.registration.access import Access
from tests.federation.registration.support import ACTOR, HARBOUR, NORTHLIGHT, RelyingParty, World

NAMES = ("https://one.example", "https://two.example", "https://three.example")
FAULTS = (Fault.REFUSED, Fault.SERVER_ERROR, Fault.NOT_FOUND, Fault.WRONG_SIGNATURE, Fault.EXPIRED, None)
POLICY = {"metadata_policy": {"oauth_client": {"grant_types": {"subset_of": ["authorization_code"]}}}}
RENAMES = {"metadata_policy": {"oauth_client": {"client_name": {"value": "Said by Harbour"}}}}
ENDS_TOKENS = ("client.suspended", "trust.broken", "org.suspended")

who = st.sampled_from(NAMES)
# Most changes are looked at soon, so that walks come far.
looks = st.sampled_from([0, 1, 1, 1, 3])


class Walk(RuleBasedStateMachine):
    """One walk, in a transaction of its own that is rolled back."""

    def __init__(self, build: Callable[[], World], start: datetime, reviewer: Actor) -> None:
        super().__init__()
        self.start, self.reviewer = start, reviewer
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.clock = time_machine.travel(start, tick=False)
        self.traveller = self.clock.start()
        self.world = build()
        self.access = Access.build(self.world, start)
        self.parties = {name: self.world.add_machine(name) for name in NAMES}
        for party in self.parties.values():
            party.entity.lifetime = 3 * 3600
        self.tokens: dict[str, tuple[str, int]] = {}
        self.distrusted: set[str] = set()

    def teardown(self) -> None:
        self.clock.stop()
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def party(self, name: str) -> RelyingParty:
        failures.forget()
        self.world.forget()
        return self.parties[name]

    def client(self, name: str) -> Client | None:
        return Client.objects.select_related("organization").filter(client_id=name).first()

    def take_token(self, name: str, answer: Any) -> None:
        if answer.status_code == 200:
            client = self.client(name)
            assert client is not None
            self.tokens[answer.json()["access_token"]] = name, client.credential_generation

    def look(self, times: int) -> None:
        """Let the sweep look at everybody, as often as doubt needs to be settled if three times."""
        for _ in range(times):
            self.world.forget()
            FederationRecord.objects.exclude(next_check_at=None).update(next_check_at=timezone.now())
            refresh_due_trust()

    # What the entities and their federation do

    @initialize()
    def everybody_registers(self) -> None:
        for name in NAMES:
            self.take_token(name, self.access.ask_token(self.party(name), chain=True))
        assert len(self.tokens) == len(NAMES)

    @rule(name=who, chain=st.booleans())
    def asks_for_a_token(self, name: str, chain: bool) -> None:
        is_member = name in self.world.federation.entities[HARBOUR].subordinates
        self.take_token(name, self.access.ask_token(self.party(name), chain=chain and is_member))

    @rule(name=who, seconds=st.integers(min_value=120, max_value=7200))
    def registers_explicitly(self, name: str, seconds: int) -> None:
        party = self.party(name)
        party.register(party.explicit(exp=int(timezone.now().timestamp()) + seconds))

    @rule(name=who, fault=st.sampled_from(FAULTS), times=looks)
    def fails_or_recovers(self, name: str, fault: Fault | None, times: int) -> None:
        self.world.federation.entities[name].fault = fault
        self.look(times)

    @rule(fault=st.sampled_from(FAULTS), times=looks)
    def superior_fails_or_recovers(self, fault: Fault | None, times: int) -> None:
        self.world.federation.entities[HARBOUR].statement_fault = fault
        self.look(times)

    @rule(name=who, times=looks)
    def revoked(self, name: str, times: int) -> None:
        self.world.federation.entities[HARBOUR].subordinates.pop(name, None)
        self.look(times)

    @rule(name=who, statement=st.sampled_from([{}, {}, POLICY, RENAMES]), times=looks)
    def member_with(self, name: str, statement: dict[str, Any], times: int) -> None:
        self.world.federation.entities[HARBOUR].subordinates[name] = dict(statement)
        self.look(times)

    @rule(times=looks)
    def recovers(self, times: int) -> None:
        harbour = self.world.federation.entities[HARBOUR]
        harbour.statement_fault = None
        for name in NAMES:
            harbour.subordinates[name] = {}
            self.world.federation.entities[name].fault = None
        self.look(times)

    # What people do

    @rule(name=who, step=st.sampled_from(["suspend", "reinstate"]))
    def suspend_or_reinstate(self, name: str, step: str) -> None:
        client = self.client(name)
        if client is not None and client.state == ("active" if step == "suspend" else "suspended"):
            change_client(client, step, self.reviewer, now=timezone.now(), reason="Because.")

    @rule(name=who, step=st.sampled_from(["suspend", "reinstate"]))
    def suspend_or_reinstate_the_organization(self, name: str, step: str) -> None:
        client = self.client(name)
        if client is not None and client.organization.state == ("approved" if step == "suspend" else "suspended"):
            change_organization(client.organization, step, self.reviewer, now=timezone.now(), reason="Because.")

    @rule(whom=st.sampled_from([NORTHLIGHT, HARBOUR, *NAMES]), times=looks, again=st.sampled_from([True, True, False]))
    def trust_no_more(self, whom: str, times: int, again: bool) -> None:
        if whom in self.distrusted:
            with pytest.raises(TransitionRefused, match="trusted no more already"):
                distrust(whom, ACTOR, now=timezone.now(), reason="It was broken into.")
        else:
            distrust(whom, ACTOR, now=timezone.now(), reason="It was broken into.")
        self.distrusted.add(whom)
        self.no_token_is_live_for_a_client_that_may_not_act()
        self.look(times)
        if again:
            self.trust_all_again()

    @rule()
    def trust_all_again(self) -> None:
        for whom in (NORTHLIGHT, HARBOUR, *NAMES):
            trust_again(whom, ACTOR, now=timezone.now())
        self.distrusted.clear()
        self.look(1)

    # What time does, and the sweep

    @rule(seconds=st.sampled_from([1, 60, 600, 900, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.traveller.move_to(timezone.now() + timedelta(seconds=seconds))

    @precondition(lambda self: self.client(NAMES[0]) is not None)
    @rule(name=who)
    def expires(self, name: str) -> None:
        client = self.client(name)
        if client is not None and client.trust_expires_at is not None:
            self.traveller.move_to(max(timezone.now(), client.trust_expires_at))

    @rule()
    def what_is_due_is_looked_at(self) -> None:
        self.world.forget()
        refresh_due_trust()

    # What always holds

    @invariant()
    def no_token_is_live_for_a_client_that_may_not_act(self) -> None:
        now, clients = timezone.now(), {name: self.client(name) for name in NAMES}
        for token, (name, generation) in self.tokens.items():
            client = clients[name]
            assert client is not None
            if not self.access.is_live(token):
                continue
            assert client.credential_generation == generation, "it was ended, and generations never come back"
            assert client_may_act(client, Action.INTROSPECT, now).allowed
            # the gate in other words
            assert (client.state, client.organization.state) == ("active", "approved")
            assert client.trust in ("valid", "stale")
            assert client.trust_expires_at is not None
            assert client.trust_expires_at > now

    @invariant()
    def the_trail_tells_every_step_of_trust_once(self) -> None:
        for client in Client.objects.filter(client_id__in=NAMES).select_related("organization"):
            rows = AuditEvent.objects.filter(object_id=str(client.reference)).order_by("id")
            steps = [row.difference["trust"] for row in rows if row.event.startswith("trust.")]
            assert all(before != after for before, after in steps), steps
            path = ["valid", *(after for _, after in steps)]
            assert [before for before, _ in steps] == path[:-1], steps
            assert client.trust == path[-1], steps
            of_both = AuditEvent.objects.filter(object_id__in=[str(client.reference), str(client.organization.org_id)])
            assert client.credential_generation == 1 + of_both.filter(event__in=ENDS_TOKENS).count()

    @invariant()
    def no_explicit_registration_outlives_its_answer(self) -> None:
        for record in FederationRecord.objects.exclude(registration_ends=None).select_related("client"):
            assert record.client.trust_expires_at is not None
            assert record.client.trust_expires_at <= record.registration_ends


@pytest.mark.spec("FED-REG-03", "FED-REG-06", "FED-EXP-21")
@pytest.mark.threat("R11")
def test_no_walk_leaves_a_token_alive_that_must_be_dead(world: World, cast: Cast, now: datetime) -> None:
    start = now

    def build() -> World:
        """Return the federation as it is at first, behind the fetcher that this process uses."""
        federation = world.federation
        for name in NAMES:
            federation.entities.pop(name, None)
        harbour = federation.entities[HARBOUR]
        harbour.statement_fault = None
        harbour.subordinates.clear()
        world.forget()
        return world

    run_state_machine_as_test(
        lambda: Walk(build, start, cast.as_reviewer),
        settings=settings(max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)),
    )
