"""Grants that an entity has only by a trust mark, and what operators see of keys and anchors that change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from federation import resolving
from federation.checking import Outcome, check_client
from federation.core.issuing import build_jwks
from federation.models import FederationRecord, TrustMarkRule
from federation.sweep import Sweep
from federation.trust_anchors import add_trust_anchor, distrust
from registry.actors import job
from registry.models import AuditEvent
from registry.policy_records import save_policy
from registry.resource_servers import create_resource_server
from tests.authserver.support import basic
from tests.federation.registration.support import ACTOR, HARBOUR, NORTHLIGHT, RelyingParty, World

MARK = "https://northlight.example/marks/certified"


@pytest.fixture
def machine(world: World, now: datetime) -> RelyingParty:
    """A machine client below an anchor that recognizes a mark, which client_credentials needs here."""
    save_policy(None, {"federation_grant_types_by_mark": ["client_credentials"]}, job("test"), now=now)
    world.federation.entities[NORTHLIGHT].claims["trust_mark_issuers"] = {MARK: [HARBOUR]}
    TrustMarkRule.objects.create(trust_mark_type=MARK, grant_types=["client_credentials"])
    return world.add_machine("https://machine.example", scope="openid")


def token(machine: RelyingParty) -> Any:
    return machine.world.post("/oauth/token", {"grant_type": "client_credentials", **machine.authentication()})


def test_a_grant_that_takes_a_mark_is_refused_without_and_works_with_one_as_long_as_it_lasts(
    machine: RelyingParty, world: World, now: datetime
) -> None:
    assert machine.register().status_code == 200
    refused = token(machine)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert "trust mark" in refused.json()["error_description"]
    world.federation.grant_mark(HARBOUR, machine.entity_id, MARK, lifetime=300)
    world.forget()
    assert machine.register().status_code == 200
    answer = token(machine).json()
    server, secret = create_resource_server("API", ACTOR, now=now)

    def active() -> bool:
        asked = world.browser.post(
            "/oauth/introspect",
            f"token={answer['access_token']}",
            content_type="application/x-www-form-urlencoded",
            headers=basic(server.client_id, secret.value),
        )
        return bool(asked.json()["active"])

    assert active()
    with time_machine.travel(now + timedelta(seconds=301), tick=False):
        assert not active()  # the token lives, its grant does not
        assert token(machine).status_code == 400
        assert machine.client.trust == "valid"


def test_other_grants_and_other_clients_need_no_mark(machine: RelyingParty, world: World, make_client: Any, now: datetime) -> None:
    lighthouse = world.add()
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 201
    assert lighthouse.client.trust == "valid"


@pytest.mark.threat("T10")
def test_keys_that_were_all_replaced_at_once_are_told_to_people(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 201
    world.federation.roll_keys(lighthouse.entity_id, overlap=True)
    check_client(lighthouse.record, now=now)
    assert not AuditEvent.objects.filter(event="entity.keys_replaced").exists()
    world.federation.roll_keys(lighthouse.entity_id, overlap=False)
    check_client(lighthouse.record, now=now)
    event = AuditEvent.objects.get(event="entity.keys_replaced")
    assert event.difference["kids"][1] == [lighthouse.entity.keys[0].kid]
    assert lighthouse.client.trust == "valid"


@pytest.mark.threat("T13")
def test_every_process_forgets_its_statements_when_operators_change_whom_they_trust(
    world: World, lighthouse: RelyingParty, now: datetime
) -> None:
    resolving.get_resolver().resolve(lighthouse.entity_id)
    assert len(resolving.statement_cache) > 0
    resolving.get_resolver()
    assert len(resolving.statement_cache) > 0
    # What another process writes, this one learns from the database.
    add_trust_anchor(NORTHLIGHT, build_jwks(world.federation.entities[NORTHLIGHT].keys), ACTOR, now=now + timedelta(seconds=1))
    resolving.get_resolver()
    assert len(resolving.statement_cache) == 0


@pytest.mark.threat("T09")
def test_an_anchor_that_is_trusted_no_more_carries_nobody_as_an_intermediate_either(
    world: World, lighthouse: RelyingParty, now: datetime
) -> None:
    assert resolving.get_resolver().resolve(lighthouse.entity_id).ok
    world.federation.add_authority("https://top.example")
    world.federation.entities[NORTHLIGHT].superiors.append("https://top.example")
    world.federation.entities["https://top.example"].subordinates[NORTHLIGHT] = {}
    world.accept("https://top.example")
    distrust(NORTHLIGHT, ACTOR, now=now, reason="Its keys were stolen.")
    resolution = resolving.get_resolver().resolve(lighthouse.entity_id)
    assert resolution.failure is not None
    assert resolution.failure.code == "invalid_trust_anchor"


@pytest.mark.threat("T10")
def test_a_sweep_tells_of_replaced_keys_though_the_metadata_is_as_it_was(world: World, lighthouse: RelyingParty, now: datetime) -> None:
    assert lighthouse.push(request=lighthouse.request_object()).status_code == 201
    world.federation.roll_keys(lighthouse.entity_id, overlap=False)
    FederationRecord.objects.update(next_check_at=now)
    assert Sweep(timezone.now).run() == {Outcome.UNCHANGED: 1}
    assert AuditEvent.objects.filter(event="entity.keys_replaced").count() == 1
    FederationRecord.objects.update(next_check_at=now)
    Sweep(timezone.now).run()
    assert AuditEvent.objects.filter(event="entity.keys_replaced").count() == 1
