"""The audit trail in the staff pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from registry import audit
from registry.models import AuditEvent, Client, Organization, User
from tests.conftest import Cast
from tests.portal.admin.conftest import step_of


@pytest.fixture
def as_auditor(cast: Cast, sign_in: Callable[[User], Browser]) -> Browser:
    """A browser of the auditor."""
    return sign_in(cast.auditor)


def test_the_trail_is_filtered_by_event_actor_and_organization(as_auditor: Browser, app: Client, pending: Organization) -> None:
    address = reverse("staff:registry_auditevent_changelist")
    for question, expected in (
        ({"event": "client."}, {"client.registered"}),
        ({"organization": "Tidewater"}, {"org.created", "org.submitted"}),
        ({"actor_kind": "staff"}, {"org.assigned", "org.approved"}),
        ({"object": "Back office"}, {"client.registered"}),
    ):
        found = as_auditor.get(address, question).context["events"]
        assert {event.event for event in found} == expected


def test_the_export_has_every_event_of_the_filter_as_a_line(as_auditor: Browser, app: Client, cast: Cast) -> None:
    address = reverse("staff:registry_auditevent_export")
    before = AuditEvent.objects.count()
    lines = b"".join(as_auditor.get(address).streaming_content).decode().splitlines()
    assert len(lines) == before == AuditEvent.objects.count() - 1
    events = [json.loads(line) for line in lines]
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    narrowed = b"".join(as_auditor.get(address, {"event": "client."}).streaming_content).decode().splitlines()
    assert json.loads(narrowed[0])["org_id"] == str(cast.organization.org_id)
    assert len(narrowed) == 1


def test_seals_that_hold_and_seals_that_do_not_are_told_apart(as_auditor: Browser, app: Client, now: datetime) -> None:
    audit.seal(now)
    address = reverse("staff:registry_auditevent_verify")
    assert "Every seal holds" in as_auditor.get(address).content.decode()
    with connection.cursor() as cursor:
        drop = "DROP TRIGGER IF EXISTS {}" if connection.vendor == "sqlite" else "ALTER TABLE registry_auditevent DISABLE TRIGGER ALL -- {}"
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'" if connection.vendor == "sqlite" else "SELECT 'x'")
        for (name,) in cursor.fetchall():
            cursor.execute(drop.format(name))
        cursor.execute("UPDATE registry_auditevent SET reason = 'forged' WHERE event = 'client.registered'")
    assert "was changed after sealing" in as_auditor.get(address).content.decode()


def test_djangos_own_action_log_is_not_written(as_reviewer: Browser, app: Client) -> None:
    as_reviewer.post(step_of(app, "suspend"), {"reason": "Because."})
    assert not LogEntry.objects.exists()


def test_a_staff_event_names_person_request_and_address(as_reviewer: Browser, app: Client, cast: Cast) -> None:
    response = as_reviewer.post(step_of(app, "suspend"), {"reason": "Because."}, headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"})
    event = AuditEvent.objects.get(event="client.suspended")
    assert event.request_id == response["X-Request-ID"]
    assert (event.actor_kind, event.actor_id) == ("staff", str(cast.reviewer.sub))
    assert (event.source_address, event.user_agent_family) == ("127.0.0.1", "Firefox")
