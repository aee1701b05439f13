"""The made-up history of a first start: it looks lived in, and its trail is one that the rest of the server can rely on."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.utils import timezone

from dcr.models import InitialAccessToken
from portal.demo.data import load_demo_data
from portal.statistics import chart_endings, chart_registrations
from registry import audit
from registry.actors import COMMAND_LINE
from registry.audit_search import AuditQuestion, page_of_events
from registry.models import AuditEvent, Client, ClientSecret, Organization
from registry.review_times import find_delayed_reviews, median_review_time
from registry.signing_keys import ensure_signing_keys


@pytest.fixture
def sign_ins(db: None) -> list[tuple[str, str, str]]:
    return load_demo_data()


def test_the_trail_of_the_demo_goes_back_three_weeks_in_the_order_of_time(sign_ins: object, now: datetime) -> None:
    times = list(AuditEvent.objects.order_by("id").values_list("time", flat=True))
    assert times == sorted(times)
    assert now - timedelta(days=22) < times[0] < now - timedelta(days=20)
    assert now - timedelta(days=1) < times[-1] <= timezone.now()
    audit.seal(now)
    assert not list(audit.verify())


def test_a_search_by_time_finds_in_the_demo_exactly_what_happened_then(sign_ins: object, now: datetime) -> None:
    ensure_signing_keys(COMMAND_LINE, now=now)
    since, until = now - timedelta(days=17, hours=12), now - timedelta(days=2, hours=12)
    found = page_of_events(AuditQuestion(since=since, until=until), limit=1000).events
    expected = AuditEvent.objects.filter(time__gte=since, time__lt=until)
    assert {event.id for event in found} == {event.id for event in expected}
    assert 0 < len(found) < AuditEvent.objects.count()


def test_apps_of_the_demo_registered_when_the_trail_says_so(sign_ins: object) -> None:
    for client in Client.objects.filter(organization__is_operator=False):
        event = AuditEvent.objects.get(event="client.registered", object_id=str(client.reference))
        assert client.created == event.time, client


def test_the_charts_and_the_review_time_have_something_to_show(sign_ins: object, now: datetime) -> None:
    chart = chart_registrations(now)
    assert sum(row.total > 0 for row in chart.rows) >= 3
    assert chart.total == Client.objects.filter(organization__is_operator=False).count()
    assert chart_endings(now).total >= 2
    assert median_review_time(now) == timedelta(hours=3)


def test_nothing_of_the_demo_is_dead_on_arrival(sign_ins: list[tuple[str, str, str]], now: datetime) -> None:
    for _, email, password in sign_ins:
        assert authenticate(None, email=email, password=password) is not None, email
    assert InitialAccessToken.objects.get().expires_at > now + timedelta(days=4)
    assert ClientSecret.objects.get(label="production").expires_at > now + timedelta(days=5)  # type: ignore[operator]
    assert set(Organization.objects.filter(is_operator=False).values_list("state", flat=True)) == {"approved", "suspended", "pending"}
    assert not [incident for found in find_delayed_reviews(now) for incident in found]


def test_the_clock_dates_what_happens_after_the_demo(sign_ins: object, now: datetime) -> None:
    ensure_signing_keys(COMMAND_LINE, now=now)
    newest = AuditEvent.objects.first()
    assert newest is not None
    assert timezone.now() - newest.time < timedelta(minutes=1)


def test_only_the_demo_dates_events_itself() -> None:
    rooms = ("protocol", "registry", "federation", "dcr", "authserver", "portal")
    files = [path for room in rooms for path in (Path(settings.BASE_DIR) / room).rglob("*.py")]
    using = [path for path in files if re.search(r"\bdated\(", path.read_text()) and path.name != "audit.py"]
    assert [path.relative_to(settings.BASE_DIR).as_posix() for path in using] == ["portal/demo/data.py"]
