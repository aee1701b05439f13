"""Rules about trust marks, as operators save them, and what follows for clients that are registered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from federation.models import FederationRecord, TrustMarkRule
from federation.tasks import refresh_due_trust
from federation.trust_mark_rules import EDITABLE, delete_trust_mark_rule, save_trust_mark_rule
from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import person
from registry.models import AuditEvent, Entitlement, Scope
from tests.conftest import Cast, later
from tests.federation.registration.access import Access
from tests.federation.registration.support import ACTOR, NORTHLIGHT, RelyingParty, World

MARK, MACHINE = "https://northlight.example/marks/certified", "https://machine.example"


@pytest.fixture
def access(world: World, now: datetime) -> Access:
    """A resource server, and machines that may register by their first token request."""
    return Access.build(world, now)


@pytest.fixture
def bearer(world: World, access: Access) -> RelyingParty:
    """A machine that carries a trust mark of Northlight, not registered yet."""
    party = world.add_machine(MACHINE)
    world.federation.entities[NORTHLIGHT].claims["trust_mark_issuers"] = {MARK: [NORTHLIGHT]}
    world.federation.grant_mark(NORTHLIGHT, MACHINE, MARK)
    return party


def entitled(party: RelyingParty) -> set[str]:
    marked = party.client.entitlements.filter(because=Entitlement.Because.MARK)
    return set(marked.values_list("value", flat=True))


def values(**changes: Any) -> dict[str, Any]:
    return {"trust_mark_type": MARK, "anchor": "", "issuers": [], "scopes": ["bookings.read"], "grant_types": [], **changes}


def save(rule: TrustMarkRule | None, now: datetime, **changes: Any) -> TrustMarkRule:
    """Save a rule as the command line would, and check everybody who is due by it."""
    saved = save_trust_mark_rule(rule, values(**changes), ACTOR, now=now)
    refresh_due_trust()
    return saved


@pytest.mark.spec("FED-TMK-13")
def test_a_rule_counts_for_registered_clients_from_their_next_check_which_is_due_at_once(
    world: World, access: Access, bearer: RelyingParty, now: datetime
) -> None:
    Scope.objects.create(name="prices.read", title="See prices")
    with world.at(now):
        access.token(bearer, chain=True)
        assert entitled(bearer) == set()
    for minutes, changes, expected in (
        (1, {}, {"bookings.read"}),
        (2, {"scopes": ["bookings.read", "prices.read"]}, {"bookings.read", "prices.read"}),
        (3, {"scopes": ["prices.read"], "grant_types": ["client_credentials"]}, {"prices.read", "client_credentials"}),
        (4, {"issuers": ["https://another.example"]}, set()),
        (5, {"issuers": [NORTHLIGHT]}, {"bookings.read"}),
        (6, {"is_enabled": False}, set()),
        (7, {"is_enabled": True, "anchor": "https://another.example"}, set()),
        (8, {"anchor": NORTHLIGHT}, {"bookings.read"}),
    ):
        then = later(now, minutes=minutes)
        with world.at(then):
            save(TrustMarkRule.objects.first(), then, **changes)
        assert entitled(bearer) == expected, changes


def test_what_a_removed_rule_entitled_to_ends_and_what_another_gives_stays(
    world: World, access: Access, bearer: RelyingParty, now: datetime
) -> None:
    Scope.objects.create(name="prices.read", title="See prices")
    with world.at(now):
        access.token(bearer, chain=True)
    with world.at(later(now, minutes=1)):
        everywhere = save(None, later(now, minutes=1))
        below = save(None, later(now, minutes=1), anchor=NORTHLIGHT, scopes=["prices.read"])
        assert entitled(bearer) == {"bookings.read", "prices.read"}
    for minutes, rule, left in ((2, below, {"bookings.read"}), (3, everywhere, set())):
        then = later(now, minutes=minutes)
        with world.at(then):
            delete_trust_mark_rule(rule, ACTOR, now=then)
            refresh_due_trust()
        assert entitled(bearer) == left


def test_only_an_operator_says_what_marks_entitle_to(cast: Cast, now: datetime) -> None:
    rule = save_trust_mark_rule(None, values(), person(cast.operator, staff=True), now=now)
    for actor in (person(cast.operator), person(cast.reviewer, staff=True), person(cast.auditor, staff=True), person(cast.owner)):
        for act in (lambda by: save_trust_mark_rule(rule, values(), by, now=now), lambda by: delete_trust_mark_rule(rule, by, now=now)):
            with pytest.raises(TransitionRefused) as refused:
                act(actor)
            assert refused.value.reason == "permission"
    delete_trust_mark_rule(rule, person(cast.operator, staff=True), now=now)
    with pytest.raises(TransitionRefused):
        delete_trust_mark_rule(rule, ACTOR, now=now)
    with pytest.raises(TransitionRefused):
        save_trust_mark_rule(rule, values(scopes=[]), ACTOR, now=now)
    found = AuditEvent.objects.filter(object_type="trustmarkrule").order_by("id").values_list("event", flat=True)
    assert list(found) == ["trust_mark_rule.added", "trust_mark_rule.deleted"]


@pytest.mark.parametrize("wrong", [
    {"trust_mark_type": None}, {"trust_mark_type": ""}, {"trust_mark_type": " x"}, {"trust_mark_type": "a\nb"}, {"trust_mark_type": 7},
    {"anchor": None}, {"anchor": "http://anchor.example"}, {"issuers": "https://one.example"}, {"issuers": ["https://one.example"] * 2},
    {"issuers": [None]}, {"issuers": ["x"]}, {"scopes": ["nothing"]}, {"scopes": None}, {"grant_types": ["password"]},
    {"grant_types": {"a": 1}}, {"is_enabled": "yes"},
])  # fmt: skip
def test_values_that_a_rule_cannot_have_are_findings_about_them(cast: Cast, now: datetime, wrong: dict[str, Any]) -> None:
    with pytest.raises(MetadataRefused) as refused:
        save_trust_mark_rule(None, values(**wrong), ACTOR, now=now)
    assert [finding.field for finding in refused.value.findings] == list(wrong)
    assert not TrustMarkRule.objects.exists()
    assert not AuditEvent.objects.filter(object_type="trustmarkrule").exists()


def test_a_change_is_told_in_the_trail_and_no_change_is_not(cast: Cast, now: datetime) -> None:
    rule = save_trust_mark_rule(None, values(), ACTOR, now=now)
    assert set(AuditEvent.objects.get(event="trust_mark_rule.added").difference) == set(EDITABLE)
    save_trust_mark_rule(rule, values(), ACTOR, now=now)
    save_trust_mark_rule(rule, {"scopes": []}, ACTOR, now=now)
    assert AuditEvent.objects.get(event="trust_mark_rule.changed").difference == {"scopes": [["bookings.read"], []]}
    assert not FederationRecord.objects.exists()
