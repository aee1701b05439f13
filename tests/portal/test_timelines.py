"""A timeline of one object reads the events of that object, however many its organization has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client as Browser

from portal.views.timeline import events_of_client, review_events_of_organization, trust_events_of_client
from registry import audit
from registry.lifecycle import request_go_live
from registry.models import AuditEvent, Client, Organization
from tests.conftest import Cast

MakeClient = Callable[..., Client]
Pages = Callable[..., str]


def plans(rows: QuerySet[AuditEvent]) -> list[str]:
    """Return how the database would read a page of the rows, and how it would count them."""
    return [rows[:25].explain(), rows.order_by().values("pk").explain()]


def test_every_timeline_of_one_object_is_read_from_the_index_of_objects(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL plans by what it knows of the rows, of which a test has too few")
    client = make_client()
    request_go_live(client, cast.as_owner, now=now)
    for rows in (events_of_client(client), trust_events_of_client(client), review_events_of_organization(cast.organization)):
        for plan in plans(rows):
            assert "(object_type=? AND object_id=?)" in plan
            assert "SCAN" not in plan


def test_an_app_shows_its_own_events_and_those_of_its_requests_and_no_other(cast: Cast, make_client: MakeClient, now: datetime) -> None:
    client, other = make_client(), make_client()
    change = request_go_live(client, cast.as_owner, now=now)
    request_go_live(other, cast.as_owner, now=now)
    told = [(row.event, row.object_id) for row in events_of_client(client)]
    assert told == [("change.requested", str(change.pk)), ("client.registered", str(client.reference))]


@pytest.mark.threat("R09")
def test_what_our_staff_noted_or_another_organization_did_is_not_in_a_timeline(
    cast: Cast, viewer: Browser, make_client: MakeClient, app_url: Pages, foreign: Organization, now: datetime
) -> None:
    client = make_client()
    change = request_go_live(client, cast.as_owner, now=now)
    for number, organization in enumerate((None, foreign)):
        for subject in (client, change, cast.organization):
            audit.record(cast.as_reviewer, "trust.hidden", subject, organization=organization, reason=f"Hidden {number}")
    shown = [*events_of_client(client), *trust_events_of_client(client), *review_events_of_organization(cast.organization)]
    assert shown
    assert all(row.event != "trust.hidden" for row in shown)
    assert "Hidden" not in viewer.get(app_url("app_activity", client)).content.decode()
