"""The gate: every client state, organization state, stage, trust and expiry, with the reason (O10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from registry.gate import Action, client_may_act
from registry.models import Client, Organization

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)

# What is asked first answers first: the client's state, the organization's, the stage, the trust, its expiry.
BY_CLIENT = {"draft": "client_draft", "suspended": "client_suspended", "closed": "client_closed"}
BY_ORGANIZATION = {"suspended": "organization_suspended", "rejected": "organization_rejected", "closed": "organization_closed"}
BY_TRUST = {"broken": "trust_broken", "suspect": "trust_suspect"}


def expected(state, organization, stage, trust, expires_at):
    if state != "active":
        return BY_CLIENT[state]
    if organization in BY_ORGANIZATION:
        return BY_ORGANIZATION[organization]
    if stage == "live" and organization != "approved":
        return "organization_not_approved"
    if trust in BY_TRUST:
        return BY_TRUST[trust]
    if trust in ("valid", "stale") and (expires_at is None or expires_at <= NOW):
        return "trust_expired"
    return "allowed"


def client(state="active", organization="approved", stage="live", trust="none", expires_at=None, *, paused=False):
    return Client(
        organization=Organization(state=organization),
        state=state,
        stage=stage,
        trust=trust,
        trust_expires_at=expires_at,
        paused_by_owner=paused,
    )


MATRIX = list(product(Client.State.values, Organization.State.values, Client.Stage.values, Client.Trust.values, [None, BEFORE, NOW, AFTER]))


@pytest.mark.threat("O10")
@pytest.mark.parametrize("action", Action)
def test_the_whole_matrix_gets_its_answers(action):
    assert len(MATRIX) == 4 * 7 * 2 * 5 * 4
    seen = set()
    for row in MATRIX:
        verdict = client_may_act(client(*row), action, NOW)
        assert verdict.reason == expected(*row), row
        assert verdict.allowed == (verdict.reason == "allowed"), row
        assert verdict.sentence.endswith(".")
        seen.add(verdict.reason)
    assert seen == {
        *BY_CLIENT.values(),
        *BY_ORGANIZATION.values(),
        *BY_TRUST.values(),
        "organization_not_approved",
        "trust_expired",
        "allowed",
    }


@pytest.mark.threat("O10")
def test_only_the_states_that_are_named_let_a_client_through():
    allowed = {row[:4] for row in MATRIX if client_may_act(client(*row), Action.TOKEN, NOW).allowed}
    organizations = {("live", "approved"), *(("test", state) for state in ("draft", "pending", "changes_requested", "approved"))}
    assert allowed == {
        ("active", organization, stage, trust) for stage, organization in organizations for trust in ("none", "valid", "stale")
    }


@pytest.mark.threat("O10")
@pytest.mark.parametrize("trust", ["valid", "stale"])
@pytest.mark.parametrize("action", Action)
def test_trust_ends_to_the_second_whatever_else_is_true(trust, action):
    for moment, allowed in ((AFTER - timedelta(microseconds=1), True), (AFTER, False), (AFTER + timedelta(days=1), False)):
        verdict = client_may_act(client(trust=trust, expires_at=AFTER), action, moment)
        assert (verdict.allowed, verdict.reason) == (allowed, "allowed" if allowed else "trust_expired")


@pytest.mark.threat("O10")
def test_an_expiry_means_nothing_to_a_client_that_is_not_from_a_federation():
    assert client_may_act(client(trust="none", expires_at=BEFORE), Action.TOKEN, NOW).allowed


def test_the_answer_says_who_can_change_it():
    def fixer(**row):
        return client_may_act(client(**row), Action.TOKEN, NOW).fixer.value

    assert fixer(state="suspended") == "our staff"
    assert fixer(state="suspended", paused=True) == "your organization"
    assert fixer(state="closed", paused=True) == "nobody"
    assert fixer(organization="pending") == "our staff"
    assert fixer(trust="broken") == "the federation operator"
    assert client_may_act(client(state="suspended", paused=True), Action.TOKEN, NOW).reason == "client_paused"


@pytest.mark.threat("O10")
def test_the_toolkits_question_is_answered_by_the_gate():
    assert client().is_usable(None)
    for row in (
        {"state": "suspended"},
        {"organization": "suspended"},
        {"trust": "suspect"},
        {"trust": "valid", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ):
        assert not client(**row).is_usable(None)
