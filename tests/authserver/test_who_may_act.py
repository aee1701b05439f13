"""The gate at every endpoint, for every state of client, organization and trust (threats.md O10; house decisions 4, 5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from authserver.models import AccessToken
from authserver.urls import urlpatterns
from registry.actors import person
from registry.lifecycle import change_client, change_organization
from registry.models import Client, Organization
from tests.authserver.support import EVERY_ENDPOINT, INTROSPECT, REVOKE, TOKEN, Caller, make_caller, outcome
from tests.conftest import Cast, make_organization

Call = Callable[..., Any]
State, Trust, Stage, OrgState = Client.State, Client.Trust, Client.Stage, Organization.State
GONE = {OrgState.SUSPENDED, OrgState.REJECTED, OrgState.CLOSED}
OK, MAY_NOT, REFUSED = "200", "400 unauthorized_client", "401 invalid_client"

# Which URLs ask the gate, and why the others need not.
GATED = {"token", "introspect", "authorize", "interaction", "par", "userinfo"}
NOT_GATED = {
    "revoke": "giving up a token needs no permission",
    "logout": "ending one's own session needs no permission of an app",
    "jwks": "public",
    "openid-configuration": "public",
    "openid-federation": "public",
    "signed-jwks": "public",
    "oauth-authorization-server": "public",
}


def situations() -> list[dict[str, Any]]:
    """Return states of client, organization and trust: each state with each, and each trust where the rest is in order."""
    people = [
        {"state": state, "organization": organization, "stage": stage, "trust": Trust.NONE, "expires": None}
        for state, organization, stage in product(State, OrgState, Stage)
    ]
    federation = [
        {"state": State.ACTIVE, "organization": OrgState.APPROVED, "stage": stage, "trust": trust, "expires": expires}
        for stage, trust, expires in product(Stage, Trust, (None, -1, 0, 3600))
    ]
    return people + federation


def may_act(situation: dict[str, Any]) -> bool:
    """Say what house decisions 4, 9 and 10 say, written down independently of the gate."""
    organization, expires = situation["organization"], situation["expires"]
    lives = situation["state"] == State.ACTIVE and organization not in GONE
    staged = situation["stage"] == Stage.TEST or organization == OrgState.APPROVED
    chained = situation["trust"] in (Trust.VALID, Trust.STALE) and expires is not None and expires > 0
    return lives and staged and (situation["trust"] == Trust.NONE or chained)


def put(caller: Caller, situation: dict[str, Any], now: datetime) -> None:
    """Bring the client and its organization into a situation, past the lifecycle."""
    expires = None if situation["expires"] is None else now + timedelta(seconds=situation["expires"])
    Client.objects.filter(pk=caller.client.pk).update(
        state=situation["state"], stage=situation["stage"], trust=situation["trust"], trust_expires_at=expires
    )
    Organization.objects.filter(pk=caller.client.organization_id).update(state=situation["organization"])


def expected(endpoint: str, situation: dict[str, Any]) -> str:
    """Return what an endpoint answers a client that proved itself."""
    if situation["state"] == State.CLOSED:
        return REFUSED
    return OK if endpoint == REVOKE or may_act(situation) else MAY_NOT


@pytest.mark.threat("O10")
@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT)
def test_every_endpoint_asks_the_gate(with_secret: Caller, call: Call, now: datetime, endpoint: str) -> None:
    credentials = with_secret.credentials()
    for situation in situations():
        put(with_secret, situation, now)
        assert outcome(call(endpoint, *credentials)) == expected(endpoint, situation), situation


@pytest.mark.threat("O10")
def test_a_token_is_active_only_while_its_client_may_act(
    with_secret: Caller, caller_by: Call, issue: Call, introspect: Call, now: datetime, other_organization: Organization
) -> None:
    asking = make_caller(other_organization, now, "client_secret_basic")
    token = issue(with_secret)
    for situation in situations():
        put(with_secret, situation, now)
        answer = introspect(asking, token)
        assert answer["active"] is may_act(situation), situation
        assert answer["active"] or answer == {"active": False}


@pytest.fixture
def other_organization(cast: Cast, now: datetime) -> Organization:
    """Another approved organization."""
    return make_organization(cast.stranger, cast.reviewer, now, "Tidewater Hotels")


@pytest.mark.threat("O10")
def test_every_url_asks_the_gate_or_says_why_not() -> None:
    names = {pattern.name for pattern in urlpatterns}
    assert names == GATED | NOT_GATED.keys()


@pytest.mark.threat("O10")
def test_the_answer_says_why_and_nothing_of_others(with_secret: Caller, call_as: Call, now: datetime) -> None:
    put(
        with_secret,
        {"state": State.ACTIVE, "organization": OrgState.SUSPENDED, "stage": Stage.LIVE, "trust": Trust.NONE, "expires": None},
        now,
    )
    assert call_as(with_secret, TOKEN).json()["error_description"] == "The organization is suspended."


@pytest.mark.threat("O11")
def test_a_token_never_outlives_the_trust_of_its_client(with_secret: Caller, call_as: Call, now: datetime) -> None:
    put(
        with_secret,
        {"state": State.ACTIVE, "organization": OrgState.APPROVED, "stage": Stage.LIVE, "trust": Trust.VALID, "expires": 90},
        now,
    )
    assert 0 < call_as(with_secret, TOKEN).json()["expires_in"] <= 90
    assert AccessToken.objects.get().expires <= now + timedelta(seconds=91)


def steps_of_client(cast: Cast, caller: Caller, now: datetime) -> list[Callable[[], object]]:
    """Return suspending and reinstating a client."""
    staff = person(cast.reviewer, staff=True)
    return [
        lambda: change_client(caller.client, "suspend", staff, now=now, reason="found abuse"),
        lambda: change_client(caller.client, "reinstate", staff, now=now),
    ]


def steps_of_owner(cast: Cast, caller: Caller, now: datetime) -> list[Callable[[], object]]:
    """Return pausing and resuming a client."""
    owner = person(cast.owner)
    return [lambda: change_client(caller.client, "pause", owner, now=now), lambda: change_client(caller.client, "resume", owner, now=now)]


def steps_of_organization(cast: Cast, caller: Caller, now: datetime) -> list[Callable[[], object]]:
    """Return suspending and reinstating the organization of a client."""
    staff = person(cast.reviewer, staff=True)
    return [
        lambda: change_organization(cast.organization, "suspend", staff, now=now, reason="found abuse"),
        lambda: change_organization(cast.organization, "reinstate", staff, now=now),
    ]


@pytest.mark.threat("O10", "S02")
@pytest.mark.parametrize("steps", [steps_of_client, steps_of_owner, steps_of_organization])
def test_suspending_ends_tokens_for_good_and_secrets_for_a_while(
    cast: Cast,
    with_secret: Caller,
    issue: Call,
    call_as: Call,
    introspect: Call,
    now: datetime,
    steps: Call,
    other_organization: Organization,
) -> None:
    asking = make_caller(other_organization, now, "client_secret_basic")
    suspend, reinstate = steps(cast, with_secret, now)
    token = issue(with_secret)
    assert introspect(asking, token)["active"]
    suspend()
    assert introspect(asking, token) == {"active": False}
    assert outcome(call_as(with_secret, TOKEN)) == MAY_NOT
    reinstate()
    assert introspect(asking, token) == {"active": False}
    assert introspect(asking, issue(with_secret))["active"]


@pytest.mark.threat("O10")
def test_the_toolkit_asks_the_gate_too(with_secret: Caller, issue: Call, now: datetime) -> None:
    issue(with_secret, scope="bookings.read")
    row = AccessToken.objects.select_related("application__organization").get()
    assert row.is_valid(["bookings.read"])
    assert row.application.is_usable(None)
    Client.objects.filter(pk=with_secret.client.pk).update(state=State.SUSPENDED, credential_generation=2)
    row = AccessToken.objects.select_related("application__organization").get()
    assert not row.is_valid(["bookings.read"])
    assert not row.application.is_usable(None)


@pytest.mark.threat("O10")
def test_a_suspended_resource_server_learns_nothing(
    with_secret: Caller, caller_by: Call, issue: Call, call_as: Call, cast: Cast, now: datetime
) -> None:
    asking = caller_by("client_secret_basic")
    token = issue(with_secret)
    change_client(asking.client, "suspend", person(cast.reviewer, staff=True), now=now, reason="found abuse")
    assert outcome(call_as(asking, INTROSPECT, token=token)) == MAY_NOT
