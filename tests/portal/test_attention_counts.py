"""The list of organizations counts what needs attention as the page of each lists it, without reading all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from federation.models import FederationRecord
from portal.views.attention import _RANKS, count_everything, find_everything
from registry.credentials import create_secret
from registry.lifecycle import request_go_live
from registry.models import AppDraft, ChangeRequest, Client, ClientCheck, ClientKeySet, Organization
from tests.conftest import Cast, later, make_organization

MakeClient = Callable[..., Client]
JWKS = "https://lighthouse.example/jwks"
FINDING = {"code": "x", "field": "scope", "sentence": "No.", "hint": "", "enforce_at": "2030-01-01T00:00:00Z"}


def trouble(organization: Organization, cast: Cast, make_client: MakeClient, now: datetime) -> None:
    """Let the organization need attention for every reason that there is."""
    states = {"suspended": {}, "draft": {"offered_to_owner": True}, "active": {"trust": "broken"}, "closed": {"trust": "broken"}}
    for state, more in states.items():
        Client.objects.filter(pk=make_client().pk).update(state=state, **more)
    Client.objects.filter(pk=make_client().pk).update(state="suspended", trust="suspect")
    Client.objects.filter(pk=make_client().pk).update(trust="stale", trust_expires_at=later(now, days=2))
    for address in (JWKS, "https://lighthouse.example/other"):
        client = make_client()
        Client.objects.filter(pk=client.pk).update(metadata={**client.metadata, "jwks_uri": JWKS})
        ClientKeySet.objects.create(client=client, jwks_uri=address, attempted_at=now, fresh_until=later(now, days=-2), failure="Gone.")
    ending = make_client()
    Client.objects.filter(pk=ending.pk).update(trust="valid", trust_expires_at=later(now, days=3))
    FederationRecord.objects.create(
        client=ending, entity_id="x", twin_digest="x", anchor="a", superior="s", registration_ends=later(now, days=3),
        registered_at=later(now, days=-60),
    )  # fmt: skip
    create_secret(make_client(), cast.as_owner, now=now, expires_at=now + timedelta(days=3))
    checked = make_client()
    ClientCheck.objects.create(client=checked, findings=[FINDING], found_at=now, enforce_at=later(now, days=3))
    request_go_live(checked, cast.as_owner, now=now)
    ChangeRequest.objects.filter(client=checked).update(state="sent_back", decided_at=now)
    terms = TokenTerms(label="Installer", expires_at=now + timedelta(days=1))
    token = create_initial_access_token(organization, cast.as_owner, terms, now=now).row
    type(token).objects.update(created_at=later(now, days=-9))
    for days in (-2, 0):
        AppDraft.objects.create(organization=organization, answers={}, updated_at=later(now, days=days))


@pytest.mark.parametrize("state", ["approved", "suspended", "changes_requested", "rejected"])
def test_the_count_of_every_organization_is_that_of_its_list(cast: Cast, make_client: MakeClient, now: datetime, state: str) -> None:
    trouble(cast.organization, cast, make_client, now)
    other = make_organization(cast.owner, cast.reviewer, now, "Tidewater")
    AppDraft.objects.create(organization=other, answers={}, updated_at=later(now, days=-2))
    stranger = make_organization(cast.stranger, cast.reviewer, now, "Driftwood")
    AppDraft.objects.create(organization=stranger, answers={}, updated_at=later(now, days=-2))
    Organization.objects.filter(pk=cast.organization.pk).update(state=state)
    organizations = list(Organization.objects.filter(memberships__user=cast.owner))
    items = find_everything(organizations, now)
    assert count_everything(organizations, now) == Counter(item.organization.pk for item in items)
    assert {item.organization.pk for item in items} == {cast.organization.pk, other.pk}
    if state == "approved":  # tokens of one that is stopped do not end: they do not work
        about_apps = {code for code in _RANKS if not code.startswith("organization_")}
        assert about_apps - {item.code for item in items} == {"token_unkept"}


@pytest.mark.django_db
def test_without_organizations_nothing_is_counted(now: datetime) -> None:
    assert count_everything([], now) == Counter()
